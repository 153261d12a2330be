"""Every kind of device says the same things about itself, and nobody else says them for it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec
from harness.devices import Inspection, Kind, Settings, android, arm64_core, host, kind_of
from harness.devices.android import inspection as phone_inspection
from harness.devices.android import kind as phone_kind
from harness.devices.arm64_core import inspection as core_inspection
from harness.devices.arm64_core import kind as core_kind
from harness.devices.host import inspection as host_inspection
from harness.devices.host import kind as host_kind
from harness.project.request import Request
from tests.paths import ROOT

# mypy holds each module against the whole Protocol.
KINDS: tuple[Kind, ...] = (host_kind, phone_kind, core_kind)
INSPECTIONS: tuple[Inspection, ...] = (host_inspection, phone_inspection, core_inspection)
SPECS: tuple[DeviceSpec, ...] = (HostSpec(), AndroidSpec(transport="emulated"), ArmSpec())


def promised(protocol: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if name[0] != "_"}


def test_a_seam_has_six_methods_at_most() -> None:
    assert len(promised(Kind)) <= 6
    assert len(promised(Inspection)) <= 6


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_takes_what_the_protocol_says(kind: Kind) -> None:
    for name in promised(Kind):
        asked = list(inspect.signature(getattr(Kind, name)).parameters)[1:]
        assert list(inspect.signature(getattr(kind, name)).parameters) == asked, name


@pytest.mark.parametrize(("spec", "kind"), list(zip(SPECS, KINDS, strict=True)))
def test_a_device_is_of_the_kind_that_its_entry_names(spec: DeviceSpec, kind: Kind) -> None:
    assert kind_of(spec) is kind


def test_what_sets_the_kinds_apart() -> None:
    traits = {type(spec).__name__: kind_of(spec).traits(spec) for spec in SPECS}
    assert [name for name, t in traits.items() if t.counts_exactly] == ["ArmSpec"]
    assert [name for name, t in traits.items() if t.may_be_away] == ["AndroidSpec"]
    assert {name: t.processors for name, t in traits.items()} == {
        "HostSpec": "measures",
        "AndroidSpec": "borrows",
        "ArmSpec": "measures",
    }
    assert kind_of(AndroidSpec()).traits(AndroidSpec()).processors == "none"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_request_without_wishes_fits_every_kind(spec: DeviceSpec, tmp_path: Path) -> None:
    kind = kind_of(spec)
    settings = kind.settings("name", spec, Request(devices=("name",)))
    assert isinstance(settings, Settings)
    assert settings.runtimes and settings.delegates and settings.threads
    assert type(kind.read_entry(spec, tmp_path)) is type(spec)
    assert kind.read_entry(spec, None) == spec
    with kind.held(spec):
        pass


def test_an_emulated_phone_and_this_machine_are_always_ready() -> None:
    for spec in SPECS[:2]:
        kind_of(spec).check(spec, Attendant())


def test_nobody_but_a_kinds_own_folder_asks_which_kind_a_device_is() -> None:
    own = {Path(m.__file__).parent for m in (host, android, arm64_core) if m.__file__}
    asking = []
    for path in (ROOT / "harness").rglob("*.py"):
        if path.parent in own:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            asks = isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if asks else set()
            if names & {type(spec).__name__ for spec in SPECS}:
                asking.append(path.relative_to(ROOT).as_posix())
    assert asking == []
