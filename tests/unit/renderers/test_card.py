"""The model card, read by the Hub's own library."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from harness.core.data import DataSummary
from harness.core.types import DeviceVerdict, Loss, Measurement, Report, Verdict
from harness.renderers.formats import card
from harness.renderers.view import View
from tests import reports

BEST = "mobilenet-gray-int8"


def written(report: Report) -> str:
    return card.render(View(report)).decode()


def read(text: str) -> Any:
    """As `ModelCard.load` reads it."""
    hub = pytest.importorskip("huggingface_hub")
    return hub.ModelCard(text, ignore_metadata_errors=False)


def recommended() -> Report:
    """A verdict for one variant, with accuracy, its bound and the images."""
    report = reports.REPORTS["with_verdict"]()
    bound = Measurement(unit="1", point=0.0, ci_low=0.0, ci_high=0.0131, confidence=0.95, n=600)
    data = DataSummary(
        name="cracks & dents",
        counts={
            "crack": {"train": 90, "validation": 5, "test": 60},
            "dent | scratch": {"train": 80, "validation": 0, "test": 70},
        },
        split_by="seeded",
        fingerprints={"test": "abc123"},
    )
    verdict = Verdict(
        reason=f"{BEST}: loses at most 1.4 points",
        recommended=BEST,
        decision="recommended",
        devices=(DeviceVerdict(device="host", reason="", recommended=BEST),),
        losses={BEST: Loss(point=0.0, bound=0.0131, n=600)},
    )
    cases = [
        replace(case, metrics={**case.metrics, "loss": bound}) if case.variant == BEST else case
        for case in report.cases
    ]
    return replace(report, cases=tuple(cases), data=data, verdict=verdict)


def test_the_hub_reads_the_results() -> None:
    report = recommended()
    data = read(written(report)).data
    assert data.model_name == BEST
    assert data.pipeline_tag == "image-classification"
    found = {result.metric_type: result for result in data.eval_results}
    (case,) = [c for c in report.cases if c.variant == BEST]
    accuracy = case.metrics["accuracy"]
    assert found["accuracy"].metric_value == accuracy.point
    assert found["accuracy"].metric_args["ci_low"] == accuracy.ci_low
    assert found["accuracy_loss"].metric_value == 0.0131, "the upper end, not what was seen"
    assert found["accuracy"].dataset_name == "cracks & dents"
    assert found["accuracy"].dataset_args == {"fingerprint": "abc123"}
    assert all(result.task_type == "image-classification" for result in data.eval_results)


def test_what_the_hub_writes_again_is_the_same() -> None:
    text = written(recommended())
    head = yaml.safe_load(text.split("---")[1])
    assert yaml.safe_load(str(read(text).data)) == head


def test_the_licence_is_left_to_the_user() -> None:
    text = written(recommended())
    assert "# license: yours to fill in" in text
    assert "license" not in yaml.safe_load(text.split("---")[1])
    named = text.replace("# license: yours to fill in, such as apache-2.0;", "license: mit #")
    assert read(named).data.license == "mit"


def test_it_says_what_it_was_trained_on_and_what_it_costs_on_each_device() -> None:
    report = recommended()
    text = written(report).replace("\\", "")
    assert "cracks &amp; dents" in text
    assert "| `dent | scratch` | 80 | 0 | 70 |" in text
    assert "at most 1.4 points against the best variant measured, with 95 % confidence" in text
    assert "| `host`" in text
    (artifact,) = [a for a in report.artifacts if a.variant == BEST]
    assert artifact.sha256 in text


@pytest.mark.parametrize("which", sorted(reports.REPORTS))
def test_the_hub_reads_the_card_of_every_report(which: str) -> None:
    report = reports.REPORTS[which]()
    data = read(written(report)).data
    assert data.library_name == "tflite"
    if data.eval_results:
        assert report.verdict is not None
        assert report.verdict.recommended


def test_without_a_recommendation_it_says_so_and_has_no_results() -> None:
    text = written(reports.REPORTS["all_failed"]())
    assert "# No variant is recommended" in text
    assert read(text).data.eval_results is None


def test_a_file_that_was_brought_has_unknown_training_data() -> None:
    report = recommended()
    artifacts = [replace(a, model=None, recipe=None) for a in report.artifacts]
    text = written(replace(report, artifacts=tuple(artifacts)))
    assert "what it was trained on is not known here" in text
