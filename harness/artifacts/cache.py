"""Artifacts and trained networks in the cache, each under a digest of everything it is made from.

CACHE/artifacts/KEY/model.tflite, artifact.json    whole or not there
CACHE/trained/KEY/network.npz, training.*          likewise
CACHE/*/KEY/used-by                                see harness.system.cache_use
CACHE/*/.partial-KEY-*/                            being built, or left by a killed build
CACHE/checkpoints/KEY/                             the state of an unfinished training
CACHE/locks/KEY                                    held while KEY is built
CACHE/logs/                                        the output of TensorFlow
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from harness.artifacts.child.protocol import Trained
from harness.core.types import Artifact
from harness.system import cache_use, files
from harness.system.files import writing
from harness.system.locks import lock, try_lock

MODEL = "model.tflite"
DESCRIPTION = "artifact.json"
NETWORK = "network.npz"
TRAINING = "training.json"
CURVE = "training.csv"
ARTIFACTS, TRAINED = "artifacts", "trained"
BUILT = (ARTIFACTS, TRAINED)  # the folders of the cache
_PARTIAL = ".partial-"


class Corrupted(Exception):
    """A cached artifact is incomplete or has changed since it was built."""


class Folders:
    """Finished folders by key, whole or not there. Several processes may use them at once."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root.absolute()
        self._finished = self.root / kind

    def folder(self, key: str) -> Path:
        """Where KEY is, or will be."""
        return self._finished / key

    def note_use(self, key: str, variant: str) -> None:
        """Note that a variant is about to use KEY, if it is there; call this before looking."""
        cache_use.note_use(self.root, self.folder(key), variant)

    def log(self, key: str, label: str) -> Path:
        """Where the log of building KEY goes."""
        return self.root / "logs" / f"{label}-{key[:12]}.log"

    def discard(self, key: str) -> None:
        """Remove KEY."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    @contextmanager
    def lock(
        self,
        key: str,
        waiting: Callable[[], None] | None = None,
        stopping: threading.Event | None = None,
    ) -> Iterator[None]:
        """Lock KEY. Look for it again once inside, because another process may just have built it.
        If `stopping` is set meanwhile, waiting ends in an error."""
        with ExitStack() as stack:
            with writing(self.root):
                stack.enter_context(lock(self.root / "locks" / key, waiting, stopping))
            yield

    @contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """An empty folder to build KEY in; call it with the lock held.

        On leaving, the folder becomes KEY; on an exception it is removed.
        """
        with writing(self.root):
            self._finished.mkdir(parents=True, exist_ok=True)
            (self.root / "logs").mkdir(exist_ok=True)
            self._sweep(key)
            folder = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{key}-", dir=self._finished))
        try:
            yield folder
            with writing(self.root):
                for path in [*folder.iterdir(), folder]:
                    _flush(path)
                folder.rename(self.folder(key))
                _flush(self._finished)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self, own: str) -> None:
        """Remove what killed builds left: partial folders of keys that nobody holds, and of `own`,
        which we hold."""
        for folder in self._finished.glob(f"{_PARTIAL}*"):
            key = folder.name.removeprefix(_PARTIAL).partition("-")[0]
            with try_lock(self.root / "locks" / key) as held:
                if held or key == own:
                    shutil.rmtree(folder, ignore_errors=True)


class Cache(Folders):
    """Finished artifacts."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, ARTIFACTS)

    def get(self, key: str) -> Artifact | None:
        """The finished artifact, its file checked against its digest; None if it is not there.

        Raises Corrupted if it is there and broken.
        """
        folder = self.folder(key)
        try:
            artifact = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Artifact)
            intact = files.sha256(folder / MODEL) == artifact.sha256
        except FileNotFoundError:
            if folder.exists():
                raise Corrupted(f"{folder} is incomplete") from None
            return None
        except msgspec.DecodeError as error:
            raise Corrupted(f"{folder / DESCRIPTION}: {error}") from None
        if not intact:
            raise Corrupted(f"{folder / MODEL} has changed since it was built")
        return msgspec.structs.replace(artifact, path=str(folder / MODEL))

    def intact(self, key: str) -> Artifact | None:
        """The finished artifact; a broken one is removed, and None is returned. Call it with the
        lock held."""
        try:
            return self.get(key)
        except Corrupted:
            self.discard(key)
            return None


class TrainedCache(Folders):
    """Finished networks."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, TRAINED)

    def weights(self, key: str) -> Path:
        """Where the weights of KEY are, or will be."""
        return self.folder(key) / NETWORK

    def checkpoint(self, key: str) -> Path:
        """Where training KEY saves its state after each epoch."""
        return self.root / "checkpoints" / key

    def has(self, key: str) -> bool:
        """Whether KEY is there with its weights unchanged; otherwise it is removed."""
        folder = self.folder(key)
        try:
            noted = msgspec.json.decode((folder / TRAINING).read_bytes(), type=Trained)
            if files.sha256(folder / NETWORK) == noted.sha256:
                return True
        except (FileNotFoundError, msgspec.DecodeError):
            pass
        self.discard(key)
        return False


def _flush(path: Path) -> None:
    """Flush to the disk, so that a power cut after the rename cannot leave an empty file."""
    if path.is_dir() and sys.platform == "win32":
        return  # folders cannot be opened there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
