// For tests: reads every column and computes it again as it was.
//
// Each column is set twice, and the second time counts. meta adds columns with what else is known of a row; refuse condemns rows whose
// first integer has this value, or drops them with drop. twice makes two rows of each, told apart by a column copy, of which only the second
// is set; a row is condemned or dropped between the two, and by then has columns that are set wrong. ddl refuses every table, and tells its
// version and the statement that led to it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"sluicebox"
)

type everyKind struct {
	Meta   bool
	Refuse *int64
	Drop   bool
	Twice  bool
	DDL    bool
}

type columns struct {
	ints        []sluicebox.Int
	uints       []sluicebox.Uint
	floats      []sluicebox.Float
	texts       []sluicebox.Text
	bytes       []sluicebox.Bytes
	meta, twice bool
	copy        sluicebox.Int
	commitTime  [2]sluicebox.Int
	position    [2]sluicebox.Uint
	transaction [2]sluicebox.Text
	seed        [2]sluicebox.Uint
}

func start(config []byte) (sluicebox.Transform[*columns], error) {
	var e everyKind
	return &e, json.Unmarshal(config, &e)
}

func (e *everyKind) Plan(table *sluicebox.Table, plan *sluicebox.Plan) (*columns, error) {
	if e.DDL {
		ddl := table.DDL
		if ddl == "" {
			ddl = "nothing"
		}
		return nil, fmt.Errorf("version %d by %s", table.Version, ddl)
	}
	c := &columns{meta: e.Meta, twice: e.Twice}
	for _, column := range table.Columns {
		name, wide := column.Name, column.Precision > 18
		switch column.Type.Type {
		case sluicebox.TypeUint:
			c.uints = append(c.uints, plan.RewriteUint(name))
		case sluicebox.TypeFloat:
			c.floats = append(c.floats, plan.RewriteFloat(name))
		case sluicebox.TypeBinary:
			c.bytes = append(c.bytes, plan.RewriteBytes(name))
		case sluicebox.TypeText, sluicebox.TypeJSON:
			c.texts = append(c.texts, plan.RewriteText(name))
		default:
			if column.Type.Type == sluicebox.TypeDecimal && wide {
				c.texts = append(c.texts, plan.RewriteText(name))
			} else {
				c.ints = append(c.ints, plan.RewriteInt(name))
			}
		}
	}
	if e.Meta {
		time := sluicebox.Type{Type: sluicebox.TypeTimestamp, Precision: 6}
		c.commitTime = [2]sluicebox.Int{plan.CommitTime(), plan.AddInt("commit_time", time, true)}
		c.position = [2]sluicebox.Uint{plan.Position(), plan.AddUint("position", sluicebox.Type{Type: sluicebox.TypeUint}, true)}
		c.transaction = [2]sluicebox.Text{plan.Transaction(), plan.AddText("transaction", sluicebox.Type{Type: sluicebox.TypeText}, true)}
		c.seed = [2]sluicebox.Uint{plan.Seed(), plan.AddUint("seed", sluicebox.Type{Type: sluicebox.TypeUint}, false)}
	}
	if e.Twice {
		c.copy = plan.AddInt("copy", sluicebox.Type{Type: sluicebox.TypeInt}, false)
		plan.Key(append(table.Key(), "copy")...)
		plan.Expand()
	}
	return c, nil
}

func (e *everyKind) Row(c *columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	if c.twice {
		row.SetInt(c.copy, 1)
		row.Emit()
		row.SetInt(c.copy, 2)
	}
	for _, column := range c.ints {
		row.SetNull(column)
		if value, ok := row.Int(column); ok {
			row.SetInt(column, value)
		}
	}
	for _, column := range c.uints {
		row.SetUint(column, 1)
		if value, ok := row.Uint(column); ok {
			row.SetUint(column, value)
		} else {
			row.SetNull(column)
		}
	}
	for _, column := range c.floats {
		row.SetFloat(column, 1)
		if value, ok := row.Float(column); ok {
			row.SetFloat(column, value)
		} else {
			row.SetNull(column)
		}
	}
	for _, column := range c.texts {
		row.SetText(column, "on", "ce")
		if value, ok := row.Text(column); ok {
			row.SetText(column, value)
		} else {
			row.SetNull(column)
		}
	}
	for _, column := range c.bytes {
		row.SetNull(column)
		if value, ok := row.Bytes(column); ok {
			row.SetBytes(column, value)
		}
	}
	if c.meta {
		if value, ok := row.Int(c.commitTime[0]); ok {
			row.SetInt(c.commitTime[1], value)
		}
		if value, ok := row.Uint(c.position[0]); ok {
			row.SetUint(c.position[1], value)
		}
		if value, ok := row.Text(c.transaction[0]); ok {
			row.SetText(c.transaction[1], value)
		}
		if value, ok := row.Uint(c.seed[0]); ok {
			row.SetUint(c.seed[1], value)
		}
	}
	if first, ok := row.Int(c.ints[0]); ok && e.Refuse != nil && first == *e.Refuse {
		for _, column := range c.texts {
			row.SetText(column, "once") // No value of its column's type, where that is JSON or a wide decimal.
		}
		if e.Drop {
			return sluicebox.Drop, nil
		}
		if row.Kind() == sluicebox.Before {
			return sluicebox.Drop, errors.New("row refused as before")
		}
		return sluicebox.Drop, errors.New("row refused as other")
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("every-kind-go", "0.1.0", start) }

func main() {}
