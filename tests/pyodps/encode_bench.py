"""Encodes the rows of the client's benchmark with PyODPS: a line for each way, its name and rows per second.

Best of some rounds, as on the other side. The records are made before the clock starts.
"""

import datetime
import decimal
import sys
import time
import types

from odps.errors import DependencyNotInstalledError
from odps.models import Record, TableSchema
from odps.tunnel.hasher import RecordHasher
from odps.tunnel.io.stream import CompressOption
from odps.tunnel.io.writer import BufferedRecordWriter

ROWS = int(sys.argv[1])
ROUNDS = 5

KINDS = ["bigint", "string", "string", "int", "double", "decimal(10,2)", "datetime", "date", "boolean", "string"]
SCHEMA = TableSchema.from_lists([f"c{at}" for at in range(len(KINDS))], KINDS)
# What a request would be answered; none is sent.
ANSWER = types.SimpleNamespace(headers={})
BEGIN = datetime.datetime(2024, 2, 29, 12, 34, 56, 123000)


def record(row):
    found = Record(schema=SCHEMA)
    found[0] = row
    found[1] = "customer name of a usual length"
    found[2] = "someone@example.com"
    found[3] = row % 100
    found[4] = row * 0.25
    found[5] = decimal.Decimal("12345.67")
    found[6] = BEGIN + datetime.timedelta(seconds=row)
    found[7] = datetime.date(2024, 2, 29)
    found[8] = row % 2 == 0
    found[9] = "PAID"
    return found


def best_of(work):
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def main():
    records = [record(row) for row in range(ROWS)]

    def encode(option):
        writer = BufferedRecordWriter(SCHEMA, lambda *_, **__: ANSWER, option, buffer_size=1 << 30)
        for one in records:
            writer.write(one)
        writer.close()

    algorithms = CompressOption.CompressAlgorithm
    ways = {
        "Raw": None,
        "Lz4": algorithms.ODPS_LZ4,
        "Snappy": algorithms.ODPS_SNAPPY,
        "Zstd": algorithms.ODPS_ZSTD,
        "Zlib": algorithms.ODPS_ZLIB,
    }
    for name, algorithm in ways.items():
        option = None if algorithm is None else CompressOption(algorithm)
        try:
            print(name, ROWS / best_of(lambda: encode(option)))
        except DependencyNotInstalledError as error:
            print(f"{name}: {error}", file=sys.stderr)
    hasher = RecordHasher(SCHEMA, "default", ["c0"])
    print("hash", ROWS / best_of(lambda: [hasher.hash_record(one) for one in records]))


if __name__ == "__main__":
    main()
