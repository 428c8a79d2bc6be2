// For tests: reads every column and computes it again as it was.
//
// Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse` condemns rows
// whose first integer has this value, or drops them with `drop`. `twice` makes two rows of each, told apart by a column `copy`, of which only
// the second is set; a row is condemned or dropped between the two, and by then has columns that are set wrong. `ddl` refuses every table,
// and tells its version and the statement that led to it.

import { DROP, KEEP, Kind, Type, definePlugin } from "../sdk/js/sluicebox.js";

class EveryKind {
  constructor({ meta = false, refuse = null, drop = false, twice = false, ddl = false }) {
    Object.assign(this, { meta, refuse, drop, twice, ddl });
  }

  plan(table, plan) {
    if (this.ddl) throw new Error(`version ${table.version} by ${table.ddl ?? "nothing"}`);
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
    let copy = null;
    if (this.twice) {
      copy = plan.addInt("copy", Type.INT, false);
      const key = table.columns.filter((column) => column.key !== null).sort((a, b) => a.key - b.key);
      plan.key([...key.map((column) => column.name), "copy"]);
      plan.expand();
    }
    const texts = columns.filter(([, once]) => once === "once");
    return { columns, texts, meta, first, copy };
  }

  row({ columns, texts, meta, first, copy }, row) {
    if (copy !== null) {
      row.setInt(copy, 1);
      row.emit();
      row.setInt(copy, 2);
    }
    for (const [column, once] of columns) {
      row.set(column, once);
      row.set(column, row.get(column));
    }
    for (const [read, added] of meta) row.set(added, row.get(read));
    if (this.refuse !== null && row.get(first) === this.refuse) {
      // No value of its column's type, where that is JSON or a wide decimal.
      for (const [column, once] of texts) row.set(column, once);
      if (this.drop) return DROP;
      throw new Error(`row refused as ${row.kind === Kind.BEFORE ? "before" : "other"}`);
    }
    return KEEP;
  }
}

export const plugin = definePlugin("every-kind-js", "0.1.0", EveryKind);
