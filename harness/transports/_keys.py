"""The RSA key by which a phone knows this computer: the user's own, made if there is none."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from harness.core.errors import StableDeviceError
from harness.core.text import clean


def key_path() -> Path:
    """Where adb keeps it, so that a phone that trusts adb trusts the harness."""
    home = os.environ.get("ANDROID_USER_HOME")
    return (Path(home) if home else Path.home() / ".android") / "adbkey"


def load_signer() -> Any:
    """adb-shell's signer with the user's key."""
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner

    path = key_path()
    try:
        if not path.exists():
            create(path)
        return PythonRSASigner(_public(path), path.read_text("utf-8"))
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
