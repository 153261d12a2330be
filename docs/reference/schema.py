"""Write report.schema.json beside this file from the types: python docs/reference/schema.py"""

from __future__ import annotations

import json
from pathlib import Path

from harness.renderers.formats.json import schema

if __name__ == "__main__":
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    (Path(__file__).parent / "report.schema.json").write_text(text, "utf-8")
