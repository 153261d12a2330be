"""The report for a CI system that reads JUnit XML: one test per case, one for the budgets, one
per metric that was compared with a baseline.

A case that failed is an error, one that must not be used a failure; a suspect one passes with its
findings in its output. A device is a suite.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from harness.core import units
from harness.core.types import CaseReport
from harness.renderers import metrics
from harness.renderers import verdict as verdicts
from harness.renderers.verdict import VerdictView
from harness.renderers.view import View
from harness.renderers.words import some


def render(view: View) -> bytes:
    """The XML file, UTF-8."""
    report = view.report
    root = ET.Element("testsuites", name=units.printable(f"{report.tool.name} {report.run_id}"))
    labels = view.labels
    for device in dict.fromkeys(case.device for case in report.cases):
        suite = ET.SubElement(root, "testsuite", name=units.name(device))
        about = {"run_id": report.run_id, "started_at": report.started_at}
        if view.emulated([device]):
            about["emulated"] = "true"  # no phone: its times are this machine's
        _properties(suite, about)
        for case in (c for c in report.cases if c.device == device):
            _case(suite, case, labels[case.case.id])
        _count(suite)
    verdict = view.verdict
    if verdict is not None and (verdict.budgets or verdict.decision != "none"):
        suite = ET.SubElement(root, "testsuite", name="verdict")
        _accuracy(suite, verdict)
    if verdict is not None and verdict.budgets:
        test = ET.SubElement(suite, "testcase", name="budgets", classname="verdict")
        lines = [verdicts.counted(b) for b in verdict.budgets]
        if verdict.outcome == "missed":
            _say(test, "failure", verdict.why_outcome, lines)
        elif verdict.outcome == "undecided":
            ET.SubElement(test, "skipped", message=units.printable(verdict.why_outcome))
        else:
            ET.SubElement(test, "system-out").text = units.printable_lines(lines)
    if verdict is not None and (verdict.budgets or verdict.decision != "none"):
        _count(suite)
    if report.comparison is not None:
        _compared(ET.SubElement(root, "testsuite", name="baseline"), view)
    _count(root)
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _case(suite: ET.Element, case: CaseReport, label: str) -> None:
    seconds = sum(x.wall_ns for x in case.launches) / units.NS_PER_S
    test = ET.SubElement(
        suite,
        "testcase",
        name=label,
        classname=units.name(case.device),
        time=f"{seconds:.3f}",
    )
    found = {name: metrics.point(case, name) for name in case.metrics}
    known = {n: units.exact(point) for n, point in found.items() if point is not None}
    for name in filter(metrics.is_bound, case.metrics):
        most = metrics.bound(case, name)
        known |= {} if most is None else {"may_lose": units.exact(most)}
    _properties(test, known)
    said = [f"{f.level} {f.code}: {f.message}; {f.fix}" for f in case.findings]
    if case.failure is not None:
        head = f"{case.failure.stage}: {case.failure.message}"
        _say(test, "error", head, [case.failure.fix, *said])
    elif case.status == "invalid":
        worst = [f.message for f in case.findings if f.level == "invalid"]
        _say(test, "failure", "; ".join(worst) or "not measured", said)
    elif said:
        ET.SubElement(test, "system-out").text = units.printable_lines(said)


def _accuracy(suite: ET.Element, verdict: VerdictView) -> None:
    """Whether a variant is shown to keep the accuracy: undecided counts as skipped."""
    if verdict.decision == "none":
        return
    test = ET.SubElement(suite, "testcase", name="accuracy", classname="verdict")
    head = verdict.recommended or verdict.candidate
    said = f"{units.name(head)}: {verdict.reason}" if head else verdict.reason
    if verdict.decision == "refused":
        _say(test, "failure", verdict.why_decision, verdict.notes)
    elif verdict.decision == "undecided":
        candidate = f"undecided; candidate {verdict.why_decision}"
        ET.SubElement(test, "skipped", message=units.printable(candidate))
    else:
        ET.SubElement(test, "system-out").text = units.printable(said)


def _compared(suite: ET.Element, view: View) -> None:
    """One test per metric compared: a regression fails, an inconclusive one is skipped."""
    for x in view.changes:
        test = ET.SubElement(suite, "testcase", name=f"{x.label} {x.metric}", classname="baseline")
        numbers = f"{x.metric} {x.baseline} -> {x.candidate}, ratio {x.ratio or '?'} ({x.range})"
        said = f"{x.outcome}: {numbers}"
        if x.outcome == "regression":
            _say(test, "failure", said, [x.note])
        elif x.outcome == "inconclusive":
            ET.SubElement(test, "skipped", message=units.printable(f"{said}; {x.note}"))
        else:
            ET.SubElement(test, "system-out").text = units.printable(said)
    for group in view.comparison_doubts:
        for doubt in group.doubts if group.level == "invalid" else ():
            name = some(doubt.about) or "comparison"
            test = ET.SubElement(suite, "testcase", name=name, classname="baseline")
            ET.SubElement(test, "skipped", message=units.printable(doubt.message))
    _count(suite)


def _say(test: ET.Element, kind: str, message: str, lines: Iterable[str]) -> None:
    element = ET.SubElement(test, kind, message=units.printable(message), type=kind)
    element.text = units.printable_lines(lines)


def _properties(parent: ET.Element, named: dict[str, str]) -> None:
    if not named:
        return
    holder = ET.SubElement(parent, "properties")
    for name, value in named.items():
        ET.SubElement(holder, "property", name=units.printable(name), value=units.printable(value))


def _count(parent: ET.Element) -> None:
    tests = list(parent.iter("testcase"))
    parent.set("tests", str(len(tests)))
    for kind in ("failure", "error"):
        parent.set(f"{kind}s", str(sum(test.find(kind) is not None for test in tests)))
    parent.set("skipped", str(sum(test.find("skipped") is not None for test in tests)))
    parent.set("time", f"{sum(float(test.get('time', '0')) for test in tests):.3f}")
