"""ONNX and PyTorch files: the seam to a converter, with one that is a shell script, and what the
child says of answers, with real .tflite files."""

from __future__ import annotations

import json
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.artifacts.converters import child, convert, environment
from harness.artifacts.representative import Representative
from harness.commands import doctor
from harness.core.errors import BuildError, UsageError
from harness.core.pixels import of_scaling
from tests.paths import DATA

TINY = DATA / "models" / "tiny_float32.tflite"
SAME = {"largest": 1e-7, "magnitude": 1.0, "same": 8, "examples": 8}


def converter(cache: Path, kind: str, answer: str, *, ready: bool = True) -> Path:
    """A program in the place of an environment's Python; it counts its calls in `calls`."""
    folder = cache / "converters" / kind
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\nrequest=$(cat)\necho x >> {folder}/calls\n{answer}\n")
    python.chmod(0o755)
    if ready:
        (folder / "versions.json").write_text('{"onnx2tf": "1"}')
    return folder


PICTURES = Representative("greys", lambda: np.zeros((8, 16, 16), np.uint8))


def says(result: dict[str, Any]) -> str:
    """Copies a .tflite file and writes this result, as the request names them."""
    return (
        'at() { echo "$request" | sed "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/"; }\n'
        f"cp {TINY} $(at target)\n"
        f"echo '{json.dumps(result)}' > $(at result)"
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"onnx")
    return path


def test_without_an_environment_the_command_that_makes_one_is_named(
    tmp_path: Path, model: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        convert.converted(model, "net", tmp_path / "cache", PICTURES)
    assert str(caught.value) == (
        f"{model} is an ONNX model, and nothing that converts it is set up; "
        "python -m harness setup onnx"
    )


def test_it_is_converted_once_and_its_parity_is_told(tmp_path: Path, model: Path) -> None:
    cache = tmp_path / "cache"
    folder = converter(cache, "onnx", says({**SAME, "examples": 16, "same": 16, "pictures": 8}))
    made = convert.converted(model, "net", cache, PICTURES)
    assert (made.variant, made.recipe) == ("net", "float32")
    assert made.size_bytes == TINY.stat().st_size
    (told,) = (f for f in made.findings if f.code.startswith("conversion"))
    assert (told.code, told.level) == ("conversion-checked", "info")
    assert "at most 1.0e-07 of the largest answer" in told.message
    assert told.message.startswith("on 8 random inputs and 8 pictures the converted")
    assert "16 of 16 decisions" in told.message
    assert convert.converted(model, "again", cache, PICTURES).sha256 == made.sha256
    assert (folder / "calls").read_text() == "x\n"
    model.with_name("net.onnx.data").write_bytes(b"other weights")
    convert.converted(model, "net", cache, PICTURES)
    assert (folder / "calls").read_text() == "x\nx\n"


@pytest.mark.parametrize(
    ("result", "code", "level", "says_so"),
    [
        ({**SAME, "largest": 0.4, "same": 5}, "conversion-changed-answers", "serious", "5 of 8"),
        ({"unchecked": "it has 2 outputs"}, "conversion-unchecked", "warning", "it has 2 outputs"),
    ],
)
def test_doubts_about_the_conversion(
    tmp_path: Path, model: Path, result: dict[str, Any], code: str, level: str, says_so: str
) -> None:
    converter(tmp_path, "onnx", says(result))
    findings = convert.converted(model, "net", tmp_path, PICTURES).findings
    (told,) = (f for f in findings if f.code.startswith("conversion"))
    assert (told.code, told.level) == (code, level)
    assert says_so in told.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (says({"refusal": "no operator Foo"}), "onnx2tf does not convert it: no operator Foo"),
        ("kill -SEGV $$", "onnx2tf ended: killed by SIGSEGV"),
        ("exit 0", "onnx2tf ended: exit status 0"),
    ],
)
def test_a_converter_that_fails_is_one_line_with_its_log(
    tmp_path: Path, model: Path, answer: str, message: str
) -> None:
    converter(tmp_path, "onnx", answer)
    with pytest.raises(BuildError) as caught:
        convert.converted(model, "net", tmp_path, PICTURES)
    assert caught.value.message == message
    assert str(tmp_path / "logs" / "net-onnx-") in caught.value.fix


def test_setup_makes_an_environment_and_keeps_a_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def create(folder: Path, *, with_pip: bool) -> None:
        made.append(with_pip)
        assert not (folder / "left").exists()
        answer = 'echo "$@" >> ${0%/*}/../calls; echo \'{"onnx2tf": "1.2"}\''
        converter(folder.parents[1], "onnx", answer, ready=False)

    monkeypatch.setattr(venv, "create", create)
    unfinished = tmp_path / "converters" / "onnx" / "left"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("")
    said: list[str] = []
    found = environment.setup("onnx", tmp_path, said.append)
    assert found.versions == {"onnx2tf": "1.2"}
    assert environment.setup("onnx", tmp_path, said.append) == found
    assert made == [True]
    assert "onnx2tf==" in said[1]
    calls = (tmp_path / "converters/onnx/calls").read_text()
    assert "-m pip install" in calls
    assert environment.remove("onnx", tmp_path)
    assert environment.find("onnx", tmp_path) is None


def test_what_pip_cannot_install_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(folder: Path, *, with_pip: bool) -> None:
        answer = "echo 'ERROR: No space left on device' >&2; exit 1"
        converter(folder.parents[1], "torch", answer, ready=False)

    monkeypatch.setattr(venv, "create", create)
    with pytest.raises(BuildError, match=r"litert-torch.*: ERROR: No space left on device"):
        environment.setup("torch", tmp_path, lambda line: None)
    assert not (tmp_path / "converters" / "torch").exists()


class Source:
    """A source whose answers are those of a .tflite file, changed by `change`; with its channels
    first."""

    def __init__(self, change: Any = lambda answer: answer) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(TINY))
        self._interpreter.allocate_tensors()
        self._change = change
        self.inputs = [("image", [1, 1, 256, 256], "float32")]

    def answers(self, values: list[Any]) -> list[Any]:
        (given,), (asked,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        self._interpreter.set_tensor(given["index"], values[0].transpose(0, 2, 3, 1))
        self._interpreter.invoke()
        return [self._change(self._interpreter.get_tensor(asked["index"]))]


def test_answers_are_compared_on_the_same_inputs() -> None:
    same = child.compare(Source(), str(TINY))
    assert (same["largest"], same["same"], same["examples"]) == (0, 8, 8)
    assert same["magnitude"] > 0
    other = child.compare(Source(lambda answer: answer + 0.25), str(TINY))
    assert other["largest"] == pytest.approx(0.25)
    broken = child.compare(Source(lambda answer: answer * np.nan), str(TINY))
    assert broken["largest"] > 1e300
    assert json.loads(json.dumps(broken)) == broken


def test_inputs_and_outputs_find_their_partners() -> None:
    """By name, else by shape; with the channels last; in another order."""
    small, picture = np.ones((1, 4), "f4"), np.zeros((1, 3, 8, 6), "f4")
    details = [
        {"name": "serving_x:0", "shape": np.array([1, 8, 6, 3]), "dtype": np.float32},
        {"name": "serving_y:0", "shape": np.array([1, 4]), "dtype": np.float32},
    ]
    inputs = [("y", [1, 4], "float32"), ("x", [1, 3, 8, 6], "float32")]
    ordered = child._in_order(details, inputs, [small, picture])
    assert [one.shape for one in ordered] == [(1, 8, 6, 3), (1, 4)]
    with pytest.raises(child.Refused, match="no input of the source fits"):
        child._in_order(details, inputs[:1], [small])
    first, second = np.zeros((1, 2), "f4"), np.ones((1, 2), "f4")
    pairs = child._paired([first, second], [second, first])
    assert all(np.array_equal(*pair) for pair in pairs)
    with pytest.raises(child.Refused, match=r"an output of \[1, 2\] became one of \[\[1, 3\]\]"):
        child._paired([first], [np.ones((1, 3), "f4")])


def test_compiled_code_in_a_torch_file_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import zipfile

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("m/data/aotinductor/model/wrapper.so", b"")
    with pytest.raises(child.Refused, match="compiled code"):
        child.Torch(str(tmp_path / "m.pt2"))
    torch = environment.Environment(Path("/x/bin/python"), {})
    assert torch.variables["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"


MEAN, STD = np.array([0.5, 0.4, 0.3]).reshape(1, 3, 1, 1), np.array([[[[0.2]], [[0.2]], [[0.2]]]])


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        ([("Div", ["x", "k"], ["a"]), ("Conv", ["a", "w"], ["y"])], "0..255"),
        ([("Div", ["k", "x"], ["a"])], None),
        ([("Cast", ["x"], ["a"]), ("Mul", ["two", "a"], ["b"]), ("Sub", ["b", "one"], ["c"])],
         "0..1"),
        ([("Sub", ["x", "m"], ["a"]), ("Div", ["a", "s"], ["y"])], "0..1"),
        ([("Div", ["x", "k"], ["d"]), ("Sub", ["d", "m"], ["a"]), ("Div", ["a", "s"], ["y"])],
         "0..255"),
        ([("Sub", ["one", "x"], ["y"])], "0..1"),
        ([("Conv", ["x", "w"], ["a"]), ("Div", ["a", "k"], ["y"])], None),
        ([("Div", ["x", "k"], ["a"]), ("Relu", ["x"], ["b"])], None),
        ([("Div", ["x", "zero"], ["a"])], None),
        ([("Mul", ["x", "x"], ["a"])], None),
        ([], None),
    ],
)  # fmt: skip
def test_what_an_onnx_model_does_with_its_input_first(nodes: Any, name: str | None) -> None:
    """The converter hides it in the first convolution, so it is read off the source."""
    constants = {
        **{"k": np.array(255.0), "two": np.array([2.0]), "one": np.array(1.0), "m": MEAN, "s": STD},
        **{"zero": np.array(0.0), "w": np.ones((4, 3, 3, 3))},
    }
    pixels = of_scaling(*child.scaling(nodes, constants, "x"))
    assert (pixels and pixels.name) == name


def test_the_range_of_a_converted_model_is_its_sources(tmp_path: Path, model: Path) -> None:
    converter(tmp_path, "onnx", says({**SAME, "scale": [1 / 255], "offset": [0.0]}))
    pixels = convert.converted(model, "net", tmp_path, PICTURES).pixels
    assert pixels is not None
    assert (pixels.name, pixels.source) == ("0..255", "layers")


def test_doctor_says_which_converters_are_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path))
    converter(tmp_path, "onnx", "exit 0")
    found = doctor.converters()
    assert found.message.startswith("onnx: onnx2tf 1; torch: ")
    if "torch: not set up" in found.message:
        assert found.fix == "python -m harness setup torch"
