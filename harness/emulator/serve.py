"""The command line of the emulated phone, shared by `python -m harness emulate` and the
transport that starts one by itself."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Sequence

from harness.core.errors import EXIT_OK, HarnessError
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults, parse
from harness.emulator.phone import Phone, load_profile

DEFAULT_PORT = 5600  # outside the range 5555 to 5585 that adb servers search for emulators


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `emulate`."""
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="TCP port on loopback; 0 takes a free one"
    )
    parser.add_argument(
        "--profile", default="pixel", help="a file of harness/emulator/profiles, or a path"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help=f"what goes wrong: {', '.join(Faults.__struct_fields__)}",
    )
    parser.add_argument("--no-auth", action="store_true", help="let every client in")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )


def serve(args: argparse.Namespace) -> int:
    """Serve until interrupted; the address goes to standard output, for scripts."""
    phone = Phone(load_profile(args.profile), parse(args.fault), requires_auth=not args.no_auth)
    try:
        daemon = Daemon(phone, args.port)
    except OSError as error:
        phone.close()
        raise HarnessError(
            f"port {args.port} cannot be used: {error.strerror}", "choose another with --port"
        ) from None
    signal.signal(signal.SIGTERM, _interrupt)
    with daemon:
        print(daemon.address, flush=True)
        print(f"adb connect {daemon.address}    (Ctrl-C ends the phone)", file=sys.stderr)
        if args.until_stdin_closes:
            threading.Thread(target=_end_with_parent, args=(daemon,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            daemon.wait()
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, serve; errors are one line."""
    parser = argparse.ArgumentParser(prog="python -m harness.emulator", description=__doc__)
    add_arguments(parser)
    try:
        return serve(parser.parse_args(argv))
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _end_with_parent(daemon: Daemon) -> None:
    sys.stdin.buffer.read()
    daemon.close()
