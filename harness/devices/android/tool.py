"""benchmark_model on one phone: brought there, asked for times, memory, a profile, answers.

Each question is a fresh process. File names on the phone are the harness's own, never the user's.
"""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import msgspec

from harness.core.errors import (
    StableDeviceError,
    TransientDeviceError,
    UsageError,
    WorkerError,
    naming_log,
)
from harness.core.specs import AndroidSpec
from harness.core.text import clean, clean_lines, is_sha256
from harness.core.types import Artifact, Case, Finding, OpTime, Outputs, Timing
from harness.core.units import NS_PER_S
from harness.devices.android import memory_poll, mistakes, npu, parity
from harness.devices.android.executable import locate, version_of
from harness.devices.android.link import PhoneLink
from harness.devices.android.memory_poll import Memory
from harness.devices.runners import PHASES
from harness.devices.runners import benchmark_model as runner
from harness.devices.transports import MAX_PULL_BYTES, ShellResult
from harness.system import plugins
from harness.system.clock import now_iso
from harness.system.files import sha256

SDK_TASK_PROFILES = 33
RESULT_BYTES = 1 << 16  # of results.pb, which has some two hundred

_SHORT = Timing(min_time_ns=0, min_iterations=1, warmup_time_ns=0, min_warmup=0)
# Short, but long enough to be seen several times when polled every 50 ms.
_MEMORY_TIMING = msgspec.structs.replace(
    _SHORT, min_time_ns=500_000_000, min_iterations=3, min_warmup=1
)
_PROFILE_TIMING = msgspec.structs.replace(_SHORT, min_iterations=10, min_warmup=1)
_START_TIMING = msgspec.structs.replace(_SHORT, min_warmup=1)
ANSWER_TIMING = _SHORT  # one inference, and none before it


class PhoneTool:
    """The executable behind a link that is open. Raises DeviceErrors, WorkerErrors and UsageErrors.
    The output of every process is kept in `log`."""

    def __init__(self, spec: AndroidSpec, link: PhoneLink, log: Path) -> None:
        self._spec = spec
        self._link = link
        self._log = log
        self._path: str | None = None
        self._local: Path | None = None  # where it is brought from
        self._dialect: runner.Dialect = "A"
        self.sha256: str | None = None  # of the executable; None where it is unknown
        self.masks = mistakes.masks_of(spec, link)
        self._npu = npu.Libraries(spec.runner, link)

    def install(self) -> None:
        """Bring it to the phone, unless it is there, and see that it runs."""
        if self._path is not None:
            if self._local is not None:
                self._link.bring(self._local, self._path)
            self._npu.bring()
            return
        spec = self._spec.runner
        if spec.tool not in ("benchmark_model", "benchmark_app"):
            raise plugins.unknown("runner", spec.tool, plugins.names("harness.devices.runners"))
        if spec.device_path:
            path = spec.device_path
            self._check_device_runner(path)
        else:
            self._local = locate(
                spec,
                self._link.identity.abi or "unknown",
                self._link.progress("runner"),
                check=self._link.attendant.check,
            )
            mistakes.refuse_other_abi(self._local, self._link)
            path = f"{self._link.work}/benchmark_model"
            self._link.bring(self._local, path)
        result = self._link.shell(f"{shlex.quote(path)} --help")
        stdout, stderr = _text(result.stdout), _text(result.stderr)
        cannot_run = runner.not_executable(result.exit_code, stdout, stderr)
        if cannot_run or result.exit_code > 128:
            raise cannot_run or runner.failure(result.exit_code, stdout, stderr)
        found = runner.dialect_of(stdout + stderr)
        if spec.dialect not in ("auto", found):
            raise mistakes.other_dialect(self._spec, found)
        self._npu.bring()
        self._dialect = found
        self.sha256 = sha256(self._local) if self._local else self._sha256_on_phone(path)
        self._path = path

    def _sha256_on_phone(self, path: str) -> str | None:
        """The SHA-256 of a file on the phone; None if the phone cannot compute it."""
        got = clean(self._link.shell(f"sha256sum < {shlex.quote(path)}").stdout).split(" ")[0]
        return got if is_sha256(got) else None

    def _check_device_runner(self, path: str) -> None:
        wanted = self._spec.runner.sha256
        if wanted is None:
            return
        got = self._sha256_on_phone(path)
        if got != wanted.lower():
            raise UsageError(
                f"the runner {path} on the phone has SHA-256 {got or 'unknown'}, not {wanted}",
                "correct runner.sha256 in devices.yaml if you trust the file",
            )

    @property
    def dialect(self) -> runner.Dialect:
        """The dialect of its flags and output; known after `install`."""
        return self._dialect

    def check_delegation(self, case: Case, stdout: str, stderr: str) -> None:
        """Raises WorkerError if what it printed does not say that the case's delegate ran."""
        with naming_log(self._log):
            runner.interpret(0, stdout, stderr, delegate=case.delegate, dialect=self._dialect)

    def version(self) -> str:
        """Which build of the runner, and its dialect."""
        return f"{version_of(self._spec.runner)}, {self._dialect}"

    def profile(self, case: Case, artifact: Artifact) -> tuple[OpTime, ...]:
        """The most expensive operators; timing each of them slows the launch down, so no other
        number is taken from it."""
        if self._dialect == "B":
            raise StableDeviceError(
                "profile",
                "the runner is of dialect B, whose profile the harness does not read",
                "use a runner of dialect A (devices.yaml: runner)",
            )
        return self.measure(case, artifact, _PROFILE_TIMING, profile=True).op_times

    def answers(self, case: Case, artifact: Artifact, inputs: Path) -> Outputs:
        """What the phone answers to an input set, one launch for each example."""
        if why := parity.refusal(artifact):
            raise StableDeviceError("parity", why)
        answers = []
        output = f"{self._link.work}/output.bin"
        for example in parity.examples(inputs):
            given = []
            for number, tensor in enumerate(example):
                # The tool uses the order and only warns about names, so awkward names are not sent.
                name = f"input{number}"
                self._link.push_bytes(tensor.data, f"{self._link.work}/{name}")
                given.append(runner.Input(name, tensor.shape, f"{self._link.work}/{name}"))
            arguments = runner.arguments(
                self._dialect,
                self.model_path(artifact),
                case,
                ANSWER_TIMING,
                max_secs=self._spec.launch_timeout_s / PHASES,
                inputs=given,
                output_path=output,
            )
            result = self._run(
                f"rm -f {shlex.quote(output)}", case, arguments, self._spec.launch_timeout_s
            )
            if result.exit_code:
                raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
            answers.append(self._link.read_file(output, MAX_PULL_BYTES) or b"")
        return parity.outputs(answers, artifact.outputs, "the input set")

    def start(
        self, case: Case, artifact: Artifact, cache_folder: str
    ) -> tuple[runner.Outcome, str]:
        """A launch of one inference after the first, with the runtime's caches in a folder there;
        and all that it printed."""
        result_path = f"{self._link.work}/results.pb"
        arguments = runner.arguments(
            self._dialect,
            self.model_path(artifact),
            case,
            _START_TIMING,
            max_secs=self._spec.launch_timeout_s / PHASES,
            result_path=result_path,
            signature=artifact.signature,
            cache_folder=cache_folder,
        )
        result = self._run(
            f"rm -f {shlex.quote(result_path)}", case, arguments, self._spec.launch_timeout_s
        )
        stdout, stderr = _text(result.stdout), _text(result.stderr)
        self._write_log(case.id, arguments, result.exit_code, stdout, stderr)
        file = None if result.exit_code else self._link.read_file(result_path, RESULT_BYTES)
        with naming_log(self._log):
            outcome = runner.interpret(
                result.exit_code,
                stdout,
                stderr,
                delegate=case.delegate,
                result_file=file,
                dialect=self._dialect,
            )
        return outcome, stdout + stderr

    def measure(
        self,
        case: Case,
        artifact: Artifact,
        timing: Timing,
        profile: bool = False,
        beside: str = "",
    ) -> runner.Outcome:
        """One fresh process. `beside` are shell commands that start what runs beside it."""
        timeout = self._spec.launch_timeout_s
        if timing.sustained_ns is not None:
            timeout += timing.min_time_ns / NS_PER_S * PHASES
        result_path = f"{self._link.work}/results.pb"
        arguments = runner.arguments(
            self._dialect,
            self.model_path(artifact),
            case,
            timing,
            max_secs=timeout / PHASES,
            result_path=result_path,
            profile=profile,
            signature=artifact.signature,
        )
        first = f"rm -f {shlex.quote(result_path)}"
        result = self._run(first, case, arguments, timeout, beside)
        stdout, stderr = _text(result.stdout), _text(result.stderr)
        self._write_log(case.id, arguments, result.exit_code, stdout, stderr)
        file = None if result.exit_code else self._link.read_file(result_path, RESULT_BYTES)
        with naming_log(self._log):
            return runner.interpret(
                result.exit_code,
                stdout,
                stderr,
                delegate=case.delegate,
                result_file=file,
                profile=profile,
                dialect=self._dialect,
            )

    def _run(
        self, first: str, case: Case, arguments: list[str], timeout: float, beside: str = ""
    ) -> ShellResult:
        """The runner as the only process of its shell, its PID in a file so that it can be ended
        when it hangs."""
        command = (
            f"{first}; echo $$ > pid; {beside}{self._prelude()}exec {self.command(case, arguments)}"
        )
        return self.in_work_folder(command, timeout)

    def command(self, case: Case, arguments: list[str]) -> str:
        """The runner with these arguments, quoted, on the cores that it is to run on, and with the
        libraries that an NPU needs."""
        environment = ""
        if case.delegate == "npu":
            environment = self._npu.environment()
            arguments = [*arguments, *self._npu.flags(self._dialect)]
        return f"{environment}{self._prefix(case)}{shlex.join([self._path or '', *arguments])}"

    def in_work_folder(
        self, command: str, timeout: float, of_one: float | None = None
    ) -> ShellResult:
        """Raises WorkerError if the process with the saved PID hangs, but the phone does not. Where
        several are run one after the other, `of_one` is how long one may take."""
        command = f"cd {shlex.quote(self._link.work)} && {command}"
        began = time.monotonic()
        try:
            return self._link.shell(command, timeout)
        except TransientDeviceError:
            if time.monotonic() - began < timeout:
                raise
            self._link.kill_runner()  # raises if the phone itself does not answer
            raise WorkerError(
                "launch",
                f"benchmark_model did not end within {of_one or timeout:g} s",
                "raise launch_timeout_s in devices.yaml, or " + runner.OTHER_RUNNER,
            ) from None

    def _prelude(self) -> str:
        """Let the scheduler treat us like a foreground app, if the phone has the command for it."""
        if self._link.identity.sdk < SDK_TASK_PROFILES:
            return ""
        return "settaskprofile $$ MaxPerformance >/dev/null 2>&1; "

    def _prefix(self, case: Case) -> str:
        mask = self.masks[case.affinity]
        return f"taskset {mask} " if mask else ""

    def affinity_doubt(self, case: Case, allowed: str) -> Finding | None:
        """What is wrong if the runner itself was allowed other cores than it was given. `allowed`
        is Cpus_allowed of its /proc/PID/status, something else if it could not be read."""
        mask, digits = self.masks[case.affinity], allowed.replace(",", "")
        if mask is None or not re.fullmatch(r"[0-9a-f]{1,64}", digits):
            return None
        if int(digits, 16) == int(mask, 16):
            return None
        return Finding(
            level="serious",
            code="affinity-ignored",
            message=f"the runner was given cores {mask} but was allowed {allowed}: its numbers are "
            "those of other cores",
            fix="measure with affinity: all, or on a phone where taskset works",
        )

    def memory(self, case: Case, artifact: Artifact) -> Memory:
        """Peak RSS and PSS, polled in a launch of its own so that nothing timed pays for it."""
        arguments = runner.arguments(
            self._dialect,
            self.model_path(artifact),
            case,
            _MEMORY_TIMING,
            max_secs=60,
            signature=artifact.signature,
        )
        command = memory_poll.command(self.command(case, arguments))
        result = self.in_work_folder(command, self._spec.launch_timeout_s)
        if result.exit_code:
            raise runner.failure(result.exit_code, _text(result.stdout), _text(result.stderr))
        found, allowed = memory_poll.read(_text(result.stdout))
        return found._replace(doubt=self.affinity_doubt(case, allowed) if allowed else None)

    def model_path(self, artifact: Artifact) -> str:
        """Where its models are."""
        return f"{self._link.work}/{artifact.sha256[:16]}.tflite"

    def _write_log(
        self, case_id: str, arguments: list[str], status: int, stdout: str, stderr: str
    ) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as file:
            command = shlex.join([self._spec.runner.tool, *arguments])
            file.write(
                f"# {now_iso()} {case_id}\n$ {command}\n{stdout}{stderr}# status {status}\n\n"
            )


def _text(data: bytes) -> str:
    return clean_lines(data)
