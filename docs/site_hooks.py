"""What the site adds to the pages of docs/: the reference of every option, generated from the
parser, and that of the Python functions, from their docstrings."""

from __future__ import annotations

import argparse
import re
from typing import Any

from mkdocs.structure.files import File, Files

from harness import cli

REPOSITORY = "https://github.com/mobile-bench-harness/mobile-bench-harness/blob/main"
PYTHON = """\
# From Python

Everything is in the package `harness`: `harness.bench(...)`, `harness.load("latest")`.
[A notebook](../how-to/notebook.md) shows how they work together.

::: harness.api
    options:
      show_root_heading: false
      members: [bench, load, compare, build, LoadedReport]

## Tests with pytest

::: harness.pytest_plugin
    options:
      show_root_heading: false
      members: [Asker, Measured, bench_options]
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "reference/options.md", content=options()))
    files.append(File.generated(config, "reference/python.md", content=PYTHON))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the repository."""
    return re.sub(r"\]\((?:\.\./){2}([^)]+)\)", rf"]({REPOSITORY}/\1)", markdown)


def options() -> str:
    """A page with every command, its help text and its options, as the parser has them."""
    top = cli.parser()
    (commands,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    parts = ["# Every option", "Generated from the parser: what `--help` shows, on one page."]
    for name, parser in commands.choices.items():
        parts += [f"## {name}", f"```\n{(parser.description or '').strip()}\n```"]
        parts += [f"```\n{parser.format_usage().strip()}\n```", _table(parser)]
        parts.append(f"```\n{(parser.epilog or '').strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _table(parser: argparse.ArgumentParser) -> str:
    lines = ["| | |", "|---|---|"]
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        value = _value(action)
        names = ", ".join(action.option_strings) or value
        shown = f"{names} {value}" if action.option_strings and value else names
        said = " ".join((action.help or "").replace("%%", "%").split())
        lines.append(f"| `{_cell(shown)}` | {_cell(said)} |")
    return "\n".join(lines)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def on_page_content(html: str, **_: Any) -> str:
    """Columns without a name have no header cell."""
    return html.replace("<th></th>", "<td></td>")


def on_post_page(output: str, **_: Any) -> str:
    """The name of the search, which the theme leaves out and a screen reader needs."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
