"""Puts an environment together in the cache, finds it again, removes it.

An environment is built in a folder of its own and renamed when it is whole, so that what is found
is finished. One folder per set of versions: another qemu or runtime makes another environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from harness import process
from harness.arm64 import packages
from harness.arm64.cpus import CPUS_PY
from harness.arm64.environment import Arm64Env, Lock, lay_out_cpus, read_counts
from harness.arm64.qemu import COUNT_C, Qemu, compile_plugin, find_qemu
from harness.core.errors import UsageError

LAYOUT = 1  # raise it when environments of old cannot be used any more
MEND = "python -m harness setup arm64"
_PARTIAL = "partial-"
_TRIED, _ANY_CPU = ("cortex-a76", "max"), "cortex-a53"
_USERS = "arm64.users"
_TRIAL = """
import os, numpy, ai_edge_litert.interpreter
part = [line for line in open("/proc/cpuinfo") if line.startswith("CPU part")]
assert part, "the emulated /proc/cpuinfo is not that of an ARM core"
for _ in range(3): os.getppid()
"""


def setup(cache: Path, *, progress: Callable[[str], None]) -> Arm64Env:
    """Put together what is missing below `cache` and return the environment; about two minutes
    the first time, at once afterwards. `progress` gets a line per step.

    Needs no root. A second call at the same time waits for the first. Raises UsageError with what
    is missing and how to get it; whatever ends it, no half-made environment is left to be found.
    """
    qemu = find_qemu()
    versions = _host_versions()
    home = _home(cache)
    with _one_line(cache), _alone(cache, progress):
        home.mkdir(exist_ok=True)
        for leftover in home.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = home / _name(qemu, versions)
        if folder.is_dir():
            try:
                env = Arm64Env(folder, qemu, _read_lock(folder))
            except (OSError, msgspec.MsgspecError):
                progress(f"{folder} is damaged and made anew")
                shutil.rmtree(folder)
            else:
                progress(f"ready: {folder}")
                return env
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home))
        try:
            lock = _build(partial, qemu, versions, home / "setup.log", progress)
            partial.chmod(0o755)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        progress(f"ready: {folder}")
        return Arm64Env(folder, qemu, lock)


def _build(
    folder: Path,
    qemu: Qemu,
    versions: dict[str, str],
    log: Path,
    progress: Callable[[str], None],
) -> Lock:
    log.write_bytes(b"")
    root, site, work = folder / "root", folder / "site", folder / "work"
    root.mkdir()
    work.mkdir()
    progress(f"compiling the counting plugin for qemu {qemu.version}")
    compiler = compile_plugin(qemu, folder / "count.so")
    progress("downloading and unpacking the distribution's arm64 Python")
    debs = packages.unpack_debian(root, work, log)
    python = packages.python_version(root)
    wanted = [f"{package}=={version}" for package, version in versions.items()]
    progress(f"downloading and unpacking {' and '.join(wanted)} for aarch64, Python {python}")
    wheels = packages.unpack_wheels(site, wanted, root, work, log)
    shutil.rmtree(work)
    lay_out_cpus(folder)
    lock = Lock(
        qemu=qemu.version,
        plugin_api=qemu.plugin_api,
        compiler=compiler,
        python=python,
        litert=versions["ai-edge-litert"],
        numpy=versions["numpy"],
        packages=debs,
        wheels=wheels,
    )
    progress("trying it")
    _try_out(Arm64Env(folder, qemu, lock), log)
    (folder / "lock.json").write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=1))
    return lock


def _try_out(env: Arm64Env, log: Path) -> None:
    """Import all that a launch imports, which also leaves its .pyc behind, and count; on the core
    that devices.yaml names and on the one that can do most, as far as this qemu has them."""
    for cpu in [name for name in _TRIED if name in env.qemu.cpus] or [_ANY_CPU]:
        _try_out_on(cpu, env, log)


def _try_out_on(cpu: str, env: Arm64Env, log: Path) -> None:
    counts = env.folder / "counts"
    variables = {k: v for k, v in env.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = process.run(
        env.python(cpu, ["-c", _TRIAL], counts=counts, folder=env.folder),
        stdin=b"",
        log=log,
        timeout_s=300,
        env=variables,
        dies_with_us=True,
    )
    if done.returncode != 0:
        raise UsageError(
            f"the arm64 Python does not run on {cpu} under qemu {env.qemu.version} "
            f"({done.ending}): {process.last_line(log)}",
            f"look at {log}",
        )
    try:
        seen = read_counts(counts)
    except (OSError, ValueError):
        seen = []
    if len(seen) != 3 or not 0 < seen[0] < seen[1] < seen[2]:
        raise UsageError(
            f"the counting plugin does not count under qemu {env.qemu.version}: {seen}",
            "try another version of qemu, and report this",
        )
    counts.unlink()


def find(cache: Path) -> Arm64Env | UsageError:
    """The environment for this machine's qemu and runtime below `cache`, or why there is none."""
    try:
        qemu = find_qemu()
        versions = _host_versions()
    except UsageError as error:
        return error
    home = _home(cache)
    folder = home / _name(qemu, versions)
    try:
        return Arm64Env(folder, qemu, _read_lock(folder))
    except FileNotFoundError:
        pass
    except (OSError, msgspec.MsgspecError) as error:
        return UsageError(
            f"the arm64 environment in {folder} is damaged ({error})",
            f"{MEND} --remove, then {MEND}",
        )
    others = [path.parent.name for path in home.glob("*/lock.json")]
    if others:
        return UsageError(
            f"the arm64 environment was made for other versions ({', '.join(sorted(others))})", MEND
        )
    return UsageError("the arm64 environment has not been set up", MEND)


def remove(cache: Path) -> int:
    """Remove all environments below `cache`; the answer is the bytes that were freed. Raises
    UsageError while a run uses them."""
    import fcntl

    if not cache.is_dir():
        return 0
    with _one_line(cache), _alone(cache, lambda _: None):
        if not _home(cache).exists():
            return 0
        with (cache / _USERS).open("w") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    "the arm64 environment is in use by a run", "remove it when that has ended"
                ) from None
            freed = size_bytes(cache)
            shutil.rmtree(_home(cache))
    return freed


def hold(cache: Path) -> IO[str] | None:
    """Keep the environments below `cache` from being removed until the answer is closed, or this
    process ends. None where the cache is not ours to write, and so not to remove either."""
    import fcntl

    try:
        users = (cache / _USERS).open("w")
    except OSError:
        return None
    fcntl.flock(users, fcntl.LOCK_SH)
    return users


def size_bytes(cache: Path) -> int:
    """Bytes on the disk of all environments below `cache`."""
    found = [path.lstat() for path in _home(cache).rglob("*")] if _home(cache).exists() else []
    return sum(stat.st_blocks * 512 for stat in found)


def _home(cache: Path) -> Path:
    return cache / "arm64"


def _name(qemu: Qemu, versions: dict[str, str]) -> str:
    parts = [f"qemu-{qemu.version}", *(f"{name}-{version}" for name, version in versions.items())]
    made_from = COUNT_C.read_bytes() + CPUS_PY.read_bytes() + bytes([LAYOUT])
    made_by = hashlib.sha256(made_from).hexdigest()[:8]
    return "_".join([*parts, made_by])


def _host_versions() -> dict[str, str]:
    """What the host's launches run on, so that the same is emulated."""
    try:
        return {name: importlib.metadata.version(name) for name in ("ai-edge-litert", "numpy")}
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, so there is no version to match",
            "pip install mobile-bench-harness",
        ) from error


def _read_lock(folder: Path) -> Lock:
    return msgspec.json.decode((folder / "lock.json").read_bytes(), type=Lock)


@contextlib.contextmanager
def _one_line(cache: Path) -> Iterator[None]:
    """Whatever the system refuses, told as an error of ours."""
    try:
        yield
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"the arm64 environment in {cache} cannot be made or removed: {error}",
            "free some space or name another folder with MOBILE_BENCH_CACHE; it can simply be run "
            "again",
        ) from error


@contextlib.contextmanager
def _alone(cache: Path, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the environments below `cache`; the system lets go of it for a process
    that is killed. The lock file stays, because others may be waiting on it."""
    import fcntl

    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "arm64.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another setup is at work; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
