/* Drops cancelled orders and masks e-mail addresses. */
#include "sluicebox.h"

const char sb_plugin_name[] = "__NAME__";

/* Columns that rows are asked for; only these enter the plugin. */
typedef struct {
    sb_handle status, email;
} columns;

/* `config` is the pipeline file's `config`, as JSON text; see sb_json_get. */
sb_text sb_init(sb_text config) {
    (void)config;
    return SB_TEXT("");
}

/* Called once for each table and version of its schema. Renames and removals are the host's work and cost nothing. */
sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    columns *found = *state = sb_keep(sizeof *found);
    sb_remove(plan, SB_TEXT("note"));
    found->status = sb_read(plan, SB_TEXT("status"));
    found->email = sb_rewrite(plan, SB_TEXT("email"));
    return SB_TEXT("");
}

/* Called for each row. A failure condemns this row alone. */
sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *c = state;
    if (sb_equal(sb_bytes(row, c->status), SB_TEXT("CANCELLED"))) return SB_DROP;
    if (sb_is_null(row, c->email)) return SB_KEEP;
    sb_text address = sb_bytes(row, c->email);
    uint32_t at = address.size;
    while (at > 0 && address.data[at - 1] != '@') at--;
    if (at == 0) return sb_fail(row, SB_TEXT("the address has no @"));
    sb_set_bytes(row, c->email, SB_TEXT("***@"));
    sb_append(row, c->email, (sb_text){ address.data + at, address.size - at });
    return SB_KEEP;
}
