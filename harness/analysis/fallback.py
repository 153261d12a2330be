"""Which operators of a model a GPU is not expected to take, judged from the file alone."""

from __future__ import annotations

from collections.abc import Iterable

from harness.core.types import Artifact, Case

# The operators that TensorFlow Lite's GPU delegate has a parser for, in any version. Source:
# tflite/delegates/gpu/common/model_builder.cc, NewOperationParser, of LiteRT at f67457790
# (21 August 2026). It also looks at versions, types and shapes, and so may take fewer.
SOURCE = "LiteRT's model_builder.cc of August 2026"
_NAMES = """
    ABS ADD ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D COS CUMSUM DENSIFY
    DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD
    FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGISTIC LSTM MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT
    PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU_0_TO_1 RELU6
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN
    SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM
    TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK
    """
KNOWN = frozenset(_NAMES.split())


def unknown_to_gpu(artifact: Artifact) -> dict[str, int]:
    """Operators that the delegate does not know, with how often they occur. Custom ones count as
    unknown: the delegate knows four of them by name, and a file's list of operators has no such
    names."""
    return {op: n for op, n in sorted(artifact.ops.items()) if op.upper() not in KNOWN}


def foreseen(artifacts: Iterable[Artifact], cases: Iterable[Case]) -> list[str]:
    """A line for each artifact that is to run on a GPU and has such operators."""
    on_gpu = {case.variant for case in cases if case.delegate.startswith("gpu")}
    return [
        f"{artifact.variant}: {expected_on_cpu(unknown)}"
        for artifact in artifacts
        if artifact.variant in on_gpu and (unknown := unknown_to_gpu(artifact))
    ]


def expected_on_cpu(unknown: dict[str, int]) -> str:
    """The sentence about operators that the delegate does not know."""
    it = "it" if len(unknown) == 1 else "them"
    return (
        f"{operators_text(unknown)} expected on the CPU, since the GPU delegate does not know {it} "
        f"({SOURCE})"
    )


def operators_text(unknown: dict[str, int]) -> str:
    """`2 x TOPK_V2, GATHER_ND`."""
    return ", ".join(f"{n} x {op}" if n > 1 else op for op, n in unknown.items())
