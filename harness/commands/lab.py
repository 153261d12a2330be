"""A lab: phones and processors of several hosts, for `bench --lab` and `build --lab`.

    lab keys DIR HOST ...   make a certificate for each host and each person, once
    lab start [ADDRESS]     run the scheduler, until Ctrl-C or `lab stop`
    lab join ADDRESS        offer the phones and processors of this host, until Ctrl-C
    lab status [ADDRESS]    hosts, phones, what runs
    lab stop [ADDRESS]      end the lab; phones are put back as they were

Whoever has a certificate can run programs on every host of the lab. Without certificates a lab can
be reached from its own machine only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import _arguments, _json
from harness.core.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.lab import Doing, HostOffer, PhoneOffer
    from harness.engine.lab.address import Address

HELP = "phones and processors of several hosts"
EXAMPLE = "python -m harness lab join tls://lab:8786 --keys keys/bench1"

ALONE = "tcp://127.0.0.1:8786"
EVERYWHERE = "tls://0.0.0.0:8786"
ACTIONS = ("keys", "start", "join", "status", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and where the lab is."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        metavar=f"{{{','.join(ACTIONS)}}}",
        help="what to do, as listed above",
    )
    parser.add_argument(
        "what",
        nargs="*",
        default=[],  # without it, argparse calls them required if the action is missing
        metavar="ADDRESS|DIR|HOST",
        help="the address of the lab, such as tls://lab:8786; for `keys`: a folder and names",
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="the folder with the certificate of this host (default: that of devices.yaml)",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="join: what the lab calls this host (default: its own name)"
    )
    _json.add_json(parser, "what `status` shows", bare=True)
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.json is not None and "://" in args.json:
        # `lab status --json ADDRESS`, from before --json took a file.
        args.what, args.json = [*args.what, args.json], "-"
    if args.json is not None and args.action != "status":
        raise UsageError("--json is for lab status", "leave it out")
    if args.action == "keys":
        return _keys(args)
    if len(args.what) > 1:
        raise UsageError(f"lab {args.action} takes one address", "leave the others out")
    actions = {"start": _start, "join": _join, "status": _status, "stop": _stop}
    actions[args.action](args)
    return EXIT_OK


def _keys(args: argparse.Namespace) -> int:
    from harness.core.text import command

    folder, *hosts = args.what or [""]
    if not hosts:
        raise UsageError(
            "lab keys needs a folder and at least one name",
            f"write {command('lab', 'keys', 'keys', 'lab', 'bench1', 'anna')}",
        )
    try:
        from harness.engine.lab import keys

        made = keys.make(Path(folder), hosts)
    except ImportError:
        raise UsageError(
            "making keys needs the package cryptography", "pip install 'mobile-bench-harness[lab]'"
        ) from None
    for place in made:
        print(f"{place}  copy it to {place.name} and give it there with --keys")
    print(f"{Path(folder) / keys.CA_KEY}  stays here: whoever has it can let others in")
    return EXIT_OK


def _start(args: argparse.Namespace) -> None:
    from harness.engine.lab import scheduler

    address = _address(args, default=ALONE if args.keys is None else EVERYWHERE)
    scheduler.serve(address, _say)


def _join(args: argparse.Namespace) -> None:
    import platform

    from harness.engine.lab import worker
    from harness.project import config

    project = config.load_project(args.project)
    name = args.name or platform.node()
    worker.join(_address(args), name, project.devices, _say)


def _status(args: argparse.Namespace) -> None:
    from harness.engine import dask

    _json.check(args)
    engine = dask.connect(_address(args))
    try:
        hosts = engine.where()
    finally:
        engine.close()
    if not _json.write(args, hosts):
        print("\n".join(lines(hosts)))


def _stop(args: argparse.Namespace) -> None:
    from harness.engine import dask

    address = _address(args)
    engine = dask.connect(address)
    try:
        engine.end_lab()
    finally:
        engine.close()
    print(f"the lab at {address} has ended")


def _address(args: argparse.Namespace, default: str | None = None) -> Address:
    """Where the lab is: as given, else as devices.yaml says, else `default`."""
    from harness.engine.lab.address import parse
    from harness.project import config

    known = config.load_project(args.project).lab
    keys = args.keys or (Path(known.keys) if known and known.keys else None)
    if args.what:
        return parse(args.what[0], keys)
    if default is not None:
        return parse(default, keys)
    if known is not None:
        return parse(known.address, keys)
    return parse(ALONE, None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lines(hosts: Sequence[HostOffer]) -> list[str]:
    """A line for each host, and below it its phones and what runs there."""
    from harness.core.text import count, printable

    if not hosts:
        return ["the lab has no host yet; on one: python -m harness lab join ADDRESS"]
    shown = []
    wide = max((len(p.name) for host in hosts for p in host.phones), default=0)
    for host in hosts:
        core = ", TensorFlow" if host.builds else ""
        core += ", emulated ARM core" if host.arm64 else ""
        late = f", last report {host.seen_s:.0f} s ago" if host.seen_s > LATE_S else ""
        shown.append(
            f"{host.name}  {host.system}, {count(host.processors, 'processor')}{core}{late}"
        )
        busy = host.busy
        for phone in host.phones:
            doing = busy.get(phone.resource)
            state = "measuring" if doing else phone.state
            said = f"run {doing.run} of {doing.who}, {_when(doing)}" if doing else _about(phone)
            shown.append(f"  {phone.name:{wide}}  {state:12}  {said}".rstrip())
        for doing in host.doing:
            if not any(p.resource in doing.uses for p in host.phones):
                run = _NAMED.get(doing.run, f"run {doing.run}")
                shown.append(f"  {doing.name}: {run} of {doing.who}, {_when(doing)}")
    return [printable(line) for line in shown]


LATE_S = 10.0
# Work that does not belong to a run.
_NAMED = {"build": "a build", "answers": "answering test images"}


def _when(doing: Doing) -> str:
    """'20:05 to about 20:12 UTC'; with the day where that is not the same."""
    day, began = doing.since[:10], doing.since[11:16]
    if doing.until is None:
        return f"since {day} {began} UTC"
    last, ends = doing.until[:10], doing.until[11:16]
    if last != day:
        return f"{day} {began} to about {last} {ends} UTC"
    return f"{began} to about {ends} UTC"


def _about(phone: PhoneOffer) -> str:
    if phone.error:
        return phone.error
    battery = None if phone.battery_percent is None else f"battery {phone.battery_percent} %"
    emulated = "emulated" if phone.emulated and "emulated" not in (phone.model or "") else None
    held = None if phone.held is None else f"in use by {phone.held}"
    known = (phone.model, phone.os, phone.abi, emulated, battery, held)
    return ", ".join(part for part in known if part)
