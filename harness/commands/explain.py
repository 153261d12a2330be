"""Say why a file is large, and what would make it smaller, with the size that each change would
give.

Shows bytes, parameters and multiply-accumulates by kind of layer and by layer, what a grey image
as three channels costs, and what training left in the file.

All numbers are computed from the file (.tflite, .keras, .h5 or .hdf5). A variant is built without
training, which does not change its size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import _arguments, _json, _output
from harness.core.errors import EXIT_OK, BuildError

if TYPE_CHECKING:
    from harness.core.explanation import Explanation

HELP = "say why a file is large, and what would make it smaller"
EXAMPLE = "python -m harness explain vgg16"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain, and how much of it to show."""
    parser.add_argument("what", metavar="VARIANT|FILE", help="variant or model file")
    _json.add_json(parser)
    parser.add_argument(
        "--all", action="store_true", help="show every layer, not only the largest ten"
    )
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Read, show."""
    from harness.renderers import explanation as renderer

    _json.check(args)
    found = _explained(args.what, args.project)
    if not _json.write(args, found):
        renderer.show(found, _output.console(), every=args.all)
    return EXIT_OK


def _explained(what: str, project_dir: Path | None) -> Explanation:
    from harness.artifacts.sizes.explain import KERAS_ENDINGS, explain

    path = Path(what)
    if path.is_file() or path.suffix.lower() in (".tflite", *KERAS_ENDINGS):
        return explain(path)
    return explain(_built(what, project_dir))


def _built(name: str, project_dir: Path | None) -> Path:
    """The .tflite file of a variant, from the cache or else built without training."""
    from harness.artifacts import builder
    from harness.project import config
    from harness.system.cache_use import cache_in_use
    from harness.system.plugins import unknown
    from harness.system.progress import Narrator

    project = config.load_project(project_dir, "random")
    if name not in project.variants.variants:
        raise unknown("variant or file", name, project.variants.variants)
    with Narrator() as narrator:
        built = builder.build(
            [name],
            project.variants,
            models_dir=project.models_dir,
            cache_dir=cache_in_use(),
            progress=narrator.building,
        )
    for failure in built.failures.values():
        raise BuildError(failure.message, failure.fix)
    return Path(built.artifacts[name].path)
