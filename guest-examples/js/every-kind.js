// For tests: reads every column and computes it again as it was.
//
// Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse` condemns rows
// whose first integer has this value.

import { KEEP, Kind, Type, definePlugin } from "../sdk/js/sluicebox.js";

class EveryKind {
  constructor({ meta = false, refuse = null }) {
    Object.assign(this, { meta, refuse });
  }

  plan(table, plan) {
    const columns = [];
    let first = null;
    for (const { name, type, precision } of table.columns) {
      if (type === "uint") columns.push([plan.rewriteUint(name), 1]);
      else if (type === "float") columns.push([plan.rewriteFloat(name), 1.5]);
      else if (type === "binary") columns.push([plan.rewriteBytes(name), null]);
      else if (type === "text" || type === "json" || (type === "decimal" && precision > 18)) columns.push([plan.rewriteText(name), "once"]);
      else {
        columns.push([plan.rewriteInt(name), null]);
        first ??= columns.at(-1)[0];
      }
    }
    const meta = !this.meta
      ? []
      : [
          [plan.commitTime(), plan.addInt("commit_time", Type.timestamp(6))],
          [plan.position(), plan.addUint("position")],
          [plan.transaction(), plan.addText("transaction")],
          [plan.seed(), plan.addUint("seed", Type.UINT, false)],
        ];
    return { columns, meta, first };
  }

  row({ columns, meta, first }, row) {
    for (const [column, once] of columns) {
      row.set(column, once);
      row.set(column, row.get(column));
    }
    for (const [read, added] of meta) row.set(added, row.get(read));
    if (this.refuse !== null && row.int(first) === this.refuse) {
      throw new Error(`row refused as ${row.kind === Kind.BEFORE ? "before" : "other"}`);
    }
    return KEEP;
  }
}

export const plugin = definePlugin("every-kind-js", "0.1.0", EveryKind);
