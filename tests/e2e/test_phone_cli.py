"""The fault table as a user meets it: whatever goes wrong with a phone, `bench` says it in one line
with the mend, exits with the right status, keeps every finished launch, and leaves the phone as it
was. The harness is a process of its own, the phone is behind a real socket."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pandas
import pytest
import yaml

from harness import store
from harness.core.types import Report
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import load_profile
from harness.renderers._charts import charts_of
from tests import schema
from tests.phones import adb_home, adb_server, command, emulated, packed_runner, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/how-to/phone.md"
MODELS = ROOT / "tests/data/models"
TINY, OTHER = MODELS / "tiny_float32.tflite", MODELS / "tiny_int8.tflite"
RUNNER = packed_runner()
SHORT = ("--launches", "2", "--iterations", "3")
CONNECT_S = 6


def entry(phone: Daemon | str, **changes: Any) -> dict[str, Any]:
    """What devices.yaml says of a phone; nothing waits long."""
    return {
        "kind": "android",
        "transport": "adb_tcp",
        "address": phone if isinstance(phone, str) else phone.address,
        "runner": {"device_path": "/system/bin/benchmark_model"},
        "connect_timeout_s": CONNECT_S,
        "reconnect_timeout_s": 3,
        "launch_timeout_s": 300,
    } | changes


class Run:
    """A bench under way in `folder`."""

    def __init__(self, folder: Path, entries: dict[str, Any], *arguments: str | Path) -> None:
        self.folder = folder
        (folder / "devices.yaml").write_text(yaml.safe_dump({"devices": entries}))
        names = ",".join(entries)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", "bench", "--device", names, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = self.stderr = ""

    def finish(self, timeout: float = 120) -> int:
        """Wait; the exit status."""
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        assert "Traceback" not in self.stderr, self.stderr
        return self.process.returncode

    def until(self, holds: Callable[[], object], timeout: float = 60) -> None:
        """Wait for something that the run does."""
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end, "it never came to that"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def launches_saved(self) -> int:
        journals = list(self.folder.glob("reports/*/journal.jsonl"))
        return journals[0].read_bytes().count(b'"launch"') if journals else 0

    @property
    def report(self) -> Report:
        (run,) = (self.folder / "reports").iterdir()
        schema.check((run / store.REPORT).read_bytes())
        return store.read_report(run)

    def said(self, words: str) -> str:
        """The one line with these words."""
        (line,) = [x for x in self.stderr.splitlines() if words in x]
        return line


def bench(folder: Path, entries: dict[str, Any], *arguments: str | Path) -> Run:
    run = Run(folder, entries, *(arguments or (TINY, *SHORT)))
    run.finish()
    return run


def assert_clean(phone: Daemon) -> None:
    assert list(phone.phone.work.iterdir()) == []
    assert phone.phone.fixed_performance is False
    end = time.monotonic() + 5
    while phone.phone.processes():
        assert time.monotonic() < end, "a process was left running"
        time.sleep(0.05)


# --- it works --------------------------------------------------------------------------------


def test_the_emulated_device_of_the_shipped_file(tmp_path: Path) -> None:
    done = run_harness(
        tmp_path, "bench", TINY, OTHER, "--device", "emulated", "--quick",
        "--json", "r.json", "--budget", "latency_p95<=10s",
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
        assert case["metrics"]["peak_rss"]["point"] > 1e6
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
    assert run.process.returncode == 0, run.stderr
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
    assert {c.title for c in charts_of(run.report) if "emulated" in c.title} == {
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
        assert run.process.returncode == 0, run.stderr
        assert {c.device: c.status for c in run.report.cases}.keys() == {"host", "phone"}
        assert all(len(c.launches) == 2 for c in run.report.cases)
        assert_clean(phone)


def test_profile_and_parity(tmp_path: Path) -> None:
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, OTHER, *SHORT, "--profile", "--parity")
        assert run.process.returncode == 0, run.stderr
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
        assert run.process.returncode == 0, run.stderr
        (case,) = run.report.cases
        assert run.report.devices[0].runtimes["benchmark_model"].endswith("B")
    codes = {f.code for f in case.findings}
    assert {"no-op-profile", "not-compared-with-host"} <= codes
    assert "parity_difference" not in case.metrics


def test_sustained_tells_the_course_of_heat(tmp_path: Path) -> None:
    """The phone becomes hot, after 5.4 s and so in the second 6: no fault here, but looked for."""
    with emulated(faults=Faults(throttle_at_minute=0.09), fixed_latency_us=2000) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--sustained", "12s")
        assert run.process.returncode == 0, run.stderr
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
        assert run.process.returncode == 0, run.stderr
        (launch,) = run.report.cases[0].launches
    assert launch.latency_summary is not None
    assert launch.latency_summary.count == 4
    assert launch.wall_ns > 3 * 0.5e9


def test_delegates_are_a_sweep_and_a_build_without_gpu_fails_its_case_only(tmp_path: Path) -> None:
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *SHORT, "--delegate", "cpu,gpu")
        assert run.process.returncode == 3
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
    out = ("--html", "r.html", "--markdown", "r.md", "--csv", "r.csv")
    with emulated(faults=Faults(accelerator=share), dialect=dialect) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *SHORT, "--delegate", "cpu,gpu", *out)
        assert run.process.returncode == status, run.stderr
        cpu, gpu = run.report.cases
        assert_clean(phone)
    on_cpu = [x.counters for x in cpu.launches]
    assert on_cpu == [{"delegated_nodes": 5, "total_nodes": 5}] * 2, "XNNPACK's, which are true"
    if status:
        assert gpu.status == "failed"
        assert gpu.failure is not None
        assert told in gpu.failure.message
        assert gpu.failure.mend
        assert told in run.said("failed (")
        return
    nodes = 5 if share == "all" else 3
    assert [x.counters for x in gpu.launches] == [{"delegated_nodes": nodes, "total_nodes": 5}] * 2
    found = [f.message for f in gpu.findings if "delegat" in f.code]
    assert found == ([told] if share == "part" else [])
    for name in ("r.html", "r.md") if share == "part" else ():
        assert "took 3 of 5 nodes" in (tmp_path / name).read_text(), name


REFUSED = {
    "sustained and launches": (["--sustained", "10m", "--launches", "3"], "decides by itself"),
    "cadence too slow": (["--cadence", "60s", "--iterations", "50"], "longer than a launch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(tmp_path: Path, name: str) -> None:
    arguments, words = REFUSED[name]
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *arguments)
    assert run.process.returncode == 2
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
        "error: unknown delegate 'gpuu'; did you mean 'gpu' or 'npu' or 'cpu'?",
    ),
}


@pytest.mark.parametrize("name", DOWNLOADED)
def test_what_the_downloaded_runner_cannot_do_is_refused_without_a_phone(
    tmp_path: Path, name: str
) -> None:
    arguments, words = DOWNLOADED[name]
    run = bench(tmp_path, {"phone": entry("127.0.0.1:1", runner={})}, TINY, *arguments)
    assert run.process.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(words)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("option", [["--sustained", "1m"], ["--cadence", "1s"], ["--profile"],
                                    ["--parity"]])  # fmt: skip
def test_the_host_refuses_what_only_phones_do(tmp_path: Path, option: list[str]) -> None:
    run = bench(tmp_path, {"host": {"kind": "host"}}, TINY, *option)
    assert run.process.returncode == 2
    assert run.stderr.startswith(f"error: device host cannot do {option[0]}; ")


# --- the table -------------------------------------------------------------------------------

# Fault -> (faults of the phone, changes of its entry, exit status, what the line says).
TABLE: dict[str, tuple[Faults, dict[str, Any], str]] = {
    "unauthorised": (
        Faults(refused_key=True),
        {"connect_timeout_s": 2},
        "did not allow this computer",
    ),
    "disk full": (Faults(full_disk=True), {"runner": {"path": str(RUNNER)}}, "MB free"),
    "work folder not writable": (Faults(read_only=True), {}, "Permission denied"),
    "wrong hash": (Faults(wrong_hash=True), {}, "arrived damaged"),
    "runner crashes": (Faults(runner="crash"), {}, "crashed (status 134"),
    "runner hangs": (Faults(runner="hang"), {"launch_timeout_s": 3}, "did not end within 3 s"),
    "runner prints garbage": (Faults(runner="garbage"), {}, "no usable result"),
    "runner prints half a line": (Faults(runner="half_line"), {}, "no usable result"),
    "runner without end": (Faults(runner="endless"), {}, "printed more than"),
    "unknown flag": (Faults(runner="unknown_flag"), {}, "does not know --num_threads=1"),
    "model rejected": (Faults(runner="rejects_model"), {}, "Didn't find op for builtin opcode"),
    "battery low": (Faults(battery_percent=5), {}, "battery is at 5 %"),
}


def documented(what: str) -> re.Pattern[str]:
    """The line that docs/how-to/phone.md promises, with `...` for what differs."""
    rows = re.findall(r"^\| (.+?) \| (`+) ?(.+?) ?\2 \|", DOCS.read_text(), flags=re.MULTILINE)
    (line,) = [line for name, _, line in rows if name == what]
    return re.compile(".+".join(map(re.escape, line.split("..."))))


@pytest.mark.parametrize("name", TABLE)
def test_a_fault_is_one_line_with_the_mend(tmp_path: Path, name: str) -> None:
    faults, changes, words = TABLE[name]
    with emulated(faults=faults) as phone:
        run = bench(tmp_path, {"phone": entry(phone, **changes)})
        assert run.process.returncode == 3, run.stderr
        line = run.said("failed (")
        assert words in line
        assert "; " in line, "the mend is missing"
        assert documented(name).fullmatch(line)
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "failed"
    assert case.failure is not None
    assert words in case.failure.message
    assert case.failure.mend


def test_a_runner_for_another_abi(tmp_path: Path) -> None:
    foreign = tmp_path / "benchmark_model"
    foreign.write_bytes(b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x02\0\xb7\0" + bytes(200))
    with emulated() as phone:
        run = bench(tmp_path, {"phone": entry(phone, runner={"path": str(foreign)})})
        assert run.process.returncode == 3
        assert "not executable on this phone (status 126" in run.said("failed (")
        assert documented("wrong ABI").fullmatch(run.said("failed ("))
        assert_clean(phone)


def test_no_device_is_told_before_anything_is_built(tmp_path: Path) -> None:
    run = bench(tmp_path, {"phone": entry("127.0.0.1:1")})
    assert run.process.returncode == 3
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("error: phone: no phone answers at 127.0.0.1:1")
    assert documented("nobody at the address").fullmatch(line)
    assert not (tmp_path / "reports").exists()


@pytest.mark.needs("adb")
def test_two_devices_and_no_serial(tmp_path: Path, adb_home: Path) -> None:
    with emulated() as one, emulated() as two, adb_server(adb_home) as server:
        server.connect(one.address)
        server.connect(two.address)
        spec = entry(one, transport="adb_server", adb_server=f"127.0.0.1:{server.port}")
        del spec["address"]
        run = bench(tmp_path, {"phone": spec})
    assert run.process.returncode == 2
    (line,) = run.stderr.strip().splitlines()
    assert "2 phones are connected" in line
    assert documented("two phones, no serial").fullmatch(line)


def test_hot_for_good_from_the_start_is_invalid(tmp_path: Path) -> None:
    with emulated(faults=Faults(hot=3)) as phone:
        run = bench(tmp_path, {"phone": entry(phone, guards={"cooldown_s": 1})})
        assert run.process.returncode == 3, run.stderr
        assert documented("hot at the start").fullmatch(run.said("invalid (heat)"))
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "invalid"
    assert case.failure is not None
    assert case.failure.mend
    assert case.launches == ()


def test_hot_for_good_from_the_middle_keeps_the_hot_launch(tmp_path: Path) -> None:
    """The second launch makes it hot for good: it cannot be repeated, and is labelled."""
    with emulated(fixed_latency_us=1000) as phone:
        heat = 'case "$*" in *--num_runs*) echo >> $EMULATED_ROOT/state/count;; esac; "$REAL" "$@"'
        command(phone, "benchmark_model", heat)
        command(
            phone,
            "dumpsys",
            '"$REAL" "$@" | if [ "$(wc -l 2>/dev/null < $EMULATED_ROOT/state/count)" -ge 4 ]; '
            "then sed 's/Thermal Status: 0/Thermal Status: 3/'; else cat; fi",
        )
        spec = entry(phone, guards={"cooldown_s": 1})
        run = bench(tmp_path, {"phone": spec}, TINY, "--launches", "9", "--iterations", "3")
        assert run.process.returncode == 3, run.stderr
        assert documented("hot at the start").fullmatch(run.said("invalid (heat)"))
        assert documented("hot for good").fullmatch(run.said("is kept"))
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "invalid"
    *cool, hot = case.launches
    assert cool
    assert not any(launch.notes for launch in cool)
    assert [(n.level, n.code) for n in hot.notes] == [("invalid", "throttled")]
    assert "could not be repeated" in hot.notes[0].message
    assert hot.latency_summary


def test_an_old_phone_that_warms_up_is_noticed(tmp_path: Path) -> None:
    """Android 9 tells no thermal status; the rounds time the same work again and again."""
    props = {**load_profile("pixel").props, "ro.build.version.sdk": "28"}
    with emulated(fixed_latency_us=10_000, props=props) as phone:
        slower = (
            'us=$EMULATED_ROOT/state/fixed_latency_us; case "$*" in *--num_runs*) '
            'echo $(( $(cat $us) * 12 / 10 )) > $us;; esac; "$REAL" "$@"'
        )
        command(phone, "benchmark_model", slower)
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "7", "--iterations", "3")
        assert run.process.returncode == 0, run.stderr
        assert_clean(phone)
    (case,) = run.report.cases
    found = {f.code: f for f in case.findings}
    assert "drift" in found["no-thermal-status"].message
    assert found["drift"].message.startswith("latency rose by")


def test_hot_in_the_middle_twice_is_invalid(tmp_path: Path) -> None:
    with emulated(faults=Faults(hot_launches=100, hot_for_s=1.5)) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "1", "--iterations", "3")
        assert run.process.returncode == 3, run.stderr
        (case,) = run.report.cases
        assert_clean(phone)
    assert case.status == "invalid"
    assert len(case.launches) == 1
    (finding,) = [f for f in case.findings if f.level == "invalid"]
    assert "throttled twice" in finding.message
    assert finding.mend


def test_a_slow_link_only_takes_longer(tmp_path: Path) -> None:
    with emulated(faults=Faults(slow_link=200_000)) as phone:
        run = bench(tmp_path, {"phone": entry(phone)})
        assert run.process.returncode == 0, run.stderr
        assert_clean(phone)


# --- the cable -------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [True, False], ids=["plugged in again", "for good"])
@pytest.mark.parametrize("when", ["push", "launch"])
def test_unplugged(tmp_path: Path, when: str, again: bool) -> None:
    faults = Faults(
        unplug_after_bytes=12_000 if when == "push" else None,
        unplug_during="--num_runs" if when == "launch" else None,
        unplugged_for_s=0.5 if again else None,
    )
    with emulated(faults=faults, fixed_latency_us=400_000) as phone:
        run = bench(tmp_path, {"phone": entry(phone, runner={"path": str(RUNNER)})})
        if again:
            assert run.process.returncode == 0, run.stderr
            assert documented("unplugged").fullmatch(run.said("waiting for the phone"))
            assert_clean(phone)
        else:
            assert run.process.returncode == 3, run.stderr
            assert "; " in run.said("phone failed (")
            assert run.said("could not be undone")
    assert [len(c.launches) for c in run.report.cases] == [2 if again else 0]


def test_unplugged_between_launches_keeps_the_finished_ones(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=100_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "20", "--iterations", "3")
        run.until(lambda: run.launches_saved() >= 2)
        phone.unplug()
        assert run.finish() == 3
    (case,) = run.report.cases
    assert case.failure is not None
    assert len(case.launches) >= 2


# --- Ctrl-C ----------------------------------------------------------------------------------


def hanging(phone: Daemon) -> Callable[[], bool]:
    return lambda: any(phone.phone.work.glob("*/pid")) and bool(phone.phone.processes())


def pushing(phone: Daemon) -> Callable[[], bool]:
    return lambda: any(phone.phone.work.glob("*/*.part"))


def cooling(phone: Daemon) -> Callable[[], bool]:
    """The model is there and no runner was started: it only asks for the temperature."""
    began: list[float] = []

    def holds() -> bool:
        if any(phone.phone.work.glob("*/*.tflite")):
            began.append(time.monotonic())
        return bool(began) and time.monotonic() > began[0] + 1

    return holds


STAGES: dict[str, tuple[Faults, dict[str, Any], Callable[[Daemon], Callable[[], bool]]]] = {
    "push": (Faults(slow_link=10_000), {"runner": {"path": str(RUNNER)}}, pushing),
    "launch": (Faults(runner="hang"), {}, hanging),
    "cooling": (Faults(hot=3), {}, cooling),
}


@pytest.mark.parametrize("phones", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c(tmp_path: Path, stage: str, phones: int) -> None:
    """It ends within seconds, though a launch may last 300, and cleans up on every phone."""
    faults, changes, reached = STAGES[stage]
    with contextlib.ExitStack() as stack:
        all_phones = [stack.enter_context(emulated(faults=faults)) for _ in range(phones)]
        entries = {f"phone{n}": entry(p, **changes) for n, p in enumerate(all_phones)}
        run = Run(tmp_path, entries, TINY, *SHORT)
        for phone in all_phones:
            run.until(reached(phone))
        run.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert run.finish() == 130, run.stderr
        assert time.monotonic() - began < 30
        for phone in all_phones:
            assert_clean(phone)
    assert run.report.stopped is not None
    assert run.report.stopped.reason == "interrupted"
    assert "--resume" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
@pytest.mark.parametrize("phones", [1, 2])
def test_an_impatient_user(tmp_path: Path, phones: int, number: signal.Signals) -> None:
    """Signals go on coming while the phones are put back, which takes a moment."""
    with contextlib.ExitStack() as stack:
        all_phones = [
            stack.enter_context(emulated(faults=Faults(runner="hang"))) for _ in range(phones)
        ]
        for phone in all_phones:
            command(phone, "cmd", '[ $3 = true ] || sleep 1; "$REAL" "$@"')
        run = Run(tmp_path, {f"p{n}": entry(p) for n, p in enumerate(all_phones)}, TINY, *SHORT)
        for phone in all_phones:
            run.until(hanging(phone))
        while any(p.phone.fixed_performance or list(p.phone.work.iterdir()) for p in all_phones):
            run.process.send_signal(number)
            time.sleep(0.1)
        assert run.finish() == 130, run.stderr
        for phone in all_phones:
            assert_clean(phone)
    assert run.report.stopped is not None, "it is saved all the same"


def test_ctrl_c_keeps_what_was_measured_and_resume_goes_on(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=100_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, "--launches", "6", "--iterations", "3")
        run.until(lambda: run.launches_saved() >= 2)
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 130
        assert_clean(phone)
        saved = run.report.cases[0].launches
        assert 2 <= len(saved) < 6
        done = subprocess.run(
            [sys.executable, "-m", "harness", "bench", "--resume", "latest"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert_clean(phone)
    launches = run.report.cases[0].launches
    assert len(launches) == 6
    assert launches[: len(saved)] == saved


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
    run = bench(tmp_path, {**entries, "absent": entry("127.0.0.1:1")}, TINY, OTHER, *SHORT)
    assert run.process.returncode == 3
    for phone in phones:
        assert_clean(phone)
    by_device: dict[str, list[int]] = {}
    for case in run.report.cases:
        by_device.setdefault(case.device, []).append(len(case.launches))
    assert by_device == {"good": [2, 2], "bad": [0, 0], "also": [2, 2], "absent": [0, 0]}
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
        assert run.process.returncode == 0, run.stderr
        assert not list(phone.phone.root.rglob("owned"))
        assert_clean(phone)
    assert not list(tmp_path.rglob("owned"))
    assert len(run.report.cases) == len(NAMES)
    assert "\nline" not in run.stdout.replace("\n\n", "")
