"""Tasks over a few processes, each with one thread, in order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int, chunk: int = 8
) -> Iterator[Result]:
    """What `work`, a function of a module, gives for each of `tasks`. Tasks that follow one another
    go to the same process, `chunk` of them, so that they can share what they look up."""
    # Read when numpy is first imported, which is in the new processes.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(work, tasks, chunksize=chunk)
