"""How it was measured: devices, artifacts, plan, host, data, command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.core import units
from harness.core.data import SPLITS
from harness.core.types import Artifact, DeviceFacts, Report, Value
from harness.renderers import explanation


def _facts(value: Value, skip: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """What is known, field by field, in the order of the type."""
    facts = []
    for field in value.__struct_fields__:
        found = getattr(value, field)
        if field in skip or found is None or found in ((), {}, ""):
            continue
        name = field.replace("_", " ")
        facts.append((name, units.printable(_text(field, found))))
    return facts


def _text(field: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, int) and field == "ram_bytes":
        return units.memory(value)
    if isinstance(value, int) and field.endswith("_bytes"):
        return units.file_size(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def data(report: Report) -> dict[str, Any] | None:
    """The images: how many of each class and split, and what was left out, with the reason."""
    found = report.data
    if found is None:
        return None
    facts = [("split by", found.split_by), ("imbalance", units.times(found.imbalance))]
    counts: dict[str, int | Sequence[str]] = {
        "in colour": found.colour,
        "duplicates, left out": found.copies,
        "on two sides of the split": found.straddling,
        "in two classes, left out": found.conflicts,
        "refused": [f"{x.path} {x.reason}" for x in found.refused],
        "skipped": [f"{x.path} ({x.reason})" for x in found.skipped],
        "notes": found.notes,
        "fingerprints": [f"{split} {value}" for split, value in found.fingerprints.items()],
    }
    for name, value in counts.items():
        if value:
            facts.append((name, f"{value:,}" if isinstance(value, int) else "; ".join(value)))
    return {
        "name": units.name(found.name),
        "heads": ["class", *SPLITS, "all"],
        "lines": [
            [units.name(name), *(f"{c[s]:,}" for s in SPLITS), f"{sum(c.values()):,}"]
            for name, c in found.counts.items()
        ],
        "facts": [(name, units.printable(text)) for name, text in facts],
    }


def device(device: DeviceFacts) -> list[tuple[str, str]]:
    """(name, value) of everything known about a device."""
    own = [(k.replace("_", " "), units.printable(v)) for k, v in device.extra.items() if v]
    return _facts(device, skip=("name", "extra")) + own


def artifact(artifact: Artifact) -> list[tuple[str, str]]:
    """(name, value) of everything known about a file that was measured."""
    apart = ("variant", "inputs", "outputs", "layers", "findings", "grey", "changes")
    facts = _facts(artifact, skip=(*apart, "layer_errors"))
    for field in ("inputs", "outputs"):
        said = [
            f"{t.name} {'x'.join(map(str, t.shape))} {t.dtype}" for t in getattr(artifact, field)
        ]
        facts.append((field, units.printable(", ".join(said))))
    return facts


def plan(report: Report) -> list[tuple[str, str]]:
    """(name, value) of the host and of the plan."""
    facts = [(k, units.printable(str(v))) for k, v in report.host.items()]
    facts += _facts(report.plan, skip=("cases", "timing"))
    return facts + _facts(report.plan.timing)


def smaller(artifact: Artifact) -> dict[str, Any] | None:
    """What would make a file smaller: what an image of three channels costs, and the changes with
    the sizes they give; None if nothing is known."""
    if artifact.grey is None and not artifact.changes:
        return None
    grey = artifact.grey and explanation.grey_sentence(artifact.grey, artifact.size_bytes)
    return {
        "now": units.file_size(artifact.size_bytes),
        "grey": grey,
        "changes": [
            (units.file_size(change.size_bytes), units.printable(change.how), reason)
            for reason, changes in explanation.by_reason(artifact.changes)
            for change in changes
        ],
    }


def layer_errors(artifact: Artifact, most: int = 20) -> list[tuple[str, str, str, str]]:
    """(layer, kind, error, whether it was kept in float) of the layers that int8 harms most."""
    return [
        (
            units.printable(layer.name),
            units.printable(layer.op),
            units.significant(layer.error),
            "float" if layer.kept else "int8",
        )
        for layer in artifact.layer_errors[:most]
    ]
