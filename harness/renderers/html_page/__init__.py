"""One self-contained page, made from a template and its values; each part of the report's page is a
module.

The templates escape every text; a content security policy forbids all scripts but ours and every
request, so that a hostile name could do nothing even if it got through.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.renderers.optional import require

_FILES = Path(__file__).parent

_DARK = """
    color-scheme: dark;
    --page: #11151b; --surface: #191f27; --raised: #1e252e; --ink: #e9edf2; --muted: #a3aebb;
    --grid: #2b333d; --line: #38424e; --accent: #7cc0ff;
    --pale: #2f5d80; --good: #7cc0ff; --doubt: #f1be62; --bad: #ff9d92;
    --good-soft: #16324a; --doubt-soft: #3a2c12; --bad-soft: #43201d;
    --series-0: #3f89c2; --series-1: #e08630; --series-2: #36cfa3; --series-3: #da96c4;
    --series-4: #ecce56; --series-5: #b5d0ff; --series-6: #dcdbdf; --series-7: #bfa3ff;
"""


def page(template: str, context: dict[str, Any]) -> bytes:
    """A page from a template and what it shows."""
    jinja2, markup = require("jinja2"), require("markupsafe").Markup
    script = (_FILES / "script.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text: str = (
        _environment(jinja2)
        .get_template(template)
        .render(
            context,
            style=markup(_style()),
            script=markup(script),
            script_hash=markup(f"sha256-{digest}"),
        )
    )
    return text.encode("utf-8", "backslashreplace")


@functools.cache
def _environment(jinja2: ModuleType) -> Any:
    """The templates, each of which is compiled once, when it is first used."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _style() -> str:
    css = (_FILES / "style.css").read_text("utf-8")
    light = "".join(re.findall(r"  --(?!font|mono)[^\n]*\n", css.partition("}")[0]))
    return css.replace("%DARK%", _DARK).replace("%LIGHT%", light)
