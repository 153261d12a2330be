"""What the client makes of what hosts of a lab tell: saved once, in order, and asked for again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.core.lab import ARM64, Doing, HostOffer, LabDevice, PhoneOffer, phone_resource
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec
from harness.core.types import Case, DeviceFacts, Failure, Launch, Plan
from harness.engine import Later, Place
from harness.engine.lab.hosts import free_of
from harness.measure import away, away_run
from harness.measure.away_run import AwayRun
from harness.results import store
from harness.results.store import Entry, RunFolder
from tests.fakes import case, header
from tests.unit.measure.test_lanes import Silent

A, B = case("a", "dev"), case("b", "dev")
FACTS = DeviceFacts(name="dev", kind="arm64-emulated", identity="core")
LOST = Failure(stage="lab", transient=True, message="the host was lost")
RESOURCE = phone_resource("S")
PHONE = PhoneOffer(
    resource=RESOURCE,
    name="pixel",
    state="ready",
    spec=AndroidSpec(transport="adb_tcp", address="10.0.0.7:5555"),
    serial="S",
)


def host(name: str, **more: object) -> HostOffer:
    known = {"name": name, "address": name, "processors": 2, "harness": "0", "system": "Linux"}
    return HostOffer(**(known | more))  # type: ignore[arg-type]


def launch(of: Case, index: int, order: int = 0) -> Launch:
    at = f"2026-01-01T00:00:0{index}+00:00"
    return Launch(case=of.id, index=index, order=order, started_at=at, wall_ns=1, latency_ns=(5,))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = store.create(tmp_path / "reports", header(Plan(cases=(A, B), launches=2)))
    yield made
    made.close()


def runs(folder: RunFolder, spec: DeviceSpec, **device: object) -> tuple[list[AwayRun], Silent]:
    inputs = {}
    for name in ("a", "b"):
        inputs[name] = folder.path / name
        inputs[name].write_bytes(name.encode())
    listener = Silent()
    at_lab = LabDevice(name="dev", asked="dev", **device)  # type: ignore[arg-type]
    return away_run.runs(folder, at_lab, spec, inputs, listener), listener


def told(run: AwayRun, *entries: Entry) -> None:
    for entry in entries:
        run.hear(msgspec.json.encode(away.Message(entry=entry)))


def answer(number: int, reason: str = "launches") -> bytes:
    return msgspec.json.encode(away.Answer(reason=reason, told=number))  # type: ignore[arg-type]


def place(run: AwayRun, *hosts: HostOffer) -> Place | Later:
    return run.place(hosts, {h.address: free_of(h, {}) for h in hosts})


def using(resource: str, run: str) -> Doing:
    return Doing(key="k", name="n", run=run, who="anna@desk", since="s", uses={resource: 1})


def saved(folder: RunFolder) -> list[tuple[str, int, int]]:
    return [(x.case, x.index, x.order) for x in folder.read().launches]


def test_counting_is_spread_over_the_hosts_that_have_the_core(folder: RunFolder) -> None:
    (a, b), _ = runs(folder, ArmSpec(), spread=True)
    without, small, large = host("x"), host("y", arm64=True), host("z", arm64=True, processors=8)
    found = place(a, without, small, large)
    assert isinstance(found, Place)
    assert (found.host.name, found.uses) == ("z", {ARM64: 1})
    assert isinstance(place(b, without), Later)
    order = msgspec.json.decode(a.job(found).arguments, type=away.Order)
    assert order.header.plan.cases == (A,)
    assert [artifact.variant for artifact in order.header.artifacts] == ["a"]
    told(b, Entry(device=FACTS), Entry(launch=launch(B, 0)))
    told(a, Entry(device=FACTS), Entry(launch=launch(A, 0)))
    assert saved(folder) == [(B.id, 0, 0), (A.id, 0, 1)]  # one order for both


def test_more_variants_than_cores_wait_for_one_another(folder: RunFolder) -> None:
    (a, b), _ = runs(folder, ArmSpec(), spread=True)
    own, others = using(ARM64, folder.header.run_id), using(ARM64, "another")
    for doing in (own, others):
        later = place(a, host("y", arm64=True, processors=1, doing=(doing,)), host("x"))
        assert later == Later(
            "no host of the lab has a free emulated core", "go on with --resume", math.inf
        )
    nowhere = place(b, host("x"))
    assert isinstance(nowhere, Later) and nowhere.within_s < math.inf


def test_hosts_that_count_with_different_software_are_refused(folder: RunFolder) -> None:
    (a, b), _ = runs(folder, ArmSpec(), spread=True)
    told(a, Entry(device=FACTS))
    other = msgspec.structs.replace(FACTS, identity="another core")
    assert b.hear(msgspec.json.encode(away.Message(entry=Entry(device=other)))) is False
    assert b.ended(answer(1)) == "refused"
    assert "another core" in str(b.refusal)


def test_a_host_that_is_timed_has_its_processors_alone(folder: RunFolder) -> None:
    (run,), _ = runs(folder, HostSpec(at="y", python={"litert": "/x"}), host="y")
    busy = host("y", doing=(using("processor", "r"),))
    later = place(run, host("x"), busy)
    assert isinstance(later, Later)
    assert later.why == "y has no free processor"
    found = place(run, host("x"), host("y"))
    assert isinstance(found, Place)
    assert (found.host.name, found.uses) == ("y", {"processor": 2})
    order = msgspec.json.decode(run.job(found).arguments, type=away.Order)
    assert order.spec == HostSpec()  # the other machine's paths are not ours


def test_a_launch_is_saved_once_however_often_it_arrives(folder: RunFolder) -> None:
    (run,), listener = runs(folder, AndroidSpec(), resource=RESOURCE)
    told(run, Entry(launch=launch(A, 0)), Entry(launch=launch(A, 0)), Entry(launch=launch(A, 1)))
    assert [at[:2] for at in saved(folder)] == [(A.id, 0), (A.id, 1)]
    assert listener.saves == [(A.id, 0), (A.id, 1)]


def test_what_did_not_arrive_is_asked_for_again(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    there = Place(host("x", phones=(PHONE,)), {RESOURCE: 1})
    run.job(there)
    told(run, Entry(launch=launch(A, 0)))
    assert run.ended(answer(2)) is None
    order = msgspec.json.decode(run.job(there).arguments, type=away.Order)
    assert [(x.case, x.index) for x in order.saved.launches] == [(A.id, 0)]
    told(run, Entry(launch=launch(A, 1)))
    assert run.ended(answer(1)) == "done"
    assert run.reason == "launches"


def test_a_run_whose_launches_never_arrive_has_failed(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    there = Place(host("x", phones=(PHONE,)), {RESOURCE: 1})
    told(run, Entry(launch=launch(A, 0)))
    endings = []
    for _ in range(away_run.TRIES):
        run.job(there)
        endings.append(run.ended(answer(2)))
    assert endings == [None] * (away_run.TRIES - 1) + ["done"]
    assert run.reason == "failed"
    assert {f.message for f in folder.read().failures.values()} == {
        "some of what the host measured did not arrive"
    }


def test_a_phone_is_reached_as_its_host_reaches_it(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(any="pixel-7", threads=(4,)), resource=RESOURCE)
    job = run.job(Place(host("x", phones=(PHONE,)), {RESOURCE: 1}))
    spec = msgspec.json.decode(job.arguments, type=away.Order).spec
    assert isinstance(spec, AndroidSpec)
    assert (spec.transport, spec.address, spec.threads) == ("adb_tcp", "10.0.0.7:5555", (4,))


def test_a_phone_that_was_lost_is_waited_for_and_one_that_never_was_is_not(
    folder: RunFolder,
) -> None:
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    never = place(run, host("x"))
    assert isinstance(never, Later) and never.within_s == 0
    assert run.lost(LOST) is None
    once = place(run, host("x"))
    assert isinstance(once, Later) and once.within_s >= 60
    assert run.give_up(once, stopped=False) == "done"
    assert run.reason == "failed"
    assert {f.transient for f in folder.read().failures.values()} == {True}


def test_a_phone_in_use_says_by_whom(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(wait_s=600), resource=RESOURCE)
    later = place(run, host("x", phones=(PHONE,), doing=(using(RESOURCE, "r7"),)))
    assert isinstance(later, Later)
    assert later.why == "the phone is in use by run r7 of anna@desk"
    assert later.within_s == 600


def test_a_phone_that_a_run_has_just_given_back_is_waited_for(folder: RunFolder) -> None:
    """What a host has told may be older than the end of that run."""
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    another = place(run, host("x", phones=(PHONE,), doing=(using(RESOURCE, "r7"),)))
    assert isinstance(another, Later) and 5 <= another.within_s <= 20
    # The run that is resumed ends by itself, however long a phone takes to be put back.
    itself = using(RESOURCE, folder.header.run_id)
    own = place(run, host("x", phones=(PHONE,), doing=(itself,)))
    assert isinstance(own, Later) and own.within_s >= 60


def test_a_host_that_is_lost_again_and_again_is_given_up(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    there = Place(host("x", phones=(PHONE,)), {RESOURCE: 1})
    endings = []
    for _ in range(away_run.TRIES):
        run.job(there)
        endings.append(run.lost(LOST))
    assert endings == [None] * (away_run.TRIES - 1) + ["done"]


def test_what_is_stopped_is_interrupted(folder: RunFolder) -> None:
    (run,), _ = runs(folder, AndroidSpec(), resource=RESOURCE)
    run.stop()
    assert run.lost(LOST) == "interrupted"
    assert run.reason == "interrupted"
