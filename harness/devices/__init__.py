"""What runs launches: the host, an Android phone, an emulated ARM core. One file each.

A target module offers `open_target(name: str, spec: DeviceSpec, log_dir: Path,
attendant: Attendant) -> Target`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.core.types import Artifact, Case, DeviceFacts, Launch, Timing


class Target(Protocol):
    """One device. Calls come from one thread; `close` is always called, whatever happened."""

    def facts(self) -> DeviceFacts:
        """What the device says of itself."""

    def prepare(self, artifact: Artifact, inputs: Path) -> None:
        """Bring the artifact and its input set (a .npz, see `harness.data.inputs`) to where
        launches can read them. Called once per artifact, before its first launch."""

    def launch(self, case: Case, artifact: Artifact, timing: Timing, index: int) -> Launch:
        """One fresh process. `index` is the round; the first one (0) may observe more than time.
        Raises MeasurementError; `order` of the Launch is filled in by the caller."""

    def close(self) -> None:
        """Leave the device as it was found."""
