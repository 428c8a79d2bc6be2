/* Renames a table and columns, and leaves columns out, or all but those of `keep`. The host does all of it; no row enters the plugin.
 *
 *   config: { table: orders_v2, rename: { id: order_id }, remove: [note] }
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "rename-project-c";
const char sb_plugin_version[] = "0.2.0";

static sb_text config;

sb_text sb_init(sb_text told) {
    config = told;
    return SB_TEXT("");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    (void)state;
    sb_text name = sb_json_text(sb_json_get(config, "table"));
    if (name.size) sb_rename_table(plan, name);
    sb_text renames = sb_json_get(config, "rename"), removals = sb_json_get(config, "remove"), old, new;
    uint32_t at = 0;
    while (sb_json_entry(renames, &at, &old, &new)) sb_rename(plan, sb_json_text(old), sb_json_text(new));
    at = 0;
    while ((old = sb_json_next(removals, &at)).size) sb_remove(plan, sb_json_text(old));
    sb_text keep = sb_json_get(config, "keep");
    if (keep.size) {
        sb_text *names = sb_borrow((table->count + 1) * sizeof *names);
        uint32_t count = 0;
        at = 0;
        while (count < table->count && (old = sb_json_next(keep, &at)).size) names[count++] = sb_json_text(old);
        sb_keep_only(plan, names, count);
    }
    sb_pass(plan);
    return SB_TEXT("");
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    (void)state, (void)row;
    return SB_KEEP;
}
