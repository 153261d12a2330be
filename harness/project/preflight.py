"""From a Request to a Job: everything that can be wrong with a request is found here, before
anything is built or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from harness.analysis import metric_specs
from harness.analysis.budget import parse_budget
from harness.analysis.losses import check_class, parse_protect
from harness.artifacts import brought
from harness.core import units
from harness.core.attendant import Attendant
from harness.core.choices import AccuracyOn, Delegate, Prefer, Start
from harness.core.data import first_few
from harness.core.errors import HarnessError, UnusableFileError, UsageError
from harness.core.lab import HostOffer, LabDevice
from harness.core.labels import places
from harness.core.specs import DeviceSpec
from harness.data.dataset import DEMO
from harness.data.split import parse as parse_split
from harness.devices import kind_of
from harness.project import config, file_kinds, lab_devices
from harness.project.request import MOST_SEED, Job, Request
from harness.results import store
from harness.system.cache_use import cache_in_use
from harness.system.plugins import unknown

if TYPE_CHECKING:
    from harness.core.types import Artifact
    from harness.data.dataset import Dataset, Progress

_GIVE_ONE = "give one of the two"


def resolve(
    request: Request,
    looking: Progress | None = None,
    attendant: Callable[[str], Attendant] = lambda device: Attendant(),
    hosts: Sequence[HostOffer] | None = None,
) -> Job:
    """Check everything that can be checked without building; raises UsageError, writes nothing.
    `looking` is called with how far a folder of images has been read. `attendant` of a device
    receives its messages, such as that its user must allow this computer. `hosts` are those of the
    lab that was asked for; None without one."""
    how_much = (request.launches, request.iterations, request.quick, request.time_budget_s)
    if request.sustained_s is not None and any(how_much):
        raise UsageError(
            "--sustained decides by itself how much is measured",
            "leave out --launches, --iterations, --quick and --time-budget",
        )
    if request.launches is not None and request.time_budget_s is not None:
        raise UsageError(
            f"--launches {request.launches} means exactly that many, however long they take",
            "give --launches or --time-budget, not both",
        )
    if not request.devices:
        raise UsageError("no device is named", "name one, such as host")
    _check_values(request)
    project = config.load_project(request.project, request.weights)
    selected, at_lab = _devices(request, project, hosts)
    devices = as_asked(
        selected,
        wait_s=request.wait_s,
        accuracy=request.accuracy,
        affinity=request.affinity,
        delegate=request.delegates,
    )
    tflite, others, patterns = _sort(request.what)
    variants = project.select(patterns) if patterns or not request.what else {}
    _refuse_clashes(variants, tflite, others)
    settings = {}
    for name, spec in devices.items():
        settings[name] = kind_of(spec).settings(name, spec, request)
        if name not in at_lab:
            _refuse_if_not_set_up(request, spec, attendant(name))
    by_user = _file_options(request, bool(tflite or others))
    inspected, unusable = _inspected(tflite, request.signature, by_user)
    if unusable and not (inspected or others or variants):
        raise next(iter(unusable.values()))
    _refuse_if_not_convertible(others.values())
    store.check_writable(request.out)
    if not at_lab:
        _refuse_if_no_device_answers(devices, attendant, everything=request.devices == ("all",))
    dataset = None
    if variants or request.data is not None or any(map(file_kinds.is_keras, others.values())):
        dataset = labelled(
            request.data,
            untrained=request.untrained,
            seed=request.seed,
            split=request.split,
            looking=looking,
        )
    elif request.split is not None:
        raise UsageError(
            "--split is about labelled images, and model files need none",
            "give images with --data, or leave it out",
        )
    job = Job(
        *(request, project, devices, variants, inspected, others, settings, dataset, at_lab),
        unusable=unusable,
    )
    _check_labels(job, by_user.labels)
    _check_recipes(job)
    _check_budget(job)
    _check_protected(job)
    _check_answering(job)
    return job


def _inspected(
    files: Mapping[str, Path], signature: str | None, by_user: brought.FileOptions
) -> tuple[dict[str, Artifact], dict[str, UsageError]]:
    """(what is in each .tflite file, the error of each that cannot be measured)."""
    from harness.artifacts.tflite.inspect import inspect_cached

    inspected: dict[str, Artifact] = {}
    unusable: dict[str, UsageError] = {}
    for name, path in files.items():
        try:
            found = inspect_cached(path, cache_in_use(), variant=name, signature=signature)
        except UnusableFileError as error:
            unusable[name] = error
        else:
            inspected[name] = brought.described(found, by_user)
    return inspected, unusable


def _refuse_if_not_convertible(paths: Iterable[Path]) -> None:
    """Raise UsageError for a file that is not there, or whose converter is not set up."""
    from harness.artifacts.converters import ENDINGS, environment

    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no file {path}", "give a file that was saved")
        if kind := ENDINGS.get(path.suffix.lower()):
            environment.required(kind, cache_in_use(), path)


def _check_values(request: Request) -> None:
    """Raise UsageError for a word or a number that the option cannot have. The command line refuses
    most of them already; from Python they come unchecked."""
    words: tuple[tuple[str, Sequence[str | None], Any], ...] = (
        ("delegate", request.delegates or (), Delegate),
        ("start", request.starts, Start),
        ("accuracy", (request.accuracy,), AccuracyOn),
        ("prefer", (request.prefer,), Prefer),
    )
    for what, given, known in words:
        for word in given:
            if word is not None and word not in get_args(known):
                raise unknown(what, word, get_args(known))
    if "cold" not in request.starts:
        raise UsageError(
            "--start cached needs a cold start to compare with", "write --start cold,cached"
        )
    times = ("time_budget_s", "cadence_s", "sustained_s", "wait_s")
    numbers: tuple[tuple[Sequence[str], Callable[[float], bool], str], ...] = (
        (("launches", "iterations", "accuracy_images", "threads"), lambda n: n >= 1, "at least 1"),
        (times, lambda s: 0 < s < inf, "a time in seconds, more than 0"),
        (("target_ci", "max_accuracy_loss"), lambda x: 0 < x < 1, "a share between 0 and 1"),
        (("seed",), lambda n: 0 <= n <= MOST_SEED, f"from 0 to {MOST_SEED}"),
    )
    for names, fits, kind in numbers:
        for name in names:
            given = getattr(request, name)
            for value in given if isinstance(given, tuple) else (given,):
                if value is not None and not fits(value):
                    raise UsageError(f"{name} {value} is not {kind}", "choose another")


def _devices(
    request: Request, project: config.Project, hosts: Sequence[HostOffer] | None
) -> tuple[dict[str, DeviceSpec], dict[str, LabDevice]]:
    """(the entry of each device, and where the lab has those that it has)."""
    if hosts is None:
        selected = project.select_devices(request.devices)
        for name, spec in selected.items():
            if getattr(spec, "at", None) or getattr(spec, "any", None):
                raise UsageError(f"{name} is a device of a lab", "give the lab with --lab")
        return selected, {}
    chosen = lab_devices.choose(request.devices, project.devices, hosts, wait_s=request.wait_s)
    at_lab = {c.name: c.at_lab for c in chosen if c.at_lab is not None}
    return {c.name: c.spec for c in chosen}, at_lab


def as_asked(devices: dict[str, DeviceSpec], **asked: object) -> dict[str, DeviceSpec]:
    """The entries, with what was asked for instead of them as far as they have such a key; None
    and an empty list ask for nothing. Raises UsageError for what is only for phones if there is
    none."""
    asked = {key: value for key, value in asked.items() if value not in (None, ())}
    keys = {key for spec in devices.values() for key in spec.__struct_fields__}
    options = {"wait_s": "--wait", "accuracy": "--accuracy device", "affinity": "--affinity"}
    for key, option in options.items():
        # `--accuracy host` asks nothing of a phone, so it is not only for phones.
        if asked.get(key, "host") != "host" and key not in keys:
            raise UsageError(
                f"{option} is for phones", "leave it out, or name a phone with --device"
            )
    return {
        name: msgspec.structs.replace(
            spec, **{k: v for k, v in asked.items() if k in spec.__struct_fields__}
        )
        for name, spec in devices.items()
    }


def _check_answering(job: Job) -> None:
    """Raise UsageError if devices are to answer images and there are none, or the other way."""
    asked = [name for name, of_device in job.settings.items() if of_device.accuracy]
    if asked and job.dataset is None:
        raise UsageError(
            f"{asked[0]} is to answer test images, and there are none",
            "give labelled images with --data, or leave --accuracy device out",
        )
    if not asked and job.request.accuracy_images is not None:
        raise UsageError(
            "--accuracy-images is about images that a device answers",
            "add --accuracy device, or leave it out",
        )


def labelled(
    data: str | None,
    *,
    untrained: bool,
    seed: int,
    split: str | None = None,
    looking: Progress | None = None,
) -> Dataset | None:
    """The labelled images: those asked for, else the demo images; None if nothing is trained.

    Raises UsageError if both were asked for, and what `open_dataset` raises.
    """
    if untrained and data is not None:
        raise UsageError("--data trains and --untrained does not", _GIVE_ONE)
    if untrained and split is not None:
        raise UsageError("--split is about labelled images, and --untrained uses none", _GIVE_ONE)
    shares = None if split is None else parse_split(split)
    if untrained:
        return None
    from harness.data.opening import open_dataset

    chosen = DEMO if data is None else data
    return open_dataset(chosen, cache_in_use(), seed=seed, shares=shares, progress=looking)


def _file_options(request: Request, any_file: bool) -> brought.FileOptions:
    """What the user says about their own model files."""
    asked = [o for o, v in (("--pixels", request.pixels), ("--labels", request.labels)) if v]
    if asked and not any_file:
        raise UsageError(
            f"{' and '.join(asked)} is about model files, and none is given",
            "name a .tflite or .keras file, or leave it out",
        )
    return brought.file_options(request.pixels, request.labels)


def _check_labels(job: Job, labels: Sequence[str]) -> None:
    """Raise UsageError if the user's labels do not name every class of the user's images."""
    if not labels or job.request.data is None or job.dataset is None:
        return
    if places(labels, job.dataset.classes) is None:
        raise UsageError(
            f"--labels {units.name(str(job.request.labels))} does not name each class of "
            f"{job.dataset.name} once: {first_few(job.dataset.classes)}",
            "write the folder names into it, one per line, in the order of the outputs",
        )


def _check_protected(job: Job) -> None:
    """Raise UsageError if what is to be protected cannot be lost on these images."""
    protect = job.request.protect or job.project.defaults.protect
    protected = parse_protect(protect)
    if job.dataset is not None:
        check_class(protected, job.dataset.classes)
    elif job.request.protect is not None:
        raise UsageError(f"--protect {protect} needs labelled images", _give_images(job.request))
    elif job.request.max_accuracy_loss is not None:
        raise UsageError("--max-accuracy-loss needs labelled images", _give_images(job.request))


def _check_recipes(job: Job) -> None:
    """Raise UsageError for a recipe of --recipe that is not there, or that lacks what it needs."""
    from harness.artifacts import quantize

    recipes = job.request.recipes
    for recipe in recipes:
        if recipe not in quantize.RECIPES:
            raise unknown("recipe", recipe, quantize.RECIPES)
    if recipes and not (job.tflite or job.to_convert):
        raise UsageError(
            "--recipe is about files that you give; the variants have their own in variants.yaml",
            "give a .tflite or .keras file, or leave --recipe out",
        )
    calibrated = [recipe for recipe in recipes if recipe in quantize.CALIBRATED]
    if calibrated and job.request.data is None:
        raise UsageError(
            f"--recipe {calibrated[0]} needs images to calibrate with", "give them with --data DIR"
        )
    if recipes:
        quantize.check_installed(recipes[0])


def _check_budget(job: Job) -> None:
    """Raise UsageError for a budget that cannot be read, or that nothing will be measured for."""
    if job.request.budget is None:
        return
    for budget in parse_budget(job.request.budget, metric_specs.specs()):
        if budget.spec.labelled and job.dataset is None:
            raise UsageError(f"{budget.text} needs labelled images", _give_images(job.request))


def _give_images(request: Request) -> str:
    without = "leave out --untrained" if request.untrained else "give them with --data"
    return f"{without}, or leave it out"


def _refuse_if_not_set_up(request: Request, spec: DeviceSpec, attendant: Attendant) -> None:
    kind = kind_of(spec)
    if kind.traits(spec).may_be_away:
        return
    try:
        kind.check(spec, attendant)
    except UsageError:
        if request.devices != ("all",):  # with `all`, the report says which cannot be used
            raise


def _refuse_if_no_device_answers(
    devices: Mapping[str, DeviceSpec], attendant: Callable[[str], Attendant], everything: bool
) -> None:
    """Raise UsageError if no device can be reached, before anything is built. If one can be, the
    report says what is wrong with the others. A mistake in devices.yaml that a device shows is
    refused at once, unless `all` were asked for."""
    may_be_away = {n: s for n, s in devices.items() if kind_of(s).traits(s).may_be_away}
    if not may_be_away or (everything and len(may_be_away) < len(devices)):
        return

    def why_not(name: str) -> HarnessError | None:
        try:
            kind_of(devices[name]).check(devices[name], attendant(name))
        except HarnessError as error:
            return error
        return None

    with ThreadPoolExecutor(max_workers=len(may_be_away)) as pool:
        errors = dict(zip(may_be_away, pool.map(why_not, may_be_away), strict=True))
    mistakes = {n: e for n, e in errors.items() if isinstance(e, UsageError) and not everything}
    nobody = all(errors.values()) and len(errors) == len(devices)
    for name, error in (mistakes or errors if nobody else mistakes).items():
        if error is not None:
            error.message = f"{name}: {error.message}"
            raise error


def _sort(what: tuple[str, ...]) -> tuple[dict[str, Path], dict[str, Path], list[str]]:
    """(.tflite files, files to convert, variant patterns); a file's row is named by its stem, or by
    its path where two files share one."""
    tflite: dict[str, Path] = {}
    others: dict[str, Path] = {}
    patterns: list[str] = []
    for text in what:
        kind = file_kinds.kind_of(text)
        if kind is None:
            patterns.append(text)
            continue
        found = tflite if kind == "tflite" else others
        path = Path(text)
        _refuse_if_not_utf8(path)
        if path in (*tflite.values(), *others.values()):
            continue
        taken = path.stem in tflite or path.stem in others
        found[text if taken else path.stem] = path
    return tflite, others, patterns


def _refuse_if_not_utf8(path: Path) -> None:
    """The report holds the path of a model file, and is UTF-8."""
    try:
        os.fspath(path.absolute()).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the path {units.printable(str(path))} is not UTF-8", "rename the file or its folder"
        ) from None


def _refuse_clashes(*named: Mapping[str, object]) -> None:
    seen: set[str] = set()
    for names in named:
        if clash := seen & set(names):
            raise UsageError(
                f"two rows would be named {min(clash)!r}", "rename the file, or give it alone"
            )
        seen |= set(names)
