"""This machine: a fresh worker process per launch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

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

INTERPRETER = "litert"  # answers labelled images
COMPILED = "litert-compiled"  # its answers are compared with the Interpreter's

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


@cache
def answers_with() -> str:
    """What an artifact's answers depend on besides its input, and what a host of a lab must have,
    too, to give them: the runtime, and the kind of processor that it has kernels for. Raises
    UsageError if the runtime is unusable."""
    version = runtime_version(INTERPRETER, HostSpec())
    return f"{INTERPRETER} {version} on {platform.machine()}"


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
        self._caches: tempfile.TemporaryDirectory[str] | None = None

    def facts(self) -> DeviceFacts:
        """What this machine reports about itself."""
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
        result: dict[str, Any] = self._ask(request, log)
        wall_ns = time.perf_counter_ns() - began
        public_call = result.pop("public_call", None)
        after = watch.now()
        if timing.cached_start and case.runtime == COMPILED:
            self._start_cached(result, request, log)
        if index == 0 and case.runtime == COMPILED:
            self._compare_with_interpreter(result, artifact, log)
        if public_call:
            result.setdefault("notes", []).append(_timed_publicly(public_call))
        return msgspec.convert(
            {
                **result,
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
        self, result: dict[str, Any], artifact: Artifact, log: Path
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
            result["absent"]["reference"] = f"the Interpreter fails: {error.message}"

    def _start_cached(self, result: dict[str, Any], request: dict[str, object], log: Path) -> None:
        """Add a start that finds XNNPACK's weights, which a launch before it wrote; or why there is
        none."""
        if self._caches is None:
            self._caches = tempfile.TemporaryDirectory()
        key = hashlib.sha256(f"{request['model']} {request['threads']}".encode()).hexdigest()
        cache = Path(self._caches.name) / key[:16]
        short = {
            **request,
            **msgspec.structs.asdict(_ONE_ITERATION),
            "observe_outputs": False,
            "cache": str(cache),
        }
        try:
            if not cache.is_file():
                self._ask(short, log)
            before = cache.stat()
            found = self._ask(short, log)
            after = cache.stat()
        except OSError:
            why = "the runtime was told to keep a cache and wrote none"
        except WorkerError as error:
            why = error.message
        else:
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
                for field in _CACHED:
                    result[field] = found[field.replace("_cached", "")]
                result.setdefault("notes", []).append(_UNPROVED)
                return
            why = "the runtime wrote its cache again, so it did not use the earlier one"
        result["absent"] |= dict.fromkeys(_CACHED, why)
        note = msgspec.structs.replace(_NOT_USED, message=f"{_NOT_USED.message}: {why}")
        result.setdefault("notes", []).append(note)

    def _ask(self, request: dict[str, object], log: Path) -> dict[str, object]:
        return worker_process.ask(
            request,
            log=log,
            timeout_s=self.spec.launch_timeout_s,
            attendant=self.attendant,
            worker=self.worker,
            python=self.spec.python.get(str(request["runtime"])),
        )

    def close(self) -> None:
        """Remove the caches of its launches."""
        if self._caches is not None:
            self._caches.cleanup()


_CACHED = ("init_cached_ns", "first_inference_cached_ns")
_NOT_USED = Finding(level="warning", code="cache-not-used", message="there is no cached start")
_UNPROVED = Finding(
    level="info",
    code="cache-use-unproved",
    message="the runtime does not say whether it read its cache; the cache was there, and was not "
    "written again",
)


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
