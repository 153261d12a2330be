"""`bench --lab` with emulated phones at the hosts of a lab, as a user meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.core.specs import AndroidSpec, RunnerSpec
from harness.emulator.daemon import Daemon
from harness.engine.lab import offers
from tests import command_line
from tests.labs import Lab, lab
from tests.paths import ROOT
from tests.phone_bench import SHORT, TINY, Bench, Run, assert_clean
from tests.phones import adb_home, command, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = [pytest.mark.usefixtures("adb_home"), pytest.mark.long]

SLOW = 'sleep 1; exec "$REAL" "$@"'


def spec(phone: Daemon) -> AndroidSpec:
    return AndroidSpec(
        transport="adb_tcp",
        address=phone.address,
        runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
        connect_timeout_s=60,
        reconnect_timeout_s=60,
    )


def join(made: Lab, host: str, **phones: Daemon) -> Any:
    """A host that offers these phones, by the names it has for them."""
    devices = {name: spec(phone) for name, phone in phones.items()}
    return made.join(
        host,
        offers.phones(devices, (), ()),
        look=lambda known, busy: offers.phones(devices, known, busy),
    )


class LabRun(Run):
    """A bench at a lab, under way in `folder`."""

    def __init__(self, folder: Path, made: Lab, *arguments: str | Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        words = ["bench", "--lab", str(made.address), *map(str, arguments)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", *words],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "COLUMNS": "150",
                "MOBILE_BENCH_CACHE": str(folder / "cache"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = self.stderr = ""

    def finish(self, timeout: float = 900) -> int:
        return super().finish(timeout)

    def until(self, holds: Callable[[], object], timeout: float = 600) -> None:
        super().until(holds, timeout)


class LabBench(Bench):
    """A bench at a lab from its beginning to its end, in this process, where Dask is imported."""

    def __init__(self, folder: Path, made: Lab, *arguments: str | Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        words = ("bench", "--lab", str(made.address), *arguments)
        done = run_harness(folder, *words)
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[tuple[Lab, Daemon, Daemon]]:
    """Two hosts with a phone each."""
    with (
        lab() as made,
        emulated(fixed_latency_us=1000) as a,
        emulated("old", fixed_latency_us=1000) as b,
    ):
        join(made, "bench1", pixel=a)
        join(made, "bench2", nexus=b)
        yield made, a, b


def told_on_the_page(command: str) -> list[str]:
    """What the how-to's recorded session prints after a command, without what differs."""
    page = (ROOT / "docs/how-to/lab.md").read_text("utf-8")
    _, _, after = page.partition(f"    $ python -m harness {command}")
    told, _, _ = after.partition("    [exit status")
    return without_numbers(told.splitlines()[1:])


def without_numbers(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+", "#", line.strip().replace(", TensorFlow", "")) for line in lines]


def test_the_how_tos_session_is_what_is_printed(tmp_path: Path) -> None:
    with lab() as made, emulated(fixed_latency_us=1000) as a, emulated("old") as b:
        join(made, "bench1", flagship=a, cheap=b)
        status = command_line.run("lab", "status", str(made.address), cwd=tmp_path)
        run = LabRun(tmp_path, made, TINY, *SHORT, "--device", "all")
        assert run.finish() == 0, run.stderr
    shown = without_numbers(status.stdout.splitlines())
    assert shown == told_on_the_page("lab status tcp://127.0.0.1:8786")
    printed = without_numbers((run.stderr + run.stdout).splitlines())
    told = told_on_the_page("bench tiny_float32.tflite")
    for words in ("measured at", "(emulated): Google", "launch # of #", "benchmark_model on the"):
        of_page, of_run = ({line for line in lines if words in line} for lines in (told, printed))
        assert of_page - {line for line in of_page if "left" in line} <= of_run, words
        assert of_page, words


def test_every_phone_of_the_lab_is_measured(
    two_hosts: tuple[Lab, Daemon, Daemon], tmp_path: Path
) -> None:
    made, *phones = two_hosts
    run = LabBench(tmp_path / "all", made, TINY, *SHORT, "--device", "all")
    assert run.status == 0, run.stderr
    report = run.report
    assert [c.device for c in report.cases] == ["pixel", "nexus"]
    assert [len(c.launches) for c in report.cases] == [2, 2]
    assert {c.device: c.failure for c in report.cases} == {"pixel": None, "nexus": None}
    for c in report.cases:
        assert c.metrics["latency"].point is not None, c.device
        timed = [launch.latency_summary for launch in c.launches]
        assert [summary and summary.count for summary in timed] == [3, 3], c.device
    identities = {d.name: d.extra["serial"] for d in report.devices}
    assert identities == {"pixel": "EMULATED0001", "nexus": "EMULATED0002"}
    assert [(d.name, d.host) for d in report.lab] == [("pixel", "bench1"), ("nexus", "bench2")]
    assert "pixel: measured at bench1" in run.stderr
    for phone in phones:
        assert_clean(phone)


def test_what_is_not_there_is_told_with_what_is(
    two_hosts: tuple[Lab, Daemon, Daemon], tmp_path: Path
) -> None:
    made, *_ = two_hosts
    run = LabBench(tmp_path / "x", made, TINY, "--device", "any:galaxy")
    assert run.status == 2
    said = "the lab has no phone of model galaxy; it has pixel (Google Pixel 7"
    assert said in run.stderr
    assert not (tmp_path / "x/reports").exists()


def begun_on(phone: Daemon, made: Lab, folder: Path, *, launches: int) -> LabRun:
    """A slow run on `pixel`, which is `phone`, of which one launch is saved."""
    command(phone, "benchmark_model", SLOW)
    run = LabRun(folder, made, TINY, "--launches", str(launches), "--device", "pixel")
    run.until(lambda: run.launches_saved() >= 1)
    return run


def test_ctrl_c_puts_the_phone_back_and_the_run_goes_on_later(
    two_hosts: tuple[Lab, Daemon, Daemon], tmp_path: Path
) -> None:
    made, phone, _ = two_hosts
    begun = begun_on(phone, made, tmp_path / "r", launches=4)
    begun.process.send_signal(2)
    assert begun.finish() == 130
    assert_clean(phone)
    done = len(begun.report.cases[0].launches)
    assert 1 <= done < 4
    (saved,) = (tmp_path / "r/reports").glob("[0-9]*")
    again = LabBench(tmp_path / "r", made, "--resume", saved)
    assert again.status == 0, again.stderr
    launches = again.report.cases[0].launches
    assert [x.index for x in launches] == [0, 1, 2, 3]
    assert len({x.started_at for x in launches}) == 4
    assert_clean(phone)


def test_a_client_that_is_killed_leaves_no_phone_behind(
    two_hosts: tuple[Lab, Daemon, Daemon], tmp_path: Path
) -> None:
    made, phone, _ = two_hosts
    begun = begun_on(phone, made, tmp_path / "r", launches=4)
    begun.process.kill()
    begun.process.communicate()
    deadline(lambda: list(phone.phone.work.iterdir()) == [])
    assert_clean(phone)
    (saved,) = (tmp_path / "r/reports").glob("[0-9]*")
    again = LabRun(tmp_path / "r", made, "--resume", saved)
    assert again.finish() == 0, again.stderr
    assert [x.index for x in again.report.cases[0].launches] == [0, 1, 2, 3]


def deadline(holds: Callable[[], object]) -> None:
    from tests.phones import wait_for

    wait_for(holds, 600)


def test_a_second_client_is_told_who_has_the_phone(
    two_hosts: tuple[Lab, Daemon, Daemon], tmp_path: Path
) -> None:
    made, phone, _ = two_hosts
    first = begun_on(phone, made, tmp_path / "a", launches=3)
    go = phone.phone.root / "state/go"
    waits = 'while [ ! -e "$EMULATED_ROOT/state/go" ]; do sleep 0.1; done; exec "$REAL" "$@"'
    command(phone, "benchmark_model", waits)
    second = LabBench(tmp_path / "b", made, TINY, "--device", "pixel")
    assert second.status == 3
    go.touch()
    (run_id,) = [p.name for p in (tmp_path / "a/reports").glob("[0-9]*")]
    assert f"the phone is in use by run {run_id} of " in second.stderr
    third = LabBench(tmp_path / "c", made, TINY, *SHORT, "--device", "pixel", "--wait", "10m")
    assert third.status == 0, third.stderr
    assert first.finish() == 0
    starts = [x.started_at for r in (first, third) for x in r.report.cases[0].launches]
    assert starts == sorted(starts)


def test_a_worker_that_is_gone_comes_back_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    with lab() as made, emulated(fixed_latency_us=1000) as phone:
        command(phone, "benchmark_model", SLOW)
        host = join(made, "bench1", pixel=phone)
        run = LabRun(tmp_path / "r", made, TINY, "--launches", "4", "--device", "pixel")
        run.until(lambda: run.launches_saved() >= 1)
        made.do(host.close())
        join(made, "bench2", pixel=phone)  # another host has the phone now
        assert run.finish() == 0, run.stderr
        launches = run.report.cases[0].launches
        assert [x.index for x in launches] == [0, 1, 2, 3]
        assert len({x.started_at for x in launches}) == 4
        assert "pixel: measured at bench2" in run.stderr
        assert_clean(phone)
