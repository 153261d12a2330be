"""An NPU runs with its libraries beside the runner, or is refused before anything is pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.attendant import Attendant
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android import kind, npu
from harness.emulator.faults import Faults
from harness.project.request import Request
from tests.e2e.phone.test_measuring import RISC_V, Bench
from tests.phone_bench import assert_clean
from tests.phones import adb_home, command, emulated

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

DISPATCH = "libLiteRtDispatch_Qualcomm.so"


@pytest.fixture
def libraries(tmp_path: Path) -> dict[str, Any]:
    """Files that stand for an NPU's libraries, as devices.yaml names them."""
    names = (DISPATCH, "libLiteRtCompilerPlugin_Qualcomm.so", "libQnnHtp.so", "it's a skel.so")
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    dispatch, plugin, *others = (str(tmp_path / name) for name in names)
    return {"dispatch": dispatch, "compiler_plugin": plugin, "libraries": tuple(others)}


def test_the_libraries_are_pushed_and_found(tmp_path: Path, libraries: dict[str, Any]) -> None:
    runner = RunnerSpec(device_path="/system/bin/benchmark_model", **libraries)
    with emulated(faults=Faults(accelerator="all"), dialect="B", fixed_latency_us=None) as phone:
        seen = phone.phone.root / "state/seen"
        command(
            phone,
            "benchmark_model",
            f'case "$*" in *use_npu=true*) {{ echo "$*"; echo "$ADSP_LIBRARY_PATH"; '
            f'ls "$ADSP_LIBRARY_PATH"; }} >> {seen};; esac\nexec "$REAL" "$@"',
        )
        it = Bench(phone, tmp_path, runner=runner, delegate=("npu",))
        launch = it.launch(delegate="npu")
        folder = f"{it.target.link.work}/npu"
        it.target.close()
        assert launch.counters["delegated_nodes"] == launch.counters["total_nodes"] > 0
        flags, place, *files = seen.read_text().splitlines()
        assert f"--dispatch_library_path={folder}"[1:] in flags.replace(str(phone.phone.root), "")
        assert "--compiler_plugin_library_path=" in flags
        assert place.endswith("/npu")
        assert sorted(files) == sorted(
            Path(p).name
            for p in (
                libraries["dispatch"],
                libraries["compiler_plugin"],
                *libraries["libraries"],
            )
        )
        assert_clean(phone)


def test_without_the_dispatch_library_it_is_refused_before_a_phone_is_asked() -> None:
    spec = AndroidSpec(transport="adb_tcp", address="127.0.0.1:1", delegate=("cpu", "npu"))
    with pytest.raises(UsageError, match="npu needs LiteRT's dispatch library") as caught:
        kind.settings("pixel", spec, Request())
    assert "libLiteRtDispatch_Qualcomm.so" in caught.value.fix


def test_a_runner_of_ones_own_is_asked_and_nothing_is_pushed() -> None:
    with emulated(dialect="B", fixed_latency_us=None) as phone:
        spec = AndroidSpec(
            transport="adb_tcp",
            address=phone.address,
            runner=RunnerSpec(device_path="/system/bin/benchmark_model"),
            delegate=("npu",),
        )
        with pytest.raises(ConfigError, match="npu needs LiteRT's dispatch library"):
            kind.check(spec, Attendant())
        assert_clean(phone)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no such file": ({"dispatch": "none.so"}, "runner.dispatch: there is no file"),
    "the same name twice": ({"libraries": ("a/x.so", "b/x.so")}, "two files are called x.so"),
    "another processor": ({"libraries": ("riscv.so",)}, "is built for riscv64"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_what_is_named(tmp_path: Path, name: str) -> None:
    changes, words = MISTAKES[name]
    for place in ("a/x.so", "b/x.so", "riscv.so"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(RISC_V if place == "riscv.so" else b"x")
    entry = kind.read_entry(AndroidSpec(runner=RunnerSpec(**changes)), tmp_path)
    with pytest.raises(ConfigError, match=words):
        npu.refuse_other_abi(npu.files_of(entry.runner), "arm64-v8a")


def test_what_is_for_the_dsp_passes(tmp_path: Path) -> None:
    """Hexagon is machine 164 of the ELF specification, and 32-bit."""
    skel = tmp_path / "libQnnHtpV75Skel.so"
    skel.write_bytes(b"\x7fELF\x01\x01\x01\0" + bytes(8) + b"\x03\0\xa4\0" + bytes(50))
    npu.refuse_other_abi([skel], "arm64-v8a")
