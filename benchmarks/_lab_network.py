"""Hosts with a network of their own on one machine (Linux, as root): a namespace for each, and a
cable from it to this machine that can be cut."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

_NEWNET = 0x40000000  # of setns(2)


class Network:
    """The namespaces by the names of their hosts, each a cable away from this machine."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._numbers = {host: number for number, host in enumerate(hosts, 1)}

    def gateway(self, host: str) -> str:
        """This machine's address, as a host sees it."""
        return f"{_network()}.{self._numbers[host]}.1"

    def inside(self, host: str, command: Sequence[str]) -> list[str]:
        """The command as it is run at a host."""
        return ["ip", "netns", "exec", _name(host), *command]

    @contextlib.contextmanager
    def sockets_of(self, host: str) -> Iterator[None]:
        """While inside, sockets that this thread opens belong to that host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open() as own, _file(host).open() as theirs:
            _enter(libc, theirs.fileno())
            try:
                yield
            finally:
                _enter(libc, own.fileno())

    def cut(self, host: str) -> None:
        """Pull the cable of a host."""
        _ip("link", "set", self._cable(host), "down")

    def reconnect(self, host: str) -> None:
        """Plug the cable of a host in again."""
        _ip("link", "set", self._cable(host), "up")

    def _cable(self, host: str) -> str:
        return f"mbh{os.getpid() % 100_000}-{self._numbers[host]}"

    def _add(self, host: str) -> None:
        cable, name, number = self._cable(host), _name(host), self._numbers[host]
        there = f"{cable}x"
        _ip("netns", "add", name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", name)
        _ip("addr", "add", f"{self.gateway(host)}/24", "dev", cable)
        _ip("link", "set", cable, "up")
        for words in (
            ("addr", "add", f"{_network()}.{number}.2/24", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", self.gateway(host)),
        ):
            _ip("-n", name, *words)


@contextlib.contextmanager
def network(hosts: Sequence[str]) -> Iterator[Network]:
    """The network, while inside. Raises OSError if it cannot be made."""
    made = Network(hosts)
    with contextlib.ExitStack() as stack:
        for host in hosts:
            stack.callback(_remove, host)
            made._add(host)
        yield made


def _remove(host: str) -> None:
    with contextlib.suppress(OSError):
        _ip("netns", "del", _name(host))  # the cable goes with it


def _name(host: str) -> str:
    return f"mbh-{os.getpid()}-{host}"


def _network() -> str:
    # One of its own for each process, since two benchmarks may run at once.
    return f"10.{os.getpid() % 200 + 20}"


def _file(host: str) -> Path:
    return Path("/run/netns") / _name(host)


def _enter(libc: ctypes.CDLL, handle: int) -> None:
    if libc.setns(handle, _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
