/* Write a Sluicebox transform plugin as a function of one row, in C.
 *
 * A plugin is four things: `sb_plugin_name` (and, if you like, `sb_plugin_version`), and three functions. `sb_init` is told the configuration, `sb_plan` says once for
 * each table (and each version of its schema) which columns are read, renamed, removed or computed, and `sb_row` is called for each
 * row. Columns are found by name in `sb_plan` alone; there they become numbers, which `sb_row` uses.
 *
 * Compile it together with sluicebox.c by any clang that knows WebAssembly:
 *
 *   clang --target=wasm32 -O2 -mbulk-memory -nostdlib -Wl,--no-entry -o plugin.wasm plugin.c sluicebox.c
 *
 * There is no C library: what it would need from an operating system does not exist here. What a plugin computes must follow
 * from its configuration, the plan, the row and, where the plan asks for it, its state alone: instances come and go, and a batch can
 * come again.
 */
#ifndef SLUICEBOX_H
#define SLUICEBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text or bytes; not ended by a zero. */
typedef struct {
    const char *data;
    uint32_t size;
} sb_text;

#define SB_TEXT(literal) ((sb_text){ (literal), sizeof(literal) - 1 })

bool sb_equal(sb_text a, sb_text b);

/* Memory for as long as the plugin lives (`sb_keep`), or until the running call is over (`sb_borrow`). Never null: a
 * plugin that asks for more than its limit is stopped. */
void *sb_keep(size_t size);
void *sb_borrow(size_t size);

/* --- JSON text: the configuration, entries of reference tables --- */

/* The value of a key of an object, as JSON text; empty when there is none. */
sb_text sb_json_get(sb_text object, const char *key);
/* The next value of an array; `at` begins at 0. Empty behind the last one. */
sb_text sb_json_next(sb_text array, uint32_t *at);
/* The next key and value of an object, likewise; the key as JSON text. */
bool sb_json_entry(sb_text object, uint32_t *at, sb_text *key, sb_text *value);
/* A JSON string as the text that it stands for, kept; empty for anything else. */
sb_text sb_json_text(sb_text value);
/* The same, borrowed: for what comes with a row. */
sb_text sb_json_borrow(sb_text value);

/* --- log --- */

typedef enum { SB_DEBUG, SB_INFO, SB_WARN, SB_ERROR } sb_level;
/* Never log a row's values. */
void sb_log(sb_level level, sb_text message);

/* --- what the host may be asked for; what it answers is borrowed --- */

/* The entry of a key in a reference table that the pipeline file declares under `lookups`, as a JSON object; false without one. */
bool sb_lookup(sb_text table, sb_text key, sb_text *entry);
/* What the plugin remembers of a table, in `sb_row` of a plan with `sb_want_state`. Keys are UTF-8 and have at most 1,024 bytes. What a
 * row that fails has changed is forgotten. */
bool sb_state_get(sb_text key, sb_text *value);
void sb_state_put(sb_text key, sb_text value);
void sb_state_remove(sb_text key);
/* Microseconds since 1970-01-01T00:00:00Z, where the pipeline file says `clock: true`. */
uint64_t sb_now(void);

/* --- planning --- */

typedef enum {
    SB_INT, SB_UINT, SB_FLOAT, SB_DECIMAL, SB_STRING, SB_BINARY, SB_JSON, SB_DATE, SB_TIME, SB_DATETIME, SB_TIMESTAMP
} sb_type;

typedef struct {
    sb_text name;
    uint8_t type; /* sb_type */
    uint32_t precision;
    uint32_t scale;
    bool nullable;
    bool in_key;
    uint32_t key; /* place in the key, where it is in it */
    sb_text source_type;
} sb_column;

typedef struct {
    sb_text database;
    sb_text name;
    uint64_t version;
    const sb_column *columns;
    uint32_t count;
    sb_text ddl; /* the statement that led to this version; empty when there was none */
} sb_table;

typedef struct sb_plan sb_plan;

/* A column that `sb_row` reads or sets. */
typedef int32_t sb_handle;

/* Reads a column. A name that the table does not have is an error of the plan, and any handle then does. */
sb_handle sb_read(sb_plan *plan, sb_text column);
/* Reads a column and computes it anew, with exactly its type; not set, it keeps its value. */
sb_handle sb_rewrite(sb_plan *plan, sb_text column);
typedef enum { SB_META_COMMIT_TIME, SB_META_POSITION, SB_META_TRANSACTION, SB_META_SEED } sb_meta;
/* Reads something else about the row: the commit time (sb_int, microseconds since 1970-01-01T00:00:00Z), the order in the stream (sb_uint,
 * begins anew at each start of the pipeline, 0 for dead letters that are sent again), the source's transaction (sb_bytes), all null for rows of
 * a snapshot; or a number that looks random and is the same whenever the row comes again (sb_uint), never null. */
sb_handle sb_read_meta(sb_plan *plan, sb_meta meta);
/* Computes a new column, behind the others; not set, it is null, or empty or 0 where it may not be null. */
sb_handle sb_add(sb_plan *plan, sb_text name, sb_type type, uint32_t precision, uint32_t scale, bool nullable);
void sb_rename(sb_plan *plan, sb_text column, sb_text name);
void sb_remove(sb_plan *plan, sb_text column);
/* Leaves all columns out but these, and puts these in this order. To be called before columns are computed. */
void sb_keep_only(sb_plan *plan, const sb_text *columns, uint32_t count);
void sb_rename_table(sb_plan *plan, sb_text name);
/* Every update comes as two rows, before and after. */
void sb_want_before(sb_plan *plan);
/* Rows come in the order of the stream, one batch at a time, and may use state. */
void sb_want_state(sb_plan *plan);
/* `sb_row` may make several rows of one with `sb_emit`, or none. Every update then comes as two rows: what was made of the row before is
 * deleted, what is made of the row after put in its place. `sb_key` must be called, with a computed column that tells a row's several
 * rows apart, or without any column for a table without a key. */
void sb_expand(sb_plan *plan);
/* Nothing is decided or computed by row: `sb_row` is never called, and the host does the rest without the plugin. It is so by itself where
 * nothing is read. */
void sb_pass(sb_plan *plan);
/* All rows of the table are dropped. */
void sb_discard(sb_plan *plan);
/* Another key: columns of the output by their names there. Behind all renames. */
void sb_key(sb_plan *plan, const sb_text *names, uint32_t count);

/* --- rows --- */

typedef struct sb_row_view sb_row_view;

typedef enum { SB_KEEP, SB_DROP, SB_FAIL } sb_verdict;
typedef enum { SB_INSERTED, SB_BEFORE, SB_AFTER, SB_DELETED, SB_READ_BY_SNAPSHOT } sb_kind;

sb_kind sb_kind_of(const sb_row_view *row);
bool sb_is_null(const sb_row_view *row, sb_handle column);
int64_t sb_int(const sb_row_view *row, sb_handle column);
uint64_t sb_uint(const sb_row_view *row, sb_handle column);
double sb_float(const sb_row_view *row, sb_handle column);
sb_text sb_bytes(const sb_row_view *row, sb_handle column); /* also text, JSON and wide decimals */

void sb_set_null(sb_row_view *row, sb_handle column);
void sb_set_int(sb_row_view *row, sb_handle column, int64_t value);
void sb_set_uint(sb_row_view *row, sb_handle column, uint64_t value);
void sb_set_float(sb_row_view *row, sb_handle column, double value);
/* The value in parts, one behind the other: begin with sb_set_bytes, go on with sb_append. */
void sb_set_bytes(sb_row_view *row, sb_handle column, sb_text value);
void sb_append(sb_row_view *row, sb_handle column, sb_text more);
/* Makes a row of what is set, for plans with `sb_expand`; any other is stopped. Columns that are added are to be set again before the next
 * one; a rewritten column has its old value until it is set. SB_KEEP makes a last row, SB_DROP none. */
void sb_emit(sb_row_view *row);
/* Condemns this row, of an update both: return what it gives. */
sb_verdict sb_fail(sb_row_view *row, sb_text message);

/* --- what the author writes --- */

extern const char sb_plugin_name[];
/* The plugin's own version, for reports; "0.1.0" where the author defines none. */
extern const char sb_plugin_version[];
/* The error's text; an empty one is no error. */
sb_text sb_init(sb_text config);
/* `*state` is what `sb_row` gets for rows of this table; make it with sb_keep. */
sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state);
sb_verdict sb_row(const void *state, sb_row_view *row);

#endif
