"""Runs several builds at a time; Ctrl-C ends all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar

# TensorFlow leaves a third of two cores idle with networks as small as these; each process takes
# one to three gigabytes, so not every machine has room for more than two.
AT_ONCE = 2

T = TypeVar("T")
R = TypeVar("R")


class Killable(Protocol):
    """A process under way."""

    def kill(self) -> None:
        """End it, from any thread; harmless when it has ended."""


class Children:
    """The child processes that are running, which are ended together; `stopping` is set from then
    on."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._alive: set[Killable] = set()
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, child: Killable) -> Iterator[None]:
        """While inside, `child` is one of them."""
        with self._lock:
            self._alive.add(child)
            if self.stopping.is_set():
                child.kill()
        try:
            yield
        finally:
            with self._lock:
                self._alive.discard(child)

    def end(self) -> None:
        """Kill them, and those that are still to be started."""
        with self._lock:
            self.stopping.set()
            for child in self._alive:
                child.kill()


def each(
    jobs: Sequence[T],
    work: Callable[[T], R],
    *,
    claims: Callable[[T], Collection[str]],
    children: Children,
) -> Iterator[tuple[T, Future[R]]]:
    """Do `work` for every job, `AT_ONCE` at a time, begun in their order; (job, its finished
    future) as they finish. Jobs that claim the same thing are never done at the same time: the
    second finds what the first one made. Whatever ends the iteration early ends the children."""
    waiting = list(jobs)
    under_way: dict[Future[R], T] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            while waiting or under_way:
                claimed = {key for job in under_way.values() for key in claims(job)}
                for job in list(waiting):
                    if len(under_way) < AT_ONCE and claimed.isdisjoint(claims(job)):
                        waiting.remove(job)
                        claimed.update(claims(job))
                        under_way[pool.submit(work, job)] = job
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future
        finally:
            if under_way:
                children.end()
