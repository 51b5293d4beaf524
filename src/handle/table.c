/*
 * table - the override table of a handle
 *
 * It is looked for as placed.c says, and while there is none that can be used,
 * at every lookup, so that the first one behind a refresh is right.
 */

#include "handle/handle.h"
#include "util/clock.h"

enum mxhop_status table_place(struct mxhop *mx, struct mxhop_error *err)
{
    return placed_find(&mx->overrides.placed, "override_table",
                       mx->conf.override_table, err);
}

void table_leave(struct mxhop *mx)
{
    ovtable_close(&mx->overrides.table);
    placed_leave(&mx->overrides.placed);
}

void table_say(struct mxhop *mx, bool bad)
{
    if (bad == mx->overrides.bad)
        return;
    mx->overrides.bad = bad;
    if (bad)
        log_warn(
            &mx->log, "%s; on_override_failure = %s", mx->overrides.err.text,
            mx->rules.on_override_failure == CHOICE_DEFER ? "defer" : "pass");
    else
        log_info(&mx->log, "override table %s is usable",
                 mx->conf.override_table);
}

static void table_look(struct mxhop *mx, uint64_t now_ms)
{
    struct placed *p = &mx->overrides.placed;
    struct ovtable *t = mx->overrides.table;

    if (!placed_look(p, t != NULL ? ovtable_file(t) : NULL, now_ms))
        return;
    ovtable_close(&mx->overrides.table);
    if (ovtable_open_at(&t, p->above_fd, p->name, mx->conf.override_table,
                        (mx->host.flags & MXHOP_WORKER) != 0 || mx->as.filter,
                        &mx->overrides.err) != MXHOP_OK)
        return;
    mx->overrides.table = t;
    p->seen = *ovtable_stat(t);
    table_say(mx, false);
}

struct ovtable *table_now(struct mxhop *mx, uint64_t now_ms)
{
    if (mx->overrides.table == NULL ||
        now_ms >= mx->overrides.placed.looked_ms + PLACED_LOOK_MS)
        table_look(mx, now_ms);
    return mx->overrides.table;
}

bool table_is_another(struct mxhop *mx)
{
    const struct stat was = mx->overrides.placed.seen;

    if (mx->overrides.table == NULL)
        return false;
    table_look(mx, clock_boot_ms());
    return mx->overrides.table != NULL &&
           !placed_is_same(&was, &mx->overrides.placed.seen);
}
