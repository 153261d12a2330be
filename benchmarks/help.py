"""How long does `--help` take beside a bare start of Python?

    .venv/bin/python benchmarks/help.py

Processor time of `python -c pass` and of `python -m harness --help`, in turn, the least of twenty
each. Exit status 1 if the ratio is more than 6.
"""

from __future__ import annotations

import resource
import subprocess
import sys

TIMES, MOST = 20, 6.0


def used(*words: str) -> float:
    """Processor time (s) of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> int:
    """Print both times and their ratio."""
    pairs = [(used("-c", "pass"), used("-m", "harness", "--help")) for _ in range(TIMES)]
    bare, helped = (min(times) for times in zip(*pairs, strict=True))
    print(
        f"python -c pass {1000 * bare:.0f} ms, --help {1000 * helped:.0f} ms: {helped / bare:.1f}x"
    )
    return 0 if helped <= MOST * bare else 1


if __name__ == "__main__":
    sys.exit(main())
