"""Where things are in the checkout, whatever folder a test lies in."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
