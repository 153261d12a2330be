"""The whole report, every observation included: the file that the command `report` reads."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.core.serial import encode
from harness.core.types import SCHEMA_VERSION, Report
from harness.renderers.view import View

SCHEMA_ID = (
    "https://raw.githubusercontent.com/mobile-bench-harness/mobile-bench-harness/main/docs/"
    "reference/report.schema.json"
)


def render(view: View) -> bytes:
    """JSON of the current schema version, as a run folder has it."""
    return encode(view.report)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the report, as published in docs/reference."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": f"mobile-bench-harness report, schema version {SCHEMA_VERSION}",
        **msgspec.json.schema(Report, schema_hook=_anything),
    }


def _anything(_: type) -> dict[str, Any]:
    """The values of `host`, `options` and the like."""
    return {"description": "any JSON value"}
