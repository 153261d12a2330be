from __future__ import annotations

import gzip
import hashlib
import os
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import Builder

from harness.artifacts.tflite.inspect import inspect, inspect_cached
from harness.core.errors import UsageError
from harness.core.types import Artifact, TensorInfo
from tests.paths import DATA

MODELS = DATA / "models"
TINY, TINY_INT8 = MODELS / "tiny_float32.tflite", MODELS / "tiny_int8.tflite"
TWO = MODELS / "two_signatures.tflite"


def edited(source: Path, path: Path, change: Callable[[schema.ModelT], object]) -> Path:
    """`source` with `change` made to it, written to `path`."""
    model = schema.ModelT.InitFromPackedBuf(source.read_bytes(), 0)
    change(model)
    builder = Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def refused(path: Path, signature: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        inspect(path, variant="x", signature=signature)
    error = caught.value
    assert error.message.startswith(str(path))
    assert error.fix
    assert "\n" not in str(error)
    return str(error)


def test_what_a_float_model_holds() -> None:
    artifact = inspect(TINY, variant="tiny")
    data = TINY.read_bytes()
    assert artifact.variant == "tiny"
    assert artifact.path == str(TINY.absolute())
    assert artifact.size_bytes == len(data)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert artifact.gzip_bytes == len(gzip.compress(data, 6, mtime=0))
    # Two kernels with biases and a dense one, whose bias is zero and so left out by the converter.
    assert artifact.parameters == (25 * 4 + 4) + (36 * 8 + 8) + 8
    assert artifact.weight_bytes == {"float32": 4 * 408}
    assert artifact.macs == 63 * 63 * 4 * 25 + 16 * 16 * 8 * 36 + 8
    assert artifact.ops["CONV_2D"] == 2
    assert artifact.inputs == (TensorInfo(name="image", shape=(1, 256, 256, 1), dtype="float32"),)
    assert artifact.signature is None
    convolution = artifact.layers[0]
    assert (convolution.op, convolution.parameters, convolution.size_bytes) == ("CONV_2D", 104, 416)
    assert convolution.macs == 63 * 63 * 4 * 25
    assert sum(layer.parameters for layer in artifact.layers) == artifact.parameters


def test_int8_inputs_have_their_scale() -> None:
    artifact = inspect(TINY_INT8, variant="tiny")
    (image,), (output,) = artifact.inputs, artifact.outputs
    assert (image.dtype, image.scale, image.zero_point) == ("int8", 1.0, -128)
    assert (output.dtype, output.scale, output.zero_point) == ("int8", 1 / 256, -128)
    assert artifact.parameters == 408
    assert artifact.weight_bytes == {"int8": 396, "int32": 48}


@pytest.mark.parametrize("path", [TINY, TINY_INT8])
def test_inputs_and_outputs_are_what_the_runtime_says(path: Path) -> None:
    artifact = inspect(path, variant="x")
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for ours, details in (
        (artifact.inputs, interpreter.get_input_details()),
        (artifact.outputs, interpreter.get_output_details()),
    ):
        assert [t.shape for t in ours] == [tuple(d["shape"]) for d in details]
        assert [t.dtype for t in ours] == [np.dtype(d["dtype"]).name for d in details]
        assert [t.scale or 0.0 for t in ours] == [d["quantization"][0] for d in details]
    interpreter.invoke()


def test_a_signature_is_chosen_by_name() -> None:
    artifact = inspect(TWO, variant="x", signature="decode")
    assert artifact.signature == "decode"
    assert [(t.name, t.shape) for t in artifact.inputs] == [("right", (1, 3))]
    assert [(t.name, t.shape) for t in artifact.outputs] == [("image", (1, 4))]
    assert artifact.macs == 12
    assert inspect(TWO, variant="x", signature="encode").inputs[0].name == "left"


def test_inputs_of_a_signature_come_in_the_order_of_the_runtime(tmp_path: Path) -> None:
    def reverse(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        for name in (b"zeta", b"alpha"):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, len(graph.tensors)
            graph.tensors.append(tensor(name, (1, 4), schema.TensorType.FLOAT32))
            graph.inputs = [*graph.inputs, entry.tensorIndex]
            model.signatureDefs[0].inputs.append(entry)

    path = edited(TINY, tmp_path / "three.tflite", reverse)
    key = "serving_default"
    runner = Interpreter(model_path=str(path)).get_signature_runner(key)
    artifact = inspect(path, variant="x", signature=key)
    assert [t.name for t in artifact.inputs] == list(runner.get_input_details())
    plain = [tuple(d["shape"]) for d in Interpreter(model_path=str(path)).get_input_details()]
    assert [t.shape for t in inspect(path, variant="x").inputs] == plain


def tensor(name: bytes, shape: tuple[int, ...], kind: int) -> schema.TensorT:
    made = schema.TensorT()
    made.name, made.shape, made.type = name, list(shape), kind
    return made


# --- sparsity ------------------------------------------------------------------------------------


def with_kernel(path: Path, source: Path, kernel: np.ndarray, points: list[int]) -> Artifact:
    """`source` whose first kernel is replaced and quantized with `points`, which is inspected."""

    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        weights = graph.tensors[graph.operators[0].inputs[1]]
        model.buffers[weights.buffer].data = kernel.view(np.uint8).ravel()
        if points:
            weights.quantization.zeroPoint = points

    return inspect(edited(source, path, change), variant="x")


def test_zeros_are_counted_and_minus_zero_is_one(tmp_path: Path) -> None:
    full = with_kernel(tmp_path / "a.tflite", TINY, np.ones(100, np.float32), [])
    kernel = np.ones(100, np.float32)
    kernel[:40], kernel[40:80] = 0.0, -0.0
    pruned = with_kernel(tmp_path / "b.tflite", TINY, kernel, [])
    assert pruned.parameters == full.parameters == 408
    assert pruned.sparsity is not None
    assert full.sparsity is not None
    assert round((pruned.sparsity - full.sparsity) * 408) == 80


def test_an_int8_zero_is_the_zero_point_of_its_channel(tmp_path: Path) -> None:
    def zeros(points: list[int], *fill: int) -> int:
        kernel = np.repeat(np.array(fill, np.int8), 25)
        artifact = with_kernel(tmp_path / "a.tflite", TINY_INT8, kernel, points)
        assert artifact.sparsity is not None
        return round(artifact.sparsity * 408)

    none = zeros([0] * 4, 1, 2, 3, 4)
    assert zeros([0] * 4, 1, 0, 0, 4) == none + 50
    assert zeros([1, 2, 0, 0], 1, 2, 3, 4) == none + 50
    assert zeros([4] * 4, 0, 0, 0, 4) == none + 25


def test_packed_int4_weights_are_counted_one_by_one(tmp_path: Path) -> None:
    def pack(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        weights = graph.tensors[graph.operators[0].inputs[1]]
        weights.type = schema.TensorType.INT4
        # Fifty pairs of (0, -8), the first in the lower half of the byte.
        model.buffers[weights.buffer].data = np.full(50, 0x80, np.uint8)

    before = inspect(TINY_INT8, variant="x")
    after = inspect(edited(TINY_INT8, tmp_path / "a.tflite", pack), variant="x")
    assert after.parameters == before.parameters
    assert after.weight_bytes["int4"] == 50
    assert after.weight_bytes["int8"] == 296
    assert after.sparsity is not None
    rest = with_kernel(tmp_path / "b.tflite", TINY_INT8, np.ones(100, np.int8), []).sparsity
    assert rest is not None
    assert round((after.sparsity - rest) * 408) == 50


def test_weights_behind_a_dequantize_belong_to_their_convolution(tmp_path: Path) -> None:
    def to_float16(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        convolution = graph.operators[0]
        weights = graph.tensors[convolution.inputs[1]]
        data = model.buffers[weights.buffer].data
        model.buffers[weights.buffer].data = (
            np.frombuffer(bytes(data), np.float32).astype(np.float16).view(np.uint8)
        )
        weights.type = schema.TensorType.FLOAT16
        unpack, code = schema.OperatorT(), schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        unpack.opcodeIndex = len(model.operatorCodes)
        unpack.inputs, unpack.outputs = [convolution.inputs[1]], [len(graph.tensors)]
        model.operatorCodes.append(code)
        graph.tensors.append(tensor(b"unpacked", tuple(weights.shape), schema.TensorType.FLOAT32))
        convolution.inputs = [convolution.inputs[0], *unpack.outputs, *convolution.inputs[2:]]
        graph.operators.insert(0, unpack)

    artifact = inspect(edited(TINY, tmp_path / "a.tflite", to_float16), variant="x")
    before = inspect(TINY, variant="x")
    assert artifact.parameters == before.parameters
    assert artifact.macs == before.macs
    assert artifact.weight_bytes == {"float32": 4 * 308, "float16": 200}
    assert artifact.ops["DEQUANTIZE"] == 1
    assert [(x.op, x.parameters) for x in artifact.layers] == [
        (x.op, x.parameters) for x in before.layers
    ]


def test_what_is_stored_once_is_counted_once(tmp_path: Path) -> None:
    def share(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        _, second = (o for o in graph.operators if len(o.inputs) == 3 and o.inputs[2] != -1)
        kernel = graph.tensors[second.inputs[1]]
        copied = schema.TensorT()
        copied.__dict__.update(kernel.__dict__)
        graph.tensors.append(copied)
        again = schema.OperatorT()
        again.__dict__.update(second.__dict__)
        again.inputs = [second.inputs[0], len(graph.tensors) - 1, second.inputs[2]]
        graph.operators.append(again)

    before = inspect(TINY, variant="x")
    after = inspect(edited(TINY, tmp_path / "a.tflite", share), variant="x")
    assert after.parameters == before.parameters
    assert after.weight_bytes == before.weight_bytes
    assert after.layers == before.layers
    assert after.macs == (before.macs or 0) + 16 * 16 * 8 * 36


def test_what_cannot_be_counted_is_unknown_and_not_0(tmp_path: Path) -> None:
    def change(model: schema.ModelT) -> None:
        code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"Mystery"

    artifact = inspect(edited(TINY, tmp_path / "a.tflite", change), variant="x")
    assert artifact.ops["Mystery"] == 1
    assert artifact.macs is None


# --- wrong input ---------------------------------------------------------------------------------


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "text.tflite").write_text("this is no model\n" * 100)
    (tmp_path / "short.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    os.mkfifo(tmp_path / "pipe.tflite")
    assert "does not exist" in refused(tmp_path / "gone.tflite")
    assert "is a folder" in refused(tmp_path)
    assert "is empty" in refused(tmp_path / "empty.tflite")
    assert "is not a TFLite model" in refused(tmp_path / "text.tflite")
    assert "ends too early" in refused(tmp_path / "short.tflite")
    assert "not a regular file" in refused(tmp_path / "pipe.tflite")


def test_a_choice_of_signatures_is_the_users() -> None:
    said = refused(TWO)
    assert "encode" in said
    assert "decode" in said
    assert "choose one with --signature NAME" in said
    assert "has no signature 'encod'" in refused(TWO, "encod")
    assert "it has serving_default" in refused(TINY, "encode")


def test_inputs_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    assert "[1, -1, -1, 1]" in refused(MODELS / "dynamic.tflite")
    assert "takes strings" in refused(MODELS / "strings.tflite")

    def reshaped(*shape: int) -> str:
        def change(model: schema.ModelT) -> None:
            image = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
            image.shape, image.shapeSignature = list(shape), None

        return refused(edited(TINY, tmp_path / "a.tflite", change))

    assert "no elements" in reshaped(1, 0, 256, 1)
    assert "more than a GiB" in reshaped(1, 2**20, 2**20, 3)

    def without_inputs(model: schema.ModelT) -> None:
        model.subgraphs[0].inputs, model.signatureDefs = [], []

    assert "has no inputs" in refused(edited(TINY, tmp_path / "a.tflite", without_inputs))


def test_an_open_batch_is_measured_as_one_and_said() -> None:
    artifact = inspect(MODELS / "open_batch.tflite", variant="a")
    assert artifact.inputs[0].shape == (1, 4)
    assert [finding.code for finding in artifact.findings] == ["open-batch"]
    assert inspect(TINY, variant="a").findings == ()


def test_what_was_inspected_once_is_remembered_by_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tflite", tmp_path / "b.tflite"
    first.write_bytes(TINY.read_bytes())
    second.write_bytes(TINY_INT8.read_bytes())
    cache = tmp_path / "cache"
    known = inspect_cached(first, cache, variant="a")
    assert known == inspect(first, variant="a")
    (kept,) = cache.rglob("*.json")
    kept.write_bytes(kept.read_bytes().replace(b'"sparsity":', b'"sparsity":0.123456,"x":'))
    assert inspect_cached(first, cache, variant="a") == known, "a damaged memory is not trusted"
    second.replace(first)
    assert inspect_cached(first, cache, variant="b") == inspect(first, variant="b")


@pytest.mark.parametrize("source", [TINY, TINY_INT8, TWO])
def test_a_file_cut_anywhere_is_refused(source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    path = tmp_path / "cut.tflite"
    # Of the last 8 bytes some may be padding, which nobody misses.
    for i in range(200):
        path.write_bytes(data[: i * (len(data) - 8) // 200])
        refused(path, "encode" if source == TWO else None)


@pytest.mark.parametrize("source", [TINY, TINY_INT8])
def test_a_file_with_wrong_bytes_is_read_or_refused(source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    path = tmp_path / "flipped.tflite"
    shuffled = random.Random(0)
    read = 0
    began = time.process_time()
    for _ in range(500):
        flipped = bytearray(data)
        for _ in range(shuffled.choice((1, 1, 4))):
            flipped[shuffled.randrange(len(data))] = shuffled.randrange(256)
        path.write_bytes(flipped)
        try:
            assert inspect(path, variant="x").size_bytes == len(data)
            read += 1
        except UsageError as error:
            assert str(error).startswith(str(path))
    assert 0 < read < 500
    assert time.process_time() - began < 30


@pytest.mark.slow
def test_an_endless_vector_in_a_large_file_is_not_followed(tmp_path: Path) -> None:
    """Zeros look like empty tables, and a wrong length makes many of them."""
    data = bytearray(2**26)
    struct.pack_into("<I4s", data, 0, 32, b"TFL3")
    struct.pack_into("<HHHHH", data, 12, 10, 12, 0, 0, 8)  # the vtable: subgraphs at 8
    struct.pack_into("<iII", data, 32, 20, 0, 4)
    struct.pack_into("<I", data, 44, 2**24 - 100)
    path = tmp_path / "large.tflite"
    path.write_bytes(data)
    began = time.process_time()
    assert "damaged" in refused(path)
    assert time.process_time() - began < 60


def test_equal_files_give_equal_artifacts(tmp_path: Path) -> None:
    copy = tmp_path / "copy.tflite"
    copy.write_bytes(TINY.read_bytes())
    os.utime(copy, (0, 0))
    assert inspect(copy, variant="x").gzip_bytes == inspect(TINY, variant="x").gzip_bytes
