"""A reader of FlatBuffers that checks every offset: one that points outside the file raises
`Damaged`.

The readers that ship with runtimes trust the file (or verify it only in C++), and a cut file then
reads as zeros, as an endless vector or as a crash. Only what a .tflite file needs is here; the
format is described at https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Real models have thousands of tables. The bound keeps a wrong length in a large file, which may
# hold many zeros that look like empty tables, from being followed for minutes.
MOST_TABLES = 500_000


class Damaged(Exception):
    """The file is cut short or its parts do not fit together."""


class Reader:
    """The bytes of one file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._tables = min(len(data) // 4, MOST_TABLES)

    def root(self) -> Table:
        """The table that the file begins with."""
        return self.table_at(0)

    def table_at(self, place: int) -> Table:
        """The table that the offset at `place` leads to."""
        self._tables -= 1
        if self._tables < 0:
            raise Damaged("it has an impossible number of tables")
        return Table(self, self._follow(place))

    def number(self, code: str, place: int) -> Any:
        """The number at `place`; `code` is of module struct, little-endian."""
        try:
            if place < 0:
                raise Damaged("it points before its beginning")
            return struct.unpack_from("<" + code, self.data, place)[0]
        except struct.error:
            raise Damaged("it ends too early") from None

    def vector_at(self, place: int, item_bytes: int) -> tuple[int, int]:
        """(position of the first item, number of items) of the vector that `place` leads to."""
        start = self._follow(place)
        count = self.number("I", start)
        self.check(start + 4, count * item_bytes)
        return start + 4, count

    def check(self, start: int, size: int) -> None:
        """Raise Damaged unless [start, start + size) lies in the file."""
        if start < 0 or start + size > len(self.data):
            raise Damaged("it ends too early")

    def _follow(self, place: int) -> int:
        return place + int(self.number("I", place))


class Table:
    """One table. `slot` numbers the fields in the order of the schema, from 0; an absent field
    has its default."""

    __slots__ = ("_fields", "_position", "_reader")

    def __init__(self, reader: Reader, position: int) -> None:
        vtable = position - reader.number("i", position)
        vtable_size, own_size = reader.number("H", vtable), reader.number("H", vtable + 2)
        reader.check(vtable, vtable_size)
        reader.check(position, own_size)
        self._reader = reader
        self._position = position
        self._fields = struct.unpack_from(
            f"<{max(0, vtable_size // 2 - 2)}H", reader.data, vtable + 4
        )

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """An integer field; `code` as in module struct."""
        place = self._place(slot)
        return default if place is None else int(self._reader.number(code, place))

    def text(self, slot: int) -> str:
        """A string field; absent is empty."""
        place = self._place(slot)
        if place is None:
            return ""
        start, count = self._reader.vector_at(place, 1)
        return self._reader.data[start : start + count].decode(errors="replace")

    def table(self, slot: int) -> Table | None:
        """A field that is a table."""
        place = self._place(slot)
        return None if place is None else self._reader.table_at(place)

    def tables(self, slot: int) -> list[Table]:
        """A field that is a vector of tables."""
        place = self._place(slot)
        if place is None:
            return []
        start, count = self._reader.vector_at(place, 4)
        return [self._reader.table_at(start + 4 * i) for i in range(count)]

    def array(self, slot: int, dtype: str) -> NDArray[np.generic]:
        """A field that is a vector of numbers: a view into the file, absent is empty."""
        import numpy as np

        place = self._place(slot)
        kind = np.dtype(dtype).newbyteorder("<")
        if place is None:
            return np.empty(0, kind)
        start, count = self._reader.vector_at(place, kind.itemsize)
        return np.frombuffer(self._reader.data, kind, count, start)

    def integers(self, slot: int, dtype: str = "int32") -> tuple[int, ...]:
        """A field that is a short vector of integers."""
        return tuple(self.array(slot, dtype).tolist())

    def _place(self, slot: int) -> int | None:
        offset = self._fields[slot] if slot < len(self._fields) else 0
        return self._position + offset if offset else None
