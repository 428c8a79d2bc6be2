// Renames a table and its columns, and leaves columns out, or all but those of keep. The host does all of it: no row enters the plugin.
//
//	config: { table: orders_clean, rename: { order_no: order_number }, remove: [note, internal_flags] }
package main

import (
	"encoding/json"

	"sluicebox"
)

type renameProject struct {
	Table  string
	Rename map[string]string
	Remove []string
	Keep   []string
}

// Row needs to know nothing: it is never called.
type nothing struct{}

func start(config []byte) (sluicebox.Transform[nothing], error) {
	var r renameProject
	return &r, json.Unmarshal(config, &r)
}

func (r *renameProject) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) (nothing, error) {
	if r.Table != "" {
		plan.RenameTable(r.Table)
	}
	for column, name := range r.Rename {
		plan.Rename(column, name)
	}
	for _, column := range r.Remove {
		plan.Remove(column)
	}
	if r.Keep != nil {
		plan.KeepOnly(r.Keep...)
	}
	plan.Pass()
	return nothing{}, nil
}

func (r *renameProject) Row(nothing, *sluicebox.Row) (sluicebox.Verdict, error) {
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("rename-project-go", "0.1.0", start) }

func main() {}
