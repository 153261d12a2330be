"""Downloads against a real server on loopback: continued, left, refused, from two processes."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.system.download import DownloadError, OtherFileError, Patience, download

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`, of which it sends the first `cut` bytes only; honours ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.cut: int | None = None
        self.delay_s = 0.0
        self.over = threading.Event()
        self.ranges: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content, asked = self.server.content, self.headers.get("Range")
        self.server.ranges.append(asked)
        start = 0
        if asked and self.headers.get("If-Range") == self.server.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.server.over.wait(self.server.delay_s)
        with contextlib.suppress(OSError):  # a client that has gone
            self.wfile.write(content[start : self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def broken_off(server: Server, target: Path, after: int) -> None:
    server.cut = after
    with pytest.raises(DownloadError, match=f"broke off after {after} of {len(CONTENT)} bytes"):
        download(server.url, target)
    server.cut = None


def test_a_transfer_that_broke_off_is_continued(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file"
    broken_off(server, target, 300_000)
    assert not target.exists()
    told: list[tuple[int, int | None]] = []
    digest = download(server.url, target, sha256=DIGEST, progress=lambda *p: told.append(p))
    assert digest == DIGEST
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert told[0][0] > 300_000
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == ["file"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "file", 300_000)
    server.content, server.etag = CONTENT[::-1], '"two"'
    download(server.url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[::-1]


def test_a_file_that_became_shorter_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "file", 300_000)
    server.content = CONTENT[:1000]
    download(server.url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_what_cannot_be_told_apart_is_not_continued(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    server.etag = etag
    broken_off(server, tmp_path / "file", 300_000)
    assert names(tmp_path) == []
    download(server.url, tmp_path / "file", sha256=DIGEST)
    assert server.ranges == [None, None]


def test_what_another_address_left_is_not_continued(server: Server, tmp_path: Path) -> None:
    broken_off(server, tmp_path / "file", 300_000)
    download(server.url + "?other", tmp_path / "file", sha256=DIGEST)
    assert server.ranges == [None, None]


def test_another_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OtherFileError) as caught:
        download(server.url, tmp_path / "file", sha256="0" * 64)
    assert caught.value.sha256 == DIGEST
    assert names(tmp_path) == []


def test_too_large(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="larger than 1000 bytes"):
        download(server.url, tmp_path / "file", most_bytes=1000)
    assert names(tmp_path) == []


def test_too_slow(server: Server, tmp_path: Path) -> None:
    server.delay_s = 5
    with pytest.raises(DownloadError, match="stalled for 1 s"):
        download(server.url, tmp_path / "file", patience=Patience(30, 0.6, 30))


def test_interrupted_and_continued(server: Server, tmp_path: Path) -> None:
    server.delay_s = 300

    def check() -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path / "file", check=check)
    assert time.monotonic() - began < 250
    server.delay_s = 0
    assert download(server.url, tmp_path / "file") == DIGEST


def test_two_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    server.delay_s = 1
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: download(server.url, tmp_path / "file"), range(3)))
    assert found == [DIGEST] * 3
    assert len(server.ranges) == 1
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "not a folder").touch()
    with pytest.raises(UsageError, match="make room there or make it writable"):
        download(server.url, tmp_path / "not a folder" / "file")
