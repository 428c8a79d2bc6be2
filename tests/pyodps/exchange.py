"""One half of a test that exchanges tables with another client: `write` makes and fills tables, `check` reads those that the other
client has filled in answer, and fails where a value is another.

Tables `theirs_X` are written here and copied by the other client into `ours_X`.
"""

import decimal
import sys

import pyarrow as pa
from odps import options
from odps.models import TableSchema
from odps.tunnel import TableTunnel

from support import connect, rows
from test_types import ARROW_COLUMNS, RECORD_COLUMNS, declared, plain, table_rows

MANY = 100_000

decimal.getcontext().prec = 60
options.allow_antique_date = True


def delta(service, name):
    schema = TableSchema.from_lists(
        ["id"] + [name for name, *_ in RECORD_COLUMNS], ["bigint"] + [kind for _, kind, _ in RECORD_COLUMNS]
    )
    properties = {"write.bucket.num": "4"}
    return service.create_table(name, schema, transactional=True, primary_key=["id"], table_properties=properties)


def keyed_rows():
    return [[at, *row] for at, row in enumerate(table_rows())]


def many_rows():
    return [[n, f"row {n}"] for n in range(MANY)]


def day_rows():
    return [[1, "one", "1"], [2, None, "1"]]


def arrow_rows():
    arrays = [pa.array(values + [None], kind) for _, _, kind, values in ARROW_COLUMNS]
    return pa.RecordBatch.from_arrays(arrays, [name for name, *_ in ARROW_COLUMNS])


def write(service):
    for who in ["theirs", "ours"]:
        service.create_table(f"{who}_records", declared(RECORD_COLUMNS))
        service.create_table(f"{who}_stream", declared(RECORD_COLUMNS))
        service.create_table(f"{who}_arrow", declared(ARROW_COLUMNS))
        service.create_table(f"{who}_many", "id bigint, name string")
        service.create_table(f"{who}_days", ("id bigint, name string", "ds string")).create_partition("ds='1'")
        delta(service, f"{who}_keyed")
    service.write_table("theirs_records", table_rows())
    stream = service.get_table("theirs_stream")
    with TableTunnel(service).create_stream_upload_session(stream).open_record_writer() as writer:
        for row in table_rows():
            writer.write(stream.new_record(row))
    with service.get_table("theirs_arrow").open_writer(arrow=True) as writer:
        writer.write(arrow_rows())
    service.write_table("theirs_many", many_rows())
    service.write_table("theirs_days", [row[:2] for row in day_rows()], partition="ds='1'")
    with service.get_table("theirs_keyed").open_writer() as writer:
        writer.write(keyed_rows())


def same(what, want, got):
    if len(want) != len(got):
        sys.exit(f"{what}: {len(got)} rows for {len(want)}")
    for wanted, found in zip(want, got):
        found = [plain(value) for value in found]
        if wanted != found:
            sys.exit(f"{what}: {found!r} for {wanted!r}")


def check(service):
    same("ours_records", table_rows(), rows(service.read_table("ours_records")))
    same("ours_stream", table_rows(), rows(service.read_table("ours_stream")))
    with service.get_table("ours_arrow").open_reader(arrow=True, reopen=True) as reader:
        read = pa.Table.from_batches(list(reader))
    want = arrow_rows().to_pydict()
    for name, got in read.to_pydict().items():
        if want.pop(name) != got:
            sys.exit(f"ours_arrow: {name}: {got!r}")
    if want:
        sys.exit(f"ours_arrow lacks {want}")
    same("ours_many", many_rows(), sorted(rows(service.read_table("ours_many"))))
    same("ours_days", day_rows(), rows(service.read_table("ours_days", partition="ds='1'")))
    with service.execute_sql("select * from ours_keyed order by id").open_reader() as reader:
        # The other client has deleted the last row and written the first one twice.
        same("ours_keyed", keyed_rows()[:-1], rows(reader))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](connect())
