"""The RSA key by which a phone knows this computer: the user's own, made if there is none."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.core.errors import StableDeviceError
from harness.core.text import clean
from harness.system import files


def key_path() -> Path:
    """Where adb keeps it, so that a phone that trusts adb trusts the harness."""
    if chosen := os.environ.get("ANDROID_USER_HOME"):
        return Path(chosen) / "adbkey"
    return (files.home() or files.cache_dir()) / ".android" / "adbkey"


def load_signer() -> Any:
    """adb-shell's signer with the user's key."""
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner

    with _explained() as path:
        return PythonRSASigner(_public(path), path.read_text("utf-8"))


def own_public() -> list[bytes]:
    """The public keys of this user: the harness's and, where that is another, adb's."""
    with _explained() as path:
        keys = [_public(path).encode()]
        home = files.home()
        usual = home / ".android" / "adbkey.pub" if home else None
        if usual and usual != path.with_suffix(".pub") and usual.is_file():
            keys.append(usual.read_bytes())
        return keys


def exposed() -> str:
    """A warning if other users can read the key, which gives them access to every phone that trusts
    it; else empty."""
    path = key_path()
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return ""
    if os.name != "posix" or not mode & 0o077:
        return ""
    return f"the key {path} is open to others (mode {mode:o}); chmod 600 {shlex.quote(str(path))}"


@contextlib.contextmanager
def _explained() -> Iterator[Path]:
    """The key, made if there is none; raises StableDeviceError where it cannot be used."""
    path = key_path()
    try:
        if not path.exists():
            create(path)
        yield path
    except Exception as error:  # of three packages, by what is wrong with the file
        raise StableDeviceError(
            "connect",
            f"the key {path} cannot be used: {clean(str(error), 200) or type(error).__name__}",
            "move it away; a new one is made, and the phone asks once more",
        ) from None


def _public(path: Path) -> str:
    public = path.with_suffix(".pub")
    if public.exists():
        return public.read_text("utf-8")
    import base64

    from adb_shell.auth.keygen import encode_pubkey, get_user_info

    return base64.b64encode(encode_pubkey(str(path))).decode() + str(get_user_info())


def create(path: Path) -> None:
    """Make a key of mode 600. Of two processes that do so at once, both use the first one's."""
    from adb_shell.auth.keygen import keygen

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".adbkey-") as folder:  # mode 700
        new = Path(folder) / path.name
        new.touch(mode=0o600)
        keygen(str(new))
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
            new.with_suffix(".pub").replace(path.with_suffix(".pub"))
