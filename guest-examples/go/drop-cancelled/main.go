// Drops rows whose text column has one of the values that the configuration names.
//
//	config: { column: status, values: [CANCELLED, EXPIRED] }
package main

import (
	"encoding/json"
	"errors"
	"slices"

	"sluicebox"
)

type dropCancelled struct {
	Column string
	Values []string
}

func start(config []byte) (sluicebox.Transform[sluicebox.Text], error) {
	var d dropCancelled
	if err := json.Unmarshal(config, &d); err != nil {
		return nil, err
	}
	if d.Column == "" {
		return nil, errors.New("`column` is missing")
	}
	return d, nil
}

func (d dropCancelled) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) (sluicebox.Text, error) {
	return plan.Text(d.Column), nil
}

func (d dropCancelled) Row(column sluicebox.Text, row *sluicebox.Row) (sluicebox.Verdict, error) {
	if status, ok := row.Text(column); ok && slices.Contains(d.Values, status) {
		return sluicebox.Drop, nil
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("drop-cancelled-go", "0.1.0", start) }

func main() {}
