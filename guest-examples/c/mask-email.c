/* Masks e-mail addresses: `ada@example.org` becomes `a***@example.org`, or `***` when the domain is not to be kept.
 *
 *   config: { columns: [email, backup_email], keep-domain: true }
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "mask-email-c";

static sb_text columns;
static bool keep_domain;

typedef struct {
    uint32_t count;
    sb_handle handles[];
} masked;

sb_text sb_init(sb_text config) {
    columns = sb_json_get(config, "columns");
    keep_domain = sb_equal(sb_json_get(config, "keep-domain"), SB_TEXT("true"));
    return columns.size ? SB_TEXT("") : SB_TEXT("`columns` is missing");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    sb_text name;
    uint32_t at = 0, count = 0;
    while (sb_json_next(columns, &at).size) count++;
    masked *table_state = *state = sb_keep(sizeof *table_state + count * sizeof(sb_handle));
    table_state->count = 0;
    at = 0;
    while ((name = sb_json_next(columns, &at)).size) table_state->handles[table_state->count++] = sb_rewrite(plan, sb_json_text(name));
    return SB_TEXT("");
}

/* Bytes of the character that begins here. */
static uint32_t width(char first) {
    uint8_t c = (uint8_t)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const masked *table = state;
    for (uint32_t i = 0; i < table->count; i++) {
        sb_handle column = table->handles[i];
        if (sb_is_null(row, column)) continue;
        sb_text address = sb_bytes(row, column);
        uint32_t at = address.size;
        while (at > 0 && address.data[at - 1] != '@') at--;
        bool domain = keep_domain && at > 0;
        sb_set_bytes(row, column, (sb_text){ address.data, domain && at > 1 ? width(address.data[0]) : 0 });
        sb_append(row, column, SB_TEXT("***"));
        if (domain) sb_append(row, column, (sb_text){ address.data + at - 1, address.size - at + 1 });
    }
    return SB_KEEP;
}
