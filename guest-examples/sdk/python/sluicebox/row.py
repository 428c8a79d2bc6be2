"""One row, as a plugin sees it, and the loop over a batch: columns become lists once, and lists become columns once."""

from __future__ import annotations

from array import array
from enum import IntEnum
from itertools import accumulate
from typing import Any

from wit_world.imports import types as _wit

from .errors import Error, told
from .plan import Layout


class Kind(IntEnum):
    """What a row is."""

    INSERT = 0
    BEFORE = 1
    """An updated row as it was."""
    AFTER = 2
    """An updated row as it is."""
    DELETE = 3
    """The row as it was."""
    READ = 4
    """Read by a snapshot."""


_KINDS = tuple(Kind)


_UNSET = object()
_BLANK = {"int": 0, "uint": 0, "float": 0.0, "text": "", "bytes": b""}


class Row:
    """One row image: columns are read and set through the handles that `Plan` gave out.

    A column that is not set keeps its old value (`rewrite_...`), or is null, or empty where it may not be null (`add_...`).
    """

    __slots__ = ("_inputs", "_outputs", "_kinds", "_row", "_at", "_made_of")

    def get(self, column: int) -> Any:
        """The value of a column; None when it is null. Of a rewritten column, the old one."""
        return self._inputs[column][self._row]

    # One function: what a column holds is settled in `plan`.
    int = uint = float = text = bytes = get

    def set(self, column: int, value: Any) -> None:
        """Sets a computed column; None makes it null."""
        self._outputs[column][self._at] = value

    set_int = set_uint = set_float = set_text = set_bytes = set

    @property
    def kind(self) -> Kind:
        """What the row is."""
        return _KINDS[self._kinds[self._row]]

    def emit(self) -> None:
        """Makes a row of what is set, for plans that said `expand`. Columns that are added are to be set again before the next one; a
        rewritten column has its old value until it is set. KEEP makes a last row, DROP none."""
        if self._made_of is None:
            raise Error("`emit` makes several rows of one, and the plan did not say `expand`")
        self._made_of.append(self._row)
        self._at += 1
        self._begin()

    def _begin(self) -> None:
        """Nothing is set of the row that is being made."""
        for values in self._outputs:
            if values is not None:
                values[self._at:] = (_UNSET,)


def _strings(values: _wit.ByteStrings, is_text: bool) -> list:
    offsets, data = values.offsets, values.data
    ends = zip(offsets, offsets[1:])
    if not is_text:
        return [data[begin:end] for begin, end in ends]
    if data.isascii():
        text = data.decode("ascii")
        return [text[begin:end] for begin, end in ends]
    return [data[begin:end].decode() for begin, end in ends]


def _read_vector(vector: _wit.Vector, shape: str) -> list:
    """A column's values, None where it is null."""
    values = vector.data.value
    if shape in ("text", "bytes"):
        values = _strings(values, shape == "text")
    if vector.validity is None:
        return values
    bits = bin(int.from_bytes(vector.validity, "little") | 1 << 8 * len(vector.validity))[:2:-1]
    return [value if bit == "1" else None for value, bit in zip(values, bits)]


def _bitmap(values: list) -> bytes | None:
    if None not in values:
        return None
    bits = "".join("0" if value is None else "1" for value in reversed(values))
    return int(bits, 2).to_bytes((len(values) + 7) // 8, "little")


def _joined(values: list, is_text: bool) -> _wit.ByteStrings:
    if is_text:
        text = "".join(values)
        if text.isascii():
            return _wit.ByteStrings(list(accumulate(map(len, values), initial=0)), text.encode())
        values = [value.encode() for value in values]
    return _wit.ByteStrings(list(accumulate(map(len, values), initial=0)), b"".join(values))


def _ints(code: str, values: list) -> list:
    array(code, values)  # Refuses what is no number, and what does not fit.
    return values


_DATA = {
    "int": lambda values: _wit.VectorData_Ints(_ints("q", values)),
    "uint": lambda values: _wit.VectorData_Uints(_ints("Q", values)),
    "float": lambda values: _wit.VectorData_Floats(array("d", values).tolist()),
    "text": lambda values: _wit.VectorData_Bytes(_joined(values, True)),
    "bytes": lambda values: _wit.VectorData_Bytes(_joined(values, False)),
}


def _write_vector(values: list, shape: str, fail: Any) -> _wit.Vector:
    """Values as they cross. One that is not of the column's type is its row's error, and a blank crosses."""
    validity, blank, make = _bitmap(values), _BLANK[shape], _DATA[shape]
    if validity is not None:
        values = [blank if value is None else value for value in values]
    try:
        return _wit.Vector(validity, make(values))
    except (TypeError, ValueError, OverflowError, AttributeError):
        values = list(values)
    for row, value in enumerate(values):
        try:
            make([value])
        except (TypeError, ValueError, OverflowError, AttributeError):
            values[row] = blank
            fail(row, f"a {type(value).__name__} that is no {shape} was set")
    return _wit.Vector(validity, make(values))


def process(function: Any, table: Any, layout: Layout, batch: _wit.Batch) -> _wit.Outcome:
    row = Row()
    row._kinds = batch.kinds
    row._inputs, row._outputs = [None] * layout.handles, [None] * layout.handles
    for (handle, shape), vector in zip(layout.reads, batch.columns):
        row._inputs[handle] = _read_vector(vector, shape)
    for handle, _, _ in layout.computed:
        row._outputs[handle] = [_UNSET] * batch.rows
    errors: dict[int, str] = {}
    run = _expand if layout.expands else _filter
    columns, keep, origins = run(function, table, layout, row, batch.rows, errors)
    return _wit.Outcome(origins, keep, columns, [_wit.RowError(at, text) for at, text in sorted(errors.items())])


def _filter(function: Any, table: Any, layout: Layout, row: Row, rows: int, errors: dict[int, str]) -> tuple:
    """A row of each."""
    row._made_of = None
    gone: list[int] = []
    for at in range(rows):
        row._row = row._at = at
        try:
            if function(table, row):
                continue
        except Exception as error:  # The row's error, whatever it is.
            errors[at] = told(error)
        gone.append(at)
        for handle, _, _ in layout.computed:
            row._outputs[handle][at] = _UNSET  # What was set of a row that goes may be anything.
    columns = []
    for handle, shape, blank in layout.computed:
        values = _completed(row._outputs[handle], row._inputs[handle], gone, blank)
        columns.append(_write_vector(values, shape, errors.setdefault))
    if not gone:
        return columns, None, None
    keep = bytearray(b"\xff") * ((rows + 7) // 8)
    for at in gone:
        keep[at >> 3] &= ~(1 << (at & 7))
    return columns, bytes(keep), None


def _expand(function: Any, table: Any, layout: Layout, row: Row, rows: int, errors: dict[int, str]) -> tuple:
    """Several rows of each, or none."""
    row._made_of = made_of = []
    row._at = 0
    row._begin()
    for at in range(rows):
        row._row = at
        first = row._at
        try:
            if function(table, row):
                row.emit()
        except Exception as error:  # The row's error, whatever it is.
            errors[at] = told(error)
            row._at = first
            del made_of[first:]
        row._begin()

    def fail(made: int, text: str) -> None:
        errors.setdefault(made_of[made], text)

    columns = []
    for handle, shape, blank in layout.computed:
        old = row._inputs[handle]
        old = None if old is None else [old[at] for at in made_of]
        values = _completed(row._outputs[handle][:len(made_of)], old, [], blank)
        columns.append(_write_vector(values, shape, fail))
    return columns, None, made_of


def _completed(values: list, old: list | None, gone: list, blank: Any) -> list:
    """What `row` did not set: the old value of a row that stays, else as little as possible."""
    if _UNSET not in values:
        return values
    for at in gone:
        if values[at] is _UNSET:
            values[at] = blank
    if old is None:
        return [blank if value is _UNSET else value for value in values]
    return [before if value is _UNSET else value for value, before in zip(values, old)]
