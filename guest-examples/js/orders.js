// Filter, mask, two renames and two projections in one, on the table of the benchmark `guest_cost`.

import { DROP, KEEP, definePlugin } from "../sdk/js/sluicebox.js";

class Orders {
  plan(table, plan) {
    plan.rename("order_no", "order_number");
    plan.rename("created", "created_at");
    plan.remove("note");
    plan.remove("coupon");
    return { quantity: plan.int("quantity"), status: plan.text("status"), email: plan.rewriteText("email") };
  }

  row({ quantity, status, email }, row) {
    if (row.int(quantity) <= 2 || row.text(status) === "CANCELLED") return DROP;
    const address = row.text(email);
    row.setText(email, `${address[0]}***${address.slice(address.indexOf("@"))}`);
    return KEEP;
  }
}

export const plugin = definePlugin("orders-js", "0.1.0", Orders);
