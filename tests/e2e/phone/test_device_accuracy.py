"""Accuracy on the phone: the loop there over a real socket, and `bench --accuracy device`."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.attendant import Attendant
from harness.core.errors import EXIT_USAGE, MeasurementError, WorkerError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.core.types import Artifact, Case, TensorInfo
from harness.devices import Examples
from harness.devices.android.target import AndroidTarget, open_target
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.userland import VARIABLE
from tests.phone_bench import TINY, Run, assert_clean, bench, entry
from tests.phones import USERLANDS, adb_home, command, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

CASE = Case(variant="tiny", device="phone", runtime="benchmark_model")
SIDE = 256
IMAGES = 3


def tiny() -> Artifact:
    data = TINY.read_bytes()
    return Artifact(
        variant="tiny",
        path=str(TINY),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        gzip_bytes=len(gzip.compress(data)),
        inputs=(TensorInfo(name="image", shape=(1, SIDE, SIDE, 1), dtype="float32"),),
        outputs=(TensorInfo(name="cracked", shape=(1, 1), dtype="float32"),),
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pictures") / "x.examples"
    grey = rng.integers(0, 256, (IMAGES, SIDE, SIDE, 1)).astype(np.float32)
    (grey * np.array([0.2, 0.6, 1.0], np.float32).reshape(-1, 1, 1, 1)).tofile(path)
    return path


@pytest.fixture(scope="module")
def right(pictures: Path) -> bytes:
    """What this machine answers."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=str(TINY), num_threads=1)
    model.allocate_tensors()
    (given,), (asked,) = model.get_input_details(), model.get_output_details()
    found = []
    for image in np.fromfile(pictures, np.float32).reshape(IMAGES, *given["shape"]):
        model.set_tensor(given["index"], image)
        model.invoke()
        found.append(model.get_tensor(asked["index"]).tobytes())
    return b"".join(found)


def opened(phone: Daemon, tmp_path: Path) -> AndroidTarget:
    spec = AndroidSpec(
        transport="adb_tcp",
        address=phone.address,
        runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
        reconnect_timeout_s=8,
        launch_timeout_s=60,
    )
    return open_target("phone", spec, tmp_path / "logs", Attendant())


def answered(target: AndroidTarget, pictures: Path, delegate: str = "cpu", start: int = 0) -> bytes:
    case = Case(variant="tiny", device="phone", runtime="benchmark_model", delegate=delegate)
    size = pictures.stat().st_size // IMAGES
    examples, raw = Examples(pictures, size, IMAGES, start), b""
    while start + len(raw) // 4 < IMAGES:
        raw += target.answer(case, tiny(), examples, start + len(raw) // 4)
    return raw


@pytest.mark.parametrize("userland", USERLANDS)
def test_the_phone_answers_as_this_machine(
    tmp_path: Path, pictures: Path, right: bytes, userland: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, userland)
    with emulated(fixed_latency_us=None) as phone:
        target = opened(phone, tmp_path)
        assert answered(target, pictures) == right
        assert answered(target, pictures, start=2) == right[8:]
        target.close()
        assert_clean(phone)


def test_what_the_phone_had_answered_when_it_was_unplugged_is_not_asked_again(
    tmp_path: Path, pictures: Path, right: bytes
) -> None:
    """The cable is pulled while the second image is answered."""
    with emulated(fixed_latency_us=None) as phone:
        counted = 'case "$*" in *output_filepath*) echo >> $EMULATED_ROOT/state/asked;; esac'
        command(phone, "benchmark_model", f'{counted}\nexec "$REAL" "$@"')
        target = opened(phone, tmp_path)
        transport: Any = target.link._transport
        stream, calls = transport.shell, 0
        marks = phone.phone.root / "state/asked"

        def pulled(text: str, timeout_s: float) -> Any:
            nonlocal calls
            if "output.bin" in text and not calls:
                calls += 1
                return stream(text.replace("[ $(date +%s) -lt $end ] || break", "exit 1"), 60)
            return stream(text, timeout_s)

        transport.shell = pulled
        with pytest.raises(MeasurementError):
            answered(target, pictures)
        assert answered(target, pictures) == right
        assert marks.read_bytes().count(b"\n") == IMAGES
        target.close()
        assert_clean(phone)


def test_a_delegate_that_silently_falls_back_has_answered_nothing(
    tmp_path: Path, pictures: Path
) -> None:
    with emulated(faults=Faults(accelerator="none"), fixed_latency_us=None) as phone:
        target = opened(phone, tmp_path)
        with pytest.raises(WorkerError, match="ran none of the model's nodes"):
            answered(target, pictures, "gpu")
        target.close()
        assert_clean(phone)


def test_a_disk_that_cannot_hold_the_answers_is_told(tmp_path: Path, pictures: Path) -> None:
    """The tool itself says nothing of it."""
    with emulated(fixed_latency_us=None) as phone:
        command(
            phone,
            "benchmark_model",
            '"$REAL" "$@"; s=$?; [ -f output.bin ] && : > output.bin; exit $s',
        )
        target = opened(phone, tmp_path)
        with pytest.raises(MeasurementError, match="wrote 0 bytes") as caught:
            answered(target, pictures)
        assert "free some space" in caught.value.fix
        target.close()
        assert_clean(phone)


# --- the command line ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of brightness, which the untrained model answers in some way or other."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    grey = 60 + 90 * labels.reshape(-1, 1, 1) + rng.integers(0, 80, (40, 32, 32))
    path = tmp_path_factory.mktemp("data") / "d.npz"
    np.savez(path, x=grey.astype(np.uint8), y=labels)
    return path


ASKED = ("--accuracy", "device", "--accuracy-images", "2")


@pytest.mark.long
def test_three_delegates_of_which_one_changes_answers(tmp_path: Path, data: Path) -> None:
    faults = Faults(accelerator="all", accelerator_answers="fp16")
    with emulated(faults=faults, fixed_latency_us=None) as phone:
        run = Run(
            tmp_path, {"phone": entry(phone)}, TINY, "--launches", "1", "--iterations", "2",
            "--data", data, "--pixels", "0..255", "--delegate", "cpu,gpu,gpu-fp32", *ASKED,
            "--html", "r.html",
        )  # fmt: skip
        assert run.finish(timeout=400) == 0, run.stderr
        assert_clean(phone)
    report = run.report
    assert report.device_images is not None
    assert len(report.device_images.rows) == 2
    by_delegate = {case.delegate: case for case in report.cases}
    agreement = {d: c.metrics["agreement_host"].point for d, c in by_delegate.items()}
    assert agreement == {"cpu": 1.0, "gpu": 0.0, "gpu-fp32": 1.0}
    for case in report.cases:
        accuracy = case.metrics["accuracy_device"]
        assert accuracy.n == 2
        assert accuracy.ci_low is not None
        assert case.metrics["not_finite"].point == 0
    codes = {d: [f.code for f in c.findings] for d, c in by_delegate.items()}
    assert [d for d, found in codes.items() if "delegate-changed-answers" in found] == ["gpu"]
    (found,) = [f for f in by_delegate["gpu"].findings if f.code == "delegate-changed-answers"]
    assert found.level == "serious"
    assert "of 2 images are decided differently" in found.message
    assert found.message.count("test image ") == 2, "those that differ most"
    assert "gpu-fp32" in found.fix
    assert "2 test images, 3 cases" in run.said("accuracy on the device")
    assert "delegate-changed-answers" in (tmp_path / "r.html").read_text()


@pytest.mark.slow
def test_a_delegate_that_yields_no_number_is_told(tmp_path: Path, data: Path) -> None:
    faults = Faults(accelerator="all", accelerator_answers="nan")
    with emulated(faults=faults, fixed_latency_us=None) as phone:
        run = Run(
            tmp_path, {"phone": entry(phone)}, TINY, "--launches", "1", "--iterations", "2",
            "--data", data, "--pixels", "0..255", "--delegate", "gpu", *ASKED,
        )  # fmt: skip
        run.finish(timeout=400)
        assert_clean(phone)
    (case,) = run.report.cases
    assert case.metrics["not_finite"].point == 1
    assert "delegate-changed-answers" in {f.code for f in case.findings}, run.stderr


REFUSED = {
    "the host": ({"host": {"kind": "host"}}, ASKED, "--accuracy device is for phones"),
    "without images": (
        {"toy": {"kind": "android", "transport": "emulated"}},
        ("--accuracy", "device"),
        "needs the other benchmark_model, dialect A",
    ),
    "images for nobody": (
        {"host": {"kind": "host"}},
        ("--accuracy-images", "5"),
        "add --accuracy device",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused_before_anything_is_built(
    tmp_path: Path, name: str
) -> None:
    entries, arguments, words = REFUSED[name]
    run = bench(tmp_path, entries, TINY, *arguments)
    assert run.status == EXIT_USAGE, run.stderr
    assert words in run.stderr
    assert not (tmp_path / "reports").exists()


def test_a_runner_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    with emulated(dialect="B", fixed_latency_us=None) as phone:
        run = bench(tmp_path, {"phone": entry(phone)}, TINY, *ASKED)
    assert run.status == EXIT_USAGE, run.stderr
    assert "dialect B, which takes no images" in run.stderr
    assert not (tmp_path / "reports").exists()
