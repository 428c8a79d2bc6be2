"""Filter, mask, two renames and two projections in one, on the table of the benchmark `guest_cost`."""

from sluicebox import DROP, KEEP, Transform, export_plugin


class Orders(Transform):
    def plan(self, table, plan):
        plan.rename("order_no", "order_number")
        plan.rename("created", "created_at")
        plan.remove("note")
        plan.remove("coupon")
        return plan.int("quantity"), plan.text("status"), plan.rewrite_text("email")

    def row(self, columns, row):
        quantity, status, email = columns
        if row.int(quantity) <= 2 or row.text(status) == "CANCELLED":
            return DROP
        address = row.text(email)
        row.set_text(email, f"{address[:1]}***{address[address.find('@'):]}")
        return KEEP


Plugin = export_plugin(Orders, "orders-python", "0.1.0")
