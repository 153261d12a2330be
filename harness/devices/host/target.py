"""This machine: a fresh worker process per launch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import time
from pathlib import Path
from typing import cast

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import UsageError, WorkerError
from harness.core.specs import HostSpec
from harness.core.types import Artifact, Case, DeviceFacts, Finding, Launch, Outputs, Timing
from harness.devices.host import linux, worker_process
from harness.devices.host.worker import RUNTIMES
from harness.devices.host.worker_process import WORKER
from harness.system import process, processors
from harness.system.clock import now_iso

PACKAGES = {
    "litert": "ai-edge-litert",
    "litert-compiled": "ai-edge-litert",
    "tflite-runtime": "tflite-runtime",
}
_VERSIONS = "import importlib.metadata as m;print(m.version({!r}));print(m.version('numpy'))"

COMPILED = "litert-compiled"  # its answers are held against the Interpreter's

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
    extra = "mobile-bench-harness" + (f"[{runtime}]" if runtime == "tflite-runtime" else "")
    try:
        version, numpy = _versions(package, spec.python.get(runtime))
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
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
    answer = process.ask([python, "-E", "-c", _VERSIONS.format(package)])
    if answer.returncode:
        raise importlib.metadata.PackageNotFoundError(package)
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
            "resources": artifact.keeps_resources,
            "observe_outputs": index == 0,
            "marker": False,
            "given": [tensor.name for tensor in artifact.inputs],
            "asked": [(t.name, t.scale, t.zero_point) for t in artifact.outputs],
            **msgspec.structs.asdict(timing),
        }
        log = self.log_dir / f"{artifact.sha256[:12]}.log"
        watch = linux.Watch()
        before = watch.now()
        started_at = now_iso()
        began = time.perf_counter_ns()
        result = worker_process.ask(
            request,
            log=log,
            timeout_s=self.spec.launch_timeout_s,
            attendant=self.attendant,
            worker=self.worker,
            python=self.spec.python.get(case.runtime),
        )
        wall_ns = time.perf_counter_ns() - began
        public_call = result.pop("public_call", None)
        after = watch.now()
        if index == 0 and case.runtime == COMPILED:
            self._compare_with_interpreter(result, artifact, log)
        return msgspec.convert(
            {
                **result,
                "notes": [msgspec.to_builtins(_timed_publicly(public_call))] if public_call else [],
                "case": case.id,
                "index": index,
                "order": 0,
                "started_at": started_at,
                "wall_ns": wall_ns,
                "before": before,
                "after": after,
            },
            Launch,
        )

    def _compare_with_interpreter(
        self, result: dict[str, object], artifact: Artifact, log: Path
    ) -> None:
        """Add what the Interpreter answers to the same inputs, or why it does not."""
        try:
            result["reference"] = answers(
                artifact,
                self._inputs[artifact.sha256],
                log=log,
                timeout_s=self.spec.launch_timeout_s,
                attendant=self.attendant,
            )
        except WorkerError as error:
            absent = cast(dict[str, str], result["absent"])
            absent["reference"] = f"the Interpreter fails: {error.message}"

    def close(self) -> None:
        """Nothing was changed."""


def _timed_publicly(what: object) -> Finding:
    return Finding(
        level="info",
        code="public-call",
        message="this release of the runtime is timed through its public call, which "
        f"{what} inside every inference",
    )


def answers(
    artifact: Artifact, inputs: Path, *, log: Path, timeout_s: float, attendant: Attendant
) -> Outputs:
    """This machine's answers to an input set, which a device's are compared with. Raises
    WorkerError."""
    request = {
        "model": artifact.path,
        "runtime": "litert",
        "threads": 1,
        "inputs": str(inputs),
        "signature": artifact.signature,
        "resources": artifact.keeps_resources,
        "observe_outputs": True,
        "marker": False,
        **msgspec.structs.asdict(_ONE_ITERATION),
    }
    result = worker_process.ask(request, log=log, timeout_s=timeout_s, attendant=attendant)
    return msgspec.convert(result["outputs"], Outputs)
