/*
 * dict_mxhop - the Postfix lookup table type `mxhop'
 *
 * The name of a table is the path of its configuration file:
 *
 *     transport_maps = mxhop:/etc/mxhop/mxhop.cf
 *
 * A lookup answers with a right-hand side of transport(5), or "not found" where
 * mxhop has no opinion. It never reports an error, as that would defer mail
 * that Postfix could have delivered without us.
 *
 * The table can only be read, by key. It cannot be listed, changed or created.
 *
 * A configuration that cannot be used gives Postfix's stand-in table, which
 * defers what is asked of it and logs why. Either way Postfix is told which
 * file to watch, so that its daemons start afresh when the file changes.
 *
 * Ownership: struct dict_mxhop owns the library's handle and the host context
 * that the handle calls back. The text of an answer belongs to the handle and
 * is valid until the next lookup, as Postfix expects.
 *
 * Diagnostics: through msg_info() and msg_warn(), prefixed mxhop:FILE:.
 */

#include "postfix/host.h"
#include "postfix/postfix_abi.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dict_mxhop {
    struct postfix_dict dict;
    char spare[DICT_SPARE]; /* what newer releases append to their struct */
    struct mxhop *mx;
    struct postfix_host *host;
    bool failing;     /* the last lookup failed, and that was logged */
    bool looked;      /* dict_look_again() is done */
    struct stat seen; /* stat_fd as it was when the table was opened */
    time_t asked;     /* when the library was asked whether it is outdated */
};

#define ASK_INTERVAL_S 5

/* ---- change detection ---- */

/*
 * Postfix compares modification times in whole seconds: not enough for a file
 * that changes, is read and changes again. A time that can never match makes it
 * restart the daemon at its next look (trivial-rewrite: at start, then every
 * 10 s).
 */
static void dict_force_restart(struct postfix_dict *dict)
{
    dict->mtime--;
}

static bool dict_same_change(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Takes fd over; -1 is allowed. False if there is nothing to watch. */
static bool dict_watch(struct postfix_dict *dict, int fd, struct stat *st_r)
{
    if (fd < 0)
        return false;
    if (fstat(fd, st_r) != 0) {
        close(fd);
        return false;
    }
    dict->stat_fd = fd;
    dict->mtime = st_r->st_mtime;
    return true;
}

/* No change can hide any more. A time to come is no reason to wait for it. */
static bool dict_at_rest(const struct postfix_dict *dict)
{
    time_t now = time(NULL);

    return now > dict->mtime + 1 || now < dict->mtime;
}

/* Once, when a further change would show in the seconds: was there one that
   did not? */
static void dict_look_again(struct dict_mxhop *d)
{
    struct stat st;

    if (d->looked || !dict_at_rest(&d->dict))
        return;
    d->looked = true;
    if (fstat(d->dict.stat_fd, &st) == 0 && !dict_same_change(&st, &d->seen))
        dict_force_restart(&d->dict);
}

/* Postfix sees the time of one file; the library knows of more. */
static void dict_ask_library(struct dict_mxhop *d)
{
    time_t now = time(NULL);

    if (now >= d->asked && now < d->asked + ASK_INTERVAL_S)
        return;
    d->asked = now;
    if (mxhop_outdated(d->mx))
        dict_force_restart(&d->dict);
}

/* The file, or the nearest directory in which it, or a part of its path, will
   appear. To be looked at with fstat(2) only. */
static int dict_open_to_watch(const char *path)
{
    char *copy = strdup(path), *part = copy;
    int fd = -1;

    while (part != NULL && (fd = open(part, O_PATH | O_CLOEXEC)) < 0 &&
           (errno == ENOENT || errno == ENOTDIR) && strcmp(part, "/") != 0 &&
           strcmp(part, ".") != 0)
        part = dirname(part);
    free(copy);
    return fd;
}

/* ---- methods ---- */

static void dict_note_failure(struct dict_mxhop *d, const char *reason)
{
    if (reason != NULL && !d->failing)
        msg_warn("%s:%s: %s", d->dict.type, d->dict.name, reason);
    d->failing = reason != NULL;
}

static const char *dict_mxhop_lookup(struct postfix_dict *dict, const char *key)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;
    struct mxhop_error err;
    enum mxhop_status status;
    const char *text;

    dict->error = DICT_ERR_NONE;
    dict_look_again(d);
    dict_ask_library(d);
    status = mxhop_text(d->mx, key, MXHOP_FORMAT_POSTFIX, &text, &err);
    dict_note_failure(d, status != MXHOP_OK ? err.text : NULL);
    return text;
}

static void dict_mxhop_close(struct postfix_dict *dict)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;

    mxhop_close(&d->mx);
    host_free(d->host);
    if (dict->stat_fd >= 0)
        close(dict->stat_fd);
    dict_free(dict);
}

/* ---- open ---- */

/* Root's file is trusted; otherwise say whose it is. */
static void dict_set_owner(struct postfix_dict *dict, const struct stat *config)
{
    dict->owner.uid = config->st_uid;
    dict->owner.status =
        config->st_uid == 0 ? DICT_OWNER_TRUSTED : DICT_OWNER_UNTRUSTED;
}

/* `config` is the file as it was before the library read it. */
static void dict_set_watch(struct dict_mxhop *d, const struct stat *config)
{
    int fd = mxhop_watch_fd(d->mx);

    /* A descriptor of our own: both sides close theirs. */
    d->looked =
        !dict_watch(&d->dict, fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1,
                    &d->seen);
    if (d->looked)
        return;
    if (!dict_same_change(&d->seen, config))
        dict_force_restart(&d->dict);
}

static struct postfix_dict *dict_make_table(const char *name, int dict_flags,
                                            struct mxhop *mx,
                                            struct postfix_host *host,
                                            const struct stat *config)
{
    struct postfix_dict *dict =
        dict_alloc(TABLE_TYPE, name, (ssize_t)sizeof(struct dict_mxhop));
    struct dict_mxhop *d = (struct dict_mxhop *)dict;

    dict->flags = dict_flags | DICT_FLAG_FIXED;
    dict->lookup = dict_mxhop_lookup;
    dict->close = dict_mxhop_close;
    dict_set_owner(dict, config);
    d->mx = mx;
    d->host = host;
    d->failing = false;
    d->asked = 0;
    dict_set_watch(d, config);
    return dict;
}

/* Of every stand-in the same. */
static const char *(*surrogate_lookup)(struct postfix_dict *, const char *);

/* Of a file that was young when it was read: as soon as a further change would
   show, the daemon starts afresh once, in case that one did not. */
static const char *dict_stand_in_lookup(struct postfix_dict *dict,
                                        const char *key)
{
    if (dict_at_rest(dict)) {
        dict_force_restart(dict);
        dict->lookup = surrogate_lookup;
    }
    return surrogate_lookup(dict, key);
}

static struct postfix_dict *dict_stand_in(const char *name, int open_flags,
                                          int dict_flags, const char *reason)
{
    struct postfix_dict *dict =
        dict_surrogate(TABLE_TYPE, name, open_flags, dict_flags, "%s:%s: %s",
                       TABLE_TYPE, name, reason);
    struct stat st;

    if (dict_watch(dict, dict_open_to_watch(name), &st) &&
        !dict_at_rest(dict)) {
        surrogate_lookup = dict->lookup;
        dict->lookup = dict_stand_in_lookup;
    }
    return dict;
}

MXHOP_API struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                               int dict_flags);

struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                     int dict_flags)
{
    struct mxhop_error err = {.text = "out of memory"};
    struct mxhop_host api;
    struct postfix_host *host;
    struct mxhop *mx;
    struct stat config = {0};

    if (open_flags != O_RDONLY)
        return dict_stand_in(name, open_flags, dict_flags,
                             "this table can only be read");
    if (stat(name, &config) != 0)
        return dict_stand_in(name, open_flags, dict_flags, strerror(errno));
    host = host_create(name, &api);
    if (host == NULL)
        return dict_stand_in(name, open_flags, dict_flags, err.text);
    if (mxhop_open(&mx, name, &api, &err) != MXHOP_OK) {
        host_free(host);
        return dict_stand_in(name, open_flags, dict_flags, err.text);
    }
    return dict_make_table(name, dict_flags, mx, host, &config);
}
