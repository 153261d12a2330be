"""Print a script that makes a shell complete commands, options, variants, devices and saved runs.

    bash   mobile-bench completion bash > ~/.local/share/bash-completion/completions/mobile-bench
    zsh    mobile-bench completion zsh > DIR/_mobile-bench, where DIR is a folder of fpath
    fish   mobile-bench completion fish > ~/.config/fish/completions/mobile-bench.fish

The scripts complete the command `mobile-bench`. They ask it for the names of this folder's project:
`completion variants`, `devices` and `runs` print those, one per line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.core.errors import EXIT_OK, HarnessError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

HELP = "a script that completes commands and names in your shell"
EXAMPLE = "mobile-bench completion bash"

PROGRAM = "mobile-bench"
SHELLS = ("bash", "zsh", "fish")
WHAT = (*SHELLS, "variants", "devices", "runs")

# What the value of an argument is, by its dest. The others go by their metavar.
_NAMES = {"devices": "devices", "device": "devices", "a": "variants", "b": "variants"}
_NAMES |= dict.fromkeys(("saved", "baseline", "candidate", "resume"), "runs")
_METAVARS = {"FILE": "file", "DIR": "directory", "DATA": "file", "RUN": "runs"}
_METAVARS |= {"VARIANT": "variants", "VARIANT|FILE": "variants"}

# After the last comma of a list such as host,pixel.
_BASH = """\
_mobile_bench_names() {
  local before="" now="$2"
  if [[ $now == *,* ]]; then before="${now%,*},"; now="${now##*,}"; fi
  compgen -P "$before" -W "$(mobile-bench completion "$1" 2>/dev/null)" -- "$now"
}
_mobile_bench_devices() { _mobile_bench_names devices "$1"; }
_mobile_bench_variants() { _mobile_bench_names variants "$1"; compgen -f -- "$1"; }
_mobile_bench_runs() { _mobile_bench_names runs "$1"; compgen -f -- "$1"; }"""
_ZSH = """\
_mobile_bench_names() {
  local -a names
  names=(${(f)"$(mobile-bench completion $1 2>/dev/null)"})
  compset -P '*,'
  compadd -a names
}
_mobile_bench_devices() { _mobile_bench_names devices }
_mobile_bench_variants() { _mobile_bench_names variants; _files }
_mobile_bench_runs() { _mobile_bench_names runs; _files }"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell, or the kind of names."""
    parser.add_argument(
        "what",
        choices=WHAT,
        metavar=f"{{{','.join(WHAT)}}}",
        help="a shell; or which names to print",
    )


def run(args: argparse.Namespace) -> int:
    """Print the script or the names."""
    if args.what in SHELLS:
        print(script(args.what, args.whole), end="")
    else:
        for name in names(args.what):
            print(name)
    return EXIT_OK


def names(kind: str) -> Iterable[str]:
    """Variants or devices of this folder's project, or runs in reports/. Nothing where the project
    cannot be read: an error in the middle of a line that is being typed would be in the way."""
    from harness.project import config
    from harness.project.request import Request

    if kind == "runs":
        return ["latest", *sorted(_folders(Request().out))]
    try:
        project = config.load_project(None)
    except HarnessError:
        return []
    return list(project.variants.variants if kind == "variants" else (*project.devices, "all"))


def _folders(out: Path) -> list[str]:
    return [path.name for path in out.iterdir() if path.is_dir()] if out.is_dir() else []


def script(shell: str, top: argparse.ArgumentParser) -> str:
    """The completion of the command line `top`. Raises UsageError without shtab."""
    try:
        import shtab
    except ImportError:
        raise UsageError(
            "completion needs the package shtab", "pip install 'mobile-bench-harness[completion]'"
        ) from None
    top.prog = PROGRAM
    for command in _commands(top):
        for action in command._actions:
            kind = _NAMES.get(action.dest) or _METAVARS.get(str(action.metavar))
            if kind is not None and action.choices is None:
                action.complete = _completer(kind)  # type: ignore[attr-defined]
    preamble = {"bash": _BASH, "zsh": _ZSH}.get(shell, "")
    return str(shtab.complete(top, shell=shell, preamble=preamble))


def _commands(top: argparse.ArgumentParser) -> Iterable[argparse.ArgumentParser]:
    groups = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    return (command for group in groups for command in group.choices.values())


def _completer(kind: str) -> Any:
    """What shtab asks for: the function of each shell."""
    import shtab

    if kind in ("file", "directory"):
        return shtab.FILE if kind == "file" else shtab.DIRECTORY
    path = "" if kind == "devices" else "; __fish_complete_path (commandline -ct)"
    function = f"_mobile_bench_{kind}"
    fish = f"(mobile-bench completion {kind} 2>/dev/null{path})"
    return {"bash": function, "zsh": function, "fish": fish}
