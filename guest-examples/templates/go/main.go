// Drops cancelled orders and masks e-mail addresses.
package main

import (
	"errors"
	"strings"

	"sluicebox"
)

type orders struct{}

// columns are those that rows are asked for; only these enter the plugin.
type columns struct {
	status, email sluicebox.Text
}

// start is told the pipeline file's config, as JSON text.
func start(config []byte) (sluicebox.Transform[columns], error) {
	return orders{}, nil
}

// Plan is called once for each table and version of its schema. Renames and removals are the host's work and cost nothing.
func (orders) Plan(table *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
	plan.Remove("note")
	return columns{status: plan.Text("status"), email: plan.RewriteText("email")}, nil
}

// Row is called for each row. An error condemns this row alone.
func (orders) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	if status, _ := row.Text(c.status); status == "CANCELLED" {
		return sluicebox.Drop, nil
	}
	if address, ok := row.Text(c.email); ok {
		at := strings.LastIndexByte(address, '@')
		if at < 0 {
			return sluicebox.Drop, errors.New("the address has no @")
		}
		row.SetText(c.email, "***", address[at:])
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("__NAME__", "0.1.0", start) }

func main() {}
