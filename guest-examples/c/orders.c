/* Filter, mask, two renames and two projections in one, on the table of the benchmark `guest_cost`. */
#include "sluicebox.h"

const char sb_plugin_name[] = "orders-c";

typedef struct {
    sb_handle quantity, status, email;
} columns;

sb_text sb_init(sb_text config) {
    (void)config;
    return SB_TEXT("");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    columns *found = *state = sb_keep(sizeof *found);
    sb_rename(plan, SB_TEXT("order_no"), SB_TEXT("order_number"));
    sb_rename(plan, SB_TEXT("created"), SB_TEXT("created_at"));
    sb_remove(plan, SB_TEXT("note"));
    sb_remove(plan, SB_TEXT("coupon"));
    found->quantity = sb_read(plan, SB_TEXT("quantity"));
    found->status = sb_read(plan, SB_TEXT("status"));
    found->email = sb_rewrite(plan, SB_TEXT("email"));
    return SB_TEXT("");
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *c = state;
    if (sb_int(row, c->quantity) <= 2 || sb_equal(sb_bytes(row, c->status), SB_TEXT("CANCELLED"))) return SB_DROP;
    sb_text address = sb_bytes(row, c->email);
    uint32_t at = 0;
    while (at < address.size && address.data[at] != '@') at++;
    sb_set_bytes(row, c->email, (sb_text){ address.data, 1 });
    sb_append(row, c->email, SB_TEXT("***"));
    sb_append(row, c->email, (sb_text){ address.data + at, address.size - at });
    return SB_KEEP;
}
