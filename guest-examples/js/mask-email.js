// Masks e-mail addresses: `ada@example.org` becomes `a***@example.org`, or `***` when the domain is not to be kept.
//
//   config: { columns: [email, backup_email], keep-domain: true }
//
// What is no address, since it has no `@`, becomes `***`. Nulls stay nulls.

import { KEEP, definePlugin, need } from "../sdk/js/sluicebox.js";

class MaskEmail {
  constructor(config) {
    this.columns = need(config, "columns");
    this.keepDomain = config["keep-domain"] ?? false;
  }

  plan(table, plan) {
    return this.columns.map((column) => plan.rewriteText(column));
  }

  row(columns, row) {
    for (const column of columns) {
      const address = row.text(column);
      if (address !== null) row.setText(column, this.mask(address));
    }
    return KEEP;
  }

  mask(address) {
    const at = address.lastIndexOf("@");
    if (at < 0 || !this.keepDomain) return "***";
    // A character can be two units.
    const first = at > 0 ? String.fromCodePoint(address.codePointAt(0)) : "";
    return `${first}***${address.slice(at)}`;
  }
}

export const plugin = definePlugin("mask-email-js", "0.1.0", MaskEmail);
