"""Start a project of your own: devices.yaml and models/, for you to change.

A model file in models/ plus a line in models/variants.yaml is all it takes to measure it.
Files that are there already are never overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands import _json
from harness.core.errors import EXIT_OK, UsageError
from harness.core.text import command, quoted

HELP = "start a project of your own"
EXAMPLE = "python -m harness init my-project"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder."""
    parser.add_argument(
        "dir",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder of the project, made if it is missing (default: this folder)",
    )
    _json.add_json(parser, "what was written")


def run(args: argparse.Namespace) -> int:
    """Copy the shipped files to DIR."""
    import shutil

    from harness.project.config import DEVICES, SHIPPED

    _json.check(args)
    root: Path = args.dir
    for name in (DEVICES, "models"):
        if (root / name).exists():
            raise UsageError(f"{root / name} exists already", "choose an empty folder")
    try:
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIPPED / DEVICES, root / DEVICES)
        shutil.copytree(
            SHIPPED / "models",
            root / "models",
            ignore=shutil.ignore_patterns("__pycache__", "__init__.py"),
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"cannot write {root}: {why}", "choose another folder") from None
    if _json.write(args, {"devices": str(root / DEVICES), "models": str(root / "models")}):
        return EXIT_OK
    print(f"wrote {root / DEVICES} and {root / 'models'}")
    enter = "" if root == Path() else f"cd {quoted(root)} && "
    print(f"next: {enter}{command('bench')}")
    return EXIT_OK
