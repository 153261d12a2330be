"""Phones that another machine's adb server has, reached as docs/how-to/lab.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.phones import adb_home, adb_server, emulated, run_harness

__all__ = ["adb_home"]

pytestmark = [pytest.mark.usefixtures("adb_home"), pytest.mark.slow, pytest.mark.needs("adb")]


@pytest.mark.parametrize("variable", ["ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT"])
def test_a_phone_behind_a_server_on_another_port_is_found(
    tmp_path: Path, adb_home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with adb_server(adb_home) as server, emulated() as phone:
        server.connect(phone.address)
        value = {"ADB_SERVER_SOCKET": f"tcp:{server.port}", "ANDROID_ADB_SERVER_PORT": server.port}
        monkeypatch.setenv(variable, str(value[variable]))
        entry = "{kind: android, transport: adb_server}"
        (tmp_path / "devices.yaml").write_text(f"devices: {{there: {entry}}}\n")
        done = run_harness(tmp_path, "devices")
    assert done.returncode == 0, done.stderr
    assert "there  ready" in done.stdout
    assert "Pixel 7" in done.stdout
