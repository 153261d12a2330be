"""Trainings and conversions at the hosts of a lab, as the client has them.

Each is a piece of work: a network is trained once, wherever there is room, and comes into this
machine's cache; the conversions that need it then go to any host. What a host has in its cache it
does not make again.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.artifacts import parcel
from harness.artifacts.builder import Site
from harness.artifacts.cache import BUILT, TRAINED, Cache, Folders, TrainedCache
from harness.artifacts.child.protocol import Step
from harness.artifacts.jobs import BuildJob
from harness.artifacts.network_plans import Training
from harness.artifacts.parcel import Packed, Packer
from harness.core.base import Failure
from harness.core.errors import UsageError
from harness.core.lab import BUILD, PROCESSOR, HostOffer
from harness.core.text import count
from harness.data.demo_set import DemoSet
from harness.engine import AS_LONG_AS_IT_TAKES, Ending, Engine, Job, Later, Place, lost_work, places
from harness.measure.away_build import FILES, Answer, Made
from harness.system import files

BUILD_THERE = "harness.measure.away_build:build"
RUN = "build"  # what `lab status` calls it
TRIES = 5
# How long a host that could build may be away.
AWAY_S = 90.0
# How long to wait for a busy host that has the result in its cache. Hosts report with a delay that
# they are free, and making it again elsewhere takes longer than this.
HAS_IT_S = 10.0

Tell = Callable[[str, Step], None]


class LabBuild:
    """See the module; an Elsewhere of harness.artifacts.builder. `or_here` means that this machine
    builds what no host can build. `function` is what a host runs, if it is not the usual
    function."""

    def __init__(
        self,
        engine: Engine,
        say: Callable[[str], None],
        *,
        or_here: bool,
        function: str = BUILD_THERE,
    ) -> None:
        self._engine = engine
        self._function = function
        self._say = say
        self._or_here = or_here

    def bring(self, jobs: Sequence[BuildJob], site: Site, tell: Tell) -> Mapping[str, Failure]:
        """See Elsewhere."""
        hosts = self._engine.where()
        if why := _why_none_can(hosts):
            if not self._or_here:
                raise UsageError(
                    f"no host of the lab can build: {why}",
                    "install the same there: pip install 'mobile-bench-harness[build]'",
                )
            self._say(f"no host of the lab can build ({why}), so this machine does")
            return {}
        cache, trained = Cache(site.cache), TrainedCache(site.cache)
        shared = _Shared(self._engine, self._function, cache, trained, tell, {}, set(), {})
        pieces = _pieces(jobs, site, shared)
        keys = [piece.key for piece in pieces]
        for host in filter(_able, hosts):
            with contextlib.suppress(OSError, TimeoutError):
                shared.has[host.name] = self._engine.has(host.address, keys)
        for piece in pieces:
            self._engine.submit(piece, piece.key)
        self._engine.gather()
        self._tell_where(pieces)
        for piece in pieces:
            if piece.refusal is not None:
                raise piece.refusal
        if any(piece.state == "stopped" for piece in pieces):
            raise KeyboardInterrupt
        return {
            variant: piece.failure
            for piece in pieces
            for variant in piece.makes
            if piece.failure is not None
        }

    def _tell_where(self, pieces: Sequence[Piece]) -> None:
        done: defaultdict[str, list[Piece]] = defaultdict(list)
        for piece in pieces:
            if piece.state == "done":
                done[piece.host].append(piece)
        for host, theirs in sorted(done.items()):
            trained = sum(piece.is_training for piece in theirs)
            built = len(theirs) - trained
            parts = [(trained, count(trained, "network") + " trained")]
            parts.append((built, count(built, "artifact") + " converted"))
            self._say(f"{host}: {', '.join(text for number, text in parts if number)}")


def _why_none_can(hosts: Sequence[HostOffer]) -> str:
    """Why no host can build; empty if one can."""
    if any(_able(host) for host in hosts):
        return ""
    ours = parcel.builds_with()
    told = [f"{host.name} {parcel.differing(host.builds_with, ours)}" for host in hosts]
    return "; ".join(told) or "it has no host"


def _able(host: HostOffer) -> bool:
    return host.builds > 0 and host.builds_with == parcel.builds_with()


class _Shared(NamedTuple):
    """What the pieces of one call have in common: the features that are being computed (`busy`),
    the name of the host that has which features, and the keys that each host has in its cache."""

    engine: Engine
    function: str
    cache: Cache
    trained: TrainedCache
    tell: Tell
    features: dict[str, str]
    busy: set[str]
    has: dict[str, frozenset[str]]


class Piece:
    """One training or conversion; a piece of AwayWork. `makes` are the variants whose artifact is
    made, none for a training; `variant` is the first one that needs it."""

    def __init__(
        self,
        shared: _Shared,
        job: BuildJob | Training,
        pack: Callable[[], Packed],
        needs: Sequence[Piece],
        variants: Sequence[str],
    ) -> None:
        self.key = job.key
        self.is_training = isinstance(job, Training)
        self.makes = () if self.is_training else tuple(variants)
        self.variant = variants[0]
        self.state = "waiting"  # done, failed or stopped
        self.failure: Failure | None = None
        self.refusal: UsageError | None = None
        self.host = ""
        self._shared, self._pack, self._needs = shared, pack, tuple(needs)
        self._features = job.request.features if isinstance(job, Training) else None
        self._stopping = False
        self._tries = 0
        self._lost_at: set[str] = set()
        self._nobody_since: float | None = None
        self._waiting_since: float | None = None
        self._place: Place | None = None

    def stop(self) -> None:
        """See AwayWork."""
        self._stopping = True

    def place(
        self, hosts: Sequence[HostOffer], free: Mapping[str, Mapping[str, float]]
    ) -> Place | Later:
        """See AwayWork."""
        for need in self._needs:
            if need.failure is not None:
                self.failure = need.failure
                return Later(need.failure.message, need.failure.fix, 0)
            if need.state != "done":
                return Later("it needs a network that is being trained", "", AS_LONG_AS_IT_TAKES)
        able = [host for host in hosts if _able(host)]
        if not able:
            return self._nobody(hosts)
        self._nobody_since = None
        if self._features is not None and self._features in self._shared.busy:
            return Later("another training computes the same features", "", AS_LONG_AS_IT_TAKES)
        # Features are computed once: whoever has them goes first.
        had = self._shared.features.get(self._features or "")
        able = [host for host in able if host.name == had] or able
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < HAS_IT_S:
            able = [host for host in able if all(self._suits(host))] or able
        found = places.best(able, free, lambda host: {BUILD: 1, PROCESSOR: 1}, self._suits)
        return found or Later("every host that can build is busy", "", AS_LONG_AS_IT_TAKES)

    def _suits(self, host: HostOffer) -> tuple[bool, bool]:
        """(it was not lost there, it is in that host's cache)."""
        return host.name not in self._lost_at, self.key in self._shared.has.get(host.name, ())

    def _nobody(self, hosts: Sequence[HostOffer]) -> Later:
        now = time.monotonic()
        self._nobody_since = self._nobody_since or now
        within = AS_LONG_AS_IT_TAKES if now - self._nobody_since < AWAY_S else 0
        why = _why_none_can(hosts)
        return Later(f"no host of the lab can build any more: {why}", "build again", within)

    def job(self, place: Place) -> Job:
        """See AwayWork."""
        self._place, self.host = place, place.host.name
        self._tries += 1
        if self._features is not None:
            self._shared.busy.add(self._features)
            self._shared.features[self._features] = self.host
        packed = self._pack()
        does = "train" if self.is_training else "convert"
        return Job(
            name=f"{does} {self.variant} {self.key[:12]}",
            run=RUN,
            function=self._shared.function,
            arguments=msgspec.json.encode(packed.parcel),
            files=packed.files,
        )

    def hear(self, event: bytes) -> bool:
        """See AwayWork."""
        step = msgspec.json.decode(event, type=Step)
        # "built" and "cached" are reported once the files are on this machine.
        if step.stage not in ("built", "cached", "failed"):
            stage = f"{step.stage} at {self.host}"
            # A network may be for several variants, and then its epochs belong to none of them.
            of_variant = msgspec.structs.replace(step, stage=stage, epoch=None)
            self._shared.tell(self.variant, of_variant)
        return True

    def ended(self, answer: bytes) -> Ending | None:
        """See AwayWork."""
        told = msgspec.json.decode(answer, type=Answer)
        if told.stopped:
            return self.lost(lost_work(f"{self.host} was stopped"))
        if told.failed is not None:
            message, fix = told.failed.message, f"{told.failed.fix} (at {self.host})".strip()
            self.failure = msgspec.structs.replace(told.failed, message=message, fix=fix)
            if told.usage:
                self.refusal = UsageError(f"{self.host}: {message}", told.failed.fix)
            return self._over("failed", "refused" if told.usage else "done")
        try:
            assert self._place is not None
            for made in told.made:
                receive(
                    made, self._shared.cache.root, self._shared.engine, self._place.host.address,
                    host=self.host, variant=self.variant,
                )  # fmt: skip
        except OSError as error:
            return self.lost(lost_work(f"{self.host} cannot be reached: {error}"))
        except UsageError as error:  # such as a full disk here
            self.refusal = error
            return self._over("failed", "refused")
        return self._over("done", "done")

    def lost(self, failure: Failure) -> Ending | None:
        """See AwayWork."""
        self._lost_at.add(self.host)
        if self._stopping:
            return self._over("stopped", "interrupted")
        if failure.transient and self._tries < TRIES:
            self._shared.busy.discard(self._features or "")
            self._shared.features.pop(self._features or "", None)
            return None
        self.failure = failure
        return self._over("failed", "done")

    def give_up(self, why: Later, *, stopped: bool) -> Ending:
        """See AwayWork."""
        if stopped:
            return self._over("stopped", "interrupted")
        if self.failure is None:
            self.failure = Failure(stage="lab", transient=True, message=why.why, fix=why.fix)
        return self._over("failed", "done")

    def _over(self, state: str, ending: Ending) -> Ending:
        self.state = state
        self._shared.busy.discard(self._features or "")
        if state in ("done", "failed"):
            stage = "built" if state == "done" else "failed"
            for variant in self.makes:
                self._shared.tell(variant, Step(stage=stage))
        return ending

    def waiting(self, why: Later, left_s: float) -> None:
        """See AwayWork."""


def receive(
    made: Made, cache: Path, engine: Engine, address: str, *, host: str, variant: str
) -> None:
    """One folder of the cache of the host at `address` into this machine's `cache`, whole or not at
    all. Raises OSError if it cannot be fetched, UsageError if it does not belong in a cache."""
    if made.kind not in BUILT or not set(made.files) <= set(FILES):
        raise UsageError(f"{host} sent something that is not an artifact", "")
    trained, artifacts = TrainedCache(cache), Cache(cache)
    of: Folders = trained if made.kind == TRAINED else artifacts
    with of.lock(made.key):
        of.note_use(made.key, variant)
        if trained.has(made.key) if of is trained else artifacts.intact(made.key):
            return
        with of.building(made.key) as folder:
            for name, digest in made.files.items():
                _fetch(engine, address, digest, folder / name)
        of.note_use(made.key, variant)


def _fetch(engine: Engine, address: str, digest: str, path: Path) -> None:
    try:
        with path.open("wb") as out:
            engine.fetch(address, digest, out.write)
    except UsageError as error:
        raise OSError(error.message) from None
    if files.sha256(path) != digest:
        raise OSError(f"{path.name} arrived damaged")


def _pieces(jobs: Sequence[BuildJob], site: Site, shared: _Shared) -> list[Piece]:
    """One piece of work for each network that is not here and for each artifact; those that others
    need come first."""
    dataset = site.material.dataset if site.material else None
    drawn = dataset.drawn if isinstance(dataset, DemoSet) else None
    packer = Packer(site.cache, site.representative, drawn)
    trainings: dict[str, Piece] = {}
    for job in jobs:
        for training in job.trainings:
            shared.trained.note_use(training.key, job.variant)
            if training.key in trainings or shared.trained.has(training.key):
                continue
            needs = [trainings[n.key] for n in training.needs if n.key in trainings]

            def pack(training: Training = training, variant: str = job.variant) -> Packed:
                return packer.training(training, variant)

            made = Piece(shared, training, pack, needs, [job.variant])
            trainings[training.key] = made
    if trainings and site.material is not None and drawn is None:
        site.material.save()
    by_key: defaultdict[str, list[BuildJob]] = defaultdict(list)
    for job in jobs:
        by_key[job.key].append(job)
    conversions = []
    for same in by_key.values():
        needs = [trainings[t.key] for t in same[0].trainings if t.key in trainings]
        recipes = tuple(dict.fromkeys(j.afterwards for j in same if j.afterwards))

        def convert(job: BuildJob = same[0], recipes: tuple[str, ...] = recipes) -> Packed:
            return packer.artifact(job, recipes)

        conversions.append(Piece(shared, same[0], convert, needs, [j.variant for j in same]))
    return [*trainings.values(), *conversions]
