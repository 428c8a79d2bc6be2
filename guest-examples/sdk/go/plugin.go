package sluicebox

import (
	"errors"
	"fmt"
	"unsafe"
)

// The interface's four functions, as the host calls them: numbers and addresses. A text's address and size, and a list's, are two
// numbers; what they give back lies in memory. What is held for a call is let go when the host has read the answer.

type plugin struct {
	name, version string
	start         func(config []byte) (runner, error)
}

// The plugin of this program, from Export on, and from init on the one that runs.
var (
	exported plugin
	started  runner
)

// runner is a Transform of whatever type.
type runner interface {
	plan(id uint32, table *Table) (planOut, error)
	process(id, rows uint32, kinds []byte, columns []vector) (outcomeOut, error)
	forget(id uint32)
}

type running[C any] struct {
	transform Transform[C]
	tables    map[uint32]*planned[C]
}

type planned[C any] struct {
	columns C
	reads   []reading
	outputs []output
	row     Row
}

// Where answers are put; one call is answered after another.
var (
	aboutAnswer   aboutResult
	planAnswer    planResult
	outcomeAnswer outcomeResult
)

//go:wasmexport sluicebox:transform/plugin@0.2.0#init
func exportInit(config, size uint32) uint32 {
	aboutAnswer = aboutResult{}
	err := caught(func() (err error) {
		if exported.start == nil {
			return errors.New("the plugin's program calls no sluicebox.Export")
		}
		started, err = exported.start(append([]byte{}, bytesAt(text{config, size})...))
		return err
	})
	if err != nil {
		aboutAnswer.failed, aboutAnswer.name = 1, lent(err.Error())
	} else {
		aboutAnswer.name, aboutAnswer.version = lent(exported.name), lent(exported.version)
	}
	return address(unsafe.Pointer(&aboutAnswer))
}

//go:wasmexport sluicebox:transform/plugin@0.2.0#plan-table
func exportPlanTable(id, database, databaseSize, name, nameSize uint32, version uint64, columns, count, hasDDL, ddl, ddlSize uint32) uint32 {
	table := &Table{Database: stringAt(text{database, databaseSize}), Name: stringAt(text{name, nameSize}), Version: version}
	for _, column := range sliceAt[columnIn](list{columns, count}) {
		table.Columns = append(table.Columns, column.column())
	}
	if hasDDL == 1 {
		table.DDL = stringAt(text{ddl, ddlSize})
	}
	planAnswer = planResult{}
	err := caught(func() (err error) {
		if started == nil {
			return errors.New("init was not called")
		}
		planAnswer.plan, err = started.plan(id, table)
		return err
	})
	if err != nil {
		planAnswer = planResult{failed: 1}
		*(*text)(unsafe.Pointer(&planAnswer.plan)) = lent(err.Error())
	}
	return address(unsafe.Pointer(&planAnswer))
}

//go:wasmexport sluicebox:transform/plugin@0.2.0#process
func exportProcess(id, rows, kinds, kindCount, columns, columnCount uint32) uint32 {
	outcomeAnswer = outcomeResult{}
	err := caught(func() (err error) {
		if started == nil {
			return errors.New("init was not called")
		}
		outcomeAnswer.outcome, err = started.process(id, rows, sliceAt[byte](list{kinds, kindCount}), sliceAt[vector](list{columns, columnCount}))
		return err
	})
	if err != nil {
		outcomeAnswer = outcomeResult{failed: 1}
		*(*text)(unsafe.Pointer(&outcomeAnswer.outcome)) = lent(err.Error())
	}
	return address(unsafe.Pointer(&outcomeAnswer))
}

//go:wasmexport sluicebox:transform/plugin@0.2.0#forget-table
func exportForgetTable(id uint32) {
	if started != nil {
		started.forget(id)
	}
}

//go:wasmexport cabi_post_sluicebox:transform/plugin@0.2.0#init
func postInit(uint32) { release() }

//go:wasmexport cabi_post_sluicebox:transform/plugin@0.2.0#plan-table
func postPlanTable(uint32) { release() }

//go:wasmexport cabi_post_sluicebox:transform/plugin@0.2.0#process
func postProcess(uint32) { release() }

// caught makes an error of a panic: of the call, not of a row.
func caught(call func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panicked: %v", panicked)
		}
	}()
	return call()
}

func (c columnIn) column() Column {
	column := Column{
		Name:       stringAt(c.name),
		Type:       Type{ColumnType(c.columnType), c.precision, c.scale},
		Nullable:   c.nullable,
		Key:        -1,
		SourceType: stringAt(c.sourceType),
	}
	if c.inKey&1 == 1 {
		column.Key = int(c.key)
	}
	return column
}

func (r *running[C]) plan(id uint32, table *Table) (planOut, error) {
	plan := newPlan(table)
	columns, err := r.transform.Plan(table, plan)
	if err != nil {
		return planOut{}, err
	}
	told, err := plan.finish()
	if err != nil {
		return planOut{}, err
	}
	r.tables[id] = &planned[C]{columns, plan.reads, plan.outputs, Row{out: newOutputs(plan.outputs), expands: plan.expands}}
	return told, nil
}

func (r *running[C]) forget(id uint32) { delete(r.tables, id) }

func (r *running[C]) process(id, rows uint32, kinds []byte, columns []vector) (outcomeOut, error) {
	table := r.tables[id]
	if table == nil || len(table.reads) != len(columns) {
		return outcomeOut{}, errors.New("the table was not planned so")
	}
	beginRows()
	row := &table.row
	row.in.take(table.reads, columns)
	row.out.empty()
	row.rows, row.at, row.madeOf = int(rows), 0, row.madeOf[:0]
	var outcome outcomeOut
	if row.expands {
		outcome.errors = given(table.expand(r.transform, kinds))
		outcome.hasOrigins, outcome.origins = 1, listOf(row.madeOf)
	} else {
		keep, failed := table.filter(r.transform, kinds)
		outcome.errors = given(failed)
		if keep != nil {
			outcome.hasKeep, outcome.keep = 1, given(keep)
		}
	}
	endRows()
	outcome.columns = given(row.out.finish(table.outputs))
	return outcome, nil
}

// filter makes a row of each; the verdicts are nil when all stay.
func (p *planned[C]) filter(transform Transform[C], kinds []byte) (keep []byte, failed []errorOut) {
	row, kept := &p.row, 0
	keep = make([]byte, (len(kinds)+7)/8)
	for at, kind := range kinds {
		row.row, row.at, row.kind = at, at, Kind(kind)
		verdict, err := transform.Row(p.columns, row)
		if err != nil {
			failed = append(failed, errorOut{uint32(at), lent(err.Error())})
			verdict = Drop
		}
		if verdict {
			keep[at>>3] |= 1 << (at & 7)
			kept++
		} else {
			row.out.undo(at)
		}
		row.out.complete(at, at, bool(verdict), &row.in, row.rows)
	}
	if kept == len(kinds) {
		return nil, failed
	}
	return keep, failed
}

// expand makes several rows of each, or none.
func (p *planned[C]) expand(transform Transform[C], kinds []byte) (failed []errorOut) {
	row := &p.row
	for at, kind := range kinds {
		row.row, row.kind = at, Kind(kind)
		first := row.at
		verdict, err := transform.Row(p.columns, row)
		switch {
		case err != nil:
			failed = append(failed, errorOut{uint32(at), lent(err.Error())})
			row.at, row.madeOf = first, row.madeOf[:first]
		case bool(verdict):
			row.Emit()
		}
		row.out.undo(row.at)
	}
	return failed
}
