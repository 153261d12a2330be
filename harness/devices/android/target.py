"""A phone: push once, then one fresh process of the runner per launch, measured when it is fit.

The phone is left as it was found: the work folder removed, fixed-performance mode off, whatever
happened, as long as it can be reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import MeasurementError, TransientDeviceError
from harness.core.specs import AndroidSpec
from harness.core.text import plain_name
from harness.core.types import (
    Artifact,
    Case,
    Conditions,
    DeviceFacts,
    Drawn,
    Finding,
    Launch,
    Minute,
    Timing,
)
from harness.core.units import NS_PER_S
from harness.devices import Examples
from harness.devices.android import app as apps
from harness.devices.android import energy, facts, guards
from harness.devices.android import minutes as minutes_of
from harness.devices.android.answering import Answering
from harness.devices.android.extras import (
    MEMORY_FIELDS,
    MEMORY_ROUNDS,
    NO_MEMORY,
    Extras,
    Observer,
)
from harness.devices.android.link import PhoneLink
from harness.devices.android.starting import CachedStarts
from harness.devices.android.tool import PhoneTool
from harness.devices.runners import benchmark_model as runner
from harness.devices.transports import Transport
from harness.system import plugins
from harness.system.clock import now_iso

MINUTE_NS = 60_000_000_000

_SUMMARY_ONLY = "benchmark_model reports a summary, not single iterations"
T = TypeVar("T")

_NOT_SEEN = "not observable from outside the process on a phone"
_NOT_SEEN_FIELDS = (
    "rss_before_load_bytes",
    "rss_after_load_bytes",
    "rss_warm_bytes",
    "rss_end_bytes",
    "rss_anon_bytes",
    "rss_file_bytes",
    "arena_bytes",
)


def open_target(name: str, spec: AndroidSpec, log_dir: Path, attendant: Attendant) -> AndroidTarget:
    """Connect to the phone and learn what it is. Raises DeviceErrors and UsageErrors."""
    module = plugins.load("harness.devices.transports", spec.transport)
    transport = module.open_transport(spec, attendant)
    target = AndroidTarget(name, spec, transport, log_dir, attendant)
    try:
        target.open()
    except BaseException:
        target.close()
        raise
    return target


class _Observed(NamedTuple):
    """The timed part of a launch."""

    started_at: str
    wall_ns: int
    outcome: runner.Outcome
    before: Conditions
    after: Conditions
    notes: list[Finding]
    minutes: tuple[Minute, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    absent: Mapping[str, str] = {}
    set_aside: _Observed | None = None


class AndroidTarget:
    """See the module."""

    def __init__(
        self,
        name: str,
        spec: AndroidSpec,
        transport: Transport,
        log_dir: Path,
        attendant: Attendant,
    ) -> None:
        self.name = name
        self._spec = spec
        self._attendant = attendant
        self.link = PhoneLink(spec, transport, attendant, log_dir.parent.name)
        self._log = log_dir / f"{plain_name(name)}.log"
        self._tool: PhoneTool | None = None
        self._app: apps.PhoneApp | None = None
        self._inputs: dict[str, Path] = {}

    # --- the seam ---

    def facts(self) -> DeviceFacts:
        """See Target. `identity` names the model of the phone and its software, not the individual
        phone."""
        return self._resumed(self._facts)

    def _facts(self) -> DeviceFacts:
        self.install()
        phone = self.link.identity
        now = self._conditions()
        extra = {
            "serial": phone.serial,
            "runner_sha256": self.tool.sha256,
            "app_sha256": self._app.sha256 if self._app else None,
            "fingerprint": phone.fingerprint,
            "sdk": str(phone.sdk),
            "max_khz": " ".join(str(c.max_khz) for c in phone.cores),
            "governor": now.governor,
            "battery": f"{now.battery_percent} %" if now.battery_percent is not None else None,
            "thermal_status": str(now.thermal_status) if now.thermal_status is not None else None,
            "affinity": " ".join(mask or "all" for mask in self.tool.masks.values()),
            **self._named_cores(),
            "fixed_performance": "on" if self.link.fixed_performance else "off",
        }
        parts = (phone.model, phone.soc, f"Android {phone.android}", phone.abi)
        return DeviceFacts(
            name=self.name,
            kind="android",
            identity=" / ".join(p for p in parts if p),
            model=phone.model,
            os=f"Android {phone.android}" if phone.android else None,
            abi=phone.abi,
            cpu=phone.soc,
            cores=len(phone.cores) or None,
            ram_bytes=phone.ram_bytes,
            emulated=phone.emulated,
            runtimes={"benchmark_model": self.tool.version()}
            | ({apps.TOOL: self._app.version()} if self._app else {}),
            extra={k: v for k, v in extra.items() if v is not None},
        )

    def _named_cores(self) -> dict[str, str | None]:
        """What the groups of cores are, where several are compared."""
        cores = self.link.identity.cores
        return {
            f"cores {name}": facts.cores_of(mask, cores) or None
            for name, mask in self.tool.masks.items()
            if name
        }

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """See Target. On the phone files get the harness's own names, without anything from the
        user's names."""
        self._resumed(lambda: self._install_model(artifact))
        self._inputs[artifact.sha256] = inputs

    def install(self) -> None:
        """The work folder, steady clocks and the runner; what is there already stays."""
        self.link.make_ready()
        self.tool.install()
        if self._app is not None:
            self._app.install()

    def _install_model(self, artifact: Artifact) -> None:
        self.install()
        place = self.tool.model_path(artifact)
        self.link.bring(Path(artifact.path), place, artifact.sha256)

    def _installed(self, artifact: Artifact, work: Callable[[], T]) -> T:
        self._install_model(artifact)
        return work()

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """See Target. The first rounds also have launches of their own for memory and the like. A
        phone that is gone is waited for, once, and the launch begun again; once it has finished it
        is kept, whatever happens later."""
        observed = self._observe(case, artifact, timing)
        extra = self._besides(case, artifact, timing, index)
        return self._launched(case, index, observed, extra)

    def answer(self, case: Case, artifact: Artifact, examples: Examples, first: int) -> bytes:
        """See Target. Answers that the phone gave before it went away are kept."""
        asked = Answering(self.tool, self.link, self._spec.launch_timeout_s)
        return self._resumed(
            lambda: self._installed(artifact, lambda: asked.answer(case, artifact, examples, first))
        )

    def close(self) -> None:
        """See Target."""
        self.link.close()

    def _resumed(self, work: Callable[[], T]) -> T:
        """Do `work`; if the phone goes away, wait for it and do it once more."""
        try:
            return work()
        except TransientDeviceError as error:
            if error.stage in guards.UNFIT:
                raise
            going_on = "trying again" if error.stage == "push" else "waiting for the phone"
            self._attendant.say(f"{error.message}; {going_on}")
            self.link.recover()
            return work()

    # --- opening ---

    def open(self) -> None:
        """Connect, learn what phone it is."""
        self.link.open()
        self._tool = PhoneTool(self._spec, self.link, self._log)
        if self._spec.runner.tool == apps.TOOL:
            self._app = apps.PhoneApp(self._spec, self.link, self._log)

    @property
    def tool(self) -> PhoneTool:
        """The runner; after `open`."""
        assert self._tool is not None
        return self._tool

    # --- launching ---

    def _launched(self, case: Case, index: int, observed: _Observed, extra: Extras) -> Launch:
        aside = observed.set_aside
        unobserved = dict.fromkeys(MEMORY_FIELDS, "a launch that was set aside")
        absent = dict.fromkeys(("latency_ns", "warmup_ns"), _SUMMARY_ONLY)
        absent |= {**dict.fromkeys(_NOT_SEEN_FIELDS, _NOT_SEEN), **extra.absent, **observed.absent}
        notes = [*observed.notes, *observed.outcome.notes, *extra.notes]
        if observed.after.thermal_status is None:
            notes.append(guards.no_thermal_status())
        if self.link.clocks_refused:
            notes.append(guards.no_fixed_performance(self.link.clocks_refused))
        return Launch(
            case=case.id,
            index=index,
            order=0,
            started_at=observed.started_at,
            wall_ns=observed.wall_ns,
            init_ns=observed.outcome.init_ns,
            first_inference_ns=observed.outcome.first_inference_ns,
            init_cached_ns=extra.init_cached_ns,
            first_inference_cached_ns=extra.first_inference_cached_ns,
            warmup_summary=observed.outcome.warmup,
            latency_summary=observed.outcome.latency,
            clock_resolution_ns=runner.RESOLUTION_NS,
            op_times=extra.op_times,
            minutes=observed.minutes,
            drawn=observed.drawn,
            peak_rss_bytes=extra.peak_rss_bytes,
            pss_bytes=extra.pss_bytes,
            counters=observed.outcome.counters,
            outputs=extra.outputs,
            reference=extra.reference,
            before=observed.before,
            after=observed.after,
            absent=absent,
            notes=tuple(notes),
            set_aside=aside and self._launched(case, index, aside, Extras(absent=unobserved)),
        )

    def _observe(self, case: Case, artifact: Artifact, timing: Timing) -> _Observed:
        """One launch on a cool phone; when it becomes hot, one more. If it cannot be repeated, the
        hot launch is kept and makes the case invalid. Under a sustained load it may become hot."""
        sustained = timing.sustained_ns is not None
        timed = self._sustained if sustained else self._timed

        def once() -> _Observed:
            return self._resumed(
                lambda: self._installed(artifact, lambda: timed(case, artifact, timing))
            )

        first = once()
        if sustained or not guards.too_hot(self._spec.guards, first.after):
            return first
        self._attendant.say("became hot during the launch; measuring it again")
        try:
            second = once()
        except MeasurementError as error:
            why = error.message
        except KeyboardInterrupt:
            self._attendant.stopping.set()
            why = "interrupted"
        else:
            again = guards.too_hot(self._spec.guards, second.after)
            notes = [guards.throttled(second.after) if again else guards.repeated(first.after)]
            aside = first._replace(notes=[guards.suspect(first.after)])
            return second._replace(notes=notes, set_aside=aside)
        self._attendant.say(f"{why}; the hot launch is kept and makes it invalid")
        return first._replace(notes=[guards.unrepeated(first.after, why)])

    def _timed(self, case: Case, artifact: Artifact, timing: Timing) -> _Observed:
        before = self._await_fit()
        started_at, began = now_iso(), time.monotonic_ns()
        if self._app is not None and case.runtime == apps.TOOL:
            outcome = self._app.measure(case, self.tool.model_path(artifact), timing)
        else:
            outcome = self.tool.measure(case, artifact, timing)
        wall_ns = time.monotonic_ns() - began
        return _Observed(started_at, wall_ns, outcome, before, self._conditions(), [])

    def _sustained(self, case: Case, artifact: Artifact, timing: Timing) -> _Observed:
        """Begins on a cool phone and lets it become hot. The runner reports only a
        summary, so it is started once for each minute, which adds its loading time to each."""
        total = timing.sustained_ns or 0
        span = min(MINUTE_NS, total // 2)  # there is always a start and an end
        before = after = self._await_fit()
        meter = energy.Meter(self.link, self._attendant, total / NS_PER_S)
        meter.begin(before)
        started_at, began = now_iso(), time.monotonic_ns()
        outcomes: list[runner.Outcome] = []
        minutes: list[Minute] = []
        for number in range(1, round(total / span) + 1):
            stretch = msgspec.structs.replace(
                timing,
                min_time_ns=span,
                min_iterations=1,
                min_warmup=1 if number == 1 else 0,
                warmup_time_ns=timing.warmup_time_ns if number == 1 else 0,
            )
            outcomes.append(self.tool.measure(case, artifact, stretch, beside=meter.beside))
            after = self._conditions()
            meter.loaded(outcomes[-1].latency, stretch, after)
            minutes.append(minutes_of.minute(outcomes[-1].latency, after))
            self._attendant.show(minutes_of.progress(number, round(total / span), minutes[-1]))
        outcome = outcomes[0]._replace(latency=minutes_of.whole([o.latency for o in outcomes]))
        wall_ns = time.monotonic_ns() - began
        return _Observed(
            started_at=started_at,
            wall_ns=wall_ns,
            outcome=outcome,
            before=before,
            after=after,
            minutes=tuple(minutes),
            drawn=meter.end(),
            notes=energy.notes(meter),
            absent=energy.absent_fields(meter),
        )

    def _besides(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Extras:
        """Memory in the first rounds, a profile and answers in the very first, and in every round a
        cached start."""
        if case.runtime == apps.TOOL:
            return Extras(absent=dict.fromkeys(MEMORY_FIELDS, "not read from an app"))
        observer = Observer(
            self.tool,
            self._attendant,
            lambda work: self._resumed(lambda: self._installed(artifact, work)),
            log=self._log,
            timeout_s=self._spec.launch_timeout_s,
        )
        if index < MEMORY_ROUNDS:
            extras = observer.memory(case, artifact)
        else:
            extras = Extras(absent=dict.fromkeys(MEMORY_FIELDS, NO_MEMORY))
        if index == 0:
            inputs = self._inputs[artifact.sha256]
            observer.observe(extras, case, artifact, timing, inputs)
        if timing.cached_start:
            observer.start_cached(extras, CachedStarts(self.tool, self.link), case, artifact)
        return extras

    def _conditions(self) -> Conditions:
        return facts.read_conditions(self.link.ask(facts.CONDITION_QUESTIONS))

    def _await_fit(self) -> Conditions:
        return guards.await_fit(self._spec.guards, self._conditions, self._attendant)
