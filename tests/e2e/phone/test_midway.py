"""What goes wrong in the midst of a run, and Ctrl-C at every stage of it: what is finished stays in
the report, and the phone is as it was. Through the command line, over a real socket."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import load_profile
from tests.phone_bench import (
    OTHER,
    RUNNER,
    SHORT,
    TINY,
    Run,
    assert_clean,
    bench,
    documented,
    dumpsys_after,
    entry,
    hanging,
)
from tests.phones import adb_home, command, emulated, wait_for

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

SEVERAL = ("--launches", "5", "--iterations", "3")

# --- faults ----------------------------------------------------------------------------------


def test_a_disk_that_fills_up_during_the_push(tmp_path: Path) -> None:
    """`df` promised more."""
    big = tmp_path / "big"
    big.write_bytes(RUNNER.read_bytes() + bytes(3_000_000))
    with emulated(storage_kb=1000) as phone:
        command(phone, "df", "echo Filesystem; echo /data 9 9 99000 9% /data")
        run = bench(tmp_path, {"phone": entry(phone, runner={"path": str(big)})})
        assert run.status == 3, run.stderr
        assert documented("disk fills up").fullmatch(run.said("failed (push)"))
        assert_clean(phone)


def test_a_battery_that_runs_down(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        dumpsys_after(phone, 3, "sed 's/level: 83/level: 5/'")
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *SEVERAL)
        assert run.status == 3, run.stderr
        assert documented("battery low").fullmatch(run.said("failed (guard)"))
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.status == "failed"
    assert len(case.launches) == 2


def test_a_crash_at_the_third_launch(tmp_path: Path) -> None:
    """Two launches are kept, and the other case goes on."""
    name = hashlib.sha256(TINY.read_bytes()).hexdigest()[:16]
    with emulated(fixed_latency_us=1000) as phone:
        third = (  # each of these rounds also has a launch for memory
            f'count=$EMULATED_ROOT/state/count; case "$*" in *{name}*) echo >> $count; '
            '[ "$(wc -l < $count)" -ne 5 ] || kill -ABRT $$;; esac; "$REAL" "$@"'
        )
        command(phone, "benchmark_model", third)
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, OTHER, *SEVERAL)
        assert run.status == 3, run.stderr
        assert "crashed (status 134" in run.said("failed (launch)")
        assert_clean(phone)
    cases = {c.variant: c for c in run.report.cases}
    crashed, other = (next(c for v, c in cases.items() if p.stem in v) for p in (TINY, OTHER))
    assert (crashed.status, len(crashed.launches)) == ("failed", 2)
    assert (other.failure, len(other.launches)) == (None, 5)


def test_unplugged_and_plugged_in_again_between_launches(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=50_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone)}, TINY, *SEVERAL)
        run.until(lambda: run.launches_saved() >= 1)
        phone.unplug(for_s=0.5)
        assert run.finish() == 0, run.stderr
        assert_clean(phone)
    assert [x.index for x in run.report.cases[0].launches] == [0, 1, 2, 3, 4]


def test_a_phone_that_breaks_during_recovery_is_waited_for_again(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=50_000) as phone:
        run = Run(tmp_path, {"phone": entry(phone, reconnect_timeout_s=60)}, TINY, *SEVERAL)
        run.until(lambda: run.launches_saved() >= 1)
        command(phone, "getprop", 'touch $EMULATED_ROOT/reached; sleep 1; "$REAL" "$@"')
        phone.unplug(for_s=0.3)
        run.until((phone.phone.root / "reached").exists)
        phone.unplug(for_s=0.3)
        assert run.finish() == 0, run.stderr
        assert_clean(phone)
    assert len(run.report.cases[0].launches) == 5


@pytest.mark.parametrize("again", [True, False], ids=["plugged in again", "for good"])
def test_unplugged_during_the_memory_launch(tmp_path: Path, again: bool) -> None:
    """The launch that was finished before it stays, whatever happens."""
    faults = Faults(unplug_during="memory.err", unplugged_for_s=0.5 if again else None)
    with emulated(faults=faults, fixed_latency_us=50_000) as phone:
        run = bench(tmp_path, {"phone": entry(phone, reconnect_timeout_s=2)})
        assert run.status == (0 if again else 3), run.stderr
        if again:
            assert_clean(phone)
    first, *others = run.report.cases[0].launches
    assert len(others) == (1 if again else 0)
    assert (first.peak_rss_bytes is not None) == again
    assert again or first.absent["peak_rss_bytes"]


# --- Ctrl-C ----------------------------------------------------------------------------------

Reached = Callable[[], object]


def held_at(phone: Daemon, flag: str) -> Reached:
    """The runner does not go on where it is given this flag."""
    where = f'case "$*" in *{flag}*) touch $EMULATED_ROOT/reached; exec sleep 60;; esac'
    command(phone, "benchmark_model", f'{where}; "$REAL" "$@"')
    return (phone.phone.root / "reached").exists


def away(phone: Daemon) -> Reached:
    """The phone went away during a launch and is waited for; it comes back in a while."""
    hangs = held_at(phone, "--num_runs")
    unplugged: list[float] = []

    def holds() -> bool:
        if not unplugged and hangs() and hanging(phone)():
            phone.unplug(for_s=4)
            unplugged.append(time.monotonic())
        return bool(unplugged) and time.monotonic() > unplugged[0] + 1

    return holds


# Stage -> (options, what holds the run there, how many launches are finished).
STAGES: dict[str, tuple[list[str], Callable[[Daemon], Reached], int]] = {
    "memory": ([*SHORT], lambda p: held_at(p, "--min_secs=0.5"), 1),
    "profile": (["--profile", *SHORT], lambda p: held_at(p, "--enable_op_profiling=true"), 1),
    "parity": (["--parity", *SHORT], lambda p: held_at(p, "--output_filepath"), 1),
    "sustained": (["--sustained", "1m"], lambda p: held_at(p, "--num_runs"), 0),
    "waiting for the phone": ([*SHORT], away, 0),
}


def interrupt(run: Run, *, report: bool = True) -> None:
    """Ctrl-C ends it within seconds, in one line."""
    run.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert run.finish() == 130, run.stderr
    assert time.monotonic() - began < 200  # a launch may last 300
    line = run.said("interrupted")
    if report:
        assert line.startswith("interrupted; continue with: python -m harness bench --resume ")
        assert run.report.stopped is not None
        assert run.report.stopped.reason == "interrupted"


@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c(tmp_path: Path, stage: str) -> None:
    options, hold, finished = STAGES[stage]
    with emulated(fixed_latency_us=1000) as phone:
        reached = hold(phone)
        run = Run(tmp_path, {"phone": entry(phone, reconnect_timeout_s=60)}, TINY, *options)
        run.until(reached)
        interrupt(run)
        assert_clean(phone)
    assert [len(case.launches) for case in run.report.cases] == [finished]


def test_ctrl_c_while_the_phone_asks_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def confirm(_: bytes) -> bool:
        asked.set()
        return answer.wait(60)

    with emulated() as phone:
        monkeypatch.setattr(phone.phone, "confirm", confirm)
        run = Run(tmp_path, {"phone": entry(phone, connect_timeout_s=60)}, TINY, *SHORT)
        run.until(asked.is_set)
        interrupt(run, report=(tmp_path / "reports").exists())
        answer.set()
        assert_clean(phone)


@contextlib.contextmanager
def slow_site() -> Iterator[tuple[str, threading.Event]]:
    """An address whose file never comes to its end, and whether somebody asked for it."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    sock.recv(4096)
                    sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin")
                    asked.set()
                    sock.recv(4096)  # until the client goes away

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/benchmark_model", asked


def test_ctrl_c_during_the_download_of_the_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path / "cache"))
    props: dict[str, Any] = {
        **load_profile("pixel").props,
        "ro.product.cpu.abi": "arm64-v8a",
        "ro.product.cpu.abilist": "arm64-v8a",
    }
    with emulated(props=props) as phone, slow_site() as (url, asked):
        run = Run(tmp_path, {"phone": entry(phone, runner={"url": url})}, TINY, *SHORT)
        run.until(asked.is_set)
        interrupt(run)
        wait_for(lambda: not list(phone.phone.work.iterdir()))
        assert_clean(phone)
    assert not list((tmp_path / "cache").rglob("benchmark_model"))
