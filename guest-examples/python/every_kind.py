"""For tests: reads every column and computes it again as it was.

Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse` condemns rows
whose first integer has this value, or drops them with `drop`. `twice` makes two rows of each, told apart by a column `copy`, of which only
the second is set; a row is condemned or dropped between the two, and by then has columns that are set wrong. `ddl` refuses every table, and
tells its version and the statement that led to it.
"""

from sluicebox import DROP, KEEP, ColumnType, Error, Kind, Transform, Type, export_plugin


class EveryKind(Transform):
    def __init__(self, config):
        self.meta = config.get("meta", False)
        self.refuse = config.get("refuse")
        self.drop, self.twice = config.get("drop", False), config.get("twice", False)
        self.ddl = config.get("ddl", False)

    def plan(self, table, plan):
        if self.ddl:
            raise Error(f"version {table.version} by {table.ddl or 'nothing'}")
        self.first = None
        columns = []
        for column in table.columns:
            match column.type:
                case ColumnType.UINT:
                    columns.append((plan.rewrite_uint(column.name), 1))
                case ColumnType.FLOAT:
                    columns.append((plan.rewrite_float(column.name), 1.0))
                case ColumnType.BINARY:
                    columns.append((plan.rewrite_bytes(column.name), None))
                case ColumnType.TEXT | ColumnType.JSON:
                    columns.append((plan.rewrite_text(column.name), "once"))
                case ColumnType.DECIMAL if column.precision > 18:
                    columns.append((plan.rewrite_text(column.name), "once"))
                case _:
                    columns.append((plan.rewrite_int(column.name), None))
                    if self.first is None:
                        self.first = columns[-1][0]
        copy = None
        if self.twice:
            copy = plan.add_int("copy", nullable=False)
            key = sorted((column.key, column.name) for column in table.columns if column.key is not None)
            plan.key([name for _, name in key] + ["copy"])
            plan.expand()
        if not self.meta:
            return columns, [], copy
        return columns, [
            (plan.commit_time(), plan.add_int("commit_time", Type.timestamp(6), nullable=True)),
            (plan.position(), plan.add_uint("position", Type.UINT, nullable=True)),
            (plan.transaction(), plan.add_text("transaction", Type.TEXT, nullable=True)),
            (plan.seed(), plan.add_uint("seed", Type.UINT, nullable=False)),
        ], copy

    def row(self, table, row):
        columns, meta, copy = table
        if copy is not None:
            row.set_int(copy, 1)
            row.emit()
            row.set_int(copy, 2)
        for column, once in columns:
            row.set(column, once)
            row.set(column, row.get(column))
        for read, added in meta:
            row.set(added, row.get(read))
        if self.refuse is not None and row.int(self.first) == self.refuse:
            for column, once in columns:
                if once == "once":  # No value of its column's type, where that is JSON or a wide decimal.
                    row.set(column, once)
            if self.drop:
                return DROP
            raise Error("row refused as " + ("before" if row.kind == Kind.BEFORE else "other"))
        return KEEP


Plugin = export_plugin(EveryKind, "every-kind-python", "0.1.0")
