"""Masks e-mail addresses: `ada@example.org` becomes `a***@example.org`, or `***` when the domain is not to be kept.

    config: { columns: [email, backup_email], keep-domain: true }

What is no address, since it has no `@`, becomes `***`. Nulls stay nulls.
"""

from sluicebox import KEEP, Transform, export_plugin


class MaskEmail(Transform):
    def __init__(self, config):
        self.columns = config["columns"]
        self.keep_domain = config.get("keep-domain", False)

    def plan(self, table, plan):
        return [plan.rewrite_text(column) for column in self.columns]

    def row(self, columns, row):
        for column in columns:
            address = row.text(column)
            if address is not None:
                row.set_text(column, self.mask(address))
        return KEEP

    def mask(self, address):
        name, at, domain = address.rpartition("@")
        return f"{name[:1]}***@{domain}" if at and self.keep_domain else "***"


Plugin = export_plugin(MaskEmail, "mask-email-python", "0.1.0")
