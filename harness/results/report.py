"""From raw observations to the Report: metrics, then checks, then the status of each case, then
the verdict on all.

Reads no clock: the same run folder always gives the same report.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.analysis.losses import check_class, parse_protect
from harness.analysis.metric_specs import extract, specs
from harness.analysis.metrics.accuracy import LOSS, loss_measurement
from harness.analysis.noise import drifts_of, noise_of
from harness.analysis.on_device import evaluation_of, losses_of_cases
from harness.analysis.verdict import judge
from harness.core.types import (
    CaseReport,
    DeviceFacts,
    Evidence,
    Failure,
    Finding,
    Loss,
    Measurement,
    Prefer,
    Report,
    Status,
    Stopped,
)
from harness.results.store import Journal
from harness.system import plugins


def assemble(
    header: Report, journal: Journal, *, stopped: Stopped | None, finished_at: str | None
) -> Report:
    """The report of a run from its header and its journal."""
    found = evidence_of(header, journal)
    on_device = tuple(e.on_device for e in found if e.on_device is not None)
    report = msgspec.structs.replace(
        header,
        finished_at=finished_at,
        stopped=stopped,
        devices=tuple(journal.devices.values()),
        cases=tuple(_case(msgspec.structs.replace(e, peers=_peers(e, found))) for e in found),
        device_evaluations=on_device,
    )
    report = msgspec.structs.replace(report, drifts=drifts_of(report.cases))
    return msgspec.structs.replace(report, verdict=judge(report, specs()))


def judged_again(
    report: Report,
    max_accuracy_loss: float | None = None,
    protect: str | None = None,
    prefer: Prefer | None = None,
) -> Report:
    """The report with the verdict by other options; for None the run's own are used. Raises
    UsageError for a class that the images do not have."""
    plan = report.plan
    wanted = msgspec.structs.replace(
        plan,
        max_accuracy_loss=plan.max_accuracy_loss
        if max_accuracy_loss is None
        else max_accuracy_loss,
        protect=protect or plan.protect,
        prefer=prefer or plan.prefer,
    )
    losses = losses_of_cases(msgspec.structs.replace(report, plan=wanted))
    by_this_rule = report.verdict is None or report.verdict.margin is not None
    if wanted == plan and (by_this_rule or not losses):
        return report
    classes = next((e.classes for e in report.evaluations if e.failure is None), ())
    check_class(parse_protect(wanted.protect), classes)
    cases = tuple(
        msgspec.structs.replace(case, metrics=_with_loss(case, losses.get(case.case.id)))
        for case in report.cases
    )
    report = msgspec.structs.replace(report, plan=wanted, cases=cases)
    return msgspec.structs.replace(report, verdict=judge(report, specs()))


def _with_loss(case: CaseReport, loss: Loss | None) -> dict[str, Measurement]:
    others = {name: m for name, m in case.metrics.items() if name != LOSS.name}
    return others if loss is None else {**others, LOSS.name: loss_measurement(loss)}


def evidence_of(header: Report, journal: Journal) -> list[Evidence]:
    """All observations, case by case, with the metrics extracted."""
    artifacts = {artifact.variant: artifact for artifact in header.artifacts}
    evaluations = {evaluation.variant: evaluation for evaluation in header.evaluations}
    on_device = {
        case.id: evaluation_of(
            case, artifacts[case.variant], header.device_images, journal.answers.get(case.id, ())
        )
        for case in header.plan.cases
        if header.device_images and case.device in header.plan.accuracy_devices
        if case.variant in header.device_images.files
    }
    answered = msgspec.structs.replace(header, device_evaluations=tuple(on_device.values()))
    losses = losses_of_cases(answered)
    found = []
    for case in header.plan.cases:
        facts = journal.devices.get(case.device) or DeviceFacts(
            name=case.device, kind="unknown", identity="never reached"
        )
        artifact = artifacts[case.variant]
        launches = tuple(x for x in journal.launches if x.case == case.id)
        evidence = Evidence(
            case=case,
            plan=header.plan,
            artifact=artifact,
            launches=launches,
            device=facts,
            failure=journal.failures.get(case.id) or (None if launches else _NOT_LAUNCHED),
            evaluation=evaluations.get(case.variant),
            parent_evaluation=evaluations.get(artifact.float_parent or ""),
            on_device=on_device.get(case.id),
            loss=losses.get(case.id),
        )
        found.append(evidence)
    return [
        msgspec.structs.replace(
            e, metrics=extract(msgspec.structs.replace(e, peers=_peers(e, found)))
        )
        for e in found
    ]


# Nothing is wrong with the case, but a case without a number must not be reported as ok.
_NOT_LAUNCHED = Failure(
    stage="interrupted",
    transient=True,
    message="the run ended before its first launch",
    fix="go on with --resume",
)


def _peers(evidence: Evidence, found: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The other cases on its device."""
    same_device = (e for e in found if e.case.device == evidence.case.device)
    return tuple(e for e in same_device if e is not evidence)


def _case(evidence: Evidence) -> CaseReport:
    findings = list(evidence.artifact.findings)
    for launch in evidence.launches:
        findings += [note for note in launch.notes if note not in findings]
    for name in plugins.names("harness.analysis.checks"):
        findings += plugins.load("harness.analysis.checks", name).findings(evidence)
    return CaseReport(
        **msgspec.structs.asdict(evidence.case),
        status=_status(findings, evidence.failure),
        metrics=evidence.metrics,
        launches=evidence.launches,
        findings=tuple(findings),
        failure=evidence.failure,
        noise=noise_of(evidence.launches),
    )


def _status(findings: Iterable[Finding], failure: Failure | None) -> Status:
    levels = {finding.level for finding in findings}
    if failure is not None:
        return failure.status
    if "invalid" in levels:
        return "invalid"
    return "suspect" if "serious" in levels else "ok"
