"""What a plugin wants with a table, said by column names."""

from __future__ import annotations

from typing import Any

from wit_world.imports import types as _wit

from .errors import Error

ColumnType = _wit.ColumnType
"""What a column means: INT, UINT, FLOAT, DECIMAL, TEXT, BINARY, JSON, DATE, TIME, DATETIME, TIMESTAMP."""


class Type:
    """The type of a new column."""

    INT = _wit.FullType(ColumnType.INT, 0, 0)
    UINT = _wit.FullType(ColumnType.UINT, 0, 0)
    FLOAT = _wit.FullType(ColumnType.FLOAT, 0, 0)
    TEXT = _wit.FullType(ColumnType.TEXT, 0, 0)
    BINARY = _wit.FullType(ColumnType.BINARY, 0, 0)
    JSON = _wit.FullType(ColumnType.JSON, 0, 0)
    DATE = _wit.FullType(ColumnType.DATE, 0, 0)

    @staticmethod
    def decimal(precision: int, scale: int) -> _wit.FullType:
        """Exact: set with `set_int` (unscaled) to precision 18, above with `set_text`."""
        return _wit.FullType(ColumnType.DECIMAL, precision, scale)

    @staticmethod
    def time(fraction: int) -> _wit.FullType:
        """A time span in microseconds, with so many digits of a second's fraction."""
        return _wit.FullType(ColumnType.TIME, fraction, 0)

    @staticmethod
    def datetime(fraction: int) -> _wit.FullType:
        """A wall clock in microseconds, with so many digits of a second's fraction."""
        return _wit.FullType(ColumnType.DATETIME, fraction, 0)

    @staticmethod
    def timestamp(fraction: int) -> _wit.FullType:
        """An instant in microseconds, with so many digits of a second's fraction."""
        return _wit.FullType(ColumnType.TIMESTAMP, fraction, 0)


_LISTS = {
    ColumnType.INT: "int", ColumnType.DATE: "int", ColumnType.TIME: "int", ColumnType.DATETIME: "int",
    ColumnType.TIMESTAMP: "int", ColumnType.UINT: "uint", ColumnType.FLOAT: "float", ColumnType.TEXT: "text",
    ColumnType.JSON: "text", ColumnType.BINARY: "bytes",
}


def _shape(column: Any) -> str:
    """The list that values of this type cross in, by the name of the method that reads it."""
    if column.type == ColumnType.DECIMAL:
        return "int" if column.precision <= 18 else "text"
    return _LISTS[column.type]


_BLANKS = {"int": 0, "uint": 0, "float": 0.0, "text": "", "bytes": b""}


def _blank(column: Any) -> Any:
    """What a column holds that may not be null and was not set: valid for its type."""
    if column.type == ColumnType.JSON:
        return "null"
    if column.type == ColumnType.DECIMAL and column.precision > 18:
        return "0"
    return _BLANKS[_shape(column)]


class _Output:
    """An output column: an input column untouched (`handle` is None), or one that `row` computes."""

    __slots__ = ("name", "place", "handle", "blank", "nullable", "type")

    def __init__(self, name: str, place: int | None, handle: int | None = None) -> None:
        self.name, self.place, self.handle = name, place, handle


class Plan:
    """Collects what is wanted with a table. Without a word its columns go on as they are, and `row` decides which rows.

    `int`, `uint`, `float`, `text` and `bytes` read a column and give its handle; `rewrite_...` also compute it anew, with exactly its
    type; `add_...` add a column behind the others.
    """

    def __init__(self, table: _wit.Table) -> None:
        self._table = table
        self._places = {column.name.lower(): place for place, column in enumerate(table.columns)}
        self._outputs = [_Output(column.name, place) for place, column in enumerate(table.columns)]
        self._shapes: list[str] = []  # By handle.
        self._handles: dict[Any, int] = {}  # Of what is read, by place or name.
        self._reads: list[tuple[int, Any]] = []
        self._action = _wit.Action.PROCESS
        self._before = self._expands = self._stateful = False
        self._key: list[str] | None = None
        self._rename: str | None = None

    # What a column is read with is told by its type; a wrong method is an error of the plan, not of a row.

    def int(self, column: str) -> int:
        """Reads signed numbers: integers, booleans (0 and 1), dates and times, decimals of up to 18 digits (unscaled)."""
        return self._read_column(column, "int")

    def uint(self, column: str) -> int:
        """Reads unsigned numbers: BIGINT UNSIGNED and BIT."""
        return self._read_column(column, "uint")

    def float(self, column: str) -> int:
        """Reads floating-point numbers."""
        return self._read_column(column, "float")

    def text(self, column: str) -> int:
        """Reads texts, also JSON and decimals of more than 18 digits."""
        return self._read_column(column, "text")

    def bytes(self, column: str) -> int:
        """Reads bytes."""
        return self._read_column(column, "bytes")

    def rewrite_int(self, column: str) -> int:
        """Computes a column of signed numbers from its old value."""
        return self._rewrite(column, "int")

    def rewrite_uint(self, column: str) -> int:
        """Computes a column of unsigned numbers from its old value."""
        return self._rewrite(column, "uint")

    def rewrite_float(self, column: str) -> int:
        """Computes a column of floating-point numbers from its old value."""
        return self._rewrite(column, "float")

    def rewrite_text(self, column: str) -> int:
        """Computes a column of texts from its old value."""
        return self._rewrite(column, "text")

    def rewrite_bytes(self, column: str) -> int:
        """Computes a column of bytes from its old value."""
        return self._rewrite(column, "bytes")

    def add_int(self, column: str, column_type: Any = Type.INT, nullable: bool = True) -> int:
        """Adds a column of signed numbers; not set, it is null, or 0 where it may not be null."""
        return self._add(column, column_type, nullable, "int")

    def add_uint(self, column: str, column_type: Any = Type.UINT, nullable: bool = True) -> int:
        """Adds a column of unsigned numbers; not set, it is null, or 0 where it may not be null."""
        return self._add(column, column_type, nullable, "uint")

    def add_float(self, column: str, column_type: Any = Type.FLOAT, nullable: bool = True) -> int:
        """Adds a column of floating-point numbers; not set, it is null, or 0 where it may not be null."""
        return self._add(column, column_type, nullable, "float")

    def add_text(self, column: str, column_type: Any = Type.TEXT, nullable: bool = True) -> int:
        """Adds a column of texts; not set, it is null, or empty where it may not be null."""
        return self._add(column, column_type, nullable, "text")

    def add_bytes(self, column: str, column_type: Any = Type.BINARY, nullable: bool = True) -> int:
        """Adds a column of bytes; not set, it is null, or empty where it may not be null."""
        return self._add(column, column_type, nullable, "bytes")

    def rename(self, column: str, name: str) -> None:
        """Gives a column another name. Names in `plan` stay those of the input, except in `key`."""
        self._output_of(self._place(column)).name = name

    def remove(self, column: str) -> None:
        """Leaves a column out. It can be read all the same."""
        self._outputs.remove(self._untouched(self._place(column)))

    def keep_only(self, columns: list[str]) -> None:
        """Leaves all columns out but these, and puts these in this order. To be called before columns are computed."""
        if any(output.handle is not None for output in self._outputs):
            raise Error("`keep_only` must come before columns are computed")
        kept = []
        for column in columns:
            output = self._untouched(self._place(column))
            self._outputs.remove(output)
            kept.append(output)
        self._outputs = kept

    def rename_table(self, name: str) -> None:
        """Gives the table another name, inside the same database."""
        self._rename = name

    def key(self, columns: list[str]) -> None:
        """Makes these columns the key, by their names in the output."""
        self._key = list(columns)

    def before(self) -> None:
        """Asks for every update as two rows, before and after."""
        self._before = True

    def stateful(self) -> None:
        """`row` uses `state`: rows of this table then come in the order of the stream, in one instance at a time."""
        self._stateful = True

    def expand(self) -> None:
        """Asks to make several rows of one, or none: `row` may use `emit`. Every update then comes as two rows: what was made of the row
        before is deleted, what is made of the row after put in its place. `key` must be called, with a computed column that tells a
        row's several rows apart, or without any column for a table without a key."""
        self._expands = True

    def pass_rows(self) -> None:
        """Nothing is decided or computed by row: `row` is never called, and the host does the rest without the plugin."""
        self._action = _wit.Action.PASS

    def discard(self) -> None:
        """Drops all rows of the table; `row` is never called."""
        self._action = _wit.Action.DISCARD

    def commit_time(self) -> int:
        """Reads the commit time at the source, in microseconds since 1970-01-01T00:00:00Z; None for rows of a snapshot."""
        return self._read("commit", _wit.Read_Meta(_wit.Meta.COMMIT_TIME), "int")

    def position(self) -> int:
        """Reads the order of the event in the stream, which begins anew at each start of the pipeline: it orders rows of one run. None for
        rows of a snapshot, 0 for dead letters that are sent again."""
        return self._read("position", _wit.Read_Meta(_wit.Meta.POSITION), "uint")

    def transaction(self) -> int:
        """Reads the name of the source's transaction; None for rows of a snapshot."""
        return self._read("transaction", _wit.Read_Meta(_wit.Meta.TRANSACTION), "text")

    def seed(self) -> int:
        """Reads a number that looks random and is the same whenever this row image comes again."""
        return self._read("seed", _wit.Read_Meta(_wit.Meta.SEED), "uint")

    def _place(self, column: str) -> int:
        place = self._places.get(column.lower())
        if place is None:
            raise Error(f"table `{self._table.name}` has no column `{column}`")
        return place

    def _output_of(self, place: int) -> _Output:
        for output in self._outputs:
            if output.place == place:
                return output
        raise Error(f"column `{self._table.columns[place].name}` is no longer in the output")

    def _untouched(self, place: int) -> _Output:
        output = self._output_of(place)
        if output.handle is not None:
            raise Error(f"column `{self._table.columns[place].name}` is computed already")
        return output

    def _read_column(self, column: str, wanted: str) -> int:
        place = self._place(column)
        found = _shape(self._table.columns[place])
        if found != wanted:
            raise Error(f"column `{column}` is read with `{found}`, not with `{wanted}`")
        return self._read(place, _wit.Read_Column(place), found)

    def _read(self, key: Any, read: Any, shape: str) -> int:
        # Each thing crosses once, however often it is asked for.
        if key not in self._handles:
            self._handles[key] = self._handle(shape)
            self._reads.append((self._handles[key], read))
        return self._handles[key]

    def _handle(self, shape: str) -> int:
        self._shapes.append(shape)
        return len(self._shapes) - 1

    def _rewrite(self, column: str, wanted: str) -> int:
        handle = self._read_column(column, wanted)
        place = self._place(column)
        output = self._untouched(place)
        output.handle, output.nullable = handle, self._table.columns[place].nullable
        output.type, output.blank = _wit.ComputedType_Like(place), _blank(self._table.columns[place])
        return handle

    def _add(self, column: str, column_type: Any, nullable: bool, wanted: str) -> int:
        found = _shape(column_type)
        if found != wanted:
            raise Error(f"column `{column}` is added with `add_{found}`")
        output = _Output(column, None, self._handle(found))
        output.nullable, output.type = nullable, _wit.ComputedType_Type(column_type)
        output.blank = _blank(column_type)
        self._outputs.append(output)
        return output.handle

    def _output_key(self) -> list[int] | None:
        """The key's places in the output: what was asked for, or the input's key where a part of it is computed."""
        if self._key is not None:
            names = {output.name.lower(): place for place, output in enumerate(self._outputs)}
            for name in self._key:
                if name.lower() not in names:
                    raise Error(f"the output has no column `{name}`")
            return [names[name.lower()] for name in self._key]
        key = sorted((c.key, place) for place, c in enumerate(self._table.columns) if c.key is not None)
        places = {output.place: (at, output.handle) for at, output in enumerate(self._outputs)}
        found = [places.get(place) for _, place in key]
        if None in found or all(handle is None for _, handle in found):
            return None
        return [at for at, _ in found]

    def finish(self) -> tuple[_wit.Plan, Layout]:
        unchanged = [(output.name, output.place, output.handle) for output in self._outputs] == [
            (column.name, place, None) for place, column in enumerate(self._table.columns)
        ]
        columns = []
        for output in self._outputs:
            source = _wit.Source_Input(output.place)
            if output.handle is not None:
                source = _wit.Source_Computed(_wit.Computed(output.type, output.nullable))
            columns.append(_wit.OutputColumn(output.name, source))
        plan = _wit.Plan(
            action=self._action, before=self._before, reads=[read for _, read in self._reads],
            output=None if unchanged else columns, key=self._output_key(), rename=self._rename,
            expands=self._expands, stateful=self._stateful, packed=False,
        )
        return plan, Layout(self)


class Layout:
    """What the loop over the rows needs of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.handles = len(plan._shapes)
        self.expands = plan._expands
        self.reads = [(handle, plan._shapes[handle]) for handle, _ in plan._reads]
        computed = [output for output in plan._outputs if output.handle is not None]
        self.computed = [
            (output.handle, plan._shapes[output.handle], None if output.nullable else output.blank) for output in computed
        ]
