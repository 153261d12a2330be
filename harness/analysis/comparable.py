"""What differs between two reports besides their numbers, so that only like is compared with like.

An `invalid` finding refuses the comparison: times of another device say nothing about a change. A
`warning` names a possible cause of the difference, because comparing two runtime versions, say, is
a fair question.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.core.types import Artifact, Case, CaseReport, DeviceFacts, Finding, Level, Report

_SIDE_BY_SIDE = "measure both sides on one machine, best in one run"


def between_reports(baseline: Report, candidate: Report) -> list[Finding]:
    """What concerns all cases: schema, host, time spent per launch."""
    found = []
    counted = _only_exact(baseline) and _only_exact(candidate)
    if baseline.schema_version != candidate.schema_version:
        found.append(
            _differs(
                "invalid",
                "schema",
                baseline.schema_version,
                candidate.schema_version,
                "load both through the harness, which upgrades old reports",
            )
        )
    hosts = _changes(
        (key, baseline.host.get(key), candidate.host.get(key))
        for key in sorted(baseline.host.keys() | candidate.host.keys())
    )
    if hosts and not counted:  # counts are the same on every host
        found.append(_several("warning", "host", hosts, _SIDE_BY_SIDE))
    if baseline.plan.timing != candidate.plan.timing and not counted:
        fields = baseline.plan.timing.__struct_fields__
        changes = _changes(
            (f, getattr(baseline.plan.timing, f), getattr(candidate.plan.timing, f)) for f in fields
        )
        found.append(_several("warning", "timing", changes, "measure both with the same options"))
    tests = [_test_images(report) for report in (baseline, candidate)]
    if None not in tests and tests[0] != tests[1]:
        fix = "compare accuracy on the same test images: the same --data and --seed"
        found.append(_differs("warning", "test images", tests[0], tests[1], fix))
    return found


def _test_images(report: Report) -> str | None:
    """Which images accuracy was measured on, in short; None if it was not measured."""
    for e in report.evaluations:
        if e.failure is None:
            return f"{e.n} of {e.dataset} ({e.fingerprint[-8:]})"
    return None


def _only_exact(report: Report) -> bool:
    return {case.device for case in report.plan.cases} <= set(report.plan.exact_devices)


def between_cases(
    baseline: Report, candidate: Report, before: CaseReport, after: CaseReport
) -> list[Finding]:
    """What concerns one case: device, runtime version, artifact, and whether it may be used."""
    found = _statuses(before, after)
    old, new = _device(baseline, before.device), _device(candidate, after.device)
    if old is not None and new is not None:
        found += _devices(old, new, before.runtime)
    first, second = _artifact(baseline, before.variant), _artifact(candidate, after.variant)
    if first is not None and second is not None:
        if first.sha256 == second.sha256:
            found.append(
                Finding(
                    level="info",
                    code="same-file",
                    message="both sides are the same file, byte for byte",
                )
            )
        elif first.trained != second.trained:
            found.append(
                _differs(
                    "warning",
                    "trained",
                    first.trained,
                    second.trained,
                    "compare accuracy only between trained artifacts",
                )
            )
    return found


def of_metrics(before: CaseReport, after: CaseReport, names: Iterable[str]) -> list[Finding]:
    """A finding for each metric that only one side has, with the reason."""
    found = []
    for name in names:
        old, new = before.metrics.get(name), after.metrics.get(name)
        has_old, has_new = (m is not None and m.point is not None for m in (old, new))
        if has_old == has_new:
            continue
        side, lacking = ("candidate", new) if has_old else ("baseline", old)
        why = "it was not observed" if lacking is None else lacking.absent_because
        found.append(
            Finding(
                level="warning",
                code="metric-absent",
                message=f"{name} was not compared: the {side} has none: {why}",
                fix=f"measure the {side} again",
            )
        )
    return found


def without_partner(case: Case, others: Iterable[Case]) -> Finding | None:
    """Why `case` has nothing to be compared with, if a case of the other side is close: the same
    variant with other threads, runtime, delegate or device."""
    fields = ("device", "runtime", "delegate", "threads", "affinity")
    near = [
        changes
        for other in others
        if other.variant == case.variant
        and (changes := _changes((f, getattr(case, f), getattr(other, f)) for f in fields))
    ]
    if not near:
        return None
    changes = min(near, key=len)
    return Finding(
        level="invalid",
        code="no-like-case",
        message=f"{case.id} was not compared: {', '.join(changes)}",
        fix="measure both sides with the same device, runtime, delegate and threads",
    )


def _statuses(before: CaseReport, after: CaseReport) -> list[Finding]:
    found = []
    for side, case in (("baseline", before), ("candidate", after)):
        if case.status in ("invalid", "failed"):
            reasons = [f.message for f in case.findings if f.level == "invalid"]
            if case.failure:
                reasons.append(case.failure.message)
            found.append(_status("invalid", side, case.status, reasons))
        elif case.status == "suspect":
            reasons = [f.message for f in case.findings if f.level == "serious"]
            found.append(_status("warning", side, case.status, reasons))
    return found


def _status(level: Level, side: str, status: str, reasons: list[str]) -> Finding:
    return Finding(
        level=level,
        code=f"{side}-{status}",
        message=f"the {side} is {status}: {'; '.join(reasons) or 'no reason saved'}",
        fix=f"correct that and measure the {side} again",
    )


def _devices(old: DeviceFacts, new: DeviceFacts, runtime: str) -> list[Finding]:
    found = []
    if old.identity != new.identity:
        found.append(_other_core(old, new) if old.counts and new.counts else _other(old, new))
    elif old.os != new.os:
        found.append(_differs("warning", "os", old.os, new.os, _SIDE_BY_SIDE))
    else:  # an update of a phone may change drivers and scheduler, and keep the version of Android
        before, after = (d.extra.get("fingerprint") for d in (old, new))
        if before and after and before != after:
            found.append(_differs("warning", "build", before, after, _SIDE_BY_SIDE))
    versions = _changes([(runtime, old.runtimes.get(runtime), new.runtimes.get(runtime))])
    if versions:
        fix = "fine if the runtime is what you compare; else measure both with one version"
        found.append(_several("warning", "runtime", versions, fix))
    builds = [d.extra.get("runner_sha256") for d in (old, new)]
    if None not in builds and builds[0] != builds[1]:
        old_build, new_build = (f"SHA-256 {build}"[:20] for build in builds)
        fix = "fine if the build is what you compare; else measure both with one runner"
        found.append(_differs("warning", "runner", old_build, new_build, fix))
    return found


def _other(old: DeviceFacts, new: DeviceFacts) -> Finding:
    fields = ("model", "cpu", "cores", "abi", "os", "identity")
    changes = _changes((f, getattr(old, f), getattr(new, f)) for f in fields)
    return _several("invalid", "device", changes, _SIDE_BY_SIDE)


def _other_core(old: DeviceFacts, new: DeviceFacts) -> Finding:
    """An emulated core is given by its name in devices.yaml; what `max` can do also depends on the
    version of its emulator."""
    if old.cpu != new.cpu:
        changes = _changes([("core", old.cpu, new.cpu)])
        fix = f"set `cpu: {old.cpu}` in devices.yaml"
    else:
        changes = _changes([("core", old.identity, new.identity)])
        fix = "make a new baseline with the qemu that is installed now"
    return _several("invalid", "device", changes, fix)


def _device(report: Report, name: str) -> DeviceFacts | None:
    return next((d for d in report.devices if d.name == name), None)


def _artifact(report: Report, variant: str) -> Artifact | None:
    return next((a for a in report.artifacts if a.variant == variant), None)


def _changes(fields: Iterable[tuple[str, object, object]]) -> list[str]:
    return [f"{name} {_shown(old)} / {_shown(new)}" for name, old, new in fields if old != new]


def _several(level: Level, what: str, changes: list[str], fix: str) -> Finding:
    differ = "differ" if what.endswith("s") and what != "os" else "differs"
    return Finding(
        level=level,
        code=f"{what.replace(' ', '-')}-{differ}",
        message=f"{what} {differ} (baseline / candidate): {', '.join(changes)}",
        fix=fix,
    )


def _differs(level: Level, what: str, old: object, new: object, fix: str) -> Finding:
    return _several(level, what, _changes([(what, old, new)]), fix)


def _shown(value: object) -> str:
    return "unknown" if value is None else str(value)
