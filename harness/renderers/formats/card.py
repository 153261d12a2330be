"""A model card for the Hugging Face Hub: the recommended variant, what it was trained on, how
accurate it is and what it costs on each device.

The head is the metadata of the Hub, YAML with a `model-index`. Source:
https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from harness.analysis.metric_specs import quantity
from harness.core import units
from harness.core.data import SPLITS, DataSummary
from harness.core.types import Artifact, Measurement
from harness.renderers import metrics
from harness.renderers.cases import Row
from harness.renderers.markdown_text import cell, code, prose, row
from harness.renderers.view import View

_TASK = "image-classification"
_YOURS = (
    "# license: yours to fill in, such as apache-2.0; the licences of the images and of the "
    "initial weights may matter\n"
)
# The metrics of what it answered, by the names that the Hub has for them.
_ANSWERS = {
    "accuracy": "accuracy",
    "loss": "accuracy_loss",
    "balanced_accuracy": "balanced_accuracy",
    "auc": "roc_auc",
    "accuracy_device": "accuracy_on_device",
}
_COSTS = ("size", "latency", "latency_p95", "init", "peak_rss")
_OTHERS = ("size", "latency", "peak_rss", "accuracy")


def render(view: View) -> bytes:
    """YAML and Markdown, UTF-8. Where no variant is recommended, the card says why, and its head
    has no results."""
    variant = _subject(view)
    mine = [r for r in view.rows if r.case.variant == variant]
    blocks = [
        f"---\n{_YOURS}{_head(view, variant, mine)}---",
        f"# {code(variant)}" if variant else "# No variant is recommended",
        _why(view),
        *(_file(mine[0].artifact) if mine else []),
        *(_training(view, mine[0].artifact) if mine else []),
        *_accuracy(view, mine),
        *_cost(mine),
        *_others(view),
        *_findings(view, variant, mine),
        *_how(view),
    ]
    return ("\n\n".join(b for b in blocks if b) + "\n").encode("utf-8", "backslashreplace")


def _subject(view: View) -> str | None:
    """The variant that the card is about."""
    return next((r.case.variant for r in view.rows if r.mark == "recommended"), None)


# --- the head --------------------------------------------------------------------------------


def _head(view: View, variant: str | None, mine: list[Row]) -> str:
    head: dict[str, Any] = {"library_name": "tflite", "tags": ["tflite", "litert", "on-device"]}
    artifact = mine[0].artifact if mine else None
    if artifact is not None and artifact.recipe is not None:
        head["tags"].append(units.printable(artifact.recipe))
    results = [m for name in _ANSWERS if (m := _result(name, mine)) is not None]
    if variant is not None and results:
        data = view.report.data
        name = units.printable(data.name) if data else "labelled images"
        dataset: dict[str, Any] = {"type": name, "name": name, "split": "test"}
        if data is not None and "test" in data.fingerprints:
            dataset["args"] = {"fingerprint": data.fingerprints["test"]}
        head["pipeline_tag"] = _TASK
        head["metrics"] = list(dict.fromkeys(result["type"] for result in results))
        entry = {"task": {"type": _TASK}, "dataset": dataset, "metrics": results}
        head["model-index"] = [{"name": units.printable(variant), "results": [entry]}]
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _result(name: str, mine: list[Row]) -> dict[str, Any] | None:
    """One metric of the index, from the first device that has it; a bound by its upper end."""
    found = next((m for r in mine if (m := _shown(r, name)) is not None), None)
    if found is None:
        return None
    value = found.ci_high if metrics.is_bound(name) else found.point
    said = metrics.said(name)
    args: dict[str, Any] = {"n": found.n}
    if (interval := found.estimate) is not None:
        args |= {"ci_low": interval.ci_low, "ci_high": interval.ci_high}
        args["confidence"] = found.confidence
    if metrics.is_bound(name):
        said = f"{said}, upper bound"
    return {"type": _ANSWERS[name], "value": value, "name": said, "args": args}


def _shown(line: Row, name: str) -> Measurement | None:
    """The metric of a case, unless its numbers must not be used."""
    if line.case.status == "invalid":
        return None
    return metrics.measured(line.case, name)


# --- the text --------------------------------------------------------------------------------


def _why(view: View) -> str:
    verdict = view.verdict
    if verdict is None:
        return "The run has no verdict: nothing was measured."
    return prose(verdict.reason) + "." if verdict.reason else ""


def _file(artifact: Artifact | None) -> list[str]:
    if artifact is None:
        return []
    shapes = {
        name: ", ".join(f"{'x'.join(map(str, t.shape))} {t.dtype}" for t in tensors)
        for name, tensors in (("input", artifact.inputs), ("output", artifact.outputs))
    }
    facts = {
        "file": units.file_size(artifact.size_bytes),
        "SHA-256": artifact.sha256,
        "network": artifact.model or "brought as a file",
        "made small by": artifact.recipe or "not known",
        "parameters": None if artifact.parameters is None else f"{artifact.parameters:,}",
        "multiply-accumulates": None if artifact.macs is None else f"{artifact.macs:,}",
        **shapes,
        "classes": ", ".join(artifact.labels),
    }
    return ["## The file", _listed((k, v) for k, v in facts.items() if v)]


def _training(view: View, artifact: Artifact | None) -> list[str]:
    data = view.report.data
    if artifact is None:
        return []
    if artifact.model is None:
        said = "The file was brought, so what it was trained on is not known here."
    elif not artifact.trained:
        said = "It was not trained: its answers mean nothing."
    else:
        start = "ImageNet's weights" if artifact.weights == "imagenet" else artifact.weights
        said = f"Initial weights: {prose(start or 'random')}."
    used = [] if data is None else [prose(data.brief()) + ".", _classes(data)]
    return ["## Training data", said, *used]


def _classes(data: DataSummary) -> str:
    lines = [row(["class", *SPLITS]), row([":---", "---:", "---:", "---:"])]
    for name, of_class in data.counts.items():
        lines.append(row([cell(name), *(f"{of_class[split]:,}" for split in SPLITS)]))
    return "\n".join(lines)


def _accuracy(view: View, mine: list[Row]) -> list[str]:
    lines = []
    for name in _ANSWERS:
        line = next((r for r in mine if _shown(r, name) is not None), None)
        found = None if line is None else _shown(line, name)
        if found is None:
            continue
        said = units.interval(found, quantity(name, found.unit))
        if metrics.is_bound(name):
            best = "against the best variant measured, with 95 % confidence"
            said = f"at most {units.points(max(0.0, found.ci_high or 0.0), up=True)} {best}"
        images = f", {found.n:,} test images" if found.n else ""
        lines.append((metrics.said(name), f"{said}{images}"))
    if not lines:
        return ["## Accuracy", "Not measured: the run had no labelled images for it."]
    return ["## Accuracy", _listed(lines)]


def _cost(mine: list[Row]) -> list[str]:
    if not mine:
        return []
    heads = ["device", "runtime", "threads", *(metrics.title(m) for m in _COSTS)]
    lines = [row(map(prose, heads)), row([":---"] * 2 + ["---:"] * (1 + len(_COSTS)))]
    for line in mine:
        case, device = line.case, line.device
        model = f" ({prose(device.model)})" if device is not None and device.model else ""
        emulated = ", emulated: times of this machine" if line.emulated else ""
        runtime = prose(f"{case.runtime}, {case.delegate}")
        numbers = [_number(line, name) for name in _COSTS]
        lines.append(
            row([f"{cell(case.device)}{model}{emulated}", runtime, str(case.threads), *numbers])
        )
    note = "The median over launches, each a fresh process; ± half of the 95 % interval."
    return ["## Size, latency and memory", "\n".join(lines), note]


def _number(line: Row, name: str) -> str:
    found = _shown(line, name)
    if found is None:
        return units.ABSENT
    if metrics.is_bound(name):
        return units.points(max(0.0, found.ci_high or 0.0), up=True)
    return prose(units.with_interval(found, quantity(name, found.unit)))


def _others(view: View) -> list[str]:
    if not view.rows:
        return []
    heads = ["variant", "status", *(metrics.title(m) for m in _OTHERS)]
    lines = [row(heads), row([":---"] * 2 + ["---:"] * len(_OTHERS))]
    for line in view.rows:
        where = f" {prose(line.place)}" if line.place else ""
        numbers = [_number(line, name) for name in _OTHERS]
        lines.append(row([cell(line.case.variant) + where, line.case.status, *numbers]))
    return ["## What was measured", "\n".join(lines)]


def _findings(view: View, variant: str | None, mine: list[Row]) -> list[str]:
    found = [f for line in mine for f in line.case.findings]
    lines = [f"- **{f.level}** {code(f.code)}: {prose(f.message)}" for f in dict.fromkeys(found)]
    return ["## What to know about these numbers", "\n".join(lines)] if lines else []


def _how(view: View) -> list[str]:
    lines = [f"- {prose(sentence)}" for sentence in view.how]
    lines.append(f"- {prose(f'{view.report.tool.name} {view.report.tool.version}')}")
    return ["## How it was measured", "\n".join(lines)]


def _listed(facts: Iterable[tuple[str, str | None]]) -> str:
    return "\n".join(f"- {prose(name)}: {prose(value or '')}" for name, value in facts)
