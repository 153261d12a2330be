"""Groups of cores as cases of their own, proved by what the runner itself was allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.attendant import Attendant
from harness.core.errors import EXIT_USAGE, ConfigError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.core.types import Launch
from harness.devices.android import facts, kind
from harness.emulator.faults import Faults
from harness.emulator.phone import Core
from harness.project.request import Request
from tests.e2e.phone.test_measuring import CASE, QUICK, Bench, artifact
from tests.phone_bench import TINY, assert_clean, bench, entry
from tests.phones import adb_home, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

CORES = tuple(
    facts.Core(n, k) for n, k in enumerate([1_803_000] * 4 + [2_348_000] * 2 + [2_850_000] * 2)
)


@pytest.mark.parametrize(
    ("name", "mask", "said"),
    [
        ("big", "c0", "2 x 2.85 GHz"),
        ("mid", "30", "2 x 2.35 GHz"),
        ("little", "f", "4 x 1.80 GHz"),
        ("f0", "f0", "2 x 2.35 GHz + 2 x 2.85 GHz"),
        ("all", None, "4 x 1.80 GHz + 2 x 2.35 GHz + 2 x 2.85 GHz"),
    ],
)
def test_groups_are_named_by_their_clocks(name: str, mask: str | None, said: str) -> None:
    assert facts.core_mask(name, CORES) == mask
    assert facts.cores_of(mask, CORES) == said


def test_a_group_that_is_not_there() -> None:
    alike = tuple(facts.Core(n, 2_000_000) for n in range(4))
    with pytest.raises(ValueError, match="all cores of the phone have the same highest frequency"):
        facts.core_mask("little", alike)
    with pytest.raises(ValueError, match="none between"):
        facts.core_mask("mid", CORES[:6])


def first_launches(tmp_path: Path, faults: Faults, dialect: Any) -> dict[str, Launch]:
    """The first round of a case on each group; `masks` is what taskset was told."""
    with emulated(faults=faults, dialect=dialect) as phone:
        it = Bench(phone, tmp_path, affinity=("big", "little", "all"), launch_timeout_s=60)
        it.target.prepare(artifact(), Path("unused.npz"))
        found = {}
        for name in ("big", "all"):
            case = msgspec.structs.replace(CASE, affinity=name)
            found[name] = it.target.launch(case, artifact(), QUICK, 0)
        extra = it.target.facts().extra
        it.target.close()
        assert_clean(phone)
    assert extra["affinity"] == "c0 f all"
    assert extra["cores big"] == "2 x 2.85 GHz"
    return found


@pytest.mark.parametrize("dialect", ["A", "B"])
def test_each_group_is_measured_and_the_runner_was_allowed_it(tmp_path: Path, dialect: str) -> None:
    launches = first_launches(tmp_path, Faults(), dialect)
    assert not [n for x in launches.values() for n in x.notes if n.code == "affinity-ignored"]
    assert {x.case for x in launches.values()} == {f"{CASE.id}/big", f"{CASE.id}/all"}
    log = (tmp_path / "logs/phone.log").read_text()
    assert log.count("tiny@phone") == 2


@pytest.mark.parametrize("dialect", ["A", "B"])
def test_a_mask_that_is_ignored_is_a_finding(tmp_path: Path, dialect: str) -> None:
    launches = first_launches(tmp_path, Faults(mask_ignored=True), dialect)
    (note,) = [n for n in launches["big"].notes if n.code == "affinity-ignored"]
    assert note.level == "serious"
    assert "cores c0 but was allowed ff" in note.message
    assert not [n for n in launches["all"].notes if n.code == "affinity-ignored"]


def test_a_group_that_the_phone_lacks_is_refused_before_anything_is_built() -> None:
    two = (Core(count=4, min_khz=1, max_khz=1000), Core(count=4, min_khz=1, max_khz=2000))
    with emulated(cores=two) as phone:
        spec = AndroidSpec(
            transport="adb_tcp",
            address=phone.address,
            runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
            affinity=("big", "mid"),
        )
        with pytest.raises(ConfigError, match="affinity: 'mid': the phone has two groups"):
            kind.check(spec, Attendant())
        assert_clean(phone)


def test_one_group_is_no_dimension() -> None:
    assert kind.settings("x", AndroidSpec(affinity="big"), Request()).affinities == ("",)
    both = AndroidSpec(affinity=("big", "all"))
    assert kind.settings("x", both, Request()).affinities == ("big", "all")


@pytest.mark.slow
def test_the_command_line(tmp_path: Path) -> None:
    with emulated(fixed_latency_us=1000) as phone:
        run = bench(
            tmp_path, {"phone": entry(phone)}, TINY, "--launches", "1", "--iterations", "2",
            "--affinity", "big,little", "--csv", "r.csv",
        )  # fmt: skip
        assert run.status == 0, run.stderr
        assert_clean(phone)
    assert [case.affinity for case in run.report.cases] == ["big", "little"]
    assert "big is 2 x 2.85 GHz" in run.stdout
    assert "tiny_float32" in run.stdout
    assert {"big", "little"} <= {
        cell for line in (tmp_path / "r.csv").read_text().splitlines() for cell in line.split(",")
    }


@pytest.mark.parametrize("asked", [("--affinity", "big,little"), ()])
def test_a_run_goes_on_with_the_groups_that_it_began_with(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    """Whether the command line or devices.yaml had named them. --wait is no matter of the plan."""
    groups: dict[str, Any] = {} if asked else {"affinity": ["big", "little"]}
    short = ("--launches", "2", "--iterations", "2")
    with emulated(fixed_latency_us=1000) as phone:
        run = bench(tmp_path, {"phone": entry(phone, **groups)}, TINY, *short, *asked)
        assert run.status == 0, run.stderr
        whole = run.report
        (journal,) = tmp_path.glob("reports/*/journal.jsonl")
        journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
        done = run_harness(tmp_path, "bench", "--resume", "latest", "--wait", "1s")
        assert done.returncode == 0, done.stderr
        assert_clean(phone)
    launches = [x for case in run.report.cases for x in case.launches]
    assert [x.case for x in launches] == [x.case for case in whole.cases for x in case.launches]
    assert {d.extra["affinity"] for d in run.report.devices} == {"c0 f"}


@pytest.mark.parametrize(
    ("device", "affinity", "words"),
    [
        ({"kind": "host"}, "big", "--affinity is for phones"),
        ({"kind": "android", "transport": "emulated"}, "bgi", "--affinity: 'bgi' is not a set"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, device: dict[str, str], affinity: str, words: str
) -> None:
    run = bench(tmp_path, {"it": device}, TINY, "--affinity", affinity)
    assert run.status == EXIT_USAGE
    assert words in run.stderr
