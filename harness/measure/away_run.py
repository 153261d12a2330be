"""All launches on one device of a lab, as the client has them: where they are made, what comes
back, and what becomes of them when a host is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.attendant import Attendant
from harness.core.base import Case, Failure
from harness.core.errors import HarnessError, OtherDeviceError, TransientDeviceError
from harness.core.lab import ARM64, PROCESSOR, HostOffer, LabDevice, PhoneOffer
from harness.core.specs import DeviceSpec
from harness.core.types import DeviceFacts, Launch
from harness.devices import Target, kind_of
from harness.devices.android import at_lab
from harness.engine import AS_LONG_AS_IT_TAKES, Ending, Job, Later, Place, lost_work, places
from harness.measure import away, identity
from harness.measure.device_run import DeviceRun, Listener
from harness.results.store import SAVING, Entry, Journal, RunFolder
from harness.system import files

MEASURE = "harness.measure.away:measure"
TRIES = 5  # if as many tries are lost, it is not bad luck
# A lost host needs a moment to put its phone back, and its lease a moment to end.
LEASE_S = 30.0
# Hosts report only now and then: for this long, a run that has ended may seem to go on.
STALE_S = 10.0


class Numbers:
    """The order of launches of one device that several hosts share, and the facts that the first
    reported."""

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.facts: DeviceFacts | None = None


class AtLab(NamedTuple):
    """A device of a run at a lab, which of its cases, and how it is asked for."""

    device: LabDevice
    spec: DeviceSpec
    cases: tuple[Case, ...]
    numbers: Numbers


class AwayRun(DeviceRun):
    """See the module; a piece of AwayWork."""

    def __init__(
        self,
        folder: RunFolder,
        where: AtLab,
        *,
        inputs: Mapping[str, Path],
        listener: Listener,
        digests: Callable[[Path], str] = files.sha256,
    ) -> None:
        name = where.device.name
        super().__init__(
            folder,
            name,
            where.spec,
            inputs=inputs,
            listener=listener,
            opener=_not_here,
            enough=None,
        )
        self._narrow(where.cases)
        self.where = where
        self._digest = digests
        self._facts = folder.saved.devices.get(name)
        self._have = {(case.id, x.index) for case, all_ in self.launches.items() for x in all_}
        self._by_id = {case.id: case for case in self.cases}
        self._answers = {
            case: list(known) for case, known in folder.saved.answers.items() if case in self._by_id
        }
        self._received = 0
        self._tries = 0
        self._lost_once = False
        self._broken = False
        self._said_where = ""

    def _narrow(self, cases: Sequence[Case]) -> None:
        """Keep only these cases."""
        mine = set(cases)
        self.cases = [case for case in self.cases if case in mine]
        self.launches = {case: self.launches[case] for case in self.cases}
        self.half_widths = {case: self.half_widths[case] for case in self.cases}
        self.unusable = {at: x for at, x in self.unusable.items() if at[0] in mine}
        self.failures = {case: f for case, f in self.failures.items() if case in mine}

    # --- where ---

    def place(
        self, hosts: Sequence[HostOffer], free: Mapping[str, Mapping[str, float]]
    ) -> Place | Later:
        """See AwayWork."""
        device = self.where.device
        if device.resource is not None:
            return self._phone(hosts, free, device.resource)
        core = self._at_lab == "core"
        resource = ARM64 if core else PROCESSOR
        able = [h for h in hosts if device.host in (None, h.name) and (h.arm64 or not core)]

        def uses(host: HostOffer) -> dict[str, float]:
            # What is not spread measures the host's processors, which it must have alone.
            return {resource: 1 if device.spread else host.processors}

        found = places.best(able, free, uses, lambda host: (free[host.address].get(resource, 0),))
        what = "emulated core" if core else "processor"
        host = device.host
        why = f"{host} has no free {what}" if host else f"no host of the lab has a free {what}"
        # There may be more variants than cores: each waits for its turn.
        spread = able and device.spread
        within_s = AS_LONG_AS_IT_TAKES if spread else self._until_free_s(able)
        return found or Later(why, "go on with --resume", within_s)

    def _phone(
        self,
        hosts: Sequence[HostOffer],
        free: Mapping[str, Mapping[str, float]],
        resource: str,
    ) -> Place | Later:
        for host in hosts:
            for phone in host.phones:
                if phone.resource != resource or phone.state != "ready":
                    continue
                if free[host.address].get(resource, 0) >= 1:
                    return Place(host, {resource: 1})
                busy = host.busy.get(resource)
                by = "another run" if busy is None else f"run {busy.run} of {busy.who}"
                return Later(
                    f"the phone is in use by {by}",
                    "wait until it has ended, or give --wait 10m",
                    max(self._until_free_s([host]), getattr(self.spec, "wait_s", 0.0)),
                )
        return Later(
            f"the lab has no phone {self.where.device.serial or resource} now",
            "plug it in at any host of the lab, then go on with --resume",
            self._patience_s,
        )

    @property
    def _patience_s(self) -> float:
        """How long to wait for something that was in the lab and may come back; 0 for what was
        never there."""
        return self._to_put_back_s if self._lost_once else 0.0

    @property
    def _to_put_back_s(self) -> float:
        """How long a host may take to end what it does on the device."""
        return float(getattr(self.spec, "reconnect_timeout_s", 60.0)) + LEASE_S

    def _until_free_s(self, hosts: Sequence[HostOffer]) -> float:
        """How long to wait for what is in use at these hosts: until an earlier part of this run has
        ended there, else only until their reports are up to date."""
        run_id = self.folder.header.run_id
        ours = any(doing.run == run_id for host in hosts for doing in host.doing)
        return max(self._patience_s, self._to_put_back_s if ours else STALE_S)

    def job(self, place: Place) -> Job:
        """See AwayWork."""
        self._received = 0
        self._tries += 1
        if self._said_where != place.host.name and not self.where.device.spread:
            self._said_where = place.host.name
            self.attendant.say(f"measured at {place.host.name}")
        inputs = {v: self._digest(self.inputs[v]) for v in {c.variant for c in self.cases}}
        paths = {sha256: self.inputs[variant] for variant, sha256 in inputs.items()}
        asked = self.folder.header.device_images
        files = {} if asked is None else {v: Path(f) for v, f in asked.files.items() if v in inputs}
        images = {variant: self._digest(path) for variant, path in files.items()}
        paths |= {images[variant]: path for variant, path in files.items()}
        for variant in inputs:
            paths[self.artifacts[variant].sha256] = Path(self.artifacts[variant].path)
        cases = tuple(case for case in self.cases if case not in self.failures)
        order = away.order(
            self.folder.header,
            cases,
            self._saved(),
            self._spec_at(place),
            inputs=inputs,
            images=images,
        )
        return Job(
            name=self._name,
            run=self.folder.header.run_id,
            function=MEASURE,
            arguments=msgspec.json.encode(order),
            files=paths,
        )

    @property
    def _name(self) -> str:
        if not self.where.device.spread:
            return self.name
        return f"{self.name} {' '.join(dict.fromkeys(case.variant for case in self.cases))}"

    def _saved(self) -> Journal:
        facts = self._facts or self.where.numbers.facts
        launches = [*self.unusable.values(), *(x for done in self.launches.values() for x in done)]
        return Journal(
            devices={} if facts is None else {self.name: facts},
            launches=tuple(launches),
            answers={case: tuple(known) for case, known in self._answers.items()},
        )

    def _spec_at(self, place: Place) -> DeviceSpec:
        """The entry as that host must see it, with the host's way to the phone."""
        if self._at_lab == "phone":
            # What a lost host still does to the phone takes a moment.
            way = self._offer(place).spec
            return at_lab.reached_by(self.spec, way, least_wait_s=LEASE_S)
        here: dict[str, object] = {"python": {}} if hasattr(self.spec, "python") else {}
        return msgspec.structs.replace(self.spec, at=None, **here)

    @property
    def _at_lab(self) -> str:
        return kind_of(self.spec).traits(self.spec).at_lab

    def _offer(self, place: Place) -> PhoneOffer:
        (phone,) = (p for p in place.host.phones if p.resource in place.uses)
        return phone

    # --- what comes back ---

    def hear(self, event: bytes) -> bool:
        """See AwayWork."""
        message = msgspec.json.decode(event, type=away.Message)
        try:
            if message.entry is not None:
                self._received += 1
                self._save(message.entry)
            elif message.launching is not None:
                self.listener.launching(*message.launching)
            elif message.failed is not None:
                self.listener.failed(*message.failed)
            elif message.said is not None:
                self.attendant.say(message.said)
            elif message.shown is not None:
                self.attendant.show(message.shown)
        except HarnessError as error:  # such as a full disk here
            self._broken = True
            self._lose(_as_failure(error))
        return not self._broken and self.refusal is None

    def _save(self, entry: Entry) -> None:
        if entry.device is not None:
            self._meet(entry.device)
        elif entry.launch is not None:
            self._keep(entry.launch)
        elif entry.answers is not None:
            known = self._answers.setdefault(entry.answers.case, [])
            if entry.answers not in known:
                self.folder.append(entry)
                known.append(entry.answers)
        elif entry.failed is not None:
            case = self._by_id[entry.failed.case]
            self._record(case, entry.failed.failure)

    def _meet(self, facts: DeviceFacts) -> None:
        known = self._facts or self.where.numbers.facts
        used = {case.runtime for case in self.cases}
        if known is not None and (changed := identity.difference(known, facts, used)):
            self.refusal = OtherDeviceError(
                f"{self.name} is not what the run began on: {changed}",
                "bring the hosts to the same software, or start a new run",
            )
            return
        if self._facts is None:
            self._facts = facts
            if self.where.numbers.facts is None:
                self.where.numbers.facts = facts
                self.listener.opened(facts)
            self.folder.append(Entry(device=facts))

    def _keep(self, launch: Launch) -> None:
        """Save a launch, once, however often it arrives."""
        case = self._by_id[launch.case]
        if (case.id, launch.index) in self._have:
            return
        if self.where.device.spread:
            launch = msgspec.structs.replace(launch, order=self.where.numbers.next)
            self.where.numbers.next += 1
        self.folder.append(Entry(launch=launch))
        self._have.add((case.id, launch.index))
        self.unusable.pop((case, launch.index), None)
        self.launches[case].append(launch)
        self.listener.saved(case, launch)

    def ended(self, answer: bytes) -> Ending | None:
        """See AwayWork."""
        told = msgspec.json.decode(answer, type=away.Answer)
        if told.refusal is not None:
            self.refusal = OtherDeviceError(*told.refusal)
        if self.refusal is not None:
            return "refused"
        if self._broken:
            return "done"
        if self._received < told.told and not self._stopping:
            return self.lost(lost_work("some of what the host measured did not arrive"))
        self.reason = told.reason
        self.half_widths = {case: self._half_width(case) for case in self.cases}
        if told.reason == "interrupted" and not self._stopping:
            # Its host was told to stop, and not by us.
            return self.lost(lost_work("the host was stopped"))
        return "interrupted" if told.reason == "interrupted" else "done"

    def lost(self, failure: Failure) -> Ending | None:
        """See AwayWork."""
        self._lost_once = True
        if self._stopping:
            self.reason = "interrupted"
            return "interrupted"
        if self.refusal is not None:
            return "refused"
        if self._broken:
            return "done"
        if failure.transient and self._tries < TRIES:
            self.attendant.say(f"{failure.message}; looking for it again")
            return None
        self._lose(failure)
        return "done"

    @property
    def _stopping(self) -> bool:
        return self.attendant.stopping.is_set()

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """See AwayWork."""
        if stopped:
            self.reason = "interrupted"
            return "interrupted"
        error = TransientDeviceError("busy" if "in use" in why.why else "lab", why.why, why.fix)
        self._lose(error.failure)
        return "done"

    def waiting(self, why: Later, left_s: float) -> None:
        """See AwayWork."""
        left = "" if math.isinf(left_s) else f", {left_s:.0f} s left"
        self.attendant.show(f"{why.why}; waiting{left}")


def runs(
    folder: RunFolder,
    device: LabDevice,
    spec: DeviceSpec,
    inputs: Mapping[str, Path],
    listener: Listener,
) -> list[AwayRun]:
    """The pieces of work on one device: all of it, or one for each variant where they may go to
    several hosts."""
    cases = [case for case in folder.header.plan.cases if case.device == device.name]
    parts = [cases]
    if device.spread:
        names = dict.fromkeys(case.variant for case in cases)
        parts = [[case for case in cases if case.variant == name] for name in names]
    orders = [x.order for x in folder.saved.launches if x.case in {case.id for case in cases}]
    numbers = Numbers(1 + max(orders, default=-1))
    return [
        AwayRun(folder, AtLab(device, spec, tuple(part), numbers), inputs=inputs, listener=listener)
        for part in parts
    ]


def _not_here(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> Target:
    raise AssertionError("it is measured at a host of the lab")


def _as_failure(error: HarnessError) -> Failure:
    return Failure(stage=SAVING, transient=True, message=error.message, fix=error.fix)
