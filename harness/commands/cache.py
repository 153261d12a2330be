"""Show what is in the cache, how large and how old it is, and which variants use it; or empty it.

Everything in the cache can be made again: built, trained, downloaded or set up. What a running
program uses is not removed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness.commands import _arguments, _json
from harness.core.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.system.cache_contents import Entry, Kind, Removed
    from harness.system.cache_use import User

HELP = "what is in the cache, and how to empty it"
EXAMPLE = "python -m harness cache prune --unused-for 30d"

_MOST_VARIANTS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Look, prune or clear."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=["prune", "clear"],
        help="prune removes what has not been used for long, clear removes everything (default: "
        "only show what is there)",
    )
    parser.add_argument(
        "--keep",
        type=_arguments.size,
        metavar="SIZE",
        help="prune: remove what has been unused the longest until this much is left, such as 10GB",
    )
    parser.add_argument(
        "--unused-for",
        type=_time_unused,
        metavar="TIME",
        help="prune: remove what has not been used for this long, such as 30d",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    _json.add_json(parser)


def _time_unused(text: str) -> float:
    """With its unit: 30 would be seconds, and remove nearly everything where days were meant."""
    if text[-1:].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} has no unit; write {text}d or {text}h")
    return _arguments.seconds(text)


def run(args: argparse.Namespace) -> int:
    """Show what is there, or remove and show what was removed."""
    from harness.core.errors import UsageError
    from harness.system import cache_contents, cache_use, files

    limits = args.keep is not None or args.unused_for is not None
    if args.action == "prune" and not limits:
        raise UsageError("cache prune needs to know what to remove", "give --keep or --unused-for")
    if args.action != "prune" and limits:
        raise UsageError("--keep and --unused-for are for prune", "write: cache prune ...")
    if args.dry_run and not args.action:
        raise UsageError("--dry-run is for prune and clear", "leave it out")
    _json.check(args)
    cache = files.cache_dir()
    if args.action is None:
        found, users = cache_contents.entries(cache), cache_use.users(cache)
        facts, lines = _facts(cache, found, users), _lines(cache, found, users)
    else:
        removed = cache_contents.remove(
            cache,
            keep_bytes=args.keep,
            unused_for_s=args.unused_for,
            everything=args.action == "clear",
            dry_run=args.dry_run,
        )
        left = cache_contents.entries(cache)
        facts = _removed_facts(cache, removed, left, dry_run=args.dry_run)
        lines = _removed_lines(cache, removed, left, dry_run=args.dry_run)
    if not _json.write(args, facts):
        print("\n".join(lines))
    return EXIT_OK


# --- for a person ------------------------------------------------------------------------------


def _lines(cache: Path, found: list[Entry], users: list[User]) -> list[str]:
    import time

    from harness.core import units

    now = time.time()
    lines = [f"{units.printable(str(cache))}: {units.file_size(_total(found))}"]
    rows = [("", "size", "made", "used", "by")]
    for kind, entries in _by_kind(found).items():
        made, used = min(e.made_at for e in entries), max(e.used_at for e in entries)
        size = units.file_size(_total(entries))
        rows.append((kind.holds, size, _age(now - made), _age(now - used), ""))
        for entry in entries if kind.listed else []:
            ages = _age(now - entry.made_at), _age(now - entry.used_at)
            size = units.file_size(entry.size_bytes)
            rows.append((f"  {_short(entry.name)}", size, *ages, _variants(entry)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if found:
        for name, *numbers, by in rows:
            cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=False)]
            lines.append("  ".join([f"{name:{widths[0]}}", *cells, by]).rstrip())
    lines += [f"used by process {u.pid} ({u.command}) since {_age(now - u.since)}" for u in users]
    return lines


def _removed_lines(cache: Path, removed: Removed, left: list[Entry], *, dry_run: bool) -> list[str]:
    from harness.core import units
    from harness.core.text import count

    did = "would remove" if dry_run else "removed"
    lines = [
        f"  {e.kind.holds}: {_short(e.name)}, {units.file_size(e.size_bytes)}"
        for e in removed.gone
        if e.kind.listed
    ]
    entries = count(len(removed.gone), "entry", "entries")
    lines.append(f"{did} {entries}, {units.file_size(_total(removed.gone))}")
    if removed.kept:
        entries = count(len(removed.kept), "entry", "entries")
        size = units.file_size(_total(removed.kept))
        lines.append(f"kept {entries}, {size}, because a running program uses or may need them")
    remains = _total(left) - (_total(removed.gone) if dry_run else 0)
    lines.append(f"{units.file_size(remains)} left in {units.printable(str(cache))}")
    return lines


def _short(name: str) -> str:
    """The start of a key, which is a digest: enough to tell them apart."""
    from harness.core import units

    digest = len(name) >= 32 and all(c in "0123456789abcdef" for c in name)
    return name[:12] if digest else units.printable(name)


def _variants(entry: Entry) -> str:
    from harness.core import units

    shown = [units.printable(name) for name in entry.variants[:_MOST_VARIANTS]]
    more = len(entry.variants) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _age(seconds: float) -> str:
    """'now', '12 min', '3 h', '40 d'."""
    for least, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= least:
            return f"{seconds // least:.0f} {name}"
    return "now"


# --- for a program -----------------------------------------------------------------------------


def _facts(cache: Path, found: list[Entry], users: list[User]) -> dict[str, object]:
    return {
        "cache": str(cache),
        "size_bytes": _total(found),
        "entries": [_entry_facts(e) for e in found],
        "users": [{"pid": u.pid, "command": u.command, "since": _iso(u.since)} for u in users],
    }


def _removed_facts(
    cache: Path, removed: Removed, left: list[Entry], *, dry_run: bool
) -> dict[str, object]:
    return {
        "cache": str(cache),
        "dry_run": dry_run,
        "removed": [_entry_facts(e) for e in removed.gone],
        "removed_bytes": _total(removed.gone),
        "kept_in_use": [_entry_facts(e) for e in removed.kept],
        "size_bytes": _total(left),
    }


def _entry_facts(entry: Entry) -> dict[str, object]:
    return {
        "kind": entry.kind.folder,
        "name": entry.name,
        "size_bytes": entry.size_bytes,
        "made_at": _iso(entry.made_at),
        "used_at": _iso(entry.used_at),
        "variants": list(entry.variants),
    }


def _iso(seconds: float) -> str:
    from harness.system.clock import iso

    return iso(seconds)


def _total(found: Iterable[Entry]) -> int:
    return sum(e.size_bytes for e in found)


def _by_kind(found: list[Entry]) -> dict[Kind, list[Entry]]:
    kinds: dict[Kind, list[Entry]] = {}
    for entry in found:
        kinds.setdefault(entry.kind, []).append(entry)
    return kinds
