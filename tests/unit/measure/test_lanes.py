from __future__ import annotations

import errno
import os
import random
import signal
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.core.attendant import Attendant
from harness.core.errors import OtherDeviceError
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec
from harness.core.types import (
    Artifact,
    Case,
    DeviceFacts,
    Failure,
    Finding,
    Launch,
    Plan,
    Report,
    Stopped,
)
from harness.measure import lanes
from harness.results import store
from harness.results.report import assemble
from tests.fakes import CRASH, Crash, FakeTarget, case, header

A, B = case("a"), case("b")
INPUTS = {"a": Path(), "b": Path()}


class Silent:
    """A listener that only remembers."""

    def __init__(self) -> None:
        self.saves: list[tuple[str, int]] = []

    def opened(self, facts: DeviceFacts) -> None: ...
    def launching(self, case: Case, index: int, left_s: float | None) -> None: ...
    def failed(self, what: str, failure: Failure) -> None: ...
    def attendant(self, device: str) -> Attendant:
        return Attendant()

    def saved(self, case: Case, launch: Launch) -> None:
        self.saves.append((case.id, launch.index))


def steady(case: Case, index: int) -> list[int]:
    return [1000 + index % 2] * 9


def run(
    tmp_path: Path, plan: Plan, fake: FakeTarget, devices: tuple[str, ...] = ("host",)
) -> tuple[Stopped, Report]:
    folder = store.create(tmp_path, header(plan))
    stopped = lanes.measure(
        folder, dict.fromkeys(devices, HostSpec()), INPUTS, Silent(), opener=fake.opener
    )
    folder.close()
    journal = store.read_journal(folder.path / store.JOURNAL)
    return stopped, assemble(folder.header, journal, stopped=stopped, finished_at=None)


def test_launches_are_interleaved_round_by_round(tmp_path: Path) -> None:
    fake = FakeTarget("host", steady)
    stopped, report = run(tmp_path, Plan(cases=(A, B), launches=6), fake)
    assert stopped.reason == "launches"
    rounds = [fake.launched[i : i + 2] for i in range(0, 12, 2)]
    assert all({c for c, _ in pair} == {A.id, B.id} for pair in rounds)
    assert [i for pair in rounds for _, i in pair] == [i for i in range(6) for _ in "ab"]
    orders = sorted(x.order for c in report.cases for x in c.launches)
    assert orders == list(range(12))
    assert [drift.launches for drift in report.drifts] == [12]
    assert all(c.noise and c.noise.launches == 6 for c in report.cases)


def test_it_goes_on_until_the_target_and_says_so(tmp_path: Path) -> None:
    rng = random.Random(1)

    def times(case: Case, index: int) -> list[int]:
        return [round(1e6 * rng.uniform(0.97, 1.03))] if case == A else [1_000_000]

    fake = FakeTarget("host", times)
    stopped, report = run(tmp_path, Plan(cases=(A, B), target_ci=0.01, time_budget_s=None), fake)
    assert stopped.reason == "target_ci"
    assert stopped.worst_half_width is not None
    assert stopped.worst_half_width <= 0.01
    wide, tight = (len(c.launches) for c in report.cases)
    assert wide > tight >= 7


def test_the_time_budget_stops_it_but_not_below_the_least(tmp_path: Path) -> None:
    rng = random.Random(2)
    fake = FakeTarget("host", lambda c, i: [rng.randrange(1000, 2000)])
    plan = Plan(cases=(A, B), min_launches=5, time_budget_s=1e-9)
    stopped, report = run(tmp_path, plan, fake)
    assert stopped.reason == "time_budget"
    assert [len(c.launches) for c in report.cases] == [5, 5]


def test_a_crash_fails_its_case_and_the_others_go_on(tmp_path: Path) -> None:
    def times(case: Case, index: int) -> list[int]:
        if case == A and index == 2:
            raise Crash
        return steady(case, index)

    fake = FakeTarget("host", times)
    _, report = run(tmp_path, Plan(cases=(A, B), launches=5), fake)
    a, b = report.cases
    assert (a.status, len(a.launches), a.failure) == ("failed", 2, CRASH)
    assert (b.status, len(b.launches)) == ("ok", 5)
    assert fake.closed == 1


def test_ctrl_c_keeps_what_was_saved_and_resume_goes_on_from_there(tmp_path: Path) -> None:
    fake = FakeTarget("host", steady)

    def times(case: Case, index: int) -> list[int]:
        if len(fake.launched) == 6:
            raise KeyboardInterrupt
        return steady(case, index)

    fake.times = times
    plan = Plan(cases=(A, B), launches=5)
    stopped, report = run(tmp_path, plan, fake)
    assert stopped.reason == "interrupted"
    assert sum(len(c.launches) for c in report.cases) == 5
    assert fake.closed == 1

    fake.times = steady
    first = fake.launched[:5]
    folder = store.reopen(tmp_path / report.run_id)
    listener = Silent()
    stopped = lanes.measure(folder, {"host": HostSpec()}, INPUTS, listener, opener=fake.opener)
    folder.close()
    assert stopped.reason == "launches"
    assert not set(first) & set(listener.saves)
    journal = store.read_journal(folder.path / store.JOURNAL)
    saved = [(x.case, x.index) for x in journal.launches]
    assert len(saved) == len(set(saved)) == 10
    assert sorted(x.order for x in journal.launches) == list(range(10))


@pytest.mark.parametrize(("transient", "launches"), [(True, 5), (False, 1)])
def test_resume_tries_a_transient_failure_again_and_no_other(
    tmp_path: Path, transient: bool, launches: int
) -> None:
    def times(case: Case, index: int) -> list[int]:
        if index == 1:
            raise Crash(transient=transient)
        return steady(case, index)

    fake = FakeTarget("host", times)
    _, report = run(tmp_path, Plan(cases=(A,), launches=5), fake)
    fake.times = steady
    folder = store.reopen(tmp_path / report.run_id)
    lanes.measure(folder, {"host": HostSpec()}, INPUTS, Silent(), opener=fake.opener)
    folder.close()
    journal = store.read_journal(folder.path / store.JOURNAL)
    assert len(journal.launches) == launches
    assert bool(journal.failures) is not transient, "it has not failed in the end"


def test_resume_makes_an_unusable_launch_again_and_keeps_it(tmp_path: Path) -> None:
    """Though all that was wanted has been measured, and the time budget is spent."""
    rng = random.Random(3)
    fake = FakeTarget("host", lambda c, i: [rng.randrange(1000, 2000)])
    plan = Plan(cases=(A, B), min_launches=5, time_budget_s=1e-9)
    _, report = run(tmp_path, plan, fake)
    folder = store.reopen(tmp_path / report.run_id)
    of_a = next(c for c in report.cases if c.case == A)
    hot = replace(of_a.launches[3], notes=(Finding(level="invalid", code="x", message="hot"),))
    folder.append(store.Entry(launch=hot))
    folder.close()

    fake.launched.clear()
    folder = store.reopen(tmp_path / report.run_id)
    stopped = lanes.measure(folder, {"host": HostSpec()}, INPUTS, Silent(), opener=fake.opener)
    folder.close()
    assert fake.launched == [(A.id, 3)]
    assert stopped.reason == "time_budget"
    launches = store.read_journal(folder.path / store.JOURNAL).launches
    assert len(launches) == 10
    (again,) = [x for x in launches if x.set_aside]
    assert (again.case, again.index, again.set_aside) == (A.id, 3, hot)
    assert [n.code for n in again.notes] == ["made-again"]
    assert again.order not in {x.order for x in launches if x is not again}


def test_devices_run_side_by_side_each_in_its_own_order(tmp_path: Path) -> None:
    plan = Plan(cases=(A, B, case("a", "phone"), case("b", "phone")), launches=5)
    fake = FakeTarget("any", steady)
    stopped, report = run(tmp_path, plan, fake, ("host", "phone"))
    assert stopped.reason == "launches"
    for device in ("host", "phone"):
        orders = [x.order for c in report.cases if c.device == device for x in c.launches]
        assert sorted(orders) == list(range(10))
    assert fake.closed == 2


def test_what_runs_on_this_machine_takes_turns_and_phones_do_not() -> None:
    host, arm = HostSpec(), ArmSpec()
    usb, emulated = AndroidSpec(), AndroidSpec(transport="emulated")
    assert lanes.lanes({"h": host}) == [["h"]]
    assert lanes.lanes({"a": usb, "b": usb}) == [["a"], ["b"]]
    assert lanes.lanes({"e": emulated, "f": emulated}) == [["e"], ["f"]]
    assert lanes.lanes({"e": emulated, "p": usb, "h": host, "m": arm}) == [["h", "m", "e"], ["p"]]


def test_ctrl_c_on_one_device_begins_no_other_in_its_lane(tmp_path: Path) -> None:
    fake = FakeTarget("any", steady)

    def times(case: Case, index: int) -> list[int]:
        raise KeyboardInterrupt

    fake.times = times
    plan = Plan(cases=(A, case("a", "second")), launches=5)
    stopped, report = run(tmp_path, plan, fake, ("host", "second"))
    assert stopped.reason == "interrupted"
    assert fake.launched == [(A.id, 0)]
    assert all(not c.launches for c in report.cases)


def test_ctrl_c_after_the_last_launch_of_several_devices_is_not_lost(tmp_path: Path) -> None:
    """A loop over `bench` could not be ended otherwise."""

    class First(FakeTarget):
        def close(self) -> None:
            first_closed.set()

    class Last(FakeTarget):
        def close(self) -> None:  # Ctrl-C while this device, the last one, is put back as it was
            assert first_closed.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
            assert attendants["last"].stopping.wait(60)

    def opener(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> FakeTarget:
        attendants[name] = attendant
        return (First if name == "first" else Last)(name, steady)

    first_closed, attendants = threading.Event(), dict[str, Attendant]()
    plan = Plan(cases=(case("a", "first"), case("a", "last")), launches=5)
    folder = store.create(tmp_path, header(plan))
    phones = {"first": AndroidSpec(), "last": AndroidSpec()}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopped = lanes.measure(folder, phones, INPUTS, Silent(), opener=opener)
    finally:
        signal.signal(signal.SIGINT, before)
        folder.close()
    assert stopped.reason == "interrupted"
    assert len(store.read_journal(folder.path / store.JOURNAL).launches) == 10


BEFORE = DeviceFacts(
    name="host",
    kind="android",
    identity="Pixel 7 / Android 14",
    runtimes={"litert": "2.3.0", "other": "1"},
    extra={
        "serial": "A1",
        "fingerprint": "google/1",
        "runner_sha256": "aa",
        "app_sha256": "bb",
        "affinity": "c0 f",
        "battery": "90 %",
    },
)


class Known(FakeTarget):
    """Says that it is what it is told to be."""

    facts_ = BEFORE

    def facts(self) -> DeviceFacts:
        return self.facts_


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"identity": "Pixel 8 / Android 14"}, "then Pixel 7 / Android 14; now Pixel 8 / Andr"),
        ({"extra": {"serial": "B2"}}, "then serial A1; now serial B2"),
        ({"extra": {"fingerprint": "google/2"}}, "then build google/1; now build google/2"),
        ({"extra": {"runner_sha256": "cc"}}, "then runner SHA-256 aa; now runner SHA-256 cc"),
        ({"extra": {"app_sha256": "cc"}}, "then app SHA-256 bb; now app SHA-256 cc"),
        ({"extra": {"affinity": "all"}}, "then cores c0 f; now cores all"),
        ({"runtimes": {"litert": "2.4.0"}}, "then litert 2.3.0; now litert 2.4.0"),
        ({"runtimes": {"litert": "2.3.0", "other": "2"}}, None),
        ({"extra": BEFORE.extra | {"battery": "80 %"}}, None),
        ({"extra": {}}, None),
    ],
)
def test_a_run_goes_on_with_the_same_device_only(
    tmp_path: Path, change: dict[str, object], told: str | None
) -> None:
    fake = Known("host", steady)
    plan = Plan(cases=(A, case("a", "second")), launches=2)
    devices = {"host": HostSpec(), "second": HostSpec()}
    folder = store.create(tmp_path, header(plan))
    folder.append(store.Entry(device=BEFORE))
    folder.append(store.Entry(launch=fake.launch(A, folder.header.artifacts[0], plan.timing, 0)))
    folder.close()
    fake.launched.clear()

    fake.facts_ = replace(BEFORE, **change)
    again = store.reopen(folder.path)
    with nullcontext() if told is None else pytest.raises(OtherDeviceError, match=told):
        lanes.measure(again, devices, INPUTS, Silent(), opener=fake.opener)
    again.close()
    assert fake.closed == (2 if told is None else 1), "the second device need not be begun"
    journal = store.read_journal(folder.path / store.JOURNAL)
    assert not journal.failures, "once the right device is there, the run can go on"
    assert len(journal.launches) == (4 if told is None else 1)


def test_a_device_that_nothing_was_launched_on_may_be_another(tmp_path: Path) -> None:
    folder = store.create(tmp_path, header(Plan(cases=(A,), launches=2)))
    folder.append(store.Entry(device=replace(BEFORE, identity="another")))
    folder.close()
    again = store.reopen(folder.path)
    lanes.measure(again, {"host": HostSpec()}, INPUTS, Silent(), opener=Known("h", steady).opener)
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_full_disk_ends_the_device_and_the_report_tells_of_it(tmp_path: Path) -> None:
    import resource

    fake = FakeTarget("host", steady)
    plan = Plan(cases=(A, B), launches=200)
    folder = store.create(tmp_path, header(plan))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        stopped = lanes.measure(folder, {"host": HostSpec()}, INPUTS, Silent(), opener=fake.opener)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder.close()
    assert stopped.reason == "failed"
    assert fake.closed == 1
    seen = folder.read()
    assert 0 < len(seen.launches) < 400
    assert seen.failures.keys() == {A.id, B.id}
    assert all("cannot save in" in f.message and f.transient for f in seen.failures.values())
    saved = store.read_journal(folder.path / store.JOURNAL)
    assert saved.launches == seen.launches
    assert saved.failures == {}, "--resume makes the launches that are missing"


def test_a_question_about_all_cases_ends_when_one_of_them_fails(tmp_path: Path) -> None:
    """Launching the other until the time is up would not answer it."""

    def times(case: Case, index: int) -> list[int]:
        if case == B:
            raise Crash
        return steady(case, index)

    for enough, launches in ((lambda launches: False, 1), (None, 200)):
        fake = FakeTarget("host", times)
        folder = store.create(tmp_path / str(launches), header(Plan(cases=(A, B), launches=200)))
        stopped = lanes.measure(
            folder, {"host": HostSpec()}, INPUTS, Silent(), opener=fake.opener, enough=enough
        )
        folder.close()
        assert len(folder.read().launches) == launches
        assert stopped.reason == ("failed" if enough else "launches")


def test_a_disk_that_is_full_where_logs_are_written_is_not_a_bug(tmp_path: Path) -> None:
    class Logging(FakeTarget):
        def prepare(self, artifact: Artifact, inputs: Path) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "host.log")

    folder = store.create(tmp_path, header(Plan(cases=(A,), launches=2)))
    fake = Logging("host", steady)
    lanes.measure(folder, {"host": HostSpec()}, INPUTS, Silent(), opener=fake.opener)
    folder.close()
    failure = folder.read().failures[A.id]
    assert (failure.stage, failure.transient) == ("saving", True)
    assert failure.message == "cannot write: [Errno 28] No space left on device: 'host.log'"
    assert "free some space, then python -m harness bench --resume" in failure.fix
    saved = store.read_journal(folder.path / store.JOURNAL)
    assert saved.failures == {}, "--resume makes the launches that are missing"


def test_a_device_that_cannot_be_opened_fails_its_cases_only(tmp_path: Path) -> None:
    fake = FakeTarget("any", steady)

    def opener(name: str, spec: HostSpec, log_dir: Path, attendant: Attendant) -> FakeTarget:
        if name == "phone":
            raise Crash
        return fake

    plan = Plan(cases=(A, case("a", "phone")), launches=5)
    folder = store.create(tmp_path, header(plan))
    devices = {"host": HostSpec(), "phone": HostSpec()}
    lanes.measure(folder, devices, INPUTS, Silent(), opener=opener)  # type: ignore[arg-type]
    folder.close()
    journal = store.read_journal(folder.path / store.JOURNAL)
    assert list(journal.failures) == [case("a", "phone").id]
    assert len(journal.launches) == 5
