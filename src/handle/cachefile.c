/*
 * cachefile - which cache a handle has
 *
 * A cache that all processes of the MTA share is opened before a jail and
 * used after it, and belongs to the user that lookups are run as: a daemon is
 * root when it opens its tables and that user when it is asked (DESIGN 6). A
 * process that is root still when it is first asked lets go of it: root does
 * not read what another user may have written, so nothing is read before.
 *
 * Where there is no shared cache to be had, the log says why, and the cache is
 * in the memory of this process: the worker needs some place for what it
 * learns, and mail goes on. That another user's cache is not for an ordinary
 * user who asks is no fault, and no warning.
 */

#include "handle/handle.h"
#include "store/kv.h"
#include "util/clock.h"
#include "util/err.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_MAX 4096 /* octets of a line of passwd(5) */

static enum mxhop_status owner_ids(const char *name, struct kv_lmdb_options *o,
                                   struct mxhop_error *err)
{
    char strings[PASSWD_MAX];
    struct passwd pw, *found;
    int rc;

    o->uid = geteuid();
    o->gid = getegid();
    if (name == NULL || name[0] == '\0')
        return MXHOP_OK;
    rc = getpwnam_r(name, &pw, strings, sizeof(strings), &found);
    if (found == NULL)
        return err_set(err, MXHOP_ERR_CONFIG, "cache_owner: %s: %s", name,
                       rc != 0 ? strerrordesc_np(rc) : "no such user");
    o->uid = pw.pw_uid;
    o->gid = pw.pw_gid;
    return MXHOP_OK;
}

/* Takes kv. */
static enum mxhop_status use_backend(struct mxhop *mx, struct kv *kv,
                                     struct mxhop_error *err)
{
    enum mxhop_status status = cache_open(&mx->cache, kv, &mx->policy, err);

    if (status != MXHOP_OK)
        return status;
    mx->view = cache_view_open(mx->cache);
    if ((mx->host.flags & MXHOP_WORKER) != 0)
        mx->worker_view = cache_view_open(mx->cache);
    if (mx->view != NULL &&
        (mx->worker_view != NULL || (mx->host.flags & MXHOP_WORKER) == 0))
        return MXHOP_OK;
    handle_close_cache(mx);
    return err_nomem(err);
}

static enum mxhop_status use_memory(struct mxhop *mx, struct mxhop_error *err)
{
    struct kv *kv;
    enum mxhop_status status =
        kv_memory_open(&kv, mx->conf.cache_size_bytes, cache_rank, err);

    return status == MXHOP_OK ? use_backend(mx, kv, err) : status;
}

static enum mxhop_status use_shared(struct mxhop *mx, const char *dir,
                                    struct mxhop_error *err)
{
    struct kv_lmdb_options o = {
        .dir = dir,
        .size_bytes = mx->conf.cache_size_bytes,
        .rank = cache_rank,
    };
    const char *owner = mx->conf.cache_owner[0] != '\0' ? mx->conf.cache_owner
                                                        : mx->host_cache_owner;
    enum mxhop_status status = owner_ids(owner, &o, err);
    const char *note = NULL;
    struct kv *kv;

    if (status == MXHOP_OK && geteuid() != 0 && geteuid() != o.uid)
        status = err_set(err, MXHOP_ERR_ARGUMENT,
                         "the cache %s is for uid %lu, and this process has "
                         "uid %lu",
                         dir, (unsigned long)o.uid, (unsigned long)geteuid());
    if (status == MXHOP_OK)
        status = kv_lmdb_open(&kv, &o, &note, err);
    if (status != MXHOP_OK)
        return status;
    if (note != NULL)
        log_info(&mx->log, "cache %s: %s", dir, note);
    status = use_backend(mx, kv, err);
    if (status != MXHOP_OK)
        return status;
    mx->cache_uid = o.uid;
    mx->cache_dir = strdup(dir);
    if (mx->cache_dir != NULL)
        return MXHOP_OK;
    handle_close_cache(mx);
    return err_nomem(err);
}

enum mxhop_status handle_open_cache(struct mxhop *mx, const char *config,
                                    struct mxhop_error *err)
{
    const struct conf *c = &mx->conf;
    struct mxhop_error why;
    char dir[PATH_MAX];

    if (strcmp(c->cache, "none") == 0)
        return MXHOP_OK;
    mx->policy = (struct cache_policy){
        .ttl_min_s = c->ttl_min_s,
        .ttl_max_s = c->ttl_max_s,
        .negative_ttl_max_s = c->negative_ttl_max_s,
        .stale_max_s = c->stale_max_s,
        .prefetch_percent = c->prefetch_percent,
    };
    if (!conf_cache_dir(c, config, dir, sizeof(dir)))
        return use_memory(mx, err);
    if (use_shared(mx, dir, &why) == MXHOP_OK)
        return MXHOP_OK;
    if (why.code == MXHOP_ERR_ARGUMENT)
        log_info(&mx->log, "%s; the cache is kept in memory", why.text);
    else
        log_warn(&mx->log, "%s; the cache is kept in memory, not shared",
                 why.text);
    return use_memory(mx, err);
}

void handle_close_cache(struct mxhop *mx)
{
    cache_view_close(&mx->view);
    cache_view_close(&mx->worker_view);
    cache_close(&mx->cache);
    free(mx->cache_dir);
    mx->cache_dir = NULL;
}

void handle_check_cache(struct mxhop *mx)
{
    struct mxhop_error err;

    if (mx->cache_checked)
        return;
    mx->cache_checked = true;
    if (mx->cache_dir != NULL && mx->cache_uid != 0 && geteuid() == 0) {
        handle_close_cache(mx);
        (void)use_memory(mx, &err); /* without one every lookup is a miss */
    }
    servers_assume(mx);
}
