"""What the parity metrics share: a device's answers beside the host's to the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.core import parity
from harness.core.types import Evidence, Launch, Outputs, Parity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def beside_host(evidence: Evidence) -> Launch | None:
    """The first launch that holds both sides."""
    return next((x for x in evidence.launches if x.outputs and x.reference), None)


def why_not(evidence: Evidence) -> str:
    """Why no launch does."""
    reasons = [x.absent["reference"] for x in evidence.launches if "reference" in x.absent]
    return reasons[0] if reasons else "the answers were not compared with the host's"


def compared(launch: Launch) -> Parity | None:
    """Both sides compared whole; where that was not done, as far as they were kept."""
    if launch.parity is not None or launch.outputs is None or launch.reference is None:
        return launch.parity
    return parity.compared(_kept(launch.outputs), _kept(launch.reference))


def _kept(outputs: Outputs) -> Iterator[NDArray[np.float64]]:
    import numpy as np

    return (np.array(row, dtype=np.float64) for row in outputs.values)  # None becomes nan


def says_nothing(launch: Launch) -> str:
    """Why it tells nothing if both sides decide alike; '' if it does tell something."""
    sides = [side for side in (launch.outputs, launch.reference) if side]
    if any(len(side.values) < 2 for side in sides):
        return "of one example, so that agreeing says nothing"
    if all(side.constant for side in sides):
        return "all answers are alike, so that agreeing says nothing"
    return ""
