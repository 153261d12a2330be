"""Which ABI an executable is for, read from its ELF header.

Source: ELF specification, e_ident and e_machine; the names are Android's.
"""

from __future__ import annotations

from pathlib import Path

_ABIS = {
    (1, 3): "x86",
    (1, 40): "armeabi-v7a",
    (2, 62): "x86_64",
    (2, 183): "arm64-v8a",
    (2, 243): "riscv64",
}
# A 64-bit phone also runs 32-bit programs of the same family.
_ALSO_RUNS = {"arm64-v8a": ("armeabi-v7a",), "x86_64": ("x86",)}


def abi_of(path: Path) -> str | None:
    """ "arm64-v8a", "x86_64" ...; None for a file that is not ELF or is for another machine.
    Raises OSError."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    order = "big" if head[5] == 2 else "little"
    machine = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]
    return _ABIS.get((head[4], machine))


def can_run(phone_abi: str, file_abi: str) -> bool:
    """Whether a phone with this ABI runs executables of that one."""
    return file_abi == phone_abi or file_abi in _ALSO_RUNS.get(phone_abi, ())
