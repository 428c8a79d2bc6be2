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
	r.tables[id] = &planned[C]{columns, plan.reads, plan.outputs, Row{out: newOutputs(plan.outputs)}}
	return told, nil
}

func (r *running[C]) forget(id uint32) { delete(r.tables, id) }

func (r *running[C]) process(id, rows uint32, kinds []byte, columns []vector) (outcomeOut, error) {
	table := r.tables[id]
	if table == nil || len(table.reads) != len(columns) {
		return outcomeOut{}, errors.New("the table was not planned so")
	}
	beginRows()
	row, count := &table.row, int(rows)
	row.in.take(table.reads, columns)
	row.out.empty()
	row.rows = count
	keep, kept := make([]byte, (count+7)/8), 0
	var failed []errorOut
	for at, kind := range kinds {
		row.row, row.kind = at, Kind(kind)
		verdict, err := r.transform.Row(table.columns, row)
		if err != nil {
			failed = append(failed, errorOut{uint32(at), lent(err.Error())})
			verdict = Drop
			row.out.undo(at)
		}
		row.out.complete(at, bool(verdict), &row.in, count)
		if verdict {
			keep[at>>3] |= 1 << (at & 7)
			kept++
		}
	}
	endRows()
	outcome := outcomeOut{columns: given(row.out.finish(table.outputs)), errors: given(failed)}
	if kept < count {
		outcome.hasKeep, outcome.keep = 1, given(keep)
	}
	return outcome, nil
}
