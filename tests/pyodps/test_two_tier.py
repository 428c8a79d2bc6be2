"""PyODPS, unmodified, with a project that has no schemas."""

import datetime
import decimal
import unittest

import pandas
import pyarrow as pa
from odps import ODPS, errors
from odps.accounts import BearerTokenAccount
from odps.tunnel import TableTunnel

from support import PROJECT, EmulatorTest, connect, rows

ROWS = [[1, "a"], [2, None], [3, "中"]]


class Metadata(EmulatorTest):
    def test_a_project_exists_as_soon_as_it_is_named(self):
        self.assertTrue(self.odps.exist_project(PROJECT))
        self.assertTrue(self.odps.exist_project("another"))

    def test_create_list_describe_and_drop(self):
        self.assertFalse(self.odps.exist_table(self.name))
        self.ordinary("id bigint comment 'the id', name string", comment="a table", lifecycle=7)
        self.assertTrue(self.odps.exist_table(self.name))
        table = self.odps.get_table(self.name)
        columns = [(c.name, str(c.type).upper()) for c in table.table_schema.columns]
        self.assertEqual(columns, [("id", "BIGINT"), ("name", "STRING")])
        self.assertEqual((table.comment, table.lifecycle), ("a table", 7))
        self.assertEqual(table.table_schema.columns[0].comment, "the id")
        self.assertIn(self.name, [t.name for t in self.odps.list_tables()])
        self.assertIn(self.name, [t.name for t in self.odps.list_tables(prefix=self.name)])
        self.odps.create_table(self.name, "id bigint", if_not_exists=True)
        self.odps.delete_table(self.name)
        self.assertFalse(self.odps.exist_table(self.name))
        self.odps.delete_table(self.name, if_exists=True)

    def test_a_missing_table_is_the_clients_own_exception(self):
        with self.assertRaises(errors.NoSuchObject):
            self.odps.get_table("absent").reload()

    def test_a_delta_table_describes_itself(self):
        self.delta()
        table = self.odps.get_table(self.name)
        self.assertTrue(table.is_transactional)
        self.assertEqual(list(table.primary_key), ["id"])

    def test_a_wrong_key_is_the_clients_own_exception(self):
        with self.assertRaises(errors.Unauthorized):
            connect(key="wrong").get_table("any").reload()
        self.ordinary()
        with self.assertRaises(errors.Unauthorized):
            TableTunnel(connect(key="wrong")).create_upload_session(self.name)

    def test_columns_can_be_added_renamed_and_deleted(self):
        table = self.ordinary()
        self.odps.write_table(self.name, ROWS)
        table.add_columns("c2 double")
        table.rename_column("c2", "c3")
        self.assertEqual([c.name for c in table.table_schema.columns], ["id", "name", "c3"])
        table.delete_columns("name")
        table = self.odps.get_table(self.name)
        self.assertEqual([c.name for c in table.table_schema.columns], ["id", "c3"])
        with table.open_reader(reopen=True) as reader:
            self.assertEqual(rows(reader), [[1, None], [2, None], [3, None]])

    def test_comments_and_names_can_be_changed(self):
        table = self.ordinary()
        table.set_comment("it's")
        table.rename(self.name + "_new")
        self.assertEqual(self.odps.get_table(self.name + "_new").comment, "it's")
        self.assertFalse(self.odps.exist_table(self.name))


class OrdinaryTables(EmulatorTest):
    def test_records_are_written_and_read(self):
        table = self.ordinary()
        self.odps.write_table(self.name, ROWS)
        with table.open_writer() as writer:
            writer.write(ROWS[:1])
        self.assertEqual(rows(self.odps.read_table(self.name)), ROWS + ROWS[:1])
        with table.open_reader(reopen=True) as reader:
            self.assertEqual(reader.count, 4)
            self.assertEqual(rows(reader[1:3]), ROWS[1:3])

    def test_overwrite_replaces_the_rows(self):
        self.ordinary()
        self.odps.write_table(self.name, ROWS)
        self.odps.write_table(self.name, ROWS[2:], overwrite=True)
        self.assertEqual(rows(self.odps.read_table(self.name)), ROWS[2:])

    def test_arrow_is_written_and_read(self):
        table = self.ordinary()
        batch = pa.RecordBatch.from_pydict(
            {"id": [row[0] for row in ROWS], "name": [row[1] for row in ROWS]}
        )
        with table.open_writer(arrow=True) as writer:
            writer.write(batch)
        with table.open_reader(arrow=True, reopen=True) as reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), batch.to_pydict())
        self.assertEqual(rows(self.odps.read_table(self.name)), ROWS)

    def test_every_type_survives(self):
        columns = (
            "c1 tinyint, c2 smallint, c3 int, c4 bigint, c5 float, c6 double, c7 boolean, c8 varchar(20), "
            "c9 char(4), c10 binary, c11 date, c12 datetime, c13 decimal(20,6), "
            "c14 array<string>, c15 map<string,bigint>, c16 struct<a:bigint,b:string>, c17 json, c18 timestamp"
        )
        moment = datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)
        value = [
            7, 300, 70000, 2**40, 1.5, 3.25, True, "text", "abc", b"\x00\xff", datetime.date(1, 1, 1), moment,
            decimal.Decimal("12345.678900"), ["x", None, ""], {"k": 1, "n": None}, (9, "s"), {"a": [1, None]},
            pandas.Timestamp("2024-02-29 12:34:56.123456789"),
        ]
        self.ordinary(columns)
        self.odps.write_table(self.name, [value, [None] * len(value)])
        read = rows(self.odps.read_table(self.name))
        self.assertEqual(len(read), 2)
        for index, (want, got) in enumerate(zip(value, read[0])):
            got = tuple(got) if isinstance(want, tuple) else got
            self.assertEqual(want, got, f"column c{index + 1}")
        self.assertEqual(read[1], [None] * len(value))

    def test_every_compression_is_understood_both_ways(self):
        from odps.tunnel import CompressOption

        table = self.ordinary()
        tunnel = TableTunnel(self.odps)
        names = ["zlib", "zstd", "snappy", "lz4"]
        for name in names:
            option = CompressOption(name)
            session = tunnel.create_upload_session(table, compress_option=option)
            with session.open_record_writer(0, compress=True) as writer:
                for row in ROWS:
                    writer.write(table.new_record(row))
            session.commit([0])
            session = tunnel.create_download_session(table, compress_option=option)
            with session.open_record_reader(0, session.count, compress=True) as reader:
                self.assertEqual(rows(reader)[-3:], ROWS, name)
        self.assertEqual(session.count, 3 * len(names))

    def test_blocks_in_one_session_are_committed_together(self):
        table = self.ordinary()
        session = TableTunnel(self.odps).create_upload_session(table)
        for block in [3, 1]:
            with session.open_record_writer(block) as writer:
                writer.write(table.new_record([block, "x"]))
        self.assertEqual(sorted(block for block in session.get_block_list()), [1, 3])
        session.commit([1, 3])
        self.assertEqual([row[0] for row in rows(self.odps.read_table(self.name))], [1, 3])

    def test_a_stream_session_shows_its_rows_at_once(self):
        table = self.ordinary()
        session = TableTunnel(self.odps).create_stream_upload_session(table)
        with session.open_record_writer() as writer:
            writer.write(table.new_record([1, "a"]))
        self.assertEqual(rows(self.odps.read_table(self.name)), [[1, "a"]])
        session.abort()

    def test_head_and_preview_show_the_first_rows(self):
        table = self.ordinary()
        self.odps.write_table(self.name, ROWS)
        self.assertEqual(rows(table.head(2)), ROWS[:2])
        reader = TableTunnel(self.odps).open_preview_reader(table, limit=2)
        with reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), {"id": [1, 2], "name": ["a", None]})

    def test_truncate_empties_the_table(self):
        table = self.ordinary()
        self.odps.write_table(self.name, ROWS)
        table.truncate()
        self.assertEqual(rows(self.odps.read_table(self.name)), [])

    def test_pandas_reads_a_table(self):
        table = self.ordinary()
        self.odps.write_table(self.name, ROWS)
        with table.open_reader(reopen=True) as reader:
            frame = reader.to_pandas()
        self.assertEqual(list(frame["id"]), [1, 2, 3])

    def test_ten_thousand_rows_survive(self):
        self.ordinary()
        many = [[n, f"row {n}"] for n in range(10_000)]
        self.odps.write_table(self.name, many)
        self.assertEqual(rows(self.odps.read_table(self.name)), many)


class Partitions(EmulatorTest):
    def test_partitions_are_created_listed_written_and_dropped(self):
        table = self.odps.create_table(self.name, ("id bigint", "ds string"))
        self.assertFalse(table.exist_partition("ds='1'"))
        table.create_partition("ds='1'", if_not_exists=True)
        table.create_partition("ds='1'", if_not_exists=True)
        self.assertTrue(table.exist_partition("ds='1'"))
        self.odps.write_table(self.name, [[1]], partition="ds='1'")
        self.odps.write_table(self.name, [[2]], partition="ds='2'", create_partition=True)
        self.assertEqual(rows(self.odps.read_table(self.name, partition="ds='1'")), [[1, "1"]])
        self.assertEqual([p.name for p in table.partitions], ["ds='1'", "ds='2'"])
        self.assertEqual(table.get_partition("ds='1'").name, "ds='1'")
        with self.odps.execute_sql(f"select * from {self.name} where ds = '2'").open_reader() as reader:
            self.assertEqual(rows(reader), [[2, "2"]])
        table.truncate("ds='2'")
        self.assertEqual(rows(self.odps.read_table(self.name, partition="ds='2'")), [])
        table.delete_partition("ds='1'")
        self.assertFalse(table.exist_partition("ds='1'"))

    def test_writing_to_a_missing_partition_is_the_clients_own_exception(self):
        table = self.odps.create_table(self.name, ("id bigint", "ds string"))
        with self.assertRaises(errors.NoSuchPartition):
            TableTunnel(self.odps).create_upload_session(table, partition_spec="ds='9'")


class DeltaTables(EmulatorTest):
    def test_a_writer_upserts_and_deletes(self):
        table = self.delta()
        with table.open_writer() as writer:
            writer.write(ROWS)
            writer.delete(ROWS[:1])
        with self.odps.get_table(self.name).open_reader() as reader:
            self.assertEqual(rows(reader), ROWS[1:])
        self.assertEqual(rows(table.head(5)), ROWS[1:])

    def test_the_session_api_commits_and_aborts(self):
        table = self.delta()
        tunnel = TableTunnel(self.odps)
        session = tunnel.create_upsert_session(table, slot_num=2)
        stream = session.open_upsert_stream(compress=True)
        for row in ROWS:
            stream.upsert(session.new_record(row))
        stream.delete(session.new_record(ROWS[1]))
        stream.flush()
        self.assertEqual(self.select("id"), [], "nothing shows before the commit")
        stream.close()
        session.commit()
        self.assertEqual(session.status, type(session).Status.Committed)
        self.assertEqual(self.select("id"), [[1], [3]])

        session = tunnel.create_upsert_session(table)
        stream = session.open_upsert_stream()
        stream.delete(session.new_record(ROWS[0]))
        stream.close()
        session.abort()
        self.assertEqual(self.select("id"), [[1], [3]])
        with self.assertRaises(errors.UpsertSessionNotFound):
            tunnel.create_upsert_session(table, upsert_id="no-such-session")

    def test_a_thousand_keys_find_their_buckets(self):
        table = self.delta()
        with table.open_writer() as writer:
            writer.write([[n, str(n)] for n in range(-500, 500)])
        self.assertEqual(self.select("count(*)"), [[1000]])

    def select(self, what):
        with self.odps.execute_sql(f"select {what} from {self.name}").open_reader() as reader:
            return rows(reader)


class Statements(EmulatorTest):
    def test_results_come_by_tunnel_as_text_and_as_arrow(self):
        self.ordinary()
        self.odps.write_table(self.name, ROWS)
        query = f"select id, name as label from {self.name} where id >= 2 order by id desc limit 10"
        with self.odps.execute_sql(query).open_reader() as reader:
            self.assertEqual(rows(reader), [ROWS[2], ROWS[1]])
        with self.odps.execute_sql(query).open_reader(tunnel=False) as reader:
            self.assertEqual(rows(reader), [["3", "中"], ["2", None]])
        with self.odps.execute_sql(query).open_reader(tunnel=True, arrow=True) as reader:
            read = pa.Table.from_batches(list(reader))
        self.assertEqual(read.to_pydict(), {"id": [3, 2], "label": ["中", None]})

    def test_a_failing_statement_raises_with_the_services_text(self):
        with self.assertRaises(errors.ParseError) as caught:
            self.odps.execute_sql("not a statement")
        self.assertIn("ODPS-0130161:[1,1]", str(caught.exception))
        with self.assertRaises(errors.NoSuchTable):
            self.odps.execute_sql("select * from absent")
        self.ordinary()
        with self.assertRaises(errors.ODPSError) as caught:
            self.odps.execute_sql(f"select absent from {self.name}")
        self.assertEqual(caught.exception.code, "ODPS-0130071")

    def test_an_instance_can_be_looked_at_again(self):
        instance = self.odps.execute_sql(f"create table {self.name} (a bigint)")
        again = self.odps.get_instance(instance.id)
        self.assertTrue(again.is_terminated() and again.is_successful())
        self.assertIn(self.name, again.get_sql_query())
        self.assertTrue(instance.get_logview_address())

    def test_a_bearer_token_is_issued_and_accepted_and_a_wrong_one_refused(self):
        token = self.odps.get_project().generate_auth_token({}, "bearer", 1)
        self.ordinary()
        holder = ODPS(
            account=BearerTokenAccount(token, get_bearer_token_fun=lambda: token),
            project=PROJECT,
            endpoint=self.odps.endpoint,
        )
        holder.write_table(self.name, ROWS)
        self.assertEqual(rows(holder.read_table(self.name)), ROWS)
        other = ODPS(
            account=BearerTokenAccount("none", get_bearer_token_fun=lambda: "none"),
            project=PROJECT,
            endpoint=self.odps.endpoint,
        )
        with self.assertRaises(errors.Unauthorized):
            other.get_table(self.name).reload()

    def test_a_v4_signature_is_accepted(self):
        odps = connect(region_name="cn-hangzhou")
        self.assertFalse(odps.exist_table(self.name))


if __name__ == "__main__":
    unittest.main()
