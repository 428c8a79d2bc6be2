/* For tests: says in each row which version of the plugin it went through.
 *
 *   config: { column: version }
 *
 * A test makes a version out of the built file by writing other digits over those behind `version=` and `does=`:
 *   does=0   nothing else
 *   does=1   adds a column `more` too
 *   does=2   refuses every table
 *   does=3   makes the column a date
 *   does=4   drops rows whose `id` is odd
 *   does=5   fails on rows whose `id` is a multiple of ten
 *   does=6   adds a column too that is called like the version, `more000000`
 *   does=7   never comes back from a row
 */
#include "sluicebox.h"

const char sb_plugin_name[] = "stamp-c";

static const volatile char version[] = "version=000000";
static const volatile char does[] = "does=0";

static sb_text column;

static int what(void) { return does[sizeof("does=") - 1] - '0'; }

static int64_t number(void) {
    int64_t value = 0;
    for (uint32_t i = sizeof("version=") - 1; i < sizeof version - 1; i++) value = value * 10 + (version[i] - '0');
    return value;
}

/* `more` with the version's digits. */
static sb_text named(void) {
    static char name[] = "more000000";
    for (uint32_t i = 0; i < 6; i++) name[4 + i] = version[sizeof("version=") - 1 + i];
    return (sb_text){ name, sizeof name - 1 };
}

typedef struct {
    sb_handle id, stamp, more;
} table;

sb_text sb_init(sb_text config) {
    column = sb_json_text(sb_json_get(config, "column"));
    return column.size ? SB_TEXT("") : SB_TEXT("`column` is missing");
}

sb_text sb_plan_table(const sb_table *about, sb_plan *plan, void **state) {
    (void)about;
    table *t = *state = sb_keep(sizeof *t);
    if (what() == 2) return SB_TEXT("this version takes no table");
    t->id = sb_read(plan, SB_TEXT("id"));
    t->stamp = sb_add(plan, column, what() == 3 ? SB_DATE : SB_INT, 0, 0, false);
    if (what() == 1) t->more = sb_add(plan, SB_TEXT("more"), SB_INT, 0, 0, false);
    if (what() == 6) t->more = sb_add(plan, named(), SB_INT, 0, 0, false);
    return SB_TEXT("");
}

sb_verdict sb_row(const void *state, sb_row_view *row) {
    const table *t = state;
    int64_t id = sb_int(row, t->id);
    if (what() == 4 && id % 2) return SB_DROP;
    if (what() == 5 && id % 10 == 0) {
        /* Said twice: the last counts. */
        sb_fail(row, SB_TEXT("not this one"));
        return sb_fail(row, SB_TEXT("a multiple of ten"));
    }
    while (what() == 7) {}
    sb_set_int(row, t->stamp, number());
    if (what() == 1 || what() == 6) sb_set_int(row, t->more, 7);
    return SB_KEEP;
}
