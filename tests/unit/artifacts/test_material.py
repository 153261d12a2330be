"""The images that networks learn from, as files that all trainings share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.artifacts.material import Material
from tests.unit.artifacts.test_training import Stripes


def test_images_are_written_once_for_all_networks_and_again_only_if_damaged(
    tmp_path: Path,
) -> None:
    images = Stripes()
    for _ in range(3):
        Material(images, tmp_path).save()
    assert images.made == ["train", "validation"]
    Path(Material(images, tmp_path).files("train").labels).write_bytes(b"half")
    Material(images, tmp_path).save()
    assert images.made == ["train", "validation", "train"]
    labels = np.load(Material(images, tmp_path).files("train").labels)
    assert labels.tolist() == images.arrays("train")[1].tolist()
