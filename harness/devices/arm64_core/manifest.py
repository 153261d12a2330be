"""manifest.json: the files of an environment, so that damage is noticed before anything is measured
with it. Additional files are not damage, because nothing looks for them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from harness.core.types import Value
from harness.system.files import sha256

MANIFEST = "manifest.json"


class Entry(Value, frozen=True):
    """A file, or a link with what it says."""

    size_bytes: int = 0
    sha256: str = ""
    executable: bool = False
    link: str | None = None


def write(folder: Path) -> None:
    """Record all that is in `folder`; to be called last."""
    entries: dict[str, Entry] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or not path.is_dir():
                entries[str(path.relative_to(folder))] = _entry(path, hashed=True)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(dict(sorted(entries.items()))))


def damage(folder: Path, *, thorough: bool) -> str | None:
    """What is wrong with the first file in `folder` that has changed, or None. Missing and emptied
    files show in their sizes, which is fast; only `thorough` reads the files."""
    try:
        entries = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=dict[str, Entry])
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, msgspec.MsgspecError):
        return f"{MANIFEST} cannot be read"
    for name, entry in entries.items():
        if wrong := _wrong(folder / name, entry, thorough=thorough):
            return f"{name} {wrong}"
    return None


def _wrong(path: Path, entry: Entry, *, thorough: bool) -> str | None:
    try:
        now = _entry(path, hashed=thorough)
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    differs = {
        "points elsewhere": now.link != entry.link,
        "has another size": now.size_bytes != entry.size_bytes,
        "cannot be executed": entry.executable and not now.executable,
        "has other contents": thorough and now.sha256 != entry.sha256,
    }
    return next((said for said, so in differs.items() if so), None)


def _entry(path: Path, *, hashed: bool) -> Entry:
    if path.is_symlink():
        return Entry(link=os.fspath(path.readlink()))
    status = path.stat()
    return Entry(
        size_bytes=status.st_size,
        sha256=sha256(path) if hashed else "",
        executable=bool(status.st_mode & stat.S_IXUSR),
    )
