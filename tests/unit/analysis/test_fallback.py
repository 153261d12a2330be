"""Operators that a GPU is not expected to take."""

from __future__ import annotations

import pytest

from harness.analysis import fallback
from harness.analysis.checks import fallback as check
from harness.core.types import Case
from tests.contract.analysis.test_checks import on_gpu_with
from tests.strategies import artifact

ON_GPU = Case(variant="m", device="phone", runtime="benchmark_model", delegate="gpu-fp32")


def test_it_is_said_before_the_run_for_gpus_only() -> None:
    model = artifact(ops={"CONV_2D": 3, "TOPK_V2": 2, "GATHER_ND": 1})
    (line,) = fallback.foreseen([model], [ON_GPU])
    assert "GATHER_ND, 2 x TOPK_V2 expected on the CPU" in line
    assert "August 2026" in line
    cpu = Case(variant="m", device="phone", runtime="benchmark_model")
    assert fallback.foreseen([model], [cpu]) == []
    assert fallback.foreseen([artifact(ops={"CONV_2D": 3, "RELU6": 1})], [ON_GPU]) == []


@pytest.mark.parametrize(
    ("nodes", "words"), [(60, "confirms it: the delegate took 60 of 66"), (66, "shows otherwise")]
)
def test_the_run_confirms_or_refutes_it(nodes: int, words: str) -> None:
    (found,) = check.findings(on_gpu_with("TOPK_V2", nodes))
    assert words in found.message
