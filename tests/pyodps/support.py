"""What the tests of both kinds of project share."""

import os
import unittest

from odps import ODPS

PROJECT = "mc_proj"


def connect(key="sluicebox", **more):
    endpoint = os.environ["SLUICEBOX_EMULATOR"]
    return ODPS("sluicebox", key, project=PROJECT, endpoint=endpoint, **more)


def rows(reader):
    return [list(record.values) for record in reader]


class EmulatorTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.odps = connect()
        # Each test has tables of its own, so their order does not matter.
        self.name = "t_" + self.id().rsplit(".", 1)[-1]

    def ordinary(self, schema="id bigint, name string", **more):
        return self.odps.create_table(self.name, schema, **more)

    def delta(self, **more):
        from odps.models import TableSchema

        schema = TableSchema.from_lists(["id", "name"], ["bigint", "string"])
        return self.odps.create_table(
            self.name,
            schema,
            transactional=True,
            primary_key=["id"],
            table_properties={"write.bucket.num": "4"},
            **more,
        )
