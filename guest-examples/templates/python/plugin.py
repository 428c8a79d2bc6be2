"""Drops cancelled orders and masks e-mail addresses."""

from sluicebox import DROP, KEEP, Error, Transform, export_plugin


class Orders(Transform):
    def __init__(self, config):
        # `config` is the pipeline file's `config`: config["key"], or config.get("key", default).
        pass

    def plan(self, table, plan):
        # Called once for each table and version of its schema. Renames and removals are the host's work and cost nothing.
        plan.remove("note")
        # What is asked for here, and nothing else, enters the plugin. `row` is given what this gives back.
        return plan.text("status"), plan.rewrite_text("email")

    def row(self, columns, row):
        # Called for each row. An exception condemns this row alone.
        status, email = columns
        if row.text(status) == "CANCELLED":
            return DROP
        address = row.text(email)
        if address is not None:
            name, at, domain = address.rpartition("@")
            if not at:
                raise Error("the address has no @")
            row.set_text(email, f"***@{domain}")
        return KEEP


Plugin = export_plugin(Orders, "__NAME__", "0.1.0")
