"""Files of every kind that people have: brought in, or told for what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.project.file_kinds import kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("a.tflite", "tflite"),
            ("A.TFLITE", "tflite"),
            ("a.keras", "convert"),
            ("a.h5", "convert"),
        ),
        *(
            ("a.hdf5", "convert"),
            ("a.onnx", "convert"),
            ("a.PT2", "convert"),
            ("scratch", None),
            ("mobilenet*", None),
            ("v1.5-int8", None),
        ),
    ],
)
def test_what_can_be_measured(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_the_folder_of_a_saved_model(tmp_path: Path) -> None:
    assert kind_of(str(tmp_path)) is None
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert kind_of(str(tmp_path)) == "convert"


def test_a_tflite_file_by_another_name(tmp_path: Path) -> None:
    for name in ("model.lite", "model.bin", "model"):
        (tmp_path / name).write_bytes(b"\x1c\0\0\0TFL3" + bytes(20))
        assert kind_of(str(tmp_path / name)) == "tflite"


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("a.pt", "a PyTorch model", "torch.export.save (.pt2)"),
        ("a.task", "a bundle of MediaPipe", "unpack it"),
        ("a.litertlm", "a language model", "litert-lm"),
        ("frozen.pb", "a TensorFlow graph", "SavedModel"),
        ("notes.txt", "not a model that can be measured", "a variant's name"),
    ],
)
def test_what_cannot_is_told_for_what_it_is(name: str, what: str, fix: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"something else")
    with pytest.raises(UsageError) as caught:
        kind_of(str(path))
    assert str(path) in caught.value.message
    assert what in caught.value.message
    assert fix in caught.value.fix


def test_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(UsageError, match="Git LFS pointer"):
        kind_of(str(path))
