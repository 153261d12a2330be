"""How long does `history --html` take for a folder of 100,000 launches, and how large is the page?

    .venv/bin/python benchmarks/board.py

500 runs of 10 variants on 2 devices with 10 launches of 100 iterations each, in a folder of its
own. The page must take at most 5 s, the start of Python included, and 5 MB. Times are those of the
processor, so that other work on the machine does not count, and the best of two. Beside them is the
time to read the same bytes and do nothing with them, which no reader of the reports can beat.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from harness.core.types import CaseReport, Launch, Measurement, Report
from harness.results import store

RUNS, VARIANTS, DEVICES, LAUNCHES, ITERATIONS = 500, 10, ("host", "pixel"), 10, 100
MOST_S, MOST_BYTES = 5.0, 5_000_000


def main() -> int:
    """Make the folder, time the page, and say whether it kept both limits."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "reports"
        size = sum(_write(out, run) for run in range(RUNS))
        launches = RUNS * VARIANTS * len(DEVICES) * LAUNCHES
        print(f"{launches:,} launches in {RUNS} runs, {size / 1e6:,.0f} MB")
        page = Path(folder) / "board.html"
        command = [
            sys.executable,
            "-m",
            "harness",
            "history",
            "--out",
            str(out),
            "--html",
            str(page),
        ]
        best = min(
            _timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            for _ in range(2)
        )
        reading = min(_timed(lambda: _read_all(out)) for _ in range(2))
        written = page.stat().st_size
    print(f"history --html: {best:.2f} s (at most {MOST_S:g})")
    print(f"reading the bytes alone: {reading:.2f} s, ratio {best / reading:.1f}")
    print(f"page: {written / 1e6:.2f} MB (at most {MOST_BYTES / 1e6:g})")
    return 0 if best <= MOST_S and written <= MOST_BYTES else 1


def _timed(work: Callable[[], object]) -> float:
    """Processor time (s) of this process and its children."""
    began = _used()
    work()
    return _used() - began


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _read_all(out: Path) -> None:
    for path in out.glob(f"*/{store.REPORT}"):
        path.read_bytes()


def _write(out: Path, number: int) -> int:
    """One run; every third variant gets slower halfway."""
    rng = random.Random(number)
    cases = [
        _case(f"variant-{v}", device, rng, slower=v % 3 == 0 and number > RUNS // 2)
        for v in range(VARIANTS)
        for device in DEVICES
    ]
    day, minute = divmod(number, 24)
    report = replace(
        _EMPTY,
        run_id=f"2026{day:04d}-{minute:02d}0000-{number:04x}",
        started_at=f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T{minute:02d}:00:00+00:00",
        cases=tuple(cases),
    )
    folder = out / report.run_id
    folder.mkdir(parents=True)
    return (folder / store.REPORT).write_bytes(store.encode(report))


def _case(variant: str, device: str, rng: random.Random, *, slower: bool) -> CaseReport:
    level = (1 + int(variant[-1]) % 7) * 1_000_000 * (1.2 if slower else 1.0) * rng.gauss(1, 0.02)
    latency = Measurement(
        unit="ns",
        point=level,
        ci_low=level * 0.97,
        ci_high=level * 1.03,
        confidence=0.95,
        n=LAUNCHES,
    )
    size = Measurement(unit="bytes", point=2_650_000)
    launches = tuple(
        Launch(
            case=f"{variant}@{device}/litert/cpu/t1",
            index=i,
            order=i,
            started_at="2026-11-29T10:00:00+00:00",
            wall_ns=900_000_000,
            latency_ns=tuple(int(level * rng.gauss(1, 0.05)) for _ in range(ITERATIONS)),
        )
        for i in range(LAUNCHES)
    )
    return CaseReport(
        variant=variant,
        device=device,
        runtime="litert",
        delegate="cpu",
        threads=1,
        status="ok",
        metrics={"latency": latency, "size": size},
        launches=launches,
    )


_EMPTY: Report = msgspec.convert(
    {
        "schema_version": 1,
        "tool": {"name": "mobile-bench-harness", "version": "0"},
        "run_id": "",
        "started_at": "",
        "host": {},
        "plan": {"cases": []},
    },
    Report,
)

if __name__ == "__main__":
    sys.exit(main())
