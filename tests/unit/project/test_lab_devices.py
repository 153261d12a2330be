"""What the names of --device mean at a lab."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.core.lab import Doing, HostOffer, PhoneOffer, phone_resource
from harness.core.specs import AndroidSpec, ArmSpec, DeviceSpec, HostSpec
from harness.project.lab_devices import choose


def phone(name: str, serial: str, model: str, **more: object) -> PhoneOffer:
    known: dict[str, object] = {
        "resource": phone_resource(serial),
        "name": name,
        "state": "ready",
        "spec": AndroidSpec(transport="adb_server", serial=serial, affinity="big"),
        "serial": serial,
        "model": model,
    }
    return PhoneOffer(**(known | more))  # type: ignore[arg-type]


def host(name: str, *phones: PhoneOffer, **more: object) -> HostOffer:
    known: dict[str, object] = {
        "name": name,
        "address": f"tls://{name}:1",
        "processors": 4,
        "harness": "0",
        "system": "Linux x86_64",
        "phones": phones,
    }
    return HostOffer(**(known | more))  # type: ignore[arg-type]


def busy(*serials: str) -> tuple[Doing, ...]:
    uses = {phone_resource(serial): 1.0 for serial in serials}
    return (Doing(key="k", name="n", run="r", who="w", since="s", uses=uses),)


ONE = host("one", phone("pixel", "A", "Google Pixel 7"), phone("moto", "M", "Moto G"))
TWO = host(
    "two", phone("pixel", "B", "Google Pixel 7"), phone("gone", "C", "Galaxy", state="absent")
)
LAB = (ONE, TWO)


def chosen(*names: str, entries: dict[str, DeviceSpec] | None = None, wait_s: float | None = None,
           hosts: tuple[HostOffer, ...] = LAB) -> list[tuple[str, str | None]]:  # fmt: skip
    """(the name in the report, the serial)."""
    found = choose(names, entries or {}, hosts, wait_s=wait_s)
    return [(c.name, c.at_lab.serial if c.at_lab else None) for c in found]


def test_all_means_every_phone_that_is_ready() -> None:
    assert chosen("all") == [("pixel.one", "A"), ("moto", "M"), ("pixel.two", "B")]


def test_a_phone_is_meant_by_its_name_or_its_serial() -> None:
    assert chosen("moto", "pixel.two", "A") == [
        ("moto", "M"), ("pixel.two", "B"), ("pixel.one", "A")
    ]  # fmt: skip


def test_a_name_that_two_hosts_have_is_asked_for_whole() -> None:
    with pytest.raises(UsageError, match=r"several hosts have a phone pixel; say which: pixel.one"):
        chosen("pixel")


def test_any_takes_the_first_that_is_free_and_never_one_twice() -> None:
    assert chosen("any:pixel-7") == [("pixel.one", "A")]
    assert chosen("A", "any:pixel-7") == [("pixel.one", "A"), ("pixel.two", "B")]
    in_use = (host("one", *ONE.phones, doing=busy("A")), TWO)
    assert chosen("any:pixel-7", hosts=in_use) == [("pixel.two", "B")]


def test_where_every_one_is_in_use_one_may_wait() -> None:
    held = phone("pixel", "B", "Google Pixel 7", held="run x on y")
    hosts = (host("one", *ONE.phones, doing=busy("A")), host("two", held))
    with pytest.raises(UsageError, match=r"every phone of model pixel-7 is in use; .*--wait"):
        chosen("any:pixel-7", hosts=hosts)
    assert chosen("any:pixel-7", hosts=hosts, wait_s=60) == [("pixel.one", "A")]


def test_an_entry_may_name_a_model_or_a_host() -> None:
    entries: dict[str, DeviceSpec] = {
        "flagship": AndroidSpec(any="pixel-7", threads=(2,)),
        "cheap": AndroidSpec(at="one", serial="M"),
        "here": HostSpec(),
        "bench": HostSpec(at="two"),
    }
    found = choose(("flagship", "cheap", "here", "bench"), entries, LAB)
    names = [(c.name, c.at_lab and (c.at_lab.serial, c.at_lab.host)) for c in found]
    assert names == [
        ("flagship", ("A", "one")),
        ("cheap", ("M", "one")),
        ("here", None),
        ("bench", (None, "two")),
    ]
    spec = found[0].spec
    assert isinstance(spec, AndroidSpec)
    # The settings are the entry's, the way is the host's.
    assert (spec.threads, spec.affinity) == ((2,), "all")
    assert (spec.transport, spec.serial) == ("adb_server", "A")


def test_the_emulated_core_may_be_any_host_that_has_it() -> None:
    entries: dict[str, DeviceSpec] = {"arm64": ArmSpec()}
    with pytest.raises(UsageError, match="no host of the lab has the emulated ARM core"):
        choose(("arm64",), entries, LAB)
    (one,) = choose(("arm64",), entries, (ONE, host("two", arm64=True)))
    assert one.at_lab is not None and one.at_lab.spread and one.at_lab.host is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("any:galaxy", "none of 1 phone of model galaxy is ready; it has pixel.one"),
        ("any:nokia", "the lab has no phone of model nokia; it has pixel.one"),
        ("nokia", r"neither devices.yaml nor the lab has .* gone \(absent\) at one, two"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(name)


def test_one_phone_is_not_asked_for_twice() -> None:
    with pytest.raises(UsageError, match="two of the names mean the phone"):
        chosen("moto", "M")


def test_an_empty_lab_says_how_to_fill_it() -> None:
    with pytest.raises(UsageError, match=r"no phone that is ready; it has no host.*lab join"):
        chosen("all", hosts=())


@pytest.mark.parametrize(
    ("at", "serial", "said"),
    [
        ("three", None, "is at three, which is not in the lab"),
        ("one", "Z", "one has no phone Z"),
        ("one", None, r"one has several phones.*A or M"),
    ],
)
def test_an_entry_that_fits_no_phone_is_told(at: str, serial: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen("x", entries={"x": AndroidSpec(at=at, serial=serial)})
