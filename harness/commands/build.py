"""Train and convert variants without measuring them, and say where the files are.

Artifacts are kept in the cache under a key of everything that they are made from. What is there
already is not built again.
"""

from __future__ import annotations

import argparse

from harness.commands import _arguments, _json
from harness.core.errors import EXIT_MEASUREMENT, EXIT_OK

HELP = "train and build variants, do not measure"
EXAMPLE = "python -m harness build 'mobilenet*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which variants."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="VARIANT",
        help="variants by name or glob (default: every variant)",
    )
    _arguments.add_seed(
        parser,
        "seed of demo images, initial weights, training and the split of a folder "
        "(default: {default})",
    )
    _arguments.add_data(parser)
    _arguments.add_lab(parser)
    _json.add_json(parser, "what was built")
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Build, print a line per artifact: name, size, path."""
    import sys

    from harness.artifacts import builder
    from harness.core import units
    from harness.measure import lab_engine
    from harness.measure.lab_build import LabBuild
    from harness.project import config
    from harness.project.preflight import labelled
    from harness.system.cache_use import cache_in_use
    from harness.system.progress import Narrator

    _json.check(args)
    project = config.load_project(args.project, args.weights)
    chosen = project.select(args.what or ["*"])
    with (
        Narrator() as narrator,
        lab_engine.opened(args.lab, args.lab_keys, args.project, narrator.say) as engine,
    ):
        data = labelled(
            args.data,
            untrained=args.untrained,
            seed=args.seed,
            split=args.split,
            looking=narrator.looking,
        )
        if data is not None:
            narrator.tell(data.summary.lines())
        built = builder.build(
            chosen,
            project.variants,
            models_dir=project.models_dir,
            cache_dir=cache_in_use(),
            data=data,
            seed=args.seed,
            progress=narrator.building,
            elsewhere=LabBuild(engine, narrator.say, or_here=False) if engine else None,
        )
    width = max(map(len, chosen))
    silent = _json.write(args, {"artifacts": built.artifacts, "failures": built.failures})
    for name, artifact in built.artifacts.items():
        if not silent:
            print(f"{name:{width}}  {units.file_size(artifact.size_bytes):>8}  {artifact.path}")
        for finding in artifact.findings:
            print(f"{name}: {finding.message}; {finding.fix}", file=sys.stderr)
    for name, failure in built.failures.items():
        print(f"error: {name}: {failure.message}; {failure.fix}", file=sys.stderr)
    return EXIT_MEASUREMENT if built.failures else EXIT_OK
