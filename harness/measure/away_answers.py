"""An artifact answers images at a host of a lab: the order, and the answer. The client decides what
to ask next."""

from __future__ import annotations

import msgspec

from harness.core.attendant import Attendant
from harness.core.base import Value
from harness.engine.lab.child import Desk
from harness.measure import questions
from harness.system import files


class Order(Value, frozen=True):
    """What a host is to do: the request to its worker, in which `model` and `images` are SHA-256
    and no other field is a path, and the number of images."""

    request: dict[str, object]
    images: int


class Answer(Value, frozen=True):
    """The SHA-256 of the file with what the worker answered, in JSON; None if the host was asked to
    stop."""

    sha256: str | None


def answer(arguments: bytes, desk: Desk) -> bytes:
    """Ask the artifact; an Answer in JSON. Raises WorkerError."""
    order = msgspec.json.decode(arguments, type=Order)
    here = {key: str(desk.file(str(order.request[key]))) for key in ("model", "images")}
    attendant = Attendant()
    attendant.stopping = desk.stopping
    try:
        result = questions.ask(
            {**order.request, **here},
            log=desk.folder / "answers.log",
            images=order.images,
            told=lambda done: desk.say(msgspec.json.encode(done)),
            attendant=attendant,
        )
    except KeyboardInterrupt:
        return msgspec.json.encode(Answer(sha256=None))
    path = desk.folder / "answers.json"
    files.write_atomic(path, msgspec.json.encode(result))
    digest = files.sha256(path)
    desk.keep(path, digest)
    return msgspec.json.encode(Answer(sha256=digest))
