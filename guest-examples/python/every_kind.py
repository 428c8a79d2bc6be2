"""For tests: reads every column and computes it again as it was.

Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse` condemns rows
whose first integer has this value.
"""

from sluicebox import KEEP, ColumnType, Error, Kind, Transform, Type, export_plugin


class EveryKind(Transform):
    def __init__(self, config):
        self.meta = config.get("meta", False)
        self.refuse = config.get("refuse")

    def plan(self, table, plan):
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
        if not self.meta:
            return columns, []
        return columns, [
            (plan.commit_time(), plan.add_int("commit_time", Type.timestamp(6), nullable=True)),
            (plan.position(), plan.add_uint("position", Type.UINT, nullable=True)),
            (plan.transaction(), plan.add_text("transaction", Type.TEXT, nullable=True)),
            (plan.seed(), plan.add_uint("seed", Type.UINT, nullable=False)),
        ]

    def row(self, table, row):
        columns, meta = table
        for column, once in columns:
            row.set(column, once)
            row.set(column, row.get(column))
        for read, added in meta:
            row.set(added, row.get(read))
        if self.refuse is not None and row.int(self.first) == self.refuse:
            raise Error("row refused as " + ("before" if row.kind == Kind.BEFORE else "other"))
        return KEEP


Plugin = export_plugin(EveryKind, "every-kind-python", "0.1.0")
