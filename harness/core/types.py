"""The domain types, from the plan to the report. Values are frozen; durations are integer `_ns`,
sizes integer `_bytes`. Unknown values are `None`, with the reason in a field beside them.

The structs are also the JSON: `Report` encodes to the report file field by field, so a field
added here is a field added to the contract. Only extend, and give new fields a default.
"""

from __future__ import annotations

from typing import Literal

from harness.core.base import (
    Case,
    Direction,
    Failure,
    Finding,
    Level,
    Status,
    StopReason,
    Value,
)
from harness.core.choices import Prefer
from harness.core.conclusions import (
    BudgetLine,
    BudgetOutcome,
    CaseComparison,
    Comparison,
    Decision,
    DeviceVerdict,
    ImagesNeeded,
    MetricComparison,
    Outcome,
    Verdict,
)
from harness.core.data import DataSummary
from harness.core.estimates import (
    Cost,
    Estimate,
    Loss,
    Measurement,
    MetricSpec,
    Noise,
    Outlier,
    RunDrift,
)
from harness.core.evaluation import Agreement, DeviceAnswers, DeviceImages, Evaluation, Tried
from harness.core.explanation import Change, GreyCost
from harness.core.lab import LabDevice
from harness.core.pixels import Pixels
from harness.core.power import Drawn

__all__ = [
    "Agreement",
    "AnswerKind",
    "BudgetLine",
    "BudgetOutcome",
    "Case",
    "CaseComparison",
    "Comparison",
    "Cost",
    "DataSummary",
    "Decision",
    "DeviceAnswers",
    "DeviceImages",
    "DeviceVerdict",
    "Direction",
    "Drawn",
    "Estimate",
    "Evaluation",
    "Failure",
    "Finding",
    "ImagesNeeded",
    "LabDevice",
    "Level",
    "Loss",
    "Measurement",
    "MetricComparison",
    "MetricSpec",
    "Noise",
    "Outcome",
    "Outlier",
    "Pixels",
    "Prefer",
    "RunDrift",
    "Status",
    "StopReason",
    "Tried",
    "Value",
    "Verdict",
]

SCHEMA_VERSION = 1

# --- artifacts -------------------------------------------------------------------------------


class TensorInfo(Value, frozen=True):
    """An input or output of a model. `scale` and `zero_point` are None unless quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class LayerSize(Value, frozen=True):
    """Bytes of the constants one operator owns."""

    name: str
    op: str
    size_bytes: int
    parameters: int
    macs: int | None = None


class LayerError(Value, frozen=True):
    """How far a network's answers are off, as a share of their spread, when this layer alone is
    int8; `kept` says whether it stayed in float."""

    name: str
    op: str
    error: float
    kept: bool


AnswerKind = Literal["probabilities", "logits"]


# Operators that keep a state between inferences.
_STATEFUL = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "VAR_HANDLE",
    }
)


class Artifact(Value, frozen=True):
    """One .tflite file and what is known of it without running it.

    `variant` names the row; `model` and `recipe` are None for a file the user brought.
    `parameters` counts the elements of all weight tensors, `sparsity` the share of them that is
    zero (0 to 1), `macs` the multiply-accumulates of one inference. `grey` and `changes` say what
    would make the file smaller. `answers` is what its first output holds, None where the operators
    do not tell. `pixels` is what a picture becomes on its way into the model and `labels` names its
    scores, in their order (empty if nothing does), which the user said if `labels_asked`.
    """

    variant: str
    path: str
    sha256: str
    size_bytes: int
    gzip_bytes: int
    model: str | None = None
    recipe: str | None = None
    options: dict[str, object] = {}
    weights: str | None = None
    trained: bool | None = None
    parameters: int | None = None
    sparsity: float | None = None
    macs: int | None = None
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    signature: str | None = None
    ops: dict[str, int] = {}
    weight_bytes: dict[str, int] = {}
    layers: tuple[LayerSize, ...] = ()
    grey: GreyCost | None = None
    changes: tuple[Change, ...] = ()
    answers: AnswerKind | None = None
    layer_errors: tuple[LayerError, ...] = ()
    float_parent: str | None = None
    findings: tuple[Finding, ...] = ()
    pixels: Pixels | None = None
    labels: tuple[str, ...] = ()
    labels_asked: bool = False

    @property
    def shown(self) -> Pixels:
        """The pixel range of its input; networks that were trained here take pixels unchanged."""
        if self.model is not None:
            return Pixels(source="trained")
        return self.pixels or Pixels()

    @property
    def keeps_state(self) -> bool:
        """Whether one inference may change the answer of the next."""
        return not _STATEFUL.isdisjoint(self.ops)

    @property
    def keeps_resources(self) -> bool:
        """Whether its state is in resources, which only loading the model again can reset."""
        return "VAR_HANDLE" in self.ops


# --- devices ---------------------------------------------------------------------------------


class DeviceFacts(Value, frozen=True):
    """What the device reports about itself. `identity` must be the same on both sides of a
    comparison."""

    name: str
    kind: str
    identity: str
    model: str | None = None
    os: str | None = None
    abi: str | None = None
    cpu: str | None = None
    cores: int | None = None
    ram_bytes: int | None = None
    emulated: bool = False
    runtimes: dict[str, str] = {}
    extra: dict[str, str] = {}

    @property
    def counts(self) -> bool:
        """Whether it counts a phone's instructions instead of measuring time."""
        return self.kind == "arm64-emulated"


class Conditions(Value, frozen=True):
    """The state of the device at one moment, before or after a launch. `limit_khz` is the highest
    clock that it allows each core."""

    load_average: float | None = None
    other_cpu_share: float | None = None
    frequency_khz: tuple[int, ...] = ()
    limit_khz: tuple[int, ...] = ()
    governor: str | None = None
    temperature_c: float | None = None
    thermal_status: int | None = None
    battery_percent: int | None = None
    on_battery: bool | None = None
    screen_on: bool | None = None


# --- plan ------------------------------------------------------------------------------------


class Timing(Value, frozen=True):
    """How long one launch goes on: iterations until `min_time_ns` have passed, at least
    `min_iterations` and at most `max_iterations`; warm-up likewise, kept and not used.

    With `cadence_ns` an iteration begins once in that time, as in an app, instead of right after
    the last; with `sustained_ns` the only launch goes on that long and is reported minute by
    minute. The first launch may also observe what each operator takes (`profile`) and whether its
    answers are the host's (`parity`). With `cached_start` each launch is followed by a short one
    that starts with the runtime's caches on disk."""

    min_time_ns: int = 500_000_000
    min_iterations: int = 5
    max_iterations: int = 500
    warmup_time_ns: int = 100_000_000
    min_warmup: int = 1
    max_warmup: int = 50
    cadence_ns: int | None = None
    sustained_ns: int | None = None
    profile: bool = False
    parity: bool = False
    cached_start: bool = False


class Plan(Value, frozen=True):
    """Everything that decides what is measured, in which order, and how the verdict judges; no
    results. On `exact_devices` one launch of a case is enough, unless `exact_launches` (where that
    is None, `launches`) asks for more. `max_accuracy_loss` is a share (0.02: two points), and
    `protect` what may not lose more: accuracy, balanced_accuracy or recall:CLASS. On
    `accuracy_devices` the device itself answers test images."""

    cases: tuple[Case, ...]
    exact_devices: tuple[str, ...] = ()
    exact_launches: int | None = None
    seed: int = 0
    launches: int | None = None
    min_launches: int = 7
    max_launches: int = 200
    target_ci: float = 0.03
    time_budget_s: float | None = 60.0
    timing: Timing = Timing()
    budget: str | None = None
    data: str | None = None
    untrained: bool = False
    quick: bool = False
    max_accuracy_loss: float = 0.02
    protect: str = "accuracy"
    prefer: Prefer = "balanced"
    accuracy_devices: tuple[str, ...] = ()


# --- observations ----------------------------------------------------------------------------


class Outputs(Value, frozen=True):
    """What the model answered to the first examples of the input set, dequantized; at most 16
    values of each answer are kept, None where one is not finite. `text` names the outputs that
    are strings, which are not among the values; `constant` is None where there are none."""

    values: tuple[tuple[float | None, ...], ...]
    finite: bool
    constant: bool | None
    input_source: str
    text: tuple[str, ...] = ()


class Parity(Value, frozen=True):
    """A device's answers beside the host's to the same inputs, every value of `values` in each of
    `examples`. `largest_difference` is None where one side alone is not finite, `largest_answer`
    the largest magnitude among the host's finite values. A decision is the largest value, or on
    which side of one half a single value is."""

    examples: int
    values: int
    largest_difference: float | None
    largest_answer: float
    equal_decisions: int


class LatencySummary(Value, frozen=True):
    """What a benchmark executable reports about iterations that it does not list one by one. `std`
    is the population's; a percentile is element floor(n * p / 100) of the sorted iterations."""

    count: int
    median_ns: int
    mean_ns: int | None = None
    min_ns: int | None = None
    max_ns: int | None = None
    std_ns: int | None = None
    p5_ns: int | None = None
    p95_ns: int | None = None


class OpTime(Value, frozen=True):
    """Mean time of one operator per inference, from a launch with the profiler on."""

    name: str
    op: str
    mean_ns: int
    share: float


class Minute(Value, frozen=True):
    """A stretch of a sustained launch, as a rule a minute, and the device's state at its end."""

    iterations: int
    median_ns: int
    mean_ns: int
    temperature_c: float | None = None
    thermal_status: int | None = None


class Launch(Value, frozen=True):
    """Raw observations of one fresh process. `index` is the round (0, 1, ...) within its case,
    `order` the place in the order of measurement on its device. `instructions` are those of each
    timed iteration, where they can be counted; `reference` is what the host answered to the inputs
    of `outputs`, and `parity` compares the two whole. What could not be observed is None and
    `absent` maps the field's name to the reason. An executable that reports no single iterations
    leaves `latency_ns` and `warmup_ns` empty and fills in the summaries instead. `set_aside` is an
    earlier launch during which the device became unfit. This launch was made in its place, at once
    or when the run was resumed, and nothing is computed from the earlier one."""

    case: str
    index: int
    order: int
    started_at: str
    wall_ns: int
    init_ns: int | None = None
    first_inference_ns: int | None = None
    init_cached_ns: int | None = None
    first_inference_cached_ns: int | None = None
    warmup_ns: tuple[int, ...] = ()
    latency_ns: tuple[int, ...] = ()
    warmup_summary: LatencySummary | None = None
    latency_summary: LatencySummary | None = None
    op_times: tuple[OpTime, ...] = ()
    minutes: tuple[Minute, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    rss_before_load_bytes: int | None = None
    rss_after_load_bytes: int | None = None
    rss_warm_bytes: int | None = None  # after warm-up, before the first timed iteration
    rss_end_bytes: int | None = None  # after the last timed iteration
    peak_rss_bytes: int | None = None
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    pss_bytes: int | None = None
    arena_bytes: int | None = None
    clock_resolution_ns: int | None = None
    counters: dict[str, int] = {}
    instructions: tuple[int, ...] = ()
    outputs: Outputs | None = None
    reference: Outputs | None = None
    parity: Parity | None = None
    before: Conditions | None = None
    after: Conditions | None = None
    absent: dict[str, str] = {}
    notes: tuple[Finding, ...] = ()
    set_aside: Launch | None = None

    @property
    def invalid(self) -> bool:
        """Whether it makes its case invalid. A resumed run measures it again."""
        return any(note.level == "invalid" for note in self.notes)


class Evidence(Value, frozen=True):
    """All that a metric or a check may look at: one case, whole. `metrics` is empty while the
    metrics are being extracted; `on_device` is what the device itself answered to test images;
    `peers` are the other cases on the same device, for checks."""

    case: Case
    plan: Plan
    artifact: Artifact
    launches: tuple[Launch, ...]
    device: DeviceFacts
    metrics: dict[str, Measurement] = {}
    failure: Failure | None = None
    peers: tuple[Evidence, ...] = ()
    evaluation: Evaluation | None = None
    parent_evaluation: Evaluation | None = None
    on_device: Evaluation | None = None
    loss: Loss | None = None


# --- report ----------------------------------------------------------------------------------


class CaseReport(Value, frozen=True):
    """A case with its numbers, its findings and every raw observation. `noise` is None where
    nothing was timed, and in old reports."""

    variant: str
    device: str
    runtime: str
    delegate: str
    threads: int
    status: Status
    metrics: dict[str, Measurement]
    launches: tuple[Launch, ...] = ()
    findings: tuple[Finding, ...] = ()
    failure: Failure | None = None
    noise: Noise | None = None
    affinity: str = ""

    @property
    def case(self) -> Case:
        """The row's key."""
        return Case(
            variant=self.variant,
            device=self.device,
            runtime=self.runtime,
            delegate=self.delegate,
            threads=self.threads,
            affinity=self.affinity,
        )


class Tool(Value, frozen=True):
    """What wrote the report."""

    name: str
    version: str


class Stopped(Value, frozen=True):
    """Why measuring ended, and the worst relative half-width reached (None if unknown)."""

    reason: StopReason
    worst_half_width: float | None = None


class Report(Value, frozen=True):
    """Everything a renderer needs; see docs/reference/report.md for the JSON."""

    schema_version: int
    tool: Tool
    run_id: str
    started_at: str
    host: dict[str, object]
    plan: Plan
    command: tuple[str, ...] = ()
    project: str | None = None  # the folder whose devices.yaml was read, for --resume
    finished_at: str | None = None
    stopped: Stopped | None = None
    devices: tuple[DeviceFacts, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    cases: tuple[CaseReport, ...] = ()
    findings: tuple[Finding, ...] = ()
    data: DataSummary | None = None
    evaluations: tuple[Evaluation, ...] = ()
    device_images: DeviceImages | None = None
    device_evaluations: tuple[Evaluation, ...] = ()
    verdict: Verdict | None = None
    comparison: Comparison | None = None
    drifts: tuple[RunDrift, ...] = ()
    lab: tuple[LabDevice, ...] = ()
