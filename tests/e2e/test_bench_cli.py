"""The main job as a user runs it: its exit status, what it prints and leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.results import store
from tests import command_line, schema
from tests.paths import ROOT

MODELS = ROOT / "tests/data/models"
TINY, TINY_INT8 = MODELS / "tiny_float32.tflite", MODELS / "tiny_int8.tflite"

SAVED = next((ROOT / "tests/data/reports").rglob("*.json"))  # has other variants


def harness(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return command_line.run(*args, cwd=cwd, env=env)


def started(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


def only_run(root: Path) -> Path:
    (run,) = (root / "reports").glob("[0-9]*")
    return run


def test_files_are_measured_and_the_report_is_whole(tmp_path: Path) -> None:
    done = started("bench", TINY, TINY_INT8, "--quick", "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tiny_float32" in done.stdout
    assert "tiny_int8" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema_version"] == 1
    for case in report["cases"]:
        assert case["status"] in ("ok", "suspect")
        assert len(case["launches"]) == 5
        for name in ("latency", "init", "first_inference", "peak_rss", "size", "gzip_size"):
            assert case["metrics"][name]["point"] > 0, name
        latency = case["metrics"]["latency"]
        assert latency["ci_low"] <= latency["point"] <= latency["ci_high"]
        assert latency["n"] == 5
    assert store.read_report(only_run(tmp_path)) == store.read_report(tmp_path / "r.json")
    for written in (tmp_path / "r.json", *only_run(tmp_path).glob("*.json")):
        schema.check(written.read_bytes())


def test_json_on_standard_output_is_alone_there(tmp_path: Path) -> None:
    done = started("bench", TINY, "--launches", "1", "--quick", "--json", "-", cwd=tmp_path)
    assert json.loads(done.stdout)["cases"][0]["variant"] == "tiny_float32"


def test_init_makes_a_project_that_works_outside_the_checkout(tmp_path: Path) -> None:
    made = harness("init", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "mine/models/variants.yaml").exists()
    again = harness("init", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    listed = harness("bench", "no-such-variant", cwd=tmp_path / "mine")
    assert listed.returncode == 2
    assert "unknown variant" in listed.stderr


def test_one_of_several_signatures_and_an_open_batch_are_measured(tmp_path: Path) -> None:
    few = ("--launches", "1", "--iterations", "3", "--json", "r.json")
    two = MODELS / "two_signatures.tflite"
    for signature in ("encode", "decode"):
        done = harness("bench", two, "--signature", signature, *few, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        report = store.read_report(tmp_path / "r.json")
        assert report.artifacts[0].signature == signature
        assert len(report.cases[0].launches[0].latency_ns) == 3
    done = harness("bench", MODELS / "open_batch.tflite", *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "open-batch" in done.stdout


AWKWARD = ["a b.tflite", "it's;$(touch owned).tflite", 'q"uote.tflite', "grün-模型.tflite"]


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_file_name_just_works(tmp_path: Path, name: str) -> None:
    shutil.copy(TINY, tmp_path / name)
    done = harness("bench", name, "--launches", "1", "--iterations", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(name).stem in store.read_report(only_run(tmp_path)).cases[0].variant
    assert not (tmp_path / "owned").exists()


WRONG: dict[str, tuple[Sequence[str | Path], str]] = {
    "unknown variant": (["mobilenet-int9"], "did you mean 'mobilenet-int8'"),
    "unknown device": (["--device", "pixle"], "unknown device 'pixle'"),
    "no threads": (["--threads", "0"], "'0' is not a whole number of at least 1"),
    "negative launches": (["--launches", "-1"], "'-1' is not a whole number of at least 1"),
    "unknown option": (["--lunches", "3"], "--lunches"),
    "unknown runtime": (["x.tflite", "--runtime", "onnx"], "unknown runtime 'onnx'"),
    "runtime not installed": (
        ["x.tflite", "--runtime", "tflite-runtime"],
        "pip install 'mobile-bench-harness[tflite-runtime]'",
    ),
    "delegate on the host": (["x.tflite", "--delegate", "gpu"], "CPU only"),
    "missing file": (["gone.tflite"], "gone.tflite"),
    "missing keras file": (["gone.keras"], "there is no file gone.keras"),
    "empty file": (["empty.tflite"], "empty"),
    "text file": (["text.tflite"], "text.tflite"),
    "truncated file": (["cut.tflite"], "cut.tflite"),
    "directory": (["dir.tflite"], "dir.tflite"),
    "dynamic shape": ([MODELS / "dynamic.tflite"], "convert the model with a fixed shape"),
    "string input": ([MODELS / "strings.tflite"], "takes strings"),
    "several signatures": ([MODELS / "two_signatures.tflite"], "--signature NAME"),
    "unknown signature": ([TINY, "--signature", "encode"], "it has serving_default"),
    "unwritable output": (["x.tflite", "--out", "text.tflite/reports"], "cannot write"),
    "json into nowhere": (["x.tflite", "--json", "no/such/r.json"], "cannot write 'no/such"),
    "a device file without entries": (
        ["x.tflite", "--device", "all", "--project", "empty"],
        "devices.yaml has no entry; add one",
    ),
    "baseline of other cases": (
        ["x.tflite", "--baseline", SAVED],
        "the baseline has no case in common",
    ),
    "no such run": (["--resume", "2001"], "there is no run"),
    "resume with options": (["--resume", "2001", "--quick"], "plan of the saved run"),
    "resume with weights": (["--resume", "2001", "--weights", "random"], "plan of the saved run"),
    "resume with a seed": (["--resume", "2001", "--seed", "0"], "plan of the saved run"),
    "resume with a target": (["--resume", "2001", "--target-ci", "0.03"], "plan of the saved run"),
    "resume with a device": (["--resume", "2001", "--device", "host"], "plan of the saved run"),
    "bad share": (["--target-ci", "3"], "'3' is not a share"),
    "bad time": (["--time-budget", "soon"], "'soon' is not a time"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gets_one_line_exit_2_and_nothing_written(tmp_path: Path, name: str) -> None:
    args, says = WRONG[name]
    data = TINY.read_bytes()
    (tmp_path / "x.tflite").write_bytes(data)
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "text.tflite").write_text("this is no model\n" * 100)
    (tmp_path / "cut.tflite").write_bytes(data[: len(data) // 2])
    (tmp_path / "dir.tflite").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/devices.yaml").write_text("devices: {}")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    done = harness("bench", *args, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_a_launch_that_hangs_fails_its_case_with_status_3(tmp_path: Path) -> None:
    python = tmp_path / "hanging-python"
    # It tells its versions, as the harness asks before anything else; then it hangs.
    python.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *importlib.metadata*) exec {sys.executable} "$@";; esac\n'
        "sleep 60\n"
    )
    python.chmod(0o755)
    (tmp_path / "devices.yaml").write_text(
        "devices: {host: {kind: host, launch_timeout_s: 1, python: {litert: ./hanging-python}}}"
    )
    done = harness("bench", TINY, "--launches", "1", "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    (case,) = store.read_report(tmp_path / "r.json").cases
    assert case.status == "failed"
    assert case.failure is not None
    assert "after 1 s and was ended" in case.failure.message
    assert "launch_timeout_s" in case.failure.fix
    assert "failed" in done.stdout


def test_an_interpreter_without_the_runtime_is_told_before_measuring(tmp_path: Path) -> None:
    python = tmp_path / "bare-python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (tmp_path / "devices.yaml").write_text(
        "devices: {host: {kind: host, python: {litert: ./bare-python}}}"
    )
    done = harness("bench", TINY, cwd=tmp_path)
    assert done.returncode == 2
    assert f"runtime litert is not installed in {python};" in done.stderr


@pytest.mark.parametrize("written", ["./bare-python", "bin/../bare-python", "bare-python"])
def test_an_interpreter_is_looked_for_in_the_project_and_a_bare_name_on_the_path(
    tmp_path: Path, written: str
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "bin").mkdir(parents=True)
    elsewhere.mkdir()
    python = project / "bare-python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (project / "devices.yaml").write_text(
        f"devices: {{host: {{kind: host, python: {{litert: {written}}}}}}}"
    )
    done = harness("bench", TINY, "--project", project, cwd=elsewhere)
    assert done.returncode == 2
    where = written if written == "bare-python" else project / written
    assert f"runtime litert is not installed in {where};" in done.stderr


@pytest.mark.long
@pytest.mark.needs("unshare")
def test_a_disk_that_fills_up_loses_nothing_saved_and_resume_finishes(tmp_path: Path) -> None:
    # A disk of 64 KiB of its own, in a mount namespace that ends with the command.
    script = (
        "mkdir out && mount -t tmpfs -o size=64k none out && "
        '"$0" -m harness bench "$1" --launches 16 --iterations 1000 --out out; echo "status $?"; '
        "cp -r out/. kept"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, sys.executable, TINY],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "status 2" in done.stdout, done.stderr
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("error: ")]
    assert "No space left on device; what was measured before is kept; free some space" in line
    assert "Traceback" not in done.stderr
    (run,) = (tmp_path / "kept").glob("[0-9]*")
    saved = store.read_journal(run / store.JOURNAL).launches
    assert 0 < len(saved) < 16
    resumed = harness("bench", "--resume", run, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    launches = store.read_report(run).cases[0].launches
    assert launches[: len(saved)] == saved
    assert len(launches) == 16


def test_ctrl_c_writes_the_report_exits_130_and_resume_finishes(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "harness", "bench", TINY, TINY_INT8, "--launches", "6"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    journals: list[Path] = []
    while time.monotonic() < deadline:
        journals = list(tmp_path.glob("reports/*/journal.jsonl"))
        if journals and journals[0].read_bytes().count(b'"launch"') >= 2:
            break
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=600)
    assert running.returncode == 130, stderr
    run = only_run(tmp_path)
    early = store.read_report(run)
    assert early.stopped is not None
    assert early.stopped.reason == "interrupted"
    saved = [x for case in early.cases for x in case.launches]
    assert 2 <= len(saved) < 12

    done = harness("bench", "--resume", run.name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    late = [x for case in store.read_report(run).cases for x in case.launches]
    assert len(late) == 12
    assert all(x in late for x in saved)


def rewrite(journal: Path, old: str, new: str) -> None:
    text = journal.read_text()
    assert old in text
    journal.write_text(text.replace(old, new))


def test_a_run_does_not_go_on_with_another_device_or_runtime(tmp_path: Path) -> None:
    """As if the folder came from another machine, or the runtime had been upgraded since."""
    assert harness("bench", TINY, "--launches", "1", "--quick", cwd=tmp_path).returncode == 0
    run = only_run(tmp_path)
    header, journal = run / store.HEADER, run / store.JOURNAL
    rewrite(header, '"launches": 1,', '"launches": 2,')
    whole = journal.read_text()
    facts = store.read_journal(journal).devices["host"]
    version = facts.runtimes["litert"]
    for old, new, told in (
        (facts.identity, "Pixel 7", f"then Pixel 7; now {facts.identity}"),
        (f'"litert":"{version}"', '"litert":"1.0"', f"then litert 1.0; now litert {version}"),
    ):
        rewrite(journal, old, new)
        done = harness("bench", "--resume", run, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"error: host is not what the run began on: {told}; connect the same" in done.stderr
        assert len(store.read_journal(journal).launches) == 1, "nothing was launched"
        journal.write_text(whole)
    done = harness("bench", "--resume", run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(store.read_report(run).cases[0].launches) == 2


def test_a_run_goes_on_with_the_project_that_it_began_with(tmp_path: Path) -> None:
    project, here = tmp_path / "project", tmp_path / "here"
    for place, name in ((project, "mine"), (here, "host")):
        place.mkdir()
        (place / "devices.yaml").write_text(f"devices: {{{name}: {{kind: host}}}}")
    options = ("--launches", "1", "--quick", "--device", "mine", "--project", "../project")
    assert harness("bench", TINY, *options, cwd=here).returncode == 0
    run = only_run(here)
    assert harness("bench", "--resume", run, cwd=here).returncode == 0
    assert harness("bench", "--resume", run, cwd=tmp_path).returncode == 0

    project.rename(tmp_path / "moved")
    gone = harness("bench", "--resume", run, cwd=here)
    assert gone.returncode == 2
    assert f"the run read devices.yaml in {project}, which is gone" in gone.stderr
    moved = harness("bench", "--resume", run, "--project", "../moved", cwd=here)
    assert moved.returncode == 0, moved.stderr

    # A run of before that was remembered takes the current folder's, as it did then.
    header = json.loads((run / store.HEADER).read_text())
    del header["project"]
    (run / store.HEADER).write_text(json.dumps(header))
    old = harness("bench", "--resume", run, cwd=here)
    assert old.returncode == 2
    assert "unknown device 'mine'" in old.stderr


@pytest.mark.parametrize(
    ("a", "b", "threads", "count"),
    [
        (TINY, TINY, [1], "is 1"),
        (TINY, TINY, [1, 2], "are 2 of one variant"),
        (TINY, TINY_INT8, [1, 2], "are 4"),
    ],
)
def test_ab_counts_its_cases_before_it_builds_anything(
    tmp_path: Path, a: Path, b: Path, threads: list[int], count: str
) -> None:
    (tmp_path / "devices.yaml").write_text(f"devices: {{host: {{kind: host, threads: {threads}}}}}")
    done = harness("ab", a, b, cwd=tmp_path)
    assert done.returncode == 2
    assert f"ab compares exactly two cases, but there {count}: " in done.stderr
    assert not (tmp_path / "reports").exists()


def test_a_saved_run_is_rendered_again_from_what_was_saved(tmp_path: Path) -> None:
    first = started("bench", TINY, "--launches", "2", "--quick", cwd=tmp_path)
    again = started("report", "latest", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


def test_every_command_has_help_with_an_example() -> None:
    top = harness("--help", cwd=ROOT).stdout
    for name in ("bench", "build", "init", "report"):
        assert name in top
        page = harness(name, "--help", cwd=ROOT)
        assert page.returncode == 0
        assert f"example:\n  python -m harness {name}" in page.stdout
