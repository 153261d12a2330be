"""The fault table: whatever goes wrong with a phone ends in one line with the fix, nothing is
left on it, and fixed-performance mode is off again. Each over a real socket."""

from __future__ import annotations

import _thread
import contextlib
import functools
import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.core.attendant import Attendant
from harness.core.errors import (
    EXIT_MEASUREMENT,
    EXIT_USAGE,
    ConfigError,
    HarnessError,
    StableDeviceError,
    TransientDeviceError,
    WorkerError,
)
from harness.core.specs import AndroidSpec, Guards, RunnerSpec
from harness.core.types import Artifact, Case, Launch, Timing
from harness.devices.android.extras import MEMORY_ROUNDS
from harness.devices.android.target import AndroidTarget, open_target
from harness.emulator.daemon import Daemon
from harness.emulator.faults import Faults
from harness.emulator.phone import pack_tool
from harness.emulator.userland import VARIABLE
from tests.paths import DATA
from tests.phone_bench import assert_clean
from tests.phones import USERLANDS, Listening, adb_home, command, emulated, wait_for

__all__ = ["adb_home"]

pytestmark = pytest.mark.usefixtures("adb_home")

MODEL = DATA / "tiny.tflite"
QUICK = Timing(min_time_ns=20_000_000, min_iterations=3, warmup_time_ns=0)
ON_DEVICE = RunnerSpec(device_path="/system/bin/benchmark_model")
CASE = Case(variant="tiny", device="phone", runtime="benchmark_model")


def artifact(path: Path = MODEL) -> Artifact:
    data = path.read_bytes()
    return Artifact(
        variant="tiny",
        path=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        gzip_bytes=len(gzip.compress(data)),
    )


RISC_V = b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x02\0\xf3\0" + bytes(200)


class Bench:
    """A phone and its target, with what the target said on the way."""

    def __init__(self, phone: Daemon, tmp_path: Path, **changes: Any) -> None:
        self.phone = phone
        self.said: list[str] = []
        self.spec: AndroidSpec = msgspec.structs.replace(
            AndroidSpec(
                transport="adb_tcp",
                address=phone.address,
                runner=ON_DEVICE,
                connect_timeout_s=10,
                reconnect_timeout_s=8,
                launch_timeout_s=20,
            ),
            **changes,
        )
        self.log_dir = tmp_path / "logs"
        attendant = Listening(self.said)
        self.target: AndroidTarget = open_target("phone", self.spec, self.log_dir, attendant)

    def launch(self, index: int = MEMORY_ROUNDS, delegate: str = "cpu") -> Launch:
        self.target.prepare(artifact(), Path("unused.npz"))
        case = msgspec.structs.replace(CASE, delegate=delegate)
        return self.target.launch(case, artifact(), QUICK, index)


@contextlib.contextmanager
def bench(
    tmp_path: Path,
    faults: Faults | None = None,
    *,
    profile: str = "pixel",
    fixed_latency_us: int | None = 1000,
    **changes: Any,
) -> Iterator[Bench]:
    """Whatever happens inside, the phone is clean afterwards."""
    with emulated(profile, faults, fixed_latency_us=fixed_latency_us) as phone:
        it = Bench(phone, tmp_path, **changes)
        try:
            yield it
        finally:
            it.target.close()
            if (
                phone.phone.faults.unplugged_for_s is not None
                or not phone.phone.faults.unplug_during
            ):
                assert_clean(phone)


def one_line(error: HarnessError) -> str:
    text = str(error)
    assert "\n" not in text
    assert error.fix, text
    return text


# --- it works --------------------------------------------------------------------------------


def test_a_launch_on_the_emulated_phone(tmp_path: Path) -> None:
    with bench(tmp_path, fixed_latency_us=None, affinity="big") as it:
        facts = it.target.facts()
        launch, fifth, sixth = (it.launch(index=index) for index in (0, 4, 5))
        assert it.phone.phone.fixed_performance is True
        mask = (it.phone.phone.root / "state/last_mask").read_text()
    assert facts.emulated
    assert facts.model == "Google Pixel 7 (emulated)"
    assert facts.os == "Android 14"
    assert facts.cores == 8
    assert facts.ram_bytes == 7_749_632 * 1024
    assert mask == "c0"
    assert launch.latency_summary is not None
    assert launch.latency_summary.count >= 3
    assert launch.latency_summary.median_ns > 0
    assert launch.latency_ns == ()
    assert launch.absent["latency_ns"]
    assert launch.init_ns
    assert launch.first_inference_ns
    assert launch.peak_rss_bytes and launch.pss_bytes
    assert launch.peak_rss_bytes > launch.pss_bytes / 2
    assert fifth.peak_rss_bytes and fifth.pss_bytes
    assert sixth.peak_rss_bytes is None
    assert sixth.absent["peak_rss_bytes"] == "observed in the first 5 rounds only"
    for conditions in (launch.before, launch.after):
        assert conditions is not None
        assert conditions.thermal_status == 0
        assert conditions.temperature_c == 31.2
        assert conditions.battery_percent == 83
        assert conditions.on_battery is True
        assert conditions.screen_on is False
        assert conditions.governor == "schedutil"
        assert len(conditions.frequency_khz) == 8


def test_the_runner_is_pushed_from_a_path(tmp_path: Path) -> None:
    runner = tmp_path / "my $(runner)'s.py"
    pack_tool(runner)
    with bench(tmp_path, runner=RunnerSpec(path=str(runner))) as it:
        assert it.launch().latency_summary


@pytest.mark.parametrize("dialect", ["A", "B"])
def test_both_dialects(tmp_path: Path, dialect: str) -> None:
    with emulated(dialect=dialect, fixed_latency_us=None) as phone:
        it = Bench(phone, tmp_path)
        try:
            launch = it.launch()
            assert it.target.facts().runtimes["benchmark_model"].endswith(dialect)
        finally:
            it.target.close()
        assert launch.latency_summary
        assert launch.init_ns
        assert launch.first_inference_ns
        assert_clean(phone)


def test_an_old_phone_is_measured_and_says_what_it_lacks(tmp_path: Path) -> None:
    with bench(tmp_path, profile="old") as it:
        launch = it.launch(index=0)
        assert it.phone.phone.fixed_performance is False
    assert launch.latency_summary
    assert launch.before is not None
    assert launch.before.thermal_status is None
    assert launch.before.temperature_c == 27.4
    assert [n.code for n in launch.notes] == ["no-thermal-status"]
    assert launch.peak_rss_bytes
    assert launch.pss_bytes is None
    assert "smaps_rollup" in launch.absent["pss_bytes"]


def test_a_work_folder_with_a_strange_name(tmp_path: Path) -> None:
    strange = "/data/local/tmp/it's $(touch owned); `x` größe"
    with emulated() as phone:
        it = Bench(phone, tmp_path, work_dir=strange)
        folder = phone.phone.path(strange.encode())
        folder.mkdir()
        try:
            assert it.launch().latency_summary
        finally:
            it.target.close()
        assert list(folder.iterdir()) == []
        assert list(phone.phone.work.iterdir()) == [folder]


# --- faults of the phone ---------------------------------------------------------------------


def test_a_full_disk(tmp_path: Path) -> None:
    big = tmp_path / "big.tflite"
    big.write_bytes(bytes(2_000_000))
    with (
        bench(tmp_path, Faults(full_disk=True)) as it,
        pytest.raises(StableDeviceError) as caught,
    ):
        it.target.prepare(artifact(big), Path("unused"))
    assert "free" in one_line(caught.value)


def test_a_work_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    with (
        bench(tmp_path, Faults(read_only=True)) as it,
        pytest.raises(StableDeviceError) as caught,
    ):
        it.launch()
    assert "Permission denied" in one_line(caught.value)
    assert "work_dir" in caught.value.fix


def test_a_runner_for_another_abi(tmp_path: Path) -> None:
    foreign = tmp_path / "benchmark_model"
    foreign.write_bytes(RISC_V)
    with (
        bench(tmp_path, runner=RunnerSpec(path=str(foreign))) as it,
        pytest.raises(ConfigError) as caught,
    ):
        it.launch()
    assert "is built for riscv64, and the phone is x86_64" in one_line(caught.value)
    assert not list(it.phone.phone.work.rglob("benchmark_model*")), "it was pushed all the same"


@pytest.mark.parametrize("dialect", ["auto", "A"])
@pytest.mark.parametrize("userland", USERLANDS)
def test_a_runner_for_another_abi_on_the_phone(
    tmp_path: Path, userland: str, dialect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Android's shell answers 1 to it, others 126; a dialect that is given changes nothing."""
    monkeypatch.setenv(VARIABLE, userland)
    runner = RunnerSpec(device_path="/vendor/bin/tool", dialect=dialect)
    with bench(tmp_path, runner=runner) as it:
        tool = it.phone.phone.root / "vendor/bin/tool"
        tool.write_bytes(RISC_V)
        tool.chmod(0o755)
        with pytest.raises(StableDeviceError) as caught:
            it.launch()
    assert "not executable on this phone" in one_line(caught.value)
    assert "ABI" in caught.value.fix


def test_a_runner_that_may_not_be_executed(tmp_path: Path) -> None:
    with bench(tmp_path, runner=RunnerSpec(device_path="/vendor/bin/tool")) as it:
        (it.phone.phone.root / "vendor/bin/tool").write_bytes(b"#!/bin/sh\nexit 0\n")
        with pytest.raises(StableDeviceError) as caught:
            it.launch()
    assert "may not execute" in one_line(caught.value)
    assert "chmod 755" in caught.value.fix


def test_a_dialect_that_is_not_the_runners(tmp_path: Path) -> None:
    runner = RunnerSpec(device_path="/system/bin/benchmark_model", dialect="B")
    with bench(tmp_path, runner=runner) as it, pytest.raises(ConfigError) as caught:
        it.launch()
    assert "is of dialect A" in one_line(caught.value)
    assert "dialect: A" in caught.value.fix


def test_a_runner_that_is_not_there(tmp_path: Path) -> None:
    with (
        bench(tmp_path, runner=RunnerSpec(device_path="/system/bin/none")) as it,
        pytest.raises(StableDeviceError, match="not on the phone"),
    ):
        it.launch()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "crashed (status 134"),
        ("garbage", "no usable result"),
        ("half_line", "no usable result"),
        ("unknown_flag", "does not know --num_threads=1"),
        ("rejects_model", "Didn't find op for builtin opcode 'CONV_2D'"),
        ("endless", "printed more than"),
        ("hang", "did not end within 3 s"),
    ],
)
def test_a_runner_that_misbehaves(tmp_path: Path, fault: Any, words: str) -> None:
    within_s = 3 if fault == "hang" else 300
    with (
        bench(tmp_path, Faults(runner=fault), launch_timeout_s=within_s) as it,
        pytest.raises((WorkerError, StableDeviceError)) as caught,
    ):
        it.launch()
    assert words in one_line(caught.value)
    assert caught.value.exit_code == EXIT_MEASUREMENT


def test_no_gpu_in_this_build(tmp_path: Path) -> None:
    with bench(tmp_path) as it, pytest.raises(WorkerError) as caught:
        it.launch(delegate="gpu")
    assert "does not know --use_gpu=true" in one_line(caught.value)
    assert "no gpu" in caught.value.fix


def test_battery_low(tmp_path: Path) -> None:
    with (
        bench(tmp_path, Faults(battery_percent=5)) as it,
        pytest.raises(TransientDeviceError) as caught,
    ):
        it.launch()
    assert "battery is at 5 %" in one_line(caught.value)


def test_hot_at_the_start_waits_until_it_is_cool(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(hot=3)) as it:
        cool = it.phone.phone.root / "cool"
        command(
            it.phone,
            "dumpsys",
            f'"$REAL" "$@" | if [ -e {cool} ]; then sed "s/Status: 3/Status: 0/"; else cat; fi',
        )

        def cool_down() -> None:
            wait_for(lambda: any("cooling" in line for line in it.said))
            cool.touch()

        threading.Thread(target=cool_down).start()
        launch = it.launch()
    assert launch.before is not None
    assert launch.before.thermal_status == 0


def test_hot_for_good_is_not_measured(tmp_path: Path) -> None:
    with (
        bench(tmp_path, Faults(hot=3), guards=Guards(cooldown_s=1)) as it,
        pytest.raises(TransientDeviceError) as caught,
    ):
        it.launch()
    assert "stayed hot (thermal status 3)" in one_line(caught.value)


def test_hot_in_the_middle_is_repeated_once(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(hot_launches=1, hot_for_s=3)) as it:
        launch = it.launch()
    assert [(n.level, n.code) for n in launch.notes] == [("info", "repeated-hot")]
    hot = launch.set_aside
    assert hot is not None
    assert hot.latency_summary
    assert hot.after is not None
    assert hot.after.thermal_status == 3
    assert [(n.level, n.code) for n in hot.notes] == [("serious", "became-hot")]
    assert launch.after is not None
    assert launch.after.thermal_status == 0


def test_hot_in_the_middle_twice_is_invalid(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(hot_launches=2, hot_for_s=3)) as it:
        launch = it.launch()
    assert [(n.level, n.code) for n in launch.notes] == [("invalid", "throttled")]
    assert launch.set_aside is not None
    assert launch.after is not None
    assert launch.after.thermal_status == 3


def test_throttling_makes_it_slower_and_is_seen(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(throttle_at_minute=0.0), guards=Guards(max_thermal_status=2)) as it:
        launch = it.launch()
    assert launch.after is not None
    assert launch.after.thermal_status == 2
    assert max(launch.after.frequency_khz) == int(2_850_000 * 0.6)


# --- what is observed besides ----------------------------------------------------------------

# Of the launches of a first round: the timed one, memory, profile, answers.
BESIDES = {
    "memory": ("*memory.err*|*min_secs=0.5*", ("peak_rss_bytes", "pss_bytes")),
    "profile": ("*enable_op_profiling*", ("op_times",)),
    "parity": ("*output_filepath*", ("reference",)),
}
WHOLE = msgspec.structs.replace(QUICK, profile=True, parity=True)


def first_round(it: Bench, tmp_path: Path) -> Launch:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, input_0=np.zeros((2, 1, 8, 8, 3), np.float32), source="test")
    it.target.prepare(artifact(), inputs)
    return it.target.launch(CASE, artifact(), WHOLE, 0)


@pytest.mark.parametrize("what", BESIDES)
@pytest.mark.parametrize("how", ["crash", "hang"])
def test_what_is_observed_besides_does_not_spoil_the_launch(
    tmp_path: Path, what: str, how: str
) -> None:
    pattern, fields = BESIDES[what]
    mishap = {"crash": "kill -ABRT $$", "hang": "sleep 60"}[how]
    with bench(tmp_path, launch_timeout_s=3) as it:
        command(
            it.phone,
            "benchmark_model",
            'echo "$*" >> $EMULATED_ROOT/launches\n'
            f'case "$*" in {pattern}) {mishap};; esac\nexec "$REAL" "$@"',
        )
        launch = first_round(it, tmp_path)
        launches = (it.phone.phone.root / "launches").read_text().splitlines()
    words = {"crash": "crashed (status 134", "hang": "did not end within 3 s"}[how]
    assert launch.latency_summary
    for field in fields:
        assert words in launch.absent[field]
    timed = [x for x in launches if "result_file_path" in x and "op_profiling" not in x]
    assert len(timed) == 1, "what is finished is not measured again"


@pytest.mark.parametrize("again", [True, False], ids=["plugged in again", "for good"])
def test_unplugged_while_memory_is_measured(tmp_path: Path, again: bool) -> None:
    with emulated(
        faults=Faults(unplug_during="smaps", unplugged_for_s=0.3 if again else None)
    ) as p:
        it = Bench(p, tmp_path, reconnect_timeout_s=1)
        launch = it.launch(index=0)
        it.target.close()
        if again:
            assert_clean(p)
    assert launch.latency_summary
    assert bool(launch.peak_rss_bytes) is again
    assert again or "phone" in launch.absent["peak_rss_bytes"]


def test_ctrl_c_while_memory_is_measured_keeps_the_launch(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        command(
            it.phone,
            "benchmark_model",
            'case "$*" in *min_secs=0.5*) touch $EMULATED_ROOT/reached; sleep 60;; esac\n'
            'exec "$REAL" "$@"',
        )
        reached = it.phone.phone.root / "reached"

        def interrupt() -> None:
            wait_for(reached.exists)
            _thread.interrupt_main()

        threading.Thread(target=interrupt).start()
        launch = it.launch(index=0)
        assert it.target.link.attendant.stopping.is_set(), "the next launch is not begun"
    assert launch.latency_summary
    assert launch.absent["peak_rss_bytes"] == "interrupted"


def test_memory_is_the_runners_and_not_the_shells(tmp_path: Path) -> None:
    """A runner that ends at once is not met; the shell it comes from is no answer."""
    with bench(tmp_path, affinity="big") as it:
        command(
            it.phone,
            "benchmark_model",
            'case "$*" in *min_secs=0.5*) exit 0;; esac\nexec "$REAL" "$@"',
        )
        command(it.phone, "taskset", 'sleep 0.4; exec "$REAL" "$@"')
        launch = it.launch(index=0)
    assert launch.latency_summary
    assert launch.peak_rss_bytes is None
    assert launch.absent["peak_rss_bytes"] == "the runner had ended before its memory was read"


# --- the cable -------------------------------------------------------------------------------


def test_nobody_at_the_address(tmp_path: Path) -> None:
    spec = AndroidSpec(transport="adb_tcp", address="127.0.0.1:1", connect_timeout_s=3)
    with pytest.raises(TransientDeviceError) as caught:
        open_target("pixel-wifi", spec, tmp_path, Attendant())
    assert "emulate" in one_line(caught.value)


def test_no_phone_on_usb(tmp_path: Path) -> None:
    with pytest.raises(HarnessError) as caught:
        open_target("pixel", AndroidSpec(), tmp_path, Attendant())
    assert "USB debugging" in caught.value.fix or "[usb]" in caught.value.fix
    assert caught.value.exit_code in (EXIT_MEASUREMENT, EXIT_USAGE)


def test_unplugged_during_the_push_and_plugged_in_again(tmp_path: Path) -> None:
    big = tmp_path / "big.tflite"
    big.write_bytes(bytes(5_000_000))
    faults = Faults(unplug_after_bytes=2_000_000, unplugged_for_s=1)
    with bench(tmp_path, faults) as it:
        it.target.prepare(artifact(big), Path("unused"))
        assert any("gone" in line or "waiting" in line for line in it.said)
        assert it.launch().latency_summary


def test_unplugged_during_a_launch_and_plugged_in_again(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(unplug_during="--num_runs", unplugged_for_s=1)) as it:
        slow = msgspec.structs.replace(QUICK, min_time_ns=1_500_000_000)
        it.target.prepare(artifact(), Path("unused"))
        launch = it.target.launch(CASE, artifact(), slow, 1)
        assert launch.latency_summary
        assert any("waiting for the phone" in line for line in it.said)
        assert it.phone.phone.fixed_performance is True


def test_unplugged_between_launches_and_plugged_in_again(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        assert it.launch().latency_summary
        it.phone.unplug(for_s=1)
        assert it.launch().latency_summary
        assert any("waiting for the phone" in line for line in it.said)


def test_unplugged_for_good(tmp_path: Path) -> None:
    with emulated() as phone:
        it = Bench(phone, tmp_path, reconnect_timeout_s=2, connect_timeout_s=2)
        first = it.launch()
        phone.unplug()
        with pytest.raises(TransientDeviceError) as caught:
            it.launch()
        one_line(caught.value)
        assert first.latency_summary, "what was finished is kept"
        it.target.close()
        assert any("could not be undone" in line for line in it.said)


def test_another_phone_is_plugged_in_and_left_alone(tmp_path: Path) -> None:
    with emulated() as phone:
        it = Bench(phone, tmp_path, reconnect_timeout_s=1)
        it.launch()
        props = phone.phone.root / "state/props"
        phone.unplug(for_s=0.3)
        props.write_text(props.read_text().replace("EMULATED0001", "OTHER"))
        command(phone, "mkdir", "touch $EMULATED_ROOT/touched; $REAL $@")
        command(phone, "rm", "touch $EMULATED_ROOT/touched; $REAL $@")
        command(phone, "cmd", "touch $EMULATED_ROOT/touched; $REAL $@")
        with pytest.raises(TransientDeviceError, match="another phone is connected") as caught:
            it.launch()
        assert "OTHER, not EMULATED0001" in one_line(caught.value)
        it.target.close()
        assert not (phone.phone.root / "touched").exists()
        left = next(line for line in it.said if "could not be undone" in line)
    assert "mobile-bench-" in left
    assert "fixed-performance mode" in left
    assert "on EMULATED0001: another phone" in left
    assert "adb shell" in left


def test_a_second_break_while_recovering_from_the_first(tmp_path: Path) -> None:
    """It gives the phone up, but puts it back once it can be reached."""
    with bench(tmp_path) as it:
        it.launch()
        reached = it.phone.phone.root / "reached"
        command(it.phone, "chmod", "touch $EMULATED_ROOT/reached; sleep 1; $REAL $@")

        def pull() -> None:
            wait_for(reached.exists)
            it.phone.unplug(for_s=0.1)

        threading.Thread(target=pull).start()
        it.phone.unplug(for_s=0.1)
        with pytest.raises(TransientDeviceError):
            it.launch()
        assert it.phone.phone.fixed_performance is True
        assert list(it.phone.phone.work.iterdir())


@pytest.mark.parametrize(
    ("name", "script", "left"),
    [
        ("cmd", '[ $3 = true ] || { echo busy; exit 20; }; "$REAL" "$@"', "fixed-performance mode"),
        (
            "rm",
            'case "$*" in *mobile-bench-*) echo busy; exit 1;; esac; "$REAL" "$@"',
            "the folder",
        ),
    ],
)
def test_what_the_phone_refuses_to_undo_is_said(
    tmp_path: Path, name: str, script: str, left: str
) -> None:
    with emulated() as phone:
        command(phone, name, script)
        it = Bench(phone, tmp_path)
        it.target.facts()
        it.target.close()
    (said,) = [line for line in it.said if "could not be undone" in line]
    assert said.startswith(left)
    assert "busy" in said
    assert " and " not in said, "the other one was undone"


def test_a_phone_that_refuses_fixed_performance_is_said_to(tmp_path: Path) -> None:
    with emulated() as phone:
        command(phone, "cmd", "echo no; exit 20")
        it = Bench(phone, tmp_path)
        assert it.target.facts().extra["fixed_performance"] == "off"
        launches = [it.launch(index) for index in (MEMORY_ROUNDS, MEMORY_ROUNDS + 1)]
        it.target.close()
        assert_clean(phone)
    refusals = [said for said in it.said if "refuses" in said]
    assert refusals == ["the phone refuses fixed-performance mode: no"], "once is enough"
    for launch in launches:
        assert "no-fixed-performance" in {note.code for note in launch.notes}


def test_a_work_dir_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with bench(tmp_path, work_dir="/data/local/tpm") as it:
        with pytest.raises(StableDeviceError) as caught:
            it.launch()
        assert "work folder cannot be made" in one_line(caught.value)
        assert "work_dir" in caught.value.fix
        assert not (it.phone.phone.root / "data/local/tpm").exists()


def test_the_report_says_which_executable_was_measured(tmp_path: Path) -> None:
    local = tmp_path / "benchmark_model"
    pack_tool(local)
    for spec in (RunnerSpec(path=str(local)), ON_DEVICE):
        with bench(tmp_path, runner=spec) as it:
            told = it.target.facts().extra["runner_sha256"]
            there = it.phone.phone.root / "system/bin/benchmark_model"
        file = local if spec.path else there
        if spec.path:
            assert told == hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            assert len(told) == 64


def test_a_build_without_xnnpack_is_told(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        command(it.phone, "benchmark_model", '"$REAL" "$@" 2>&1 | grep -v XNNPACK')
        without = it.launch()
    with bench(tmp_path) as it:
        usual = it.launch()
    assert "no-xnnpack" in {note.code for note in without.notes}
    assert "no-xnnpack" not in {note.code for note in usual.notes}


def test_a_model_that_cannot_be_pushed_is_not_pushed_for_others(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        huge = tmp_path / "huge.tflite"
        huge.write_bytes(bytes(3_000_000))
        free = it.phone.phone.root / "system/bin/df"
        text = free.read_text()
        command(it.phone, "df", "echo Filesystem; echo /data 9 9 9 99% /data")
        with pytest.raises(StableDeviceError, match=" free, "):
            it.target.prepare(artifact(huge), Path("unused"))
        free.write_text(text)
        assert it.launch().latency_summary
        it.phone.unplug(for_s=0.2)
        command(it.phone, "df", "echo Filesystem; echo /data 9 9 4000 99% /data")
        assert it.launch().latency_summary


def test_a_slow_link(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(slow_link=100_000)) as it:
        assert it.launch().latency_summary


# --- Ctrl-C ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["push", "launch", "cooling"])
def test_ctrl_c(tmp_path: Path, stage: str) -> None:
    """The interrupt arrives in the middle of a packet as likely as not; clean-up still works."""
    big = tmp_path / "big.tflite"
    big.write_bytes(bytes(3_000_000))
    faults = {
        "push": Faults(slow_link=1_000_000),
        "launch": Faults(runner="hang"),
        "cooling": Faults(hot=3),
    }[stage]
    with bench(tmp_path, faults) as it:
        work: Callable[[], object] = it.launch
        if stage == "push":
            work = functools.partial(it.target.prepare, artifact(big), Path("unused"))
        timer = threading.Timer(2.0, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            work()
            time.sleep(5)
        timer.join()


def test_ctrl_c_while_the_folder_is_made(tmp_path: Path) -> None:
    """The folder is there, the answer is not."""
    with bench(tmp_path) as it:
        command(it.phone, "mkdir", "$REAL $@; touch $EMULATED_ROOT/reached; sleep 5")
        reached = it.phone.phone.root / "reached"

        def interrupt() -> None:
            wait_for(reached.exists)
            _thread.interrupt_main()

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            it.target.facts()
        assert list(it.phone.phone.work.iterdir())


def test_nothing_stops_the_putting_back(tmp_path: Path) -> None:
    """Ctrl-C while this phone is done and being left, and others are not."""
    with bench(tmp_path) as it:
        it.target.facts()
        command(it.phone, "cmd", "touch $EMULATED_ROOT/reached; sleep 1; $REAL $@")
        reached = it.phone.phone.root / "reached"

        def stop() -> None:
            wait_for(reached.exists)
            it.target.link.attendant.stopping.set()

        threading.Thread(target=stop).start()
        it.target.close()
        assert it.target.link.attendant.stopping.is_set()


# --- hostile ---------------------------------------------------------------------------------


def test_escape_codes_of_a_hostile_phone_reach_nobody(tmp_path: Path) -> None:
    with bench(tmp_path, Faults(escape_codes=True)) as it:
        facts = it.target.facts()
        launch = it.launch()
    text = msgspec.json.encode([facts, launch]).decode() + "".join(it.said)
    for log in it.log_dir.glob("*.log"):
        text += log.read_text()
    assert "evil" in text
    for code in ("\x1b", "\\u001b", "\x07", "\\u0007"):
        assert code not in text
