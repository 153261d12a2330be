"""Images answered at the hosts of a lab: who is asked what, and what becomes of it when a host is
lost. Only the last test runs a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.analysis.scores import Answers
from harness.artifacts.tflite.inspect import inspect
from harness.core.base import Failure
from harness.core.errors import MeasurementError, UsageError
from harness.core.lab import PROCESSOR, HostOffer
from harness.core.types import Artifact, Evaluation
from harness.data.pixels import parse
from harness.devices.host.target import answers_with
from harness.engine import AwayWork, Later, Place, Work, dask
from harness.engine.lab.hosts import free_of
from harness.measure import evaluate, lab_answers
from harness.measure.away_answers import Answer, Order
from harness.measure.lab_answers import LabAnswers
from harness.measure.questions import Asking, Images, Question, Steps
from tests.answers import Pictures, evaluation
from tests.labs import lab
from tests.paths import DATA

LABELS = [0, 1, 1, 0, 1, 0]
LOST = Failure(stage="lab", transient=True, message="the host was lost")


def tiny(name: str = "tiny") -> Artifact:
    made = inspect(DATA / "models/tiny_float32.tflite", variant=name)
    return msgspec.structs.replace(made, pixels=parse("0..255"))


def host(name: str, processors: int = 2, with_: str | None = None) -> HostOffer:
    return HostOffer(
        name=name,
        address=f"at {name}",
        processors=processors,
        harness="0",
        system="Linux",
        answers_with=answers_with() if with_ is None else with_,
    )


class Engine:
    """Hosts that do what the test says."""

    def __init__(self, *hosts: HostOffer, does: Callable[[list[AwayWork]], object] = list) -> None:
        self.hosts, self.does = hosts, does
        self.works: list[AwayWork] = []
        self.there: dict[str, bytes] = {}

    def where(self) -> tuple[HostOffer, ...]:
        return self.hosts

    def submit(self, work: Work | AwayWork, lane: str) -> None:
        assert isinstance(work, AwayWork)
        self.works.append(work)

    def gather(self) -> None:
        self.does(self.works)

    def has(self, address: str, keys: Sequence[str]) -> frozenset[str]:
        return frozenset()

    def fetch(self, address: str, sha256: str, write: Callable[[bytes], object]) -> None:
        if sha256 not in self.there:
            raise UsageError("this host has no file")
        write(self.there[sha256])

    def close(self) -> None:
        """There is nothing."""

    def answered(self, answers: Answers) -> bytes:
        """What a host says that has these answers."""
        data = msgspec.json.encode(answers)
        digest = hashlib.sha256(data).hexdigest()
        self.there[digest] = data
        return msgspec.json.encode(Answer(sha256=digest))


def in_two_looks(artifact: Artifact) -> Steps:
    """Asks about the second half only because of what was answered to the first."""
    try:
        first = yield Question("test", (0, 3), artifact.shown)
        more = yield Question("test", (3, 6 if sum(first.scores) > 1 else 4), artifact.shown)
    except MeasurementError as error:
        return evaluation([], [], failure=error.failure)
    return evaluation([*first.scores, *more.scores], LABELS[: 3 + len(more.scores)])


def answered(
    engine: Engine, scratch: Path, *names: str
) -> tuple[dict[str, Evaluation], dict[str, Asking], list[str]]:
    """(what came of whom, the questions, what was said)."""
    found: dict[str, Evaluation] = {}
    said: list[str] = []
    askings = {name: Asking(tiny(name), in_two_looks(tiny(name))) for name in names or ("tiny",)}
    LabAnswers(engine, said.append).answer(
        askings,
        Images(Pictures(LABELS), scratch),
        tell=lambda name, far: None,
        done=found.__setitem__,
    )
    return found, askings, said


def handed_out(work: AwayWork, *hosts: HostOffer, used: Mapping[str, float] | None = None) -> Order:
    """What the host that it goes to is told."""
    found = work.place(hosts, {h.address: free_of(h, used or {}) for h in hosts})
    assert isinstance(found, Place), found
    job = work.job(found)
    order = msgspec.json.decode(job.arguments, type=Order)
    assert {order.request["model"], order.request["images"]} == set(job.files)
    return order


def scores(*values: float) -> Answers:
    return Answers(scores=list(values), width=1, step=0.0, inference_ns=1)


def test_each_question_depends_on_the_answers_before(tmp_path: Path) -> None:
    engine = Engine(host("bench1"), host("bench2"))

    def does(works: list[AwayWork]) -> None:
        (work,) = works
        assert handed_out(work, *engine.hosts).request["rows"] == [0, 3]
        assert work.ended(engine.answered(scores(0.9, 0.8, 0.7))) is None
        assert handed_out(work, *engine.hosts).request["rows"] == [3, 6]
        assert work.ended(engine.answered(scores(0.1, 0.9, 0.2))) == "done"

    engine.does = does
    found, _, said = answered(engine, tmp_path)
    assert [row[1] for row in found["tiny"].rows] == pytest.approx([0.9, 0.8, 0.7, 0.1, 0.9, 0.2])
    assert said == []


def test_a_lost_host_costs_a_try_and_in_the_end_the_rest_is_left(tmp_path: Path) -> None:
    engine = Engine(host("bench1"), host("bench2"))

    def does(works: list[AwayWork]) -> None:
        for number in range(lab_answers.TRIES):
            assert handed_out(works[0], *engine.hosts).images == 3
            ending = works[0].lost(LOST)
            assert ending == ("done" if number == lab_answers.TRIES - 1 else None)
        handed_out(works[1], *engine.hosts)
        # A file that does not arrive is a host that is lost.
        assert works[1].ended(msgspec.json.encode(Answer(sha256="0" * 64))) is None
        works[1].give_up(Later("no host has a free processor", "", 0), stopped=False)

    engine.does = does
    found, askings, said = answered(engine, tmp_path, "a", "b")
    assert found == {}
    assert [asking.question is not None for asking in askings.values()] == [True, True]
    assert said == [
        "a: the host was lost, so this machine answers the rest",
        "b: no host has a free processor, so this machine answers the rest",
    ]


def test_an_artifact_that_fails_costs_only_itself(tmp_path: Path) -> None:
    engine = Engine(host("bench1"))
    crashed = Failure(stage="answers", transient=False, message="it crashed", fix="see the log")

    def does(works: list[AwayWork]) -> None:
        a, b = works
        handed_out(a, *engine.hosts)
        assert a.lost(crashed) == "done"
        handed_out(b, *engine.hosts)
        assert b.ended(engine.answered(scores(0.1, 0.2, 0.3))) is None
        assert handed_out(b, *engine.hosts).images == 1
        assert b.ended(engine.answered(scores(0.3))) == "done"

    engine.does = does
    found, _, _ = answered(engine, tmp_path, "a", "b")
    assert found["a"].failure == msgspec.structs.replace(crashed, fix="see the log (at bench1)")
    assert (found["b"].failure, found["b"].n) == (None, 4)


def test_ctrl_c_stays_ctrl_c(tmp_path: Path) -> None:
    def does(works: list[AwayWork]) -> None:
        works[0].give_up(Later("it was interrupted", "", 0), stopped=True)

    with pytest.raises(KeyboardInterrupt):
        answered(Engine(host("bench1"), does=does), tmp_path)


def test_only_hosts_with_the_same_runtime_are_asked(tmp_path: Path) -> None:
    engine = Engine(host("bench1", with_="litert 1.0 on x86_64"), host("bench2", with_=""))
    found, askings, said = answered(engine, tmp_path)
    assert (found, engine.works) == ({}, [])
    assert askings["tiny"].question is not None
    assert said == [f"no host of the lab has {answers_with()}, so this machine answers the "
                    "test images"]  # fmt: skip


def test_a_busy_host_is_waited_for(tmp_path: Path) -> None:
    one = host("bench1")

    def does(works: list[AwayWork]) -> None:
        free = {one.address: free_of(one, {PROCESSOR: 1})}
        waits = works[0].place((one,), free)
        assert isinstance(waits, Later)
        assert waits.within_s == lab_answers.PATIENCE_S

    answered(Engine(one, does=does), tmp_path)


@pytest.mark.slow  # starts processes that answer images
def test_the_answers_are_those_of_this_machine(tmp_path: Path) -> None:
    parent, child = tiny(), inspect(DATA / "models/tiny_int8.tflite", variant="tiny-int8")
    child = msgspec.structs.replace(child, pixels=parse("0..255"), float_parent="tiny")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(Path(child.path).read_bytes()[:200])
    cut = msgspec.structs.replace(child, variant="cut", path=str(broken), sha256="c" * 64)
    artifacts = {a.variant: a for a in (parent, child, cut)}
    data = Pictures(LABELS)
    far: list[str] = []
    with lab() as made:
        for name in ("bench1", "bench2"):
            made.join(name, cores=2, answers_with=answers_with(), cache=tmp_path / name)
        engine = dask.connect(made.address)
        try:
            away = evaluate.evaluate(
                artifacts,
                data,
                cache=tmp_path / "away",
                at_lab=LabAnswers(engine, far.append),
                progress=lambda name, done, total, text: far.append(text),
            )
        finally:
            engine.close()
    here = evaluate.evaluate(artifacts, data, cache=tmp_path / "here")
    assert away[:2] == here[:2]
    assert [e.variant for e in away] == ["tiny", "tiny-int8", "cut"]
    failure = away[2].failure
    assert failure is not None
    assert "(at bench" in failure.fix
    assert here[2].failure is not None
    assert failure.message == here[2].failure.message
    assert any(text.startswith("at bench") and "6 of 6" in text for text in far)
    # The images went to each host once, and no answer went through the scheduler.
    kept = [path for name in ("bench1", "bench2") for path in (tmp_path / name).glob("lab/files/*")]
    arrays = [path for path in kept if path.read_bytes()[:6] == b"\x93NUMPY"]
    assert 1 <= len(arrays) <= 2
    assert all(np.load(path).shape == (6, 256, 256) for path in arrays)
