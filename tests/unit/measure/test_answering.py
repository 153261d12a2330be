"""Test images answered by a device: saved part by part, and gone on with after a break."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.analysis.on_device import evaluation_of
from harness.core.attendant import Attendant
from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.core.evaluation import packed_labels
from harness.core.types import Artifact, Case, DeviceAnswers, DeviceImages, Plan, TensorInfo
from harness.devices import Examples
from harness.measure.answering import Answers
from harness.measure.device_images import drawn
from harness.results import store
from tests import fakes

CASE = fakes.case("a", "phone")
IMAGE = TensorInfo(name="x", shape=(1, 1, 1, 1), dtype="float32")
SCORES = TensorInfo(name="y", shape=(1, 2), dtype="float32")
N = 10


class Phone:
    """Answers three images at a time, each with scores that tell its number; goes away, or
    fails, before image `breaks_at`."""

    def __init__(self, breaks_at: int | None = None, *, transient: bool = True) -> None:
        self.breaks_at, self.transient = breaks_at, transient
        self.asked: list[int] = []

    def answer(self, case: Case, artifact: Artifact, examples: Examples, first: int) -> bytes:
        self.asked.append(first)
        last = min(first + 3, examples.images)
        if self.breaks_at is not None and last > self.breaks_at:
            kind = TransientDeviceError if self.transient else StableDeviceError
            raise kind("link", "it is gone", "plug it in")
        rows = [[k / N, 1 - k / N] for k in range(first, last)]
        return np.array(rows, np.float32).tobytes()


def folder(path: Path) -> store.RunFolder:
    images = DeviceImages(
        dataset="d",
        fingerprint="f",
        classes=("x", "y"),
        rows=tuple(range(0, 2 * N, 2)),
        labels=packed_labels([0, 1] * (N // 2)),
        of=2 * N,
        files={"a": "a.examples"},
        sizes={"a": 4},
    )
    header = msgspec.structs.replace(
        fakes.header(Plan(cases=(CASE,), accuracy_devices=("phone",))), device_images=images
    )
    return store.create(path, header)


def asked(run: store.RunFolder, phone: Phone) -> list[str]:
    artifact = fakes.artifact("a", inputs=(IMAGE,), outputs=(SCORES,))
    assert run.header.device_images is not None
    found = Answers(run, run.header.device_images, {"a": artifact}, {}, Attendant())
    return [failure.message for _, failure in found.ask(phone, [CASE])]  # type: ignore[arg-type]


def test_a_break_costs_only_what_was_not_saved(tmp_path: Path) -> None:
    run = folder(tmp_path)
    gone = Phone(breaks_at=7)
    with pytest.raises(TransientDeviceError):
        asked(run, gone)
    assert gone.asked == [0, 3, 6]
    run.close()
    again = store.reopen(run.path)
    back = Phone()
    assert asked(again, back) == []
    assert back.asked == [6, 9], "the first six are not asked again"
    assert again.header.device_images is not None
    parts = again.read().answers[CASE.id]
    artifact = fakes.artifact("a", inputs=(IMAGE,), outputs=(SCORES,))
    whole = evaluation_of(CASE, artifact, again.header.device_images, parts)
    again.close()
    assert whole.n == whole.of == N
    assert whole.broke_off is None
    assert [round(row[0] * N) for row in whole.rows] == list(range(N)), "each in its place"
    assert whole.rows_of_split == tuple(range(0, 2 * N, 2))


def test_a_case_that_failed_for_good_is_not_asked_again(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert asked(run, Phone(breaks_at=4, transient=False)) == ["it is gone"]
    run.close()
    again = store.reopen(run.path)
    phone = Phone()
    assert asked(again, phone) == []
    assert phone.asked == []
    assert again.header.device_images is not None
    found = evaluation_of(
        CASE,
        fakes.artifact("a", inputs=(IMAGE,), outputs=(SCORES,)),
        again.header.device_images,
        again.read().answers[CASE.id],
    )
    again.close()
    assert found.n == 3
    assert found.broke_off is not None


def test_answers_that_are_not_finite_are_wrong_and_counted() -> None:
    images = DeviceImages(
        dataset="d", fingerprint="f", classes=("x", "y"), rows=(0, 1, 2), of=3,
        labels=packed_labels([0, 0, 1]),
    )  # fmt: skip
    raw = np.array([[2, 1], [np.nan, 1], [np.inf, 3]], np.float32).tobytes()
    parts = [DeviceAnswers(case=CASE.id, raw=raw)]
    for kind in ("logits", "probabilities"):
        artifact = fakes.artifact("a", inputs=(IMAGE,), outputs=(SCORES,), answers=kind)
        found = evaluation_of(CASE, artifact, images, parts)
        assert found.not_finite == 2
        assert found.right == [True, False, False]
        assert sum(map(sum, found.confusion)) == 1


def test_the_images_are_drawn_by_the_seed() -> None:
    assert drawn(5, None, 0) == drawn(5, 9, 0) == (0, 1, 2, 3, 4)
    assert drawn(1000, 200, 0) == drawn(1000, 200, 0) != drawn(1000, 200, 1)
    assert len(set(drawn(1000, 200, 0))) == 200
    assert list(drawn(1000, 200, 3)) == sorted(drawn(1000, 200, 3))
