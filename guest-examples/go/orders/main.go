// Filter, mask, two renames and two projections in one, on the table of the benchmark guest_cost.
package main

import (
	"strings"

	"sluicebox"
)

type orders struct{}

type columns struct {
	quantity sluicebox.Int
	status   sluicebox.Text
	email    sluicebox.Text
}

func start([]byte) (sluicebox.Transform[columns], error) { return orders{}, nil }

func (orders) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
	plan.Rename("order_no", "order_number")
	plan.Rename("created", "created_at")
	plan.Remove("note")
	plan.Remove("coupon")
	return columns{plan.Int("quantity"), plan.Text("status"), plan.RewriteText("email")}, nil
}

func (orders) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	if quantity, _ := row.Int(c.quantity); quantity <= 2 {
		return sluicebox.Drop, nil
	}
	if status, _ := row.Text(c.status); status == "CANCELLED" {
		return sluicebox.Drop, nil
	}
	address, _ := row.Text(c.email)
	if at := strings.IndexByte(address, '@'); at > 0 {
		row.SetText(c.email, address[:1], "***", address[at:])
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("orders-go", "0.1.0", start) }

func main() {}
