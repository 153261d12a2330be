"""Serve an emulated phone on loopback, for tests and CI, until Ctrl-C.

Any ADB client can connect to the address it prints. It runs models on this machine, so its times
are this machine's; docs/explanation/emulated-device.md says what is real and what is not. For a
benchmark none need be started: the device `emulated` of devices.yaml starts its own.
"""

from __future__ import annotations

import argparse

from harness.core.errors import EXIT_OK

HELP = "serve an emulated phone on loopback"
EXAMPLE = "python -m harness emulate --fault battery_percent=5"

DEFAULT_PORT = 5600  # outside the range 5555 to 5585 that adb servers search for emulators


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which phone, and what is wrong with it."""
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"TCP port on loopback, 0 for a free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--profile",
        default="pixel",
        metavar="NAME|FILE.yaml",
        help="which phone it plays: pixel, old, or a file (default: pixel)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="what goes wrong; docs/explanation/emulated-device.md has the list",
    )
    parser.add_argument("--no-auth", action="store_true", help="let every client in")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )


def run(args: argparse.Namespace) -> int:
    """Serve."""
    from harness.emulator.serve import serve

    serve(
        port=args.port,
        profile=args.profile,
        faults=args.fault,
        requires_auth=not args.no_auth,
        until_stdin_closes=args.until_stdin_closes,
    )
    return EXIT_OK
