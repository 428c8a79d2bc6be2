/* Drops rows whose column has one of some values.
 *
 *   config: { column: status, values: [CANCELLED, EXPIRED] }
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "drop-cancelled-c";

/* As many as anybody lists by hand. */
#define MOST_VALUES 64

static sb_text column;
static sb_text values[MOST_VALUES];
static uint32_t value_count;

sb_text sb_init(sb_text config) {
    column = sb_json_text(sb_json_get(config, "column"));
    if (!column.size) return SB_TEXT("`column` is missing");
    sb_text list = sb_json_get(config, "values"), value;
    uint32_t at = 0;
    while ((value = sb_json_next(list, &at)).size) {
        if (value_count == MOST_VALUES) return SB_TEXT("too many `values`");
        values[value_count++] = sb_json_text(value);
    }
    return value_count ? SB_TEXT("") : SB_TEXT("`values` is missing");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    sb_handle *status = *state = sb_keep(sizeof *status);
    *status = sb_read(plan, column);
    return SB_TEXT("");
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    sb_handle status = *(const sb_handle *)state;
    if (sb_is_null(row, status)) return SB_KEEP;
    for (uint32_t i = 0; i < value_count; i++)
        if (sb_equal(sb_bytes(row, status), values[i])) return SB_DROP;
    return SB_KEEP;
}
