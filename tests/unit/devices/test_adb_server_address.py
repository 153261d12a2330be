"""Where the adb server is looked for: where adb itself would."""

from __future__ import annotations

import pytest

from harness.core.errors import ConfigError
from harness.core.specs import AndroidSpec
from harness.devices.transports import adb_server

VARIABLES = ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS", "ANDROID_ADB_SERVER_PORT")


def where(monkeypatch: pytest.MonkeyPatch, adb: str | None = None, **variables: str) -> str:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    host, port = adb_server._server(AndroidSpec(transport="adb_server", adb_server=adb))
    return f"{host} {port}"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "127.0.0.1 5037"),
        ({"ANDROID_ADB_SERVER_PORT": "5038"}, "127.0.0.1 5038"),
        ({"ANDROID_ADB_SERVER_ADDRESS": "bench1"}, "bench1 5037"),
        (
            {"ANDROID_ADB_SERVER_ADDRESS": "bench1", "ANDROID_ADB_SERVER_PORT": "5038"},
            "bench1 5038",
        ),
        ({"ADB_SERVER_SOCKET": "tcp:bench2:6000"}, "bench2 6000"),
        ({"ADB_SERVER_SOCKET": "tcp:6000"}, "127.0.0.1 6000"),
        ({"ADB_SERVER_SOCKET": "tcp:[::1]:6000"}, "::1 6000"),
        # The whole socket wins, as in adb.
        (
            {"ADB_SERVER_SOCKET": "tcp:bench2:6000", "ANDROID_ADB_SERVER_ADDRESS": "bench1"},
            "bench2 6000",
        ),
    ],
)
def test_the_server_is_where_adb_looks_for_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    assert where(monkeypatch, **variables) == expected


def test_devices_yaml_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = {"ADB_SERVER_SOCKET": "tcp:bench2:6000"}
    assert where(monkeypatch, "bench3:7000", **socket) == "bench3 7000"
    assert where(monkeypatch, "bench3", ANDROID_ADB_SERVER_PORT="7001") == "bench3 7001"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ANDROID_ADB_SERVER_PORT": "x"}, "ANDROID_ADB_SERVER_PORT is 'x'"),
        ({"ANDROID_ADB_SERVER_PORT": "0"}, "ANDROID_ADB_SERVER_PORT is '0'"),
        ({"ADB_SERVER_SOCKET": "localfilesystem:/tmp/adb"}, "only tcp: can be used"),
        ({"ADB_SERVER_SOCKET": "tcp:"}, "only tcp: can be used"),
        ({"ADB_SERVER_SOCKET": "tcp:bench:x"}, "not host:port"),
    ],
)
def test_what_adb_would_refuse_is_told(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        where(monkeypatch, **variables)
