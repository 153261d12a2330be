"""Whether a device is still the one on which the run began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.core.text import clean
from harness.core.types import DeviceFacts

# What tells apart two phones of one model, two builds of one phone's software or of what times
# there, and the cores that it runs on.
_EXTRA = {
    "serial": "serial",
    "fingerprint": "build",
    "runner_sha256": "runner SHA-256",
    "app_sha256": "app SHA-256",
    "affinity": "cores",
}


def difference(before: DeviceFacts, now: DeviceFacts, runtimes: Iterable[str]) -> str | None:
    """`then X, now Y` of all that differs and matters to a measurement; None if nothing does. Of
    `runtimes`, the ones that the run uses, the version matters."""
    differing = list(_differing(before, now, runtimes))
    if not differing:
        return None
    then, today = (", ".join(side) for side in zip(*differing, strict=True))
    return f"then {then}; now {today}"


def _differing(
    before: DeviceFacts, now: DeviceFacts, runtimes: Iterable[str]
) -> Iterator[tuple[str, str]]:
    if differ := _differ("", before.identity, now.identity):
        yield differ
    for key, label in _EXTRA.items():
        if differ := _differ(f"{label} ", before.extra.get(key), now.extra.get(key)):
            yield differ
    for runtime in sorted(runtimes):
        if differ := _differ(
            f"{runtime} ", before.runtimes.get(runtime), now.runtimes.get(runtime)
        ):
            yield differ


def _differ(label: str, before: str | None, now: str | None) -> tuple[str, str] | None:
    """Both values, if they differ. A value that one side does not know is not a difference."""
    if before is None or now is None or before == now:
        return None
    return f"{label}{clean(before, 200)}", f"{label}{clean(now, 200)}"
