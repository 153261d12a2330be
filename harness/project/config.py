"""devices.yaml and models/variants.yaml -> types. Unknown keys are refused, never ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec.structs import replace

from harness.analysis.losses import parse_protect
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import (
    Defaults,
    DevicesFile,
    DeviceSpec,
    LabSpec,
    VariantsFile,
    VariantSpec,
)
from harness.core.text import command, expected_in_words
from harness.core.units import parsed_share
from harness.devices import kind_of
from harness.project._yaml import strict_load
from harness.system.files import current_folder, in_folder
from harness.system.plugins import unknown

T = TypeVar("T")

DEVICES = "devices.yaml"
VARIANTS = "models/variants.yaml"

# In a wheel the files that `init` copies lie inside the package; in a checkout, beside it.
_PACKAGE = Path(__file__).parents[1]
SHIPPED = _PACKAGE / "_project" if (_PACKAGE / "_project").is_dir() else _PACKAGE.parent


class Project(NamedTuple):
    """A folder with devices.yaml and models/. `shipped` if it is the one that comes with the
    harness.

    `folder` is where the project was looked for, absolute. `root` is where its models/ are: the
    folder, or where the shipped ones are if it has none of its own.
    """

    root: Path
    folder: Path
    devices: dict[str, DeviceSpec]
    variants: VariantsFile
    shipped: bool
    defaults: Defaults = Defaults()
    lab: LabSpec | None = None

    @property
    def models_dir(self) -> Path:
        """Where the architectures are."""
        return self.root / "models"

    def device(self, name: str) -> DeviceSpec:
        """One entry of devices.yaml; an unknown name raises with the nearest ones."""
        if not self.devices:
            raise UsageError(
                f"{self.folder / DEVICES} has no entry", "add one, such as `host: {kind: host}`"
            )
        if name not in self.devices:
            raise unknown("device", name, self.devices)
        return self.devices[name]

    def select_devices(self, names: Iterable[str]) -> dict[str, DeviceSpec]:
        """Entries of devices.yaml by name; `all` alone means all of them."""
        names = tuple(names)
        if names == ("all",) and self.devices:
            return dict(self.devices)
        return {name: self.device(name) for name in names}

    def select(self, patterns: Iterable[str]) -> dict[str, VariantSpec]:
        """Variants by name or glob, in the order asked for, each once. If none is asked for, those
        with `default: true`, or all of them where no variant is marked so. A pattern that matches
        nothing raises with the nearest names; so does a project without variants."""
        known = self.variants.variants
        patterns = tuple(patterns)
        if not patterns:
            if not known:
                raise UsageError(
                    f"{self.folder / VARIANTS} has no variants",
                    "name a .tflite or .keras file, or add a variant",
                )
            return {name: spec for name, spec in known.items() if spec.default} or dict(known)
        chosen: dict[str, VariantSpec] = {}
        for pattern in patterns:
            matching = [name for name in known if fnmatchcase(name, pattern)]
            if not matching and pattern and Path(pattern).exists():
                what = "folder" if Path(pattern).is_dir() else "file"
                raise UsageError(
                    f"{pattern!r} is a {what}, not a variant",
                    "give a variant's name; `bench` also takes .tflite, .keras and .h5 files and "
                    "SavedModel folders",
                )
            if not matching:
                raise unknown("variant", pattern, known)
            chosen.update((name, known[name]) for name in matching)
        return chosen


def load_project(root: Path | None = None, weights: str = "auto") -> Project:
    """The project in `root`; without one, the current folder's if it has either file, else the
    one that ships with the harness. `weights` takes the place of `auto` in all variants: what
    `auto` comes to depends on what can be fetched."""
    if root is None:
        here = current_folder() or SHIPPED
        root = here if (here / DEVICES).exists() or (here / VARIANTS).exists() else SHIPPED
    elif not (root / DEVICES).exists() and not (root / VARIANTS).exists():
        raise UsageError(
            f"{root} holds neither {DEVICES} nor {VARIANTS}",
            f"make a project there: {command('init', root)}",
        )
    devices = (root if (root / DEVICES).exists() else SHIPPED) / DEVICES
    variants = (root if (root / VARIANTS).exists() else SHIPPED) / VARIANTS
    known = load_yaml(variants, VariantsFile)
    chosen = {
        name: replace(spec, weights=weights) if spec.weights == "auto" else spec
        for name, spec in known.variants.items()
    }
    entries, whole = _load_devices(devices)
    return Project(
        root=variants.parent.parent,
        devices=entries,
        defaults=_defaults(devices, whole.defaults),
        lab=_lab(devices, whole.lab),
        folder=root.resolve(),
        variants=replace(known, variants=chosen),
        shipped=root == SHIPPED and root != current_folder(),
    )


def _load_devices(path: Path) -> tuple[dict[str, DeviceSpec], DevicesFile]:
    folder = None if path.parent == SHIPPED != current_folder() else path.parent
    read = {}
    whole = load_yaml(path, DevicesFile)
    for name, spec in whole.devices.items():
        try:
            _refuse_none_or_twice(spec)
            read[name] = kind_of(spec).read_entry(spec, folder)
        except ConfigError as error:
            raise ConfigError(f"{path}: devices.{name}.{error.message}", error.fix) from None
    return read, whole


def _refuse_none_or_twice(spec: DeviceSpec) -> None:
    """Raise ConfigError for a list without a value, which would leave nothing to measure, and for
    one that has a value twice."""
    for key in ("threads", "delegate", "affinity"):
        values = getattr(spec, key, None)
        if isinstance(values, tuple) and (not values or len(set(values)) < len(values)):
            raise ConfigError(
                f"{key}: names none, or one of them twice", "name each once, or leave it out"
            )


def _lab(path: Path, given: LabSpec | None) -> LabSpec | None:
    """The lab's entry, with the folder of its keys resolved from the folder of the file."""
    if given is None or given.keys is None:
        return given
    return replace(given, keys=str(in_folder(path.parent, given.keys)))


def _defaults(path: Path, given: Defaults) -> Defaults:
    """The defaults with a margin that is a number."""
    try:
        parse_protect(given.protect)
    except UsageError as error:
        raise ConfigError(f"{path}: defaults.protect: {given.protect!r}", error.fix) from None
    margin = parsed_share(given.max_accuracy_loss)
    if margin is None:
        raise ConfigError(
            f"{path}: defaults.max_accuracy_loss: {given.max_accuracy_loss!r} is not a share",
            "write it like 2%",
        )
    return replace(given, max_accuracy_loss=margin)


def load_yaml(path: Path, kind: type[T]) -> T:
    """Read and check one file. Every way in which it can be wrong is a ConfigError that names
    the file, the path of the key, and what is allowed there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", "python -m harness init writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "it must be a UTF-8 file") from None
    try:
        data = strict_load(text)
        msgspec.json.encode(data)  # ends with RecursionError where an alias names what it is in
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(f"{path}{where}: {problem}", "correct the YAML there") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply", "it needs four levels") from None
    return cast(T, _convert(data, kind, path, ""))


def _convert(data: object, kind: Any, path: Path, key: str) -> Any:
    """msgspec's conversion, one mapping entry at a time, so that an error can name the entry."""
    if isinstance(kind, type) and issubclass(kind, (DevicesFile, VariantsFile)):
        if not isinstance(data, dict):
            raise ConfigError(f"{path}: expected a mapping", f"see the shipped {path.name}")
        data = dict(data)
        hints = get_type_hints(kind)
        for name in [n for n in hints if n in data and get_origin(hints[n]) is dict]:
            found, entry_kind = data[name], get_args(hints[name])[1]
            if isinstance(found, dict):
                data[name] = {
                    k: _convert(v, entry_kind, path, f"{name}.{k}") for k, v in found.items()
                }
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise _explain(path, data, kind, key, str(error)) from None


def _explain(path: Path, data: object, kind: Any, key: str, error: str) -> ConfigError:
    """`devices.pixel: unknown key 'serail'; did you mean 'serial'?` from msgspec's message."""
    what, _, where = error.partition(" - at `")
    inner = where.rstrip("`").removeprefix("$").lstrip(".")
    at = ".".join(part for part in (key, inner) if part)
    prefix = f"{path}: {at}: " if at else f"{path}: "
    match = re.search(r"contains unknown field `(.*)`", what)
    if (kind_given := re.fullmatch(r"Invalid value '(.*)'", what)) and inner == "kind":
        tags = [str(member.__struct_config__.tag) for member in get_args(kind)]
        found = unknown("kind", kind_given.group(1), tags)
        return ConfigError(prefix + found.message, found.fix)
    if match is None:
        return ConfigError(
            prefix + expected_in_words(what), f"the comments in {path.name} say what goes there"
        )
    found = unknown("key", match.group(1), _allowed(kind, data, inner))
    return ConfigError(prefix + found.message, found.fix)


def _allowed(kind: Any, data: object, inner: str) -> list[str]:
    """The keys that the struct at `inner` takes; a union's member is found by its `kind` key."""
    for part in ["", *filter(None, inner.split("."))]:
        if part:
            kind = get_type_hints(kind)[part]
            data = data.get(part) if isinstance(data, dict) else None
        for member in get_args(kind):
            tag = getattr(member, "__struct_config__", None)
            if tag is not None and isinstance(data, dict) and tag.tag == data.get("kind"):
                kind = member
    return [field.encode_name for field in msgspec.structs.fields(kind)]
