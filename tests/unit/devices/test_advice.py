"""What is advised fits what went wrong."""

from __future__ import annotations

import pytest

from harness.analysis.checks import too_few_launches
from harness.analysis.checks.op_profile import LONGEST_NAME, short_name
from harness.core.errors import StableDeviceError
from harness.core.types import Plan, TensorInfo, Timing
from harness.devices.android import facts, parity
from harness.devices.runners import benchmark_model as runner
from tests.strategies import evidence, steady_launches

SCORES = TensorInfo(name="y", shape=(1, 2), dtype="float32")


@pytest.mark.parametrize(("size", "advice"), [(0, "free some space"), (12, "another build")])
def test_answers_of_another_size(size: int, advice: str) -> None:
    """The tool says nothing when its disk is full: the file is only too short."""
    with pytest.raises(StableDeviceError) as caught:
        parity.outputs([bytes(size)], [SCORES], "test")
    assert advice in caught.value.fix
    assert "dialect" not in caught.value.fix


def test_a_sustained_launch_is_not_advised_what_it_refuses() -> None:
    about = evidence(
        steady_launches(1),
        plan=Plan(cases=(), timing=Timing(sustained_ns=10**9)),
    )
    (found,) = too_few_launches.findings(about)
    assert "--launches" not in found.fix


def test_a_program_without_the_x_bit_is_not_said_to_be_for_another_abi() -> None:
    said = "sh: /data/local/tmp/x: can't execute: Permission denied"
    found = runner.not_executable(126, "", said)
    assert found is not None
    assert "chmod 755" in found.fix
    assert "ABI" not in found.fix


def test_a_mask_names_cores_that_are_there() -> None:
    cores = tuple(facts.Core(number, 1000) for number in range(8))
    assert facts.core_mask("f0", cores) == "f0"
    with pytest.raises(ValueError, match="no core 8; all of its cores are ff"):
        facts.core_mask("1f0", cores)
    assert facts.core_mask("1f0", ()) == "1f0", "a phone that does not list its cores is believed"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "[sequential_1/conv2d_1_2/Relu;sequential_1/conv2d_1_2/convolution]:2",
            "conv2d_1_2/Relu and 1 fused",
        ),
        ("Delegate/Convolution (NHWC, F32) IGEMM:10", "Convolution (NHWC, F32) IGEMM:10"),
        ("[y]:0", "y"),
        ("AllocateTensors/0", "AllocateTensors/0"),
    ],
)
def test_names_of_fused_operators_are_short(name: str, shown: str) -> None:
    """Names from captures of the real tool, with and without XNNPACK."""
    assert short_name(name) == shown
    assert len(shown) <= LONGEST_NAME + len(" and 1 fused")
