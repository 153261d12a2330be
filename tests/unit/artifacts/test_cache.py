"""Artifacts are whole or not there, whatever happens to the process that makes them."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from harness.artifacts.cache import DESCRIPTION, MODEL, Cache, Corrupted
from harness.core.errors import UsageError
from harness.core.types import Artifact
from harness.system.locks import lock, try_lock

KEY = "0123456789abcdef"


def put(cache: Cache, key: str = KEY, data: bytes = b"TFL3") -> None:
    digest = hashlib.sha256(data).hexdigest()
    artifact = Artifact(variant="", path="elsewhere", sha256=digest, size_bytes=4, gzip_bytes=4)
    with cache.lock(key), cache.building(key) as folder:
        (folder / MODEL).write_bytes(data)
        (folder / DESCRIPTION).write_bytes(msgspec.json.encode(artifact))


def test_what_is_put_is_got(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    put(cache)
    artifact = cache.get(KEY)
    assert artifact is not None
    assert Path(artifact.path).read_bytes() == b"TFL3"
    cache.discard(KEY)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("name", [MODEL, DESCRIPTION])
@pytest.mark.parametrize("damage", [b"", b"TFL4", None])
def test_damage_is_noticed(tmp_path: Path, name: str, damage: bytes | None) -> None:
    cache = Cache(tmp_path)
    put(cache)
    path = tmp_path / "artifacts" / KEY / name
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(Corrupted):
        cache.get(KEY)


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError), cache.lock(KEY), cache.building(KEY) as folder:
        (folder / MODEL).write_bytes(b"TF")
        raise ZeroDivisionError
    assert cache.get(KEY) is None
    assert list((tmp_path / "artifacts").iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from harness.artifacts.cache import Cache
cache = Cache(Path(sys.argv[1]))
with cache.lock(sys.argv[2]), cache.building(sys.argv[2]) as folder:
    (folder / "model.tflite").write_bytes(b"TF")
    print("building", flush=True)
    time.sleep(60)
"""


def start_building(root: Path, key: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root), key], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"building\n"
    return process


def test_killed_build_frees_its_lock_and_is_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with start_building(tmp_path, KEY) as process:
        partial = next((tmp_path / "artifacts").iterdir())
        put(cache, "another")
        assert partial.exists()  # in use, so nobody touches it
        process.send_signal(signal.SIGKILL)
    assert cache.get(KEY) is None
    put(cache, KEY)
    assert sorted(p.name for p in (tmp_path / "artifacts").iterdir()) == [KEY, "another"]


def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    told: list[float] = []
    with start_building(tmp_path, KEY) as process:
        with try_lock(tmp_path / "locks" / KEY) as held:
            assert not held
        killer = subprocess.Popen(
            [sys.executable, "-c", f"import os, time; time.sleep(0.5); os.kill({process.pid}, 9)"]
        )
        with Cache(tmp_path).lock(KEY, lambda: told.append(time.monotonic())):
            assert len(told) == 1
            assert time.monotonic() - told[0] > 0.2
        killer.wait()


def test_lock_is_free_again_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "x"):
        raise ZeroDivisionError
    with try_lock(tmp_path / "x") as held:
        assert held


def test_cache_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write to"):
        put(Cache(tmp_path / "file"))
