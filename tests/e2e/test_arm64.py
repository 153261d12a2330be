"""The emulated core for real: packages and wheels downloaded, qemu run, instructions counted."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from harness.analysis import metric_specs
from harness.artifacts.tflite.inspect import inspect
from harness.core.attendant import Attendant
from harness.core.specs import ArmSpec
from harness.core.types import Artifact, Case, Evidence, Launch, Plan, Timing
from harness.devices.arm64_core import installation
from harness.devices.arm64_core import target as targets
from harness.devices.arm64_core.environment import Arm64Env
from harness.system.files import sha256
from tests import command_line, schema
from tests.paths import ROOT

pytestmark = [
    pytest.mark.needs("qemu-aarch64"),
    pytest.mark.timeout(600),
    pytest.mark.long,
]

MODELS = ROOT / "tests/data/models"
DEFAULT = Timing()
DEVICES = """
devices:
  arm64: {kind: arm64-emulated, cpu: cortex-a76}
"""


@pytest.fixture(scope="session")
def env(shared_cache: Path) -> Arm64Env:
    said: list[str] = []
    made = installation.setup(shared_cache, progress=said.append)
    assert said[0].startswith("compiling") and said[-1].startswith("ready")
    return made


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    path = tmp_path_factory.mktemp("inputs")
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 256, 256, 1))
    np.savez(path / "tiny_float32.npz", source="seeded", input_0=images.astype("float32"))
    shutil.copy(path / "tiny_float32.npz", path / "tiny_pruned.npz")
    np.savez(path / "tiny_int8.npz", source="seeded", input_0=(images - 128).astype("int8"))
    return path


def launches(
    model: str, cpu: str, inputs: Path, logs: Path, n: int, timing: Timing = DEFAULT
) -> tuple[Artifact, list[Launch]]:
    artifact = inspect(MODELS / f"{model}.tflite", variant=model)
    target = targets.open_target("arm64", ArmSpec(cpu=cpu), logs, Attendant())
    case = Case(variant=model, device="arm64", runtime="litert")
    try:
        target.prepare(artifact, inputs / f"{model}.npz")
        return artifact, [target.launch(case, artifact, timing, i) for i in range(n)]
    finally:
        target.close()


Once = Callable[[str, str], tuple[Artifact, Launch]]


@pytest.fixture(scope="module")
def once(env: Arm64Env, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """One launch of a model on a core, made when first asked for."""

    @functools.cache
    def made(model: str, cpu: str) -> tuple[Artifact, Launch]:
        artifact, (launch,) = launches(model, cpu, inputs, tmp_path_factory.mktemp("logs"), 1)
        return artifact, launch

    return made


@contextmanager
def busy(processors: int) -> Iterator[None]:
    """Keep so many processors busy."""
    # They end with their parent, however that ends.
    loop = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
    spinning = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(processors)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def test_counts_are_the_same_on_a_loaded_machine(
    once: Once, inputs: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Three launches of three models on two targets, each of which has folders of its own: more of
    them at a time than there are processors, the others kept busy."""
    models = ("tiny_float32", "tiny_int8", "tiny_pruned")

    def three(model: str) -> list[Launch]:
        logs = tmp_path / model
        logs.mkdir()
        # The first launch of a target also answers, the others do not.
        _, made = launches(model, "cortex-a76", inputs, logs, 2)
        return [once(model, "cortex-a76")[1], *made]

    with busy((os.cpu_count() or 1) - 2), ThreadPoolExecutor(len(models)) as pool:
        found = dict(zip(models, pool.map(three, models), strict=True))
    for model, made in found.items():
        with subtests.test(model=model):
            assert len(made) == 3
            assert len({launch.instructions for launch in made}) == 1
            assert len(set(made[0].instructions)) == 1
            assert made[0].counters["instructions"] > 100_000
            assert len({launch.counters["instructions_first"] for launch in made}) == 1
            assert len({launch.counters["instructions_init"] for launch in made}) == 1


@pytest.mark.parametrize(
    ("model", "place"),
    [("tiny_float32", "of-another-length"), ("tiny_int8", "of-one-longer-still")],
)
def test_every_inference_after_the_first_is_alike_wherever_the_files_lie(
    model: str,
    place: str,
    once: Once,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter, which depends on both, is not counted."""
    counts = set(once(model, "cortex-a76")[1].instructions)
    folder = tmp_path / place
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    twelve = Timing(min_iterations=12, max_iterations=12)
    _, (launch,) = launches(model, "cortex-a76", inputs, tmp_path, 1, twelve)
    assert len(launch.instructions) == 12
    assert counts | set(launch.instructions) == counts
    assert len(counts) == 1


def test_the_dot_product_of_newer_cores_is_used(once: Once) -> None:
    cpus = ("cortex-a53", "cortex-a76", "max")
    counts = {cpu: once("tiny_int8", cpu)[1].counters["instructions"] for cpu in cpus}
    assert counts["cortex-a53"] > 1.05 * counts["cortex-a76"]
    assert counts["max"] != counts["cortex-a76"]


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76", "max"])
@pytest.mark.parametrize("model", ["tiny_float32", "tiny_int8"])
def test_the_answers_are_the_hosts(model: str, cpu: str, once: Once, tmp_path: Path) -> None:
    artifact, launch = once(model, cpu)
    case = Case(variant=model, device="arm64", runtime="litert")
    target = targets.open_target("arm64", ArmSpec(cpu=cpu), tmp_path, Attendant())
    about = Evidence(
        case=case,
        plan=Plan(cases=(case,)),
        artifact=artifact,
        launches=(launch,),
        device=target.facts(),
    )
    target.close()
    difference = metric_specs.metrics()["parity_difference"].extract(about).point
    assert difference is not None and difference <= (1e-5 if model == "tiny_float32" else 2 / 256)
    assert metric_specs.metrics()["parity_decisions"].extract(about).point == 1


def test_what_was_downloaded_is_on_record(env: Arm64Env) -> None:
    names = [download.name for download in (*env.lock.packages, *env.lock.wheels)]
    assert any(name.startswith("libc6_") for name in names)
    assert any(name.startswith(f"ai_edge_litert-{env.lock.litert}-") for name in names)
    for download in (*env.lock.packages, *env.lock.wheels):
        assert re.fullmatch("[0-9a-f]{64}", download.sha256)
        assert download.size_bytes > 0
    assert {p.name for p in env.folder.iterdir()} == {
        *("root", "site", "cpus", "count.so", "lock.json", "manifest.json")
    }


# --- as a user runs it -----------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    shutil.copytree(ROOT / "models", root / "models")
    (root / "devices.yaml").write_text(DEVICES)
    return root


@pytest.fixture
def counted_once(env: Arm64Env, once: Once, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was counted on a core is not emulated there again: its count is the same. What
    `bench` counts itself is seen by the test of one channel more."""
    real = targets.Arm64Target.launch

    def launch(
        self: targets.Arm64Target, case: Case, artifact: Artifact, timing: Timing, index: int
    ) -> Launch:
        model = next((m for m in ("tiny_float32", "tiny_int8") if same(m, artifact)), None)
        if model is None:
            return real(self, case, artifact, timing, index)
        with monkeypatch.context() as patch:
            patch.setattr(targets.Arm64Target, "launch", real)
            _, made = once(model, self.spec.cpu)
        return msgspec.structs.replace(made, case=case.id, index=index)

    monkeypatch.setattr(targets.Arm64Target, "launch", launch)


def same(model: str, artifact: Artifact) -> bool:
    return sha256(MODELS / f"{model}.tflite") == artifact.sha256


def bench(project: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return harness(project, "bench", *args, "--device", "arm64")


def harness(project: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return command_line.run(*args, cwd=project)


@pytest.mark.usefixtures("counted_once")
def test_one_launch_decides(project: Path) -> None:
    model, baseline = project / "model.tflite", project / "baseline.json"
    shutil.copy(MODELS / "tiny_int8.tflite", model)
    first = bench(project, model, "--json", baseline)
    assert first.returncode == 0, first.stderr
    schema.check(baseline.read_bytes())
    (case,) = json.loads(baseline.read_text())["cases"]
    assert case["status"] == "ok" and len(case["launches"]) == 1
    assert case["metrics"]["instructions"]["point"] > 100_000
    assert "emulated" in case["metrics"]["latency"]["absent_because"]

    gate = ("--baseline", baseline, "--exact", "--strict")
    same = bench(project, model, *gate)
    assert same.returncode == 0, same.stderr

    shutil.copy(MODELS / "tiny_float32.tflite", model)
    costlier = bench(project, model, "--baseline", baseline)
    assert costlier.returncode == 1, costlier.stderr
    assert "instructions" in costlier.stdout


@pytest.mark.usefixtures("counted_once")
def test_a_gate_that_cannot_compare_or_finds_its_baseline_stale_is_red(project: Path) -> None:
    model, baseline = project / "model.tflite", project / "baseline.json"
    shutil.copy(MODELS / "tiny_float32.tflite", model)
    assert bench(project, model, "--as-baseline", baseline).returncode == 0
    gate = ("--baseline", baseline, "--exact", "--strict")

    (project / "devices.yaml").write_text(DEVICES.replace("cortex-a76", "cortex-a53"))
    other_core = bench(project, model, *gate)
    assert other_core.returncode == 2
    assert "a counted case could not be compared: device differs" in other_core.stderr
    (project / "devices.yaml").write_text(DEVICES)

    shutil.copy(MODELS / "tiny_int8.tflite", model)
    cheaper = bench(project, model, *gate)
    assert cheaper.returncode == 1
    assert "if the change is intended: python -m harness report" in cheaper.stderr.splitlines()[-1]
    assert f"--as-baseline {baseline}" in cheaper.stderr.splitlines()[-1]
    renewing = cheaper.stderr.splitlines()[-1].partition("python -m harness ")[2]
    assert harness(project, *shlex.split(renewing)).returncode == 0
    assert bench(project, model, *gate).returncode == 0

    another = bench(project, MODELS / "tiny_float32.tflite", *gate)
    assert another.returncode == 2, "nothing in common"
    both = bench(project, model, MODELS / "tiny_float32.tflite", *gate)
    assert both.returncode == 4
    assert "do not have the same cases: tiny_float32" in both.stderr.splitlines()[-1]


VARIANTS = (
    "variants: {{net: {{model: scratch, recipe: int8, "
    "options: {{filters: {}, input_size: 64}}}}}}\n"
)


@pytest.mark.usefixtures("env")
def test_one_channel_more_turns_the_gate_red_with_the_table_of_what_changed(project: Path) -> None:
    """A channel in the fifth layer of scratch-int8 is one per cent more work."""
    variants, files = project / "models/variants.yaml", [project / "a.json", project / "b.json"]
    variants.write_text(VARIANTS.format([16, 32, 64, 128, 256, 512]))
    before = bench(project, "net", "--untrained", "--as-baseline", files[0])
    assert before.returncode == 0, before.stderr
    variants.write_text(VARIANTS.format([16, 32, 64, 128, 257, 512]))
    after = bench(
        project, "net", "--untrained", "--baseline", files[0], "--strict", "--json", files[1]
    )
    assert after.returncode == 1, after.stderr
    counts = []
    for file in files:
        (case,) = json.loads(file.read_text())["cases"]
        counts.append(case["metrics"]["instructions"]["point"])
    assert 1.005 < counts[1] / counts[0] < 1.015
    row = next(line for line in after.stdout.splitlines() if f"{counts[0]:,.0f}" in line)
    assert "net" in row and "instructions" in row
    assert f"{counts[1]:,.0f}" in row and f"{counts[1] / counts[0]:.5f}" in row


@pytest.mark.usefixtures("fresh_cache")
def test_without_setup_one_line_says_what_to_run(project: Path) -> None:
    shutil.copy(MODELS / "tiny_int8.tflite", project / "model.tflite")
    done = bench(project, project / "model.tflite")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: the arm64 environment has not been set up; python -m harness setup arm64"
    )
    assert "Traceback" not in done.stderr
