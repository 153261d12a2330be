"""What `bench` does with phones that are well, and with requests that make no sense."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest
import yaml

from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.renderers.charts import charts_of
from harness.renderers.view import View
from tests.lazily import Lazily
from tests.paths import ROOT
from tests.phone_bench import OTHER, SHORT, TINY, assert_clean, bench, documented, entry
from tests.phones import adb_home, emulated, run_harness

__all__ = ["adb_home"]

pandas = Lazily("pandas")

pytestmark = pytest.mark.usefixtures("adb_home")


# --- it works --------------------------------------------------------------------------------


def test_the_emulated_device_of_the_shipped_file(tmp_path: Path) -> None:
    done = run_harness(
        tmp_path, "bench", TINY, OTHER, "--device", "emulated", "--quick", "--iterations", "20",
        "--json", "r.json", "--budget", "latency_p95<=10s,peak_rss<=1GiB",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    (device,) = report["devices"]
    assert device["emulated"] is True
    for case in report["cases"]:
        latency = case["metrics"]["latency"]
        assert latency["n"] == 5
        assert latency["ci_low"] <= latency["point"] <= latency["ci_high"]
        assert latency["mean"] > 0
        assert latency["std"] is not None
        assert latency["p95"] is None
        assert "no single iterations" in latency["absent"]["p95"]
        tail = case["metrics"]["latency_p95"]
        assert latency["point"] * 0.5 < tail["ci_low"] <= tail["point"] <= tail["ci_high"]
        memory = case["metrics"]["peak_rss"]
        assert 1e6 < memory["ci_low"] <= memory["point"] <= memory["ci_high"]
        assert case["launches"][0]["latency_summary"]["count"] >= 5
        assert "emulated-device" in [f["code"] for f in case["findings"]]
    assert report["verdict"]["outcome"] == "met"
    assert "emulated device, not a phone's numbers" in done.stdout


def test_every_format_marks_an_emulated_case_whatever_the_device_is_called(tmp_path: Path) -> None:
    """The phone says `qemu` and nothing else that would give it away; the host beside it is not
    marked."""
    described = yaml.safe_load((ROOT / "harness/emulator/profiles/pixel.yaml").read_text())
    described["props"] = {
        key: re.sub(r"[ (]*emulated[/_)]*", "", value, flags=re.IGNORECASE) or "x"
        for key, value in described["props"].items()
    }
    assert "emulated" not in str(described).lower()
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(described))
    toy = {
        "kind": "android",
        "transport": "emulated",
        "profile": "toy.yaml",
        "runner": {"device_path": "/system/bin/benchmark_model"},
    }
    run = bench(
        tmp_path, {"host": {"kind": "host"}, "toy": toy}, TINY, *SHORT, "--json", "r.json",
        "--html", "r.html", "--markdown", "r.md", "--csv", "r.csv", "--csv-wide", "wide.csv",
        "--junit", "r.xml", "--parquet", "r.parquet",
    )  # fmt: skip
    assert run.status == 0, run.stderr
    assert re.search(r"tiny_float32 ‡ +toy ", run.stdout)
    assert re.search(r"tiny_float32 +host ", run.stdout)
    assert "‡ emulated device, not a phone's numbers" in run.stdout
    assert {(d.name, d.emulated) for d in run.report.devices} == {("toy", True), ("host", False)}
    for name in ("r.csv", "wide.csv"):
        rows = list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        assert {(r["device"], r["emulated"]) for r in rows} == {("toy", "True"), ("host", "False")}
    frame = pandas.read_parquet(tmp_path / "r.parquet")
    marked = {*zip(frame["device"], frame["emulated"], strict=True)}
    assert marked == {("toy", True), ("host", False)}
    table = [line for line in (tmp_path / "r.md").read_text().splitlines() if line[:3] == "| `"]
    assert {("toy " in line, "(emulated)" in line) for line in table} == {
        (True, True),
        (False, False),
    }
    suites = ElementTree.parse(tmp_path / "r.xml").iter("testsuite")
    marks = {s.get("name"): s.find("properties/property[@name='emulated']") for s in suites}
    assert marks["toy"] is not None
    assert marks["host"] is None
    html = re.findall(r"<tr.*?</tr>", (tmp_path / "r.html").read_text(), flags=re.DOTALL)
    cells = [text for row in html if "tiny_float32" in (text := re.sub(r"<[^>]*>", " ", row))]
    assert any("toy" in text and "emulated" in text for text in cells)
    assert not any("toy" not in text and "emulated" in text for text in cells)
    assert {c.title for c in charts_of(View(run.report)) if "emulated" in c.title} == {
        "Size against latency on toy (emulated)",
        "Memory (toy: emulated)",
        "Order of measurement on toy (emulated)",
        "tiny_float32 (toy benchmark_model) (emulated)",
    }
    for words in (["compare", "latest", "latest"], ["history", "--metric", "latency"]):
        said = [line for line in harness(tmp_path, *words).splitlines() if "tiny_float32" in line]
        assert any("toy" in line and "(emulated)" in line for line in said), said
        assert not any("toy" not in line and "(emulated)" in line for line in said)


def harness(folder: Path, *arguments: str | Path) -> str:
    """What another command prints."""
    return run_harness(folder, *arguments).stdout


def test_host_and_phone_side_by_side(tmp_path: Path) -> None:
    with emulated() as phone:
        run = bench(tmp_path, {"host": {"kind": "host"}, "phone": entry(phone)})
        assert run.status == 0, run.stderr
        assert {c.device: c.status for c in run.report.cases}.keys() == {"host", "phone"}
        assert all(len(c.launches) == 2 for c in run.report.cases)
        assert_clean(phone)


@pytest.mark.long
def test_profile_and_parity(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=None) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, OTHER, *SHORT, "--profile", "--parity")
        assert run.status == 0, run.stderr
        for case in run.report.cases:
            difference = case.metrics["parity_difference"]
            assert difference.point == 0.0, "the same library on the same machine"
            assert case.metrics["parity_decisions"].point == 1.0
            assert 1 <= len(case.launches[0].op_times) <= 10
            assert "op-profile" in [f.code for f in case.findings]
        assert_clean(phone)


def test_dialect_b_has_neither_profile_nor_parity_and_says_so(tmp_path: Path) -> None:
    with emulated(dialect="B") as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *SHORT, "--profile", "--parity")
        assert run.status == 0, run.stderr
        (case,) = run.report.cases
        assert run.report.devices[0].runtimes["benchmark_model"].endswith("B")
    codes = {f.code for f in case.findings}
    assert {"no-op-profile", "not-compared-with-host"} <= codes
    assert "parity_difference" not in case.metrics


def test_sustained_tells_the_course_of_heat(tmp_path: Path) -> None:
    """The phone becomes hot 5.4 s after the launch began: no fault here, but looked for. Its
    battery tells no current, so that it is not watched before the load."""
    faults = Faults(throttle_at_minute=0.09, battery_current="unreadable")
    with emulated(faults=faults, fixed_latency_us=2000) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--sustained", "12s")
        assert run.status == 0, run.stderr
        (case,) = run.report.cases
        assert_clean(phone)
    (launch,) = case.launches
    assert [m.thermal_status for m in launch.minutes][-1] == 2
    start, end = case.metrics["latency_start"].point, case.metrics["latency_end"].point
    assert start is not None
    assert end is not None
    assert end > 1.3 * start
    codes = [f.code for f in case.findings]
    assert "sustained-slowdown" in codes
    assert "throttled" not in codes


def test_cadence_leaves_a_pause_between_iterations(tmp_path: Path) -> None:
    with emulated() as phone:
        run = bench(
            tmp_path, {"phone": entry(phone)},
            TINY, "--launches", "1", "--iterations", "4", "--cadence", "0.5s",
        )  # fmt: skip
        assert run.status == 0, run.stderr
        (launch,) = run.report.cases[0].launches
    assert launch.latency_summary is not None
    assert launch.latency_summary.count == 4
    assert launch.wall_ns > 3 * 0.5e9


def test_delegates_are_a_sweep_and_a_build_without_gpu_fails_its_case_only(tmp_path: Path) -> None:
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *SHORT, "--delegate", "cpu,gpu")
        assert run.status == 3
        cpu, gpu = run.report.cases
        assert_clean(phone)
    assert (cpu.delegate, gpu.delegate) == ("cpu", "gpu")
    assert cpu.status in ("ok", "suspect")
    assert gpu.status == "failed"
    assert (len(cpu.launches), len(gpu.launches)) == (2, 0)
    assert cpu.failure is None
    assert gpu.failure is not None
    assert "does not know --use_gpu=true" in gpu.failure.message
    assert documented("build without GPU").fullmatch(run.said("failed ("))


Shares = Literal["all", "part", "none"]
B_REFUSES = "rejected the model or its flags (status 1): Some ops are not accelerated"


@pytest.mark.parametrize(
    ("dialect", "share", "status", "told"),
    [
        ("A", "all", 0, ""),
        ("A", "part", 0, "the gpu delegate took 3 of 5 nodes (60 %)"),
        ("A", "none", 3, "gpu was asked for and ran none of the model's nodes"),
        ("B", "all", 0, ""),
        ("B", "part", 3, B_REFUSES),
        ("B", "none", 3, B_REFUSES),
    ],
)
def test_what_was_delegated_is_told(
    tmp_path: Path, dialect: Literal["A", "B"], share: Shares, status: int, told: str
) -> None:
    """N of M in the report; a part is a finding (LiteRT's tool refuses it), nothing an error."""
    shown = ("r.html", "r.md") if share == "part" and dialect == "A" else ()
    out = ("--html", "r.html", "--markdown", "r.md") if shown else ()
    faults = Faults(accelerator=share)
    with emulated(faults=faults, dialect=dialect, fixed_latency_us=None) as phone:
        words = (TINY, "--launches", "1", "--iterations", "3", "--delegate", "cpu,gpu", *out)
        run = bench(tmp_path, {"phone": entry(phone)}, *words)
        assert run.status == status, run.stderr
        cpu, gpu = run.report.cases
        assert_clean(phone)
    on_cpu = [x.counters for x in cpu.launches]
    assert on_cpu == [{"delegated_nodes": 5, "total_nodes": 5}], "XNNPACK's, which are true"
    if status:
        assert gpu.status == "failed"
        assert gpu.failure is not None
        assert told in gpu.failure.message
        assert gpu.failure.fix
        assert told in run.said("failed (")
        return
    nodes = 5 if share == "all" else 3
    assert [x.counters for x in gpu.launches] == [{"delegated_nodes": nodes, "total_nodes": 5}]
    found = [f.message for f in gpu.findings if "delegat" in f.code]
    assert found == ([told] if share == "part" else [])
    for name in shown:
        assert "took 3 of 5 nodes" in (tmp_path / name).read_text(), name


REFUSED = {
    "sustained and a time": (["--sustained", "10m", "--time-budget", "1m"], "decides by itself"),
    "sustained and launches": (["--sustained", "10m", "--launches", "3"], "decides by itself"),
    "cadence too slow": (["--cadence", "60s", "--iterations", "50"], "longer than a launch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(tmp_path: Path, name: str) -> None:
    arguments, words = REFUSED[name]
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *arguments)
    assert run.status == 2
    assert words in run.stderr
    assert not (tmp_path / "reports").exists()


DOWNLOADED: dict[str, tuple[list[str], str]] = {
    "profile and parity": (
        ["--profile", "--parity"],
        "error: --profile and --parity need the other benchmark_model, dialect A, and the runner "
        "of phone is of dialect B; write `dialect: A` below phone: runner: in devices.yaml, or",
    ),
    "a typo in the delegate": (
        ["--delegate", "gpuu"],
        "error: unknown delegate 'gpuu'; did you mean 'gpu'?",
    ),
}


@pytest.mark.parametrize("name", DOWNLOADED)
def test_what_the_downloaded_runner_cannot_do_is_refused_without_a_phone(
    tmp_path: Path, name: str
) -> None:
    arguments, words = DOWNLOADED[name]
    run = bench(tmp_path, {"phone": entry("127.0.0.1:1", runner={})}, TINY, *arguments)
    assert run.status == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(words)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("option", [["--sustained", "1m"], ["--cadence", "1s"], ["--profile"],
                                    ["--parity"]])  # fmt: skip
def test_the_host_refuses_what_only_phones_do(tmp_path: Path, option: list[str]) -> None:
    run = bench(tmp_path, {"host": {"kind": "host"}}, TINY, *option)
    assert run.status == 2
    assert run.stderr.startswith(f"error: device host does not support {option[0]}; ")


def test_a_slow_link_only_takes_longer(tmp_path: Path) -> None:
    with emulated(faults=Faults(slow_link=200_000)) as phone:
        run = bench(tmp_path, {"phone": entry(phone)})
        assert run.status == 0, run.stderr
        assert_clean(phone)


# --- several phones --------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Iterator[tuple[dict[str, Any], list[Daemon]]]:
    with emulated() as good, emulated(faults=Faults(runner="crash")) as bad, emulated() as also:
        phones = [good, bad, also]
        names = ("good", "bad", "also")
        yield {n: entry(p) for n, p in zip(names, phones, strict=True)}, phones


def test_a_failing_phone_does_not_stop_the_others(
    tmp_path: Path, three: tuple[dict[str, Any], list[Daemon]]
) -> None:
    entries, phones = three
    gate = ("--budget", "size<=1MB", "--junit", tmp_path / "junit.xml")
    run = bench(tmp_path, {**entries, "absent": entry("127.0.0.1:1")}, TINY, OTHER, *SHORT, *gate)
    assert run.status == 3
    for phone in phones:
        assert_clean(phone)
    by_device: dict[str, list[int]] = {}
    for case in run.report.cases:
        by_device.setdefault(case.device, []).append(len(case.launches))
    assert by_device == {"good": [2, 2], "bad": [0, 0], "also": [2, 2], "absent": [0, 0]}
    assert "stopped because every case on bad and absent failed\n" in run.stdout
    no_case = "no recommendation: no case could be measured"
    why = f'<failure message="on bad: {no_case}; on absent: {no_case}"'
    assert why in (tmp_path / "junit.xml").read_text(), "not why the others keep the budget"
    assert "no phone answers" in run.said("absent failed (connect)"), "once, not once per case"


# --- names -----------------------------------------------------------------------------------

NAMES = [
    "with space",
    "it's",
    'q"uote',
    "$(touch owned)",
    "`touch owned`",
    "semi;touch owned;",
    "new\nline",
    "größe-模型",
    "-rf",
    "a&b|c>d<e*?[x]~#!",
]


def test_awkward_names_reach_the_phone_inert(tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(NAMES):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes((TINY if number % 2 else OTHER).read_bytes())
        files.append(f"./{path.name}")
    with emulated() as phone:
        run = bench(
            tmp_path, {"phone": entry(phone)}, *files, "--launches", "1", "--iterations", "2"
        )
        assert run.status == 0, run.stderr
        assert not list(phone.phone.root.rglob("owned"))
        assert_clean(phone)
    assert not list(tmp_path.rglob("owned"))
    assert len(run.report.cases) == len(NAMES)
    assert "\nline" not in run.stdout.replace("\n\n", "")
