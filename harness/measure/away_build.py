"""One training or conversion at a host of a lab: what it is asked for and what it answers.

It goes into the host's cache, like anything built there, and from there by SHA-256 to whoever
asked.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.artifacts import builder, parcel, recipes
from harness.artifacts.cache import CURVE, DESCRIPTION, MODEL, NETWORK, TRAINING
from harness.artifacts.child.protocol import BuildRequest, Step, TrainRequest
from harness.artifacts.jobs import BuildJob
from harness.artifacts.material import Material
from harness.artifacts.network_plans import Training
from harness.artifacts.parcel import Parcel
from harness.artifacts.side_by_side import Children
from harness.core.base import Failure, Value
from harness.core.errors import HarnessError, UsageError
from harness.data.demo_set import DemoSet
from harness.engine.lab.child import Desk
from harness.system import files

# A file in a folder of the cache that is not content, only a note of its use.
FILES = (MODEL, DESCRIPTION, NETWORK, TRAINING, CURVE)
POLL_S = 0.2


class Made(Value, frozen=True):
    """A folder of the cache: `kind` is artifacts or trained, `files` are the SHA-256 by name."""

    kind: str
    key: str
    files: dict[str, str]


class Answer(Value, frozen=True):
    """What was made; or why it could not be, with `usage` if it is for the user to correct; or that
    the host was told to stop."""

    made: tuple[Made, ...] = ()
    failed: Failure | None = None
    usage: bool = False
    stopped: bool = False


def build(arguments: bytes, desk: Desk) -> bytes:
    """Do what a Parcel asks for; an Answer in JSON."""
    asked = msgspec.json.decode(arguments, type=Parcel)
    children = Children()
    try:
        if other := parcel.differing(parcel.builds_with(), asked.builds_with):
            raise UsageError(f"this host {other}", "bring all hosts to the same software")
        with _ended_when_stopping(desk, children), _scratch(desk) as folder:
            made = _built(asked, folder, desk, children)
        answer = Answer(made=tuple(kept(each, desk) for each in made))
    except HarnessError as error:
        usage = isinstance(error, UsageError)
        failure = Failure(stage="build", transient=False, message=error.message, fix=error.fix)
        answer = Answer(failed=failure, usage=usage)
    if desk.stopping.is_set():
        answer = Answer(stopped=True)
    return msgspec.json.encode(answer)


def _built(asked: Parcel, folder: Path, desk: Desk, children: Children) -> list[Path]:
    request = parcel.unpacked(asked, folder, desk.cache, desk.file)
    material = None
    if asked.drawn is not None:
        drawn = DemoSet(desk.cache, asked.drawn.seed, asked.drawn.sizes)
        material = Material(drawn, desk.cache)
    job: BuildJob | Training
    if isinstance(request, TrainRequest):
        job = Training(asked.key, asked.label, request)
    else:
        job = _artifact(asked, request)
    site = builder.Site(desk.cache, parcel.representative(asked, folder), material)

    def tell(step: Step) -> None:
        desk.say(msgspec.json.encode(step))

    return builder.carry_out(
        job, asked.afterwards, site, variant=asked.variant, tell=tell, children=children
    )


def _artifact(asked: Parcel, request: BuildRequest) -> BuildJob:
    return BuildJob(
        variant=asked.variant,
        label=asked.label,
        key=asked.key,
        request=request,
        calibrates=recipes.parse(request.recipe, request.recipe_options).calibrates,
        claims=asked.claims,
    )


def kept(folder: Path, desk: Desk) -> Made:
    """The files of a folder, offered to whoever asks for their digests."""
    digests = {}
    for path in (folder / name for name in FILES):
        if path.is_file():
            digests[path.name] = files.sha256(path)
            desk.keep(path, digests[path.name])
    return Made(kind=folder.parent.name, key=folder.name, files=digests)


@contextlib.contextmanager
def _scratch(desk: Desk) -> Iterator[Path]:
    """A folder for the job's files, in the task's own, which stays."""
    with tempfile.TemporaryDirectory(dir=desk.folder, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _ended_when_stopping(desk: Desk, children: Children) -> Iterator[None]:
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            if desk.stopping.is_set():
                children.end()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
