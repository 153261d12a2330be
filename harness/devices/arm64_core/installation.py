"""Makes an environment in the cache, finds it again, removes it.

An environment is built in a temporary folder and renamed when it is complete, so one that is found
is always complete. There is one folder per set of versions: another distribution, qemu or runtime
makes another environment. There are two locks: making or removing needs `arm64.lock` alone;
measuring shares `arm64.users`, and nothing is removed while that is held.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.core.units import file_size
from harness.devices.arm64_core import manifest, packages
from harness.devices.arm64_core.cpus import CPUS, CPUS_PY
from harness.devices.arm64_core.environment import Arm64Env, Lock, lay_out_cpus, read_counts
from harness.devices.arm64_core.qemu import COUNT_C, Qemu, compile_plugin, find_qemu
from harness.system import locks, process

LAYOUT = 2  # raise it when older environments can no longer be used
SET_UP = "python -m harness setup arm64"
_PARTIAL = "partial-"
_ANY_CPU = "cortex-a53"
_ALONE, _USERS = "arm64.lock", "arm64.users"
# Downloads exist twice for a while. Checked beforehand: on a full disk apt-get waits.
NEEDED_BYTES = 250_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_TRIAL = """
import os, numpy, ai_edge_litert.interpreter
part = [line for line in open("/proc/cpuinfo") if line.startswith("CPU part")]
assert part, "the emulated /proc/cpuinfo is not that of an ARM core"
for _ in range(3): os.getppid()
"""

Progress = Callable[[str], None]


def setup(cache: Path, *, progress: Progress) -> Arm64Env:
    """Make what is missing or damaged below `cache` and return the environment. Takes about two
    minutes the first time, a second afterwards. `progress` gets a line per step.

    Root is not needed. A second call at the same time waits for the first. Raises UsageError with
    what is missing and how to get it. An incomplete environment is never left behind.
    """
    qemu = find_qemu()
    versions = _host_versions()
    folder = _home(cache) / _name(qemu, versions)
    with _as_usage_error(cache, "made"):
        try:
            with _alone(cache, progress):
                env = _set_up(cache, folder, qemu, versions, progress)
        except OSError as error:
            if error.errno not in _REFUSED or not folder.is_dir():
                raise
            # The cache cannot be written to, but what is in it may be enough.
            env = _opened(folder, qemu, thorough=True, fix=_fix(error, cache, "made"))
    progress(f"ready: {folder}")
    return env


def _set_up(
    cache: Path, folder: Path, qemu: Qemu, versions: dict[str, str], progress: Progress
) -> Arm64Env:
    home = _home(cache)
    home.mkdir(exist_ok=True)
    for leftover in home.glob(f"{_PARTIAL}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if folder.is_dir():
        try:
            return _opened(folder, qemu, thorough=True)
        except UsageError as error:
            with _unused(cache):
                progress(f"{error.message} and is set up again")
                shutil.rmtree(folder)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home))
    try:
        lock = _build(partial, qemu, versions, home / "setup.log", progress)
        manifest.write(partial)
        partial.chmod(0o755)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Arm64Env(folder, qemu, lock)


def _build(
    folder: Path,
    qemu: Qemu,
    versions: dict[str, str],
    log: Path,
    progress: Progress,
) -> Lock:
    _refuse_if_full(folder.parent)
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
    progress("trying it on every core")
    _try_out(Arm64Env(folder, qemu, lock), log)
    (folder / "lock.json").write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=1))
    return lock


def _refuse_if_full(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise UsageError(
            f"setup needs {file_size(NEEDED_BYTES)}, and {file_size(free)} are free in {home}",
            "free some space or name another folder with MOBILE_BENCH_CACHE",
        )


def _try_out(env: Arm64Env, log: Path) -> None:
    """Try the environment on every core that this qemu has: import everything that a launch imports
    (which also writes the .pyc files) and count."""
    for cpu in [name for name in CPUS if name in env.qemu.cpus] or [_ANY_CPU]:
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


def find(cache: Path, *, thorough: bool = False) -> Arm64Env:
    """The environment for this machine's qemu and runtime below `cache`. Raises UsageError that
    says why there is none, or which of its files is missing or has another size; `thorough` reads
    every file, too."""
    qemu = find_qemu()
    home = _home(cache)
    folder = home / _name(qemu, _host_versions())
    with _as_usage_error(cache, "read"):
        if folder.is_dir():
            return _opened(folder, qemu, thorough=thorough)
        names = (path.parent.name for path in home.glob("*/lock.json"))
        others = sorted(name for name in names if not name.startswith(_PARTIAL))
    if others:
        raise UsageError(
            f"the arm64 environment was made for other versions ({', '.join(others)})", SET_UP
        )
    raise UsageError("the arm64 environment has not been set up", SET_UP)


def _opened(folder: Path, qemu: Qemu, *, thorough: bool, fix: str = SET_UP) -> Arm64Env:
    """The environment in `folder`; raises UsageError that names its damage."""
    damage = manifest.damage(folder, thorough=thorough)
    if damage is None:
        try:
            lock = msgspec.json.decode((folder / "lock.json").read_bytes(), type=Lock)
            return Arm64Env(folder, qemu, lock)
        except (OSError, msgspec.MsgspecError):
            damage = "lock.json cannot be read"
    raise UsageError(f"the arm64 environment is damaged ({damage})", fix)


def remove(cache: Path, *, progress: Progress) -> int:
    """Remove all environments below `cache`; the answer is the bytes that were freed. Waits for a
    setup that is running, and says so through `progress`. Raises UsageError while a run uses
    them."""
    with _as_usage_error(cache, "removed"):
        if not _home(cache).exists():
            return 0
        with _alone(cache, progress), _unused(cache):
            freed = size_bytes(cache)
            if freed:  # else another process was faster
                shutil.rmtree(_home(cache))
            return freed


@contextlib.contextmanager
def held(cache: Path) -> Iterator[None]:
    """Keep the environments below `cache` from being removed. If the lock is not available, they
    are not protected, but the run does not fail."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, UsageError):
            stack.enter_context(locks.lock(cache / _USERS, shared=True))
        yield


@contextlib.contextmanager
def _unused(cache: Path) -> Iterator[None]:
    """Keep runs from beginning to use the environments; raises UsageError if a run is using
    them."""
    with locks.try_lock(cache / _USERS) as alone:
        if not alone:
            raise UsageError(
                "the arm64 environment is in use by a run", "try again when that has ended"
            )
        yield


def size_bytes(cache: Path) -> int:
    """Bytes on the disk of all environments below `cache`."""
    return _size_bytes(_home(cache))


def leftover_bytes(cache: Path) -> int:
    """Bytes on the disk that interrupted setups left; 0 while one is running."""
    leftovers = list(_home(cache).glob(f"{_PARTIAL}*"))
    return sum(map(_size_bytes, leftovers)) if leftovers and not _at_work(cache) else 0


def _size_bytes(folder: Path) -> int:
    size = 0
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with contextlib.suppress(FileNotFoundError):  # a setup may be running
                size += Path(parent, name).lstat().st_blocks * 512
    return size


def _at_work(cache: Path) -> bool:
    if not (cache / _ALONE).exists():
        return False
    try:
        with locks.try_lock(cache / _ALONE, shared=True) as free:
            return not free
    except OSError:
        return False


def _home(cache: Path) -> Path:
    return cache / "arm64"


def _name(qemu: Qemu, versions: dict[str, str]) -> str:
    parts = [packages.release(), f"qemu-{qemu.version}"]
    parts += [f"{name}-{version}" for name, version in versions.items()]
    made_from = COUNT_C.read_bytes() + CPUS_PY.read_bytes() + bytes([LAYOUT])
    made_by = hashlib.sha256(made_from).hexdigest()[:8]
    return "_".join([*parts, made_by])


def _host_versions() -> dict[str, str]:
    """The versions of the runtime and of numpy on the host, which are emulated as well."""
    try:
        return {name: importlib.metadata.version(name) for name in ("ai-edge-litert", "numpy")}
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed, so there is no version to match",
            "pip install mobile-bench-harness",
        ) from error


@contextlib.contextmanager
def _as_usage_error(cache: Path, done: str) -> Iterator[None]:
    """Raise errors of the operating system as UsageError: the environment cannot be `done`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the arm64 environment in {cache} cannot be {done}: {error}",
            _fix(error, cache, done),
        ) from error


def _fix(error: Exception, cache: Path, done: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL:
        return "free some space, then run it again"
    if number in _REFUSED and done == "removed":
        return f"make {cache} writable, or remove it as the user whom it belongs to"
    if number in _REFUSED:
        return "name another folder with MOBILE_BENCH_CACHE"
    if number is None:
        return "it can simply be run again"
    return "free some space or name another folder with MOBILE_BENCH_CACHE"


@contextlib.contextmanager
def _alone(cache: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of the environments below `cache`. The system releases the lock of a process
    that is killed. The lock file is not removed, because others may be waiting for it."""
    with locks.lock(cache / _ALONE, lambda: progress("another setup is running; waiting for it")):
        yield
