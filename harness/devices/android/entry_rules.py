"""Rules for a phone's entry of devices.yaml that its types cannot say.

A mistake is refused when the file is read, not once a phone is connected. A key that would be
ignored is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.core.errors import ConfigError, UsageError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android.facts import GROUPS
from harness.system import plugins

# Key -> the transports that use it.
_USED_BY = {
    "serial": ("adb_usb", "adb_server"),
    "address": ("adb_tcp", "adb_server"),
    "adb_server": ("adb_server",),
    "profile": ("emulated",),
    "faults": ("emulated",),
}


def check(spec: AndroidSpec) -> None:
    """Raises ConfigError, whose message begins with the key; the caller says of which entry."""
    _check_transport(spec)
    for affinity in (spec.affinity,) if isinstance(spec.affinity, str) else spec.affinity:
        check_affinity(affinity)
    if not spec.wait_s >= 0:
        raise ConfigError(f"wait_s: {spec.wait_s} is not a time to wait", "write seconds, or 0")
    if not spec.work_dir.startswith("/"):
        raise ConfigError(
            f"work_dir: {spec.work_dir!r} is not a full path on the phone, which begins with /",
            "write one such as /data/local/tmp, or leave work_dir out",
        )
    _check_runner(spec.runner)
    if spec.transport == "emulated":
        _check_emulated(spec)


def _check_transport(spec: AndroidSpec) -> None:
    _named("transport", spec.transport, "harness.devices.transports")
    for key, transports in _USED_BY.items():
        if getattr(spec, key) == getattr(AndroidSpec(), key):
            continue
        if key == "serial" and spec.transport in ("adb_usb", "adb_tcp"):
            _check_serial(spec)
        if spec.transport in transports:
            continue
        raise ConfigError(
            f"{key}: transport {spec.transport} does not use it",
            f"remove it, or set transport to {' or '.join(transports)}",
        )
    if spec.transport == "adb_tcp" and not spec.address:
        raise ConfigError("transport: adb_tcp needs an address", "add `address: 192.168.0.20:5555`")
    for key in ("address", "adb_server"):
        if text := getattr(spec, key):
            _addressed(key, text)


def _check_serial(spec: AndroidSpec) -> None:
    """Only an adb server shows an address in the place of a serial number."""
    serial = spec.serial or ""
    host, _, port = serial.rpartition(":")
    if (host and _is_port(port)) or re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", serial):
        address = serial if host else f"{serial}:5555"
        raise ConfigError(
            f"serial: {serial!r} is an address, not a serial number",
            f"write `transport: adb_tcp` and `address: {address}`, without serial",
        )
    if "_adb-tls-connect" in serial:
        raise ConfigError(
            f"serial: {serial!r} is a phone with wireless debugging",
            "set `transport: adb_server`, after `adb pair`",
        )


def _addressed(key: str, text: str) -> None:
    host, separator, port = text.rpartition(":")
    if separator and not text.endswith("]") and not (host and _is_port(port)):
        raise ConfigError(f"{key}: {text!r} is not host:port", "write `192.168.0.20:5555`")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16


def check_affinity(affinity: str) -> None:
    """Raises ConfigError for what is not a group of cores."""
    if affinity in ("all", *GROUPS):
        return
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}", affinity) or int(affinity, 16) == 0:
        raise ConfigError(
            f"affinity: {affinity!r} is not a set of cores",
            "write all, big, mid, little or a hexadecimal mask without 0x, such as f0",
        )


def _check_runner(runner: RunnerSpec) -> None:
    _named("runner.tool", runner.tool, "harness.devices.runners")
    _check_app(runner)
    places = [key for key in ("path", "device_path") if getattr(runner, key)]
    if len(places) == 2:
        raise ConfigError("runner: both path and device_path", "give one of the two")
    for key in ("version", "url"):
        if places and getattr(runner, key):
            raise ConfigError(
                f"runner.{key}: is for a download, but {places[0]} names a file",
                "give one of the two",
            )
    if runner.dialect == "A" and runner.version and not runner.url:
        raise ConfigError(
            "runner.version: dialect A is published as a nightly build only",
            "remove it; runner.sha256 pins one build",
        )
    if runner.url and not runner.url.startswith(
        ("https://", "http://127.0.0.1:", "http://localhost:")
    ):
        raise ConfigError("runner.url: is not https", "executables are downloaded over https only")
    if runner.url:
        _translated("runner.url", lambda: _fill(runner.url or ""))
    if runner.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", runner.sha256):
        raise ConfigError(
            "runner.sha256: is not a SHA-256, which has 64 hexadecimal digits",
            "sha256sum FILE prints it",
        )


def _check_app(runner: RunnerSpec) -> None:
    if runner.tool != "benchmark_app":
        if runner.app:
            raise ConfigError(
                "runner.app: tool benchmark_model does not use it", "set `tool: benchmark_app`"
            )
    elif runner.dialect == "B":
        raise ConfigError(
            "runner.dialect: the benchmark app is of dialect A",
            "write `dialect: A`, or leave it out",
        )


def _fill(url: str) -> None:
    try:
        url.format(version="", platform="")
    except (KeyError, IndexError, ValueError):
        raise UsageError(
            "braces that are neither {version} nor {platform}", "write only these two"
        ) from None


def _check_emulated(spec: AndroidSpec) -> None:
    from harness.emulator.faults import parse
    from harness.emulator.phone import load_profile

    _translated("profile", lambda: load_profile(spec.profile))
    _translated("faults", lambda: parse(spec.faults))


def _named(key: str, name: str, package: str) -> None:
    known = plugins.names(package)
    if name not in known:
        error = plugins.unknown(key.removesuffix(".tool"), name, known)
        raise ConfigError(f"{key}: {error.message}", error.fix)


def _translated(key: str, look: Callable[[], object]) -> None:
    try:
        look()
    except UsageError as error:
        raise ConfigError(f"{key}: {error.message}", error.fix) from None
