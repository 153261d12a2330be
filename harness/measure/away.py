"""All launches on one device, as a host of a lab makes them: its order, its work, its messages.

The host keeps a run folder of its own, so that what it measured outlives the connection, the worker
and the client: when the same run comes again, it first sends what did not arrive.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.base import Case, Failure, StopReason, Value
from harness.core.errors import UsageError
from harness.core.specs import DeviceSpec
from harness.core.types import Artifact, DeviceFacts, Launch, Report
from harness.devices import Target, kind_of
from harness.engine.lab.child import Desk
from harness.measure.device_run import DeviceRun
from harness.results import store
from harness.results.store import Entry, Journal, RunFolder

# The host may still be putting the phone back that a try before had to leave.
FOLDER_IS_FREE_S = 60.0
SHOWN_EVERY_S = 0.5


class Order(Value, frozen=True):
    """What a host is to do: the run with the cases that it is to launch, what is saved of them, how
    to reach the device, and the SHA-256 of each variant's inputs and of the test images that it
    answers there, if any."""

    header: Report
    saved: Journal
    device: str
    spec: DeviceSpec
    inputs: dict[str, str]
    images: dict[str, str] = {}


class Message(Value, frozen=True, omit_defaults=True):
    """What a host says while it measures; exactly one field is set."""

    entry: Entry | None = None
    launching: tuple[Case, int, float | None] | None = None
    failed: tuple[str, Failure] | None = None
    said: str | None = None
    shown: str | None = None


class Answer(Value, frozen=True):
    """How it ended: `refusal` is the message of an OtherDeviceError, and how many entries were
    sent."""

    reason: StopReason
    told: int
    refusal: tuple[str, str] | None = None


def order(
    header: Report,
    cases: tuple[Case, ...],
    saved: Journal,
    spec: DeviceSpec,
    *,
    inputs: Mapping[str, str],
    images: Mapping[str, str],
) -> Order:
    """The part of a run that a host needs to launch these cases, all of one device."""
    variants = {case.variant for case in cases}
    bare = msgspec.structs.replace(
        header,
        plan=msgspec.structs.replace(header.plan, cases=cases),
        artifacts=tuple(a for a in header.artifacts if a.variant in variants),
        command=(),
        project=None,
        data=None,
        evaluations=(),
        findings=(),
    )
    return Order(
        header=bare,
        saved=saved,
        device=cases[0].device,
        spec=spec,
        inputs={variant: inputs[variant] for variant in variants},
        images={variant: digest for variant, digest in images.items() if variant in variants},
    )


def measure(arguments: bytes, desk: Desk) -> bytes:
    """Measure at this host what is still to be measured; an Answer in JSON."""
    given = msgspec.json.decode(arguments, type=Order)
    header = msgspec.structs.replace(
        given.header, artifacts=tuple(_here(a, desk) for a in given.header.artifacts)
    )
    if header.device_images is not None:
        files = {variant: str(desk.file(digest)) for variant, digest in given.images.items()}
        images = msgspec.structs.replace(header.device_images, files=files)
        header = msgspec.structs.replace(header, device_images=images)
    inputs = {variant: desk.file(sha256) for variant, sha256 in given.inputs.items()}
    with contextlib.closing(_folder(header, given.saved, desk)) as folder:
        run = DeviceRun(
            folder,
            given.device,
            given.spec,
            inputs=inputs,
            listener=_RemoteListener(desk),
            opener=_open_target,
            enough=None,
        )
        run.run()
    refusal = None if run.refusal is None else (run.refusal.message, run.refusal.fix)
    return msgspec.json.encode(Answer(reason=run.reason, told=folder.told, refusal=refusal))


def _open_target(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> Target:
    return kind_of(spec).open_target(name, spec, log_dir, attendant)


def _here(artifact: Artifact, desk: Desk) -> Artifact:
    return msgspec.structs.replace(artifact, path=str(desk.file(artifact.sha256)))


def _folder(header: Report, saved: Journal, desk: Desk) -> _SendingFolder:
    """This host's folder of the run: what the client has is added, what the client lacks is
    sent."""
    path = desk.folder / header.run_id
    if not (path / store.HEADER).is_file():
        store.create(desk.folder, header).close()
    end = time.monotonic() + FOLDER_IS_FREE_S
    while True:
        try:
            folder = _SendingFolder(path, header, desk)
            break
        except UsageError:
            if time.monotonic() > end or desk.stopping.wait(0.2):
                raise
    folder.merge(saved)
    return folder


class _SendingFolder(RunFolder):
    """A run folder that also sends each entry to the client."""

    def __init__(self, path: Path, header: Report, desk: Desk) -> None:
        super().__init__(path, header)
        self._desk = desk
        self.told = 0

    def append(self, entry: Entry) -> None:
        """See RunFolder. The entry is saved first and then sent."""
        super().append(entry)
        self._send(entry)

    def _send(self, entry: Entry) -> None:
        self.told += 1
        self._desk.say(msgspec.json.encode(Message(entry=entry)))

    def merge(self, theirs: Journal) -> None:
        """Save what only the client has, send what only this host has."""
        own, clients = _by_place(self.saved), _by_place(theirs)
        merged = dict(clients)
        for place, launch in own.items():
            if _better(launch, clients.get(place)):
                merged[place] = launch
                self._send(Entry(launch=launch))
        for place, launch in merged.items():
            if own.get(place) != launch:
                super().append(Entry(launch=launch))
        for facts in theirs.devices.values():
            super().append(Entry(device=facts))
        answered = {case: list(known) for case, known in theirs.answers.items()}
        for case, known in self.saved.answers.items():
            for answers in known:
                if answers not in answered.setdefault(case, []):
                    answered[case].append(answers)
                    self._send(Entry(answers=answers))
        # The client keeps failures: saved here, one would end the case when it is asked for again.
        self.saved = msgspec.structs.replace(
            theirs,
            launches=tuple(sorted(merged.values(), key=lambda x: x.order)),
            answers={case: tuple(known) for case, known in answered.items()},
        )


def _by_place(journal: Journal) -> dict[tuple[str, int], Launch]:
    return {(launch.case, launch.index): launch for launch in journal.launches}


def _better(own: Launch, theirs: Launch | None) -> bool:
    return theirs is None or (theirs.invalid and not own.invalid)


class _RemoteListener:
    """A Listener that sends what it hears to the client. Saved entries are sent by the folder."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def attendant(self, device: str) -> Attendant:
        """See Listener."""
        return _RemoteAttendant(self._desk)

    def opened(self, facts: DeviceFacts) -> None:
        """See Listener; the folder sends it."""

    def saved(self, case: Case, launch: Launch) -> None:
        """See Listener; the folder sends it."""

    def launching(self, case: Case, index: int, left_s: float | None) -> None:
        """See Listener."""
        if left_s is not None:
            self._desk.expects(left_s)
        self._desk.say(msgspec.json.encode(Message(launching=(case, index, left_s))))

    def failed(self, what: str, failure: Failure) -> None:
        """See Listener."""
        self._desk.say(msgspec.json.encode(Message(failed=(what, failure))))


class _RemoteAttendant(Attendant):
    """Sends the device's messages to the client, and a countdown only now and then."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.stopping = desk.stopping
        self._desk = desk
        self._shown = 0.0

    def say(self, text: str) -> None:
        """See Attendant."""
        self._desk.say(msgspec.json.encode(Message(said=text)))

    def show(self, text: str) -> None:
        """See Attendant."""
        if time.monotonic() - self._shown >= SHOWN_EVERY_S:
            self._shown = time.monotonic()
            self._desk.say(msgspec.json.encode(Message(shown=text)))
