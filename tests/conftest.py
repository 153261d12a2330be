"""What every test shares."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from harness.artifacts.child import forked
from tests import decoders, pages, scheduling

# A shell that starts this in the background makes it ignore Ctrl-C, and every process it starts
# would inherit that; the tests press Ctrl-C in earnest.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Enough to falsify what is cheap to; --hypothesis-profile=default tries 100 of each property. A
# deadline would be of the clock, and fail on a loaded machine.
hypothesis.settings.register_profile("suite", max_examples=40, deadline=None)
hypothesis.settings.load_profile("suite")

# Each of the hundreds of processes that the tests start would compile the harness anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Numpy's own threads have nothing to do in them either: where a processor is free, an import of
# numpy would take 0.3 s of processor time instead of 0.15 s.
os.environ["OPENBLAS_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a test whose program of the system is missing, and say which."""
    scheduling.order(items)
    for item in items:
        for mark in item.iter_markers("needs"):
            for tool in mark.args:
                if shutil.which(tool) is None:
                    item.add_marker(pytest.mark.skip(reason=f"{tool} is not installed"))


def pytest_collection_finish() -> None:
    """Garbage collection took a tenth of the tests' processor time. It leaves out what exists now,
    which is needed until the end, and comes less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How the tests are divided among processes."""
    if config.getvalue("dist") == "loadfile":
        return scheduling.Scheduling(config, log)
    return None


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache. Tests of one session share one, so that a variant that
    several of them need is built once; `fresh_cache` gives a test its own."""
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(request.getfixturevalue("shared_cache")))


@pytest.fixture(scope="session", autouse=True)
def _one_tensorflow() -> Iterator[None]:
    """What the tests of one session build, they build in forks of one process, so that TensorFlow
    is imported once and not for every build."""
    with forked.server:
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_decoder() -> Iterator[None]:
    """Folders of images are opened hundreds of times; one process decodes for all of them, so that
    it is not started for a few small pictures each."""
    with decoders.one():
        yield


@pytest.fixture(scope="session", autouse=True)
def _drawn_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The processes of one session share the pages that they draw."""
    own = tmp_path_factory.getbasetemp()
    pages.folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "pages"
    pages.folder.mkdir(exist_ok=True)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of this test session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for this test alone."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(cache))
    return cache
