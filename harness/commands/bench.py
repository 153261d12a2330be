"""Build what is missing, measure every variant on every device, and print the table.

Give names or globs of models/variants.yaml, .tflite files and .keras files, mixed; without any,
the variants marked `default`. Each launch is a fresh process; launches of all variants are
interleaved, and each is saved as it ends, so that Ctrl-C loses nothing: --resume goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import _arguments, _output
from harness.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_MEASUREMENT,
    EXIT_OK,
    UsageError,
)

if TYPE_CHECKING:
    from harness.core.types import Report
    from harness.project.request import Request

HELP = "build, measure and report: the main job"
EXAMPLE = "python -m harness bench 'mobilenet*' my_model.tflite --threads 1,2 --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What, where, how much."""
    parser.add_argument("what", nargs="*", metavar="VARIANT|FILE", help="default: see above")
    parser.add_argument(
        "--device",
        type=_arguments.comma_list,
        default=("host",),
        metavar="NAME[,NAME]",
        help="entries of devices.yaml, or all (default: host)",
    )
    parser.add_argument(
        "--threads",
        type=_arguments.positives,
        metavar="N[,N]",
        help="each a case of its own (default: the device's in devices.yaml, else 1)",
    )
    parser.add_argument(
        "--runtime",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="litert, tflite-runtime (default: the device's)",
    )
    parser.add_argument(
        "--delegate",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="cpu, gpu, npu on a phone (default: the device's)",
    )
    parser.add_argument("--signature", metavar="NAME", help="of a model that has several")
    how_much = parser.add_argument_group("how much is measured")
    how_much.add_argument(
        "--launches", type=_arguments.positive, metavar="N", help="just so many of each case"
    )
    how_much.add_argument(
        "--iterations", type=_arguments.positive, metavar="N", help="just so many per launch"
    )
    how_much.add_argument(
        "--target-ci",
        type=_arguments.share,
        default=0.03,
        metavar="SHARE",
        help="go on until every latency is known to this relative half-width (default: 0.03)",
    )
    how_much.add_argument(
        "--time-budget",
        type=_arguments.seconds,
        metavar="TIME",
        help="... or until this long has passed (default: 60s); five launches are always made",
    )
    how_much.add_argument(
        "--quick", action="store_true", help="five short launches of each case: a first look"
    )
    how_much.add_argument(
        "--cadence",
        type=_arguments.seconds,
        metavar="TIME",
        help="an iteration every so often, as in an app, not back to back (phones)",
    )
    how_much.add_argument(
        "--sustained",
        type=_arguments.seconds,
        metavar="TIME",
        help="one long launch of each case, told minute by minute with temperature (phones)",
    )
    how_much.add_argument(
        "--profile", action="store_true", help="the ten most expensive operators (phones)"
    )
    how_much.add_argument(
        "--parity", action="store_true", help="compare a phone's answers with this machine's"
    )
    how_much.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of order, inputs, demo images, first weights, training and the split of a folder",
    )
    _arguments.add_data(parser)
    gate = parser.add_argument_group("gate")
    gate.add_argument(
        "--budget",
        metavar="LIST",
        help="what the model may cost, such as 'size<=10MB,latency_p95<=50ms,peak_rss<=100MiB'; "
        "exit 1 if no variant keeps it",
    )
    gate.add_argument("--baseline", metavar="RUN", help="compare with this saved report")
    _arguments.add_gate(gate)
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted")
    _arguments.add_project(parser)
    _arguments.add_out(parser)
    _output.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, save, print; the exit status tells whether every case has a number."""
    from harness.analysis import gate
    from harness.measure import session
    from harness.project.preflight import resolve
    from harness.results import store
    from harness.system.progress import Narrator

    wanted = _output.asked(args)
    baseline = None
    if args.baseline is not None:
        baseline = store.read_report(store.find(args.baseline, args.out))
    elif args.strict and args.budget is None and args.resume is None:
        raise UsageError("--strict is about a gate", "give one with --baseline or --budget")
    if args.exact and baseline is None:
        raise UsageError("--exact is about a baseline", "give one with --baseline")
    with Narrator() as narrator:
        if args.resume is not None:
            _refuse_with_resume(args)
            folder = store.find(args.resume, args.out)
            report = session.resume(folder, args.project, narrator)
        else:
            job = resolve(_request(args), narrator.looking, narrator.attendant)
            opened, inputs = session.start(job, narrator)
            folder = opened.path
            report = session.finish(opened, job.devices, inputs, narrator)
    if baseline is not None:
        report = gate.compared(report, baseline, args.max_regression)
        store.write_report(folder, report)
    _output.emit(report, args, wanted)
    print(f"saved in {folder}; again: python -m harness report {folder}", file=sys.stderr)
    return (
        exit_code(report, folder)
        or gate.exit_code(report, strict=args.strict, renew=_arguments.renewing(args, folder))
        or gate.budget_exit_code(report, strict=args.strict)
    )


def exit_code(report: Report, folder: Path) -> int:
    """130 interrupted, 3 where a case failed or must not be used, else 0."""
    if report.stopped is not None and report.stopped.reason == "interrupted":
        print(
            f"interrupted; go on with: python -m harness bench --resume {folder}", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    unusable = any(case.status in ("failed", "invalid") for case in report.cases)
    if unusable or any(finding.level == "invalid" for finding in report.findings):
        return EXIT_MEASUREMENT
    return EXIT_OK


def _refuse_with_resume(args: argparse.Namespace) -> None:
    """A resumed run keeps its plan; an option that would be ignored is an error."""
    words = ("what", "threads", "runtime", "delegate", "signature", "budget", "launches",
             "iterations", "time_budget", "cadence", "sustained", "profile", "parity", "quick",
             "untrained")  # fmt: skip
    given = [word for word in words if getattr(args, word)]
    if given or (args.data, args.device, args.weights) != (None, ("host",), "auto"):
        raise UsageError(
            "--resume goes on with the plan of the saved run",
            "give it no variants and no options of measuring",
        )


def _request(args: argparse.Namespace) -> Request:
    from harness.project.request import Request

    return Request(
        what=tuple(args.what),
        devices=args.device,
        runtimes=args.runtime,
        delegates=args.delegate,
        threads=args.threads,
        launches=args.launches,
        iterations=args.iterations,
        target_ci=args.target_ci,
        time_budget_s=args.time_budget,
        cadence_s=args.cadence,
        sustained_s=args.sustained,
        profile=args.profile,
        parity=args.parity,
        quick=args.quick,
        seed=args.seed,
        data=args.data,
        untrained=args.untrained,
        weights=args.weights,
        signature=args.signature,
        budget=args.budget,
        project=args.project,
        out=args.out,
        command=("python", "-m", "harness", *sys.argv[1:]),
    )
