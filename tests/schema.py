"""The published JSON Schema, and whether a written report is valid against it."""

from __future__ import annotations

import functools
import json
from typing import Any

from tests.paths import ROOT

FILE = ROOT / "docs/reference/report.schema.json"


@functools.cache
def published() -> dict[str, Any]:
    """The schema as users get it."""
    schema: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return schema


@functools.cache
def _validator() -> Any:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(published())
    return jsonschema.Draft202012Validator(published())


def check(data: bytes) -> None:
    """Raise jsonschema.ValidationError where the report breaks the schema."""
    _validator().validate(json.loads(data))
