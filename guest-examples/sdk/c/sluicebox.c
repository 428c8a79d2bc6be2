/* The plugin interface of sluicebox.h.
 *
 * The functions below the line "the interface" are called by the host with the component model's flat arguments; the structs
 * there lie in memory exactly as its canonical form says (all fields aligned to their size, as C does it). Arguments come into
 * memory through cabi_realloc. Arguments and results live in `call`, which is emptied behind each call (cabi_post); what
 * outlives a call is in `kept`.
 */
#include "sluicebox.h"

#define PLUGIN "sluicebox:transform/plugin@0.2.0"
#define EXPORT(name) __attribute__((export_name(name)))

void *memcpy(void *into, const void *from, size_t size) { return __builtin_memcpy(into, from, size); }
void *memmove(void *into, const void *from, size_t size) { return __builtin_memmove(into, from, size); }
void *memset(void *into, int byte, size_t size) { return __builtin_memset(into, byte, size); }

bool sb_equal(sb_text a, sb_text b) {
    if (a.size != b.size) return false;
    for (uint32_t i = 0; i < a.size; i++)
        if (a.data[i] != b.data[i]) return false;
    return true;
}

static sb_text literal(const char *text) {
    uint32_t size = 0;
    while (text[size]) size++;
    return (sb_text){ text, size };
}

/* --- memory --- */

#define PAGE 65536u

typedef struct chunk {
    struct chunk *next;
    uint32_t size, used;
} chunk;

typedef struct {
    chunk *first, *now;
} arena;

static arena call, kept;

static chunk *grow(size_t size) {
    size_t pages = (size + sizeof(chunk) + PAGE - 1) / PAGE;
    size_t before = __builtin_wasm_memory_grow(0, pages);
    if (before == (size_t)-1) __builtin_trap();
    chunk *made = (chunk *)(before * PAGE);
    made->next = NULL;
    made->size = (uint32_t)(pages * PAGE - sizeof(chunk));
    made->used = 0;
    return made;
}

static void *take(arena *from, size_t size, size_t align) {
    for (;;) {
        chunk *now = from->now;
        if (now) {
            char *base = (char *)(now + 1);
            size_t start = (((size_t)base + now->used + align - 1) & ~(align - 1)) - (size_t)base;
            if (start + size <= now->size) {
                now->used = (uint32_t)(start + size);
                return base + start;
            }
            if (now->next) {
                from->now = now->next;
                continue;
            }
        }
        chunk *made = grow(size + align);
        if (now) now->next = made;
        else from->first = made;
        from->now = made;
    }
}

static void empty(arena *what) {
    for (chunk *c = what->first; c; c = c->next) c->used = 0;
    what->now = what->first;
}

void *sb_keep(size_t size) { return take(&kept, size, 8); }
void *sb_borrow(size_t size) { return take(&call, size, 8); }

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    void *made = take(&call, size, align);
    if (old_size) memcpy(made, old, old_size < size ? old_size : size);
    return made;
}

static sb_text keep_text(sb_text text) {
    char *copy = sb_keep(text.size ? text.size : 1);
    memcpy(copy, text.data, text.size);
    return (sb_text){ copy, text.size };
}

/* --- JSON: it is valid, since the host wrote it --- */

static uint32_t blank(sb_text json, uint32_t at) {
    while (at < json.size && (json.data[at] == ' ' || json.data[at] == '\n' || json.data[at] == '\t' || json.data[at] == '\r')) at++;
    return at;
}

/* Where the value that begins here ends. */
static uint32_t value_end(sb_text json, uint32_t at) {
    uint32_t depth = 0;
    bool quoted = false;
    for (; at < json.size; at++) {
        char c = json.data[at];
        if (quoted) {
            if (c == '\\') at++;
            else if (c == '"') quoted = false;
            if (!quoted && depth == 0) return at + 1;
        } else if (c == '"') quoted = true;
        else if (c == '{' || c == '[') depth++;
        else if (c == '}' || c == ']') {
            if (depth == 0) return at;
            if (--depth == 0) return at + 1;
        } else if (depth == 0 && (c == ',' || c == ':' || c == ' ' || c == '\n')) return at;
    }
    return at;
}

sb_text sb_json_next(sb_text array, uint32_t *at) {
    uint32_t start = blank(array, *at ? *at : 1);
    if (array.size == 0 || array.data[0] != '[' || start >= array.size || array.data[start] == ']') return SB_TEXT("");
    if (array.data[start] == ',') start = blank(array, start + 1);
    uint32_t end = value_end(array, start);
    *at = blank(array, end);
    return (sb_text){ array.data + start, end - start };
}

bool sb_json_entry(sb_text object, uint32_t *at, sb_text *key, sb_text *value) {
    uint32_t start = blank(object, *at ? *at : 1);
    if (object.size == 0 || object.data[0] != '{' || start >= object.size || object.data[start] == '}') return false;
    if (object.data[start] == ',') start = blank(object, start + 1);
    uint32_t end = value_end(object, start);
    *key = (sb_text){ object.data + start, end - start };
    start = blank(object, blank(object, end) + 1);
    end = value_end(object, start);
    *value = (sb_text){ object.data + start, end - start };
    *at = blank(object, end);
    return true;
}

sb_text sb_json_get(sb_text object, const char *wanted) {
    sb_text key, value, name = literal(wanted);
    uint32_t at = 0;
    while (sb_json_entry(object, &at, &key, &value))
        if (key.size == name.size + 2 && sb_equal((sb_text){ key.data + 1, name.size }, name)) return value;
    return SB_TEXT("");
}

static uint32_t hex4(const char *digits) {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return code;
}

static uint32_t put_utf8(char *out, uint32_t code) {
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) return out[0] = (char)(0xc0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    if (code < 0x10000)
        return out[0] = (char)(0xe0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 63)), out[2] = (char)(0x80 | (code & 63)), 3;
    out[0] = (char)(0xf0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 63));
    return out[2] = (char)(0x80 | (code >> 6 & 63)), out[3] = (char)(0x80 | (code & 63)), 4;
}

static sb_text json_text(sb_text value, char *out) {
    uint32_t size = 0;
    for (uint32_t i = 1; i + 1 < value.size; i++) {
        char c = value.data[i];
        if (c != '\\') {
            out[size++] = c;
            continue;
        }
        c = value.data[++i];
        if (c != 'u') {
            out[size++] = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
            continue;
        }
        uint32_t code = hex4(value.data + i + 1);
        i += 4;
        if (code >= 0xd800 && code < 0xdc00 && i + 6 < value.size) {
            code = 0x10000 + ((code - 0xd800) << 10) + (hex4(value.data + i + 3) - 0xdc00);
            i += 6;
        }
        size += put_utf8(out + size, code);
    }
    return (sb_text){ out, size };
}

static bool is_json_text(sb_text value) { return value.size >= 2 && value.data[0] == '"'; }

sb_text sb_json_text(sb_text value) { return is_json_text(value) ? json_text(value, sb_keep(value.size)) : SB_TEXT(""); }
sb_text sb_json_borrow(sb_text value) { return is_json_text(value) ? json_text(value, sb_borrow(value.size)) : SB_TEXT(""); }

/* --- log --- */

#define IMPORT(interface, name) __attribute__((import_module("sluicebox:transform/" interface "@0.2.0"), import_name(name)))

IMPORT("log", "log") void log_import(uint32_t, const char *, uint32_t);

void sb_log(sb_level level, sb_text message) { log_import(level, message.data, message.size); }

/* --- what the host may be asked for: lists of one key, and of one answer --- */

typedef struct {
    uint8_t is_some;
    sb_text value;
} answer_to_key;

typedef struct {
    const answer_to_key *answers;
    uint32_t count;
} answers;

typedef struct {
    sb_text key;
    answer_to_key value;
} state_entry;

_Static_assert(sizeof(answer_to_key) == 12 && sizeof(state_entry) == 20, "the canonical form");

IMPORT("lookup", "get") void lookup_get(const char *, uint32_t, const sb_text *, uint32_t, answers *);
IMPORT("state", "get") void state_get(const sb_text *, uint32_t, answers *);
IMPORT("state", "put") void state_put(const state_entry *, uint32_t);
IMPORT("clock", "now") uint64_t clock_now(void);

static bool first_of(const answers *found, sb_text *value) {
    if (!found->count || !found->answers[0].is_some) return false;
    *value = found->answers[0].value;
    return true;
}

bool sb_lookup(sb_text table, sb_text key, sb_text *entry) {
    answers found = { NULL, 0 };
    lookup_get(table.data, table.size, &key, 1, &found);
    return first_of(&found, entry);
}

bool sb_state_get(sb_text key, sb_text *value) {
    answers found = { NULL, 0 };
    state_get(&key, 1, &found);
    return first_of(&found, value);
}

void sb_state_put(sb_text key, sb_text value) {
    state_entry entry = { key, { 1, value } };
    state_put(&entry, 1);
}

void sb_state_remove(sb_text key) {
    state_entry entry = { key, { 0, SB_TEXT("") } };
    state_put(&entry, 1);
}

uint64_t sb_now(void) { return clock_now(); }

/* --- plans --- */

/* Columns that a plugin may add to a table, and handles that it may ask for beside one for each column. */
#define MORE_COLUMNS 1024u

typedef struct {
    sb_text name;
    uint8_t kind; /* 0 input, 1 computed */
    uint32_t input;
    uint8_t by; /* of computed: 0 full type, 1 like an input column */
    uint32_t type, precision, scale, like;
    bool nullable, gone;
    int32_t handle;
} output;

/* Marks a read that is no column but something else about the row. */
#define META 0x80000000u
/* As many as there are. */
#define METAS 4u

/* What a handle stands for. */
typedef struct {
    int32_t read, computed; /* places among what is read and what is computed; -1: is not */
    sb_type type;
    uint32_t precision;
    bool nullable;
} column;

struct sb_plan {
    uint32_t id;
    void *state;
    const sb_table *table;
    output *outputs;
    uint32_t output_count, room;
    uint32_t *reads;
    uint32_t read_count, computed_count;
    column *columns;
    uint32_t column_count;
    bool before, pass, discard, has_key, expands, stateful;
    uint32_t *key;
    uint32_t key_count;
    sb_text rename, error;
    struct sb_plan *next;
};

static sb_plan *plans;

static void plan_error(sb_plan *plan, const char *before, sb_text name, const char *after) {
    if (plan->error.size) return;
    sb_text a = literal(before), b = literal(after);
    char *text = sb_borrow(a.size + name.size + b.size);
    memcpy(text, a.data, a.size);
    memcpy(text + a.size, name.data, name.size);
    memcpy(text + a.size + name.size, b.data, b.size);
    plan->error = (sb_text){ text, a.size + name.size + b.size };
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c; }

/* Letter case of ASCII does not count, as in MySQL. */
static bool same_name(sb_text a, sb_text b) {
    if (a.size != b.size) return false;
    for (uint32_t i = 0; i < a.size; i++)
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    return true;
}

static int32_t find_column(sb_plan *plan, sb_text name) {
    for (uint32_t i = 0; i < plan->table->count; i++)
        if (same_name(plan->table->columns[i].name, name)) return (int32_t)i;
    plan_error(plan, "the table has no column `", name, "`");
    return -1;
}

/* The column of the output that is an input one, or none where it was removed; columns may have been put in another order. */
static output *output_of(sb_plan *plan, int32_t input) {
    for (uint32_t i = 0; i < plan->table->count; i++)
        if (plan->outputs[i].input == (uint32_t)input) return &plan->outputs[i];
    return &plan->outputs[input];
}

static sb_handle new_column(sb_plan *plan, column made) {
    if (plan->column_count == plan->room) {
        plan_error(plan, "too many handles", SB_TEXT(""), "");
        return 0;
    }
    plan->columns[plan->column_count] = made;
    return (sb_handle)plan->column_count++;
}

static int32_t reading(sb_plan *plan, uint32_t input) {
    for (uint32_t i = 0; i < plan->read_count; i++)
        if (plan->reads[i] == input) return (int32_t)i;
    plan->reads[plan->read_count] = input;
    return (int32_t)plan->read_count++;
}

static column of_input(sb_plan *plan, int32_t input) {
    const sb_column *c = &plan->table->columns[input];
    return (column){ reading(plan, (uint32_t)input), -1, (sb_type)c->type, c->precision, c->nullable };
}

sb_handle sb_read(sb_plan *plan, sb_text name) {
    int32_t input = find_column(plan, name);
    return input < 0 ? 0 : new_column(plan, of_input(plan, input));
}

sb_handle sb_read_meta(sb_plan *plan, sb_meta meta) {
    sb_type type = meta == SB_META_COMMIT_TIME ? SB_TIMESTAMP : meta == SB_META_TRANSACTION ? SB_STRING : SB_UINT;
    return new_column(plan, (column){ reading(plan, META | (uint32_t)meta), -1, type, 0, meta != SB_META_SEED });
}

sb_handle sb_rewrite(sb_plan *plan, sb_text name) {
    int32_t input = find_column(plan, name);
    if (input < 0) return 0;
    output *out = output_of(plan, input);
    if (out->kind == 1) return out->handle;
    out->kind = 1, out->by = 1, out->like = (uint32_t)input, out->nullable = plan->table->columns[input].nullable;
    return out->handle = new_column(plan, of_input(plan, input));
}

sb_handle sb_add(sb_plan *plan, sb_text name, sb_type type, uint32_t precision, uint32_t scale, bool nullable) {
    if (plan->output_count == plan->room) return plan_error(plan, "too many columns with `", name, "`"), 0;
    sb_handle handle = new_column(plan, (column){ -1, -1, type, precision, nullable });
    plan->outputs[plan->output_count++] = (output){ .name = name, .kind = 1, .by = 0, .type = type, .precision = precision,
                                                    .scale = scale, .nullable = nullable, .handle = handle };
    return handle;
}

void sb_rename(sb_plan *plan, sb_text name, sb_text as) {
    int32_t input = find_column(plan, name);
    if (input >= 0) output_of(plan, input)->name = as;
}

void sb_remove(sb_plan *plan, sb_text name) {
    int32_t input = find_column(plan, name);
    if (input >= 0) output_of(plan, input)->gone = true;
}

void sb_keep_only(sb_plan *plan, const sb_text *names, uint32_t count) {
    for (uint32_t i = 0; i < plan->output_count; i++)
        if (plan->outputs[i].kind == 1) plan_error(plan, "sb_keep_only must come before columns are computed, as `", plan->outputs[i].name, "` is");
    if (plan->error.size) return;
    /* Those that stay in front, in the order wanted; the others behind them, gone. */
    for (uint32_t n = 0; n < count; n++) {
        int32_t input = find_column(plan, names[n]);
        if (input < 0) return;
        output *found = output_of(plan, input);
        if (found->gone || found < plan->outputs + n) {
            plan_error(plan, "sb_keep_only names `", names[n], "`, which was removed or is named twice");
            return;
        }
        output kept = *found;
        memmove(plan->outputs + n + 1, plan->outputs + n, (size_t)((char *)found - (char *)(plan->outputs + n)));
        plan->outputs[n] = kept;
    }
    for (uint32_t i = count; i < plan->output_count; i++) plan->outputs[i].gone = true;
}

void sb_rename_table(sb_plan *plan, sb_text name) { plan->rename = name; }
void sb_want_before(sb_plan *plan) { plan->before = true; }
void sb_want_state(sb_plan *plan) { plan->stateful = true; }
void sb_expand(sb_plan *plan) { plan->expands = true; }
void sb_pass(sb_plan *plan) { plan->pass = true; }
void sb_discard(sb_plan *plan) { plan->discard = true; }

void sb_key(sb_plan *plan, const sb_text *names, uint32_t count) {
    plan->has_key = true;
    plan->key = sb_borrow(count * sizeof(uint32_t));
    plan->key_count = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t place = 0, i = 0;
        for (; i < plan->output_count && !same_name(plan->outputs[i].name, names[k]); i++)
            if (!plan->outputs[i].gone) place++;
        if (i == plan->output_count || plan->outputs[i].gone) plan_error(plan, "the key names `", names[k], "`, which goes nowhere");
        else plan->key[plan->key_count++] = place;
    }
}

/* --- rows --- */

typedef struct {
    const uint8_t *data;
    uint32_t count;
} bytes;

/* A column as it crosses. */
typedef struct {
    uint8_t has_validity;
    bytes validity;
    uint8_t tag; /* 0 ints, 1 uints, 2 floats, 3 bytes */
    const void *data;
    uint32_t count;
    const char *text;
    uint32_t text_size;
} vector;

typedef struct {
    uint32_t row;
    sb_text message;
} row_error;

/* A computed column while it grows. */
typedef struct {
    uint8_t tag;
    uint8_t *validity;
    bool nulls;
    int64_t *numbers;
    uint32_t *offsets;
    char *text;
    uint32_t size, room;
    bool set;
} growing;

struct sb_row_view {
    uint32_t number; /* of the row that came in */
    uint32_t at;     /* of the row that is being made; the same where each makes one */
    uint32_t room;   /* for rows that are made */
    uint32_t *origins;
    const uint8_t *kinds;
    const sb_plan *plan;
    const vector *read;
    growing *made;
    row_error *errors;
    uint32_t error_count;
};

sb_kind sb_kind_of(const sb_row_view *row) { return (sb_kind)row->kinds[row->number]; }

static const vector *reads_of(const sb_row_view *row, sb_handle handle) {
    int32_t read = row->plan->columns[handle].read;
    return read < 0 ? NULL : &row->read[read];
}

bool sb_is_null(const sb_row_view *row, sb_handle handle) {
    const vector *v = reads_of(row, handle);
    return !v || (v->has_validity && !(v->validity.data[row->number / 8] >> (row->number % 8) & 1));
}

int64_t sb_int(const sb_row_view *row, sb_handle handle) {
    const vector *v = reads_of(row, handle);
    return v && v->tag == 0 ? ((const int64_t *)v->data)[row->number] : 0;
}

uint64_t sb_uint(const sb_row_view *row, sb_handle handle) {
    const vector *v = reads_of(row, handle);
    return v && v->tag == 1 ? ((const uint64_t *)v->data)[row->number] : 0;
}

double sb_float(const sb_row_view *row, sb_handle handle) {
    const vector *v = reads_of(row, handle);
    return v && v->tag == 2 ? ((const double *)v->data)[row->number] : 0;
}

sb_text sb_bytes(const sb_row_view *row, sb_handle handle) {
    const vector *v = reads_of(row, handle);
    if (!v || v->tag != 3) return SB_TEXT("");
    const uint32_t *offsets = v->data;
    uint32_t from = offsets[row->number];
    return (sb_text){ v->text + from, offsets[row->number + 1] - from };
}

static growing *sets(sb_row_view *row, sb_handle handle, uint8_t tag) {
    int32_t place = row->plan->columns[handle].computed;
    growing *made = place < 0 ? NULL : &row->made[place];
    return made && made->tag == tag ? made : NULL;
}

static void mark(growing *made, uint32_t row, bool valid) {
    made->set = true;
    if (valid) made->validity[row / 8] |= (uint8_t)(1u << (row % 8));
    else made->validity[row / 8] &= (uint8_t)~(1u << (row % 8));
}

void sb_set_null(sb_row_view *row, sb_handle handle) {
    int32_t place = row->plan->columns[handle].computed;
    if (place < 0) return;
    growing *made = &row->made[place];
    if (made->tag == 3) made->size = made->offsets[row->at];
    else made->numbers[row->at] = 0;
    mark(made, row->at, false);
}

void sb_set_int(sb_row_view *row, sb_handle handle, int64_t value) {
    growing *made = sets(row, handle, 0);
    if (made) made->numbers[row->at] = value, mark(made, row->at, true);
}

void sb_set_uint(sb_row_view *row, sb_handle handle, uint64_t value) {
    growing *made = sets(row, handle, 1);
    if (made) made->numbers[row->at] = (int64_t)value, mark(made, row->at, true);
}

void sb_set_float(sb_row_view *row, sb_handle handle, double value) {
    growing *made = sets(row, handle, 2);
    if (made) ((double *)made->numbers)[row->at] = value, mark(made, row->at, true);
}

static void append(growing *made, sb_text more) {
    if (made->size + more.size > made->room) {
        uint32_t room = 2 * (made->size + more.size) + 64;
        char *larger = sb_borrow(room);
        memcpy(larger, made->text, made->size);
        made->text = larger;
        made->room = room;
    }
    memcpy(made->text + made->size, more.data, more.size);
    made->size += more.size;
}

void sb_set_bytes(sb_row_view *row, sb_handle handle, sb_text value) {
    growing *made = sets(row, handle, 3);
    if (!made) return;
    made->size = made->offsets[row->at];
    append(made, value);
    mark(made, row->at, true);
}

void sb_append(sb_row_view *row, sb_handle handle, sb_text more) {
    growing *made = sets(row, handle, 3);
    if (made) append(made, more);
}

sb_verdict sb_fail(sb_row_view *row, sb_text message) {
    /* A row fails once; there is no room for more. The last message counts. */
    if (row->error_count == 0 || row->errors[row->error_count - 1].row != row->number) row->error_count++;
    row->errors[row->error_count - 1] = (row_error){ row->number, message };
    return SB_FAIL;
}

/* ------------------------------------ the interface ------------------------------------ */

typedef struct {
    uint8_t is_error;
    union {
        sb_text error;
        struct { sb_text name, version; } about;
    } is;
} about_result;

typedef struct { uint8_t is_some; uint32_t place; } wire_key;
typedef struct { sb_text name; uint8_t type; uint32_t precision, scale; uint8_t nullable; wire_key key; sb_text source_type; } wire_column;
typedef struct { uint8_t tag; uint32_t column; } wire_read;
typedef struct { uint8_t by; union { struct { uint8_t type; uint32_t precision, scale; } full; uint32_t like; } is; } wire_type;
typedef struct { sb_text name; uint8_t kind; union { uint32_t input; struct { wire_type type; uint8_t nullable; } computed; } is; } wire_output;
typedef struct {
    uint8_t action, before;
    const wire_read *reads; uint32_t read_count;
    uint8_t has_output; const wire_output *output; uint32_t output_count;
    uint8_t has_key; const uint32_t *key; uint32_t key_count;
    uint8_t has_rename; sb_text rename;
    uint8_t expands, stateful, packed;
} wire_plan;
typedef struct { uint8_t is_error; union { sb_text error; wire_plan plan; } is; } plan_result;
typedef struct {
    uint8_t has_origins; const uint32_t *origins; uint32_t origin_count;
    uint8_t has_keep; bytes keep;
    const vector *columns; uint32_t column_count;
    const row_error *errors; uint32_t error_count;
} wire_outcome;
typedef struct { uint8_t is_error; union { sb_text error; wire_outcome outcome; } is; } outcome_result;

_Static_assert(sizeof(wire_column) == 40 && sizeof(wire_output) == 32 && sizeof(wire_plan) == 52, "the canonical form");
_Static_assert(sizeof(vector) == 32 && sizeof(wire_outcome) == 40 && sizeof(row_error) == 12, "the canonical form");

__attribute__((weak)) const char sb_plugin_version[] = "0.1.0";

EXPORT(PLUGIN "#init") about_result *init(const char *config, uint32_t size) {
    about_result *result = sb_borrow(sizeof *result);
    memset(result, 0, sizeof *result);
    sb_text error = sb_init(keep_text((sb_text){ config, size }));
    if (error.size) result->is_error = 1, result->is.error = error;
    else result->is.about.name = literal(sb_plugin_name), result->is.about.version = literal(sb_plugin_version);
    return result;
}

/* The table as the author sees it, kept: names are used as long as the plan. */
static const sb_table *keep_table(sb_text database, sb_text name, uint64_t version, const wire_column *columns, uint32_t count, sb_text ddl) {
    sb_table *table = sb_keep(sizeof *table);
    sb_column *kept_columns = sb_keep(count * sizeof *kept_columns + 1);
    for (uint32_t i = 0; i < count; i++) {
        const wire_column *c = &columns[i];
        kept_columns[i] = (sb_column){ keep_text(c->name), c->type, c->precision, c->scale, c->nullable != 0, c->key.is_some != 0, c->key.place,
                                       keep_text(c->source_type) };
    }
    *table = (sb_table){ keep_text(database), keep_text(name), version, kept_columns, count, keep_text(ddl) };
    return table;
}

static sb_plan *new_plan(uint32_t id, const sb_table *table) {
    sb_plan *plan = sb_keep(sizeof *plan);
    memset(plan, 0, sizeof *plan);
    plan->id = id, plan->table = table;
    plan->room = 2 * table->count + MORE_COLUMNS;
    plan->outputs = sb_borrow(plan->room * sizeof(output));
    plan->reads = sb_borrow((table->count + METAS) * sizeof(uint32_t));
    plan->columns = sb_borrow(plan->room * sizeof(column));
    for (uint32_t i = 0; i < table->count; i++)
        plan->outputs[i] = (output){ .name = table->columns[i].name, .kind = 0, .input = i, .handle = -1 };
    plan->output_count = table->count;
    return plan;
}

/* Numbers the computed columns, and makes the answer. */
static wire_plan answer(sb_plan *plan) {
    wire_output *outputs = sb_borrow(plan->output_count * sizeof *outputs + 1);
    wire_read *reads = sb_borrow(plan->read_count * sizeof *reads + 1);
    uint32_t count = 0;
    bool changed = false;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        output *o = &plan->outputs[i];
        changed |= o->gone || o->kind == 1 || o->input != i || !sb_equal(o->name, plan->table->columns[i].name);
        if (o->gone) continue;
        wire_output *w = &outputs[count++];
        memset(w, 0, sizeof *w);
        w->name = o->name, w->kind = o->kind;
        if (o->kind == 0) {
            w->is.input = o->input;
            continue;
        }
        plan->columns[o->handle].computed = (int32_t)plan->computed_count++;
        w->is.computed.nullable = o->nullable;
        w->is.computed.type.by = o->by;
        if (o->by == 1) w->is.computed.type.is.like = o->like;
        else w->is.computed.type.is.full.type = (uint8_t)o->type, w->is.computed.type.is.full.precision = o->precision, w->is.computed.type.is.full.scale = o->scale;
    }
    for (uint32_t i = 0; i < plan->read_count; i++) reads[i] = (wire_read){ (plan->reads[i] & META) != 0, plan->reads[i] & ~META };
    /* Without anything to read or compute the host does the rest alone. */
    uint8_t action = plan->discard ? 1 : plan->pass ? 0 : plan->read_count || plan->computed_count || plan->before || plan->expands || plan->stateful ? 2 : 0;
    return (wire_plan){ action, plan->before, reads, plan->read_count, changed, outputs, count,
                        plan->has_key, plan->key, plan->key_count, plan->rename.size != 0, plan->rename, plan->expands, plan->stateful, 0 };
}

static void forget(uint32_t id) {
    for (sb_plan **at = &plans; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            *at = (*at)->next;
            return;
        }
}

EXPORT(PLUGIN "#plan-table")
plan_result *plan_table(uint32_t id, const char *database, uint32_t database_size, const char *name, uint32_t name_size, uint64_t version,
                        const wire_column *columns, uint32_t count, uint32_t has_ddl, const char *ddl, uint32_t ddl_size) {
    sb_text led = has_ddl ? (sb_text){ ddl, ddl_size } : SB_TEXT("");
    plan_result *result = sb_borrow(sizeof *result);
    memset(result, 0, sizeof *result);
    sb_plan *plan = new_plan(id, keep_table((sb_text){ database, database_size }, (sb_text){ name, name_size }, version, columns, count, led));
    sb_text error = sb_plan_table(plan->table, plan, &plan->state);
    if (!error.size) error = plan->error;
    if (error.size) {
        result->is_error = 1, result->is.error = error;
        return result;
    }
    result->is.plan = answer(plan);
    /* What rows need of it outlives the call. */
    column *kept_handles = sb_keep(plan->column_count * sizeof *kept_handles + 1);
    memcpy(kept_handles, plan->columns, plan->column_count * sizeof *kept_handles);
    plan->columns = kept_handles;
    forget(id);
    plan->next = plans;
    plans = plan;
    return result;
}

static uint8_t tag_of(const column *c) {
    switch (c->type) {
    case SB_UINT: return 1;
    case SB_FLOAT: return 2;
    case SB_DECIMAL: return c->precision <= 18 ? 0 : 3;
    case SB_STRING: case SB_BINARY: case SB_JSON: return 3;
    default: return 0;
    }
}

static growing *begin(const sb_plan *plan, uint32_t rows) {
    growing *made = sb_borrow(plan->computed_count * sizeof *made + 1);
    memset(made, 0, plan->computed_count * sizeof *made);
    for (uint32_t h = 0; h < plan->column_count; h++) {
        const column *c = &plan->columns[h];
        if (c->computed < 0) continue;
        growing *g = &made[c->computed];
        g->tag = tag_of(c);
        g->validity = sb_borrow((rows + 7) / 8);
        memset(g->validity, 0, (rows + 7) / 8);
        if (g->tag == 3) g->offsets = sb_borrow((rows + 1) * sizeof(uint32_t)), g->offsets[0] = 0;
        else g->numbers = sb_borrow(rows * sizeof(int64_t));
    }
    return made;
}

/* What stands where there is no value: it must be one of its type. */
static sb_text nothing(const column *c) {
    return c->type == SB_JSON ? SB_TEXT("null") : c->type == SB_DECIMAL ? SB_TEXT("0") : SB_TEXT("");
}

/* Columns that the row did not set: the old value, or null, or what is empty. */
static void complete(sb_row_view *row, bool stays) {
    const sb_plan *plan = row->plan;
    for (uint32_t h = 0; h < plan->column_count; h++) {
        const column *c = &plan->columns[h];
        if (c->computed < 0) continue;
        growing *g = &row->made[c->computed];
        if (!g->set || !stays) {
            bool null = stays && c->read >= 0 ? sb_is_null(row, (sb_handle)h) : c->nullable;
            bool old = stays && c->read >= 0 && !null;
            if (g->tag == 3) {
                g->size = g->offsets[row->at];
                append(g, old ? sb_bytes(row, (sb_handle)h) : nothing(c));
            } else g->numbers[row->at] = old ? ((const int64_t *)row->read[c->read].data)[row->number] : 0;
            mark(g, row->at, !null);
        }
        g->nulls |= !(g->validity[row->at / 8] >> (row->at % 8) & 1);
        g->set = false;
        if (g->tag == 3) g->offsets[row->at + 1] = g->size;
    }
}

static void *larger(const void *from, size_t used, size_t size) { return memcpy(sb_borrow(size), from, used); }

/* Room for another row, and for more. */
static void make_room(sb_row_view *row) {
    if (row->at < row->room) return;
    uint32_t used = row->room, room = 2 * used;
    for (uint32_t i = 0; i < row->plan->computed_count; i++) {
        growing *g = &row->made[i];
        g->validity = larger(g->validity, (used + 7) / 8, (room + 7) / 8);
        if (g->tag == 3) g->offsets = larger(g->offsets, (used + 1) * sizeof *g->offsets, (room + 1) * sizeof *g->offsets);
        else g->numbers = larger(g->numbers, used * sizeof *g->numbers, room * sizeof *g->numbers);
    }
    row->origins = larger(row->origins, used * sizeof *row->origins, room * sizeof *row->origins);
    row->room = room;
}

void sb_emit(sb_row_view *row) {
    if (!row->plan->expands) {
        sb_log(SB_ERROR, SB_TEXT("sb_emit makes several rows of one, and the plan did not say sb_expand"));
        __builtin_trap();
    }
    complete(row, true);
    row->origins[row->at++] = row->number;
    make_room(row);
}

/* What is set of the row that is being made counts no more. */
static void undo(sb_row_view *row) {
    for (uint32_t i = 0; i < row->plan->computed_count; i++) {
        growing *g = &row->made[i];
        g->set = false;
        if (g->tag == 3) g->size = g->offsets[row->at];
    }
}

/* Several rows of each, or none. */
static void expand(sb_row_view *row, uint32_t rows) {
    for (; row->number < rows; row->number++) {
        uint32_t first = row->at;
        sb_verdict verdict = sb_row(row->plan->state, row);
        if (verdict == SB_KEEP) sb_emit(row);
        if (verdict == SB_FAIL) row->at = first;
        undo(row);
    }
}

/* A row of each; false where all stay. */
static bool filter(sb_row_view *row, uint32_t rows, uint8_t *keep) {
    bool dropped = false;
    for (; row->number < rows; row->number++) {
        row->at = row->number;
        sb_verdict verdict = sb_row(row->plan->state, row);
        complete(row, verdict == SB_KEEP);
        if (verdict == SB_KEEP) keep[row->number / 8] |= (uint8_t)(1u << (row->number % 8));
        else dropped = true;
    }
    row->at = rows;
    return dropped;
}

static const vector *finished(const sb_plan *plan, const growing *made, uint32_t rows) {
    vector *vectors = sb_borrow(plan->computed_count * sizeof *vectors + 1);
    for (uint32_t i = 0; i < plan->computed_count; i++) {
        const growing *g = &made[i];
        const void *data = g->tag == 3 ? (const void *)g->offsets : (const void *)g->numbers;
        vectors[i] = (vector){ g->nulls, { g->validity, (rows + 7) / 8 }, g->tag, data, g->tag == 3 ? rows + 1 : rows, g->text, g->size };
    }
    return vectors;
}

EXPORT(PLUGIN "#process")
outcome_result *process(uint32_t id, uint32_t rows, const uint8_t *kinds, uint32_t kind_count, const vector *columns, uint32_t count) {
    (void)kind_count, (void)count;
    outcome_result *result = sb_borrow(sizeof *result);
    memset(result, 0, sizeof *result);
    const sb_plan *plan = plans;
    while (plan && plan->id != id) plan = plan->next;
    if (!plan) {
        result->is_error = 1, result->is.error = SB_TEXT("the table was not planned");
        return result;
    }
    uint8_t *keep = sb_borrow((rows + 7) / 8);
    memset(keep, 0, (rows + 7) / 8);
    sb_row_view row = { .room = rows, .kinds = kinds, .plan = plan, .read = columns, .made = begin(plan, rows),
                        .errors = sb_borrow(rows * sizeof(row_error)), .origins = plan->expands ? sb_borrow(rows * sizeof(uint32_t)) : NULL };
    bool dropped = false;
    if (plan->expands) expand(&row, rows);
    else dropped = filter(&row, rows, keep);
    result->is.outcome = (wire_outcome){ plan->expands, row.origins, plan->expands ? row.at : 0, dropped, { keep, (rows + 7) / 8 },
                                         finished(plan, row.made, row.at), plan->computed_count, row.errors, row.error_count };
    return result;
}

EXPORT(PLUGIN "#forget-table") void forget_table(uint32_t id) { forget(id); }

EXPORT("cabi_post_" PLUGIN "#init") void post_init(about_result *result) { (void)result, empty(&call); }
EXPORT("cabi_post_" PLUGIN "#plan-table") void post_plan(plan_result *result) { (void)result, empty(&call); }
EXPORT("cabi_post_" PLUGIN "#process") void post_process(outcome_result *result) { (void)result, empty(&call); }
