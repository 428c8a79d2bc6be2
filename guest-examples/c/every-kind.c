/* For tests: reads every column and computes it again as it was.
 *
 * Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse` condemns rows
 * whose first integer has this value, or drops them with `drop`. `twice` makes two rows of each, told apart by a column `copy`, of which
 * only the second is set; a row is condemned or dropped between the two, and by then has columns that are set wrong. `ddl` refuses every
 * table, and tells its version (of one digit) and the statement that led to it. */
#include "sluicebox.h"

const char sb_plugin_name[] = "every-kind-c";

enum { INTS, UINTS, FLOATS, TEXTS, BYTES, KINDS };

typedef struct {
    sb_handle *of[KINDS];
    uint32_t count[KINDS];
    sb_handle copy;
    /* What is known of a row, and the column that it goes into. */
    sb_handle commit_time[2], position[2], transaction[2], seed[2];
} columns;

static bool has_meta, drops, twice, refuses, tells_ddl;
static int64_t refused;

static bool is_true(sb_text config, const char *key) {
    return sb_equal(sb_json_get(config, key), SB_TEXT("true"));
}

sb_text sb_init(sb_text config) {
    has_meta = is_true(config, "meta");
    drops = is_true(config, "drop");
    twice = is_true(config, "twice");
    tells_ddl = is_true(config, "ddl");
    sb_text number = sb_json_get(config, "refuse");
    refuses = number.size > 0 && !sb_equal(number, SB_TEXT("null"));
    bool negative = refuses && number.data[0] == '-';
    refused = 0;
    for (uint32_t at = negative; refuses && at < number.size; at++) refused = refused * 10 + (number.data[at] - '0');
    if (negative) refused = -refused;
    return SB_TEXT("");
}

static int kind_of(const sb_column *column) {
    switch (column->type) {
    case SB_UINT: return UINTS;
    case SB_FLOAT: return FLOATS;
    case SB_BINARY: return BYTES;
    case SB_STRING:
    case SB_JSON: return TEXTS;
    case SB_DECIMAL: return column->precision > 18 ? TEXTS : INTS;
    default: return INTS;
    }
}

static void plan_meta(sb_plan *plan, columns *c) {
    c->commit_time[0] = sb_read_meta(plan, SB_META_COMMIT_TIME);
    c->commit_time[1] = sb_add(plan, SB_TEXT("commit_time"), SB_TIMESTAMP, 6, 0, true);
    c->position[0] = sb_read_meta(plan, SB_META_POSITION);
    c->position[1] = sb_add(plan, SB_TEXT("position"), SB_UINT, 0, 0, true);
    c->transaction[0] = sb_read_meta(plan, SB_META_TRANSACTION);
    c->transaction[1] = sb_add(plan, SB_TEXT("transaction"), SB_STRING, 0, 0, true);
    c->seed[0] = sb_read_meta(plan, SB_META_SEED);
    c->seed[1] = sb_add(plan, SB_TEXT("seed"), SB_UINT, 0, 0, false);
}

/* The key is computed, and so has to be named. */
static void plan_key(const sb_table *table, sb_plan *plan, columns *c) {
    sb_text *key = sb_keep((table->count + 1) * sizeof(sb_text));
    uint32_t count = 0;
    for (uint32_t at = 0; at < table->count; at++) {
        if (!table->columns[at].in_key) continue;
        key[table->columns[at].key] = table->columns[at].name;
        count++;
    }
    if (twice) {
        c->copy = sb_add(plan, SB_TEXT("copy"), SB_INT, 0, 0, false);
        key[count++] = SB_TEXT("copy");
        sb_expand(plan);
    }
    if (count > 0) sb_key(plan, key, count);
}

static sb_text told(const sb_table *table) {
    const char before[] = "version 0 by ";
    sb_text ddl = table->ddl.size ? table->ddl : SB_TEXT("nothing");
    uint32_t size = sizeof before - 1;
    char *text = sb_borrow(size + ddl.size);
    for (uint32_t i = 0; i < size; i++) text[i] = before[i];
    text[sizeof "version " - 1] = (char)('0' + table->version % 10);
    for (uint32_t i = 0; i < ddl.size; i++) text[size + i] = ddl.data[i];
    return (sb_text){ text, size + ddl.size };
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    if (tells_ddl) return told(table);
    columns *c = sb_keep(sizeof(columns));
    for (int kind = 0; kind < KINDS; kind++) {
        c->of[kind] = sb_keep(table->count * sizeof(sb_handle));
        c->count[kind] = 0;
    }
    for (uint32_t at = 0; at < table->count; at++) {
        int kind = kind_of(&table->columns[at]);
        c->of[kind][c->count[kind]++] = sb_rewrite(plan, table->columns[at].name);
    }
    if (has_meta) plan_meta(plan, c);
    plan_key(table, plan, c);
    *state = c;
    return SB_TEXT("");
}

static void set_again(int kind, sb_row_view *row, sb_handle column) {
    switch (kind) {
    case INTS:
        sb_set_null(row, column);
        if (!sb_is_null(row, column)) sb_set_int(row, column, sb_int(row, column));
        break;
    case UINTS:
        sb_set_uint(row, column, 1);
        if (sb_is_null(row, column)) sb_set_null(row, column);
        else sb_set_uint(row, column, sb_uint(row, column));
        break;
    case FLOATS:
        sb_set_float(row, column, 1);
        if (sb_is_null(row, column)) sb_set_null(row, column);
        else sb_set_float(row, column, sb_float(row, column));
        break;
    default:
        sb_set_bytes(row, column, SB_TEXT("on"));
        sb_append(row, column, SB_TEXT("ce"));
        if (sb_is_null(row, column)) sb_set_null(row, column);
        else sb_set_bytes(row, column, sb_bytes(row, column));
    }
}

static void set_meta(const columns *c, sb_row_view *row) {
    if (!sb_is_null(row, c->commit_time[0])) sb_set_int(row, c->commit_time[1], sb_int(row, c->commit_time[0]));
    if (!sb_is_null(row, c->position[0])) sb_set_uint(row, c->position[1], sb_uint(row, c->position[0]));
    if (!sb_is_null(row, c->transaction[0])) sb_set_bytes(row, c->transaction[1], sb_bytes(row, c->transaction[0]));
    sb_set_uint(row, c->seed[1], sb_uint(row, c->seed[0]));
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *c = state;
    if (twice) {
        sb_set_int(row, c->copy, 1);
        sb_emit(row);
        sb_set_int(row, c->copy, 2);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint32_t at = 0; at < c->count[kind]; at++) set_again(kind, row, c->of[kind][at]);
    }
    if (has_meta) set_meta(c, row);
    sb_handle first = c->of[INTS][0];
    if (!refuses || sb_is_null(row, first) || sb_int(row, first) != refused) return SB_KEEP;
    /* No value of its column's type, where that is JSON or a wide decimal. */
    for (uint32_t at = 0; at < c->count[TEXTS]; at++) sb_set_bytes(row, c->of[TEXTS][at], SB_TEXT("once"));
    if (drops) return SB_DROP;
    return sb_fail(row, sb_kind_of(row) == SB_BEFORE ? SB_TEXT("row refused as before") : SB_TEXT("row refused as other"));
}
