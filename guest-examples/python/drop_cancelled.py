"""Drops rows whose text column has one of the values that the configuration names.

    config: { column: status, values: [CANCELLED, EXPIRED] }
"""

from sluicebox import DROP, KEEP, Transform, export_plugin


class DropCancelled(Transform):
    def __init__(self, config):
        self.column = config["column"]
        self.values = frozenset(config["values"])

    def plan(self, table, plan):
        return plan.text(self.column)

    def row(self, status, row):
        return DROP if row.text(status) in self.values else KEEP


Plugin = export_plugin(DropCancelled, "drop-cancelled-python", "0.1.0")
