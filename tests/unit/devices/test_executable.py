"""Where the executable comes from, over a real HTTP server."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.errors import ConfigError, HarnessError, StableDeviceError, UsageError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.devices.android.executable import cache_folder, locate, lock_file
from harness.project.config import load_project

CONTENT = b"\x7fELF" + bytes(range(256)) * 1000
ABI = "arm64-v8a"


class Site:
    """Serves one file and remembers what was asked for."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.claimed_length: int | None = None
        self.asked: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{version}}/{{platform}}/benchmark_model"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            if "/404/" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(site.claimed_length or len(site.content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(site.content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


def test_download_once_then_the_cache_and_the_lock(site: Site, tmp_path: Path) -> None:
    lock, cache = tmp_path / "runners.lock", tmp_path / "cache"
    spec = RunnerSpec(version="2.2.0", url=site.url)
    seen: list[tuple[int, int]] = []
    path = locate(spec, ABI, lambda *p: seen.append(p), cache=cache, lock=lock)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o111
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert site.asked == ["/2.2.0/android_arm64/benchmark_model"]
    assert list(json.loads(lock.read_text()).values()) == [hashlib.sha256(CONTENT).hexdigest()]
    assert locate(spec, ABI, cache=cache, lock=lock) == path
    assert len(site.asked) == 1


def test_errors_name_the_app_where_it_is_the_app() -> None:
    named = ("benchmark app", "runner.app")
    with pytest.raises(StableDeviceError) as error:
        locate(RunnerSpec(dialect="A"), "x86_64", named=named)
    assert error.value.message == "there is no benchmark app to download for ABI x86_64"
    assert error.value.fix.endswith("set runner.app in devices.yaml")
    with pytest.raises(ConfigError, match=r"runner\.app: there is no file /nowhere/x\.apk"):
        locate(RunnerSpec(path="/nowhere/x.apk"), ABI, named=named)


def test_a_lock_that_cannot_be_written_is_one_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write to .*file: File exists"):
        locate(
            RunnerSpec(url=site.url), ABI, cache=tmp_path / "cache", lock=tmp_path / "file" / "lock"
        )


def test_a_file_that_changed_under_the_same_address_is_refused(site: Site, tmp_path: Path) -> None:
    lock = tmp_path / "runners.lock"
    spec = RunnerSpec(url=site.url)
    locate(spec, ABI, cache=tmp_path / "one", lock=lock)
    site.content = CONTENT + b"evil"
    with pytest.raises(UsageError, match="has changed"):
        locate(spec, ABI, cache=tmp_path / "two", lock=lock)
    assert [p for p in (tmp_path / "two").rglob("*") if p.is_file()] == []


def test_a_cached_file_that_changed_is_refused(site: Site, tmp_path: Path) -> None:
    lock, cache = tmp_path / "runners.lock", tmp_path / "cache"
    spec = RunnerSpec(url=site.url)
    path = locate(spec, ABI, cache=cache, lock=lock)
    path.write_bytes(b"something else")
    with pytest.raises(UsageError, match="not the expected file"):
        locate(spec, ABI, cache=cache, lock=lock)


def test_the_sum_of_devices_yaml_comes_first(site: Site, tmp_path: Path) -> None:
    spec = RunnerSpec(url=site.url, sha256="0" * 64)
    with pytest.raises(UsageError, match="has changed"):
        locate(spec, ABI, cache=tmp_path, lock=tmp_path / "l")


@pytest.mark.parametrize("version", ["404", "9.9.9"])
def test_no_download_says_which_file_to_put_where(site: Site, tmp_path: Path, version: str) -> None:
    url = site.url if version == "404" else "http://127.0.0.1:1/{version}/{platform}/x"
    with pytest.raises(HarnessError) as caught:
        locate(
            RunnerSpec(version=version, url=url),
            ABI,
            cache=tmp_path / "cache",
            lock=tmp_path / "lock",
        )
    wanted = str(tmp_path / "cache" / version / "android_arm64" / "benchmark_model-")
    assert f"at {wanted}" in caught.value.fix
    assert "runner.path" in caught.value.fix
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


OFFLINE = {
    "B, the default": (RunnerSpec(), ABI, "litert/binaries/2.2.0/android_arm64/benchmark_model",
                       "2.2.0/android_arm64/benchmark_model"),
    "A": (RunnerSpec(dialect="A"), ABI, "nightly/latest/android_aarch64_benchmark_model",
          "nightly/android_aarch64/benchmark_model"),
    "A for 32 bits": (RunnerSpec(dialect="A"), "armeabi-v7a",
                      "nightly/latest/android_arm_benchmark_model",
                      "nightly/android_arm/benchmark_model"),
}  # fmt: skip


@pytest.mark.parametrize("name", OFFLINE)
def test_each_dialect_has_its_documented_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network: a proxy where nobody listens."""
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    spec, abi, address, place = OFFLINE[name]
    with pytest.raises(UsageError, match="could not be downloaded") as caught:
        locate(spec, abi, cache=tmp_path, lock=tmp_path / "lock")
    assert "put the file from https://storage.googleapis.com/" in caught.value.fix
    assert f"{address} at {tmp_path / place}" in caught.value.fix


def test_two_addresses_are_two_files(site: Site, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    one = locate(RunnerSpec(url=site.url), ABI, cache=tmp_path, lock=lock)
    site.content = b"another"
    two = locate(RunnerSpec(url=site.url + "?b"), ABI, cache=tmp_path, lock=lock)
    assert (one.read_bytes(), two.read_bytes()) == (CONTENT, b"another")


def test_a_download_that_stands_still_can_be_left(tmp_path: Path) -> None:
    """The site accepts and never answers; Ctrl-C must not wait for its time-out."""

    def check() -> None:
        raise KeyboardInterrupt

    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = RunnerSpec(url=f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            locate(spec, ABI, check=check, cache=tmp_path, lock=tmp_path / "lock")
    assert time.monotonic() - began < 25
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_cut_download_is_no_download(site: Site, tmp_path: Path) -> None:
    site.claimed_length = len(CONTENT) + 10
    with pytest.raises(HarnessError, match="could not be downloaded"):
        locate(RunnerSpec(url=site.url), ABI, cache=tmp_path / "c", lock=tmp_path / "l")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_path_needs_no_network(tmp_path: Path) -> None:
    file = tmp_path / "my benchmark"
    file.write_bytes(b"x")
    assert locate(RunnerSpec(path=str(file)), "x86") == file
    good = hashlib.sha256(b"x").hexdigest()
    assert locate(RunnerSpec(path=str(file), sha256=good.upper()), "x86") == file
    with pytest.raises(UsageError, match="not the expected file"):
        locate(RunnerSpec(path=str(file), sha256="1" * 64), "x86")
    with pytest.raises(ConfigError, match="there is no file"):
        locate(RunnerSpec(path=str(tmp_path / "none")), "x86")


def test_no_prebuilt_for_this_abi(tmp_path: Path) -> None:
    for abi in ("mips", "x86_64"):
        with pytest.raises(StableDeviceError, match=f"ABI {abi}") as caught:
            locate(RunnerSpec(), abi, cache=tmp_path, lock=tmp_path / "l")
        assert "runner.path" in caught.value.fix
    with pytest.raises(StableDeviceError, match="ABI armeabi-v7a") as caught:
        locate(RunnerSpec(), "armeabi-v7a", cache=tmp_path, lock=tmp_path / "l")
    assert "set runner.dialect to A" in caught.value.fix


def test_executables_come_over_https(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not https"):
        locate(
            RunnerSpec(url="http://example.org/{version}"), ABI, cache=tmp_path, lock=tmp_path / "l"
        )


PHONE = "devices: {p: {kind: android, runner: {dialect: A}}, host: {kind: host}}"


@pytest.mark.parametrize("here", [True, False])
def test_the_lock_is_beside_devices_yaml_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "devices.yaml").write_text(PHONE)
    monkeypatch.chdir(project if here else tmp_path)
    phone = load_project(None if here else project).device("p")
    assert isinstance(phone, AndroidSpec)
    assert lock_file(phone.runner) == project / "runners.lock"


def test_without_a_project_the_lock_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in any folder must not leave a file there."""
    monkeypatch.chdir(tmp_path)
    phone = load_project().device("pixel")
    assert isinstance(phone, AndroidSpec)
    assert lock_file(phone.runner) == cache_folder() / "runners.lock"
