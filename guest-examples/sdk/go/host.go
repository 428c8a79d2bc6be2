package sluicebox

import "unsafe"

// What the host offers besides rows. Texts and keys are copied before they are handed over, so that they lie where the host
// expects them, whatever the collector does meanwhile.

//go:wasmimport sluicebox:transform/log@0.2.0 log
func importLog(level uint32, message unsafe.Pointer, size uint32)

//go:wasmimport sluicebox:transform/lookup@0.2.0 get
func importLookup(table unsafe.Pointer, tableSize uint32, keys unsafe.Pointer, count uint32, result unsafe.Pointer)

//go:wasmimport sluicebox:transform/state@0.2.0 get
func importStateGet(keys unsafe.Pointer, count uint32, result unsafe.Pointer)

//go:wasmimport sluicebox:transform/state@0.2.0 put
func importStatePut(entries unsafe.Pointer, count uint32)

//go:wasmimport sluicebox:transform/clock@0.2.0 now
func importNow() uint64

// Debug logs a line for the plugin's author. Never log a row's values.
func Debug(message string) { logLine(0, message) }

// Info logs that something worth knowing happened.
func Info(message string) { logLine(1, message) }

// Warn logs that something is off, and the plugin copes.
func Warn(message string) { logLine(2, message) }

// Error logs that someone must act.
func Error(message string) { logLine(3, message) }

func logLine(level uint32, message string) {
	text := lent(message)
	importLog(level, at(text.data), text.size)
}

// Lookup gives the entry of a key in a reference table that the pipeline file declares under lookups, as a JSON object; false
// without one. Within a batch a key is asked for once.
func Lookup(table, key string) (entry []byte, found bool) {
	name := lookupName{table, key}
	known, asked := lookups[name]
	if !asked {
		known = lookup(table, key)
		lookups[name] = known
	}
	return known, known != nil
}

type lookupName struct{ table, key string }

// Entries of this batch; nil for a key that has none. They can be others in the next batch.
var lookups = map[lookupName][]byte{}

func lookup(table, key string) []byte {
	name, keys := lent(table), [1]text{lent(key)}
	answer := &answers
	importLookup(at(name.data), name.size, lentTexts(keys[:]), 1, unsafe.Pointer(answer))
	return answer.only()
}

// StateGet gives the value of a key of what the plugin remembers of a table, for plans that said Stateful; false without one.
func StateGet(key string) (value []byte, found bool) {
	entry, known := states[key]
	if !known {
		keys := [1]text{lent(key)}
		answer := &answers
		importStateGet(lentTexts(keys[:]), 1, unsafe.Pointer(answer))
		entry.value = answer.only()
		states[key] = entry
	}
	return entry.value, entry.value != nil
}

// StatePut gives a key of at most 1,024 bytes a value. It is saved together with the rows that led to it. What a row that fails has
// changed is forgotten.
func StatePut(key string, value []byte) { change(key, append([]byte{}, value...)) }

// StateRemove removes a key.
func StateRemove(key string) { change(key, nil) }

func change(key string, value []byte) {
	if !inRows {
		panic("state can be used in Row alone")
	}
	states[key] = remembered{value, true}
}

type remembered struct {
	value   []byte
	changed bool
}

// What is known of the state in this batch; nil where there is no value.
var states = map[string]remembered{}

// Whether Row is being called.
var inRows bool

// What is known of entries and state is of the batch before.
func beginRows() {
	inRows = true
	clear(lookups)
	clear(states)
}

// Tells the host what changed, in one call a batch. What a batch that fails has put never reaches the host.
func endRows() {
	inRows = false
	var entries []stateEntry
	for key, entry := range states {
		if !entry.changed {
			continue
		}
		told := stateEntry{key: lent(key)}
		if entry.value != nil {
			told.some, told.value = 1, lentBytes(entry.value)
		}
		entries = append(entries, told)
	}
	if len(entries) > 0 {
		told := given(entries)
		importStatePut(at(told.data), told.count)
	}
}

// Now gives microseconds since 1970-01-01T00:00:00Z, where the pipeline file says clock: true. It makes answers differ when a row
// comes again; Plan.CommitTime does not.
func Now() uint64 { return importNow() }
