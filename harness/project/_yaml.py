"""The text of a YAML file -> data, safely and strictly."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

if TYPE_CHECKING:
    _Constructor = SafeConstructor
else:
    _Constructor = object


class _Strict(_Constructor):
    """A key given twice is an error and not a silent choice, and so is a key that is not text, such
    as `1`, `on` or a list."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a key is a list or a mapping, where a name is expected")
            if key.tag != "tag:yaml.org,2002:str":
                self._refuse(key, f"the key {key.value} is not text; write it in quotes")
            if key.value in seen:
                self._refuse(key, f"the key {key.value!r} is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, key: yaml.Node, why: str) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, why, key.start_mark)


class _StrictLoader(_Strict, yaml.SafeLoader):
    """The loader in Python, which has the plainer messages."""


def strict_load(text: str) -> Any:
    """Raises yaml.YAMLError, and RecursionError where it is nested too deeply."""
    if yaml.__with_libyaml__:
        try:
            return yaml.load(text, _quick_loader())  # noqa: S506  it derives from CSafeLoader
        except yaml.YAMLError:
            pass  # told below
    return yaml.load(text, _StrictLoader)  # noqa: S506  it derives from SafeLoader


def _quick_loader() -> Any:
    """libyaml reads the text eight times as fast. Nodes are made in Python all the same: its own
    composer ends the process where the text is nested too deeply."""

    class QuickLoader(_Strict, Composer, yaml.CSafeLoader):
        def __init__(self, stream: str) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            Composer.__init__(self)

    return QuickLoader
