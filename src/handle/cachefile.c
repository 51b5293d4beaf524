/*
 * cachefile - which cache a handle has
 *
 * A cache that all processes of the MTA share belongs to the user that lookups
 * are run as: a daemon is root when it opens its tables and that user when it
 * is asked. Before a jail only the directory above it is opened, at the first
 * lookup the cache itself. A process that is root then uses no cache of another
 * user: it reads nothing that a lesser user may have written.
 *
 * Where there is no shared cache to be had, the log says why, and the cache is
 * in the memory of this process: the worker needs some place for what it
 * learns, and mail goes on. That another user's cache is not for an ordinary
 * user who asks is no fault, and no warning.
 */

#include "handle/handle.h"
#include "util/err.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_MAX 4096 /* octets of a line of passwd(5) */

static enum mxhop_status handle_find_place(struct mxhop *mx, const char *dir,
                                           struct mxhop_error *err)
{
    const char *owner = mx->conf.cache_owner[0] != '\0' ? mx->conf.cache_owner
                                                        : mx->host_cache_owner;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char strings[PASSWD_MAX];
    struct passwd pw, *found;

    if (owner != NULL && strcmp(owner, "root") == 0) {
        uid = 0; /* without a search of all users, at each delivery of Exim */
        gid = 0;
    } else if (owner != NULL && owner[0] != '\0') {
        int rc = getpwnam_r(owner, &pw, strings, sizeof(strings), &found);

        if (found == NULL)
            return err_set(err, MXHOP_ERR_CONFIG, "cache_owner: %s: %s", owner,
                           rc != 0 ? strerrordesc_np(rc) : "no such user");
        uid = pw.pw_uid;
        gid = pw.pw_gid;
    }
    if (geteuid() != 0 && geteuid() != uid)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "the cache %s is for uid %lu, and this process has "
                       "uid %lu",
                       dir, (unsigned long)uid, (unsigned long)geteuid());
    return cache_place_find(&mx->store.place, dir, uid, gid, err);
}

static void handle_say_why(struct mxhop *mx, const struct mxhop_error *why)
{
    if (why->code == MXHOP_ERR_ARGUMENT)
        log_info(&mx->log, "%s; the cache is kept in memory", why->text);
    else
        log_warn(&mx->log, "%s; the cache is kept in memory, not shared",
                 why->text);
}

void handle_find_cache(struct mxhop *mx, const char *config)
{
    struct mxhop_error why;
    char dir[PATH_MAX];

    if (!conf_cache_dir(&mx->conf, config, dir, sizeof(dir)) ||
        handle_find_place(mx, dir, &why) == MXHOP_OK)
        return;
    handle_say_why(mx, &why);
    cache_place_close(&mx->store.place);
}

/* Takes live. false: no memory. */
static bool handle_use_table(struct mxhop *mx, struct live *live)
{
    const struct conf *c = &mx->conf;
    const struct cache_policy policy = {
        .ttl_min_s = c->ttl_min_s,
        .ttl_max_s = c->ttl_max_s,
        .negative_ttl_max_s = c->negative_ttl_max_s,
        .stale_max_s = c->stale_max_s,
        .prefetch_percent = c->prefetch_percent,
    };
    struct mxhop_error err;

    if (cache_open(&mx->store.cache, live, &policy, &err) != MXHOP_OK)
        return false;
    mx->store.view = cache_view_open(mx->store.cache);
    if (mx->dns.worker != NULL)
        mx->store.worker_view = cache_view_open(mx->store.cache);
    if (mx->store.view != NULL &&
        (mx->store.worker_view != NULL || mx->dns.worker == NULL))
        return true;
    handle_close_cache(mx);
    return false;
}

void handle_open_cache(struct mxhop *mx)
{
    const char *warning;
    struct mxhop_error why;
    struct live *live;

    if (mx->store.opened)
        return;
    mx->store.opened = true;
    if (strcmp(mx->conf.cache, "none") == 0)
        return;
    if (mx->store.place.up_fd >= 0 && geteuid() == mx->store.place.uid) {
        if (cache_place_open(&mx->store.place, mx->conf.cache_size_bytes, &live,
                             &warning, &why) != MXHOP_OK) {
            handle_say_why(mx, &why);
        } else if (handle_use_table(mx, live)) {
            mx->store.dir = mx->store.place.dir;
            if (warning != NULL)
                log_warn(&mx->log, "cache %s %s", mx->store.dir, warning);
        }
    }
    if (mx->store.cache == NULL &&
        live_open_memory(&live, mx->conf.cache_size_bytes, &why) == MXHOP_OK)
        (void)handle_use_table(mx, live); /* else every lookup is a miss */
    servers_assume(mx);
}

void handle_close_cache(struct mxhop *mx)
{
    cache_view_close(&mx->store.view);
    cache_view_close(&mx->store.worker_view);
    cache_close(&mx->store.cache);
    mx->store.dir = NULL;
}
