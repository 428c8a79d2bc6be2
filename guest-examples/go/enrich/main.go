// Adds columns from a reference table that the pipeline file declares under the plugin's lookups.
//
//	config: { table: countries, key: country, add: { country_name: name, region: region } }
//
// key is a text column; each column under add is filled with that field of the entry whose key it holds. Where the table has no such
// entry, or the entry no such text, the column is null.
package main

import (
	"encoding/json"
	"maps"
	"slices"

	"sluicebox"
)

type enrich struct {
	Table string
	Key   string
	// Fields of an entry by the columns that they go to.
	Add map[string]string
}

type columns struct {
	key   sluicebox.Text
	added []sluicebox.Text
	// Of the columns added.
	fields []string
}

func start(config []byte) (sluicebox.Transform[columns], error) {
	var e enrich
	return &e, json.Unmarshal(config, &e)
}

func (e *enrich) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
	found := columns{key: plan.Text(e.Key)}
	// In the order of their names, since a map has none.
	for _, column := range slices.Sorted(maps.Keys(e.Add)) {
		found.added = append(found.added, plan.AddText(column, sluicebox.Type{Type: sluicebox.TypeText}, true))
		found.fields = append(found.fields, e.Add[column])
	}
	return found, nil
}

func (e *enrich) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	key, ok := row.Text(c.key)
	if !ok {
		return sluicebox.Keep, nil
	}
	entry, ok := sluicebox.Lookup(e.Table, key)
	if !ok {
		return sluicebox.Keep, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(entry, &fields); err != nil {
		return sluicebox.Drop, err
	}
	for place, column := range c.added {
		if text, ok := fields[c.fields[place]].(string); ok {
			row.SetText(column, text)
		}
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("enrich-go", "0.1.0", start) }

func main() {}
