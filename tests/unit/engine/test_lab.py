"""Who may join a lab, and what it knows of its hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from harness.commands.lab import lines
from harness.core.base import Failure
from harness.core.errors import UsageError
from harness.core.lab import (
    BUILD,
    PROCESSOR,
    Doing,
    HostOffer,
    PhoneOffer,
    is_model,
    model_key,
    phone_resource,
)
from harness.core.specs import AndroidSpec
from harness.engine import Ending, Job, Later, Place, dask
from harness.engine.lab import hosts, keys, protocol, worker
from harness.engine.lab.address import Address, parse
from harness.engine.lab.child import Desk
from harness.engine.lab.depot import Depot
from harness.system import files
from tests.labs import lab
from tests.phones import wait_for


def phone(name: str, serial: str, **more: object) -> PhoneOffer:
    return PhoneOffer(
        resource=phone_resource(serial),
        name=name,
        state="ready",
        spec=AndroidSpec(serial=serial),
        serial=serial,
        **more,  # type: ignore[arg-type]
    )


PIXEL = phone("pixel", "1A, 2B=3 C", model="Pixel 7", abi="arm64-v8a", battery_percent=80)


def test_a_lab_knows_its_hosts_and_their_phones_come_and_go() -> None:
    there = [PIXEL]
    with lab() as made:
        host = made.join("bench1", (PIXEL,), look=lambda known, busy: tuple(there))
        made.join("bench0", cores=3)
        with dask_engine(made.address) as engine:
            wait_for(lambda: [h.name for h in engine.where()] == ["bench0", "bench1"])
            bench0, bench1 = engine.where()
            assert (bench0.processors, bench0.phones) == (3, ())
            assert bench1.phones == (PIXEL,)
            assert hosts.free_of(bench1, {})[PIXEL.resource] == 1
            other = phone("galaxy", "other")
            there[:] = [other]
            made.do(host._offer((other,)))
            wait_for(lambda: engine.where()[1].phones == (other,))
            known = engine._lab.client.scheduler_info()["workers"][bench1.address]["resources"]
            assert (known[PIXEL.resource], known[other.resource]) == (0, 1)


class dask_engine:
    """An engine that is closed at the end."""

    def __init__(self, address: Address) -> None:
        self.engine = dask.connect(address)

    def __enter__(self) -> dask.DaskEngine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.close()


class Echo:
    """Work that is told one event and its answer."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.answers: list[bytes] = []

    def place(self, hosts: Sequence[HostOffer], free: object) -> Place | Later:
        return Place(hosts[0], {PROCESSOR: 1}) if hosts else Later("no host", "", 60)

    def job(self, place: Place) -> Job:
        return Job("echo", "run", "tests.unit.engine.test_lab:echo", b'"said"', {})

    def hear(self, event: bytes) -> bool:
        self.heard.append(event)
        return True

    def ended(self, answer: bytes) -> Ending | None:
        self.answers.append(answer)
        return "done"

    def lost(self, failure: Failure) -> Ending | None:
        return None

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        raise AssertionError(why)

    def waiting(self, why: Later, left_s: float) -> None:
        """It may take a moment."""

    def stop(self) -> None:
        """Nobody does."""


def echo(arguments: bytes, desk: Desk) -> bytes:
    desk.say(arguments)
    return arguments


def test_events_arrive_from_a_lab_that_was_started_again(tmp_path: Path) -> None:
    """Dask's client connects again by itself, but then it hears no events."""
    with lab() as made:
        made.join("bench1", cache=tmp_path)
        with dask_engine(made.address) as engine:
            wait_for(engine.where)
            client = engine._lab.client
            first = client.scheduler_info()["id"]
            made.kill()
            made.start()
            made.join("bench2", cache=tmp_path)
            wait_for(lambda: client.status == "running" and client.scheduler_info()["id"] != first)
            work = Echo()
            engine.submit(work, "lane")
            engine.gather()
    assert work.heard == [b'"said"']
    assert work.answers == [b'"said"']


def test_a_name_is_given_once() -> None:
    with lab() as made:
        made.join("bench1")
        with pytest.raises(UsageError, match=r"has a host named bench1 already.*--name"):
            made.join("bench1")


def test_a_worker_of_another_version_does_not_join(monkeypatch: pytest.MonkeyPatch) -> None:
    other = protocol.Versions(protocol=99, harness="9.9", distributed="1")
    with lab() as made:
        monkeypatch.setattr(protocol, "own_versions", lambda: other)
        with pytest.raises(UsageError, match=r"refuses this host: the lab at .* runs harness 0"):
            made.join("bench1")
        with pytest.raises(UsageError, match=r"and this is 9\.9; pip install"):
            made.do(worker.check_versions(made.address))


def test_a_certificate_of_another_authority_does_not_let_in(tmp_path: Path) -> None:
    keys.make(tmp_path / "ours", ["lab", "bench1"])
    keys.make(tmp_path / "theirs", ["bench1"])
    with lab(tmp_path / "ours/lab") as made:
        right = parse(str(made.address), tmp_path / "ours/bench1")
        wrong = parse(str(made.address), tmp_path / "theirs/bench1")
        made.join("bench1", address=right)
        with pytest.raises(UsageError, match="does not accept the certificate"):
            dask.connect(wrong)
        with pytest.raises((OSError, asyncio.TimeoutError)):
            made.do(worker.check_versions(wrong))
        with dask_engine(right) as engine:
            wait_for(lambda: [h.name for h in engine.where()] == ["bench1"])
        assert str(made.workers["bench1"].address).startswith("tls://")


def test_where_no_lab_answers_that_is_told() -> None:
    with pytest.raises(UsageError, match=r"no lab answers at tcp://127\.0\.0\.1:9; start it"):
        dask.connect(parse("tcp://127.0.0.1:9", None))


def test_a_file_is_sent_once_and_whole(tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"0123456789" * 1_000_000)  # three pieces
    sha256 = files.sha256(source)
    with lab() as made:
        host = made.join("bench1", cache=tmp_path / "there")
        with dask_engine(made.address) as engine:
            wait_for(engine.where)
            (offer,) = engine.where()
            engine._lab.send(offer, {sha256: source})
            arrived = tmp_path / "there/lab/files" / sha256
            assert arrived.read_bytes() == source.read_bytes()
            source.unlink()  # it is not looked at again
            engine._lab.send(offer, {sha256: source})
            back: list[bytes] = []
            engine.fetch(offer.address, sha256, back.append)
            assert b"".join(back) == arrived.read_bytes()
            with pytest.raises(UsageError, match="has no file"):
                engine.fetch(offer.address, "0" * 64, back.append)
        assert list((tmp_path / "there/lab/parts").iterdir()) == []
        assert made.do(host.lab_missing([sha256])) == []


def test_a_damaged_file_is_not_kept(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    with pytest.raises(UsageError, match="arrived damaged"):
        depot.receive("0" * 64, "me", 0, b"not that", last=True)
    assert depot.missing(["0" * 64]) == ["0" * 64]
    for sha256, sender in (("../x", "me"), ("0" * 64, "../me")):
        with pytest.raises(UsageError):
            depot.receive(sha256, sender, 0, b"", last=True)


def test_models_are_asked_for_in_small_letters() -> None:
    assert model_key("Pixel 7") == "pixel-7"
    assert is_model("Google Pixel 7", "pixel-7")
    assert is_model("Google Pixel 7 (emulated)", "Pixel 7")
    assert not is_model("Google Pixel 7 Pro", "pixel-7")
    assert not is_model("", "")
    assert model_key("SM-G991B (5G)") == "sm-g991b-5g"
    assert not set(phone_resource("a, b=c d")) & set(" ,=")


def test_the_status_says_who_has_which_phone() -> None:
    doing = Doing(
        key="k",
        name="pixel",
        run="20261129-1",
        who="anna@desk",
        since="2026-11-29T10:00:00+00:00",
        uses={PIXEL.resource: 1},
        until="2026-11-29T10:07:31+00:00",
    )
    counting = msgspec.structs.replace(
        doing, name="scratch", uses={"processor": 1}, until="2026-11-30T00:10:00+00:00"
    )
    building = msgspec.structs.replace(
        doing, name="train x", run="build", uses={BUILD: 1}, until=None
    )
    absent = msgspec.structs.replace(
        phone("galaxy", "x"), state="absent", error="no phone answers\x1b[31m"
    )
    held = phone("moto", "y", model="Moto", held="run r on desk")
    host = HostOffer(
        name="bench1",
        address="tls://x",
        processors=2,
        harness="0",
        system="Linux x86_64",
        arm64=True,
        phones=(PIXEL, absent, held),
        doing=(doing, counting, building),
        builds=1,
        seen_s=30.0,
    )
    told = lines([host])
    assert told[0] == (
        "bench1  Linux x86_64, 2 processors, TensorFlow, emulated ARM core, last report 30 s ago"
    )
    said = "pixel measuring run 20261129-1 of anna@desk, 10:00 to about 10:07 UTC"
    assert " ".join(told[1].split()) == said
    assert told[2] == r"  galaxy  absent        no phone answers\x1b[31m"
    assert "in use by run r on desk" in told[3]
    days = "2026-11-29 10:00 to about 2026-11-30 00:10 UTC"
    assert told[4] == f"  scratch: run 20261129-1 of anna@desk, {days}"
    assert told[5] == "  train x: a build of anna@desk, since 2026-11-29 10:00 UTC"
    assert "lab join" in lines([])[0]
