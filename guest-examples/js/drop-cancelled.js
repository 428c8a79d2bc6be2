// Drops rows whose text column has one of the values that the configuration names.
//
//   config: { column: status, values: [CANCELLED, EXPIRED] }

import { DROP, KEEP, definePlugin, need } from "../sdk/js/sluicebox.js";

class DropCancelled {
  constructor(config) {
    this.column = need(config, "column");
    this.values = new Set(need(config, "values"));
  }

  plan(table, plan) {
    return plan.text(this.column);
  }

  row(status, row) {
    return this.values.has(row.text(status)) ? DROP : KEEP;
  }
}

export const plugin = definePlugin("drop-cancelled-js", "0.1.0", DropCancelled);
