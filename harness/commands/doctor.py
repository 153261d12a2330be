"""Is this machine, or this phone, fit to measure on?

Each check is carried out for real: what passes here passes in a run. One line says what was found;
if something is wrong, the next line says how to fix it. If there are phones among the devices (or,
without --device, in devices.yaml), the list at the end names what this project has not yet shown on
a real phone, with the commands that show it on yours.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.commands import _arguments, _json
from harness.core.errors import EXIT_MEASUREMENT, EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.core.attendant import Attendant
    from harness.core.specs import DeviceSpec
    from harness.core.types import Finding
    from harness.devices.android.unproved import Unproved

HELP = "is this host or phone fit to measure on?"
EXAMPLE = "python -m harness doctor --device pixel"

MARKS = {"info": "ok", "warning": "!", "serious": "!!", "invalid": "!!"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which devices."""
    parser.add_argument(
        "--device",
        type=_arguments.comma_list,
        metavar="NAME[,NAME]",
        help="entries of devices.yaml, or all (default: host)",
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="also write proof-NAME.json, to be sent to the project: the phone's answer to every "
        "command that the harness relies on, and the result of each kind of measurement, without "
        "its serial; takes about ten minutes",
    )
    _json.add_json(parser, "what was found")
    _arguments.add_project(parser)


def run(args: argparse.Namespace) -> int:
    """Examine each; 3 if one of them cannot be measured on."""
    import tempfile

    from harness.devices import kind_of
    from harness.devices.android.unproved import unproved
    from harness.devices.doctor import doctor
    from harness.project import config
    from harness.system.progress import Narrator

    project = config.load_project(args.project)
    specs = project.select_devices(args.device or ("host",))
    if args.prove:
        _refuse_without_phone(specs)
    _json.check(args)
    silent = args.json == "-"
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as logs, Narrator() as narrator:
        for name, spec in specs.items():
            findings = doctor(name, spec, Path(logs), narrator.attendant(name))
            if kind_of(spec).traits(spec).at_lab == "host":  # this machine itself
                findings.append(converters())
            unfit = any(f.level in ("serious", "invalid") for f in findings)
            proof = None
            if args.prove and not unfit:
                proof = _proof(name, spec, narrator.attendant(name))
            found.append({"device": name, "fit": not unfit, "findings": findings, "proof": proof})
            if not silent:
                print("\n".join(lines(name, findings)), flush=True)
                if proof is not None:
                    print(f"  ok  proof: written to {proof}", flush=True)
    left = unproved(specs if args.device else project.devices)
    if not _json.write(args, {"devices": found, "unproved": [u._asdict() for u in left]}):
        print("\n".join(lines_of_unproved(left)), end="\n" if left else "")
    return EXIT_OK if all(one["fit"] for one in found) else EXIT_MEASUREMENT


def _proof(name: str, spec: DeviceSpec, attendant: Attendant) -> str | None:
    """Write `proof-NAME.json` in the current folder and say so; None for a kind of device that has
    nothing to prove."""
    import json

    from harness.commands import _prove
    from harness.core.specs import AndroidSpec
    from harness.core.text import plain_name
    from harness.devices import inspection_of, kind_of

    if not kind_of(spec).traits(spec).proves:
        return None
    inspection = inspection_of(spec)
    document = json.loads(inspection.prove(spec, attendant))
    document["runs"] = _prove.runs(name, cast("AndroidSpec", spec), attendant)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if serial := inspection.probe(name, spec, attendant).serial:
        text = text.replace(serial, "(serial)")
    path = Path(f"proof-{plain_name(name)}.json")
    path.write_text(text, "utf-8")
    return str(path)


def _refuse_without_phone(specs: Mapping[str, DeviceSpec]) -> None:
    from harness.devices import kind_of

    if not any(kind_of(spec).traits(spec).proves for spec in specs.values()):
        raise UsageError("--prove is for phones", "name one with --device")


def converters() -> Finding:
    """Which converters of other frameworks' models are set up; they are no condition."""
    from harness.artifacts.converters import MODELS, environment
    from harness.core.types import Finding
    from harness.system.files import cache_dir

    said, missing = [], []
    for kind in MODELS:
        found = environment.find(kind, cache_dir())
        if found is None:
            missing.append(f"python -m harness setup {kind}")
        version = (
            next((f"{n} {v}" for n, v in found.versions.items()), "") if found else "not set up"
        )
        said.append(f"{kind}: {version}")
    return Finding(
        level="info",
        code="converters",
        message="; ".join(said),
        fix=", ".join(missing),
    )


def lines(name: str, findings: Sequence[Finding]) -> list[str]:
    """The device, and its findings below."""
    shown = [name]
    for finding in findings:
        shown.append(f"  {MARKS[finding.level]:2}  {finding.code}: {finding.message}")
        if finding.fix:
            shown.append(f"      -> {finding.fix}")
    return shown


def lines_of_unproved(left: Sequence[Unproved]) -> list[str]:
    """What the project has not shown on a real phone yet, and the commands that show it."""
    if not left:
        return []
    shown = ["not yet proved on a real phone by this project; with yours you can:"]
    for one in left:
        shown += [f"  {one.what}", f"      -> {one.how}"]
    return shown
