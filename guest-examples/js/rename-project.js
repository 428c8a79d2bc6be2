// Renames a table and its columns, and leaves columns out, or all but those of `keep`. The host does all of it: no row enters the plugin.
//
//   config: { table: orders_clean, rename: { order_no: order_number }, remove: [note, internal_flags] }

import { KEEP, definePlugin } from "../sdk/js/sluicebox.js";

class RenameProject {
  constructor({ table, rename = {}, remove = [], keep = null }) {
    Object.assign(this, { table, rename, remove, keep });
  }

  plan(table, plan) {
    if (this.table !== undefined) plan.renameTable(this.table);
    for (const [column, name] of Object.entries(this.rename)) plan.rename(column, name);
    for (const column of this.remove) plan.remove(column);
    if (this.keep !== null) plan.keepOnly(this.keep);
    plan.pass();
  }

  row() {
    return KEEP;
  }
}

export const plugin = definePlugin("rename-project-js", "0.1.0", RenameProject);
