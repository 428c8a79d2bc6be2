"""PyODPS, unmodified, with a project that has schemas."""

import unittest

from odps import errors

from support import EmulatorTest, connect, rows


class Schemas(EmulatorTest):
    def test_schemas_are_created_listed_and_deleted(self):
        self.assertIn("default", [schema.name for schema in self.odps.list_schemas()])
        self.assertFalse(self.odps.exist_schema("sch1"))
        self.odps.create_schema("sch1")
        self.assertTrue(self.odps.exist_schema("sch1"))
        self.assertIn("sch1", [schema.name for schema in self.odps.list_schemas()])
        self.odps.delete_schema("sch1")
        self.assertFalse(self.odps.exist_schema("sch1"))

    def test_a_table_lives_in_its_schema_alone(self):
        self.odps.create_schema("sch2")
        self.odps.create_table(self.name, "id bigint, name string", schema="sch2")
        self.assertTrue(self.odps.exist_table(self.name, schema="sch2"))
        self.assertFalse(self.odps.exist_table(self.name))
        self.odps.write_table(self.name, [[1, "a"]], schema="sch2")
        self.assertEqual(rows(self.odps.read_table(self.name, schema="sch2")), [[1, "a"]])
        with self.odps.execute_sql(f"select id from sch2.{self.name}").open_reader() as reader:
            self.assertEqual(rows(reader), [[1]])
        self.assertEqual([t.name for t in self.odps.list_tables(schema="sch2")], [self.name])
        with self.assertRaises(errors.NoSuchObject):
            self.odps.get_table(self.name, schema="absent").reload()

    def test_a_client_of_one_schema_works_there(self):
        self.odps.create_schema("sch3")
        odps = connect(schema="sch3")
        # The client creates in `default` unless told otherwise, and queries in its own schema.
        odps.create_table(self.name, "id bigint, name string", schema="sch3")
        odps.write_table(self.name, [[1, "a"], [2, None]], schema="sch3")
        self.assertEqual(rows(odps.read_table(self.name, schema="sch3")), [[1, "a"], [2, None]])
        with odps.execute_sql(f"select count(*) from {self.name}").open_reader() as reader:
            self.assertEqual(rows(reader), [[2]])

    def test_a_delta_table_in_a_schema_takes_upserts(self):
        self.odps.create_schema("sch4")
        table = self.delta(schema="sch4")
        with table.open_writer() as writer:
            writer.write([[1, "a"], [2, "b"]])
        with table.open_reader() as reader:
            self.assertEqual(rows(reader), [[1, "a"], [2, "b"]])


if __name__ == "__main__":
    unittest.main()
