"""Google's benchmark app beside the shell, on an emulated phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from tests.phone_bench import TINY, Bench, assert_clean, bench, entry
from tests.phones import emulated

pytestmark = pytest.mark.slow


def beside(folder: Path, phone: Daemon, *arguments: str) -> Bench:
    """A bench with the tool `benchmark_app`."""
    apk = folder / "benchmark.apk"
    apk.write_bytes(b"PK an app")
    runner = {
        "tool": "benchmark_app",
        "device_path": "/system/bin/benchmark_model",
        "app": str(apk),
    }
    given = ("--iterations", "3", *(arguments or ("--launches", "2")))
    return bench(folder, {"phone": entry(phone, runner=runner)}, TINY, *given)


def apps(phone: Daemon) -> list[Path]:
    return list((phone.phone.root / "data").glob("app/*/base.apk"))


def test_both_are_measured_by_turns_and_the_app_is_removed(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=3000) as phone:
        # Of a run that was killed, the app is removed with its folder.
        for left in ("data/app/org.tensorflow.lite.benchmark/base.apk",
                     "data/local/tmp/mobile-bench-0123456789ab/app"):  # fmt: skip
            (phone.phone.root / left).parent.mkdir(parents=True)
            (phone.phone.root / left).touch()
        run = beside(tmp_path, phone, "--launches", "5")
        assert run.status == 0, run.stderr
        assert_clean(phone)
        assert apps(phone) == []
    shell, app = sorted(run.report.cases, key=lambda c: c.runtime == "benchmark_app")
    ratio = app.metrics["app_over_shell"]
    assert ratio.estimate is not None
    assert ratio.ci_low is not None
    assert ratio.ci_high is not None
    assert ratio.point is not None
    assert ratio.ci_low <= ratio.point <= ratio.ci_high
    assert "app_over_shell" not in shell.metrics
    assert [x.index for x in app.launches] == [x.index for x in shell.launches] == [0, 1, 2, 3, 4]
    orders = sorted((x.order, c.runtime) for c in (shell, app) for x in c.launches)
    assert {runtime for _, runtime in orders[:2]} == {"benchmark_model", "benchmark_app"}
    assert "peak_rss" not in app.metrics or app.metrics["peak_rss"].point is None
    assert "app / shell" in run.stdout


def test_an_app_that_was_there_stays(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=3000) as phone:
        there = phone.phone.root / "data/app/org.tensorflow.lite.benchmark/base.apk"
        there.parent.mkdir(parents=True)
        there.write_bytes(b"PK an app")
        run = beside(tmp_path, phone)
        assert run.status == 0, run.stderr
        assert apps(phone) == [there]
        there.write_bytes(b"PK another build")
        other = tmp_path / "other"
        other.mkdir()
        assert "another build of the benchmark app" in beside(other, phone).stderr
        assert apps(phone) == [there]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("crash", "the benchmark app crashed: Fatal signal 11"),
        ("log_cleared", "the phone's log was cleared"),
        ("refused", "INSTALL_FAILED_USER_RESTRICTED"),
    ],
)
def test_what_goes_wrong_with_it_is_told_and_nothing_stays(
    tmp_path: Path, fault: str, says: str
) -> None:
    with emulated(faults=Faults(app=fault), fixed_latency_us=3000) as phone:  # type: ignore[arg-type]
        run = beside(tmp_path, phone)
        assert says in run.stderr
        assert_clean(phone)
        assert apps(phone) == []
    if fault != "refused":  # then the shell is measured all the same
        assert run.status == 3
        (shell,) = [c for c in run.report.cases if c.runtime == "benchmark_model"]
        assert len(shell.launches) == 2
