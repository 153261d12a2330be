"""Downloads the distribution's arm64 packages and the aarch64 wheels, without root.

apt-get runs with a private configuration (state, cache, sources) that has the system's mirrors,
keys and proxies, so nothing of the system changes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from harness.core.errors import UsageError
from harness.devices.arm64_core.environment import Download
from harness.system import process

PACKAGES = ("python3", "libstdc++6")
PORTS = "http://ports.ubuntu.com/ubuntu-ports"  # where Ubuntu keeps what is not amd64
_TIMEOUT_S = 900.0
_KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
_NO_NETWORK = "look at {log}; setup can simply be run again"
# What apt says if a mirror has no arm64: about an index, and about packages.
_NOT_THERE = ("binary-arm64", "404", "Unable to locate package", "has no installation candidate")


def unpack_debian(root: Path, work: Path, log: Path) -> tuple[Download, ...]:
    """Download PACKAGES for arm64 with all they depend on into `work`, unpack them into `root`.

    Raises UsageError when the system has no apt, or its archive does not have them.
    """
    family, codename = _distribution()
    config = _private_apt(work, _sources(family, codename))
    _apt(config, log, "update")
    _apt(config, log, "install", "--download-only", "--no-install-recommends", "--yes", *PACKAGES)
    archives = sorted((work / "archives").glob("*.deb"))
    for name in ("bin", "lib", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(Path("usr", name))
    for archive in archives:
        _unpack(archive, root)
    for name in _UNUSED:
        shutil.rmtree(root / name, ignore_errors=True)
    return tuple(_download(archive) for archive in archives)


def release() -> str:
    """'debian-12': another release of the system has other packages."""
    known = _os_release()
    said = [known.get("ID", "linux"), known.get("VERSION_ID") or known.get("VERSION_CODENAME", "")]
    return re.sub(r"[^\w.-]", "-", "-".join(filter(None, said)))


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _distribution() -> tuple[str, str]:
    """('debian', 'bookworm'), ('ubuntu', 'noble'); derivatives count as what they derive from."""
    release = _os_release()
    likes = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    family = next((like for like in likes if like in _KEYRINGS), None)
    codename = release.get(f"{family}_CODENAME".upper()) or release.get("VERSION_CODENAME")
    if family is None or codename is None or shutil.which("apt-get") is None:
        raise UsageError(
            f"the arm64 Python comes from Debian's or Ubuntu's packages, and this is "
            f"{release.get('PRETTY_NAME', 'another system')}",
            "use a Debian or Ubuntu machine, a container or CI",
        )
    return family, codename


def _sources(family: str, codename: str) -> list[str]:
    """Lines of sources.list for arm64: the system's own mirrors of its release."""
    command = ["apt-get", "indextargets", "--no-release-info", "-o", "APT::Architecture=arm64"]
    listing = process.ask(
        [*command, "--format", "$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)"]
    )
    rows = [row.split() for row in listing.stdout.splitlines()]
    found = {
        (row[1], row[2], row[3])
        for row in rows
        if len(row) == 4
        and row[0] == "Packages"
        and re.fullmatch(rf"{codename}(-security|-updates)?", row[2])
        and row[3] in ("main", "universe")
    }
    if family == "ubuntu":
        found = {row for row in found if "ubuntu-ports" in row[0]} or {
            (PORTS, f"{codename}{suffix}", component)
            for suffix in ("", "-updates", "-security")
            for component in ("main", "universe")
        }
    if not found:
        raise UsageError(
            f"the package sources of this system do not name {codename}",
            "look at /etc/apt/sources.list and /etc/apt/sources.list.d",
        )
    keyring = _KEYRINGS[family]
    signed = f" signed-by={keyring}" if Path(keyring).exists() else ""
    return [f"deb [arch=arm64{signed}] {uri} {release} {c}" for uri, release, c in sorted(found)]


def _private_apt(work: Path, sources: Iterable[str]) -> Path:
    """Write the configuration of an apt that lives in `work` alone."""
    for name in ("lists/partial", "archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text("\n".join(sources) + "\n")
    config = work / "apt.conf"
    config.write_text(
        f'Dir::State "{work}";\n'
        f'Dir::State::lists "{work}/lists";\n'
        f'Dir::State::status "{work}/status";\n'
        f'Dir::Cache "{work}";\n'
        f'Dir::Cache::archives "{work}/archives";\n'
        f'Dir::Etc::sourcelist "{work}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferences "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null";\n'
        "#clear APT::Architectures;\n"
        'APT::Architecture "arm64";\n'
        'APT::Architectures { "arm64"; };\n'
        # The system's own hooks after an update must not run for this one.
        "#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n"
        'APT::Update::Error-Mode "any";\n'
        'APT::Sandbox::User "root";\n'  # the user _apt could not write into the cache
        'Acquire::Languages "none";\n'
        'Acquire::Retries "2";\n'
        'Acquire::http::Timeout "30";\n'
    )
    return config


def _apt(config: Path, log: Path, *arguments: str) -> None:
    done = process.run(
        ["apt-get", "-qq", "-c", config, *arguments],
        stdin=b"",
        log=log,
        timeout_s=_TIMEOUT_S,
        dies_with_us=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode != 0 or done.timed_out:
        why = _first_error(log, "E:") or done.ending
        lacking = any(said in why for said in _NOT_THERE)
        raise UsageError(
            f"the arm64 packages cannot be downloaded: apt-get {arguments[0]}: {why}",
            "the mirror in /etc/apt/sources.list seems to hold no arm64; name one that does, such "
            "as deb.debian.org or ports.ubuntu.com"
            if lacking
            else _NO_NETWORK.format(log=log),
        )


def _first_error(log: Path, mark: str) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in lines if line.startswith(mark)), "")


def _unpack(archive: Path, root: Path) -> None:
    """Unpack a .deb into a tree in which /lib is a link to /usr/lib, whether or not the package
    knows of that; dpkg-deb -x would replace the link by a folder."""
    tar = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)]
    read = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with process.Child(read, stderr=subprocess.DEVNULL, dies_with_us=True) as contents:
        unpacked = process.ask(tar, _TIMEOUT_S, stdin=contents.stdout, dies_with_us=True)
        contents.stdout.close()  # tar has ended, so the rest has no reader
        contents.wait()
    if unpacked.returncode != 0 or contents.returncode != 0:
        why = (unpacked.stderr.splitlines() or ["dpkg-deb failed"])[0]
        raise UsageError(
            f"{archive.name} cannot be unpacked: {why}",
            "is the disk full? setup can simply be run again",
        )


def unpack_wheels(
    site: Path, requirements: Iterable[str], root: Path, work: Path, log: Path
) -> tuple[Download, ...]:
    """Download wheels for the Python and the C library in `root`, unpack them into `site`.

    `requirements` are exact (`numpy==2.4.0`); dependencies are not followed. Raises UsageError
    when there is no such wheel for aarch64.
    """
    if importlib.util.find_spec("pip") is None:
        raise UsageError(f"{sys.executable} has no pip", "python -m ensurepip")
    wheels = work / "wheels"
    wheels.mkdir()
    requirements = list(requirements)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python_version(root)]
    for tag in _platform_tags(work / "archives"):
        command += ["--platform", tag]
    done = process.run(
        [*command, "--dest", wheels, *requirements],
        stdin=b"",
        log=log,
        timeout_s=_TIMEOUT_S,
        dies_with_us=True,
    )
    if done.returncode != 0 or done.timed_out:
        raise UsageError(
            f"no aarch64 wheels of {', '.join(requirements)} for Python {python_version(root)}: "
            f"{_first_error(log, 'ERROR:') or done.ending}",
            f"install versions here that have wheels for Python {python_version(root)}, or "
            + _NO_NETWORK.format(log=log),
        )
    site.mkdir()
    found = sorted(wheels.glob("*.whl"))
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    return tuple(_download(wheel) for wheel in found)


def python_version(root: Path) -> str:
    """'3.11', from the name of the program that python3 is a link to."""
    return (root / "usr" / "bin" / "python3").readlink().name.removeprefix("python")


def _platform_tags(archives: Path) -> list[str]:
    """What the C library among the packages can run: pip takes no tag for all older ones."""
    name = next(archives.glob("libc6_*.deb")).name
    found = re.match(r"libc6_(?:\d+%3a)?2\.(\d+)", name)
    newest = int(found[1]) if found else 28
    tags = [f"manylinux_2_{minor}_aarch64" for minor in range(newest, 16, -1)]
    return [*tags, "manylinux2014_aarch64"]


def _download(path: Path) -> Download:
    data = path.read_bytes()
    return Download(name=path.name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
