"""Finds where the fields of a .tflite file lie, to damage chosen ones."""

import dataclasses
import functools
import struct

from tflite.format import decode


@dataclasses.dataclass(frozen=True)
class Place:
    """A number in a file.

    Attributes:
        field: The field that it belongs to, or "layout": an offset, a length
            or an entry of a table's layout.
        at: Its first byte.
        code: Its `struct` code.
    """

    field: str
    at: int
    code: str


@functools.cache
def find(data: bytes) -> tuple[Place, ...]:
    """Returns every number that `decode.decode` reads, once each."""
    decoder = _Recorder(data)
    decoder.model()
    return tuple(decoder.found.values())


class _Recorder(decode._Decoder):
    """Decodes, and remembers what it read."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.found: dict[int, Place] = {}

    def _number(self, code: str, at: int):
        self.found.setdefault(at, Place("layout", at, code))
        return super()._number(code, at)

    def _layout(self, at: int):
        size, offsets = super()._layout(at)
        for slot in range(len(offsets)):
            place = at + 4 + 2 * slot
            self.found[place] = Place("layout", place, "H")
        return size, offsets

    def _value(self, kind: str | dict, at: int, field: str):
        found = super()._value(kind, at, field)
        if isinstance(kind, dict):
            self._options(at)
        elif len(kind) == 1:
            self.found[at] = Place(field, at, kind)
        elif isinstance(found, tuple) and found:
            item = kind[1:-1]
            start = at + struct.unpack_from("<I", self._data, at)[0] + 4
            width = struct.calcsize("<" + item)
            for place in range(start, start + len(found) * width, width):
                self.found[place] = Place(field, place, item)
        return found

    def _options(self, at: int) -> None:
        """Remembers an operator's options byte by byte."""
        table = at + struct.unpack_from("<I", self._data, at)[0]
        layout = table - struct.unpack_from("<i", self._data, table)[0]
        (size,) = struct.unpack_from("<H", self._data, layout + 2)
        for place in range(table + 4, table + size):
            self.found[place] = Place("options", place, "B")
