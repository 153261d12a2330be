"""`search` as a user types it: a small project, photos in folders, this machine."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from harness import cli
from harness.project.config import load_project
from tests.searches import TINY

VARIANTS = """\
# Mine.
variants:
  big: {model: tiny, options: {units: 32}}  # the large one

# In one line:
search: {tiny: {options: {units: [2, 4, 400]}, recipe: float32}}

training:
  tiny: {epochs: 2, learning_rate: 0.02, batch_size: 16}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.py").write_text(TINY)
    (tmp_path / "models/variants.yaml").write_text(VARIANTS)
    (tmp_path / "devices.yaml").write_text("devices:\n  host: {kind: host}\n")
    rng = np.random.default_rng(0)
    for name, base in (("bright", 150), ("dark", 100)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(40):
            pixels = (rng.integers(0, 60, (24, 24)) + base).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{n}.png")
    return tmp_path


@pytest.mark.long
def test_search_refuses_judges_keeps_and_is_shown_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "--data", "photos", "--against", "big", "--budget", "size<=5kB"]
    status = cli.main([*words, "--html", "page.html", "--csv", "trials.csv"])
    told = capsys.readouterr()
    assert status == 0, told.err
    assert "3 trials looked at of 3 combinations: 2 judged on validation images" in told.out
    assert "1 over the budget before training" in told.out
    assert "misses size<=5kB" in told.err  # of the one with 400 units, in seconds
    assert "Verdict" in told.out and "big" in told.out
    assert "The front over the trials" in Path("page.html").read_text("utf-8")
    assert len(Path("trials.csv").read_text().splitlines()) == 4

    trained = sorted(Path.cwd().parent.rglob("network.npz"))
    again = ["search", "--resume", "latest"]
    assert cli.main([*again, "--json", "-", "--keep", "small", "--trial", "1"]) in (0, 2)
    told = capsys.readouterr()
    if told.out:  # trial 1 may be the one that was refused
        report = json.loads(told.out)
        assert report["stopped"] == "exhausted"
        assert "unfinished" not in {trial["state"] for trial in report["trials"]}
        after = (project / "models/variants.yaml").read_text()
        assert [line for line in VARIANTS.splitlines() if line not in after.splitlines()] == []
        assert "small" in load_project(project).variants.variants
    else:
        assert "there is no judged trial 1" in told.err
    assert sorted(Path.cwd().parent.rglob("network.npz")) == trained

    assert cli.main([*again, "--trials", "9"]) == 2
    assert "must not go on searching" in capsys.readouterr().err
    assert cli.main(["history"]) == 0
    assert "search-" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "tinny"], "unknown entry of search: 'tinny'; did you mean 'tiny'?"),
        (["--budget", "sice<=1MB"], "unknown metric 'sice'; did you mean 'size'"),
        (["--budget", "auc>=0.9"], "a search cannot use auc"),
        (["--budget", "instructions<=1M"], "python -m harness setup arm64"),
        (["--against", "bigg"], "unknown variant 'bigg'; did you mean 'big'?"),
        (["--trial", "3"], "add --keep NAME"),
        (["--keep", "big"], "there is a variant 'big' already"),
        (["--keep", "a b"], "cannot be the name of a variant"),
        (["--resume", "latest"], "holds no search yet"),
        (
            ["--resume", "photos", "--budget", "size<=1MB"],
            "keeps its own budget, which cannot be changed",
        ),
        (["--device", "pixl"], "unknown device 'pixl'"),
        (["--html", "nowhere/page.html"], "cannot write 'nowhere/page.html'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_built(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    given = words if "--resume" in words else ["--data", "photos", *words]
    assert cli.main(["search", *given]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("error:") == 1
    assert not list(project.glob("reports/search-*"))


def test_without_optuna_the_extra_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else real(name, *a)
    )
    assert cli.main(["search", "--data", "photos"]) == 2
    assert "pip install 'mobile-bench-harness[build,search]'" in capsys.readouterr().err


def test_the_shipped_models_are_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["search", "--keep", "small"]) == 2
    assert "init my-project" in capsys.readouterr().err
