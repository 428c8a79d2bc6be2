// @ts-check
// Drops cancelled orders and masks e-mail addresses.

import { DROP, KEEP, definePlugin } from "./sdk/sluicebox.js";

/** @import { Plan, Row, Table, Text, Transform } from "./sdk/sluicebox.js" */
/** @typedef {{ status: Text, email: Text }} Columns */

/** @implements {Transform<Columns>} */
class Orders {
  /** @param {any} config the pipeline file's `config` */
  constructor(config) {}

  /**
   * Called once for each table and version of its schema. Renames and removals are the host's work and cost nothing.
   * @param {Table} table
   * @param {Plan} plan
   */
  plan(table, plan) {
    plan.remove("note");
    // What is asked for here, and nothing else, enters the plugin.
    return { status: plan.text("status"), email: plan.rewriteText("email") };
  }

  /**
   * Called for each row. An exception condemns this row alone.
   * @param {Columns} columns
   * @param {Row} row
   */
  row({ status, email }, row) {
    if (row.text(status) === "CANCELLED") return DROP;
    const address = row.text(email);
    if (address !== null) {
      const at = address.lastIndexOf("@");
      if (at < 0) throw new Error("the address has no @");
      row.setText(email, `***${address.slice(at)}`);
    }
    return KEEP;
  }
}

export const plugin = definePlugin("__NAME__", "0.1.0", Orders);
