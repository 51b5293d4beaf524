/*
 * table - the override table of a handle
 *
 * What lies under the name is in force: a set that was just compiled, a backup
 * that was copied over it, a directory that was moved aside and made anew. So
 * before a jail is entered only a directory above the table's is opened, and
 * the table is looked for from there: at the first lookup, when a daemon has
 * given root up, then every 600 ms, and while there is none that can be used,
 * at every lookup, so that the first one behind a refresh is right.
 *
 * A file is known by device, inode, size and time of change. Within two seconds
 * of such a change another may hide behind the same time: then the header is
 * read again, which holds a random id, or a table that could not be used is
 * tried again, ten times a second. While nothing lies under the name, the
 * table that is open stays in force: it is the last good one.
 */

#include "handle/handle.h"
#include "util/clock.h"
#include "util/err.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Between two looks at a table that can be used; and so often at least one is
   tried that cannot. With a refresh before it, a change is in force in a
   second. */
#define LOOK_MS  600
#define FRESH_S  2
#define RETRY_MS 100 /* before one that has just changed is tried again */

/* The directory above the table's is opened, or the nearest above that which
   there is. Links on the way to it are followed now: a jail would hide them. */
enum mxhop_status table_place(struct mxhop *mx, struct mxhop_error *err)
{
    char dir[PATH_MAX], real[PATH_MAX], path[2 * PATH_MAX];
    const char *base = strrchr(mx->conf.override_table, '/') + 1;
    char *end;

    if (!ovtable_dir(dir, mx->conf.override_table))
        return err_set(err, MXHOP_ERR_CONFIG, "override_table: %s: too long",
                       mx->conf.override_table);
    snprintf(path, sizeof(path), "%s/%s",
             realpath(dir, real) != NULL ? real : dir, base);
    end = path + strlen(path) - strlen(base) - 1;
    do {
        *end = '/';
        while (end > path && *--end != '/')
            ;
        *end = '\0';
        mx->overrides.above_fd = open(path[0] != '\0' ? path : "/",
                                      O_PATH | O_DIRECTORY | O_CLOEXEC);
    } while (mx->overrides.above_fd < 0 && end > path);
    if (mx->overrides.above_fd < 0)
        return err_set(err, MXHOP_ERR_IO, "/: cannot be opened");
    mx->overrides.name = strdup(end + 1 + strspn(end + 1, "/"));
    return mx->overrides.name != NULL ? MXHOP_OK : err_nomem(err);
}

void table_leave(struct mxhop *mx)
{
    ovtable_close(&mx->overrides.table);
    free(mx->overrides.name);
    if (mx->overrides.above_fd >= 0)
        close(mx->overrides.above_fd);
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

static bool table_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void table_look(struct mxhop *mx, uint64_t now_ms)
{
    struct ovtable *t;
    struct stat st;
    bool there = fstatat(mx->overrides.above_fd, mx->overrides.name, &st,
                         AT_SYMLINK_NOFOLLOW) == 0;
    bool same = there && table_is_same(&st, &mx->overrides.seen);
    bool fresh = there && st.st_ctim.tv_sec + FRESH_S >= clock_wall_s();

    mx->overrides.looked_ms = now_ms;
    if (mx->overrides.table != NULL &&
        (!there ||
         (same && (!fresh || ovtable_is_unchanged(mx->overrides.table)))))
        return;
    if (mx->overrides.table == NULL && mx->overrides.tried_ms != 0 &&
        (same || !there) &&
        now_ms < mx->overrides.tried_ms + (fresh ? RETRY_MS : LOOK_MS))
        return;
    mx->overrides.tried_ms = now_ms;
    ovtable_close(&mx->overrides.table);
    mx->overrides.seen = there ? st : (struct stat){0};
    if (ovtable_open_at(&t, mx->overrides.above_fd, mx->overrides.name,
                        mx->conf.override_table,
                        (mx->host.flags & MXHOP_WORKER) != 0 || mx->as.filter,
                        &mx->overrides.err) != MXHOP_OK)
        return;
    mx->overrides.table = t;
    mx->overrides.seen = *ovtable_stat(t);
    table_say(mx, false);
}

struct ovtable *table_now(struct mxhop *mx, uint64_t now_ms)
{
    if (mx->overrides.table == NULL ||
        now_ms >= mx->overrides.looked_ms + LOOK_MS)
        table_look(mx, now_ms);
    return mx->overrides.table;
}

bool table_is_another(struct mxhop *mx)
{
    const struct stat was = mx->overrides.seen;

    if (mx->overrides.table == NULL)
        return false;
    table_look(mx, clock_boot_ms());
    return mx->overrides.table != NULL &&
           !table_is_same(&was, &mx->overrides.seen);
}
