// Package sluicebox is for Sluicebox transform plugins: write one as a function of one row.
//
// A plugin is a type with two methods: Plan says once for each table (and each version of its schema) which columns are read,
// renamed, removed or computed, and Row is called for each row. Column names are looked up in Plan alone: it gives back handles,
// which Row uses.
//
//	type orders struct{}
//
//	type columns struct {
//		quantity sluicebox.Int
//		email    sluicebox.Text
//	}
//
//	func (orders) Plan(table *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
//		plan.Rename("order_no", "order_number")
//		plan.Remove("note")
//		return columns{plan.Int("quantity"), plan.RewriteText("email")}, nil
//	}
//
//	func (orders) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
//		if quantity, ok := row.Int(c.quantity); !ok || quantity <= 2 {
//			return sluicebox.Drop, nil
//		}
//		if _, ok := row.Text(c.email); ok {
//			row.SetText(c.email, "***")
//		}
//		return sluicebox.Keep, nil
//	}
//
//	func init() {
//		sluicebox.Export("orders", "0.1.0", func(config []byte) (sluicebox.Transform[columns], error) {
//			return orders{}, nil
//		})
//	}
//
//	func main() {}
//
// What a plugin computes must follow from its configuration, the plan, the row and, where the plan says Stateful, its state alone:
// instances come and go, and a batch can come again. There is one goroutine, no clock and no randomness.
package sluicebox

// Verdict says what happens to a row.
type Verdict bool

const (
	// Keep lets the row go on.
	Keep Verdict = true
	// Drop does not. An update that leaves the filter so becomes a delete, one that enters it an insert.
	Drop Verdict = false
)

// Transform is a transform plugin; C is what Row needs to know about a table, mostly handles of columns.
type Transform[C any] interface {
	// Plan says what is wanted with a table. It is called for each table that the plugin is used for, and again after each change of
	// its schema, before the first row. An error refuses the table, with its text.
	Plan(table *Table, plan *Plan) (C, error)
	// Row decides about one row and computes its columns. Of an update, the row before and the row after come one after the other,
	// and what is masked in one is masked in the other. A column that is not set keeps its old value (Rewrite...) or is null, or
	// empty where it may not be null (Add...). An error condemns this row alone (of an update, both rows), with its text; a panic is an
	// error of the batch.
	Row(columns C, row *Row) (Verdict, error)
}

// Export makes what start gives the plugin of this program. Call it once, in a function init. start is told the pipeline file's
// configuration as JSON text, null without one; its error stops the pipeline before it starts.
func Export[C any](name, version string, start func(config []byte) (Transform[C], error)) {
	exported = plugin{name: name, version: version, start: func(config []byte) (runner, error) {
		transform, err := start(config)
		if err != nil {
			return nil, err
		}
		return &running[C]{transform: transform, tables: map[uint32]*planned[C]{}}, nil
	}}
}

// Kind says what a row is.
type Kind uint8

const (
	// Insert is an inserted row.
	Insert Kind = iota
	// Before is an updated row as it was.
	Before
	// After is an updated row as it is.
	After
	// Delete is a deleted row, as it was.
	Delete
	// Read is a row read by a snapshot.
	Read
)

// ColumnType says what a column means.
type ColumnType uint8

const (
	// TypeInt is for signed integers, booleans (0 and 1) and years; read with Int.
	TypeInt ColumnType = iota
	// TypeUint is for BIGINT UNSIGNED and BIT(n); read with Uint.
	TypeUint
	// TypeFloat is for FLOAT and DOUBLE; read with Float.
	TypeFloat
	// TypeDecimal is read with Int up to 18 digits, unscaled (12.50 with scale 2 is 1250); wider with Text.
	TypeDecimal
	// TypeText is text of any length, the label of an ENUM, the labels of a SET; read with Text.
	TypeText
	// TypeBinary is bytes and geometry; read with Bytes.
	TypeBinary
	// TypeJSON is JSON text; read with Text.
	TypeJSON
	// TypeDate is days since 1970-01-01; read with Int.
	TypeDate
	// TypeTime is microseconds, signed; read with Int.
	TypeTime
	// TypeDatetime is microseconds since 1970-01-01T00:00:00 of the same calendar; read with Int.
	TypeDatetime
	// TypeTimestamp is microseconds since 1970-01-01T00:00:00Z; read with Int.
	TypeTimestamp
)

// Type is the type of a new column.
type Type struct {
	// Type says what the column means.
	Type ColumnType
	// Precision is for decimals: digits in all, 1 to 65; for times: digits of a second's fraction, 0 to 6.
	Precision uint32
	// Scale is for decimals: digits after the point.
	Scale uint32
}

// Column is a column of a table.
type Column struct {
	Name string
	Type
	// Nullable says whether nulls may come.
	Nullable bool
	// Key is the column's place in the key, from 0; -1 when it is not part of it.
	Key int
	// SourceType is as the source declares it, e.g. varchar(64).
	SourceType string
}

// Table is a table at one version of its schema.
type Table struct {
	// Database is the one that the table lies in.
	Database string
	Name     string
	// Version rises by one at each schema change that the stream has seen.
	Version uint64
	// Columns are in the table's order.
	Columns []Column
	// DDL is the statement that led to this version; empty when there was none.
	DDL string
}

// Key is the names of the key's columns, in key order; empty for a table without a key.
func (t *Table) Key() []string {
	var key []string
	for _, column := range t.Columns {
		if column.Key >= 0 {
			for len(key) <= column.Key {
				key = append(key, "")
			}
			key[column.Key] = column.Name
		}
	}
	return key
}
