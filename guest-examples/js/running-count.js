// Numbers the changes of rows with the same value in a column: the first of each value is 1.
//
//   config: { by: customer, column: changes }
//
// `by` is a text column; `column` is added, an integer. An inserted, updated, deleted or snapshot row counts as one; of an update the row
// before does not count and shows what was counted so far. Rows with a null in `by` are not counted.

import { KEEP, Kind, definePlugin, need, state } from "../sdk/js/sluicebox.js";

class RunningCount {
  constructor(config) {
    this.by = need(config, "by");
    this.column = need(config, "column");
  }

  plan(table, plan) {
    plan.stateful();
    return { by: plan.text(this.by), count: plan.addInt(this.column) };
  }

  row({ by, count }, row) {
    const value = row.text(by);
    if (value === null) return KEEP;
    // As text, so that it can be read in the state's database.
    let counted = Number(state.getText(value) ?? "0");
    if (row.kind !== Kind.BEFORE) {
      counted += 1;
      state.put(value, String(counted));
    }
    row.setInt(count, counted);
    return KEEP;
  }
}

export const plugin = definePlugin("running-count-js", "0.1.0", RunningCount);
