"""A phone: push once, then one fresh process of the runner per launch, measured when it is fit.

The phone is left as it was found: the work folder removed, fixed-performance mode off, whatever
happened, as long as it can be reached.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median_low
from typing import NamedTuple, TypeVar

import msgspec

from harness import plugins
from harness.core.attendant import Attendant
from harness.core.errors import (
    ConfigError,
    StableDeviceError,
    TransientDeviceError,
    UsageError,
    WorkerError,
)
from harness.core.specs import AndroidSpec, DeviceSpec
from harness.core.text import clean, clean_lines
from harness.core.types import (
    Artifact,
    Case,
    Conditions,
    DeviceFacts,
    Finding,
    LatencySummary,
    Launch,
    Minute,
    OpTime,
    Outputs,
    Timing,
)
from harness.runners import PHASES
from harness.runners import benchmark_model as runner
from harness.runners._download import DEFAULT_VERSION, locate
from harness.targets import _guards, _parity, _phone, host
from harness.targets._link import PhoneLink
from harness.transports import ShellResult, Transport

MINUTE_NS = 60_000_000_000
SDK_TASK_PROFILES = 33

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

# Short: it is there for its memory only.
_MEMORY_TIMING = Timing(
    min_time_ns=0, min_iterations=3, max_iterations=3, warmup_time_ns=0, min_warmup=1, max_warmup=1
)


def open_target(name: str, spec: DeviceSpec, log_dir: Path, attendant: Attendant) -> AndroidTarget:
    """Connect to the phone and learn what it is. Raises DeviceErrors and UsageErrors."""
    assert isinstance(spec, AndroidSpec)
    transport = plugins.load("transports", spec.transport).open_transport(spec, attendant)
    target = AndroidTarget(name, spec, transport, log_dir, attendant)
    try:
        target.open()
    except BaseException:
        target.close()
        raise
    return target


_PROFILE_TIMING = msgspec.structs.replace(_MEMORY_TIMING, min_iterations=10)
_ANSWER_TIMING = msgspec.structs.replace(_MEMORY_TIMING, min_iterations=1, min_warmup=0)


class _Observed(NamedTuple):
    """The timed part of a launch."""

    started_at: str
    wall_ns: int
    outcome: runner.Outcome
    before: Conditions
    after: Conditions
    notes: list[Finding]
    minutes: tuple[Minute, ...] = ()


@dataclass
class _Extras:
    """What the first round observes besides."""

    peak_rss_bytes: int | None = None
    pss_bytes: int | None = None
    op_times: tuple[OpTime, ...] = ()
    outputs: Outputs | None = None
    reference: Outputs | None = None
    absent: dict[str, str] = field(default_factory=dict)


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
        self.link = PhoneLink(spec, transport, attendant)
        self._log = log_dir / f"{_file_name(name)}.log"
        self._mask: str | None = None
        self._runner: str | None = None
        self._dialect: runner.Dialect = "A"
        self._inputs: dict[str, Path] = {}

    # --- the seam ---

    def facts(self) -> DeviceFacts:
        """See Target. `identity` is the model of phone and of its software, not the single one."""
        phone = self.link.identity
        now = self._conditions()
        extra = {
            "serial": phone.serial,
            "fingerprint": phone.fingerprint,
            "sdk": str(phone.sdk),
            "max_khz": " ".join(str(c.max_khz) for c in phone.cores),
            "governor": now.governor,
            "battery": f"{now.battery_percent} %" if now.battery_percent is not None else None,
            "thermal_status": str(now.thermal_status) if now.thermal_status is not None else None,
            "affinity": self._mask or "all",
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
            runtimes={self._spec.runner.tool: self.runner_version()},
            extra={k: v for k, v in extra.items() if v is not None},
        )

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """See Target. Files get names of ours on the phone; nothing of the user's is in them."""
        self._resumed(lambda: self._install_model(artifact))
        self._inputs[artifact.sha256] = inputs

    def install(self) -> None:
        """The work folder, steady clocks and the runner; what is there already stays."""
        self.link.make_ready()
        if self._runner is None:
            self._install_runner()

    def _install_model(self, artifact: Artifact) -> None:
        self.install()
        self.link.push(Path(artifact.path), self._model_path(artifact))

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """See Target. The first round also has a launch of its own for memory. A phone that is
        gone is waited for, once, and the launch begun again."""
        return self._resumed(lambda: self._launch(case, artifact, timing, index))

    def close(self) -> None:
        """See Target. Never raises; what could not be undone is said."""
        self.link.close()

    def _resumed(self, work: Callable[[], T]) -> T:
        """Do it; if the phone goes away, wait for it and do it once more."""
        try:
            return work()
        except TransientDeviceError as error:
            self._attendant.say(f"{error.message}; waiting for the phone")
            self.link.recover()
            return work()

    # --- opening ---

    def open(self) -> None:
        """Connect, learn what phone it is."""
        self.link.open()
        try:
            self._mask = _phone.core_mask(self._spec.affinity, self.link.identity.cores)
        except ValueError as error:
            raise ConfigError(
                f"{self.name}: affinity {self._spec.affinity!r}: {error}",
                "write all, big or a hexadecimal mask such as f0",
            ) from None

    def _install_runner(self) -> None:
        spec = self._spec.runner
        if spec.tool != "benchmark_model":
            raise plugins.unknown("runner", spec.tool, plugins.names("runners"))
        if spec.device_path:
            path = spec.device_path
            self._check_device_runner(path)
        else:
            local = locate(spec, self.link.identity.abi or "unknown", self.link.progress("runner"))
            path = f"{self.link.work}/benchmark_model"
            self.link.push(local, path)
        result = self.link.shell(f"{shlex.quote(path)} --help")
        if result.exit_code in (126, 127) or result.exit_code > 128:
            raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
        if spec.dialect == "auto":
            self._dialect = runner.dialect_of(_text(result.stdout) + _text(result.stderr))
        else:
            self._dialect = spec.dialect
        self._runner = path

    def _check_device_runner(self, path: str) -> None:
        wanted = self._spec.runner.sha256
        if wanted is None:
            return
        result = self.link.shell(f"sha256sum < {shlex.quote(path)}")
        got = clean(result.stdout).split(" ")[0]
        if got != wanted.lower():
            raise UsageError(
                f"the runner {path} on the phone has SHA-256 {got or 'unknown'}, not {wanted}",
                "correct runner.sha256 in devices.yaml if you trust the file",
            )

    def runner_version(self) -> str:
        """Which build of the runner, and its dialect."""
        spec = self._spec.runner
        where = spec.version or ("on the phone" if spec.device_path else None)
        return f"{where or ('local file' if spec.path else DEFAULT_VERSION)}, {self._dialect}"

    # --- launching ---

    def _launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        if timing.sustained_ns is not None:
            observed = self._sustained(case, artifact, timing)
        else:
            observed = self._cool_launch(case, artifact, timing)
        extra = self._extras(case, artifact, timing) if index == 0 else _Extras()
        absent = dict.fromkeys(("latency_ns", "warmup_ns"), _SUMMARY_ONLY)
        absent |= dict.fromkeys(_NOT_SEEN_FIELDS, _NOT_SEEN) | extra.absent
        notes = [*observed.notes, *observed.outcome.notes]
        if observed.after.thermal_status is None:
            notes.append(_guards.no_thermal_status())
        if extra.peak_rss_bytes is None:
            why = "measured in the first round only" if index else "the phone hides /proc/PID"
            absent |= dict.fromkeys(("peak_rss_bytes", "pss_bytes"), why)
        return Launch(
            case=case.id,
            index=index,
            order=0,
            started_at=observed.started_at,
            wall_ns=observed.wall_ns,
            init_ns=observed.outcome.init_ns,
            first_inference_ns=observed.outcome.first_inference_ns,
            warmup_summary=observed.outcome.warmup,
            latency_summary=observed.outcome.latency,
            op_times=extra.op_times,
            minutes=observed.minutes,
            peak_rss_bytes=extra.peak_rss_bytes,
            pss_bytes=extra.pss_bytes,
            counters=observed.outcome.counters,
            outputs=extra.outputs,
            reference=extra.reference,
            before=observed.before,
            after=observed.after,
            absent=absent,
            notes=tuple(notes),
        )

    def _cool_launch(self, case: Case, artifact: Artifact, timing: Timing) -> _Observed:
        """One launch on a cool phone; when it becomes hot, one more."""
        notes: list[Finding] = []
        for attempt in (1, 2):
            before = self._await_fit()
            started_at, began = _now(), time.monotonic_ns()
            outcome = self._measure(case, artifact, timing)
            wall_ns = time.monotonic_ns() - began
            after = self._conditions()
            if not _guards.too_hot(self._spec.guards, after):
                break
            if attempt == 1:
                self._attendant.say("became hot during the launch, which is measured again")
                notes.append(_guards.repeated(after))
        else:
            notes = [_guards.throttled(after)]
        return _Observed(started_at, wall_ns, outcome, before, after, notes)

    def _sustained(self, case: Case, artifact: Artifact, timing: Timing) -> _Observed:
        """Begins on a cool phone and lets it become hot. The runner tells no course of time, so
        it is started anew for every minute, which takes a moment of loading each."""
        total = timing.sustained_ns or 0
        span = min(MINUTE_NS, total // 2)  # there is always a start and an end
        before = after = self._await_fit()
        started_at, began = _now(), time.monotonic_ns()
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
            outcomes.append(self._measure(case, artifact, stretch))
            after = self._conditions()
            minutes.append(_minute(outcomes[-1].latency, after))
            self._attendant.show(_progress(number, round(total / span), minutes[-1]))
        outcome = outcomes[0]._replace(latency=_whole([o.latency for o in outcomes]))
        wall_ns = time.monotonic_ns() - began
        return _Observed(started_at, wall_ns, outcome, before, after, [], tuple(minutes))

    def _extras(self, case: Case, artifact: Artifact, timing: Timing) -> _Extras:
        """What is observed once for a case, each in launches of its own. What cannot be had does
        not spoil what can."""
        peak, pss = self._memory(case, artifact)
        extras = _Extras(peak_rss_bytes=peak, pss_bytes=pss)
        if timing.profile:
            try:
                extras.op_times = self._profile(case, artifact)
            except (WorkerError, StableDeviceError) as error:
                extras.absent["op_times"] = error.message
        if timing.parity:
            try:
                extras.outputs = self._answers(case, artifact)
                extras.reference = self._answers_of_host(artifact, extras.outputs.input_source)
            except (WorkerError, StableDeviceError) as error:
                extras.outputs = None
                extras.absent["reference"] = error.message
        return extras

    def _profile(self, case: Case, artifact: Artifact) -> tuple[OpTime, ...]:
        """The most expensive operators; timing each of them slows the whole down, so nothing else
        is taken from this launch."""
        if self._dialect == "B":
            raise StableDeviceError("profile", "LiteRT's benchmark_model prints no such profile")
        return self._measure(case, artifact, _PROFILE_TIMING, profile=True).op_times

    def _answers(self, case: Case, artifact: Artifact) -> Outputs:
        """What the phone answers to the input set, one launch for each example."""
        if why := _parity.refusal(artifact):
            raise StableDeviceError("parity", why)
        answers = []
        output = f"{self.link.work}/output.bin"
        for example in _parity.examples(self._inputs[artifact.sha256]):
            inputs = []
            for number, tensor in enumerate(example):
                # The tool goes by the order and only warns of names: awkward ones stay here.
                name = f"input{number}"
                self.link.push_bytes(tensor.data, f"{self.link.work}/{name}")
                inputs.append(runner.Input(name, tensor.shape, f"{self.link.work}/{name}"))
            arguments = runner.arguments(
                self._dialect,
                self._model_path(artifact),
                case,
                _ANSWER_TIMING,
                max_secs=self._spec.launch_timeout_s / PHASES,
                inputs=inputs,
                output_path=output,
            )
            result = self._run(
                f"rm -f {shlex.quote(output)}", arguments, self._spec.launch_timeout_s
            )
            if result.exit_code:
                raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
            answers.append(self.link.read_file(output) or b"")
        return _parity.outputs(answers, artifact.outputs, "the input set")

    def _answers_of_host(self, artifact: Artifact, source: str) -> Outputs:
        answers = host.answers(
            artifact,
            self._inputs[artifact.sha256],
            log=self._log,
            timeout_s=self._spec.launch_timeout_s,
            attendant=self._attendant,
        )
        return msgspec.structs.replace(answers, input_source=source)

    def _measure(
        self, case: Case, artifact: Artifact, timing: Timing, profile: bool = False
    ) -> runner.Outcome:
        """One fresh process."""
        timeout = self._spec.launch_timeout_s + timing.min_time_ns / 1e9 * PHASES
        result_path = f"{self.link.work}/results.pb"
        arguments = runner.arguments(
            self._dialect,
            self._model_path(artifact),
            case,
            timing,
            max_secs=timeout / PHASES,
            result_path=result_path,
            profile=profile,
            signature=artifact.signature,
        )
        result = self._run(f"rm -f {shlex.quote(result_path)}", arguments, timeout)
        stdout, stderr = _text(result.stdout), _text(result.stderr)
        self._write_log(case.id, arguments, result.exit_code, stdout, stderr)
        file = None if result.exit_code else self.link.read_file(result_path)
        return runner.interpret(
            result.exit_code,
            stdout,
            stderr,
            delegate=case.delegate,
            result_file=file,
            profile=profile,
        )

    def _run(self, first: str, arguments: list[str], timeout: float) -> ShellResult:
        """The runner as the only process of its shell, its PID in a file so that it can be ended
        when it hangs. Raises WorkerError if it hangs and the phone does not."""
        command = (
            f"cd {shlex.quote(self.link.work)} && {first}; echo $$ > pid; {self._prelude()}"
            f"exec {self._prefix()}{shlex.join([self._runner or '', *arguments])}"
        )
        began = time.monotonic()
        try:
            return self.link.shell(command, timeout)
        except TransientDeviceError:
            if time.monotonic() - began < timeout:
                raise
            self.link.kill_runner()  # raises if it is the phone that does not answer
            raise WorkerError(
                "launch",
                f"benchmark_model did not end within {timeout:g} s",
                "raise launch_timeout_s in devices.yaml, or " + runner.OTHER_RUNNER,
            ) from None

    def _prelude(self) -> str:
        """Let the scheduler treat us like a foreground app, where there is the command for it."""
        if self.link.identity.sdk < SDK_TASK_PROFILES:
            return ""
        return "settaskprofile $$ MaxPerformance >/dev/null 2>&1; "

    def _prefix(self) -> str:
        return f"taskset {self._mask} " if self._mask else ""

    def _memory(self, case: Case, artifact: Artifact) -> tuple[int | None, int | None]:
        """Peak RSS and PSS in bytes, polled in a launch of its own so that nothing timed pays for
        it; None where the phone does not show them."""
        arguments = runner.arguments(
            self._dialect,
            self._model_path(artifact),
            case,
            _MEMORY_TIMING,
            max_secs=60,
            signature=artifact.signature,
        )
        run = f"{self._prefix()}{shlex.join([self._runner or '', *arguments])}"
        command = f"cd {shlex.quote(self.link.work)} && {_POLL_MEMORY.replace('@RUN@', run)}"
        result = self.link.shell(command, self._spec.launch_timeout_s)
        if result.exit_code:
            raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
        fields = _text(result.stdout).split()[-2:]
        sizes = [int(f) * 1024 or None for f in fields if f.isdecimal()]
        return (sizes[0], sizes[1]) if len(sizes) == 2 else (None, None)

    def _conditions(self) -> Conditions:
        return _phone.read_conditions(self.link.ask(_phone.CONDITION_QUESTIONS))

    def _await_fit(self) -> Conditions:
        return _guards.await_fit(self._spec.guards, self._conditions, self._attendant)

    # --- files ---

    def _model_path(self, artifact: Artifact) -> str:
        return f"{self.link.work}/{artifact.sha256[:16]}.tflite"

    def _write_log(
        self, case_id: str, arguments: list[str], status: int, stdout: str, stderr: str
    ) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as file:
            command = shlex.join([self._spec.runner.tool, *arguments])
            file.write(f"# {_now()} {case_id}\n$ {command}\n{stdout}{stderr}# status {status}\n\n")


# Starts the runner, remembers the highest values while it lives, prints them in KiB.
_POLL_MEMORY = """{
@RUN@ >/dev/null 2>memory.err & p=$!; echo $p > pid; hwm=0; pss=0
while kill -0 $p 2>/dev/null; do
  while read -r key value unit; do
    case $key in VmHWM:) [ "$value" -gt "$hwm" ] && hwm=$value;; esac
  done < /proc/$p/status
  while read -r key value unit; do
    case $key in Pss:) [ "$value" -gt "$pss" ] && pss=$value;; esac
  done < /proc/$p/smaps_rollup
  sleep 0.05
done
wait $p; status=$?
[ $status -eq 0 ] || cat memory.err
echo "$hwm $pss"
exit $status
} 2>/dev/null"""


def _minute(latency: LatencySummary, after: Conditions) -> Minute:
    return Minute(
        iterations=latency.count,
        median_ns=latency.median_ns,
        mean_ns=latency.mean_ns or latency.median_ns,
        temperature_c=after.temperature_c,
        thermal_status=after.thermal_status,
    )


def _progress(number: int, count: int, minute: Minute) -> str:
    heat = "" if minute.temperature_c is None else f", {minute.temperature_c:.1f} °C"
    return f"sustained, {number} of {count}: {1e9 / minute.mean_ns:.3g} inferences/s{heat}"


def _whole(parts: list[LatencySummary]) -> LatencySummary:
    """The summary of all stretches, as far as it follows from theirs; the median is that of the
    stretches' medians."""
    count = sum(p.count for p in parts)
    means = [p.mean_ns * p.count for p in parts if p.mean_ns is not None]
    lows = [p.min_ns for p in parts if p.min_ns is not None]
    highs = [p.max_ns for p in parts if p.max_ns is not None]
    return LatencySummary(
        count=count,
        median_ns=median_low([p.median_ns for p in parts]),
        mean_ns=sum(means) // count if len(means) == len(parts) else None,
        min_ns=min(lows, default=None),
        max_ns=max(highs, default=None),
    )


def _text(data: bytes) -> str:
    return clean_lines(data)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
