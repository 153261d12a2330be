"""What all transports share: shell with a real status, verified push, whole pull.

A transport adds how to connect and how to open a stream to a service.
"""

from __future__ import annotations

import contextlib
import posixpath
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.core import units
from harness.core.errors import StableDeviceError, TransientDeviceError
from harness.core.text import clean, is_sha256
from harness.devices.transports import MAX_PULL_BYTES, Progress, ShellResult, free_bytes
from harness.devices.transports._shell import Sentinel, framed_service, read_framed
from harness.devices.transports._streams import Refused, Stream, not_adb
from harness.devices.transports._sync import FREE_SPACE, receive_file, refusal, send_file
from harness.system.files import replacing
from harness.system.files import sha256 as sha256_of

QUICK_S = 20.0  # for commands that answer at once
STALL_S = 30.0  # how long a copy may stand still
HASH_BYTES_PER_S = 5e6  # of the slowest phone
SPARE_BYTES = 1 << 20
DAMAGED = 65  # an exit status that no command of ours has

LARGE = 8_000_000
BLOCK = 1 << 20

# Whole blocks as they come, then the rest; stops when nothing has come for half a minute, because a
# program on a phone does not end with the connection.
_HASH_GROWING = """\
command -v dd stat sha256sum >/dev/null || exit 9
{{ i=0; idle=0
while [ $i -lt {whole} ] && [ $idle -lt 1500 ]; do
  s=$(stat -c %s {part} 2>/dev/null); n=$((${{s:-0}} / {block}))
  if [ $n -gt $i ]; then
    dd if={part} bs={block} skip=$i count=$((n - i)) 2>/dev/null; i=$n; idle=0
  else sleep 0.02; idle=$((idle + 1)); fi
done
while [ "$(stat -c %s {part})" -lt {size} ] 2>/dev/null && [ $idle -lt 1500 ]; do
  sleep 0.02; idle=$((idle + 1))
done
dd if={part} bs={block} skip={whole} 2>/dev/null; }} | sha256sum"""


class AdbTransport:
    """A transport without its pipe: shell, push and pull on top of `open_stream`."""

    def __init__(self) -> None:
        self._framed = True  # until the phone refuses shell v2

    def open_stream(self, service: str, timeout_s: float) -> Stream:
        """A stream to `shell:...` or `sync:`; raises Refused."""
        raise NotImplementedError

    def shell(self, command: str, timeout_s: float) -> ShellResult:
        """See Transport."""
        if self._framed:
            try:
                stream = self.open_stream(framed_service(command), timeout_s)
            except Refused:
                self._framed = False
            else:
                with contextlib.closing(stream):
                    return read_framed(stream)
        sentinel = Sentinel(command)
        try:
            stream = self.open_stream(sentinel.service, timeout_s)
        except Refused:
            raise not_adb("no shell service") from None
        with contextlib.closing(stream):
            return sentinel.read(stream)

    def push(
        self,
        local: Path,
        remote: str,
        progress: Progress | None = None,
        *,
        sha256: str | None = None,
    ) -> bool:
        """See Transport."""
        try:
            size = local.stat().st_size
            wanted = sha256 or sha256_of(local)
            # Only a complete file gets its name: a broken push leaves at most a `.part` file.
            part = f"{remote}.part"
            there, free = self._look(remote, part, size)
            if there == wanted:
                return False
            self._check_space(posixpath.dirname(remote), size, free)
            try:
                stream = self.open_stream("sync:", STALL_S)
            except Refused:
                raise not_adb("no sync service") from None
            with contextlib.closing(stream), self._hashing(part, size) as hashing:
                send_file(stream, local, part, STALL_S, progress=progress)
                got = hashing()
            self._accept(local, part, remote, wanted, got=got, size=size)
        except OSError as error:
            raise StableDeviceError(
                "push", f"{clean(str(local))} cannot be read: {error.strerror}"
            ) from None
        return True

    def pull(self, remote: str, local: Path, max_bytes: int = MAX_PULL_BYTES) -> None:
        """See Transport."""
        try:
            stream = self.open_stream("sync:", STALL_S)
        except Refused:
            raise not_adb("no sync service") from None
        with contextlib.closing(stream), replacing(local, flush=False) as sink:
            receive_file(stream, remote, sink, STALL_S, max_bytes)

    def _look(self, remote: str, part: str, size: int) -> tuple[str | None, int | None]:
        """(SHA-256 of a file on the phone, None if there is none; free bytes beside it). Removes
        what an earlier push that broke has left in `part`: it takes space, and a hash that runs
        beside the next push would read its old bytes."""
        quoted, folder = shlex.quote(remote), shlex.quote(posixpath.dirname(remote))
        command = (
            f"rm -f {shlex.quote(part)} 2>/dev/null; "
            f"if [ -f {quoted} ]; then sha256sum < {quoted}; else echo none; fi; df -k {folder}"
        )
        result = self.shell(command, QUICK_S + size / HASH_BYTES_PER_S)
        first, _, rest = result.stdout.partition(b"\n")
        answer = clean(first).split(" ")[0]
        if answer != "none" and not is_sha256(answer):
            raise _no_hash(result)
        return None if answer == "none" else answer, free_bytes(rest)

    def _check_space(self, folder: str, size: int, free: int | None) -> None:
        """Raises if the phone lacks space, before a large push fails halfway."""
        if free is not None and free < size + SPARE_BYTES:
            raise StableDeviceError(
                "push",
                f"{clean(folder)} on the phone has {units.file_size(free)} free, "
                f"{units.file_size(size + SPARE_BYTES)} are needed",
                FREE_SPACE,
            )

    @contextlib.contextmanager
    def _hashing(self, part: str, size: int) -> Iterator[Callable[[], str | None]]:
        """Let the phone hash a large file while it arrives. Yields a function that waits for the
        digest; it gives None if the phone cannot do that and must hash the file afterwards."""
        if size < LARGE:
            yield lambda: None
            return
        command = _HASH_GROWING.format(
            part=shlex.quote(part), whole=size // BLOCK, block=BLOCK, size=size
        )
        try:
            stream = self.open_stream(framed_service(command), STALL_S)
        except Refused:
            yield lambda: None
            return
        with contextlib.closing(stream):

            def answer() -> str | None:
                stream.extend(QUICK_S + size / HASH_BYTES_PER_S)
                got = clean(read_framed(stream).stdout).split(" ")[0]
                return got if is_sha256(got) else None

            yield answer

    def _accept(
        self, local: Path, part: str, remote: str, wanted: str, *, got: str | None, size: int
    ) -> None:
        """Give the file its name if it arrived whole; else remove it. `got` is the SHA-256 computed
        while it arrived, None if none was. Before a file is called damaged, the whole file is read
        once more."""
        source, target = shlex.quote(part), shlex.quote(remote)
        result = self.shell(
            f'set -- {got or "unknown"}; [ "$1" = {wanted} ] || set -- $(sha256sum < {source}); '
            f'if [ "$1" = {wanted} ]; then mv -f {source} {target}; '
            f'else rm -f {source}; echo "$1"; exit {DAMAGED}; fi',
            QUICK_S + size / HASH_BYTES_PER_S,
        )
        if result.exit_code == DAMAGED:
            got = clean(result.stdout, 64)
            if not is_sha256(got):
                raise _no_hash(result)
            raise _not_the_same(local, got, wanted)
        if result.exit_code:
            raise refusal("push", clean(result.stderr or result.stdout))


def _not_the_same(local: Path, there: str, wanted: str) -> StableDeviceError | TransientDeviceError:
    """The error for a file that arrived with another SHA-256: changed here, or damaged on
    the way. Reads the local file again, since its hash may be outdated."""
    if (here := sha256_of(local)) != wanted:
        return StableDeviceError(
            "push",
            f"{clean(str(local))} has changed: its SHA-256 is {here}, and was {wanted}",
            "leave the file alone while it is measured, and run again",
        )
    return TransientDeviceError(
        "push",
        f"{clean(local.name)} arrived damaged: SHA-256 on the phone is {there}, here {wanted}",
        "try another cable or port, then run again",
    )


def _no_hash(result: ShellResult) -> StableDeviceError:
    return StableDeviceError(
        "push",
        f"the phone cannot compute SHA-256: {clean(result.stderr or result.stdout)}",
        "it needs sha256sum, which phones before Android 7 lack",
    )
