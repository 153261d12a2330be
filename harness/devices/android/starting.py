"""A start with the runtime's caches on disk: XNNPACK's weights, the GPU's programs.

A first launch writes them, once for each case; the timed launch reads them.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import NamedTuple

from harness.core.errors import StableDeviceError
from harness.core.text import clean, clean_lines
from harness.core.types import Artifact, Case, Finding
from harness.devices.android.link import PhoneLink
from harness.devices.android.tool import PhoneTool
from harness.devices.runners import benchmark_model as runner

STAGE = "cached start"


class CachedStart(NamedTuple):
    """One start, in ns; `notes` say what is uncertain about it."""

    init_ns: int | None
    first_inference_ns: int | None
    notes: tuple[Finding, ...] = ()


class CachedStarts:
    """The cached starts of one phone. Raises StableDeviceError if the runtime writes or reads no
    cache."""

    def __init__(self, tool: PhoneTool, link: PhoneLink) -> None:
        self._tool, self._link = tool, link

    def measure(self, case: Case, artifact: Artifact) -> CachedStart:
        """One launch of a single inference after the first, with the caches of the case."""
        key = hashlib.sha256(f"{case.id} {artifact.sha256}".encode()).hexdigest()[:12]
        folder = f"{self._link.work}/cache-{key}"
        before = self._files(folder)
        if not before:
            self._link.shell(f"mkdir -p {shlex.quote(folder)}")
            self._tool.start(case, artifact, folder)
            before = self._files(folder)
        if not before:
            raise StableDeviceError(
                STAGE,
                "the runner was told to keep a cache and wrote none",
                "free some space on the phone, or use a build of the runner that has caches",
            )
        outcome, said = self._tool.start(case, artifact, folder)
        if runner.cache_was_read(said):
            return CachedStart(outcome.init_ns, outcome.first_inference_ns)
        if self._files(folder) != before:
            raise StableDeviceError(
                STAGE,
                "the runner wrote its cache again, so it did not use the earlier one",
                "use another build of the runner; the cold start holds",
            )
        return CachedStart(outcome.init_ns, outcome.first_inference_ns, (_unproved(),))

    def _files(self, folder: str) -> str:
        """The files in a folder, with sizes and times to the nanosecond; '' if there are none."""
        place = shlex.quote(folder)
        script = f"cd {place} 2>/dev/null && find . -type f -exec stat -c '%n %s %y' {{}} + | sort"
        return clean(clean_lines(self._link.shell(script).stdout), 20_000)


def _unproved() -> Finding:
    return Finding(
        level="info",
        code="cache-use-unproved",
        message="the runner does not say whether it read its cache; the cache was there, and was "
        "not written again",
    )
