/* Adds columns from a reference table that the pipeline file declares under the plugin's `lookups`.
 *
 *   config: { table: countries, key: country, add: { country_name: name, region: region } }
 *
 * `key` is a text column; each column under `add` is filled with that field of the entry whose key it holds. Where the table has no such
 * entry, or the entry no such text, the column is null.
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "enrich-c";

static sb_text table_name, key_column, added;

typedef struct {
    sb_handle key;
    uint32_t count;
    struct { sb_handle column; sb_text field; } added[];
} columns;

sb_text sb_init(sb_text config) {
    table_name = sb_json_text(sb_json_get(config, "table"));
    key_column = sb_json_text(sb_json_get(config, "key"));
    added = sb_json_get(config, "add");
    if (!table_name.size) return SB_TEXT("`table` is missing");
    if (!key_column.size) return SB_TEXT("`key` is missing");
    return added.size ? SB_TEXT("") : SB_TEXT("`add` is missing");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)table;
    sb_text name, field;
    uint32_t at = 0, count = 0;
    while (sb_json_entry(added, &at, &name, &field)) count++;
    columns *found = *state = sb_keep(sizeof *found + count * sizeof found->added[0]);
    found->key = sb_read(plan, key_column);
    found->count = 0;
    at = 0;
    while (sb_json_entry(added, &at, &name, &field)) {
        found->added[found->count].column = sb_add(plan, sb_json_text(name), SB_STRING, 0, 0, true);
        found->added[found->count++].field = sb_json_text(field);
    }
    return SB_TEXT("");
}

/* The text of a field of an entry; false when it has none. */
static bool field_of(sb_text entry, sb_text field, sb_text *text) {
    sb_text key, value;
    uint32_t at = 0;
    while (sb_json_entry(entry, &at, &key, &value)) {
        if (!sb_equal(sb_json_borrow(key), field)) continue;
        *text = sb_json_borrow(value);
        return value.data[0] == '"';
    }
    return false;
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *c = state;
    sb_text entry, text;
    if (sb_is_null(row, c->key) || !sb_lookup(table_name, sb_bytes(row, c->key), &entry)) return SB_KEEP;
    for (uint32_t i = 0; i < c->count; i++)
        if (field_of(entry, c->added[i].field, &text)) sb_set_bytes(row, c->added[i].column, text);
    return SB_KEEP;
}
