// Makes a row for each part of a text column.
//
//   config: { column: tags, separator: ",", into: tag }
//
// A row with the tags `red,blue` becomes two, with `red` and `blue` in the new column `tag`, which takes the old one's place and joins the key.
// Blanks around parts do not count, a part that occurs twice counts once, and a row without parts makes none.

import { DROP, Type, definePlugin, need } from "../sdk/js/sluicebox.js";

class SplitTags {
  constructor(config) {
    this.column = need(config, "column");
    this.into = need(config, "into");
    this.separator = config.separator ?? ",";
  }

  plan(table, plan) {
    const columns = { all: plan.text(this.column), one: plan.addText(this.into, Type.TEXT, false) };
    plan.remove(this.column);
    const key = table.columns.filter((column) => column.key !== null).sort((a, b) => a.key - b.key);
    // Rows of a table without a key stay without one.
    plan.key(key.length > 0 ? [...key.map((column) => column.name), this.into] : []);
    plan.expand();
    return columns;
  }

  row({ all, one }, row) {
    const parts = (row.text(all) ?? "").split(this.separator).map((part) => part.trim());
    for (const part of new Set(parts)) {
      if (part === "") continue;
      row.setText(one, part);
      row.emit();
    }
    return DROP;
  }
}

export const plugin = definePlugin("split-tags-js", "0.1.0", SplitTags);
