"""Files that go to another machine, by SHA-256."""

from __future__ import annotations

from pathlib import Path

from harness.system import files


class Digests:
    """Each file is read once, however often it is asked for; it must not change meanwhile. `paths`
    are those that were asked for, by SHA-256."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """The SHA-256 of a file. Raises OSError if it cannot be read."""
        if path not in self._known:
            self._known[path] = files.sha256(path)
            self.paths[self._known[path]] = path
        return self._known[path]
