"""The shell and the commands of the emulated phone: Android's own where they are installed.

Android's shell is mksh and its commands are toybox, which differ from bash and coreutils in ways
that matter: mksh answers 1, not 126, for a program of another ABI. Debian packages both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError

# "android" or "host"; unset takes Android's where they are installed.
VARIABLE = "MOBILE_BENCH_EMULATED_USERLAND"


@dataclass(frozen=True)
class Userland:
    """`shell` runs commands. `toybox` is the program with the commands of Android; None where
    this machine's own take their place."""

    name: str
    shell: str
    toybox: str | None

    def lay_out(self, folder: Path) -> None:
        """Make `folder` hold a link for each of toybox's commands."""
        folder.mkdir(parents=True)
        if self.toybox is None:
            return
        listed = subprocess.run([self.toybox], capture_output=True, text=True, check=True)
        for command in listed.stdout.split():
            (folder / command).symlink_to(self.toybox)


def find_userland() -> Userland:
    """What the environment asks for, else the best that is installed. Raises UsageError."""
    asked = os.environ.get(VARIABLE, "")
    mksh, toybox = shutil.which("mksh"), shutil.which("toybox")
    if asked not in ("", "android", "host"):
        raise UsageError(f"{VARIABLE} is {asked!r}", "set it to android or host, or unset it")
    if asked == "android" and not (mksh and toybox):
        raise UsageError("mksh or toybox is not installed", "sudo apt-get install mksh toybox")
    if asked != "host" and mksh and toybox:
        return Userland("android", mksh, toybox)
    # Bash rather than dash: like mksh it has the arrays and tests that Android's scripts use.
    return Userland("host", shutil.which("bash") or "/bin/sh", None)
