"""Set up what is needed besides the harness, in the cache and without root.

arm64 is the ARM64 core of `--device arm64`, made from the distribution's arm64 packages and the
aarch64 wheels of the runtime that is installed here. onnx and torch are Python environments with
what converts ONNX and PyTorch models (.pt2): their packages clash with those of the harness, or are
very large. What is already set up is kept, unless it is damaged.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.commands import _json
from harness.core.errors import EXIT_OK

if TYPE_CHECKING:
    from pathlib import Path

    from harness.artifacts.converters import Kind

HELP = "fetch what an emulated ARM64 core, or a converter, needs"
EXAMPLE = "python -m harness setup arm64"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to set up, or to remove."""
    parser.add_argument(
        "what",
        choices=["arm64", "onnx", "torch"],
        metavar="{arm64,onnx,torch}",
        help="arm64: an ARM64 core in software; onnx, torch: converters of such models",
    )
    parser.add_argument("--remove", action="store_true", help="remove it from the cache")
    _json.add_json(parser, "what was set up or removed")


def run(args: argparse.Namespace) -> int:
    """Set it up and say where it is and how large; or remove it."""
    from harness.system.files import cache_dir

    _json.check(args)
    cache = cache_dir()
    return _arm64(args, cache) if args.what == "arm64" else _converter(args, args.what, cache)


def _say(line: str) -> None:
    import sys

    print(line, file=sys.stderr, flush=True)


def _converter(args: argparse.Namespace, kind: Kind, cache: Path) -> int:
    from harness.artifacts.converters import environment

    if args.remove:
        there = environment.remove(kind, cache)
        if not _json.write(args, {"cache": str(cache), "removed": there}):
            print("removed it from" if there else "nothing to remove in", cache)
        return EXIT_OK
    made = environment.setup(kind, cache, _say)
    if _json.write(args, {"python": str(made.python), "versions": made.versions}):
        return EXIT_OK
    print(", ".join(f"{name} {version}" for name, version in made.versions.items()))
    print(f"next: python -m harness bench my_model.{'onnx' if kind == 'onnx' else 'pt2'}")
    return EXIT_OK


def _arm64(args: argparse.Namespace, cache: Path) -> int:
    from harness.core import units
    from harness.devices.arm64_core import installation
    from harness.devices.arm64_core.cpus import CPUS

    if args.remove:
        freed = installation.remove(cache, progress=_say)
        if _json.write(args, {"cache": str(cache), "removed_bytes": freed}):
            return EXIT_OK
        said = f"removed {units.file_size(freed)} from" if freed else "nothing to remove in"
        print(said, cache)
        return EXIT_OK
    env = installation.setup(cache, progress=_say)
    size, cores = installation.size_bytes(cache), [cpu for cpu in CPUS if cpu in env.qemu.cpus]
    facts = {
        "cache": str(cache),
        "size_bytes": size,
        "qemu": env.qemu.version,
        "litert": env.lock.litert,
        "numpy": env.lock.numpy,
        "python": env.lock.python,
        "cores": cores,
    }
    if _json.write(args, facts):
        return EXIT_OK
    print(
        f"qemu {env.qemu.version}, litert {env.lock.litert}, numpy {env.lock.numpy}, Python "
        f"{env.lock.python}, {units.file_size(size)} in {cache}"
    )
    print(f"cores: {', '.join(cores)}")
    print("next: python -m harness bench scratch scratch-int8 --untrained --device arm64")
    return EXIT_OK
