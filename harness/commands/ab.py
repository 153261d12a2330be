"""Is B slower than A, faster, or the same? Answers only that, in as few rounds as it takes.

Both are launched once per round, in random order, so that drift of the machine affects both alike.
After 7, 10, 15, 22 ... rounds the data are tested. Each test uses its own part of an error rate of
5 % (alpha spending), so testing often does not make a wrong answer more likely. Nothing is trained,
because latency does not depend on the values of the weights. On an emulated ARM64 core, one launch
of each counts the instructions exactly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.commands import _arguments, _json

if TYPE_CHECKING:
    from harness.analysis.sequential import Decision
    from harness.core.conclusions import MetricComparison
    from harness.core.types import Report

HELP = "is B slower than A, faster, or the same?"
EXAMPLE = "python -m harness ab scratch pruned"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both sides, and what counts as a difference."""
    parser.add_argument("a", metavar="A", help="variant or file")
    parser.add_argument("b", metavar="B", help="variant or file")
    parser.add_argument(
        "--threshold",
        type=_arguments.share,
        metavar="SHARE",
        help="a difference up to this counts as the same (default: 5%%, for instructions 0.1%%)",
    )
    parser.add_argument(
        "--device", default="host", metavar="NAME", help="entry of devices.yaml (default: host)"
    )
    parser.add_argument(
        "--threads",
        type=_arguments.positive,
        metavar="N",
        help="number of threads (default: from devices.yaml, else 1)",
    )
    parser.add_argument(
        "--runtime",
        metavar="NAME",
        help="litert, litert-compiled or tflite-runtime (default: from devices.yaml)",
    )
    parser.add_argument("--quick", action="store_true", help="shorter launches")
    parser.add_argument(
        "--time-budget",
        type=_arguments.seconds,
        default=600.0,
        metavar="TIME",
        help="stop undecided after this long (default: 10m)",
    )
    _arguments.add_seed(parser, "seed of the order of launches (default: {default})")
    _arguments.option(
        parser,
        "data",
        "--data",
        metavar="DIR",
        help="train on these labelled images (demo: images that the harness generates) and also "
        "compare accuracy (default: untrained, latency only)",
    )
    _arguments.add_brought(parser)
    _arguments.add_protected(parser)
    parser.add_argument("--strict", action="store_true", help="exit 4 if undecided")
    _json.add_json(parser, "the answer")
    _arguments.add_project(parser)
    _arguments.add_out(parser)


def run(args: argparse.Namespace) -> int:
    """Measure until decided; one sentence on standard output."""
    from harness.analysis import gate
    from harness.analysis.compare import DEFAULT_THRESHOLD
    from harness.commands import bench
    from harness.core.errors import (
        EXIT_INTERRUPTED,
        EXIT_OK,
        EXIT_UNDECIDED,
        UsageError,
    )
    from harness.measure.ab import ab
    from harness.project.preflight import resolve
    from harness.project.request import Request
    from harness.system.progress import Narrator

    _json.check(args)
    of_accuracy = {
        "--protect": args.protect,
        "--max-accuracy-loss": args.max_accuracy_loss,
        "--labels": getattr(args, "labels", None),
    }
    for option, value in of_accuracy.items():
        if value is not None and args.data is None:
            raise UsageError(f"{option} needs labelled images", "give them with --data")
    threshold = DEFAULT_THRESHOLD if args.threshold is None else args.threshold
    request = Request(
        what=(args.a, args.b),
        devices=(args.device,),
        threads=None if args.threads is None else (args.threads,),
        runtimes=None if args.runtime is None else (args.runtime,),
        quick=args.quick,
        untrained=args.data is None,
        data=args.data,
        pixels=getattr(args, "pixels", None),
        labels=getattr(args, "labels", None),
        max_accuracy_loss=args.max_accuracy_loss,
        protect=args.protect,
        time_budget_s=args.time_budget,
        seed=args.seed,
        project=args.project,
        out=args.out,
        command=("python", "-m", "harness", *sys.argv[1:]),
    )
    with Narrator() as narrator:
        job = resolve(request, narrator.looking, narrator.attendant)
        answer = ab(job, threshold, narrator)
    report, folder = answer.run
    a, b = answer.a.variant, answer.b.variant
    interrupted = report.stopped is not None and report.stopped.reason == "interrupted"
    if not interrupted and (status := bench.exit_code(report, folder)):
        print("\n".join(f"error: {said}" for said in _unusable(report)), file=sys.stderr)
        print(f"saved in {folder}", file=sys.stderr)
        return status
    facts: dict[str, Any] = {"a": a, "b": b, "device": args.device, "run": str(folder)}
    counted = args.device in report.plan.exact_devices
    if counted:
        compared = gate.counted(report, a, b, args.threshold)
        sentences = [sentence_of_counts(a, b, compared)]
        undecided = compared is None
        facts["instructions"] = compared
    else:
        sentences = [sentence(a, b, answer.decision, threshold)]
        undecided = answer.decision is None or not answer.decision.decided
        facts["latency"] = answer.decision
    if args.data is not None:
        accuracy = gate.accuracy_between(report, a, b)
        sentences.append(sentence_of_accuracy(a, b, accuracy))
        undecided = undecided or accuracy is None or accuracy.outcome == "inconclusive"
        facts["accuracy"] = accuracy
    if not _json.write(args, {**facts, "undecided": undecided, "sentences": sentences}):
        print("\n".join(sentences))
    print(f"saved in {folder}", file=sys.stderr)
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_UNDECIDED if undecided and args.strict else EXIT_OK


def _unusable(report: Report) -> Iterator[str]:
    """For each side that failed or must not be used: why, and how to fix it."""
    from harness.core import units

    for case in report.cases:
        said = case.failure or next((f for f in case.findings if f.level == "invalid"), None)
        if said is not None:
            yield f"{units.name(case.variant)}: {said.message}" + f"; {said.fix}" * bool(said.fix)


def sentence_of_counts(a: str, b: str, compared: MetricComparison | None) -> str:
    """The answer where instructions were counted: exact, without interval or error rate."""
    from harness.core import units

    if compared is None or compared.threshold is None:
        return f"undecided between {a} and {b}: the instructions of one were not counted"
    shown = f"{compared.candidate:,.0f} instructions against {compared.baseline:,.0f}"
    shown += "" if compared.ratio is None else f", {compared.ratio:.5f} times (counted exactly)"
    if compared.outcome == "regression":
        return f"{b} costs more than {a}: {shown}"
    if compared.outcome == "improvement":
        return f"{b} costs less than {a}: {shown}"
    return f"{b} costs as much as {a} within {units.percent(compared.threshold)}: {shown}"


def sentence_of_accuracy(a: str, b: str, compared: MetricComparison | None) -> str:
    """The answer about accuracy, or about what else is protected: what is shown of the loss of `b`
    against `a`."""
    from harness.core import units
    from harness.renderers.metrics import said

    if compared is None or compared.loss is None or compared.threshold is None:
        return f"the accuracy of {a} and {b} on the same images is not known"
    loss, margin, what = compared.loss, units.points(compared.threshold), said(compared.metric)
    on = f"(on {loss.n} test images, with 95 % confidence)"
    most = units.points(max(0.0, loss.bound), up=True)
    if compared.outcome == "regression":
        least = units.points(max(0.0, loss.at_least))
        return f"{b} loses more {what} than {margin} against {a}: at least {least} {on}"
    if compared.outcome == "inconclusive":
        return (
            f"undecided: {b} may lose up to {most} of {what} against {a}; {margin} may be lost {on}"
        )
    return f"{b} loses at most {most} of {what} against {a} {on}"


def sentence(a: str, b: str, decision: Decision | None, threshold: float) -> str:
    """The answer, with its interval, the rounds it took and the error rate."""
    from harness.core import units

    if decision is None or decision.ratio is None:
        return f"undecided between {a} and {b}: too few rounds for a first test"
    e = decision.ratio
    low, high = units.significant(e.ci_low), units.significant(e.ci_high)
    shown = f"{units.significant(e.point)} ({low} to {high}) times {a}'s latency"
    how = f"{decision.rounds} paired rounds, error rate 5 %"
    if decision.outcome == "regression":
        return f"{b} is slower than {a}: {shown} ({how})"
    if decision.outcome == "improvement":
        return f"{b} is faster than {a}: {shown} ({how})"
    if decision.outcome == "no change":
        return f"{b} is as fast as {a} within {units.percent(threshold)}: {shown} ({how})"
    return f"undecided between {a} and {b}: {shown} ({how}); raise --time-budget"
