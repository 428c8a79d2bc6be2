// Adds columns from a reference table that the pipeline file declares under the plugin's `lookups`.
//
//   config: { table: countries, key: country, add: { country_name: name, region: region } }
//
// `key` is a text column; each column under `add` is filled with that field of the entry whose key it holds. Where the table has no such
// entry, or the entry no such text, the column is null.

import { KEEP, definePlugin, lookup, need } from "../sdk/js/sluicebox.js";

class Enrich {
  constructor(config) {
    this.table = need(config, "table");
    this.key = need(config, "key");
    this.add = need(config, "add");
  }

  plan(table, plan) {
    // In the order of their names, as the other languages' examples have it.
    const added = Object.keys(this.add).sort();
    return { key: plan.text(this.key), added: added.map((column) => ({ column: plan.addText(column), field: this.add[column] })) };
  }

  row({ key, added }, row) {
    const value = row.text(key);
    const entry = value === null ? null : lookup.get(this.table, value);
    if (entry === null) return KEEP;
    for (const { column, field } of added) {
      if (typeof entry[field] === "string") row.setText(column, entry[field]);
    }
    return KEEP;
  }
}

export const plugin = definePlugin("enrich-js", "0.1.0", Enrich);
