"""Build what is missing, measure every variant on every device, and print the table.

Name variants of models/variants.yaml (globs are fine) and model files (.tflite, .keras, .h5, .onnx,
.pt2, SavedModel folders) in any mix; the default is all variants marked `default`. Each launch is a
fresh process. Launches of all variants are interleaved, and each is saved as soon as it ends: after
Ctrl-C, --resume continues.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harness.commands import _arguments, _output
from harness.core.choices import AccuracyOn
from harness.core.errors import (
    CONFIGURATION,
    EXIT_INTERRUPTED,
    EXIT_MEASUREMENT,
    EXIT_OK,
    EXIT_USAGE,
    UsageError,
)
from harness.core.text import command, count
from harness.project.request import DEFAULT_LAUNCHES, DEFAULT_TIME_BUDGET_S, LEAST_LAUNCHES

if TYPE_CHECKING:
    from harness.core.types import Case, Report
    from harness.measure.session import SavedRun
    from harness.project.request import Request
    from harness.system.progress import Narrator

HELP = "build, measure and report: the main job"
EXAMPLE = "python -m harness bench 'mobilenet*' my_model.tflite --threads 1,2 --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, where, and how much. The namespace has only the options that were given;
    Request has the defaults of the others."""
    option = functools.partial(_arguments.option, defaults=False)
    option(
        parser,
        "what",
        nargs="*",
        metavar="VARIANT|FILE",
        help="variants by name or glob, and model files",
    )
    option(
        parser,
        "devices",
        "--device",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="entries of devices.yaml, or all; with --lab also its phones, by name, serial or "
        "any:MODEL, and all then means every phone of the lab (default: {default})",
    )
    option(
        parser,
        "threads",
        "--threads",
        type=_arguments.positives,
        metavar="N[,N]",
        help="numbers of threads, each a separate case (default: from devices.yaml, else 1)",
    )
    option(
        parser,
        "affinity",
        "--affinity",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="groups of cores, each a separate case: big, mid, little, all or a mask such as f0 "
        "(phones; default: from devices.yaml, else all)",
    )
    option(
        parser,
        "runtimes",
        "--runtime",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="litert, litert-compiled, tflite-runtime (default: from devices.yaml)",
    )
    option(
        parser,
        "delegates",
        "--delegate",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="cpu, gpu, npu on a phone (default: from devices.yaml)",
    )
    option(
        parser,
        "recipes",
        "--recipe",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="also measure your model files quantized: float16, dynamic_range, int8, int8-mixed",
    )
    option(
        parser,
        "signature",
        "--signature",
        metavar="NAME",
        help="the signature to run, if a model has several",
    )
    _arguments.add_brought(parser)
    _add_how_much(parser.add_argument_group("how much is measured"), option)
    _arguments.add_data(parser, defaults=False)
    gate = parser.add_argument_group("gate")
    option(
        gate,
        "budget",
        "--budget",
        metavar="LIST",
        help="what the model may cost, such as 'size<=10MB,latency_p95<=50ms,peak_rss<=100MiB'; "
        "exit 1 if no variant keeps it",
    )
    _arguments.add_verdict(gate, defaults=False)
    gate.add_argument("--baseline", metavar="RUN", help="compare with this saved report")
    gate.add_argument(
        "--confirm",
        action="store_true",
        help="measure the cases that failed a gate again, in two to four further runs, and "
        "exit 1 only if they fail in all of these, by more than runs differ by chance",
    )
    _arguments.add_gate(gate)
    parser.add_argument("--resume", metavar="RUN", help="continue a run that was interrupted")
    _arguments.add_lab(parser, defaults=False)
    _arguments.add_project(parser, defaults=False)
    _arguments.add_out(parser, defaults=False)
    _output.add_arguments(parser)


def _add_how_much(group: argparse._ArgumentGroup, option: Callable[..., None]) -> None:
    option(
        group,
        "launches",
        "--launches",
        type=_arguments.positive,
        metavar="N",
        help="exactly N launches of each case",
    )
    option(
        group,
        "iterations",
        "--iterations",
        type=_arguments.positive,
        metavar="N",
        help="exactly N iterations in each launch",
    )
    option(
        group,
        "target_ci",
        "--target-ci",
        type=_arguments.share,
        metavar="SHARE",
        help="measure until the interval of every latency is within this relative half-width "
        "(default: {default})",
    )
    option(
        group,
        "time_budget_s",
        "--time-budget",
        type=_arguments.seconds,
        metavar="TIME",
        help="... or until this much time has passed "
        f"(default: {DEFAULT_TIME_BUDGET_S:g}s). Each case is launched at least "
        f"{DEFAULT_LAUNCHES} times, or {LEAST_LAUNCHES} times if this option is given",
    )
    option(
        group,
        "quick",
        "--quick",
        action="store_true",
        help="five short launches of each case: a first look",
    )
    option(
        group,
        "cadence_s",
        "--cadence",
        type=_arguments.seconds,
        metavar="TIME",
        help="start one iteration every TIME, as an app would, instead of back to back (phones)",
    )
    option(
        group,
        "wait_s",
        "--wait",
        type=_arguments.seconds,
        metavar="TIME",
        help="how long to wait for a phone that another run is using (default: not at all)",
    )
    option(
        group,
        "sustained_s",
        "--sustained",
        type=_arguments.seconds,
        metavar="TIME",
        help="one long launch of each case, reported minute by minute with temperature (phones)",
    )
    option(
        group,
        "profile",
        "--profile",
        action="store_true",
        help="report the ten most expensive operators (phones)",
    )
    option(
        group,
        "parity",
        "--parity",
        action="store_true",
        help="compare a phone's answers with this machine's",
    )
    option(
        group,
        "starts",
        "--start",
        type=_arguments.comma_list,
        metavar="LIST",
        help="cold,cached: after each launch, also time init and the first inference with the "
        "runtime's caches on disk (phones; default: {default})",
    )
    option(
        group,
        "accuracy",
        "--accuracy",
        choices=get_args(AccuracyOn),
        help="where test images are answered: only on this machine (host), or also on the phone, "
        "with every delegate and number of threads (device) (default: from devices.yaml)",
    )
    option(
        group,
        "accuracy_images",
        "--accuracy-images",
        type=_arguments.positive,
        metavar="N",
        help="how many of the test images a phone answers, drawn by --seed (default: all)",
    )
    _arguments.add_seed(
        group,
        "seed of the order of launches, inputs, demo images, initial weights, training and the "
        "split of a folder (default: {default})",
        defaults=False,
    )


def run(args: argparse.Namespace) -> int:
    """Measure, save, print. The exit status says whether every case has a number and what the gates
    say."""
    from harness.analysis import gate
    from harness.measure import lab_engine, session
    from harness.measure.schedule import cases
    from harness.project.preflight import resolve
    from harness.results import store
    from harness.system.progress import Narrator

    wanted = _output.asked(args)
    request = _request(args)
    baseline = None
    if args.baseline is not None:
        baseline = store.read_report(store.find(args.baseline, request.out))
    for option, given in (("--exact", args.exact), ("--max-regression", args.max_regression)):
        if given and baseline is None:
            raise UsageError(f"{option} needs a baseline", "give one with --baseline")
    if args.confirm and baseline is None and request.budget is None and args.resume is None:
        raise UsageError("--confirm needs a gate", "give --baseline or --budget")
    with (
        Narrator() as narrator,
        lab_engine.opened(request.lab, request.lab_keys, request.project, narrator.say) as engine,
    ):
        if args.resume is not None:
            _refuse_with_resume(args)
            found = store.find(args.resume, request.out)
            run = session.resume(found, request.project, narrator, engine, wait_s=request.wait_s)
        else:
            hosts = None if engine is None else engine.where()
            job = resolve(request, narrator.looking, narrator.attendant, hosts)
            if baseline is not None:
                gate.refuse_if_nothing_in_common(baseline, cases(job.names, job.settings))
            run = session.bench(job, narrator, engine=engine)
        report = run.report
        if baseline is not None:
            report = gate.compared(report, baseline, args.max_regression)
        if args.confirm:

            def again(cases: Collection[Case]) -> SavedRun:
                return session.again(
                    run, cases, request.project, narrator, engine, wait_s=request.wait_s
                )

            asked = _asked_again(run._replace(report=report), again, args, baseline, narrator)
            if asked is None:
                return EXIT_INTERRUPTED
            report = asked
        if report is not run.report:
            store.write_report(run.folder, report)
    written = _output.emit(report, args, wanted)
    print(f"saved in {run.folder}; again: {command('report', run.folder)}", file=sys.stderr)
    return (
        exit_code(report, run.folder)
        or gate.exit_code(report, strict=args.strict, renew=_arguments.renewing(args, run.folder))
        or gate.verdict_exit_code(report, strict=args.strict)
        or written
    )


def _asked_again(
    run: SavedRun,
    again: Callable[[Collection[Case]], SavedRun],
    args: argparse.Namespace,
    baseline: Report | None,
    narrator: Narrator,
) -> Report | None:
    """The report after what failed a gate was measured in further sessions; None if one of them was
    interrupted."""
    from harness.analysis import confirm, gate
    from harness.results import store

    sessions = [run.report]
    while cases := confirm.doubtful(sessions):
        if len(sessions) == 1:  # Ctrl-C in a later session leaves what this one showed
            store.write_report(run.folder, run.report)
        what = f"{count(len(cases), 'case')} that failed a gate"
        narrator.say(f"session {len(sessions) + 1}: measuring again {what}")
        more = again(cases)
        if exit_code(more.report, more.folder) == EXIT_INTERRUPTED:
            return None
        report = more.report
        if baseline is not None:
            report = gate.compared(report, baseline, args.max_regression)
        sessions.append(report)
    return confirm.confirmed(sessions) if len(sessions) > 1 else run.report


def exit_code(report: Report, folder: Path) -> int:
    """130 interrupted, 3 where a case failed or must not be used (2 where nothing was measured and
    only mistakes in devices.yaml were in the way), else 0."""
    if report.stopped is not None and report.stopped.reason == "interrupted":
        print(
            f"interrupted; continue with: {command('bench', '--resume', folder)}", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    unusable = [case for case in report.cases if case.status in ("failed", "invalid")]
    mistakes = [c for c in unusable if c.failure and c.failure.stage == CONFIGURATION]
    if mistakes and len(mistakes) == len(report.cases):
        return EXIT_USAGE
    if unusable or any(finding.level == "invalid" for finding in report.findings):
        return EXIT_MEASUREMENT
    return EXIT_OK


def _refuse_with_resume(args: argparse.Namespace) -> None:
    """Raise UsageError for options that would be ignored, because a resumed run keeps its plan."""
    if _arguments.given(args).keys() - {"project", "out", "wait_s", "lab", "lab_keys"}:
        raise UsageError(
            "--resume continues the plan of the saved run",
            "leave out variants and the options that change what is measured",
        )


def _request(args: argparse.Namespace) -> Request:
    from harness.project.request import Request

    given = _arguments.given(args)
    given["what"] = tuple(given.get("what", ()))
    return Request(**given, command=("python", "-m", "harness", *sys.argv[1:]))
