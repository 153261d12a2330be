"""From the names of `--device` to the phones and hosts of a lab.

A name is, in this order: `any:MODEL`, an entry of devices.yaml with `any:` or `at:`, a host's name
for one of its phones, a serial, or else an entry of devices.yaml that is measured here (except for
the emulated ARM core, which any host may provide). `all` means every phone of the lab that is
ready.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.core.errors import UsageError
from harness.core.lab import HostOffer, LabDevice, PhoneOffer, is_model
from harness.core.specs import DeviceSpec
from harness.core.text import count
from harness.devices import kind_of
from harness.devices.android.at_lab import reached_by

ANY = "any:"


class Chosen(NamedTuple):
    """A device by the name that the report gives it. `at_lab` is None where it is measured here."""

    name: str
    spec: DeviceSpec
    at_lab: LabDevice | None = None


class _Phone(NamedTuple):
    """A phone, and what the whole lab calls it."""

    name: str
    host: HostOffer
    offer: PhoneOffer

    @property
    def free(self) -> bool:
        return self.offer.resource not in self.host.busy and self.offer.held is None


def choose(
    names: Sequence[str],
    entries: Mapping[str, DeviceSpec],
    hosts: Sequence[HostOffer],
    *,
    wait_s: float | None = None,
) -> list[Chosen]:
    """What each of `names` means. Raises UsageError for a name that the lab does not have, and
    lists what it has."""
    phones = list(_phones(hosts))
    if tuple(names) == ("all",):
        ready = [p for p in phones if p.offer.state == "ready"]
        if not ready:
            raise UsageError("the lab has no phone that is ready", what_it_has(hosts))
        return [_chosen(p.name, None, "all", p) for p in ready]
    taken: set[str] = set()
    chosen = []
    for name in names:
        one = _one(name, entries, hosts, phones, taken, wait_s=wait_s)
        if one.at_lab is not None and one.at_lab.resource is not None:
            if one.at_lab.resource in taken:
                raise UsageError(f"two of the names mean the phone {name}", "name each phone once")
            taken.add(one.at_lab.resource)
        chosen.append(one)
    return chosen


def _one(
    name: str,
    entries: Mapping[str, DeviceSpec],
    hosts: Sequence[HostOffer],
    phones: Sequence[_Phone],
    taken: set[str],
    *,
    wait_s: float | None,
) -> Chosen:
    entry = entries.get(name)
    model = name.removeprefix(ANY) if name.startswith(ANY) else None
    model = getattr(entry, "any", None) or model
    if model is not None:
        phone = _any(model, phones, taken, hosts, wait_s)
        called = name if entry is not None else phone.name
        return _chosen(called, entry, name, phone)
    at = getattr(entry, "at", None)
    if entry is not None and at is not None:
        return _at(name, entry, at, hosts, phones)
    found = [p for p in phones if name in (p.name, p.offer.serial)]
    if len(found) == 1:
        return _chosen(found[0].name, None, name, found[0])
    if same := [p for p in phones if p.offer.name == name]:
        both = " and ".join(p.name for p in same)
        raise UsageError(f"several hosts have a phone {name}", f"say which: {both}")
    if entry is not None and _at_lab(entry) == "core":
        _any_core(name, hosts)
        return Chosen(name, entry, LabDevice(name=name, asked=name, spread=True))
    if entry is not None:
        return Chosen(name, entry)
    raise UsageError(f"neither devices.yaml nor the lab has a device {name!r}", what_it_has(hosts))


def _any(
    model: str,
    phones: Sequence[_Phone],
    taken: set[str],
    hosts: Sequence[HostOffer],
    wait_s: float | None,
) -> _Phone:
    """The first phone of a model that is free; if none is and one may wait, the first of all."""
    of_model = [
        p for p in phones if is_model(p.offer.model or "", model) and p.offer.resource not in taken
    ]
    ready = [p for p in of_model if p.offer.state == "ready"]
    if not ready:
        state = f"none of {count(len(of_model), 'phone')} of model {model} is ready"
        raise UsageError(
            state if of_model else f"the lab has no phone of model {model}", what_it_has(hosts)
        )
    free = [p for p in ready if p.free]
    if not free and not wait_s:
        raise UsageError(f"every phone of model {model} is in use", "wait for one with --wait 10m")
    return (free or ready)[0]


def _at(
    name: str,
    entry: DeviceSpec,
    at: str,
    hosts: Sequence[HostOffer],
    phones: Sequence[_Phone],
) -> Chosen:
    """An entry that names its host."""
    host = next((h for h in hosts if h.name == at), None)
    if host is None:
        raise UsageError(f"{name} is at {at}, which is not in the lab", what_it_has(hosts))
    if _at_lab(entry) != "phone":
        spread = _at_lab(entry) == "core"
        if spread:
            _any_core(name, [host])
        return Chosen(name, entry, LabDevice(name=name, asked=name, host=at, spread=spread))
    here = [p for p in phones if p.host is host and p.offer.state == "ready"]
    serial = getattr(entry, "serial", None)
    if serial:
        here = [p for p in here if p.offer.serial == serial]
    if not here:
        wanted = f"phone {serial}" if serial else "phone that is ready"
        raise UsageError(f"{at} has no {wanted}, which {name} needs", what_it_has(hosts))
    if len(here) > 1:
        serials = " or ".join(p.offer.serial or p.name for p in here)
        raise UsageError(f"{at} has several phones, and {name} does not say which", serials)
    return _chosen(name, entry, name, here[0])


def _any_core(name: str, hosts: Sequence[HostOffer]) -> None:
    if not any(host.arm64 for host in hosts):
        raise UsageError(
            f"no host of the lab has the emulated ARM core that {name} is",
            "set it up on one and join again: python -m harness setup arm64",
        )


def _chosen(name: str, entry: DeviceSpec | None, asked: str, phone: _Phone) -> Chosen:
    """A phone with the settings of the entry, else with those that its host has."""
    spec = reached_by(entry, phone.offer.spec)
    return Chosen(
        name,
        spec,
        LabDevice(
            name=name,
            asked=asked,
            resource=phone.offer.resource,
            host=phone.host.name,
            serial=phone.offer.serial,
            model=phone.offer.model,
            spec=spec if entry is None else None,
        ),
    )


def _at_lab(entry: DeviceSpec) -> str:
    return kind_of(entry).traits(entry).at_lab


def _phones(hosts: Sequence[HostOffer]) -> Iterator[_Phone]:
    """Each phone, under its host's name for it; with the host's name behind where two have one."""
    known = Counter(phone.name for host in hosts for phone in host.phones)
    for host in hosts:
        for phone in host.phones:
            name = phone.name if known[phone.name] == 1 else f"{phone.name}.{host.name}"
            yield _Phone(name, host, phone)


def what_it_has(hosts: Sequence[HostOffer]) -> str:
    """What the lab has, as the fix of an error about something that it does not have."""
    if not hosts:
        return "it has no host; on one: python -m harness lab join ADDRESS"
    told = []
    for phone in _phones(hosts):
        said = phone.offer.model or "" if phone.offer.state == "ready" else phone.offer.state
        told.append(f"{phone.name} ({said})" if said else phone.name)
    hosts_named = ", ".join(host.name for host in hosts)
    return f"it has {', '.join(told) or 'no phone'} at {hosts_named}"
