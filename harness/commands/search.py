"""Search for the smallest model that keeps a budget, instead of choosing among listed variants.

What may vary is in `search:` of models/variants.yaml. Trials are judged on the validation images;
the test images are opened once, for the finalists, with the verdict of `bench`. What is over
the budget is refused before it is trained. Every trial is saved as it ends: after Ctrl-C,
--resume continues.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from harness.commands import _arguments, _output
from harness.core.choices import InitialWeights, Prefer
from harness.core.errors import EXIT_GATE, EXIT_INTERRUPTED, EXIT_OK, UsageError
from harness.core.text import command

if TYPE_CHECKING:
    from harness.core.search import SearchReport, SearchRequest, Trial
    from harness.engine.dask import DaskEngine
    from harness.search.session import Saved
    from harness.system.progress import Narrator

HELP = "find the smallest model that keeps a budget"
EXAMPLE = (
    "python -m harness search --budget 'size<=1MB' --against lite0-gray-int8 --time-budget 10m"
)

# Options of a search that stay as they are when it is resumed.
_FIXED = (
    "spaces", "against", "devices", "budget", "data", "split", "max_accuracy_loss", "prefer",
    "finalists", "seed", "weights", "project",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to search, under which budget, for how long. The namespace has only the options that
    were given."""
    option = functools.partial(_arguments.option, defaults=False)
    own = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    own("--models", dest="spaces", type=_arguments.comma_list, metavar="NAME[,NAME]",
        help="entries of `search:` in models/variants.yaml (default: those with `default: true`, "
        "else all)")  # fmt: skip
    option(parser, "budget", "--budget", metavar="LIST",
           help="what the model may cost, such as 'size<=1MB,latency_p95<=20ms'; exit 1 if nothing "
           "keeps it")  # fmt: skip
    own("--against", type=_arguments.comma_list, metavar="NAME[,NAME]",
        help="variants that the finalists are compared with: a finalist must not lose more than "
        "--max-accuracy-loss against them either")  # fmt: skip
    option(parser, "devices", "--device", type=_arguments.comma_list, metavar="NAME[,NAME]",
           help="entries of devices.yaml on which to measure the finalists, and trials that may "
           "reach the front (default: {default})")  # fmt: skip
    option(parser, "data", "--data", metavar="DATA",
           help="labelled images, as for `bench` (default: demo)")  # fmt: skip
    option(parser, "split", "--split", metavar="A/B/C",
           help="per cent of the images for training, validation and test (default: 70/15/15)",
           )  # fmt: skip
    _arguments.add_margin(parser, defaults=False)
    own("--prefer", choices=get_args(Prefer),
        help="which cost makes a model the cheapest; latency searches for few instructions "
        "instead of few bytes (default: size)")  # fmt: skip
    own("--trials", type=_arguments.positive, metavar="N",
        help="at most N trials (default: 40, or no limit with --time-budget)")  # fmt: skip
    own("--time-budget", dest="time_budget_s", type=_arguments.seconds, metavar="TIME",
        help="stop all trials after this time, also those that are running; then the finalists are "
        "judged")  # fmt: skip
    own("--finalists", type=_arguments.positive, metavar="N",
        help="how many of the smallest are judged on test images, besides the most accurate "
        "(default: 3)")  # fmt: skip
    own("--workers", type=_arguments.positive, metavar="N",
        help="trials at a time (default: 1, and then the same seed gives the same search)",
        )  # fmt: skip
    _arguments.add_seed(parser, "seed of the search, of training and of the split (default: 0)",
                        defaults=False)  # fmt: skip
    option(parser, "weights", "--weights", choices=get_args(InitialWeights),
           help="initial weights, as for `bench` (default: {default})")  # fmt: skip
    parser.add_argument("--resume", metavar="SEARCH",
                        help="continue a search: its folder, id or latest. One that has ended is "
                        "shown again")  # fmt: skip
    parser.add_argument("--keep", metavar="NAME",
                        help="add the model that was found to models/variants.yaml under this "
                        "name; also with --resume, for a search that has ended")  # fmt: skip
    parser.add_argument("--trial", type=_arguments.positive, metavar="N",
                        help="with --keep: add this trial, not the recommended one")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit 4 if the verdict is undecided")
    _arguments.add_lab(parser, defaults=False)
    _arguments.add_project(parser, defaults=False)
    _arguments.add_out(parser)
    group = parser.add_argument_group("output", "FILE may be - for standard output")
    for name, text in (
        ("json", "all of it as JSON"),
        ("csv", "all trials as CSV"),
        ("html", "a page: the front over the trials, and how much each option mattered"),
    ):
        group.add_argument(f"--{name}", metavar="FILE", help=text)  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Search, save, print."""
    from harness.measure import lab_engine
    from harness.search import session
    from harness.system.progress import Narrator

    wanted = _wanted(args)
    given = {name: getattr(args, name) for name in (*_FIXED, "trials", "time_budget_s", "workers")
             if hasattr(args, name)}  # fmt: skip
    if args.trial is not None and args.keep is None:
        raise UsageError("--trial says what --keep keeps", "add --keep NAME")
    if args.keep is not None:
        _check_keep(args)
    lab = getattr(args, "lab", None), getattr(args, "lab_keys", None)
    with (
        Narrator() as narrator,
        lab_engine.opened(*lab, getattr(args, "project", None), narrator.say) as engine,
    ):
        told = functools.partial(_show_trial, narrator)
        if args.resume is not None:
            saved = _resumed(args, given, narrator, engine)
        else:
            saved = session.begin(
                _asked(given),
                narrator,
                out=args.out,
                command=("python", "-m", "harness", *sys.argv[1:]),
                told=told,
                engine=engine,
            )
    if args.keep is not None and saved.report.stopped != "interrupted":
        _keep(saved, args)
    _emit(saved, args, wanted)
    return _exit_code(saved, args)


def _asked(given: dict[str, Any]) -> SearchRequest:
    from harness.core.search import SearchRequest

    given = {"spaces": (), **given}
    if "project" in given:
        given["project"] = str(given["project"].absolute())
    return SearchRequest(**given)


def _resumed(
    args: argparse.Namespace,
    given: dict[str, Any],
    narrator: Narrator,
    engine: DaskEngine | None,
) -> Saved:
    from harness.results import searches
    from harness.search import session

    if left := [name for name in given if name in _FIXED]:
        raise UsageError(
            f"a resumed search keeps its own {left[0]}, which cannot be changed",
            "leave out all options but --trials, --time-budget, --workers and the output options",
        )
    return session.resume(
        searches.find(args.resume, args.out),
        narrator,
        trials=given.get("trials"),
        time_budget_s=given.get("time_budget_s"),
        workers=given.get("workers"),
        told=functools.partial(_show_trial, narrator),
        engine=engine,
    )


def _show_trial(narrator: Narrator, trial: Trial, report: SearchReport) -> None:
    from harness.renderers import search as renderer

    narrator.say(renderer.line(trial, report, report.header.asked.trials))
    if trial.number in report.front:
        narrator.say(renderer.front_line(report))


def _wanted(args: argparse.Namespace) -> dict[str, str]:
    """Format -> file. Raises UsageError if one cannot be written or lacks a package."""
    wanted = {n: getattr(args, n) for n in ("json", "csv", "html") if getattr(args, n) is not None}
    for target in wanted.values():
        _output.check_file(target)
    if list(wanted.values()).count("-") > 1:
        raise UsageError("only one format can go to standard output", "name files for the others")
    if "html" in wanted:
        _output.check_packages("html")
    return wanted


def _emit(saved: Saved, args: argparse.Namespace, wanted: dict[str, str]) -> None:
    from harness.renderers import search as renderer
    from harness.renderers import search_page

    renders = {"json": renderer.as_json, "csv": renderer.as_csv, "html": search_page.page}
    for name, target in wanted.items():
        data = renders[name](saved.report)
        if target == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            _output.write(Path(target), data)
    if "-" not in wanted.values():
        _show(saved)
    print(
        f"saved in {saved.folder}; again: {command('search', '--resume', saved.folder)}",
        file=sys.stderr,
    )


def _show(saved: Saved) -> None:
    from harness.renderers import search as renderer
    from harness.renderers.formats import terminal
    from harness.renderers.view import View

    console = _output.console()
    renderer.show(saved.report, console)
    if saved.run is not None:
        console.print()
        terminal.render_to(View(saved.run), console)


def _check_keep(args: argparse.Namespace) -> None:
    """Before hours of search: whether what is found can be kept."""
    from harness.project.config import load_project
    from harness.results import searches
    from harness.search import keep

    folder = getattr(args, "project", None)
    if args.resume is not None:
        header = searches.read_header(searches.find(args.resume, args.out))
        folder = Path(header.asked.project)
    project = load_project(folder)
    if project.shipped:
        raise UsageError(
            "the models that come with the harness are not changed",
            f"make a project of your own, {command('init', 'my-project')}, and search there",
        )
    keep.check_name(args.keep, project.variants.variants)


def _keep(saved: Saved, args: argparse.Namespace) -> None:
    from harness.project.config import VARIANTS
    from harness.renderers import search as renderer
    from harness.search import keep
    from harness.search.objective import variant_of

    report = saved.report
    number = args.trial
    if number is None:
        verdict, final = report.verdict, report.final
        finalists = final.finalists if final else {}
        # A single finalist that is compared with nothing has no verdict.
        recommended = verdict.recommended if verdict else next(iter(finalists), None)
        number = finalists.get(recommended or "")
        if number is None:
            print(f"no model was added: {_why_none(saved)}; choose one with "
                  f"{command('search', '--resume', saved.folder, '--keep', args.keep)} --trial N",
                  file=sys.stderr)  # fmt: skip
            return
    trial = next((t for t in report.trials if t.number == number and t.state == "done"), None)
    if trial is None:
        raise UsageError(f"there is no judged trial {number}", "choose a number from --csv")
    path = Path(report.header.asked.project) / VARIANTS
    comment = f"Found by {report.header.search_id}: {trial.name} of {len(report.trials)}."
    keep.add(path, args.keep, variant_of(trial.candidate), comment)
    print(f"{args.keep} is in {path}: {renderer.what(trial.candidate)}", file=sys.stderr)


def _why_none(saved: Saved) -> str:
    verdict = saved.report.verdict
    if verdict is None:
        return "there is no verdict"
    if verdict.recommended:
        return f"the verdict recommends {verdict.recommended}, which is in the project already"
    return f"the verdict recommends none ({verdict.reason})"


def _exit_code(saved: Saved, args: argparse.Namespace) -> int:
    from harness.analysis import gate
    from harness.commands import bench

    if saved.report.stopped == "interrupted":
        print(
            f"interrupted; continue with: {command('search', '--resume', saved.folder)}",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    if saved.run is None or saved.run_folder is None:
        return EXIT_GATE
    return (
        bench.exit_code(saved.run, saved.run_folder)
        or gate.verdict_exit_code(saved.run, strict=args.strict)
        or EXIT_OK
    )
