/*
 * table - what the table types of this plugin have in common
 *
 * A table can only be read, by key. It cannot be listed, changed or created.
 * Its name is the path of a configuration file, and Postfix is told to watch
 * that file, so that its daemons start afresh when it changes. Nothing else
 * makes them do that: what mxhop learns changes all the time.
 *
 * Ownership: struct dict_mxhop owns the library's handle and the host context
 * that the handle calls back, if there are any, and two descriptors.
 */

#include "postfix/table.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_INTERVAL_S 5

/*
 * Postfix compares modification times in whole seconds: not enough for a file
 * that changes, is read and changes again. A time that can never match makes it
 * restart the daemon at its next look (trivial-rewrite: at start, then every
 * 10 s).
 */
static void table_force_restart(struct postfix_dict *dict)
{
    dict->mtime--;
}

static bool table_same_change(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* No change can hide any more. A time to come is no reason to wait for it. */
static bool table_at_rest(const struct postfix_dict *dict)
{
    time_t now = time(NULL);

    return now > dict->mtime + 1 || now < dict->mtime;
}

/* Once, when a further change would show in the seconds: was there one that
   did not? */
static void table_look_again(struct dict_mxhop *d)
{
    struct stat st;

    if (d->own.looked || !table_at_rest(&d->dict))
        return;
    d->own.looked = true;
    if (fstat(d->dict.stat_fd, &st) == 0 &&
        !table_same_change(&st, &d->own.seen))
        table_force_restart(&d->dict);
}

/* Without the library: the name itself, where it is a link, and whether another
   try may go better although nothing has changed. */
static bool table_without_outdated(const struct dict_mxhop *d)
{
    struct stat st;

    return d->own.not_config ||
           (d->own.link_fd >= 0 && fstat(d->own.link_fd, &st) == 0 &&
            !table_same_change(&st, &d->own.link_seen));
}

/* Postfix sees the time of one file, in seconds; there is more to see. */
static void table_look_further(struct dict_mxhop *d)
{
    time_t now = time(NULL);

    if (now >= d->own.asked && now < d->own.asked + ASK_INTERVAL_S)
        return;
    d->own.asked = now;
    if (d->own.mx != NULL ? mxhop_outdated(d->own.mx)
                          : table_without_outdated(d))
        table_force_restart(&d->dict);
}

void table_watch(struct dict_mxhop *d)
{
    table_look_again(d);
    table_look_further(d);
}

/* The file, or the nearest directory in which it, or a part of its path, will
   appear. To be looked at with fstat(2) only. */
static int table_open_to_watch(const char *path, struct stat *st_r)
{
    char *copy = strdup(path), *part = copy;
    int fd = -1;

    while (part != NULL && (fd = open(part, O_PATH | O_CLOEXEC)) < 0 &&
           (errno == ENOENT || errno == ENOTDIR) && strcmp(part, "/") != 0 &&
           strcmp(part, ".") != 0)
        part = dirname(part);
    free(copy);
    if (fd >= 0 && fstat(fd, st_r) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void table_close(struct postfix_dict *dict)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;

    mxhop_close(&d->own.mx);
    host_free(d->own.host);
    if (dict->stat_fd >= 0)
        close(dict->stat_fd);
    if (d->own.link_fd >= 0)
        close(d->own.link_fd);
    dict_free(dict);
}

/* Root's file is trusted; otherwise say whose it is. */
static void table_set_owner(struct postfix_dict *dict,
                            const struct stat *config)
{
    dict->owner.uid = config->st_uid;
    dict->owner.status =
        config->st_uid == 0 ? DICT_OWNER_TRUSTED : DICT_OWNER_UNTRUSTED;
}

struct dict_mxhop *table_make(const char *type, const char *name,
                              int dict_flags)
{
    struct postfix_dict *dict =
        dict_alloc(type, name, (ssize_t)sizeof(struct dict_mxhop));
    struct dict_mxhop *d = (struct dict_mxhop *)dict;

    memset(&d->own, 0, sizeof(d->own));
    dict->flags = dict_flags | DICT_FLAG_FIXED;
    dict->close = table_close;
    d->own.daemon = host_is_daemon();
    d->own.asked = time(NULL); /* at once would be a storm of restarts */
    d->own.link_fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (d->own.link_fd >= 0 && fstat(d->own.link_fd, &d->own.link_seen) != 0)
        d->own.link_seen = (struct stat){0};
    dict->stat_fd = table_open_to_watch(name, &d->own.seen);
    d->own.looked = dict->stat_fd < 0;
    if (dict->stat_fd >= 0) {
        dict->mtime = d->own.seen.st_mtime;
        table_set_owner(dict, &d->own.seen);
    }
    return d;
}

struct postfix_dict *table_refuse_writer(const char *type, const char *name,
                                         int open_flags, int dict_flags)
{
    return dict_surrogate(type, name, open_flags, dict_flags,
                          "%s:%s: this table can only be read", type, name);
}
