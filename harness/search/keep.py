"""Adds a variant to models/variants.yaml as text, so that comments and layout stay as they are."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from harness.core.errors import UsageError
from harness.core.specs import VariantSpec
from harness.system.files import write_atomic

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str, known: object) -> None:
    """Raise UsageError if a variant cannot be called so."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a variant", "use letters, digits, dots and dashes"
        )
    if isinstance(known, dict) and name in known:
        raise UsageError(f"there is a variant {name!r} already", "choose another name")


def add(path: Path, name: str, spec: VariantSpec, comment: str) -> None:
    """Add the variant after the last one. Raises UsageError if the file is not as expected or
    cannot be written; then it is unchanged."""
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    changed = added(text, name, spec, comment)
    try:
        write_atomic(path, changed.encode())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "make it writable") from None


def added(text: str, name: str, spec: VariantSpec, comment: str) -> str:
    """The text of the file with one more variant."""
    root = yaml.compose(text, yaml.SafeLoader)
    variants = None
    if isinstance(root, yaml.MappingNode):
        variants = next((v for k, v in root.value if k.value == "variants"), None)
    if not isinstance(variants, yaml.MappingNode) or variants.flow_style or not variants.value:
        raise UsageError(
            "models/variants.yaml has no list of variants that can be added to",
            "write at least one variant below `variants:`, on lines of their own",
        )
    indent = " " * variants.value[0][0].start_mark.column
    end = text.find("\n", _last(variants).end_mark.index - 1)
    newline = "\r\n" if "\r\n" in text else "\n"
    head = text if end < 0 else text[: end + 1]
    if not head.endswith("\n"):
        head += newline
    lines = ["", f"{indent}# {comment}", f"{indent}{name}:"]
    lines += [f"{indent}  {line}" for line in _lines(spec)]
    changed = head + "".join(line + newline for line in lines) + text[len(head) :]
    found = yaml.safe_load(changed)["variants"]
    before = yaml.safe_load(text)["variants"]
    if {k: v for k, v in found.items() if k != name} != before or name not in found:
        raise UsageError("the variant could not be added", "add it by hand")
    return changed


def _last(node: yaml.Node) -> yaml.Node:
    """The node that ends last in the text: a mapping of lines of their own ends only where the
    next one begins, after all comments between."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _lines(spec: VariantSpec) -> list[str]:
    given = msgspec.to_builtins(spec)
    defaults = msgspec.to_builtins(VariantSpec(model=spec.model))
    if spec.training is not None:
        plain = msgspec.to_builtins(type(spec.training)())
        own = {k: v for k, v in given["training"].items() if v != plain[k]}
        given["training"] = own
    shown = {k: v for k, v in given.items() if k == "model" or v != defaults[k]}
    return [
        f"{key}: {yaml.safe_dump(_listed(value), default_flow_style=True, width=10_000).strip()}"
        .removesuffix("\n...")
        for key, value in shown.items()
    ]  # fmt: skip


def _listed(value: object) -> object:
    """Tuples as lists, which YAML has."""
    if isinstance(value, tuple | list):
        return [_listed(v) for v in value]
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return value
