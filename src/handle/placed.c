/*
 * placed - a file that others replace as a whole, looked for by its name
 *
 * What lies under the name is in force: a set that was just compiled, a backup
 * that was copied over it, a directory that was moved aside and made anew. So
 * before a jail is entered only a directory above the file's is opened, and
 * the file is looked for from there: at the first lookup, when a daemon has
 * given root up, then every 600 ms.
 *
 * A file is known by device, inode, size and time of change. Within two seconds
 * of such a change another may hide behind the same time: then the header is
 * read again, which holds a random id, or a file that could not be used is
 * tried again, ten times a second. While nothing lies under the name, the file
 * that is open stays in force: it is the last good one.
 */

#include "handle/handle.h"
#include "table/fixed.h"
#include "util/clock.h"
#include "util/err.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACED_FRESH_S 2
#define PLACED_RETRY_MS \
    100 /* before one that has just changed is tried again */

void watched_link(struct watched *w, const char *path)
{
    if (lstat(path, &w->seen) == 0 && S_ISLNK(w->seen.st_mode))
        w->fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

void watched_leave(struct watched *w)
{
    if (w->fd >= 0)
        close(w->fd);
}

bool watched_has_changed(const struct watched *w)
{
    struct stat st;

    return w->fd >= 0 && fstat(w->fd, &st) == 0 &&
           (st.st_ctim.tv_sec != w->seen.st_ctim.tv_sec ||
            st.st_ctim.tv_nsec != w->seen.st_ctim.tv_nsec);
}

/* The directory above the file's is opened, or the nearest above that which
   there is. Links on the way to it are followed now: a jail would hide them.
   One in the place of the file's directory is watched, as it may be turned. */
enum mxhop_status placed_find(struct placed *p, const char *param,
                              const char *file, struct mxhop_error *err)
{
    char dir[PATH_MAX], real[PATH_MAX], path[2 * PATH_MAX];
    const char *base = strrchr(file, '/') + 1;
    char *end;

    if (!ovtable_dir(dir, file))
        return err_set(err, MXHOP_ERR_CONFIG, "%s: %s: too long", param, file);
    watched_link(&p->link, dir);
    snprintf(path, sizeof(path), "%s/%s",
             realpath(dir, real) != NULL ? real : dir, base);
    end = path + strlen(path) - strlen(base) - 1;
    do {
        *end = '/';
        while (end > path && *--end != '/')
            ;
        *end = '\0';
        p->above_fd = open(path[0] != '\0' ? path : "/",
                           O_PATH | O_DIRECTORY | O_CLOEXEC);
    } while (p->above_fd < 0 && end > path);
    if (p->above_fd < 0)
        return err_set(err, MXHOP_ERR_IO, "/: cannot be opened");
    p->name = strdup(end + 1 + strspn(end + 1, "/"));
    return p->name != NULL ? MXHOP_OK : err_nomem(err);
}

void placed_leave(struct placed *p)
{
    free(p->name);
    if (p->above_fd >= 0)
        close(p->above_fd);
    watched_leave(&p->link);
}

bool placed_is_led_away(const struct placed *p)
{
    char way[PATH_MAX];
    struct stat st;

    if (watched_has_changed(&p->link))
        return true;
    if (p->name == NULL)
        return false;
    for (const char *end = p->name; (end = strchr(end, '/')) != NULL; end++) {
        snprintf(way, sizeof(way), "%.*s", (int)(end - p->name), p->name);
        if (fstatat(p->above_fd, way, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        if (S_ISLNK(st.st_mode))
            return true;
    }
    return false;
}

bool placed_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool placed_look(struct placed *p, const struct fixed *in_use, uint64_t now_ms)
{
    struct stat st;
    bool there = fstatat(p->above_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    bool same = there && placed_is_same(&st, &p->seen);
    bool fresh = there && st.st_ctim.tv_sec + PLACED_FRESH_S >= clock_wall_s();

    p->looked_ms = now_ms;
    if (in_use != NULL &&
        (!there || (same && (!fresh || fixed_is_unchanged(in_use)))))
        return false;
    if (in_use == NULL && p->tried_ms != 0 && (same || !there) &&
        now_ms < p->tried_ms + (fresh ? PLACED_RETRY_MS : PLACED_LOOK_MS))
        return false;
    p->tried_ms = now_ms;
    p->seen = there ? st : (struct stat){0};
    return true;
}
