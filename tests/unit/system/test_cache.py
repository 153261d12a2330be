"""What is in the cache, what goes first, and what stays because a running program uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import cli
from harness.system import cache_contents, cache_use
from harness.system.locks import lock
from tests.paths import ROOT

NOW = 1_700_000_000.0
DAY_S = 86_400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three artifacts of 1000 bytes, used 1, 10 and 100 days ago, and inputs with their seal."""
    folder = tmp_path / "cache"
    for name, days in (("a" * 64, 1), ("b" * 64, 10), ("c" * 64, 100)):
        file = folder / "artifacts" / name / "model.tflite"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 1000)
        os.utime(file, (NOW - days * DAY_S,) * 2)
    (folder / "inputs").mkdir()
    for name in ("i.npz", "i.npz.sha256"):
        (folder / "inputs" / name).write_bytes(b"x" * 250)
        os.utime(folder / "inputs" / name, (NOW - 50 * DAY_S,) * 2)
    (folder / "weights.json").write_text("{}")
    (folder / "runners").mkdir()
    (folder / "runners" / "runners.lock").write_text("{}")
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(folder))
    return folder


def names(entries: list[cache_contents.Entry]) -> str:
    return "".join(e.name[0] for e in entries)


def test_everything_is_found_with_its_size(cache: Path) -> None:
    found = cache_contents.entries(cache)
    assert [(e.kind.folder, e.name[0], e.size_bytes) for e in found] == [
        ("artifacts", "a", 1000),
        ("artifacts", "b", 1000),
        ("artifacts", "c", 1000),
        ("inputs", "i", 500),
    ]


@pytest.mark.parametrize(
    ("keep_bytes", "days", "goes"),
    [
        (None, 200, ""),
        (None, 50, "ci"),
        (None, 1, "ciba"),
        (3500, None, ""),
        (3499, None, "c"),
        (1000, None, "cib"),
        (0, None, "ciba"),
        (1500, 100, "cib"),
    ],
)
def test_what_was_unused_longest_goes_first(
    cache: Path, keep_bytes: int | None, days: int | None, goes: str
) -> None:
    chosen = cache_contents.to_prune(
        cache_contents.entries(cache),
        keep_bytes=keep_bytes,
        unused_for_s=None if days is None else days * DAY_S,
        now=NOW,
    )
    assert names(chosen) == goes


def test_clear_leaves_the_digests_of_downloads(cache: Path) -> None:
    removed = cache_contents.remove(cache, everything=True)
    assert sum(e.size_bytes for e in removed.gone) == 3500
    assert removed.kept == []
    left = {p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file()}
    assert left == {"weights.json", "runners/runners.lock", "locks/removing"}


def test_a_dry_run_removes_nothing(cache: Path) -> None:
    assert len(cache_contents.remove(cache, everything=True, dry_run=True).gone) == 4
    assert len(cache_contents.entries(cache)) == 4


def test_what_a_killed_one_left_goes(cache: Path) -> None:
    (cache / ".removed-xyz" / "0").mkdir(parents=True)
    cache_contents.remove(cache, keep_bytes=10**6)
    assert not list(cache.glob(".removed-*"))


USER = """
import sys
from pathlib import Path
from harness.system import cache_use
cache = cache_use.cache_in_use()
cache_use.note_use(cache, cache / "artifacts" / ("b" * 64), "scratch-int8")
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def running(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that uses the artifact b."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, "bench", "scratch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MOBILE_BENCH_CACHE": str(cache)},
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_what_a_running_program_uses_stays(cache: Path) -> None:
    with running(cache) as child:
        (user,) = cache_use.users(cache)
        assert (user.pid, user.command) == (child.pid, "bench scratch")
        removed = cache_contents.remove(cache, everything=True)
        # The use of inputs is not noted, so that they stay too.
        assert (names(removed.gone), names(removed.kept)) == ("ac", "bi")
        assert (cache / "artifacts" / ("b" * 64) / "model.tflite").exists()
    # It was killed, and left its lock file behind, which holds nobody.
    assert cache_use.users(cache) == []
    assert names(cache_contents.remove(cache, everything=True).gone) == "bi"


def test_what_is_being_built_stays(cache: Path) -> None:
    with lock(cache / "locks" / ("a" * 64)):
        removed = cache_contents.remove(cache, everything=True)
    assert names(removed.kept) == "a"


def test_the_variants_that_it_served_latest_first(cache: Path) -> None:
    entry = cache / "artifacts" / ("a" * 64)
    for variant in ("one", "two", "one"):
        cache_use.note_use(cache, entry, variant)
    assert cache_use.used_by(entry) == ["one", "two"]
    (used, *_) = cache_contents.entries(cache)
    assert used.variants == ("one", "two")
    assert used.used_at > used.made_at
    cache_use.note_use(cache, cache / "artifacts" / "gone", "one")
    assert not (cache / "artifacts" / "gone").exists()


# --- the command -------------------------------------------------------------------------------


def test_a_person_sees_what_how_large_and_by_whom(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache_use.note_use(cache, cache / "artifacts" / ("a" * 64), "scratch-int8")
    assert cli.main(["cache"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{cache}: 3.5")
    (line,) = (line for line in shown if "aaaaaaaaaaaa " in line)
    assert "1.01 kB" in line
    assert line.endswith("scratch-int8")


def test_json_is_for_programs(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["cache"], facts["size_bytes"], len(facts["entries"])) == (str(cache), 3500, 4)
    assert facts["entries"][0]["kind"] == "artifacts"
    assert cli.main(["cache", "prune", "--keep", "1kB", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["removed_bytes"], facts["size_bytes"]) == (2500, 1000)


def test_prune_and_clear_say_what_went(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "prune", "--unused-for", "1d", "--keep", "2kB", "--dry-run"]) == 0
    assert "would remove" in capsys.readouterr().out
    assert cli.main(["cache", "clear"]) == 0
    shown = capsys.readouterr().out
    assert "removed 4 entries, 3.50 kB" in shown
    assert "0 B left" in shown
    assert cli.main(["cache"]) == 0


def test_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "none"))
    for action in ([], ["clear"], ["prune", "--keep", "0B"]):
        assert cli.main(["cache", *action]) == 0
    assert not (tmp_path / "none").exists()
    assert "0 B" in capsys.readouterr().out


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["prune"], "give --keep or --unused-for"),
        (["--keep", "1GB"], "are for prune"),
        (["clear", "--unused-for", "3d"], "are for prune"),
        (["--dry-run"], "is for prune and clear"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["cache", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("size", ["10", "10XB", "-1GB", "GB", "nanGB", "infGB"])
def test_a_wrong_size_is_one_line(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["cache", "prune", f"--keep={size}"])
    assert ended.value.code == 2
    assert "is not a size such as 10GB" in capsys.readouterr().err


def test_a_time_needs_its_unit(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """30 days, or 30 seconds and nothing left?"""
    with pytest.raises(SystemExit) as ended:
        cli.main(["cache", "prune", "--unused-for", "30"])
    assert ended.value.code == 2
    assert "'30' has no unit; write 30d or 30h" in capsys.readouterr().err
    assert len(cache_contents.entries(cache)) == 4


def test_a_file_is_no_place_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "file"))
    for command in (["cache"], ["build", "scratch", "--untrained"]):
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert (
            said
            == f"error: MOBILE_BENCH_CACHE: {tmp_path / 'file'} is not a folder; name a folder\n"
        )


def test_a_program_that_used_the_cache_leaves_nothing_behind(fresh_cache: Path) -> None:
    code = (
        "from harness.system.cache_use import cache_in_use; print(*cache_in_use().glob('users/*'))"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent == fresh_cache / "users"
    assert done.stderr == ""
    assert list((fresh_cache / "users").iterdir()) == []
