"""The worker's answers, real and broken: each fake worker is a script run as a real process."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from harness.artifacts.tflite.inspect import inspect
from harness.core.errors import WorkerError
from harness.core.specs import HostSpec
from harness.core.types import Timing
from harness.data.inputs import inputs_for
from harness.devices.host import worker_process
from harness.devices.host.target import HostTarget
from harness.system import process
from tests.fakes import artifact, case
from tests.paths import DATA

pytestmark = pytest.mark.slow  # each starts a worker, and some wait until one is ended

BROKEN = {
    "segfault": (
        "say('load'); import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "load",
        "SIGSEGV",
    ),
    "killed": ("say('load'); import os; os.kill(os.getpid(), 9)", "load", "out of memory"),
    "hang": ("say('warm-up'); import time; time.sleep(60)", "warm-up", "was ended"),
    "rubbish": ("say('load'); print('~~~~')", "load", "not a result"),
    "half a line": ("""print('{"stage": "lo', end='')""", "start", "not a result"),
    "flood": (
        "say('load')\nwhile True: print('{}' * 0 + ' ' * 65536, end='')",
        "load",
        "did not stop printing",
    ),
    "silence": ("say('iterations')", "iterations", "without a result"),
    "exit status": ("say('load'); print('{\"result\": {}}'); sys.exit(3)", "load", "status 3"),
    "own error": (
        """print('{"error": {"stage": "load", "message": "ValueError: no such op"}}')""",
        "load",
        "no such op",
    ),
    "last words": ("say('load'); sys.stderr.write('ran out of luck'); sys.exit(1)", "load", "luck"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_worker_fails_with_its_stage_and_a_reason(tmp_path: Path, name: str) -> None:
    code, stage, says = BROKEN[name]
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys\n"
        "def say(stage): print(json.dumps({'stage': stage}), flush=True)\n"
        f"sys.stdin.read()\n{code}\n"
    )
    target = HostTarget("host", HostSpec(launch_timeout_s=5), tmp_path, worker=worker)
    made = artifact("a")
    target.prepare(made, tmp_path / "inputs.npz")
    with pytest.raises(WorkerError) as error:
        target.launch(case("a"), made, Timing(), 0)
    assert error.value.stage == stage
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.fix


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="threads are counted in /proc")
def test_numpy_starts_no_threads_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, sys\n"
        "sys.path += json.loads(sys.stdin.read())['path']\n"
        "import numpy\n"
        "print(json.dumps({'result': {'threads': len(os.listdir('/proc/self/task'))}}))\n"
    )
    found = worker_process.ask({}, log=tmp_path / "log", timeout_s=60, worker=worker)
    assert found == {"threads": 1}


def test_a_time_out_ends_the_children_of_the_child_too(tmp_path: Path) -> None:
    marker = tmp_path / "alive"
    grandchild = f"import time, pathlib; time.sleep(2); pathlib.Path({str(marker)!r}).touch()"
    code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        "time.sleep(60)"
    )
    finished = process.run(
        [sys.executable, "-c", code], stdin=b"", log=tmp_path / "log", timeout_s=1
    )
    assert finished.timed_out
    process.run(
        [sys.executable, "-c", "import time; time.sleep(2.5)"],
        stdin=b"",
        log=tmp_path / "log",
        timeout_s=10,
    )
    assert not marker.exists()


def test_the_last_line_of_a_log_is_made_harmless(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n\x1b[31mred \xff\x07alert\n\n")
    assert process.last_line(log) == "\ufffd[31mred \ufffd\ufffdalert"
    assert process.last_line(tmp_path / "none") == ""


SHORT = Timing(
    min_time_ns=0, min_iterations=3, max_iterations=3, warmup_time_ns=0, min_warmup=1, max_warmup=1
)

# A release of the runtime that has nothing but its documented calls.
PUBLIC_ONLY = """
from ai_edge_litert.interpreter import Interpreter as _Real

class _Runner:
    def __init__(self, real):
        self.__call = real
    def get_input_details(self):
        return self.__call.get_input_details()
    def get_output_details(self):
        return self.__call.get_output_details()
    def __call__(self, **inputs):
        return self.__call(**inputs)

class Interpreter:
    def __init__(self, model_path, num_threads):
        real = _Real(model_path=model_path, num_threads=num_threads)
        for name in ("allocate_tensors", "get_input_details", "get_output_details",
                     "set_tensor", "get_tensor", "invoke", "reset_all_variables"):
            setattr(self, name, getattr(real, name))
        self.get_signature_runner = lambda key: _Runner(real.get_signature_runner(key))
"""


@pytest.mark.parametrize("signature", [None, "serving_default"])
def test_a_release_without_the_private_call_is_timed_through_the_public_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signature: str | None
) -> None:
    package = tmp_path / "packages" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text(PUBLIC_ONLY)
    monkeypatch.syspath_prepend(str(package.parent))
    made = inspect(DATA / "tiny.tflite", variant="tiny", signature=signature)
    inputs = inputs_for(made, tmp_path, seed=0)
    target = HostTarget("host", HostSpec(), tmp_path)
    target.prepare(made, inputs)
    usual, public = (
        target.launch(msgspec.structs.replace(case("tiny"), runtime=runtime), made, SHORT, 0)
        for runtime in ("litert", "tflite-runtime")
    )
    assert usual.notes == ()
    assert [note.code for note in public.notes] == ["public-call"]
    assert public.latency_ns
    assert public.outputs == usual.outputs


@pytest.mark.parametrize("file", ["tiny_int8", "scalar_input", "two_signatures"])
def test_compiled_model_answers_as_the_interpreter_does(tmp_path: Path, file: str) -> None:
    """Two inputs in another order, a scalar, int8 and a chosen signature included."""
    signature = {"two_signatures": "encode", "scalar_input": "serving_default"}.get(file)
    made = inspect(DATA / f"models/{file}.tflite", variant=file, signature=signature)
    target = HostTarget("host", HostSpec(), tmp_path)
    target.prepare(made, inputs_for(made, tmp_path, seed=0))
    compiled = msgspec.structs.replace(case(file), runtime="litert-compiled")
    launch = target.launch(compiled, made, SHORT, 0)
    assert launch.outputs is not None
    assert launch.reference is not None
    assert launch.outputs.values == launch.reference.values
    assert launch.latency_ns
    assert launch.notes == ()
    assert target.launch(compiled, made, SHORT, 1).reference is None


def test_compiled_model_says_which_inputs_it_cannot_fill(tmp_path: Path) -> None:
    made = inspect(DATA / "models/int64_ids.tflite", variant="ids")
    target = HostTarget("host", HostSpec(), tmp_path)
    target.prepare(made, inputs_for(made, tmp_path, seed=0))
    with pytest.raises(WorkerError, match=r"int64.*--runtime litert"):
        target.launch(
            msgspec.structs.replace(case("ids"), runtime="litert-compiled"), made, SHORT, 0
        )


def test_compiled_model_starts_with_the_weights_of_an_earlier_launch(tmp_path: Path) -> None:
    made = inspect(DATA / "models/s255_f32.tflite", variant="s")
    target = HostTarget("host", HostSpec(), tmp_path)
    target.prepare(made, inputs_for(made, tmp_path, seed=0))
    timing = msgspec.structs.replace(SHORT, cached_start=True)
    compiled = msgspec.structs.replace(case("s"), runtime="litert-compiled")
    launch = target.launch(compiled, made, timing, 1)
    assert launch.init_cached_ns
    assert launch.first_inference_cached_ns
    assert [note.code for note in launch.notes] == ["cache-use-unproved"]
    assert target._caches is not None
    (cache,) = Path(target._caches.name).iterdir()
    written = cache.stat().st_mtime_ns
    assert target.launch(compiled, made, timing, 2).init_cached_ns
    assert cache.stat().st_mtime_ns == written
    target.close()
    assert not cache.exists()


@pytest.mark.parametrize(
    ("keep", "says"), [("", "wrote none"), ("write(path + 'x', path)", "wrote its cache again")]
)
def test_a_cache_that_is_not_used_gives_no_cached_start(
    tmp_path: Path, keep: str, says: str
) -> None:
    """A runtime that keeps no cache, and one that writes it anew at every start."""
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys, time\n"
        "def write(text, path): open(path, 'a').write(text)\n"
        "asked = json.load(sys.stdin); path = asked.get('cache', '')\n"
        f"if path: {keep or 'pass'}\n"
        "print(json.dumps({'result': {'init_ns': 5, 'first_inference_ns': 6, 'absent': {}}}))\n"
    )
    target = HostTarget("host", HostSpec(), tmp_path, worker=worker)
    made = artifact("a")
    target.prepare(made, tmp_path / "inputs.npz")
    timing = msgspec.structs.replace(SHORT, cached_start=True)
    launch = target.launch(
        msgspec.structs.replace(case("a"), runtime="litert-compiled"), made, timing, 1
    )
    assert launch.init_ns == 5
    assert launch.init_cached_ns is None
    assert says in launch.absent["init_cached_ns"]
    assert [note.code for note in launch.notes] == ["cache-not-used"]
    target.close()
