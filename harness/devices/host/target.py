"""This machine: a fresh worker process per launch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import UsageError, WorkerError
from harness.core.specs import HostSpec
from harness.core.types import Artifact, Case, DeviceFacts, Launch, Outputs, Timing
from harness.devices.host import linux
from harness.devices.host.worker import RUNTIMES
from harness.system import process, processors
from harness.system.clock import now_iso

WORKER = Path(__file__).with_name("worker.py")
PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
_VERSIONS = "import importlib.metadata as m;print(m.version({!r}));print(m.version('numpy'))"

_ONE_ITERATION = Timing(
    min_time_ns=0, min_iterations=1, max_iterations=1, warmup_time_ns=0, min_warmup=0, max_warmup=1
)


def open_target(name: str, spec: HostSpec, log_dir: Path, attendant: Attendant) -> HostTarget:
    """The host under the name it has in devices.yaml."""
    return HostTarget(name, spec, log_dir, attendant)


def runtime_version(runtime: str, spec: HostSpec) -> str:
    """The installed version of a runtime; raises UsageError naming the extra if it is unusable."""
    if runtime not in RUNTIMES:
        from harness.system.plugins import unknown

        raise unknown("runtime", runtime, RUNTIMES)
    package = PACKAGES[runtime]
    extra = "mobile-bench-harness" + ("" if runtime == "litert" else f"[{runtime}]")
    try:
        version, numpy = _versions(package, spec.python.get(runtime))
    except (importlib.metadata.PackageNotFoundError, subprocess.SubprocessError, OSError) as error:
        raise UsageError(
            f"runtime {runtime} is not installed"
            + (f" in {spec.python[runtime]}" if runtime in spec.python else ""),
            f"pip install '{extra}'"
            + (" (CPython 3.10 or 3.11)" if runtime == "tflite-runtime" else ""),
        ) from error
    if runtime == "tflite-runtime" and int(numpy.split(".")[0]) >= 2:
        raise UsageError(
            f"tflite-runtime {version} cannot make an interpreter under numpy {numpy}",
            f"pip install '{extra}' in an environment of its own, which brings numpy 1.26",
        )
    return version


def _versions(package: str, python: str | None) -> tuple[str, str]:
    if python is None:
        return importlib.metadata.version(package), importlib.metadata.version("numpy")
    answer = subprocess.run(
        [python, "-I", "-c", _VERSIONS.format(package)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    version, numpy = answer.stdout.split()
    return version, numpy


class HostTarget:
    """Runs `worker.py` once per launch, with the runtime and threads the case names."""

    def __init__(
        self,
        name: str,
        spec: HostSpec,
        log_dir: Path,
        attendant: Attendant | None = None,
        worker: Path = WORKER,
    ) -> None:
        self.name = name
        self.spec = spec
        self.log_dir = log_dir
        self.worker = worker
        self.attendant = attendant or Attendant()
        self._inputs: dict[str, Path] = {}

    def facts(self) -> DeviceFacts:
        """What this machine says of itself."""
        cpu = linux.cpu_model() or platform.processor() or platform.machine()
        cores = processors.usable()
        return DeviceFacts(
            name=self.name,
            kind="host",
            identity=f"{cpu} x{cores}, {platform.system()} {platform.machine()}",
            model=platform.node() or None,
            os=f"{platform.system()} {platform.release()}",
            abi=platform.machine(),
            cpu=cpu,
            cores=cores,
            ram_bytes=linux.ram_bytes(),
            runtimes=self._runtimes(),
            extra=linux.facts() | {"python": platform.python_version()},
        )

    def _runtimes(self) -> dict[str, str]:
        found = {}
        for runtime in RUNTIMES:
            try:
                found[runtime] = runtime_version(runtime, self.spec)
            except UsageError:
                continue
        return found

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """Remember where the inputs are; the artifact is already here."""
        self._inputs[artifact.sha256] = inputs

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """One worker process from start to end."""
        request = {
            "model": artifact.path,
            "runtime": case.runtime,
            "threads": case.threads,
            "inputs": str(self._inputs[artifact.sha256]),
            "signature": artifact.signature,
            "observe_outputs": index == 0,
            "marker": False,
            **msgspec.structs.asdict(timing),
        }
        log = self.log_dir / f"{artifact.sha256[:12]}.log"
        python = self.spec.python.get(case.runtime, sys.executable)
        watch = linux.Watch()
        before = watch.now()
        started_at = now_iso()
        began = time.perf_counter_ns()
        finished = process.run(
            [python, "-I", self.worker],
            stdin=msgspec.json.encode(request),
            log=log,
            timeout_s=self.spec.launch_timeout_s,
            attendant=self.attendant,
        )
        wall_ns = time.perf_counter_ns() - began
        result = parse_answer(finished, log, self.spec.launch_timeout_s)
        return msgspec.convert(
            {
                **result,
                "case": case.id,
                "index": index,
                "order": 0,
                "started_at": started_at,
                "wall_ns": wall_ns,
                "before": before,
                "after": watch.now(),
            },
            Launch,
        )

    def close(self) -> None:
        """Nothing was changed."""


def answers(
    artifact: Artifact, inputs: Path, *, log: Path, timeout_s: float, attendant: Attendant
) -> Outputs:
    """What this machine answers to an input set, for a device to be compared with. Raises
    WorkerError."""
    request = {
        "model": artifact.path,
        "runtime": "litert",
        "threads": 1,
        "inputs": str(inputs),
        "signature": artifact.signature,
        "observe_outputs": True,
        "marker": False,
        **msgspec.structs.asdict(_ONE_ITERATION),
    }
    finished = process.run(
        [sys.executable, "-I", WORKER],
        stdin=msgspec.json.encode(request),
        log=log,
        timeout_s=timeout_s,
        attendant=attendant,
    )
    return msgspec.convert(parse_answer(finished, log, timeout_s)["outputs"], Outputs)


class _Line(msgspec.Struct):
    """One line of the worker's answer; exactly one field is set."""

    stage: str | None = None
    result: dict[str, object] | None = None
    error: dict[str, str] | None = None


def parse_answer(finished: process.Finished, log: Path, timeout_s: float) -> dict[str, object]:
    """The worker's result, or a WorkerError that says in which stage it ended and how."""
    stage = "start"
    for raw in finished.stdout.splitlines():
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.DecodeError:
            if finished.timed_out or finished.flooded:
                break  # that is what went wrong; the line was cut short by it
            raise WorkerError(
                stage, "the worker printed something that is not a result", f"look at {log}"
            ) from None
        if line.error is not None:
            raise WorkerError(
                line.error.get("stage", stage),
                line.error.get("message", "the worker failed"),
                f"the log is {log}",
            )
        if line.result is not None and finished.returncode == 0:
            return line.result
        stage = line.stage or stage
    if finished.timed_out:
        raise WorkerError(
            stage,
            f"the worker was still in stage {stage!r} after {timeout_s:g} s and was ended",
            "raise launch_timeout_s in devices.yaml, or lower --iterations",
        )
    if finished.flooded:
        raise WorkerError(stage, "the worker printed without end and was ended", f"look at {log}")
    raise WorkerError(
        stage,
        f"the worker ended in stage {stage!r} without a result ({finished.ending})",
        f"its last words are in {log}"
        + (f": {last}" if (last := process.last_line(log)) else "")
        + ("; a SIGKILL is often the kernel out of memory" if finished.returncode == -9 else ""),
    )
