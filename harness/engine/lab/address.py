"""Where a lab is, and which connections it accepts.

Anyone who reaches a Dask worker can make it run anything, because Dask does not authenticate. So a
lab that other machines can reach accepts only connections with a certificate, over TLS.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import UsageError
from harness.core.text import integer

if TYPE_CHECKING:
    from distributed import Security

DEFAULT_PORT = 8786
CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
_EXAMPLE = "write it like tls://lab:8786"


class Address(NamedTuple):
    """`scheme` is tcp or tls. `keys` is the folder of this host's certificate; None for tcp."""

    scheme: str
    host: str
    port: int
    keys: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def reach(self, within_s: float) -> None:
        """Raise OSError at once if nobody listens there; Dask would go on trying."""
        socket.create_connection((self.host, self.port), timeout=within_s).close()

    def security(self) -> Security:
        """Dask's security settings. With keys, connections without encryption are refused."""
        from distributed import Security

        if self.keys is None:
            return Security(require_encryption=False)
        ca, cert, key = (str(self.keys / name) for name in (CA, CERTIFICATE, KEY))
        pairs = {
            f"tls_{role}_{kind}": path
            for role in ("client", "scheduler", "worker")
            for kind, path in (("cert", cert), ("key", key))
        }
        return Security(require_encryption=True, tls_ca_file=ca, **pairs)


def parse(text: str, keys: Path | None) -> Address:
    """'tls://lab:8786' -> Address. Raises UsageError for what is not an address, for tcp:// to or
    from another machine, and for tls:// without a whole set of keys."""
    scheme, separator, rest = text.partition("://")
    host, port = _split(rest)
    if not separator or scheme not in ("tcp", "tls") or not host or port is None:
        raise UsageError(f"{text!r} is not the address of a lab", _EXAMPLE)
    if scheme == "tcp":
        if not is_loopback(host):
            raise UsageError(
                f"{text} is not encrypted, and whoever reaches a lab can run programs on its hosts",
                "make keys with `python -m harness lab keys DIR HOST ...` and use tls://",
            )
        return Address(scheme, host, port)
    if keys is None:
        raise UsageError(
            f"{text} needs the certificate of this host",
            "name its folder with --keys (bench and build: --lab-keys); "
            "`python -m harness lab keys` makes one",
        )
    for name in (CA, CERTIFICATE, KEY):
        if not (keys / name).is_file():
            raise UsageError(
                f"{keys} has no {name}", "give a folder that `python -m harness lab keys` made"
            )
    return Address(scheme, host, port, keys)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name is not looked up: it may mean another machine
    tomorrow."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(rest: str) -> tuple[str, int | None]:
    """(host, port); the port is None if it is not a number."""
    if rest.startswith("["):
        host, _, after = rest[1:].partition("]")
        separator, port = after[:1], after[1:]
        if separator not in ("", ":"):
            return "", None
    else:
        host, separator, port = rest.partition(":")
    return host, (integer(port, 65535) or None) if separator else DEFAULT_PORT
