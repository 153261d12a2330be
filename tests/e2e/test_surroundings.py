"""Where the harness is started from: packages in odd places, no home folder, no current folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import DATA, ROOT

PACKAGES = [path for path in sys.path if path.endswith("site-packages")]
BENCH = ["bench", str(DATA / "tiny.tflite"), "--quick", "--launches", "2", "--json", "-"]


def started(
    command: list[str], cwd: Path, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **variables}
    return subprocess.run(
        command,
        cwd=cwd,
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


def measured(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    return case["status"] != "failed" and case["metrics"]["latency"]["point"] is not None


@pytest.mark.parametrize("by", ["PYTHONPATH", "pip install --user"])
def test_packages_outside_the_environment_are_found_by_the_workers_too(
    tmp_path: Path, by: str
) -> None:
    """A Python that has none of the packages itself."""
    venv = tmp_path / "venv"
    shared = ["--system-site-packages"] if by != "PYTHONPATH" else []
    make = [sys.executable, "-m", "venv", "--without-pip", *shared, str(venv)]
    subprocess.run(make, check=True)
    python = str(venv / "bin" / "python")
    env: dict[str, str | None] = {"PYTHONPATH": None, "PYTHONUSERBASE": None}
    if by == "PYTHONPATH":
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *PACKAGES])
    else:
        env["PYTHONUSERBASE"] = str(tmp_path / "user")
        code = "import site; print(site.getusersitepackages())"
        (folder,) = started([python, "-c", code], tmp_path, **env).stdout.split()
        Path(folder).mkdir(parents=True)
        (Path(folder) / "ours.pth").write_text("\n".join([str(ROOT), *PACKAGES]))
    env["MOBILE_BENCH_CACHE"] = str(tmp_path / "cache")
    doctor = started([python, "-m", "harness", "doctor"], tmp_path, **env)
    assert "ok  runtime: litert" in doctor.stdout, doctor.stderr
    assert measured(started([python, "-m", "harness", *BENCH], tmp_path, **env))


def test_no_home_and_no_entry_in_the_list_of_users(tmp_path: Path) -> None:
    code = (
        "import pwd, sys\n"
        "def unknown(uid): raise KeyError(f'getpwuid(): uid not found: {uid}')\n"
        "pwd.getpwuid = unknown\n"
        "from harness.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    env: dict[str, str | None] = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "MOBILE_BENCH_CACHE"))
    env |= {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT)}
    (tmp_path / "tmp").mkdir()
    assert measured(started([sys.executable, "-c", code, *BENCH], tmp_path, **env))
    (cache,) = (tmp_path / "tmp").glob("mobile-bench-harness-*")
    assert cache.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "~").exists()

    env["MOBILE_BENCH_CACHE"] = "~/cache"
    done = started([sys.executable, "-c", code, *BENCH], tmp_path, **env)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the home folder in ~/cache is not known; set HOME, or write the path without ~\n"
    )


def test_a_cache_that_is_another_users_is_not_taken(tmp_path: Path) -> None:
    code = "import pwd; pwd.getpwuid = {}.__getitem__; from harness.system import files; "
    code += "print(files.cache_dir())"
    env = {"HOME": None, "XDG_CACHE_HOME": None, "MOBILE_BENCH_CACHE": None}
    link = tmp_path / f"mobile-bench-harness-{os.getuid()}"
    link.symlink_to(tmp_path)
    done = started([sys.executable, "-c", code], ROOT, **env, TMPDIR=str(tmp_path))
    assert "is not a folder of this user's own" in done.stderr


def test_what_an_encoding_lacks_is_written_in_ascii(tmp_path: Path) -> None:
    """A name, signs of a table and a strip of intervals."""
    model = tmp_path / "größe.tflite"
    model.write_bytes((DATA / "tiny.tflite").read_bytes())
    bench = ["bench", str(model), "--quick", "--launches", "2"]
    said = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    for words in (bench, ["history"], ["history", "*"], ["explain", str(model)], ["init", "ß"]):
        done = started([sys.executable, "-m", "harness", *words], tmp_path, **said)
        assert done.returncode in (0, 3), done.stderr
        assert "Traceback" not in done.stderr, words
        if words[0] == "explain":
            assert "gr\\xf6\\xdfe.tflite" in done.stdout


def in_a_removed_folder(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "gone").mkdir(exist_ok=True)
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    command = [sys.executable, "-m", "harness", *arguments]
    return started(
        ["sh", "-c", script, "sh", str(tmp_path / "gone"), *command],
        tmp_path,
        PYTHONPATH=str(ROOT),
    )


def test_in_a_removed_folder_what_needs_it_not_goes_on(tmp_path: Path) -> None:
    assert measured(in_a_removed_folder(tmp_path, *BENCH, "--out", str(tmp_path / "reports")))
    doctor = in_a_removed_folder(tmp_path, "doctor")
    assert "the current folder has been removed" in doctor.stdout


@pytest.mark.parametrize(
    "arguments", [BENCH, ["history"], ["init", "here"], ["report", "latest"], ["devices"]]
)
def test_in_a_removed_folder_the_rest_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    done = in_a_removed_folder(tmp_path, *arguments)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2), done.stderr
    assert done.returncode == 0 or len(done.stderr.splitlines()) == 1, done.stderr
