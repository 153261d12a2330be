"""Renderers: from a report to bytes, one format per file. They read only the report, through a
`View` that is computed once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.renderers.view import View


class Renderer(Protocol):
    """The shape of a renderer module."""

    def render(self, view: View) -> bytes:
        """The whole file, UTF-8 where it is text."""
