"""Adds columns from a reference table that the pipeline file declares under the plugin's `lookups`.

    config: { table: countries, key: country, add: { country_name: name, region: region } }

`key` is a text column; each column under `add` is filled with that field of the entry whose key it holds. Where the table has no such
entry, or the entry no such text, the column is null.
"""

from sluicebox import KEEP, Transform, export_plugin, lookup


class Enrich(Transform):
    def __init__(self, config):
        self.table, self.key, self.add = config["table"], config["key"], config["add"]

    def plan(self, table, plan):
        # In the order of their names, as the other languages' examples have it.
        added = [(plan.add_text(column), field) for column, field in sorted(self.add.items())]
        return plan.text(self.key), added

    def row(self, columns, row):
        key, added = columns
        value = row.text(key)
        entry = None if value is None else lookup.get(self.table, value)
        if entry is not None:
            for column, field in added:
                text = entry.get(field)
                if isinstance(text, str):
                    row.set_text(column, text)
        return KEEP


Plugin = export_plugin(Enrich, "enrich-python", "0.1.0")
