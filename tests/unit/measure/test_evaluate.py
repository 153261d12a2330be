"""Evaluating real files in real processes: what they answered is kept, and what breaks one of them
costs the others nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis import looks
from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import UsageError
from harness.core.types import Artifact, Evaluation, TensorInfo
from harness.data.inputs import given
from harness.data.pixels import parse
from harness.devices.host import worker_process
from harness.measure import evaluate, questions
from tests.answers import Pictures
from tests.paths import DATA

pytestmark = pytest.mark.slow  # each starts a process that answers images

MODELS = DATA / "models"


LABELS = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0]


def files(**known: Any) -> dict[str, Artifact]:
    """The float model and its int8 child. Of pixels that are known no others are tried, each of
    which takes a process."""
    known = {"pixels": parse("0..255"), **known}
    parent = inspect(MODELS / "tiny_float32.tflite", variant="tiny")
    child = inspect(MODELS / "tiny_int8.tflite", variant="tiny-int8")
    child = msgspec.structs.replace(child, float_parent="tiny")
    return {a.variant: msgspec.structs.replace(a, **known) for a in (parent, child)}


def direct(path: str, images: NDArray[np.uint8]) -> list[float]:
    """The answers of a float model, by the interpreter's own book."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    found = []
    for image in images:
        example = image.astype(np.float32)[np.newaxis, :, :, np.newaxis]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], example)
        interpreter.invoke()
        output = interpreter.get_output_details()[0]["index"]
        found.append(float(interpreter.get_tensor(output).ravel()[0]))
    return found


def test_the_file_itself_answers_every_image(tmp_path: Path) -> None:
    data = Pictures(LABELS)
    tiny, int8 = evaluate.evaluate(files(), data, cache=tmp_path)
    assert tiny.failure is None
    assert (tiny.n, tiny.width, tiny.truth) == (10, 1, tuple(LABELS))
    # All cores may add up in another order than one.
    expected = direct(files()["tiny"].path, data.images)
    assert [row[1] for row in tiny.rows] == pytest.approx(expected, abs=1e-5)
    assert len({row[1] for row in tiny.rows}) > 1
    assert tiny.step == 0
    assert int8.step == pytest.approx(1 / 256)
    assert sum(map(sum, tiny.confusion)) == 10
    assert tiny.confusion[0][0] + tiny.confusion[1][1] == sum(tiny.right)
    assert int8.agreement is not None
    assert (int8.agreement.parent, int8.agreement.n) == ("tiny", 10)
    assert 0 < int8.agreement.mean <= int8.agreement.largest < 0.05
    assert tiny.agreement is None


def test_answers_are_kept_until_anything_changes(tmp_path: Path) -> None:
    told: list[str] = []

    def tell(name: str, done: int, total: int, far: str) -> None:
        if far in ("", "10 of 10") and (line := f"{name} {far}".strip()) not in told:
            told.append(line)

    def again(data: Pictures, **known: Any) -> tuple[Evaluation, ...]:
        told.clear()
        return evaluate.evaluate(files(**known), data, cache=tmp_path, progress=tell)

    first = again(Pictures(LABELS))
    assert told == ["tiny", "tiny 10 of 10", "tiny-int8", "tiny-int8 10 of 10"]
    unread = Pictures(LABELS)
    assert again(unread) == first
    assert (told, unread.read) == ([], 0)
    again(Pictures(LABELS, seed=1))
    assert told == ["tiny", "tiny 10 of 10", "tiny-int8", "tiny-int8 10 of 10"]
    for path in (tmp_path / "evaluations").glob("*.json"):
        path.write_bytes(path.read_bytes()[:40])
    assert again(Pictures(LABELS)) == first
    assert told == ["tiny", "tiny 10 of 10", "tiny-int8", "tiny-int8 10 of 10"]
    assert not list((tmp_path / "evaluations").glob(".images*"))


def test_a_picture_of_another_size_is_resized(tmp_path: Path) -> None:
    small = Pictures(LABELS, size=64)
    for found in evaluate.evaluate(files(), small, cache=tmp_path):
        assert found.failure is None
        assert found.n == 10


def test_untrained_artifacts_are_not_asked(tmp_path: Path) -> None:
    assert evaluate.evaluate(files(trained=False), Pictures(LABELS), cache=tmp_path) == ()


def test_files_brought_are_not_asked_about_images_of_ours(tmp_path: Path) -> None:
    data = Pictures(LABELS)
    assert evaluate.evaluate(files(), data, cache=tmp_path, brought=False) == ()
    ours = evaluate.evaluate(files(model="tiny"), data, cache=tmp_path, brought=False)
    assert [e.variant for e in ours] == ["tiny", "tiny-int8"]


def test_other_classes_are_a_failure_with_its_reason(tmp_path: Path) -> None:
    three = Pictures([0, 1, 2], classes=("a", "b", "c"))
    found = evaluate.evaluate(files(), three, cache=tmp_path)[0]
    assert found.failure is not None
    assert found.failure.message == "it answers with 1 score, and pictures has 3 classes"
    assert (found.n, found.scores) == (0, b"")


def test_a_model_that_takes_no_picture_says_so(tmp_path: Path) -> None:
    two = inspect(MODELS / "two_signatures.tflite", variant="two", signature="decode")
    (found,) = evaluate.evaluate({"two": two}, Pictures(LABELS), cache=tmp_path)
    assert found.failure is not None
    assert found.failure.message == "its input 1x3 float32 is not a picture"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("print('hello')", "not a result"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ('print(\'{"result": {"scores": "x"}}\')', "the worker gave no usable answer"),
    ],
)
def test_a_worker_that_breaks_costs_its_own_artifact_only(
    tmp_path: Path, body: str, says: str
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(body)
    cache = tmp_path / "cache"
    data = Pictures(LABELS)
    first, second = evaluate.evaluate(files(), data, cache=cache, worker=broken)
    assert first.failure is not None
    assert second.failure is not None
    assert says in first.failure.message
    # A failure is not kept: the next run asks again.
    assert all(e.failure is None for e in evaluate.evaluate(files(), data, cache=cache))


def test_answers_that_are_not_finite_are_a_failure(tmp_path: Path) -> None:
    nan = tmp_path / "nan.py"
    code = questions.WORKER.read_text().replace(
        "Path(__file__)", f"Path({str(questions.WORKER)!r})"
    )
    assert "width = len(answer)" in code
    nan.write_text(code.replace("width = len(answer)", "answer[0] = np.nan"))
    found = evaluate.evaluate(files(), Pictures(LABELS), cache=tmp_path, worker=nan)[0]
    assert found.failure is not None
    assert "not a finite number" in found.failure.message


def test_an_empty_split_is_a_failure(tmp_path: Path) -> None:
    found = evaluate.evaluate(files(), Pictures([]), cache=tmp_path)[0]
    assert found.failure is not None
    assert found.failure.message == "the test split is empty"


def test_a_cache_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        evaluate.evaluate(files(), Pictures(LABELS), cache=tmp_path / "file")


# --- what a model is given ------------------------------------------------------------------------


class Colours(Pictures):
    """Red and green pictures of the same grey."""

    def colours(self, split: questions.Split) -> NDArray[np.uint8]:
        shades = np.array([(200, 0, 0), (0, 102, 0)], np.uint8)
        return np.broadcast_to(
            shades[self.labels][:, None, None], (len(self.labels), 256, 256, 3)
        ).copy()


def described(**known: Any) -> dict[str, Artifact]:
    """The float and int8 file of one network for faces, trained on pixels from 0 to 1."""
    found = (inspect(MODELS / f"s01_{kind}.tflite", variant=kind) for kind in ("f32", "i8"))
    return {a.variant: msgspec.structs.replace(a, **known) for a in found}


def test_an_image_leaves_no_state_to_the_next(tmp_path: Path) -> None:
    """Each answer is the one that a model gives which has seen nothing else."""
    data = Pictures(LABELS[:4])
    for name in ("lstm_fused", "var_handle"):
        artifact = inspect(MODELS / f"{name}.tflite", variant=name)
        assert artifact.keeps_state
        assert artifact.keeps_resources == (name == "var_handle")
        alone: list[Any] = []
        for place in range(len(data.labels)):
            request = {
                "harness": str(questions.HARNESS),
                "model": artifact.path,
                "runtime": "litert",
                "threads": 1,
                "signature": None,
                "resources": False,
                "images": str(tmp_path / "images.npy"),
                "rows": [place, place + 1],
                "tensor": msgspec.to_builtins(artifact.inputs[0]),
                "pixels": msgspec.to_builtins(artifact.shown),
            }
            np.save(tmp_path / "images.npy", data.images)
            answer = worker_process.ask(
                request, log=tmp_path / "log", timeout_s=60, worker=questions.WORKER
            )
            alone.append(answer["scores"])
        request |= {"rows": [0, len(data.labels)], "resources": artifact.keeps_resources}
        together = worker_process.ask(
            request, log=tmp_path / "log", timeout_s=60, worker=questions.WORKER
        )
        assert together["scores"] == [score for answer in alone for score in answer]
        assert len({tuple(answer) for answer in alone}) > 1


def test_a_quantized_input_is_given_what_its_scale_says(tmp_path: Path) -> None:
    f32, i8 = evaluate.evaluate(described(), Pictures(LABELS), cache=tmp_path)
    assert i8.pixels is not None
    assert (i8.pixels.name, i8.saturated, i8.tried) == ("0..1", 0.0, ())
    assert f32.pixels is not None
    assert f32.pixels.source == "assumed"
    assert f32.saturated is None
    cut = described(pixels=parse("0..255"))["i8"]
    (found,) = evaluate.evaluate({"i8": cut}, Pictures(LABELS), cache=tmp_path)
    assert found.saturated is not None
    assert found.saturated > 0.99


def test_other_pixels_are_tried_on_the_validation_split(tmp_path: Path) -> None:
    f32, _ = evaluate.evaluate(described(), Pictures(LABELS), cache=tmp_path)
    assert [tried.pixels.name for tried in f32.tried] == ["0..255", "0..1", "-1..1"]
    assert {tried.n for tried in f32.tried} == {10}
    right = described(pixels=parse("0..1"))["f32"]
    (asked,) = evaluate.evaluate({"f32": right}, Pictures(LABELS), cache=tmp_path)
    assert asked.tried == ()
    # The validation split of these pictures is the test split, so what was tried is what is found.
    assert sum(asked.right) == f32.tried[1].right


def test_labels_put_scores_in_their_place(tmp_path: Path) -> None:
    data = Pictures(LABELS, classes=("dark", "bright"))
    (plain,) = evaluate.evaluate({"f32": described()["f32"]}, data, cache=tmp_path)
    swapped = described(labels=("bright", "dark"))["f32"]
    (found,) = evaluate.evaluate({"f32": swapped}, data, cache=tmp_path)
    assert (plain.scores_of, found.scores_of) == ("order", "metadata")
    assert found.rows == [row[::-1] for row in plain.rows]
    single = files(labels=("bright", "dark"))["tiny"]
    (turned,) = evaluate.evaluate({"tiny": single}, data, cache=tmp_path)
    (as_it_is,) = evaluate.evaluate({"tiny": files()["tiny"]}, data, cache=tmp_path)
    assert [row[1] for row in turned.rows] == pytest.approx([row[0] for row in as_it_is.rows])


def test_labels_of_the_user_must_name_the_classes(tmp_path: Path) -> None:
    wrong = described(labels=("a", "b"), labels_asked=True)["f32"]
    (found,) = evaluate.evaluate({"f32": wrong}, Pictures(LABELS), cache=tmp_path)
    assert found.failure is not None
    assert "not every class of pictures" in found.failure.message
    passed_over = described(labels=("a", "b"))["f32"]
    (found,) = evaluate.evaluate({"f32": passed_over}, Pictures(LABELS), cache=tmp_path)
    assert (found.failure, found.scores_of) == (None, "order")


def test_three_channels_are_given_colours() -> None:
    images = Colours(LABELS).colours("test")
    tensor = TensorInfo(name="x", shape=(1, 4, 4, 3), dtype="float32")
    values = given(tensor, images, parse("0..1")).values
    assert values.shape == (10, 4, 4, 3)
    assert values[0, 0, 0] == pytest.approx((200 / 255, 0, 0))
    assert values[1, 0, 0] == pytest.approx((0, 102 / 255, 0))
    one = TensorInfo(name="x", shape=(1, 4, 4, 1), dtype="float32")
    greys = given(one, images, parse("0..255")).values
    assert greys.shape == (10, 4, 4, 1)
    assert set(greys.ravel().tolist()) == {60.0}


def test_pictures_are_read_once_for_all_artifacts(tmp_path: Path) -> None:
    """What is mapped from a file is not copied, whatever the artifacts want."""
    data = Pictures(LABELS)
    np.save(tmp_path / "kept.npy", data.images)
    data.images = np.load(tmp_path / "kept.npy", mmap_mode="r")
    asked = {**files(), **described()}
    evaluate.evaluate(asked, data, cache=tmp_path / "cache")
    assert data.read == 2  # the test split, and the validation split once
    images = questions.Images(data, tmp_path / "scratch")
    assert {images.file(a, "test") for a in asked.values()} == {tmp_path / "kept.npy"}


# --- as many answers as are needed ----------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every artifact counts as slow, and 10 images are enough for looks after 2, 5, 7 and 10."""
    monkeypatch.setattr(evaluate, "EXPENSIVE_S", 0.0)
    monkeypatch.setattr(looks, "LEAST_AT_FIRST", 2)


@pytest.mark.usefixtures("slow")
def test_answers_in_looks_are_those_at_once(tmp_path: Path) -> None:
    data = Pictures(LABELS)
    at_once = evaluate.evaluate(files(), data, cache=tmp_path / "a")
    seen = evaluate.evaluate(files(), data, cache=tmp_path / "b", margin=0.02)
    assert [(e.n, e.of, e.looks) for e in seen] == [(10, 10, (2, 5, 7, 10))] * 2
    assert [(e.n, e.of, e.looks) for e in at_once] == [(10, 10, ())] * 2
    same = [msgspec.structs.replace(e, looks=()) for e in seen]
    assert same == list(at_once)


@pytest.mark.usefixtures("slow")
def test_one_that_is_settled_stops_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child_is_settled(right: Any, slow: Any, plan: Any, margin: float) -> set[str]:
        return {"tiny-int8"} & set(slow)

    data = Pictures(LABELS)
    with monkeypatch.context() as patch:
        patch.setattr(looks, "settled", child_is_settled)
        tiny, int8 = evaluate.evaluate(files(), data, cache=tmp_path, margin=0.02)
        assert (tiny.n, int8.n, int8.of) == (10, 2, 10)
        assert int8.agreement is not None
        assert int8.agreement.n == 2
        again = evaluate.evaluate(files(), Pictures(LABELS), cache=tmp_path, margin=0.02)
        assert again == (tiny, int8)
    # Where nothing is decided by accuracy alone, it answers the rest.
    _, whole = evaluate.evaluate(files(), data, cache=tmp_path)
    assert (whole.n, whole.truth) == (10, tuple(LABELS))


@pytest.mark.usefixtures("slow")
def test_first_words_are_of_the_first_look(tmp_path: Path) -> None:
    data = Pictures(LABELS)
    first = evaluate.evaluate(files(), data, cache=tmp_path, margin=0.02, decide=False)
    assert [e.n for e in first] == [2, 2]
    assert [e.n for e in evaluate.evaluate(files(), data, cache=tmp_path, margin=0.02)] == [10, 10]


def test_a_parent_that_is_not_measured_answers_a_part_and_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the second look, or the first if it is slow."""
    monkeypatch.setattr(looks, "LEAST_AT_FIRST", 2)
    both = files()
    child, parent = ({name: both[name]} for name in ("tiny-int8", "tiny"))
    judged: list[set[str]] = []

    def nothing_is_settled(right: Any, slow: Any, plan: Any, margin: float) -> set[str]:
        judged.append(set(right))
        return set()

    monkeypatch.setattr(looks, "settled", nothing_is_settled)

    def answered(cache: str) -> list[tuple[int, int]]:
        found = evaluate.evaluate(
            child, Pictures(LABELS), cache=tmp_path / cache, margin=0.02, parents=parent
        )
        int8, tiny = found
        assert int8.agreement is not None
        assert (int8.variant, int8.agreement.n) == ("tiny-int8", tiny.n)
        assert (tiny.agreement, tiny.looks) == (None, ())
        return [(e.n, e.of) for e in found]

    assert answered("quick") == answered("quick") == [(10, 10), (5, 10)]
    monkeypatch.setattr(evaluate, "EXPENSIVE_S", 0.0)
    assert answered("slow") == [(10, 10), (2, 10)]
    assert judged == [{"tiny-int8"}] * 3
    # The same file answers everything where it is measured.
    whole = evaluate.evaluate(both, Pictures(LABELS), cache=tmp_path / "quick", margin=0.02)
    assert [e.n for e in whole] == [10, 10]


def test_what_is_quick_answers_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LEAST_AT_FIRST", 1)
    found = evaluate.evaluate(files(), Pictures(LABELS), cache=tmp_path, margin=0.02)
    assert [(e.n, e.looks) for e in found] == [(10, ())] * 2
