"""An ARM64 core in software: qemu's user-mode emulation, an ARM64 Python with the same runtime as
the host, and a plugin that counts instructions. Needs Linux on x86-64. Importing this package
imports none of its modules: a run on other devices needs only kind.py.

    installation.py  puts an environment together, finds it again, removes it
    manifest.py      the files of an environment, and which of them are damaged
    environment.py   what is in an environment, and how to start a program in it
    packages.py      the distribution's arm64 packages and the aarch64 wheels
    qemu.py          the emulator of this machine: version, cores, the plugin for it
    cpus.py          the cores to choose from, and which phones have them
    count.c          the plugin
"""
