"""Numbers the changes of rows with the same value in a column: the first of each value is 1.

    config: { by: customer, column: changes }

`by` is a text column; `column` is added, an integer. An inserted, updated, deleted or snapshot row counts as one; of an update the row
before does not count and shows what was counted so far. Rows with a null in `by` are not counted.
"""

from sluicebox import KEEP, Kind, Transform, export_plugin, state


class RunningCount(Transform):
    def __init__(self, config):
        self.by, self.column = config["by"], config["column"]

    def plan(self, table, plan):
        plan.stateful()
        return plan.text(self.by), plan.add_int(self.column)

    def row(self, columns, row):
        by, count = columns
        value = row.text(by)
        if value is None:
            return KEEP
        # As text, so that it can be read in the state's database.
        counted = int(state.get(value) or b"0")
        if row.kind != Kind.BEFORE:
            counted += 1
            state.put(value, str(counted).encode())
        row.set_int(count, counted)
        return KEEP


Plugin = export_plugin(RunningCount, "running-count-python", "0.1.0")
