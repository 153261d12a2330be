"""Which model do I ship? A benchmark of on-device models that answers with evidence.

`harness.load(run)` gives a saved report with its data frames; the whole Python interface is in
`harness.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import Report, compare, load

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "compare", "load"]


def __getattr__(name: str) -> Any:
    # Imported when first used, so that `python -m harness --help` stays instant. `bench` and
    # `build` are not here: modules of those names would take their place.
    if name in ("Report", "compare", "load"):
        from harness import api

        return getattr(api, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
