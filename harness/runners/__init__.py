"""How to drive one benchmark executable on a device: flags, parsing, pinned download."""
