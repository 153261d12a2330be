"""The hosts of a lab answer the images; this is the client's side. Each artifact is a piece of work
that asks question after question, at any host with room, side by side with the others. Model and
images go to a host once; the answers decide here what is asked next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.core.base import Failure
from harness.core.errors import MeasurementError, UsageError
from harness.core.lab import HostOffer
from harness.core.types import Evaluation
from harness.devices.host.target import answers_with
from harness.engine import Ending, Engine, Job, Later, Place, lost_work, places
from harness.measure import questions
from harness.measure.away_answers import Answer, Order
from harness.measure.questions import Asking, Images
from harness.system.digests import Digests

ANSWER = "harness.measure.away_answers:answer"
RUN = "answers"  # what `lab status` calls it
TRIES = 3
# How long to wait for a processor before this machine answers itself.
PATIENCE_S = 300.0


class LabAnswers:
    """See the module and Answerer. Questions that no host answers stay open."""

    def __init__(self, engine: Engine, say: Callable[[str], None]) -> None:
        self._engine, self._say = engine, say
        self._digests = Digests()
        self._nobody = False

    def answer(
        self,
        askings: Mapping[str, Asking],
        images: Images,
        *,
        tell: Callable[[str, str], None],
        done: Callable[[str, Evaluation], None],
    ) -> None:
        """See Answerer."""
        pieces = [
            _Piece(name, asking, images, self._engine, self._digests, tell=tell, done=done)
            for name, asking in askings.items()
            if asking.question is not None
        ]
        if not pieces or self._nobody:
            return
        try:
            able = any(map(_able, self._engine.where()))
            why = f"no host of the lab has {answers_with()}"
        except (OSError, TimeoutError):
            able, why = False, "the lab does not answer"
        if not able:
            self._nobody = True
            self._say(f"{why}, so this machine answers the test images")
            return
        for piece in pieces:
            self._engine.submit(piece, piece.name)
        self._engine.gather()
        if any(piece.stopped for piece in pieces):
            raise KeyboardInterrupt
        for piece in pieces:
            if piece.asking.question is not None:
                self._say(f"{piece.name}: {piece.why}, so this machine answers the rest")


def _able(host: HostOffer) -> bool:
    return host.answers_with == answers_with()


class _Piece:
    """The questions to one artifact; a piece of AwayWork."""

    def __init__(
        self,
        name: str,
        asking: Asking,
        images: Images,
        engine: Engine,
        digests: Digests,
        *,
        tell: Callable[[str, str], None],
        done: Callable[[str, Evaluation], None],
    ) -> None:
        self.name, self.asking = name, asking
        self._images, self._engine, self._digests = images, engine, digests
        self._tell, self._done = tell, done
        self._tries = 0
        self._place: Place | None = None
        self._far: Callable[[int], None] = lambda answered: None
        self.why = ""  # it is not answered at the lab
        self.stopped = False

    def stop(self) -> None:
        """See AwayWork."""
        self.stopped = True

    def place(
        self, hosts: Sequence[HostOffer], free: Mapping[str, Mapping[str, float]]
    ) -> Place | Later:
        """See AwayWork."""
        found = places.best(filter(_able, hosts), free, places.few_processors)
        return found or Later("no host of the lab has a free processor", "", PATIENCE_S)

    def job(self, place: Place) -> Job:
        """See AwayWork."""
        question, artifact = self.asking.question, self.asking.artifact
        assert question is not None
        self._place = place
        self._tries += 1
        host = place.host.name
        self._far = questions.far(
            question.images, lambda text: self._tell(self.name, f"at {host}, {text}")
        )
        model, images = Path(artifact.path), self._images.file(artifact, question.split)
        digests = [self._digests.of(path) for path in (model, images)]
        (threads,) = map(int, places.few_processors(place.host).values())
        request = questions.request(artifact, question, *digests, threads=threads)
        return Job(
            name=f"answer {self.name} {digests[0][:12]}",
            run=RUN,
            function=ANSWER,
            arguments=msgspec.json.encode(Order(request=request, images=question.images)),
            files=dict(zip(digests, (model, images), strict=True)),
        )

    def hear(self, event: bytes) -> bool:
        """See AwayWork."""
        self._far(msgspec.json.decode(event, type=int))
        return not self.stopped

    def ended(self, answer: bytes) -> Ending | None:
        """See AwayWork. After a question comes the next one."""
        digest = msgspec.json.decode(answer, type=Answer).sha256
        assert self._place is not None
        host = self._place.host
        if digest is None:
            return self.lost(lost_work(f"{host.name} was stopped"))
        pieces: list[bytes] = []
        try:
            self._engine.fetch(host.address, digest, pieces.append)
        except (OSError, UsageError) as error:
            return self.lost(lost_work(f"{host.name} cannot be reached: {error}"))
        data = b"".join(pieces)
        if hashlib.sha256(data).hexdigest() != digest:
            return self.lost(lost_work(f"the answers of {host.name} arrived damaged"))
        try:
            answers = questions.read(msgspec.json.decode(data))
            self.asking.answer(questions.as_asked(answers, self.asking.artifact))
        except MeasurementError as error:
            self.asking.fail(error)
        return self._next()

    def lost(self, failure: Failure) -> Ending | None:
        """See AwayWork. A host that is lost costs a try, an artifact that fails only itself."""
        if self.stopped:
            return "interrupted"
        if not failure.transient:
            assert self._place is not None
            fix = f"{failure.fix} (at {self._place.host.name})".strip()
            self.asking.fail(MeasurementError(failure.stage, failure.message, fix))
            return self._next()
        self.why = failure.message
        return None if self._tries < TRIES else "done"

    def _next(self) -> Ending | None:
        self._tries = 0
        if self.asking.question is not None:
            return None
        assert self.asking.found is not None
        self._done(self.name, self.asking.found)
        return "done"

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """See AwayWork."""
        self.stopped, self.why = self.stopped or stopped, why.why
        return "interrupted" if stopped else "done"

    def waiting(self, why: Later, left_s: float) -> None:
        """See AwayWork."""
