"""A phone: push once, then one fresh process of the runner per launch, measured when it is fit.

The phone is left as it was found: the work folder removed, fixed-performance mode off, whatever
happened, as long as it can be reached.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

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
from harness.core.types import Artifact, Case, Conditions, DeviceFacts, Finding, Launch, Timing
from harness.runners import benchmark_model as runner
from harness.runners._download import DEFAULT_VERSION, locate
from harness.targets import _phone
from harness.targets._link import PhoneLink
from harness.transports import ShellResult, Transport

POLL_S = 2.0
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
        notes: list[Finding] = []
        for attempt in (1, 2):
            before = self._await_fit()
            started_at, began = _now(), time.monotonic_ns()
            outcome = self._measure(case, artifact, timing)
            wall_ns = time.monotonic_ns() - began
            after = self._conditions()
            if not self._too_hot(after):
                break
            if attempt == 1:
                self._attendant.say("became hot during the launch, which is measured again")
                notes.append(_repeated(after))
        else:
            notes = [_throttled(after)]
        absent = dict.fromkeys(("latency_ns", "warmup_ns"), _SUMMARY_ONLY)
        absent |= dict.fromkeys(_NOT_SEEN_FIELDS, _NOT_SEEN)
        if after.thermal_status is None:
            notes.append(_no_thermal_status())
        peak, pss = self._memory(case, artifact) if index == 0 else (None, None)
        if peak is None:
            why = "measured in the first round only" if index else "the phone hides /proc/PID"
            absent |= dict.fromkeys(("peak_rss_bytes", "pss_bytes"), why)
        return Launch(
            case=case.id,
            index=index,
            order=0,
            started_at=started_at,
            wall_ns=wall_ns,
            init_ns=outcome.init_ns,
            first_inference_ns=outcome.first_inference_ns,
            warmup_summary=outcome.warmup,
            latency_summary=outcome.latency,
            peak_rss_bytes=peak,
            pss_bytes=pss,
            counters=outcome.counters,
            before=before,
            after=after,
            absent=absent,
            notes=(*notes, *outcome.notes),
        )

    def _measure(self, case: Case, artifact: Artifact, timing: Timing) -> runner.Outcome:
        """One fresh process."""
        timeout = self._spec.launch_timeout_s
        result_path = f"{self.link.work}/results.pb"
        arguments = runner.arguments(
            self._dialect,
            self._model_path(artifact),
            case,
            timing,
            max_secs=timeout / 3,  # warm-up, iterations, and the rest
            result_path=result_path,
        )
        result = self._run(f"rm -f {shlex.quote(result_path)}", arguments, timeout)
        stdout, stderr = _text(result.stdout), _text(result.stderr)
        self._write_log(case.id, arguments, result.exit_code, stdout, stderr)
        file = None if result.exit_code else self.link.read_file(result_path)
        return runner.interpret(
            result.exit_code, stdout, stderr, delegate=case.delegate, result_file=file
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
            self._dialect, self._model_path(artifact), case, _MEMORY_TIMING, max_secs=60
        )
        run = f"{self._prefix()}{shlex.join([self._runner or '', *arguments])}"
        command = f"cd {shlex.quote(self.link.work)} && {_POLL_MEMORY.replace('@RUN@', run)}"
        result = self.link.shell(command, self._spec.launch_timeout_s)
        if result.exit_code:
            raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
        fields = _text(result.stdout).split()[-2:]
        sizes = [int(f) * 1024 or None for f in fields if f.isdecimal()]
        return (sizes[0], sizes[1]) if len(sizes) == 2 else (None, None)

    # --- guards ---

    def _conditions(self) -> Conditions:
        return _phone.read_conditions(self.link.ask(_phone.CONDITION_QUESTIONS))

    def _too_hot(self, now: Conditions) -> bool:
        return (now.thermal_status or 0) > self._spec.guards.max_thermal_status

    def _await_fit(self) -> Conditions:
        """Wait until the phone is cool; raises StableDeviceError if it does not become so."""
        guards = self._spec.guards
        end = time.monotonic() + guards.cooldown_s
        while True:
            now = self._conditions()
            level = now.battery_percent
            if level is not None and level < guards.min_battery_percent:
                raise StableDeviceError(
                    "guard",
                    f"the battery is at {level} %, less than {guards.min_battery_percent} %",
                    "charge the phone, or lower guards.min_battery_percent in devices.yaml",
                )
            if not self._too_hot(now):
                return now
            left = end - time.monotonic()
            if left <= 0:
                raise StableDeviceError(
                    "guard",
                    f"the phone stayed hot (thermal status {now.thermal_status}) for "
                    f"{guards.cooldown_s:g} s",
                    "let it cool off the charger, or raise guards.cooldown_s in devices.yaml",
                )
            self._attendant.show(
                f"hot (thermal status {now.thermal_status}), cooling, {left:.0f} s left"
            )
            self._attendant.wait(min(POLL_S, left))

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


def _repeated(after: Conditions) -> Finding:
    return Finding(
        level="info",
        code="repeated_hot",
        message=f"one launch was repeated: the phone became hot (status {after.thermal_status})",
    )


def _throttled(after: Conditions) -> Finding:
    return Finding(
        level="invalid",
        code="throttled",
        message=f"the phone throttled twice during a launch (status {after.thermal_status})",
        mend="cool it, take it off the charger and out of its case; or measure with --sustained",
    )


def _no_thermal_status() -> Finding:
    return Finding(
        level="warning",
        code="no_thermal_status",
        message="the phone tells no thermal status (before Android 10): throttling goes unseen",
        mend="compare only launches that follow a pause",
    )


def _text(data: bytes) -> str:
    return clean_lines(data)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
