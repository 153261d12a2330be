"""One run at a time on a phone, and nothing left on it by a run that was killed."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from harness.core.attendant import Attendant
from harness.core.errors import TransientDeviceError
from harness.devices.android import lease
from harness.devices.android.lease import Holder, Lease
from harness.devices.transports import ShellResult
from harness.emulator.userland import VARIABLE
from tests.phone_bench import TINY, Run, assert_clean, bench, entry, hanging
from tests.phones import USERLANDS, Listening, adb_home, command, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

SLOW = 'sleep 1; exec "$REAL" "$@"'


def holder(phone: Path) -> Holder:
    return msgspec.json.decode((phone / lease.NAME / "owner").read_bytes(), type=Holder)


def of(folder: Path, *, said: list[str] | None = None, lasts_s: float = 60) -> Lease:
    """A lease on a phone whose shell is this machine's."""

    def shell(text: str) -> ShellResult:
        done = subprocess.run(["sh", "-c", text], capture_output=True, check=False)
        return ShellResult(done.returncode, done.stdout, done.stderr)

    attendant = Attendant() if said is None else Listening(said)
    work_dir = str(folder)
    return Lease(shell, attendant, work_dir=work_dir, work="w", run="r", lasts_s=lasts_s)


@pytest.mark.parametrize("userland", USERLANDS)
def test_a_second_run_is_told_who_has_the_phone(
    tmp_path: Path, userland: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, userland)
    with emulated(fixed_latency_us=1000) as phone:
        command(phone, "benchmark_model", SLOW)
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        first = Run(tmp_path / "first", {"phone": entry(phone)}, TINY, "--launches", "3")
        first.until(hanging(phone))
        (run_id,) = [path.name for path in (tmp_path / "first/reports").glob("[0-9]*")]
        second = bench(tmp_path / "second", {"phone": entry(phone)})
        assert second.status == 3
        assert f"the phone is in use by run {run_id} on " in second.said("failed (busy)")
        assert "--wait" in second.said("failed (busy)")
        assert phone.phone.fixed_performance, "the second must not touch the first one's settings"
        assert first.finish() == 0
        assert_clean(phone)


def test_a_second_run_waits_if_it_may(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        command(phone, "benchmark_model", SLOW)
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        first = Run(tmp_path / "first", {"phone": entry(phone)}, TINY, "--launches", "2")
        first.until(hanging(phone))
        waiting = (TINY, "--launches", "2", "--wait", "100s")
        second = bench(tmp_path / "second", {"phone": entry(phone)}, *waiting)
        assert second.status == 0, second.stderr
        assert first.finish() == 0
        assert_clean(phone)
    done = first.report.cases[0].launches, second.report.cases[0].launches
    assert max(x.started_at for x in done[0]) < min(x.started_at for x in done[1])


def test_two_entries_of_one_phone_are_not_measured_at_once(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        command(phone, "benchmark_model", SLOW)
        run = bench(tmp_path, {"cable": entry(phone), "wifi": entry(phone)})
        assert run.status == 3
        assert "another entry of this run is the same phone" in run.said("failed (busy)")
        assert_clean(phone)
    statuses = sorted(case.status for case in run.report.cases)
    assert statuses.count("failed") == 1


@pytest.mark.parametrize("userland", USERLANDS)
def test_what_a_killed_run_left_is_taken_over_and_removed(
    tmp_path: Path, userland: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, userland)
    with emulated(fixed_latency_us=1000) as phone:
        command(phone, "benchmark_model", SLOW)
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        first = Run(tmp_path / "first", {"phone": entry(phone)}, TINY, "--launches", "3")
        first.until(hanging(phone))
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.communicate()
        left = [path.name for path in phone.phone.work.iterdir()]
        assert lease.NAME in left and len(left) == 2
        second = bench(tmp_path / "second", {"phone": entry(phone)})
        assert second.status == 0, second.stderr
        assert "has ended without releasing it" in second.said("took the phone over from run")
        assert "removed 1 folder that earlier runs had left" in second.said("removed")
        assert_clean(phone)


def test_only_one_of_many_has_the_lease(tmp_path: Path) -> None:
    had: list[int] = []

    def take(number: int) -> None:
        try:
            of(tmp_path).take(0)
        except TransientDeviceError:
            return
        had.append(number)

    threads = [threading.Thread(target=take, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(had) == 1


def test_only_one_of_many_takes_a_stale_lease_over(tmp_path: Path) -> None:
    of(tmp_path, lasts_s=-5).take(0)  # has ended before it began
    stale = holder(tmp_path)
    had: list[Holder | None] = []

    def take() -> None:
        try:
            had.append(of(tmp_path).take(0))
        except TransientDeviceError:
            return

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [h and h.token for h in had] == [stale.token]
    assert sorted(path.name for path in (tmp_path / lease.NAME).iterdir()) == ["owner"]


def test_a_holder_that_died_on_this_computer_is_gone_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.e2e.phone.test_lease import of\n"
    code += "of(Path(sys.argv[1]), lasts_s=9999).take(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    former = of(tmp_path).take(0)
    assert former is not None and former.pid != os.getpid()


def test_a_lease_of_another_computer_is_kept_until_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "node", lambda: "lab 2; %s \\ 'x'")
        of(tmp_path, lasts_s=3).take(0)
    assert holder(tmp_path).host == "lab 2; %s \\ 'x'"
    with pytest.raises(TransientDeviceError, match="in use by run r on lab 2"):
        of(tmp_path).take(0)
    said: list[str] = []
    former = of(tmp_path, said=said).take(60)
    assert former is not None and former.host.startswith("lab 2")
    assert any("waiting" in text for text in said)


def test_a_lease_that_nobody_can_read_ends_too(tmp_path: Path) -> None:
    folder = tmp_path / lease.NAME
    folder.mkdir()
    with pytest.raises(TransientDeviceError):
        of(tmp_path).take(0)
    old = time.time() - lease.UNREADABLE_S - 5
    os.utime(folder, (old, old))
    assert of(tmp_path).take(0) is None


def test_a_token_that_is_a_command_is_not_run(tmp_path: Path) -> None:
    of(tmp_path, lasts_s=-5).take(0)
    owner = tmp_path / lease.NAME / "owner"
    owner.write_text(owner.read_text().replace(holder(tmp_path).token, f"x; touch {tmp_path}/ran"))
    with pytest.raises(TransientDeviceError):
        of(tmp_path).take(0)
    assert not (tmp_path / "ran").exists()


def test_a_lease_is_given_back_by_its_holder_only(tmp_path: Path) -> None:
    mine, other = of(tmp_path), of(tmp_path)
    mine.take(0)
    assert subprocess.run(["sh", "-c", other.undo], check=False).returncode == 0
    assert (tmp_path / lease.NAME).is_dir()
    assert subprocess.run(["sh", "-c", mine.undo], check=False).returncode == 0
    assert not (tmp_path / lease.NAME).exists()


def test_a_lease_that_was_lost_is_an_error(tmp_path: Path) -> None:
    mine = of(tmp_path, lasts_s=-5)
    mine.take(0)
    of(tmp_path).take(0)
    with pytest.raises(TransientDeviceError):
        mine.renew(at_once=True)
