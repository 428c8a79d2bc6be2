package sluicebox

// Fixed-width values that came in, and texts or bytes. Null bits are nil where there are no nulls.
type fixed[T any] struct {
	data     []T
	validity []byte
}

type stringsIn struct {
	offsets  []uint32
	data     []byte
	text     string // The same bytes.
	validity []byte
}

func isNull(validity []byte, row int) bool {
	return validity != nil && validity[row>>3]>>(row&7)&1 == 0
}

type inputs struct {
	ints            []fixed[int64]
	uints           []fixed[uint64]
	floats          []fixed[float64]
	texts, binaries []stringsIn
}

func fixedIn[T any](v *vector, validity []byte) fixed[T] {
	return fixed[T]{sliceAt[T](v.data), validity}
}

// The columns of a batch; they lie where the host has put them.
func (in *inputs) take(reads []reading, columns []vector) {
	in.ints, in.uints, in.floats = in.ints[:0], in.uints[:0], in.floats[:0]
	in.texts, in.binaries = in.texts[:0], in.binaries[:0]
	for place := range columns {
		v := &columns[place]
		var validity []byte
		if v.hasValidity&1 == 1 {
			validity = sliceAt[byte](v.validity)
		}
		switch reads[place].shape {
		case ints:
			in.ints = append(in.ints, fixedIn[int64](v, validity))
		case uints:
			in.uints = append(in.uints, fixedIn[uint64](v, validity))
		case floats:
			in.floats = append(in.floats, fixedIn[float64](v, validity))
		default:
			data := text{v.strings.data, v.strings.count}
			column := stringsIn{sliceAt[uint32](v.data), bytesAt(data), stringAt(data), validity}
			if reads[place].shape == texts {
				in.texts = append(in.texts, column)
			} else {
				in.binaries = append(in.binaries, column)
			}
		}
	}
}

// Null bits on their way out; there are none until the first null.
type nulls struct {
	bits []byte
	any  bool
}

func (n *nulls) set(row int, null bool, rows int) {
	if !n.any {
		if !null {
			return
		}
		n.any = true
		n.bits = n.bits[:0]
		for range (rows + 7) / 8 {
			n.bits = append(n.bits, 0xff)
		}
	}
	// Where rows are made of others there can be more than came in.
	for len(n.bits) <= row>>3 {
		n.bits = append(n.bits, 0xff)
	}
	if null {
		n.bits[row>>3] &^= 1 << (row & 7)
	} else {
		n.bits[row>>3] |= 1 << (row & 7)
	}
}

// A computed column of numbers. Memory is used again for the next batch, when the host has read it.
type fixedOut[T any] struct {
	data     []T
	nulls    nulls
	old      int32
	nullable bool
}

func (out *fixedOut[T]) set(row int, value T, null bool, rows int) {
	out.data = append(out.data[:row], value)
	out.nulls.set(row, null, rows)
}

// complete sees to it that the row has an entry: the old value when it stays, else as little as possible. at is its place among the rows
// that go out, row the one that it is made of.
func (out *fixedOut[T]) complete(at, row int, stays bool, in []fixed[T], rows int) {
	if len(out.data) > at {
		return
	}
	var blank T
	if !stays || out.old < 0 {
		out.set(at, blank, out.nullable, rows)
		return
	}
	old := &in[out.old]
	out.set(at, old.data[row], isNull(old.validity, row), rows)
}

// A computed column of texts or bytes: offsets has one entry more than there are rows.
type stringsOut struct {
	offsets  []uint32
	data     []byte
	nulls    nulls
	old      int32
	nullable bool
	blank    string // Valid for the column's type.
}

// begin takes back what was set for the row before.
func (out *stringsOut) begin(row int) {
	out.offsets = out.offsets[:min(row+1, len(out.offsets))]
	out.data = out.data[:out.offsets[len(out.offsets)-1]]
}

func (out *stringsOut) end(row int, null bool, rows int) {
	out.offsets = append(out.offsets, uint32(len(out.data)))
	out.nulls.set(row, null, rows)
}

func (out *stringsOut) complete(at, row int, stays bool, in []stringsIn, rows int) {
	if len(out.offsets) > at+1 {
		return
	}
	out.begin(at)
	if !stays || out.old < 0 {
		out.data = append(out.data, out.blank...)
		out.end(at, out.nullable, rows)
		return
	}
	old := &in[out.old]
	null := isNull(old.validity, row)
	if !null {
		out.data = append(out.data, old.data[old.offsets[row]:old.offsets[row+1]]...)
	}
	out.end(at, null, rows)
}

type outputs struct {
	ints            []fixedOut[int64]
	uints           []fixedOut[uint64]
	floats          []fixedOut[float64]
	texts, binaries []stringsOut
}

func newOutputs(columns []output) *outputs {
	out := &outputs{}
	// In the order in which the columns were asked for, which is that of their handles.
	grow := func(count int32, make func()) {
		for range count {
			make()
		}
	}
	counts := [shapes]int32{}
	for _, column := range columns {
		if column.computed {
			counts[column.shape]++
		}
	}
	grow(counts[ints], func() { out.ints = append(out.ints, fixedOut[int64]{}) })
	grow(counts[uints], func() { out.uints = append(out.uints, fixedOut[uint64]{}) })
	grow(counts[floats], func() { out.floats = append(out.floats, fixedOut[float64]{}) })
	grow(counts[texts], func() { out.texts = append(out.texts, stringsOut{}) })
	grow(counts[binaries], func() { out.binaries = append(out.binaries, stringsOut{}) })
	for _, column := range columns {
		if !column.computed {
			continue
		}
		at, old, nullable := column.handle.out, column.handle.in, column.nullable
		switch column.shape {
		case ints:
			out.ints[at].old, out.ints[at].nullable = old, nullable
		case uints:
			out.uints[at].old, out.uints[at].nullable = old, nullable
		case floats:
			out.floats[at].old, out.floats[at].nullable = old, nullable
		case texts:
			out.texts[at].old, out.texts[at].nullable, out.texts[at].blank = old, nullable, column.blank()
		default:
			out.binaries[at].old, out.binaries[at].nullable = old, nullable
		}
	}
	return out
}

func emptyFixed[T any](columns []fixedOut[T]) {
	for i := range columns {
		columns[i].data, columns[i].nulls.any = columns[i].data[:0], false
	}
}

func emptyStrings(columns []stringsOut) {
	for i := range columns {
		columns[i].data, columns[i].nulls.any = columns[i].data[:0], false
		columns[i].offsets = append(columns[i].offsets[:0], 0)
	}
}

func (out *outputs) empty() {
	emptyFixed(out.ints)
	emptyFixed(out.uints)
	emptyFixed(out.floats)
	emptyStrings(out.texts)
	emptyStrings(out.binaries)
}

func (out *outputs) complete(at, row int, stays bool, in *inputs, rows int) {
	for i := range out.ints {
		out.ints[i].complete(at, row, stays, in.ints, rows)
	}
	for i := range out.uints {
		out.uints[i].complete(at, row, stays, in.uints, rows)
	}
	for i := range out.floats {
		out.floats[i].complete(at, row, stays, in.floats, rows)
	}
	for i := range out.texts {
		out.texts[i].complete(at, row, stays, in.texts, rows)
	}
	for i := range out.binaries {
		out.binaries[i].complete(at, row, stays, in.binaries, rows)
	}
}

// undo takes back what was set for rows from this one on: half of a row's work may be anything.
func (out *outputs) undo(row int) {
	undoFixed(out.ints, row)
	undoFixed(out.uints, row)
	undoFixed(out.floats, row)
	for i := range out.texts {
		out.texts[i].begin(row)
	}
	for i := range out.binaries {
		out.binaries[i].begin(row)
	}
}

func undoFixed[T any](columns []fixedOut[T], row int) {
	for i := range columns {
		columns[i].data = columns[i].data[:min(row, len(columns[i].data))]
	}
}

func (n *nulls) finish(v *vector, rows int) {
	if !n.any {
		return
	}
	for len(n.bits) < (rows+7)/8 {
		n.bits = append(n.bits, 0xff)
	}
	v.hasValidity, v.validity = 1, listOf(n.bits[:(rows+7)/8])
}

func (out *fixedOut[T]) finish(shape uint32) vector {
	v := vector{shape: shape, data: listOf(out.data)}
	out.nulls.finish(&v, len(out.data))
	return v
}

func (out *stringsOut) finish() vector {
	v := vector{shape: 3, data: listOf(out.offsets), strings: listOf(out.data)}
	out.nulls.finish(&v, len(out.offsets)-1)
	return v
}

// finish gives the columns in the order of the plan's output.
func (out *outputs) finish(columns []output) []vector {
	var made []vector
	for _, column := range columns {
		if !column.computed {
			continue
		}
		at := column.handle.out
		switch column.shape {
		case ints:
			made = append(made, out.ints[at].finish(0))
		case uints:
			made = append(made, out.uints[at].finish(1))
		case floats:
			made = append(made, out.floats[at].finish(2))
		case texts:
			made = append(made, out.texts[at].finish())
		default:
			made = append(made, out.binaries[at].finish())
		}
	}
	return made
}

// Row is one row image: columns are read and set through the handles that Plan gave out. Getters give false for null; of a rewritten
// column they give the old value. Texts and bytes that they give stay what they are, also behind the call; bytes are not to be changed.
type Row struct {
	in   inputs
	out  *outputs
	kind Kind
	row  int
	rows int
	// The row that is being made; the same as row where each makes one.
	at int
	// Of which row each is made, where the plan may make several of one.
	expands bool
	madeOf  []uint32
}

// Emit makes a row of what is set, for plans that said Expand. Columns that are added are to be set again before the next one; a rewritten
// column has its old value until it is set. Keep makes a last row, Drop none.
func (r *Row) Emit() {
	if !r.expands {
		panic("Emit makes several rows of one, and the plan did not say Expand")
	}
	r.out.complete(r.at, r.row, true, &r.in, r.rows)
	r.madeOf = append(r.madeOf, uint32(r.row))
	r.at++
}

// Kind says what the row is.
func (r *Row) Kind() Kind { return r.kind }

// Int is the value of a column of signed numbers.
func (r *Row) Int(column Int) (int64, bool) { return value(&r.in.ints[column.in], r.row) }

// Uint is the value of a column of unsigned numbers.
func (r *Row) Uint(column Uint) (uint64, bool) { return value(&r.in.uints[column.in], r.row) }

// Float is the value of a column of floating-point numbers.
func (r *Row) Float(column Float) (float64, bool) { return value(&r.in.floats[column.in], r.row) }

func value[T any](in *fixed[T], row int) (found T, ok bool) {
	if isNull(in.validity, row) {
		return found, false
	}
	return in.data[row], true
}

// Text is the value of a column of texts.
func (r *Row) Text(column Text) (string, bool) {
	in := &r.in.texts[column.in]
	if isNull(in.validity, r.row) {
		return "", false
	}
	return in.text[in.offsets[r.row]:in.offsets[r.row+1]], true
}

// Bytes is the value of a column of bytes.
func (r *Row) Bytes(column Bytes) ([]byte, bool) {
	in := &r.in.binaries[column.in]
	if isNull(in.validity, r.row) {
		return nil, false
	}
	return in.data[in.offsets[r.row]:in.offsets[r.row+1]], true
}

// SetInt sets a computed column.
func (r *Row) SetInt(column Int, value int64) {
	r.out.ints[column.out].set(r.at, value, false, r.rows)
}

// SetUint sets a computed column.
func (r *Row) SetUint(column Uint, value uint64) {
	r.out.uints[column.out].set(r.at, value, false, r.rows)
}

// SetFloat sets a computed column.
func (r *Row) SetFloat(column Float, value float64) {
	r.out.floats[column.out].set(r.at, value, false, r.rows)
}

// SetText sets a computed column to these parts, one behind the other, which saves putting them together before.
func (r *Row) SetText(column Text, parts ...string) {
	out := &r.out.texts[column.out]
	out.begin(r.at)
	for _, part := range parts {
		out.data = append(out.data, part...)
	}
	out.end(r.at, false, r.rows)
}

// SetBytes sets a computed column.
func (r *Row) SetBytes(column Bytes, value []byte) {
	out := &r.out.binaries[column.out]
	out.begin(r.at)
	out.data = append(out.data, value...)
	out.end(r.at, false, r.rows)
}

// SetNull makes a computed column null.
func (r *Row) SetNull(column interface{ setNull(*Row) }) { column.setNull(r) }

func (c Int) setNull(r *Row)   { r.out.ints[c.out].set(r.at, 0, true, r.rows) }
func (c Uint) setNull(r *Row)  { r.out.uints[c.out].set(r.at, 0, true, r.rows) }
func (c Float) setNull(r *Row) { r.out.floats[c.out].set(r.at, 0, true, r.rows) }
func (c Text) setNull(r *Row)  { nullString(&r.out.texts[c.out], r) }
func (c Bytes) setNull(r *Row) { nullString(&r.out.binaries[c.out], r) }

func nullString(out *stringsOut, r *Row) {
	out.begin(r.at)
	out.end(r.at, true, r.rows)
}
