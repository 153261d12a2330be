"""The entries of models/variants.yaml and devices.yaml as types.

Every field is a key of the YAML file; `harness.project.config` reads the files and refuses any
other key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from harness.core.base import Value
from harness.core.choices import AccuracyOn, Delegate, Prefer

Positive = Annotated[int, Meta(ge=1)]
YEAR = 31_536_000  # a longer time-out than this is no time-out, and overflows a clock
Seconds = Annotated[float, Meta(gt=0, le=YEAR)]


# --- models/variants.yaml --------------------------------------------------------------------


class TrainingSpec(Value, frozen=True):
    """How a network is trained; entries of `training:` by model, or of one variant.

    The network starts from the weights of its variant: ImageNet's or a file's (then a head is
    trained on cached features for `head_epochs`, and what follows the layer `fine_tune_from` for
    `fine_tune_epochs`), or random ones (then all of it is trained for `epochs`). Two other starts:

    `inherit` names a variant whose trained network is turned into this one, by the function
    `inherit` of the model file where it has one.
    `grow_from` are options: where weights are random, the same model with these options is trained
    instead and then widened to this one, which computes the same. The large one is not trained.

    `teacher` names a variant to distil from, or several, of which the one with the lowest loss on
    the validation split teaches: the loss is then (1 - `imitation`) of the labels' and
    `imitation` of the one against the teacher's answers, both softened by `temperature`.
    `flips` shows images mirrored and turned, for things without an up and down. Training ends
    after `patience` epochs without a better loss on the validation split; the best weights stay.
    """

    epochs: Annotated[int, Meta(ge=0)] = 12
    learning_rate: Annotated[float, Meta(gt=0)] = 1e-3
    batch_size: Positive = 32
    patience: Positive = 5
    flips: bool = False
    head_epochs: Positive = 40
    head_rate: Annotated[float, Meta(gt=0)] = 1e-3
    fine_tune_from: str | None = None
    fine_tune_epochs: Annotated[int, Meta(ge=0)] = 0
    fine_tune_rate: Annotated[float, Meta(gt=0)] = 1e-5
    inherit: str | None = None
    grow_from: dict[str, object] | None = None
    teacher: str | tuple[str, ...] = ()
    imitation: Annotated[float, Meta(gt=0, le=1)] = 0.7
    temperature: Annotated[float, Meta(gt=0)] = 3.0

    @property
    def teachers(self) -> tuple[str, ...]:
        """`teacher`, one or several."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher


class VariantSpec(Value, frozen=True):
    """One row of the table before it is built.

    `model` is a file of models/, `options` are keyword arguments of its `build`; `recipe` is a
    file of harness/artifacts/recipes, or several joined by `+` and applied from left to right
    (`pruned+int8`), and `recipe_options` are theirs. `weights` is `auto`, `imagenet`, `random` or
    a path; a model that has no pretrained weights is always `random`. `default` variants are the
    ones that `bench` without names measures. `float_parent` names the variant whose outputs this
    one should reproduce, where it is not simply the one without the last recipe. `training`
    replaces what the file's `training:` says of the model.
    """

    model: str
    recipe: str = "float32"
    options: dict[str, object] = {}
    recipe_options: dict[str, object] = {}
    weights: str = "auto"
    default: bool = False
    float_parent: str | None = None
    training: TrainingSpec | None = None


class WeightsSource(Value, frozen=True):
    """Where a model's ImageNet weights are: in the installed Python package `package`, which is
    asked first, or at `url`; `{option}` in both is filled from the options. `sha256` is of the
    file, or of each known file by its name."""

    url: str | None = None
    package: str | None = None
    sha256: str | dict[str, str] | None = None


class SearchSpec(Value, frozen=True):
    """What may vary of one model, for `search`. The entry's name is that of the model unless
    `model` says otherwise.

    A value of `options` and `recipe_options` is one value, a list of values in their order, or a
    range: `{from: 96, to: 256, step: 32}`, `log: true` where factors count. To fix an option that
    is a list itself, write a list with that one list. `recipe` is one or several. `training`
    replaces what `training:` of the file says of the model; `weights` is the same as for a variant.
    `search` without names searches the entries with `default`, or all where none has it."""

    model: str | None = None
    options: dict[str, object] = {}
    recipe: str | tuple[str, ...] = ("int8", "float16")
    recipe_options: dict[str, object] = {}
    weights: str = "auto"
    training: TrainingSpec | None = None
    default: bool = False


class VariantsFile(Value, frozen=True):
    """models/variants.yaml, whole."""

    variants: dict[str, VariantSpec]
    search: dict[str, SearchSpec] = {}
    training: dict[str, TrainingSpec] = {}
    imagenet: dict[str, WeightsSource] = {}


# --- devices.yaml ----------------------------------------------------------------------------


class HostSpec(Value, frozen=True, tag_field="kind", tag="host"):
    """This machine, or the host `at` of a lab: a fresh process per launch. `python` maps a runtime
    to the interpreter that has it, for runtimes that cannot live in the harness's own
    environment."""

    threads: tuple[Positive, ...] = (1,)
    runtime: str = "litert"
    python: dict[str, str] = {}
    launch_timeout_s: Seconds = 300.0
    at: str | None = None


class ArmSpec(Value, frozen=True, tag_field="kind", tag="arm64-emulated"):
    """An ARM64 core in software: counts instructions exactly and measures no time."""

    cpu: str = "cortex-a76"
    launch_timeout_s: Seconds = 600.0
    at: str | None = None


class Guards(Value, frozen=True):
    """When a phone is unfit to measure on, and how long to wait until it is fit again."""

    max_thermal_status: Annotated[int, Meta(ge=0, le=6)] = 0
    min_battery_percent: Annotated[int, Meta(ge=0, le=100)] = 20
    cooldown_s: Seconds = 300.0


class RunnerSpec(Value, frozen=True):
    """Which executable times on the device: a file of devices/runners, and where it is from: a
    file here (`path`), one that is already on the device (`device_path`), or a download of
    `version` (from `url`, in which {version} and {platform} are filled in). `dialect` is of its
    flags and output: A the classic Interpreter's tool, B LiteRT's; `auto` asks the executable.
    `dispatch`, `compiler_plugin` and `libraries` are files on this machine that an NPU needs beside
    the runner: LiteRT's dispatch library for the chip, its compiler plugin where the phone itself
    is to compile the model, and the vendor's own libraries.
    With the tool `benchmark_app` each case is measured in the shell and in Google's benchmark app,
    which is the file `app`, or already on the phone, or downloaded.
    `lock` is the file that the SHA-256 of downloads are written to. Relative paths are meant from
    the folder of devices.yaml.
    """

    tool: str = "benchmark_model"
    version: str | None = None
    path: str | None = None
    device_path: str | None = None
    sha256: str | None = None
    url: str | None = None
    dialect: Literal["auto", "A", "B"] = "auto"
    lock: str | None = None
    dispatch: str | None = None
    compiler_plugin: str | None = None
    libraries: tuple[str, ...] = ()
    app: str | None = None


class AndroidSpec(Value, frozen=True, tag_field="kind", tag="android"):
    """A phone, through one of the files of devices/transports.

    With `accuracy: device` the test images are answered on the phone too. `gpu` may compute in
    float16, `gpu-fp32` may not. `affinity` is `all`, `big`, `mid` or `little` (cores with the
    highest frequency, with one between, with the lowest) or a hexadecimal mask; of several, each is
    a case of its own. `adb_server` is where the transport of that name finds a running server
    (default: what adb itself uses). `wait_s` is how long to wait for a phone that another run is
    measuring. `profile` and `faults` are of the transport `emulated`. A phone of a lab is at the
    host `at`, or it is `any` one of a model; that host then knows how to reach it.
    """

    transport: str = "adb_usb"
    serial: str | None = None
    address: str | None = None
    threads: tuple[Positive, ...] = (1,)
    affinity: str | tuple[str, ...] = "all"
    delegate: tuple[Delegate, ...] = ("cpu",)
    accuracy: AccuracyOn = "host"
    runner: RunnerSpec = RunnerSpec()
    work_dir: str = "/data/local/tmp"
    guards: Guards = Guards()
    fixed_performance: bool = True
    connect_timeout_s: Seconds = 30.0
    reconnect_timeout_s: Seconds = 60.0
    launch_timeout_s: Seconds = 300.0
    wait_s: float = 0.0
    adb_server: str | None = None
    profile: str = "pixel"
    faults: tuple[str, ...] = ()
    at: str | None = None
    any: str | None = None


DeviceSpec = HostSpec | AndroidSpec | ArmSpec


class Defaults(Value, frozen=True):
    """What the command line may leave out: how much accuracy a recommended variant may lose (a
    share such as 0.02 or a text such as 2%), what is protected from being lost, and which cost
    decides between variants that keep it."""

    max_accuracy_loss: float | str = 0.02
    protect: str = "accuracy"
    prefer: Prefer = "balanced"


class LabSpec(Value, frozen=True):
    """The lab that `--lab` without an address means, and the folder with this host's certificate;
    a relative one is meant from the folder of devices.yaml."""

    address: str
    keys: str | None = None


class DevicesFile(Value, frozen=True):
    """devices.yaml, whole."""

    devices: dict[str, DeviceSpec]
    defaults: Defaults = Defaults()
    lab: LabSpec | None = None


def kind_name(spec: DeviceSpec) -> str:
    """'host', 'android' or 'arm64-emulated'."""
    return str(spec.__struct_config__.tag)
