"""An ARM64 core in software: qemu's user-mode emulation, an ARM64 Python with the very runtime of
the host, and a plugin that counts instructions. Needs Linux on x86-64. Importing the folder
imports nothing of it: a run on other devices asks only kind.py.

    installation.py  puts an environment together, finds it again, removes it
    manifest.py      what an environment consists of, and what of it is damaged
    environment.py   what such an environment is, and how to start a program in it
    packages.py      the distribution's arm64 packages and the aarch64 wheels
    qemu.py          the emulator of this machine: version, cores, the plugin for it
    cpus.py          the cores that are offered, and which phones have them
    count.c          the plugin
"""
