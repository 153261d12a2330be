"""`python -m harness.emulator`: the emulated phone as a process of its own."""

import sys

from harness.emulator.serve import main

sys.exit(main())
