"""Which model do I ship? A benchmark of on-device models that answers with evidence.

    import harness
    report = harness.bench("scratch", "my_model.tflite", launches=7)
    report.frame()[["variant", "latency_ns", "size_bytes"]]

The functions are those of `harness.api`, imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import Report, bench, build, compare, load

__version__ = "0.2.0"
__all__ = ["Report", "__version__", "bench", "build", "compare", "load"]


def __getattr__(name: str) -> Any:
    # Imported when first used, so that `python -m harness --help` stays instant.
    if name in __all__:
        from harness import api

        return getattr(api, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
