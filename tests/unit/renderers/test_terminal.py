"""What a user sees on a terminal."""

from __future__ import annotations

import io
import os
import re
import subprocess

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from harness.core.errors import UsageError
from harness.core.types import Report
from harness.renderers.formats import terminal
from harness.renderers.view import View
from tests import reports


def shown(
    report: Report,
    width: int = 120,
    *,
    wide: bool = False,
    sort: str | None = None,
    columns: list[str] | None = None,
) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None)
    terminal.render_to(View(report), console, wide=wide, sort=sort, columns=columns)
    return out.getvalue().splitlines()


def table(lines: list[str]) -> list[str]:
    """The rows between the head's rule and the next empty line."""
    start = next(i for i, line in enumerate(lines) if line.startswith("───")) + 1
    return lines[start : lines.index("", start)]


def head(lines: list[str]) -> str:
    return next(line for line in lines if line.startswith("variant"))


@pytest.mark.parametrize("name", reports.REPORTS)
def test_no_line_is_wider_than_the_terminal(name: str) -> None:
    for width in (80, 100, 120, 160, 240):
        for line in shown(reports.REPORTS[name](), width):
            assert cell_len(line) <= width, width


@pytest.mark.parametrize("width", [80, 120])
def test_a_row_is_one_line_with_its_numbers_whole(width: int) -> None:
    lines = shown(reports.normal(), width)
    (row,) = [line for line in table(lines) if line.startswith("vgg16")]
    assert "197" in row
    assert re.search(r"250 +±2\.2 %", row)
    assert "254" in row


def test_eighty_columns_name_what_they_leave_out() -> None:
    text = " ".join(shown(reports.normal(), 80))
    assert "more with --wide:" in text
    assert "gzip" in text.split("more with --wide:")[1]


def test_a_hundred_and_twenty_columns_are_complete() -> None:
    lines = shown(reports.normal(), 120)
    for column in ("status", "size", "init", "latency", "spread", "peak RSS", "accuracy",
                   "smaller", "faster"):  # fmt: skip
        assert column in head(lines)
    (largest,) = [row for row in table(lines) if row.startswith("vgg16")]
    assert largest.count("████") == 2, "bars of size and latency"
    (row,) = [row for row in table(lines) if row.startswith("pruned")]
    assert re.search(r"11\.5  ▎ .* 5\.15 ±2\.3 %  ▏ +▂█▄ ", row)


def test_a_wider_terminal_shows_the_file_compressed_and_the_tail() -> None:
    top = head(shown(reports.normal(), 150))
    assert "gzip" in top
    assert "p90" in top


def test_launches_of_all_rows_are_drawn_on_one_scale() -> None:
    """A tenth of a per cent and fifty do not look alike."""
    report = reports.make({n: reports.VARIANTS[n] for n in ("vgg16", "scratch")}, launches=5)
    quiet, noisy = ((0.999, 0.9995, 1, 1.0005, 1.001), (0.5, 0.75, 1, 1.25, 1.5))
    cases = [
        replace(case, launches=tuple(
            replace(x, latency_ns=(int(1e7 * f),)) for x, f in zip(case.launches, fs, strict=True)
        ))
        for case, fs in zip(report.cases, (quiet, noisy), strict=True)
    ]  # fmt: skip
    lines = shown(replace(report, cases=tuple(cases)), 120)
    assert "±50 %" in lines[lines.index(head(lines)) + 1]
    rows = {row.split()[0]: row for row in table(lines)}
    assert "  █  " in rows["vgg16"]
    assert "█████" in rows["scratch"]


def test_the_front_is_named_and_marked() -> None:
    lines = shown(reports.with_verdict())
    assert [row.split()[1] for row in table(lines) if row.startswith("◇")] == ["pruned", "vgg16"]
    assert any("◇ beaten by none" in line for line in lines)
    (said,) = [line for line in lines if "nothing beats" in line]
    assert "◇ nothing beats mobilenet-gray-int8, vgg16 and pruned on size" in said
    assert "size, latency, peak RSS and accuracy" in said


def test_what_keeps_every_budget_stands_above_what_does_not() -> None:
    report = reports.with_verdict()
    assert report.verdict is not None
    ids = {case.variant: case.case.id for case in report.cases}
    met = {i: "met" if v in ("scratch", "mobilenet-gray-int8") else "missed"
           for v, i in ids.items()}  # fmt: skip
    line = replace(report.verdict.budgets[0], outcomes=met)
    verdict = replace(report.verdict, budgets=(line,))
    names = [row.split() for row in table(shown(replace(report, verdict=verdict)))]
    assert "mobilenet-gray-int8" in names[0]
    assert names[1][0] == "☆"
    assert names[2][0] == "scratch", "suspect, but within the budget"


@pytest.mark.parametrize("command", [
    ("python", "-m", "harness", "bench", "a b.tflite", "it's;$(x)", "--budget", "size<=1MB"),
    ("python", "x\ny\t'\\", "\x1b[31m", "模型\u202e", "bad\udcff"),
])  # fmt: skip
def test_the_command_shown_repeats_the_run(command: tuple[str, ...]) -> None:
    report = replace(reports.one_case(), command=command)
    lines = shown(report, 400)
    (line,) = [x for x in lines if x.strip().startswith("again: ")]
    assert line.isprintable()
    words = line.strip().removeprefix("again: ")
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True
    )
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in command]


def test_wide_shows_every_column_whatever_the_width() -> None:
    lines = shown(reports.normal(), 80, wide=True)
    assert "first inference" in head(lines)
    assert not any("more with --wide" in line for line in lines)
    assert len(head(lines)) > 80


def test_times_smaller_and_faster_refer_to_vgg16() -> None:
    lines = shown(reports.normal(), 120)
    (row,) = [line for line in table(lines) if line.startswith("mobilenet-gray-int8")]
    assert row.split()[-2:] == ["74x", "47x"]
    assert any("vs vgg16" in line for line in lines)


def test_columns_are_those_asked_for_in_that_order() -> None:
    top = head(shown(reports.normal(), columns=["latency", "size"]))
    assert top.split() == ["variant", "latency", "size"]


def test_sorting_puts_the_best_first() -> None:
    by_size = [row.split()[0] for row in table(shown(reports.normal(), sort="size"))]
    assert by_size[0] == "mobilenet-gray-int8"
    assert by_size[-1] == "vgg16"
    by_accuracy = [row.split()[0] for row in table(shown(reports.normal(), sort="accuracy"))]
    assert by_accuracy[0] == "vgg16"


@pytest.mark.parametrize("option", ["sort", "columns"])
def test_a_mistyped_column_is_answered_with_the_nearest(option: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'latency'"):
        if option == "sort":
            shown(reports.normal(), sort="latancy")
        else:
            shown(reports.normal(), columns=["latancy"])


def test_the_verdict_comes_first_in_the_table_and_last_on_the_screen() -> None:
    lines = shown(reports.with_verdict())
    assert table(lines)[0].startswith("★ mobilenet-gray-int8")
    assert table(lines)[1].startswith("☆ mobilenet-int8")
    verdict = next(i for i, line in enumerate(lines) if "Verdict" in line)
    measured = lines.index("Measured")
    assert measured < verdict
    assert "not distinguishable" in " ".join(lines[verdict:])
    assert "1 missed" in "".join(line for line in lines[verdict:] if "latency_p95" in line)


def test_failures_and_findings_carry_their_fix() -> None:
    text = "\n".join(shown(reports.some_failed()))
    assert "scratch failed in launch" in text
    assert "→ run it alone with --launches 1" in text
    assert "mobilenet-int8: the model gives the same answer to every input" in text
    assert "→ train it" in text


def test_alike_findings_stand_together() -> None:
    lines = shown(reports.normal())
    assert sum("other processes used 31 %" in line for line in lines) == 1
    assert any("scratch, pruned: other processes" in line for line in lines)


def test_what_was_never_measured_says_why() -> None:
    text = "\n".join(shown(reports.counted()))
    assert "latency: absent, an emulated core tells no time" in text
    assert "63,468,657" in text
    assert "accuracy: absent, the artifact is untrained" in "\n".join(shown(reports.no_accuracy()))


def test_a_missing_interval_is_not_hidden() -> None:
    text = "\n".join(shown(reports.no_intervals(), 80))
    assert "5.06 ±?" in text
    assert "too few launches" in text


def test_emulated_devices_and_untrained_artifacts_are_marked() -> None:
    text = "\n".join(shown(reports.emulated()))
    assert "vgg16 ‡" in text
    assert "not a phone's numbers" in text
    assert "all untrained" in "\n".join(shown(reports.no_accuracy()))


@pytest.mark.parametrize("width", [80, 120])
def test_hostile_names_reach_the_terminal_inert(width: int) -> None:
    text = "\n".join(shown(reports.hostile(), width))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[/bold]" in text  # console markup is text
    assert "\\x1b[31mred" in text


def test_no_colour_codes_when_it_is_not_a_terminal() -> None:
    assert "\x1b" not in terminal.render(View(reports.with_verdict())).decode()


def test_no_color_keeps_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True)
    terminal.render_to(View(reports.some_failed()), console)
    colours = re.findall(r"\x1b\[[0-9;]*?(?:3[0-7]|9[0-7]|38)[;m]", out.getvalue())
    assert colours == []
    assert "✗ invalid" in out.getvalue()


def test_an_ascii_terminal_gets_ascii() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(file=out, width=160, force_terminal=False, color_system=None)
    terminal.render_to(View(reports.with_verdict()), console)
    out.flush()
    assert "5.15 ~2.3 %" in raw.getvalue().decode("ascii")


def test_plain_output_is_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    before = terminal.render(View(reports.normal()))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal.render(View(reports.normal())) == before
    assert max(map(len, before.decode().splitlines())) <= terminal.PLAIN_WIDTH
