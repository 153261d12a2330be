"""One launch: load a model, run it, say what was observed. Stands alone on purpose.

This file imports only the runtime and numpy, so that it can be started by any Python that has
the two, also one of another processor under emulation. It reads one JSON request from standard
input and answers with JSON lines on standard output: `{"stage": ...}` as it enters each stage, so
that a crash has a place, and last `{"result": ...}` or `{"error": ...}`. Other workers share this
loop (`serve`) and this way to load a model (`interpreter_class`, `Model`).

Request: path (where packages are found; without it, where this Python finds them), model, runtime,
threads, inputs (.npz), signature or null, resources (whether the model keeps a state in them),
observe_outputs, marker, and the fields of `Timing`. Runtime litert-compiled also needs `given` and
`asked`, the names of inputs and outputs in the order of the input set and of answers, outputs with
their scale and zero point; with `cache`, a file, it keeps XNNPACK's packed weights there. With
`marker` a getppid() system call is made right before and right after loading and each inference but
those of stage `outputs`, for a counter outside the process to snapshot. With `answers` every value
of every answer is written to that file, as float64 in a .npy with a row for each example; the
result has the first few only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import get_clock_info, perf_counter_ns
from typing import Any

RUNTIMES = {
    "litert": "ai_edge_litert.interpreter",
    "litert-compiled": "ai_edge_litert.compiled_model",
    "tflite-runtime": "tflite_runtime.interpreter",
}
MAX_OUTPUT_VALUES = 16


class Memory:
    """What /proc says about this process; elsewhere everything is absent with the reason."""

    def __init__(self) -> None:
        self.absent: dict[str, str] = {}
        self.resettable = False

    def forget_peak(self) -> None:
        """Reset VmHWM, so that the peak is of the model and not of the imports before it."""
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.resettable = True
        except OSError as error:
            self.absent["peak_rss_bytes"] = f"the kernel does not reset the peak ({error.strerror})"

    def read(self) -> dict[str, int]:
        """Bytes by the kernel's name: VmRSS, VmHWM, RssAnon, RssFile."""
        try:
            text = Path("/proc/self/status").read_text()
        except OSError:
            return {}
        wanted = ("VmRSS:", "VmHWM:", "RssAnon:", "RssFile:")
        lines = (line.split() for line in text.splitlines() if line.startswith(wanted))
        return {name[:-1]: int(kib) * 1024 for name, kib, *_ in lines}

    def observe(
        self, before: dict[str, int], loaded: dict[str, int], ran: dict[str, int]
    ) -> dict[str, Any]:
        """The launch's memory fields from three readings."""
        fields = {
            "rss_before_load_bytes": before.get("VmRSS"),
            "rss_after_load_bytes": loaded.get("VmRSS"),
            "peak_rss_bytes": ran.get("VmHWM") if self.resettable else None,
            "rss_anon_bytes": ran.get("RssAnon"),
            "rss_file_bytes": ran.get("RssFile"),
        }
        for name, value in fields.items():
            if value is None:
                self.absent.setdefault(name, "this system has no /proc/self/status to read it from")
        return fields


class Model:
    """The interpreter, or one signature of it, behind four calls.

    `given` and `asked` are the runtime's descriptions of the inputs and outputs, in their order.
    `public_call` is what the runtime's public call does inside every inference, where a release
    has no other call that could be timed; else None.
    """

    def __init__(self, request: dict[str, Any], make_interpreter: Callable[..., Any]) -> None:
        self._request, self._make_interpreter = request, make_interpreter
        self.public_call: str | None = None
        self.shape_of: Callable[[int], Any] = lambda index: ()
        self.interpreter = make_interpreter(
            model_path=request["model"], num_threads=request["threads"]
        )
        if request["signature"] is None:
            self.interpreter.allocate_tensors()
            self.given = list(self.interpreter.get_input_details())
            self.asked = list(self.interpreter.get_output_details())
            self.set_tensor = self.interpreter.set_tensor
            self.get_tensor = self.interpreter.get_tensor
            # The public call first looks for views of tensors, of which there are none here: a few
            # lines of Python at every inference, which an app's runtime does not run.
            wrapper = getattr(self.interpreter, "_interpreter", None)
            self.invoke: Callable[[], Any] = getattr(wrapper, "Invoke", self.interpreter.invoke)
            if wrapper is None:
                self.public_call = "looks for views of tensors"
            self._see_shapes(0)
        else:
            self._use_signature(request["signature"])
        self.inputs = [detail["index"] for detail in self.given]

    def _use_signature(self, key: str) -> None:
        # The public runner copies inputs and outputs inside its call, which must not be timed.
        runner = self.interpreter.get_signature_runner(key)
        wrapper: Any = getattr(runner, "_interpreter_wrapper", None)
        subgraph: Any = getattr(runner, "_subgraph_index", None)
        private = wrapper is not None and subgraph is not None
        if private:
            wrapper.AllocateTensors(subgraph)
        names = runner.get_input_details()
        self.given = list(names.values())
        self.asked = list(runner.get_output_details().values())
        if not private:
            self._use_public_runner(runner, list(names))
            return
        self._see_shapes(subgraph)
        self.set_tensor = lambda index, value: wrapper.SetTensor(index, value, subgraph)
        self.get_tensor = lambda index: wrapper.GetTensor(index, subgraph)
        self.invoke = lambda: wrapper.Invoke(subgraph)

    def _use_public_runner(self, runner: Any, names: list[str]) -> None:
        name_of = {d["index"]: name for name, d in zip(names, self.given, strict=True)}
        output_of = {d["index"]: name for name, d in runner.get_output_details().items()}
        values: dict[str, Any] = {}
        answers: dict[str, Any] = {}
        self.set_tensor = lambda index, value: values.__setitem__(name_of[index], value)
        self.get_tensor = lambda index: answers[output_of[index]]
        self.shape_of = lambda index: answers[output_of[index]].shape
        self.invoke = lambda: answers.update(runner(**values))
        self.public_call = "copies inputs and outputs"

    def _see_shapes(self, subgraph: int) -> None:
        # An output that the last inference left without elements cannot be read, and its shape may
        # differ from one inference to the next. For a subgraph only the private call reports it.
        details = getattr(self.interpreter, "_get_tensor_details", None)
        if details is not None:
            self.shape_of = lambda index: details(index, subgraph)["shape"]
        elif subgraph == 0:
            public = self.interpreter.get_output_details
            self.shape_of = lambda index: {d["index"]: d["shape"] for d in public()}[index]

    def forget(self) -> None:
        """Undo what earlier inferences left, so that the next one answers like the first. Variables
        are reset. No runtime resets resources, so for those the model is loaded again."""
        if self._request.get("resources"):
            self.__init__(self._request, self._make_interpreter)  # type: ignore[misc]
        else:
            self.interpreter.reset_all_variables()

    def set_inputs(self, example: list[Any]) -> None:
        """Copy one example of the input set in."""
        for index, value in zip(self.inputs, example, strict=True):
            self.set_tensor(index, value)

    def answer(self) -> list[float]:
        """The outputs as a flat list of floats, dequantized; text and outputs that turned out to
        have no elements add nothing to it."""
        values: list[float] = []
        for detail in self.asked:
            if is_text(detail) or 0 in self.shape_of(detail["index"]):
                continue
            raw = self.get_tensor(detail["index"]).astype("float64").ravel()
            scale, zero_point = detail["quantization"]
            values.extend(((raw - zero_point) * scale if scale else raw).tolist())
        return values


class CompiledModel:
    """LiteRT's newer API of that name, behind the calls of Model that a launch makes. Buffers are
    made while loading, as an app makes them; writing inputs and reading answers is not timed."""

    def __init__(self, request: dict[str, Any], api: Any) -> None:
        options = importlib.import_module("ai_edge_litert.options")
        self._request, self._api = request, api
        self.model = api.CompiledModel.from_file(
            request["model"],
            options=options.Options(
                hardware_accelerators=api.HardwareAccelerator.CPU,
                cpu_options=options.CpuOptions(
                    num_threads=request["threads"],
                    xnnpack_weight_cache_path=request.get("cache", ""),
                ),
            ),
        )
        signatures = self.model.get_signature_list()
        key = request["signature"] or next(iter(signatures))
        number = self.model.get_signature_index(key)
        inputs = self.model.create_input_buffers(number)
        outputs = self.model.create_output_buffers(number)
        details = self.model.get_output_tensor_details(key)
        self._inputs = dict(zip(signatures[key]["inputs"], inputs, strict=True))
        self._outputs = dict(zip(signatures[key]["outputs"], outputs, strict=True))
        self.asked = [details[name] for name, *_ in request["asked"]]
        self.public_call: str | None = None
        self.invoke: Callable[[], Any] = lambda: self.model.run_by_index(number, inputs, outputs)
        run = getattr(getattr(self.model, "_model", None), "RunByIndex", None)
        if run is None:
            self.public_call = "collects the handles of its buffers"
        else:
            given, taken = [b.capsule for b in inputs], [b.capsule for b in outputs]
            self.invoke = lambda: run(number, given, taken)

    def forget(self) -> None:
        """As Model's; it takes no models with variables."""
        if self._request.get("resources"):
            self.__init__(self._request, self._api)  # type: ignore[misc]

    def set_inputs(self, example: list[Any]) -> None:
        """Copy one example of the input set in."""
        import numpy

        for name, value in zip(self._request["given"], example, strict=True):
            array = numpy.asarray(value)
            try:
                self._inputs[name].write(array)
            except ValueError as error:
                raise ValueError(
                    f"{error}: LiteRT's Python binding of CompiledModel cannot fill such an "
                    "input; measure the model with --runtime litert"
                ) from None

    def answer(self) -> list[float]:
        """As Model's."""
        import numpy

        values: list[float] = []
        for detail, (name, scale, zero_point) in zip(
            self.asked, self._request["asked"], strict=True
        ):
            count = int(numpy.prod(detail["shape"], dtype="int64"))
            raw = self._outputs[name].read(count, numpy.dtype(detail["dtype"]).type)
            raw = raw.astype("float64").ravel()
            values.extend(((raw - zero_point) * scale if scale else raw).tolist())
        return values


def loader_of(runtime: str) -> Callable[[dict[str, Any]], Any]:
    """What loads the model of a request, by one of RUNTIMES; imports it."""
    if runtime == "litert-compiled":
        api = importlib.import_module(RUNTIMES[runtime])
        return lambda request: CompiledModel(request, api)
    make_interpreter = interpreter_class(runtime)
    return lambda request: Model(request, make_interpreter)


def is_text(detail: dict[str, Any]) -> bool:
    """Whether a tensor holds strings."""
    return isinstance(detail["dtype"], type) and issubclass(detail["dtype"], (bytes, str))


def between_marks(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call between two marks, so close that nothing else is between them."""

    def call_between_marks() -> Any:
        os.getppid()
        result = call()
        os.getppid()
        return result

    return call_between_marks


def timed(invoke: Callable[[], Any], min_time_ns: int, least: int, most: int) -> list[int]:
    """Nanoseconds of each inference until `min_time_ns` have passed, within [least, most]."""
    times: list[int] = []
    start = perf_counter_ns()
    while len(times) < most:
        began = perf_counter_ns()
        invoke()
        ended = perf_counter_ns()
        times.append(ended - began)
        if ended - start >= min_time_ns and len(times) >= least:
            break
    return times


def outputs_of(
    model: Model | CompiledModel,
    examples: list[list[Any]],
    source: str,
    file: str | None,
    answered: list[list[float]],
) -> dict[str, Any]:
    """Run every example once, outside the timing, but for the first ones, whose answers are in
    `answered` already; describe all answers and keep them in `file`."""
    answers = list(answered)
    for example in examples[len(answered) :]:
        model.forget()
        model.set_inputs(example)
        model.invoke()
        answers.append(model.answer())
    if file is not None and len({len(answer) for answer in answers}) == 1:
        import numpy

        numpy.save(file, numpy.asarray(answers, dtype="float64"))
    flat = [v for answer in answers for v in answer]
    finite = all(v - v == 0 for v in flat)
    return {
        "values": [
            [v if v - v == 0 else None for v in answer[:MAX_OUTPUT_VALUES]]  # JSON has no NaN
            for answer in answers
        ],
        "finite": finite,
        "constant": all(a == answers[0] for a in answers) if len(answers) > 1 and flat else None,
        "input_source": source,
        "text": [str(detail["name"]) for detail in model.asked if is_text(detail)],
    }


def launch(request: dict[str, Any], say: Callable[..., None]) -> dict[str, Any]:
    """Carry out the request and return the result."""
    say(stage="import")
    import numpy

    load_model = loader_of(request["runtime"])

    say(stage="inputs")
    with numpy.load(request["inputs"], allow_pickle=False) as archive:
        source = str(archive["source"])
        stacks = [archive[f"input_{i}"] for i in range(len(archive.files) - 1)]
    examples = [list(example) for example in zip(*stacks, strict=True)]
    gc.collect()
    gc.disable()

    say(stage="load")
    memory = Memory()
    memory.forget_peak()
    before = memory.read()
    marked = between_marks if request["marker"] else lambda call: call
    load = marked(lambda: load_model(request))
    began = perf_counter_ns()
    model = load()
    init_ns = perf_counter_ns() - began
    loaded = memory.read()

    say(stage="first inference")
    model.set_inputs(examples[0])
    invoke = marked(model.invoke)
    first_ns = timed(invoke, 0, 1, 1)[0]
    # Under emulation, where an inference takes seconds, this one also answers the first example.
    # Elsewhere memory is measured, and reading an answer now would add to it.
    observing = request["observe_outputs"]
    answered = [model.answer()] if observing and request["marker"] else []

    say(stage="warm-up")
    warmup = timed(invoke, request["warmup_time_ns"], request["min_warmup"], request["max_warmup"])
    warm = memory.read()
    say(stage="iterations")
    latency = timed(
        invoke, request["min_time_ns"], request["min_iterations"], request["max_iterations"]
    )
    ran = memory.read()

    say(stage="outputs")
    observed = None
    if observing:
        observed = outputs_of(model, examples, source, request.get("answers"), answered)
    return {
        "init_ns": init_ns,
        "first_inference_ns": first_ns,
        "warmup_ns": warmup,
        "latency_ns": latency,
        **memory.observe(before, loaded, ran),
        "rss_warm_bytes": warm.get("VmRSS"),
        "rss_end_bytes": ran.get("VmRSS"),
        "clock_resolution_ns": max(1, round(get_clock_info("perf_counter").resolution * 1e9)),
        "outputs": observed,
        "public_call": model.public_call,
        "absent": memory.absent,
    }


def interpreter_class(runtime: str) -> Callable[..., Any]:
    """What makes an interpreter of `runtime`, one of RUNTIMES."""
    found: Callable[..., Any] = importlib.import_module(RUNTIMES[runtime]).Interpreter
    return found


def serve(work: Callable[[dict[str, Any], Callable[..., None]], dict[str, Any]]) -> int:
    """Read the request, do `work(request, say)` and answer with its result; the exit status.
    Answers go to the real standard output; whatever libraries print there goes to stderr."""
    answer = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    stage = ["start"]

    def say(**line: Any) -> None:
        stage[0] = line.get("stage", stage[0])
        answer.write(json.dumps(line) + "\n")
        answer.flush()

    try:
        request = json.load(sys.stdin)
        sys.path[:] = request.get("path", sys.path)
        say(result=work(request, say))
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        say(error={"stage": stage[0], "message": text[:500]})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(serve(launch))
