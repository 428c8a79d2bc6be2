"""Makes a row for each part of a text column.

    config: { column: tags, separator: ",", into: tag }

A row with the tags `red,blue` becomes two, with `red` and `blue` in the new column `tag`, which takes the old one's place and joins the key.
Blanks around parts do not count, a part that occurs twice counts once, and a row without parts makes none.
"""

from sluicebox import DROP, Transform, export_plugin


class SplitTags(Transform):
    def __init__(self, config):
        self.column, self.into = config["column"], config["into"]
        self.separator = config.get("separator", ",")

    def plan(self, table, plan):
        columns = plan.text(self.column), plan.add_text(self.into, nullable=False)
        plan.remove(self.column)
        key = sorted((column.key, column.name) for column in table.columns if column.key is not None)
        # Rows of a table without a key stay without one.
        plan.key([name for _, name in key] + [self.into] if key else [])
        plan.expand()
        return columns

    def row(self, columns, row):
        tags, tag = columns
        parts = (part.strip() for part in (row.text(tags) or "").split(self.separator))
        for part in dict.fromkeys(filter(None, parts)):
            row.set_text(tag, part)
            row.emit()
        return DROP


Plugin = export_plugin(SplitTags, "split-tags-python", "0.1.0")
