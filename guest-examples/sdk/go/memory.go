package sluicebox

import "unsafe"

// How values lie in memory where host and plugin hand them over: the component model's canonical form, in which an address has 32
// bits. Go's fields of these types are aligned to their size, as that form wants it.

// text is a text or a list of bytes; list is any other list.
type text struct{ data, size uint32 }
type list struct{ data, count uint32 }

type optionText struct {
	some uint32
	text text
}

type stateEntry struct {
	key   text
	some  uint32
	value text
}

type columnIn struct {
	name       text
	columnType uint8
	precision  uint32
	scale      uint32
	nullable   bool
	inKey      uint32
	key        uint32
	sourceType text
}

// vector is a column. data holds a list; for texts and bytes it holds the offsets, and strings the bytes.
type vector struct {
	hasValidity uint32
	validity    list
	shape       uint32
	data        list
	strings     list
}

type readOut struct{ kind, value uint32 }

type outputOut struct {
	name     text
	computed uint32
	// Of an input column its place in typeKind; of a computed one: 0 and the type in full, or 1 and the column that it is like.
	typeKind   uint32
	columnType uint32
	precision  uint32
	scale      uint32
	nullable   uint32
}

type planOut struct {
	action    uint8
	before    bool
	reads     list
	hasOutput uint32
	output    list
	hasKey    uint32
	key       list
	hasRename uint32
	rename    text
	expands   bool
	stateful  bool
	packed    bool
}

type errorOut struct {
	row     uint32
	message text
}

type outcomeOut struct {
	hasOrigins uint32
	origins    list
	hasKeep    uint32
	keep       list
	columns    list
	errors     list
}

// Results as they are returned: 0 and the value, or 1 and the error's text.
type aboutResult struct {
	failed        uint32
	name, version text
}

type planResult struct {
	failed uint32
	plan   planOut
}

type outcomeResult struct {
	failed  uint32
	outcome outcomeOut
}

// answer is where the host puts the list that an import gives back.
type answer struct{ entries list }

// One is enough: imports are called one after another.
var answers answer

// The entry of an answer to a question about one key; nil for none. The bytes belong to the plugin.
func (a *answer) only() []byte {
	entry := (*optionText)(at(a.entries.data))
	if entry.some&1 == 0 {
		return nil
	}
	// Never nil, which would say that there is none.
	return append([]byte{}, bytesAt(entry.text)...)
}

// Memory that is in use by the host: arguments until the call is over, results until they have been read. Nothing is used again, so what
// an author keeps of an argument stays what it is.
var held [][]uint64

//go:wasmexport cabi_realloc
func reallocate(old, oldSize, align, size uint32) uint32 {
	made := unsafe.Pointer(unsafe.SliceData(hold(size)))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(made), size), unsafe.Slice((*byte)(at(old)), min(oldSize, size)))
	}
	return address(made)
}

// Aligned to eight bytes, which is enough for everything.
func hold(size uint32) []uint64 {
	made := make([]uint64, max((size+7)/8, 1))
	held = append(held, made)
	return made
}

func release() {
	clear(held)
	held = held[:0]
}

// address and at are each other's inverse. The memory has 32-bit addresses; the collector does not move things.
func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func at(address uint32) unsafe.Pointer {
	// Written so that vet sees no arithmetic with pointers: the address is that of something that is held.
	number := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&number))
}

func bytesAt(t text) []byte { return unsafe.Slice((*byte)(at(t.data)), t.size) }

// The text lies in memory of its own, which lives as long as the string.
func stringAt(t text) string { return unsafe.String((*byte)(at(t.data)), t.size) }

func sliceAt[T any](l list) []T { return unsafe.Slice((*T)(at(l.data)), l.count) }

// lent copies a text into memory that is held until the call is over.
func lent(value string) text {
	return text{copied(unsafe.Slice(unsafe.StringData(value), len(value))), uint32(len(value))}
}

func lentBytes(value []byte) text { return text{copied(value), uint32(len(value))} }

func copied(value []byte) uint32 {
	made := unsafe.Pointer(unsafe.SliceData(hold(uint32(len(value)))))
	copy(unsafe.Slice((*byte)(made), len(value)), value)
	return address(made)
}

func lentTexts(texts []text) unsafe.Pointer {
	return at(given(texts).data)
}

// given copies a list into memory that is held until the call is over.
func given[T any](values []T) list {
	size := uint32(unsafe.Sizeof(*new(T))) * uint32(len(values))
	made := unsafe.Pointer(unsafe.SliceData(hold(size)))
	copy(unsafe.Slice((*T)(made), len(values)), values)
	return list{address(made), uint32(len(values))}
}

// listOf gives away a slice that its owner keeps until the host has read it.
func listOf[T any](values []T) list {
	return list{address(unsafe.Pointer(unsafe.SliceData(values))), uint32(len(values))}
}
