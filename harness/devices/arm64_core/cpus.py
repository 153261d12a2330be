"""The cores to choose from. The features of a core decide which kernels the runtime picks, and so
the counts: plain NEON, int8 dot product, int8 matrix multiply."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness.core.errors import UsageError


class Cpu(NamedTuple):
    """One core: its name in qemu, how it identifies itself, and the phones that have it.

    `implementer`, `part`, `variant` and `revision` are the fields of the main ID register that
    the runtime reads from /proc/cpuinfo to know the core; `since` is the first qemu that has it.
    """

    name: str
    part: int
    variant: int
    revision: int
    features: str
    kernels: str
    phones: str
    since: tuple[int, int]
    implementer: int = 0x41  # Arm

    def cpuinfo(self) -> str:
        """/proc/cpuinfo of a machine with one such core, as the Linux kernel writes it."""
        return (
            "processor\t: 0\n"
            "BogoMIPS\t: 100.00\n"
            f"Features\t: {self.features}\n"
            f"CPU implementer\t: 0x{self.implementer:02x}\n"
            "CPU architecture: 8\n"
            f"CPU variant\t: 0x{self.variant:x}\n"
            f"CPU part\t: 0x{self.part:03x}\n"
            f"CPU revision\t: {self.revision}\n\n"
        )


CPUS_PY = Path(__file__)

_V8 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_V9 = f"{_V8_2} sha3 sha512 asimdfhm dit uscat ilrcpc flagm sve sve2 svei8mm i8mm bf16"

CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu(
            name="cortex-a53",
            part=0xD03,
            variant=0,
            revision=4,
            features=_V8,
            kernels="NEON",
            phones="small cores of 2014 to 2018: Snapdragon 410, 625, 630, Helio P and A series",
            since=(2, 12),
        ),
        Cpu(
            name="cortex-a55",
            part=0xD05,
            variant=2,
            revision=0,
            features=_V8_2,
            kernels="NEON, fp16, int8 dot product",
            phones="small cores of nearly every phone of 2018 to 2022",
            since=(8, 0),
        ),
        Cpu(
            name="cortex-a72",
            part=0xD08,
            variant=0,
            revision=3,
            features=_V8,
            kernels="NEON",
            phones="big cores of 2015 to 2017: Snapdragon 650 and 652, Kirin 950, Helio X20",
            since=(4, 0),
        ),
        Cpu(
            name="cortex-a76",
            part=0xD0B,
            variant=4,
            revision=1,
            features=_V8_2,
            kernels="NEON, fp16, int8 dot product",
            phones="big cores of 2018 to 2022: Snapdragon 855, 675, 720G, Kirin 980 and 990, "
            "Helio G90 to G99, Dimensity 700",
            since=(7, 1),
        ),
        Cpu(
            name="cortex-a710",
            part=0xD47,
            variant=2,
            revision=1,
            features=_V9,
            kernels="NEON, fp16, int8 dot product, int8 matrix multiply",
            phones="middle cores of 2022: Snapdragon 8 Gen 1 and 7 Gen 1, Dimensity 9000",
            since=(8, 2),
        ),
        Cpu(
            name="max",
            part=0x051,
            variant=0,
            revision=0,
            features=_V9,
            kernels="NEON, fp16, int8 dot product, int8 matrix multiply",
            phones="no phone: all that qemu can do except SME; nearest to phones since 2022",
            since=(2, 12),
            implementer=0x00,
        ),
    )
}

_FIRST_WITH_SME = (7, 1)


def cpu_named(name: str, known_to_qemu: tuple[str, ...], qemu: str) -> Cpu:
    """The core of that name; raises UsageError if there is none, or none in this qemu."""
    if name not in CPUS:
        from harness.system.plugins import unknown

        raise unknown("ARM64 core", name, CPUS)
    if name not in known_to_qemu:
        both = ", ".join(n for n in CPUS if n in known_to_qemu)
        since = ".".join(map(str, CPUS[name].since))
        raise UsageError(
            f"qemu {qemu} has no {name}, which came with qemu {since}",
            f"choose one of {both}, or install a newer qemu",
        )
    return CPUS[name]


def qemu_argument(cpu: Cpu, version: tuple[int, ...]) -> str:
    """What `-cpu` gets. SME is switched off in `max`: `max` does not stand for phones that have it,
    and the SME of qemu 7.2 makes int8 models answer wrongly."""
    if cpu.name == "max" and version >= _FIRST_WITH_SME:
        return "max,sme=off"
    return cpu.name
