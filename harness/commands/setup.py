"""Set up what a device needs besides the harness: the ARM64 core of `--device arm64`.

It is made from the distribution's arm64 packages and the aarch64 wheels of the runtime that is
installed here, and is kept in the cache. Root is not needed. An existing environment is kept if it
is complete, and made again if it is damaged.
"""

from __future__ import annotations

import argparse

from harness.commands import _json
from harness.core.errors import EXIT_OK

HELP = "fetch what an emulated ARM64 core needs"
EXAMPLE = "python -m harness setup arm64"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to set up, or to remove."""
    parser.add_argument("what", choices=["arm64"], help="arm64: an ARM64 core in software")
    parser.add_argument("--remove", action="store_true", help="remove it from the cache")
    _json.add_json(parser, "what was set up or removed")


def run(args: argparse.Namespace) -> int:
    """Set it up and say where it is and how large; or remove it."""
    import sys

    from harness.core import units
    from harness.devices.arm64_core import installation
    from harness.devices.arm64_core.cpus import CPUS
    from harness.system.files import cache_dir

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    _json.check(args)
    cache = cache_dir()
    if args.remove:
        freed = installation.remove(cache, progress=say)
        if _json.write(args, {"cache": str(cache), "removed_bytes": freed}):
            return EXIT_OK
        said = f"removed {units.file_size(freed)} from" if freed else "nothing to remove in"
        print(said, cache)
        return EXIT_OK
    env = installation.setup(cache, progress=say)
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
