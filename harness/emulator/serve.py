"""The emulated phone as a process of its own, until it is interrupted."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable

from harness.core.errors import UsageError
from harness.emulator.daemon import Daemon
from harness.emulator.faults import parse
from harness.emulator.phone import Phone, load_profile


def serve(
    *,
    port: int,
    profile: str,
    faults: Iterable[str] = (),
    trusted: Iterable[bytes] | None = None,
    requires_auth: bool = True,
    until_stdin_closes: bool = False,
) -> None:
    """The address goes to standard output, for scripts. `trusted` are the public keys that are
    accepted; others are refused, because an accepted client has a shell on this machine. Raises
    UsageError if the port is taken or there is no such profile or fault."""
    described = load_profile(profile)
    phone = Phone(described, parse(faults), requires_auth=requires_auth, trusted=trusted)
    try:
        daemon = Daemon(phone, port)
    except (OSError, OverflowError) as error:
        phone.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"port {port} cannot be used: {reason}", "choose another with --port"
        ) from None
    with daemon:
        print(daemon.address, flush=True)
        print(f"adb connect {daemon.address}    (Ctrl-C ends the phone)", file=sys.stderr)
        if until_stdin_closes:
            threading.Thread(target=_end_with_parent, args=(daemon,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            daemon.wait()


def _end_with_parent(daemon: Daemon) -> None:
    sys.stdin.buffer.read()
    daemon.close()
