"""Compare two saved runs, metric by metric: regression, improvement, no change, or inconclusive.

An outcome is claimed only if the whole interval of the ratio lies beyond (or within) the
threshold. Holm's correction keeps false alarms over many metrics under 5 %. Metrics that were
measured on another device, runtime or number of threads are refused or flagged, with the
difference.
"""

from __future__ import annotations

import argparse

from harness.commands import _arguments, _output

HELP = "compare two saved runs"
EXAMPLE = "python -m harness compare reports/baselines/host.json latest --max-regression 5%"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two sides and the gate."""
    parser.add_argument(
        "baseline", metavar="BASELINE", help="run id or its start, folder, report file, latest"
    )
    parser.add_argument("candidate", metavar="CANDIDATE", help="the same")
    _arguments.add_gate(parser)
    _arguments.add_protected(parser)
    _arguments.add_out(parser)
    _output.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, judge."""
    from harness.analysis import gate
    from harness.results import store

    baseline = store.read_report(store.find(args.baseline, args.out))
    candidate = store.read_report(store.find(args.candidate, args.out))
    wanted = _output.asked(args, candidate)
    report = gate.compared(
        candidate, baseline, args.max_regression, args.max_accuracy_loss, args.protect
    )
    written = _output.emit(report, args, wanted)
    renew = _arguments.renewing(args, args.candidate)
    return gate.exit_code(report, strict=args.strict, renew=renew) or written
