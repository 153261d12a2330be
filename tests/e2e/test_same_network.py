"""One network as Keras, ONNX and PyTorch, where converters are set up; else the line that says how.

They take minutes and gigabytes to set up, so the suite does not: after `python -m harness setup
onnx` and `setup torch` there is a test for each. benchmarks/same_network.py prints the three beside
each other.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.artifacts.converters import Kind, environment
from harness.cli import main
from harness.system.files import cache_dir, sha256
from tests.paths import DATA

FILES: dict[Kind, Path] = {
    "onnx": DATA / "same_network" / "conv.onnx",
    "torch": DATA / "same_network" / "conv.pt2",
}
CACHE = cache_dir()  # before a test sets another one
SET_UP = [kind for kind in FILES if environment.find(kind, CACHE) is not None]


@pytest.mark.parametrize("kind", FILES)
def test_without_a_converter_it_is_one_line(
    kind: Kind, fresh_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if environment.find(kind, fresh_cache) is not None:
        pytest.skip("this environment has the converter itself")
    assert main(["bench", str(FILES[kind]), "--out", str(tmp_path / "reports")]) == 2
    said = capsys.readouterr().err
    assert "and nothing that converts it is set up" in said
    assert said.endswith(f"python -m harness setup {kind}\n")


if SET_UP:

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", SET_UP)
    def test_it_answers_as_its_source(
        kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MOBILE_BENCH_CACHE", str(CACHE))
        report, before = tmp_path / "report.json", sha256(FILES[kind])
        words = ["bench", str(FILES[kind]), "--quick", "--launches", "1", "--json", str(report)]
        assert main([*words, "--out", str(tmp_path / "reports")]) in (0, 3)
        (artifact,) = json.loads(report.read_text())["artifacts"]
        (told,) = (f for f in artifact["findings"] if f["code"].startswith("conversion"))
        assert told["code"] == "conversion-checked"
        assert "16 of 16 decisions are the same" in told["message"]
        assert sha256(FILES[kind]) == before, "onnx2tf writes to the file that it is given"
        assert artifact["inputs"][0]["shape"] == [1, 25, 25, 1]
