// Numbers the changes of rows with the same value in a column: the first of each value is 1.
//
//	config: { by: customer, column: changes }
//
// by is a text column; column is added, an integer. An inserted, updated, deleted or snapshot row counts as one; of an update the row
// before does not count and shows what was counted so far. Rows with a null in by are not counted.
package main

import (
	"encoding/json"
	"strconv"

	"sluicebox"
)

type runningCount struct {
	By     string
	Column string
}

type columns struct {
	by    sluicebox.Text
	count sluicebox.Int
}

func start(config []byte) (sluicebox.Transform[columns], error) {
	var r runningCount
	return &r, json.Unmarshal(config, &r)
}

func (r *runningCount) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
	plan.Stateful()
	return columns{plan.Text(r.By), plan.AddInt(r.Column, sluicebox.Type{Type: sluicebox.TypeInt}, true)}, nil
}

func (r *runningCount) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	by, ok := row.Text(c.by)
	if !ok {
		return sluicebox.Keep, nil
	}
	var count int64
	// As text, so that it can be read in the state's database.
	if text, ok := sluicebox.StateGet(by); ok {
		var err error
		if count, err = strconv.ParseInt(string(text), 10, 64); err != nil {
			return sluicebox.Drop, err
		}
	}
	if row.Kind() != sluicebox.Before {
		count++
		sluicebox.StatePut(by, strconv.AppendInt(nil, count, 10))
	}
	row.SetInt(c.count, count)
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("running-count-go", "0.1.0", start) }

func main() {}
