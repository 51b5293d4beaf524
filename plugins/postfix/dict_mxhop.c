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
 * A configuration that cannot be used ends commands. Daemons go on with a table
 * that defers mail to other systems (broken.c), or with an empty one if there
 * can be no overrides, and log why when they start. Either way Postfix is told
 * which file to watch, so that its daemons start afresh when the file changes.
 *
 * Only transport_maps may name the table. Other parameters would take an answer
 * for something else: relay_domains = mxhop:... makes an open relay. Daemons
 * are therefore answered only if they ask in the way of transport_maps, which
 * wants no part of a key in the answer (DICT_FLAG_NO_REGSUB). The flags of a
 * table that several clients of proxymap(8) share are those of the last
 * request, so each lookup is looked at. local(8) asks in that way too, and is
 * told apart by its name.
 *
 * Ownership: struct dict_mxhop owns the library's handle and the host context
 * that the handle calls back. The text of an answer belongs to the handle and
 * is valid until the next lookup, as Postfix expects.
 *
 * Diagnostics: through msg_info(), msg_warn() and msg_error(), prefixed
 * mxhop:FILE:.
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
    struct {
        struct mxhop *mx; /* NULL: the configuration cannot be used */
        struct postfix_host *host;
        struct mxhop_host api; /* of host */
        bool defers;           /* without mx: there may be overrides */
        bool not_config;       /* without mx: for another reason */
        bool daemon, in_local; /* who asks */
        bool refused;          /* it asks for another parameter: logged */
        bool failing;          /* the last lookup failed: logged */
        bool looked;           /* dict_look_again() is done */
        struct stat seen;      /* stat_fd, before the file was read */
        int link_fd;           /* the name itself, which may be a link */
        struct stat link_seen;
        time_t asked; /* whether the file has changed */
    } own;
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

    if (d->own.looked || !dict_at_rest(&d->dict))
        return;
    d->own.looked = true;
    if (fstat(d->dict.stat_fd, &st) == 0 &&
        !dict_same_change(&st, &d->own.seen))
        dict_force_restart(&d->dict);
}

/* Without the library: the name itself, where it is a link, and whether another
   try may go better although nothing has changed. */
static bool dict_without_outdated(const struct dict_mxhop *d)
{
    struct stat st;

    return d->own.not_config ||
           (d->own.link_fd >= 0 && fstat(d->own.link_fd, &st) == 0 &&
            !dict_same_change(&st, &d->own.link_seen));
}

/* Postfix sees the time of one file, in seconds; there is more to see. */
static void dict_look_further(struct dict_mxhop *d)
{
    time_t now = time(NULL);

    if (now >= d->own.asked && now < d->own.asked + ASK_INTERVAL_S)
        return;
    d->own.asked = now;
    if (d->own.mx != NULL ? mxhop_outdated(d->own.mx)
                          : dict_without_outdated(d))
        dict_force_restart(&d->dict);
}

/* The file, or the nearest directory in which it, or a part of its path, will
   appear. To be looked at with fstat(2) only. */
static int dict_open_to_watch(const char *path, struct stat *st_r)
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

/* ---- methods ---- */

static void dict_note_failure(struct dict_mxhop *d, const char *reason)
{
    if (reason != NULL && !d->own.failing)
        msg_warn("%s:%s: %s", d->dict.type, d->dict.name, reason);
    d->own.failing = reason != NULL;
}

static bool dict_is_asked_for_transport(struct dict_mxhop *d)
{
    if (!d->own.daemon ||
        ((d->dict.flags & DICT_FLAG_NO_REGSUB) != 0 && !d->own.in_local))
        return true;
    if (!d->own.refused && d->own.in_local)
        msg_error("%s:%s: not answered: mailbox_transport_maps or "
                  "fallback_transport_maps names this table, which is made for "
                  "transport_maps only. Remove it there",
                  d->dict.type, d->dict.name);
    else if (!d->own.refused)
        msg_error("%s:%s: not answered: a parameter other than transport_maps "
                  "names this table, such as relay_domains, where an answer "
                  "would make this system an open relay. Remove it there; "
                  "\"postconf -n | grep %s:\" shows the parameter",
                  d->dict.type, d->dict.name, d->dict.type);
    d->own.refused = true;
    return false;
}

static const char *dict_mxhop_lookup(struct postfix_dict *dict, const char *key)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;
    struct mxhop_error err;
    enum mxhop_status status;
    const char *text;

    dict->error = DICT_ERR_NONE;
    dict_look_again(d);
    dict_look_further(d);
    if (!dict_is_asked_for_transport(d))
        return NULL;
    if (d->own.mx == NULL)
        return d->own.defers ? broken_lookup(&d->own.api, key) : NULL;
    status = mxhop_text(d->own.mx, key, MXHOP_FORMAT_POSTFIX, &text, &err);
    dict_note_failure(d, status != MXHOP_OK ? err.text : NULL);
    return text;
}

static void dict_mxhop_close(struct postfix_dict *dict)
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

/* ---- open ---- */

/* Root's file is trusted; otherwise say whose it is. */
static void dict_set_owner(struct postfix_dict *dict, const struct stat *config)
{
    dict->owner.uid = config->st_uid;
    dict->owner.status =
        config->st_uid == 0 ? DICT_OWNER_TRUSTED : DICT_OWNER_UNTRUSTED;
}

/* Watches the file from before it is read. */
static struct dict_mxhop *dict_make_table(const char *name, int dict_flags)
{
    struct postfix_dict *dict =
        dict_alloc(TABLE_TYPE, name, (ssize_t)sizeof(struct dict_mxhop));
    struct dict_mxhop *d = (struct dict_mxhop *)dict;

    memset(&d->own, 0, sizeof(d->own));
    dict->flags = dict_flags | DICT_FLAG_FIXED;
    dict->lookup = dict_mxhop_lookup;
    dict->close = dict_mxhop_close;
    d->own.daemon = host_is_daemon();
    d->own.in_local = d->own.daemon && strcmp(host_program(), "local") == 0;
    d->own.link_fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (d->own.link_fd >= 0 && fstat(d->own.link_fd, &d->own.link_seen) != 0)
        d->own.link_seen = (struct stat){0};
    dict->stat_fd = dict_open_to_watch(name, &d->own.seen);
    d->own.looked = dict->stat_fd < 0;
    if (dict->stat_fd >= 0) {
        dict->mtime = d->own.seen.st_mtime;
        dict_set_owner(dict, &d->own.seen);
    }
    return d;
}

static void dict_begin_without(struct dict_mxhop *d, const char *reason)
{
    d->own.defers = mxhop_may_override(d->dict.name) != 0;
    msg_error("%s:%s: %s. Until this is mended, %s", d->dict.type, d->dict.name,
              reason,
              d->own.defers ? "mail to other systems waits in the queue"
                            : "mail is routed as if there were no such table");
}

MXHOP_API struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                               int dict_flags);

struct postfix_dict *dict_mxhop_open(const char *name, int open_flags,
                                     int dict_flags)
{
    struct mxhop_error err = {.text = "out of memory"};
    enum mxhop_status status = MXHOP_ERR_MEMORY;
    struct dict_mxhop *d;

    if (open_flags != O_RDONLY)
        return dict_surrogate(TABLE_TYPE, name, open_flags, dict_flags,
                              "%s:%s: this table can only be read", TABLE_TYPE,
                              name);
    d = dict_make_table(name, dict_flags);
    if (d->own.daemon)
        host_warn_misplaced(name);
    d->own.host = host_create(name, &d->own.api);
    if (d->own.host != NULL)
        status = mxhop_open(&d->own.mx, name, &d->own.api, &err);
    if (status == MXHOP_OK)
        return &d->dict;
    if (d->own.host != NULL && d->own.daemon) {
        d->own.not_config = status != MXHOP_ERR_CONFIG;
        dict_begin_without(d, err.text);
        return &d->dict;
    }
    dict_mxhop_close(&d->dict);
    return dict_surrogate(TABLE_TYPE, name, open_flags, dict_flags, "%s:%s: %s",
                          TABLE_TYPE, name, err.text);
}
