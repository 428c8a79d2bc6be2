"""Every column type on every path by which PyODPS writes, read back by every path by which it reads.

What the client cannot do, and what is done instead:

* In records it rounds the seconds of a timestamp before 1970 up, so that those here have no fraction; by Arrow they
  have one. Its own timestamps reach from 1677 to 2262.
* It maps DECIMAL(p,0) to scale 18 in Arrow and in the hash of keys, so no column has scale 0.
* Its hash of DECIMAL keys of more than 18 digits overflows, so the key has fewer.
* Its Arrow has no JSON and no INTERVAL_YEAR_MONTH.
* It refuses moments before 1928 in records unless told otherwise.
* It rounds decimals to the 28 digits of Python's default context.
* `write_table` fails on Delta tables; `open_writer` does not.
"""

import datetime
import decimal
import unittest

import pandas
import pyarrow as pa
from odps import options
from odps.compat import Monthdelta
from odps.models import TableSchema
from odps.tunnel import TableTunnel

from support import EmulatorTest, rows

DIGITS_38 = decimal.Decimal("99999999999999999999.999999999999999999")

# Name, type, values.
RECORD_COLUMNS = [
    ("c_tinyint", "tinyint", [-128, 127, 0]),
    ("c_smallint", "smallint", [-32768, 32767, 0]),
    ("c_int", "int", [-(2**31), 2**31 - 1, 0]),
    # The lowest one is null to the client.
    ("c_bigint", "bigint", [-(2**63) + 1, 2**63 - 1, 0]),
    ("c_float", "float", [1.5, -0.25, 2.0**100]),
    ("c_double", "double", [5e-324, -1.7976931348623157e308, 0.1]),
    ("c_boolean", "boolean", [True, False, True]),
    ("c_string", "string", ["", "中文 🚰 \x00 end", "a" * 100_000]),
    ("c_varchar", "varchar(10)", ["", "é" * 10, "x"]),
    ("c_char", "char(4)", ["abcd", "é", "x"]),
    ("c_binary", "binary", [b"", b"\x00\xff\x80", bytes(range(256))]),
    ("c_date", "date", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1969, 12, 31)]),
    (
        "c_datetime",
        "datetime",
        [
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999000),
            datetime.datetime(1950, 1, 1),
            datetime.datetime(2024, 2, 29, 12, 34, 56, 789000),
        ],
    ),
    ("c_decimal_38", "decimal(38,18)", [DIGITS_38, DIGITS_38.copy_negate(), decimal.Decimal("1E-18")]),
    ("c_decimal", "decimal(10,2)", [decimal.Decimal("-12345678.90"), decimal.Decimal(0), decimal.Decimal("0.01")]),
    ("c_months", "interval_year_month", [Monthdelta(14), Monthdelta(-1), Monthdelta(0)]),
    (
        "c_timestamp",
        "timestamp",
        [
            pandas.Timestamp("1677-12-31 23:59:59"),
            pandas.Timestamp("2262-01-01 00:00:00.000000001"),
            pandas.Timestamp("2024-02-29 12:34:56.123456789"),
        ],
    ),
    (
        "c_wall",
        "timestamp_ntz",
        [
            pandas.Timestamp("1969-12-31 23:59:59"),
            pandas.Timestamp("1970-01-01 00:00:00.999999999"),
            pandas.Timestamp("2024-02-29 12:34:56.123456789"),
        ],
    ),
    (
        "c_lasted",
        "interval_day_time",
        [
            pandas.Timedelta(days=-3, nanoseconds=1),
            pandas.Timedelta(days=9999, seconds=86399, nanoseconds=999_999_999),
            pandas.Timedelta(0),
        ],
    ),
    ("c_array", "array<string>", [["x", None, ""], [], ["é"]]),
    ("c_numbers", "array<bigint>", [[1, None, -(2**62)], [], [0]]),
    ("c_map", "map<string,bigint>", [{"k": 1, "n": None}, {}, {"": 0}]),
    ("c_struct", "struct<a:bigint,b:string>", [(9, "s"), (None, None), (-1, "")]),
    ("c_nested", "array<map<string,array<bigint>>>", [[{"a": [1, None]}, {}], [], [{"b": []}]]),
    ("c_json", "json", [{"a": [1, None, "é"]}, [1, 2.5], "text"]),
]

ARROW_COLUMNS = [
    ("c_tinyint", "tinyint", pa.int8(), [-128, 127]),
    ("c_smallint", "smallint", pa.int16(), [-32768, 32767]),
    ("c_int", "int", pa.int32(), [-(2**31), 2**31 - 1]),
    ("c_bigint", "bigint", pa.int64(), [-(2**63), 2**63 - 1]),
    ("c_float", "float", pa.float32(), [1.5, -0.25]),
    ("c_double", "double", pa.float64(), [5e-324, 0.1]),
    ("c_boolean", "boolean", pa.bool_(), [True, False]),
    ("c_string", "string", pa.string(), ["", "中文 🚰"]),
    ("c_varchar", "varchar(10)", pa.string(), ["", "é" * 10]),
    ("c_binary", "binary", pa.binary(), [b"", b"\x00\xff"]),
    ("c_date", "date", pa.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
    ("c_decimal_38", "decimal(38,18)", pa.decimal128(38, 18), [DIGITS_38, DIGITS_38.copy_negate()]),
    (
        "c_timestamp",
        "timestamp",
        pa.timestamp("ns"),
        [pandas.Timestamp("1969-12-31 23:59:59.999999999"), pandas.Timestamp("1677-12-31")],
    ),
    ("c_wall", "timestamp_ntz", pa.timestamp("ns"), [pandas.Timestamp("2024-02-29 12:34:56.123456789"), None]),
    (
        "c_lasted",
        "interval_day_time",
        pa.struct([("sec", pa.int64()), ("nano", pa.int32())]),
        [{"sec": -1, "nano": 999_999_999}, {"sec": 864_000_000, "nano": 0}],
    ),
    ("c_array", "array<string>", pa.list_(pa.string()), [["x", None], []]),
    ("c_map", "map<string,bigint>", pa.map_(pa.string(), pa.int64()), [[("k", 1), ("n", None)], []]),
    (
        "c_struct",
        "struct<a:bigint,b:string>",
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
        [{"a": 9, "b": "s"}, {"a": None, "b": None}],
    ),
]

# Nanoseconds since 1970: before it with a fraction, and the last moments that fit 64 bits.
STAMPS = [-1, 0, 2**63 - 1, -(2**62) - 123_456_789, 1_709_210_096_123_456_789]


def table_rows(columns=RECORD_COLUMNS):
    """A row of each index, and one of nulls."""
    count = len(columns[0][-1])
    return [[column[-1][at] for column in columns] for at in range(count)] + [[None] * len(columns)]


def declared(columns):
    return ", ".join(f"{column[0]} {column[1]}" for column in columns)


def plain(value):
    """Structs come back as named tuples."""
    return tuple(value) if isinstance(value, tuple) else value


class EveryType(EmulatorTest):
    def setUp(self):
        super().setUp()
        old = options.allow_antique_date
        options.allow_antique_date = True
        self.addCleanup(setattr, options, "allow_antique_date", old)
        context = decimal.localcontext()
        context.__enter__().prec = 60
        self.addCleanup(context.__exit__, None, None, None)

    def assert_rows(self, want, got):
        self.assertEqual(len(want), len(got))
        for wanted, found in zip(want, got):
            for (name, *_), value, other in zip(RECORD_COLUMNS, wanted, found):
                self.assertEqual(value, plain(other), name)

    def test_records_of_an_upload(self):
        self.ordinary(declared(RECORD_COLUMNS))
        self.odps.write_table(self.name, table_rows())
        self.assert_rows(table_rows(), rows(self.odps.read_table(self.name)))

    def test_records_of_a_stream(self):
        table = self.ordinary(declared(RECORD_COLUMNS))
        session = TableTunnel(self.odps).create_stream_upload_session(table)
        with session.open_record_writer() as writer:
            for row in table_rows():
                writer.write(table.new_record(row))
        self.assert_rows(table_rows(), rows(self.odps.read_table(self.name)))

    def test_records_of_an_upsert_and_of_a_query(self):
        schema = TableSchema.from_lists(
            ["id"] + [name for name, *_ in RECORD_COLUMNS], ["bigint"] + [kind for _, kind, _ in RECORD_COLUMNS]
        )
        table = self.odps.create_table(
            self.name,
            schema,
            transactional=True,
            primary_key=["id"],
            table_properties={"write.bucket.num": "4"},
        )
        with table.open_writer() as writer:
            writer.write([[at, *row] for at, row in enumerate(table_rows())])
        query = f"select * from {self.name} order by id"
        with self.odps.execute_sql(query).open_reader() as reader:
            read = rows(reader)
        self.assertEqual([row[0] for row in read], [0, 1, 2, 3])
        self.assert_rows(table_rows(), [row[1:] for row in read])

    def test_arrow_of_an_upload_of_a_table_and_of_a_query(self):
        table = self.ordinary(declared(ARROW_COLUMNS))
        arrays = [pa.array(values + [None], kind) for _, _, kind, values in ARROW_COLUMNS]
        batch = pa.RecordBatch.from_arrays(arrays, [name for name, *_ in ARROW_COLUMNS])
        with table.open_writer(arrow=True) as writer:
            writer.write(batch)
        with table.open_reader(arrow=True, reopen=True) as reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), batch.to_pydict())
        with self.odps.execute_sql(f"select * from {self.name}").open_reader(tunnel=True, arrow=True) as reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), batch.to_pydict())

    def test_timestamps_with_nanoseconds_before_1970(self):
        table = self.ordinary("at timestamp, wall timestamp_ntz")
        stamps = pa.array(STAMPS + [None], pa.int64()).cast(pa.timestamp("ns"))
        batch = pa.RecordBatch.from_arrays([stamps, stamps], ["at", "wall"])
        with table.open_writer(arrow=True) as writer:
            writer.write(batch)
        with table.open_reader(arrow=True, reopen=True) as reader:
            read = pa.Table.from_batches(list(reader))
        for name in ["at", "wall"]:
            self.assertEqual(read[name].cast(pa.int64()).to_pylist(), STAMPS + [None], name)

    def test_every_type_that_may_be_a_key(self):
        keys = {
            "tinyint": [-128, 0, 127],
            "smallint": [-32768, 7],
            "int": [-(2**31), 7],
            "bigint": [-(2**63) + 1, 2**63 - 1, 7],
            "boolean": [True, False],
            "string": ["", "中", "a"],
            "varchar(10)": ["", "é"],
            "char(4)": ["a", "é"],
            "date": [datetime.date(1969, 12, 31), datetime.date(2024, 2, 29)],
            "datetime": [datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), datetime.datetime(2024, 2, 29)],
            "decimal(18,2)": [decimal.Decimal("-1.50"), decimal.Decimal("12345.67")],
        }
        for at, (kind, values) in enumerate(keys.items()):
            table = self.odps.create_table(
                f"{self.name}_{at}",
                TableSchema.from_lists(["k", "n"], [kind, "bigint"]),
                transactional=True,
                primary_key=["k"],
                table_properties={"write.bucket.num": "16"},
            )
            with table.open_writer() as writer:
                writer.write([[key, n] for n, key in enumerate(values)])
                writer.delete([[values[0], None]])
            with table.open_reader() as reader:
                read = {row[0]: row[1] for row in rows(reader)}
            self.assertEqual(read, {key: n for n, key in enumerate(values) if n}, kind)


class Amounts(EmulatorTest):
    ROWS = 100_000

    def test_a_hundred_thousand_rows_by_records_and_by_arrow(self):
        table = self.ordinary()
        many = [[n, f"row {n}"] for n in range(self.ROWS)]
        self.odps.write_table(self.name, many)
        self.assertEqual(rows(self.odps.read_table(self.name)), many)
        batch = pa.RecordBatch.from_pydict({"id": [row[0] for row in many], "name": [row[1] for row in many]})
        with table.open_writer(arrow=True, overwrite=True) as writer:
            writer.write(batch)
        with table.open_reader(arrow=True, reopen=True) as reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), batch.to_pydict())

    def test_a_hundred_thousand_upserts_and_their_deletes(self):
        table = self.delta()
        many = [[n, f"row {n}"] for n in range(self.ROWS)]
        with table.open_writer() as writer:
            writer.write(many)
        with table.open_writer() as writer:
            writer.delete(many[: self.ROWS // 2])
            writer.write([[self.ROWS, "last"]])
        query = f"select count(*), min(id), max(id), sum(id) from {self.name}"
        left = range(self.ROWS // 2, self.ROWS + 1)
        with self.odps.execute_sql(query).open_reader() as reader:
            self.assertEqual(rows(reader), [[len(left), left[0], left[-1], sum(left)]])


class Partitioned(EmulatorTest):
    def test_upserts_go_to_their_partition_alone(self):
        schema = TableSchema.from_lists(["id", "name"], ["bigint", "string"], ["ds", "hh"], ["string", "bigint"])
        table = self.odps.create_table(
            self.name,
            schema,
            transactional=True,
            primary_key=["id"],
            table_properties={"write.bucket.num": "4"},
        )
        tunnel = TableTunnel(self.odps)
        for spec, name in [("ds='a',hh='1'", "first"), ("ds='a',hh='2'", "second")]:
            table.create_partition(spec)
            session = tunnel.create_upsert_session(table, partition_spec=spec)
            stream = session.open_upsert_stream()
            stream.upsert(session.new_record([1, name]))
            stream.close()
            session.commit()
        session = tunnel.create_upsert_session(table, partition_spec="ds='a',hh='1'")
        stream = session.open_upsert_stream()
        stream.delete(session.new_record([1, None]))
        stream.close()
        session.commit()
        with self.odps.execute_sql(f"select * from {self.name}").open_reader() as reader:
            self.assertEqual(rows(reader), [[1, "second", "a", 2]])

    def test_every_append_path_fills_a_partition(self):
        table = self.odps.create_table(self.name, ("id bigint, name string", "ds string"))
        table.create_partition("ds='1'")
        self.odps.write_table(self.name, [[1, "upload"]], partition="ds='1'")
        batch = pa.RecordBatch.from_pydict({"id": [2], "name": ["arrow"]})
        with table.open_writer(partition="ds='1'", arrow=True) as writer:
            writer.write(batch)
        session = TableTunnel(self.odps).create_stream_upload_session(table, partition_spec="ds='1'")
        with session.open_record_writer() as writer:
            writer.write(table.new_record([3, "stream", "1"]))
        read = rows(self.odps.read_table(self.name, partition="ds='1'"))
        self.assertEqual(read, [[1, "upload", "1"], [2, "arrow", "1"], [3, "stream", "1"]])

    def test_groups_are_queried(self):
        self.ordinary()
        self.odps.write_table(self.name, [[1, "a"], [2, "a"], [5, "b"], [None, None]])
        query = f"select name, count(*) n, sum(id) s, max(id) from {self.name} group by name order by n desc, name"
        with self.odps.execute_sql(query).open_reader() as reader:
            self.assertEqual(rows(reader), [["a", 2, 3, 2], [None, 1, None, None], ["b", 1, 5, 5]])


if __name__ == "__main__":
    unittest.main()
