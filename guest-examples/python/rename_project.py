"""Renames a table and its columns, and leaves columns out, or all but those of `keep`. The host does all of it: no row enters the plugin.

    config: { table: orders_clean, rename: { order_no: order_number }, remove: [note, internal_flags] }
"""

from sluicebox import KEEP, Transform, export_plugin


class RenameProject(Transform):
    def __init__(self, config):
        self.config = config

    def plan(self, table, plan):
        if "table" in self.config:
            plan.rename_table(self.config["table"])
        for column, name in self.config.get("rename", {}).items():
            plan.rename(column, name)
        for column in self.config.get("remove", []):
            plan.remove(column)
        if "keep" in self.config:
            plan.keep_only(self.config["keep"])
        plan.pass_rows()

    def row(self, table, row):
        return KEEP


Plugin = export_plugin(RenameProject, "rename-project-python", "0.1.0")
