"""An ARM64 core in software: the host's worker under emulation, its instructions counted.

Outputs and counts are those of a phone's kernels; times and memory are the emulator's, and absent.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.core.attendant import Attendant
from harness.core.errors import UsageError, WorkerError
from harness.core.parity import compared
from harness.core.specs import ArmSpec
from harness.core.types import Artifact, Case, DeviceFacts, Launch, Outputs, Parity, Timing
from harness.core.units import NS_PER_S
from harness.devices.arm64_core import installation
from harness.devices.arm64_core.cpus import cpu_named
from harness.devices.arm64_core.environment import Arm64Env, read_counts
from harness.devices.host import worker_process
from harness.devices.host.worker_process import WORKER, parse_answer
from harness.system import process
from harness.system.clock import now_iso
from harness.system.files import cache_dir

NOT_TIME = "emulated core: instructions are not time"
NOT_MEMORY = "emulated core: its memory is the emulator's, not a phone's"
AGREEING = 2  # iterations that must agree, after the first inference
MORE = 7  # iterations when they do not
MOST_EXAMPLES = 8
# About this many multiply-accumulates are emulated in ten seconds: the larger the model, the fewer
# examples it answers.
_MACS_FOR_OUTPUTS = 800_000_000
WRITTEN = "out"
_OURS, _THEIRS = "answers.npy", "answers-of-host.npy"
# Float kernels take about 11 s for 10^9 multiply-accumulates on an idle machine.
_NS_PER_MAC = 60
ABSENT = {
    **dict.fromkeys(
        (
            "init_ns",
            "first_inference_ns",
            "init_cached_ns",
            "first_inference_cached_ns",
            "warmup_ns",
            "latency_ns",
        ),
        NOT_TIME,
    ),
    **dict.fromkeys(
        (
            "rss_before_load_bytes",
            "rss_after_load_bytes",
            "rss_warm_bytes",
            "rss_end_bytes",
            "peak_rss_bytes",
            "rss_anon_bytes",
            "rss_file_bytes",
            "pss_bytes",
        ),
        NOT_MEMORY,
    ),
}


def open_target(name: str, spec: ArmSpec, log_dir: Path, attendant: Attendant) -> Arm64Target:
    """The emulated core under the name it has in devices.yaml; raises UsageError like `ready`."""
    return Arm64Target(name, spec, log_dir, ready(spec), attendant)


def ready(spec: ArmSpec, *, thorough: bool = False) -> Arm64Env:
    """The environment for `spec`; raises UsageError with what is missing and how to get it. Only
    `thorough` reads every file of it."""
    env = installation.find(cache_dir(), thorough=thorough)
    cpu_named(spec.cpu, env.qemu.cpus, env.qemu.version)
    return env


class _Counted(NamedTuple):
    """Instructions of one process: of loading, of the first inference, of each one after it."""

    init: int
    first: int
    iterations: tuple[int, ...]
    outputs: Outputs | None


class Arm64Target:
    """Runs `worker.py` under qemu-aarch64, once per launch."""

    def __init__(
        self,
        name: str,
        spec: ArmSpec,
        log_dir: Path,
        env: Arm64Env,
        attendant: Attendant | None = None,
    ) -> None:
        self.name = name
        self.spec = spec
        self.log_dir = log_dir
        self.env = env
        self.attendant = attendant or Attendant()
        self._work = tempfile.TemporaryDirectory(prefix="arm64-")
        self._folders: dict[str, Path] = {}

    def facts(self) -> DeviceFacts:
        """The core and its emulator. The emulator's version is part of the identity of `max` only,
        which gains instructions with every version. The other cores, and so their counts, are the
        same in every version."""
        qemu = self.env.qemu
        cpu = cpu_named(self.spec.cpu, qemu.cpus, qemu.version)
        of_version = f" by qemu {qemu.numbers[0]}.{qemu.numbers[1]}" if cpu.name == "max" else ""
        return DeviceFacts(
            name=self.name,
            kind="arm64-emulated",
            identity=f"{cpu.name}, emulated{of_version}",
            model=f"{cpu.name}, emulated by qemu {qemu.version}",
            os="Linux, emulated in user mode",
            abi="arm64-v8a",
            cpu=cpu.name,
            cores=1,
            emulated=True,
            runtimes={"litert": self.env.lock.litert},
            extra={
                "kernels": cpu.kernels,
                "phones": cpu.phones,
                "qemu": qemu.version,
                "python": self.env.lock.python,
                "numpy": self.env.lock.numpy,
            },
        )

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """Lay out a folder to run in. What is in it and its names are always the same, since
        Python lists it and the length of a path is enough to change how many instructions loading
        takes; what launches write goes beside it."""
        folder = Path(self._work.name, artifact.sha256, "run")
        if not folder.exists():
            folder.mkdir(parents=True)
            _written(folder).mkdir()
            (folder / "model.tflite").symlink_to(Path(artifact.path).resolve())
            # A copy: through a link, Python would import modules from the folder that it points to.
            shutil.copyfile(WORKER, folder / "worker.py")
            _take_examples(inputs, folder / "inputs.npz", _affordable_examples(artifact))
        self._folders[artifact.sha256] = folder

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """One emulated process; a second one with more iterations if the first one's differ."""
        if case.runtime != "litert" or case.delegate != "cpu" or case.threads != 1:
            raise UsageError(
                f"device {self.name} is one core that runs litert, and {case.id} asks for more",
                "leave --runtime, --delegate and --threads out",
            )
        folder = self._folders[artifact.sha256]
        log = self.log_dir / f"{artifact.sha256[:12]}-{self.name}.log"
        asked = timing.max_iterations if timing.min_iterations == timing.max_iterations else None
        began = time.perf_counter_ns()
        started_at = now_iso()
        ran = counted = self._run(artifact, folder, log, asked or AGREEING, outputs=index == 0)
        if asked is None and not _agree(ran.iterations):
            counted = self._run(artifact, folder, log, MORE, outputs=False)
        absent = dict(ABSENT)
        reference = parity = None
        if index == 0:
            try:
                reference = self._answers_of_host(artifact, folder, log)
                parity = _compared(folder)
            except WorkerError as error:
                absent["reference"] = f"the host could not answer: {error.message}"
        return Launch(
            case=case.id,
            index=index,
            order=0,
            started_at=started_at,
            wall_ns=time.perf_counter_ns() - began,
            counters={
                "instructions_init": counted.init,
                "instructions_first": counted.first,
                "instructions": statistics.median_low(counted.iterations),
            },
            instructions=counted.iterations,
            outputs=ran.outputs,
            reference=reference,
            parity=parity,
            absent=absent,
        )

    def _run(
        self, artifact: Artifact, folder: Path, log: Path, iterations: int, *, outputs: bool
    ) -> _Counted:
        # Cases of one artifact may be counted at the same time.
        handle, name = tempfile.mkstemp(prefix="counts-", dir=_written(folder))
        os.close(handle)
        counts = Path(name)
        request = _request(artifact, iterations, marker=True, outputs=outputs)
        timeout_s = self.spec.launch_timeout_s + _most_s(artifact, iterations, outputs=outputs)
        finished = process.run(
            self.env.python(self.spec.cpu, ["worker.py"], counts=counts, folder=folder),
            stdin=msgspec.json.encode(
                request
                | {"model": "model.tflite", "inputs": "inputs.npz"}
                | {"answers": f"../{WRITTEN}/{_OURS}"}
            ),
            log=log,
            timeout_s=timeout_s,
            attendant=self.attendant,
            env=self.env.environ,
        )
        result = parse_answer(finished, log, timeout_s)
        marks = read_counts(counts)
        counts.unlink()
        if len(marks) != 2 * (2 + iterations):
            raise WorkerError(
                "counting",
                f"{len(marks)} marks were counted where {2 * (2 + iterations)} were made",
                f"look for what is damaged: python -m harness setup arm64; the log is {log}",
            )
        init, first, *rest = (b - a for a, b in zip(marks[::2], marks[1::2], strict=True))
        return _Counted(init, first, tuple(rest), _outputs(result))

    def _answers_of_host(self, artifact: Artifact, folder: Path, log: Path) -> Outputs | None:
        """What the host answers to the same inputs; raises WorkerError."""
        paths = {"model": artifact.path, "inputs": str(folder / "inputs.npz")}
        paths["answers"] = str(_written(folder) / _THEIRS)
        result = worker_process.ask(
            _request(artifact, 1, marker=False, outputs=True) | paths,
            log=log,
            timeout_s=self.spec.launch_timeout_s,
            attendant=self.attendant,
        )
        return _outputs(result)

    def close(self) -> None:
        """Remove the folders that launches ran in."""
        self._work.cleanup()


def _request(
    artifact: Artifact, iterations: int, *, marker: bool, outputs: bool
) -> dict[str, object]:
    return {
        "runtime": "litert",
        "threads": 1,
        "signature": artifact.signature,
        "resources": artifact.keeps_resources,
        "observe_outputs": outputs,
        "marker": marker,
        "min_time_ns": 0,
        "min_iterations": iterations,
        "max_iterations": iterations,
        "warmup_time_ns": 0,
        "min_warmup": 0,
        "max_warmup": 0,
    }


def _written(folder: Path) -> Path:
    """Where the launches of a folder write."""
    return folder.with_name(WRITTEN)


def _compared(folder: Path) -> Parity | None:
    """The whole answers of both sides; None if one side did not keep them, as when their length
    changes."""
    import numpy

    files = [_written(folder) / name for name in (_OURS, _THEIRS)]
    if not all(file.exists() for file in files):
        return None
    ours, theirs = (numpy.load(file, allow_pickle=False) for file in files)
    return compared(ours, theirs)


def _outputs(result: dict[str, Any]) -> Outputs | None:
    return msgspec.convert(result["outputs"], Outputs | None)


def _agree(counts: tuple[int, ...]) -> bool:
    return counts[-1] == counts[-2]


def _affordable_examples(artifact: Artifact) -> int:
    if not artifact.macs:
        return MOST_EXAMPLES
    return max(1, min(MOST_EXAMPLES, _MACS_FOR_OUTPUTS // artifact.macs))


def _most_s(artifact: Artifact, iterations: int, *, outputs: bool) -> float:
    """How many seconds the inferences of a launch may take; for a large model that is most of the
    launch."""
    inferences = 1 + iterations + (_affordable_examples(artifact) if outputs else 0)
    return (artifact.macs or 0) * inferences * _NS_PER_MAC / NS_PER_S


def _take_examples(inputs: Path, target: Path, most: int) -> None:
    """Copy the first `most` examples of an input set."""
    import numpy

    with numpy.load(inputs, allow_pickle=False) as archive:
        taken = {
            name: value if value.ndim == 0 else value[:most] for name, value in archive.items()
        }
    numpy.savez(target, **taken)
