package sluicebox

import (
	"fmt"
	"slices"
	"strings"
)

// Int is a column of signed numbers that Row reads, sets, or both.
type Int handle

// Uint is a column of unsigned numbers that Row reads, sets, or both.
type Uint handle

// Float is a column of floating-point numbers that Row reads, sets, or both.
type Float handle

// Text is a column of texts that Row reads, sets, or both.
type Text handle

// Bytes is a column of bytes that Row reads, sets, or both.
type Bytes handle

// A place among what is read, and among what is computed, of the column's own shape; -1 where it is not.
type handle struct{ in, out int32 }

// The list that values cross in; text is told from bytes, because only text is UTF-8.
type shape uint8

const (
	ints shape = iota
	uints
	floats
	texts
	binaries
	shapes
)

func (s shape) method() string { return [...]string{"Int", "Uint", "Float", "Text", "Bytes"}[s] }

func (t Type) shape() shape {
	switch t.Type {
	case TypeUint:
		return uints
	case TypeFloat:
		return floats
	case TypeText, TypeJSON:
		return texts
	case TypeBinary:
		return binaries
	case TypeDecimal:
		if t.Precision > 18 {
			return texts
		}
	}
	return ints
}

// What is read, and in which list it comes.
type reading struct {
	kind, value uint32 // 0 and a column's place, or 1 and a meta.
	shape       shape
}

// A column of the output: an input column (place), or a computed one.
type output struct {
	name     string
	place    int // -1 for a new one.
	computed bool
	Type
	nullable bool
	shape    shape
	handle   handle
}

// What a text column holds that may not be null and was not set: valid for its type.
func (o output) blank() string {
	switch o.Type.Type {
	case TypeJSON:
		return "null"
	case TypeDecimal:
		return "0"
	}
	return ""
}

// Plan collects what is wanted with a table. Without a word the table's columns go on as they are, and Row decides which rows.
//
// Int, Uint, Float, Text and Bytes read a column; Rewrite... also compute it anew, with exactly its type; Add... add a column behind the
// others. What cannot be, such as a column that the table does not have, refuses the table when Plan returns: its first error is told,
// and handles are good for nothing.
type Plan struct {
	table    *Table
	outputs  []output
	reads    []reading
	counts   [shapes]int32 // Of computed columns.
	action   uint8
	before   bool
	expands  bool
	stateful bool
	key      []string
	rename   *string
	err      error
}

func newPlan(table *Table) *Plan {
	plan := &Plan{table: table, action: actionProcess}
	for place, column := range table.Columns {
		plan.outputs = append(plan.outputs, output{name: column.Name, place: place, Type: column.Type, nullable: column.Nullable})
	}
	return plan
}

const (
	actionPass = iota
	actionDiscard
	actionProcess
)

// Int reads signed numbers: integers, booleans (0 and 1), dates and times, decimals of up to 18 digits (unscaled).
func (p *Plan) Int(column string) Int { return Int(p.read(column, ints)) }

// Uint reads unsigned numbers: BIGINT UNSIGNED and BIT.
func (p *Plan) Uint(column string) Uint { return Uint(p.read(column, uints)) }

// Float reads floating-point numbers.
func (p *Plan) Float(column string) Float { return Float(p.read(column, floats)) }

// Text reads texts, also JSON and decimals of more than 18 digits.
func (p *Plan) Text(column string) Text { return Text(p.read(column, texts)) }

// Bytes reads bytes.
func (p *Plan) Bytes(column string) Bytes { return Bytes(p.read(column, binaries)) }

// RewriteInt computes a column of signed numbers from its old value.
func (p *Plan) RewriteInt(column string) Int { return Int(p.rewrite(column, ints)) }

// RewriteUint computes a column of unsigned numbers from its old value.
func (p *Plan) RewriteUint(column string) Uint { return Uint(p.rewrite(column, uints)) }

// RewriteFloat computes a column of floating-point numbers from its old value.
func (p *Plan) RewriteFloat(column string) Float { return Float(p.rewrite(column, floats)) }

// RewriteText computes a column of texts from its old value.
func (p *Plan) RewriteText(column string) Text { return Text(p.rewrite(column, texts)) }

// RewriteBytes computes a column of bytes from its old value.
func (p *Plan) RewriteBytes(column string) Bytes { return Bytes(p.rewrite(column, binaries)) }

// AddInt adds a column of signed numbers.
func (p *Plan) AddInt(column string, t Type, nullable bool) Int {
	return Int(p.add(column, t, nullable, ints))
}

// AddUint adds a column of unsigned numbers.
func (p *Plan) AddUint(column string, t Type, nullable bool) Uint {
	return Uint(p.add(column, t, nullable, uints))
}

// AddFloat adds a column of floating-point numbers.
func (p *Plan) AddFloat(column string, t Type, nullable bool) Float {
	return Float(p.add(column, t, nullable, floats))
}

// AddText adds a column of texts.
func (p *Plan) AddText(column string, t Type, nullable bool) Text {
	return Text(p.add(column, t, nullable, texts))
}

// AddBytes adds a column of bytes.
func (p *Plan) AddBytes(column string, t Type, nullable bool) Bytes {
	return Bytes(p.add(column, t, nullable, binaries))
}

// Rename gives a column another name. Names in Plan stay those of the input, except in Key.
func (p *Plan) Rename(column, name string) {
	if found := p.outputOf(p.place(column)); found >= 0 {
		p.outputs[found].name = name
	}
}

// Remove leaves a column out. It can be read all the same.
func (p *Plan) Remove(column string) {
	if found := p.untouched(p.place(column)); found >= 0 {
		p.outputs = slices.Delete(p.outputs, found, found+1)
	}
}

// KeepOnly leaves all columns out but these, and puts these in this order. To be called before columns are computed.
func (p *Plan) KeepOnly(columns ...string) {
	if slices.ContainsFunc(p.outputs, func(o output) bool { return o.computed }) {
		p.fail("KeepOnly must come before columns are computed")
		return
	}
	var kept []output
	for _, column := range columns {
		if found := p.untouched(p.place(column)); found >= 0 {
			kept = append(kept, p.outputs[found])
			p.outputs = slices.Delete(p.outputs, found, found+1)
		}
	}
	p.outputs = kept
}

// RenameTable gives the table another name, inside the same database.
func (p *Plan) RenameTable(name string) { p.rename = &name }

// Key makes these columns the key, by their names in the output.
func (p *Plan) Key(columns ...string) { p.key = append([]string{}, columns...) }

// Before asks for every update as two rows, before and after.
func (p *Plan) Before() { p.before = true }

// Stateful asks for state: Row may use StateGet and its like. Rows of the table then come in the order of the stream, one batch at a
// time, which costs the use of several processors for it.
func (p *Plan) Stateful() { p.stateful = true }

// Expand asks to make several rows of one, or none: Row may use Emit. Every update then comes as two rows: what was made of the row before
// is deleted, what is made of the row after put in its place. Key must be called, with a computed column that tells a row's several
// rows apart, or without any column for a table without a key.
func (p *Plan) Expand() { p.expands = true }

// Pass says that nothing is decided or computed by row: Row is never called, and the host does the rest without the plugin.
func (p *Plan) Pass() { p.action = actionPass }

// Discard drops all rows of the table; Row is never called.
func (p *Plan) Discard() { p.action = actionDiscard }

// CommitTime reads the commit time at the source, in microseconds since 1970-01-01T00:00:00Z; null for rows of a snapshot.
func (p *Plan) CommitTime() Int { return Int{p.reading(reading{1, 0, ints}), -1} }

// Position reads the order of the event in the stream, which begins anew at each start of the pipeline: it orders rows of one run. Null for rows
// of a snapshot, 0 for dead letters that are sent again.
func (p *Plan) Position() Uint { return Uint{p.reading(reading{1, 1, uints}), -1} }

// Transaction reads the name of the source's transaction; null for rows of a snapshot.
func (p *Plan) Transaction() Text { return Text{p.reading(reading{1, 2, texts}), -1} }

// Seed reads a number that looks random and is the same whenever the row image comes again; never null.
func (p *Plan) Seed() Uint { return Uint{p.reading(reading{1, 3, uints}), -1} }

func (p *Plan) fail(format string, arguments ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, arguments...)
	}
}

// The place of an input column; -1 is an error that has been noted.
func (p *Plan) place(name string) int {
	same := func(c Column) bool { return strings.EqualFold(c.Name, name) }
	place := slices.IndexFunc(p.table.Columns, same)
	if place < 0 {
		p.fail("table `%s` has no column `%s`", p.table.Name, name)
	}
	return place
}

func (p *Plan) outputOf(place int) int {
	if place < 0 {
		return -1
	}
	found := slices.IndexFunc(p.outputs, func(o output) bool { return o.place == place })
	if found < 0 {
		p.fail("column `%s` is no longer in the output", p.table.Columns[place].Name)
	}
	return found
}

func (p *Plan) untouched(place int) int {
	found := p.outputOf(place)
	if found >= 0 && p.outputs[found].computed {
		p.fail("column `%s` is computed already", p.table.Columns[place].Name)
		return -1
	}
	return found
}

func (p *Plan) read(column string, wanted shape) handle {
	place := p.place(column)
	if place < 0 {
		return handle{-1, -1}
	}
	if found := p.table.Columns[place].Type.shape(); found != wanted {
		p.fail("column `%s` is read with %s, not with %s", column, found.method(), wanted.method())
	}
	return handle{p.reading(reading{0, uint32(place), wanted}), -1}
}

// The place of what is read among what has its shape; each thing crosses once, however often it is asked for.
func (p *Plan) reading(wanted reading) int32 {
	if !slices.Contains(p.reads, wanted) {
		p.reads = append(p.reads, wanted)
	}
	var before int32
	for _, read := range p.reads {
		if read == wanted {
			break
		}
		if read.shape == wanted.shape {
			before++
		}
	}
	return before
}

func (p *Plan) rewrite(column string, wanted shape) handle {
	made := p.read(column, wanted)
	found := p.untouched(p.place(column))
	if found < 0 {
		return made
	}
	made.out = p.counts[wanted]
	p.counts[wanted]++
	p.outputs[found].computed, p.outputs[found].shape, p.outputs[found].handle = true, wanted, made
	return made
}

func (p *Plan) add(column string, t Type, nullable bool, wanted shape) handle {
	if found := t.shape(); found != wanted {
		p.fail("column `%s` is added with Add%s", column, found.method())
	}
	made := handle{-1, p.counts[wanted]}
	p.counts[wanted]++
	p.outputs = append(p.outputs, output{column, -1, true, t, nullable, wanted, made})
	return made
}

// The key's places in the output: what was asked for, or the input's key where a part of it is computed.
func (p *Plan) outputKey() (key []uint32, named bool) {
	if p.key != nil {
		for _, name := range p.key {
			place := slices.IndexFunc(p.outputs, func(o output) bool { return strings.EqualFold(o.name, name) })
			if place < 0 {
				p.fail("the output has no column `%s`", name)
			}
			key = append(key, uint32(place))
		}
		return key, true
	}
	computed := false
	for place, column := range p.table.Columns {
		if column.Key < 0 {
			continue
		}
		found := slices.IndexFunc(p.outputs, func(o output) bool { return o.place == place })
		if found < 0 {
			return nil, false
		}
		computed = computed || p.outputs[found].computed
		for len(key) <= column.Key {
			key = append(key, 0)
		}
		key[column.Key] = uint32(found)
	}
	return key, computed
}

func (p *Plan) unchanged() bool {
	for place, output := range p.outputs {
		if output.place != place || output.computed || output.name != p.table.Columns[place].Name {
			return false
		}
	}
	return len(p.outputs) == len(p.table.Columns)
}

// The plan as the host reads it, in memory that is held until it has.
func (p *Plan) finish() (planOut, error) {
	key, named := p.outputKey()
	if p.err != nil {
		return planOut{}, p.err
	}
	plan := planOut{action: p.action, before: p.before, expands: p.expands, stateful: p.stateful}
	var reads []readOut
	for _, read := range p.reads {
		reads = append(reads, readOut{read.kind, read.value})
	}
	plan.reads = given(reads)
	if !p.unchanged() {
		var columns []outputOut
		for _, output := range p.outputs {
			columns = append(columns, output.out())
		}
		plan.hasOutput, plan.output = 1, given(columns)
	}
	if named {
		plan.hasKey, plan.key = 1, given(key)
	}
	if p.rename != nil {
		plan.hasRename, plan.rename = 1, lent(*p.rename)
	}
	return plan, nil
}

func (o output) out() outputOut {
	out := outputOut{name: lent(o.name)}
	switch {
	case !o.computed:
		out.typeKind = uint32(o.place)
		return out
	case o.place >= 0:
		// `like` has one number, where a type in full begins.
		out.typeKind, out.columnType = 1, uint32(o.place)
	default:
		out.columnType, out.precision, out.scale = uint32(o.Type.Type), o.Precision, o.Scale
	}
	out.computed = 1
	if o.nullable {
		out.nullable = 1
	}
	return out
}
