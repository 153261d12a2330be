"""`python -m harness` and the scripts `mobile-bench` and `mobile-bench-harness`."""

from __future__ import annotations

import sys

from harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
