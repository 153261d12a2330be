"""Cold and cached starts on the emulated phone; caches that cannot be written or are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.analysis import metric_specs
from harness.core.errors import EXIT_USAGE
from harness.core.types import Launch
from harness.emulator.faults import Faults
from tests.e2e.phone.test_measuring import CASE, QUICK, Bench, artifact
from tests.phone_bench import TINY, assert_clean, bench
from tests.phones import adb_home, emulated
from tests.strategies import evidence

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

BOTH = msgspec.structs.replace(QUICK, cached_start=True)


def launched(
    tmp_path: Path, faults: Faults, dialect: Any, delegate: str = "cpu", times: int = 1
) -> list[Launch]:
    case = msgspec.structs.replace(CASE, delegate=delegate)
    with emulated(faults=faults, dialect=dialect, fixed_latency_us=None) as phone:
        it = Bench(phone, tmp_path, launch_timeout_s=60)
        it.target.prepare(artifact(), Path("unused.npz"))
        found = [it.target.launch(case, artifact(), BOTH, 1 + i) for i in range(times)]
        it.target.close()
        assert_clean(phone)
    return found


@pytest.mark.parametrize("dialect", ["A", "B"])
def test_a_cached_start_has_its_own_numbers(tmp_path: Path, dialect: str) -> None:
    launches = launched(tmp_path, Faults(), dialect, times=2)
    for launch in launches:
        assert launch.init_ns
        assert launch.init_cached_ns
        assert launch.first_inference_cached_ns, "B tells it in its result file only"
        assert not [n for n in launch.notes if "cache" in n.code]
    log = (tmp_path / "logs/phone.log").read_text()
    assert log.count("XNNPack weight cache: written to") == 1, "once for a case"
    assert log.count("XNNPack weight cache loaded from") == 2
    found = metric_specs.extract(evidence(launches))
    assert found["init_cached"].point is not None


def test_a_gpu_that_says_nothing_of_its_cache(tmp_path: Path) -> None:
    (launch,) = launched(tmp_path, Faults(accelerator="all"), "B", "gpu")
    assert launch.init_cached_ns
    assert "cache-use-unproved" in [n.code for n in launch.notes]


@pytest.mark.parametrize(
    ("fault", "words"), [("unwritable", "wrote none"), ("ignored", "wrote its cache again")]
)
def test_a_cache_that_is_not_used_is_told_and_the_cold_start_holds(
    tmp_path: Path, fault: Any, words: str
) -> None:
    (launch,) = launched(tmp_path, Faults(cache=fault), "A")
    assert launch.init_ns
    assert launch.init_cached_ns is None
    (note,) = [n for n in launch.notes if n.code == "cache-not-used"]
    assert words in note.message
    assert words in launch.absent["init_cached_ns"]
    assert note.fix


@pytest.mark.parametrize(
    ("start", "words"),
    [("cold,cached", "add --runtime litert-compiled"), ("cached", "needs a cold start"),
     ("warm", "unknown start")],
)  # fmt: skip
def test_what_cannot_be_started_is_refused(tmp_path: Path, start: str, words: str) -> None:
    run = bench(tmp_path, {"host": {"kind": "host"}}, TINY, "--start", start)
    assert run.status == EXIT_USAGE
    assert words in run.stderr
