/* Makes a row for each part of a text column.
 *
 *   config: { column: tags, separator: ",", into: tag }
 *
 * A row with the tags `red,blue` becomes two, with `red` and `blue` in the new column `tag`, which takes the old one's place and joins the key.
 * Blanks around parts do not count, a part that occurs twice counts once, and a row without parts makes none.
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "split-tags-c";

static sb_text column, separator, into;

typedef struct {
    sb_handle all, one;
} columns;

sb_text sb_init(sb_text config) {
    column = sb_json_text(sb_json_get(config, "column"));
    separator = sb_json_text(sb_json_get(config, "separator"));
    into = sb_json_text(sb_json_get(config, "into"));
    if (!separator.size) separator = SB_TEXT(",");
    if (!column.size) return SB_TEXT("`column` is missing");
    return into.size ? SB_TEXT("") : SB_TEXT("`into` is missing");
}

sb_text sb_plan_table(const sb_table *table, sb_plan *plan, void **state) {
    columns *handles = *state = sb_keep(sizeof *handles);
    *handles = (columns){ sb_read(plan, column), sb_add(plan, into, SB_STRING, 0, 0, false) };
    sb_remove(plan, column);
    sb_text *key = sb_borrow((table->count + 1) * sizeof *key);
    uint32_t parts = 0;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->columns[i].in_key) key[table->columns[i].key] = table->columns[i].name, parts++;
    /* Rows of a table without a key stay without one. */
    if (parts) key[parts++] = into;
    sb_key(plan, key, parts);
    sb_expand(plan);
    return SB_TEXT("");
}

static bool separated(sb_text text, uint32_t at) {
    return at + separator.size <= text.size && sb_equal((sb_text){ text.data + at, separator.size }, separator);
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static sb_text trimmed(sb_text text) {
    while (text.size && is_blank(text.data[0])) text.data++, text.size--;
    while (text.size && is_blank(text.data[text.size - 1])) text.size--;
    return text;
}

/* Takes the next part, without blanks around it; false behind the last one. */
static bool next_part(sb_text text, uint32_t *at, sb_text *part) {
    if (*at > text.size) return false;
    uint32_t end = *at;
    while (end < text.size && !separated(text, end)) end++;
    *part = trimmed((sb_text){ text.data + *at, end - *at });
    *at = end < text.size ? end + separator.size : text.size + 1;
    return true;
}

static bool seen(sb_text text, uint32_t until, sb_text wanted) {
    sb_text part;
    uint32_t at = 0;
    while (at < until && next_part(text, &at, &part))
        if (sb_equal(part, wanted)) return true;
    return false;
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const columns *handles = state;
    sb_text part, text = sb_is_null(row, handles->all) ? SB_TEXT("") : sb_bytes(row, handles->all);
    uint32_t at = 0, begin = 0;
    for (; next_part(text, &at, &part); begin = at) {
        if (!part.size || seen(text, begin, part)) continue;
        sb_set_bytes(row, handles->one, part);
        sb_emit(row);
    }
    return SB_DROP;
}
