"""Charts as files."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET

import pytest

from harness.renderers.plots import plots
from harness.renderers.view import View
from tests import reports
from tests.lazily import Lazily

Lazily("matplotlib")


def test_every_chart_is_a_file_with_its_title() -> None:
    files = plots(View(reports.compared()))
    assert {"baseline.svg", "pareto.svg", "memory.svg", "accuracy.svg", "size.svg"} <= set(files)
    assert {"timeline-1.svg", "latency-01.svg", "layers-05.svg"} <= set(files)
    for data in files.values():
        ET.fromstring(data)
    assert b"Size against latency" in files["pareto.svg"]


def test_png() -> None:
    files = plots(View(reports.one_case()), "png")
    for data in files.values():
        assert data.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", data[16:24])
        assert width > 300
        assert height > 100


@pytest.mark.parametrize("name", ["all_failed", "empty", "interrupted"])
def test_nothing_to_draw(name: str) -> None:
    assert all(key.startswith(("size", "layers")) for key in plots(View(reports.REPORTS[name]())))


def test_the_same_report_gives_the_same_files() -> None:
    assert plots(View(reports.one_case())) == plots(View(reports.one_case()))
