"""Serve an emulated phone on loopback, for tests and CI, until Ctrl-C.

It prints an address for ADB clients. Models run on this machine, so the times are this machine's;
docs/explanation/emulated-device.md says what is real and what is not. A benchmark does not need
this command: the device `emulated` of devices.yaml starts its own phone.

Every accepted client gets a shell on this machine with your rights. So only your own keys are
accepted, those of adb and the harness, or the keys that --trust names; other clients are refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.core.errors import EXIT_OK
from harness.core.text import integer

HELP = "serve an emulated phone on loopback"
EXAMPLE = "python -m harness emulate --fault battery_percent=5"

DEFAULT_PORT = 5600  # outside the range 5555 to 5585 that adb servers search for emulators


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which phone, and what is wrong with it."""
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"TCP port on loopback, 0 for a free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--profile",
        default="pixel",
        metavar="NAME|FILE.yaml",
        help="the phone to emulate: pixel, old, or a YAML file (default: pixel)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a fault to emulate; docs/explanation/emulated-device.md has the list",
    )
    parser.add_argument(
        "--trust",
        action="append",
        type=Path,
        metavar="FILE.pub",
        help="a public key to accept (default: your own, ~/.android/adbkey.pub)",
    )
    parser.add_argument(
        "--no-auth",
        action="store_true",
        help="accept every client; each gets a shell with your rights",
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )


def run(args: argparse.Namespace) -> int:
    """Serve."""
    from harness.core.errors import UsageError
    from harness.devices import adb_keys
    from harness.emulator.serve import serve

    if args.no_auth and args.trust:
        raise UsageError("--no-auth accepts every key", "leave --trust or --no-auth out")
    trusted = None
    if not args.no_auth:
        trusted = [_public_key(f) for f in args.trust] if args.trust else adb_keys.own_public()
    serve(
        port=args.port,
        profile=args.profile,
        faults=args.fault,
        trusted=trusted,
        requires_auth=not args.no_auth,
        until_stdin_closes=args.until_stdin_closes,
    )
    return EXIT_OK


def _public_key(path: Path) -> bytes:
    from harness.core.errors import UsageError
    from harness.emulator import auth

    try:
        key = path.read_bytes()
        auth.parse_key(key)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "give the file adbkey.pub"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}", "give the file adbkey.pub") from None
    return key


def _port(text: str) -> int:
    value = integer(text, 65535)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return value
