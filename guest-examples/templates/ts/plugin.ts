// Drops cancelled orders and masks e-mail addresses.

import { DROP, KEEP, definePlugin } from "./sdk/sluicebox.js";
import type { Plan, Row, Table, Text, Transform, Verdict } from "./sdk/sluicebox.js";

interface Columns {
  status: Text;
  email: Text;
}

class Orders implements Transform<Columns> {
  /** `config` is the pipeline file's; say here what it looks like. */
  constructor(config: object) {}

  /** Called once for each table and version of its schema. Renames and removals are the host's work and cost nothing. */
  plan(table: Table, plan: Plan): Columns {
    plan.remove("note");
    // What is asked for here, and nothing else, enters the plugin.
    return { status: plan.text("status"), email: plan.rewriteText("email") };
  }

  /** Called for each row. An exception condemns this row alone. */
  row({ status, email }: Columns, row: Row): Verdict {
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
