/* Numbers the changes of rows with the same value in a column: the first of each value is 1.
 *
 *   config: { by: customer, column: changes }
 *
 * `by` is a text column; `column` is added, an integer. An inserted, updated, deleted or snapshot row counts as one; of an update the row
 * before does not count and shows what was counted so far. Rows with a null in `by` are not counted.
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "running-count-c";

static sb_text by, column;

typedef struct {
    sb_handle by, count;
} columns;

sb_text sb_init(sb_text config) {
    by = sb_json_text(sb_json_get(config, "by"));
    column = sb_json_text(sb_json_get(config, "column"));
    if (!by.size) return SB_TEXT("`by` is missing");
    return column.size ? SB_TEXT("") : SB_TEXT("`column` is missing");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    columns *found = *state = sb_keep(sizeof *found);
    found->by = sb_read(plan, by);
    found->count = sb_add(plan, column, SB_INT, 0, 0, true);
    sb_want_state(plan);
    return SB_TEXT("");
}

/* Digits of a number, so that it can be read in the state's database. */
static sb_text digits(int64_t number, char room[20]) {
    uint32_t at = 20;
    do room[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return (sb_text){ room + at, 20 - at };
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *c = state;
    if (sb_is_null(row, c->by)) return SB_KEEP;
    sb_text key = sb_bytes(row, c->by), saved;
    int64_t count = 0;
    if (sb_state_get(key, &saved))
        for (uint32_t i = 0; i < saved.size; i++) count = count * 10 + (saved.data[i] - '0');
    if (sb_kind_of(row) != SB_BEFORE) {
        char room[20];
        sb_state_put(key, digits(++count, room));
    }
    sb_set_int(row, c->count, count);
    return SB_KEEP;
}
