"""The one line of an exception that tells a person what went wrong.

TensorFlow and Keras wrap the reason: in "in user code:" with a traceback below it, in the
configuration of a whole network, in the arguments of a layer's call. What is wrong is on one line
of it.
"""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RAISED = re.compile(r"^\s*((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Warning)): (\S.*)$")
_UNKNOWN_CLASS = re.compile(r"Could not locate (class|function) '([^']+)'")
_MISSING_OPS = re.compile(r"^\s*(?:TF Select|Flex|Custom) ops: (.+)$", re.MULTILINE)
_CALLED = "Exception encountered when calling"
_COMPILER = re.compile(r"error: (?:loc\(.*?\): )?(.+)$", re.MULTILINE)


def line(error: BaseException) -> str:
    """An exception as one line: its type and its reason, extracted from what wraps it."""
    kind, text = type(error).__name__, _COLOUR.sub("", str(error))
    if unknown := _UNKNOWN_CLASS.search(text):
        return f"it needs the {unknown[1]} {unknown[2]!r}, which Keras does not have"
    if missing := _MISSING_OPS.search(text):
        return f"TFLite has no operator for {missing[1].strip()}"
    if text.lstrip().startswith("in user code:"):
        kind, text = _innermost(text) or (kind, text)
    if _CALLED in text:
        text = text.partition("\n")[2] or text
    if compiler := _COMPILER.search(text):
        text = compiler[1]
    first = next((row.strip() for row in text.splitlines() if row.strip()), "")
    return f"{kind}: {first}" if first else kind


def _innermost(text: str) -> tuple[str, str] | None:
    """(type, the rest of the text) of the exception that stands last below "in user code:"."""
    rows = text.splitlines()
    for place in range(len(rows) - 1, -1, -1):
        if raised := _RAISED.match(rows[place]):
            return raised[1].rpartition(".")[2], "\n".join([raised[2], *rows[place + 1 :]])
    return None
