"""A report in, bytes out; one format per file. Renderers read the Report and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.core.types import Report


class Renderer(Protocol):
    """The shape of a renderer module."""

    def render(self, report: Report) -> bytes:
        """The whole file, UTF-8 where it is text."""
