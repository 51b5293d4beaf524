/*
 * text - the hot path: a cached answer without a system call, an allocation
 * or a rendering
 *
 * The cache keeps with a domain the finished answer and everything that it was
 * made from (docs/design.md): a hash of configuration, rules, identity of the
 * override table and format must be the same, and it ends with the earliest of
 * all TTLs, time slots and override windows. What is asked here, each time: is
 * the domain local, and does an override stand under its name; answers for
 * those where one does are kept by key. Everything else goes the long way
 * (lookup.c), and leaves a finished answer behind where the next lookup may use
 * it (keep.c).
 */

#include "handle/handle.h"
#include "route/match.h"
#include "route/render.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/hash.h"

#include <string.h>

static void add_text(struct buf *out, const char *text)
{
    buf_puts(out, text != NULL ? text : "");
    buf_putc(out, '\n');
}

/* The same text of configuration and host makes the same routes. */
static uint64_t text_rules_hash(const struct mxhop *mx)
{
    struct buf all = {0};
    uint64_t hash = 0; /* without memory: no finished answers are used */

    conf_print(&mx->conf, &all);
    add_text(&all, MXHOP_VERSION);
    add_text(&all, mx->host_names);
    add_text(&all, mx->host_addresses);
    add_text(&all, mx->host_own_domains);
    buf_add(&all, &mx->rules.seed, sizeof(mx->rules.seed));
    buf_add(&all, &mx->rules.families, sizeof(mx->rules.families));
    buf_add(&all, &mx->answer, sizeof(mx->answer));
    buf_add(&all, &mx->host.tls_classes, sizeof(mx->host.tls_classes));
    buf_add(&all, &mx->host.visible_if, sizeof(mx->host.visible_if));
    if (!all.failed)
        hash = hash_bytes(0, all.data, all.len);
    buf_free(&all);
    return hash;
}

/* The id of a set is random, so an override anywhere makes other answers of all
   that overrides decide by key. Those that only `*` decides depend on the
   entries that may concern any domain, as do those that none decides. */
uint64_t text_made_of(const struct mxhop *mx, const struct ovtable_info *info,
                      enum mxhop_format format, enum keep by, uint64_t tls)
{
    uint64_t parts[] = {0, 0, (uint64_t)format, (uint64_t)by};

    if (by == KEEP_BY_KEY || by == KEEP_BY_LOCAL)
        memcpy(parts, info->id, OVTABLE_ID_LEN);
    else
        parts[0] = info->general;
    return hash_bytes(mx->text.rules_hash ^ tls, parts, sizeof(parts));
}

/* The others name what was asked, and have words for everything. */
static bool is_for_mta(enum mxhop_format format)
{
    return format == MXHOP_FORMAT_POSTFIX || format == MXHOP_FORMAT_EXIM;
}

/* ---- the short way ---- */

/* Where the answer is kept, by what stands under the key, active or not; with
   the filter in memory KEEP_BY_KEY may be more than is needed, and right.
   KEEP_NOT: the table is not usable. */
static enum keep keep_where(struct mxhop *mx, const struct key *key, bool local,
                            uint64_t now_ms, struct ovtable_info *info_r)
{
    const char *at = NULL;
    struct ovtable *table;

    *info_r = (struct ovtable_info){0};
    if (mx->conf.overrides[0] == '\0')
        return KEEP_BY_DOMAIN;
    table = table_now(mx, now_ms);
    if (table == NULL)
        return KEEP_NOT;
    ovtable_info(table, info_r);
    if (local)
        return ovtable_has(table, OVTABLE_BY_KEY, key_text(key))
                   ? KEEP_BY_LOCAL
                   : KEEP_BY_DOMAIN;
    while ((at = match_next_key(key, at)) != NULL)
        if ((*at != '*' || info_r->general != 0) &&
            ovtable_has(table, OVTABLE_BY_KEY, at))
            return *at == '*' ? KEEP_BY_STAR : KEEP_BY_KEY;
    return KEEP_BY_DOMAIN;
}

/* By domain or by key; false: there is none (any more). */
static bool kept_answer(struct mxhop *mx, const struct key *key,
                        uint64_t made_of, enum keep by, uint64_t now_ms,
                        const char **text_r)
{
    int64_t now_s = clock_wall_s();
    struct cached_route route;

    if (by != KEEP_BY_DOMAIN
            ? !cache_get_overridden(mx->store.view, key_text(key), made_of,
                                    now_ms, now_s, &route, &mx->text.last)
            : !cache_get_route(mx->store.view, key->domain, made_of, now_ms,
                               now_s, &route, &mx->text.last))
        return false;
    if (route.refresh_due || route.once)
        facts_used(mx, key->domain, route.refresh_due, route.once);
    if (route.has_text)
        *text_r = mx->text.last.data;
    return true;
}

/* true: *text_r is the answer. *keep_r: where the next one is looked for. */
static bool short_way(struct mxhop *mx, const struct key *key,
                      enum mxhop_format format, const char **text_r,
                      enum keep *keep_r)
{
    uint64_t now_ms;
    struct ovtable_info info;
    struct tls_facts tls;
    uint64_t by_tls = 0;
    bool local, only = mx->answer == ANSWER_OVERRIDE;
    enum keep by;

    *text_r = NULL;
    *keep_r = KEEP_NOT;
    if (!is_for_mta(format))
        return false;
    if (key->kind == KEY_NONE)
        return true;
    now_ms = clock_boot_ms(); /* once: it is a twentieth of the way */
    if (mx->store.view != NULL &&
        (mx->conf.overrides[0] != '\0' || mx->conf.mta_sts != MTA_STS_OFF))
        cache_ahead(mx->store.view, key->domain); /* saves a tenth */
    local = lookup_is_local(mx, key->domain) != MXHOP_LOCAL_NO;
    by = keep_where(mx, key, local, now_ms, &info);
    if (by == KEEP_NOT)
        return local;
    if (by == KEEP_BY_DOMAIN && (local || key->kind == KEY_RECIPIENT))
        return true;
    if (mx->conf.mta_sts != MTA_STS_OFF || mx->host.visible_domain != NULL) {
        tls_glance(mx, key->domain, local, now_ms, &tls);
        by_tls = tls.made_of;
        only = lookup_only_overrides(mx, &tls) && tls.stored == STS_OFF;
    }
    if (by == KEEP_BY_DOMAIN && only && !info.has_exchanges)
        return true;
    if (mx->store.view == NULL || mx->text.rules_hash == 0)
        return false;
    *keep_r = by;
    return kept_answer(mx, key, text_made_of(mx, &info, format, by, by_tls), by,
                       now_ms, text_r);
}

/* ---- the long way ---- */

static enum mxhop_status long_way(struct mxhop *mx, const char *key,
                                  enum mxhop_format format, enum keep by,
                                  const char **text_r, struct mxhop_error *err)
{
    struct mxhop_route *route = NULL;
    struct lookup l;

    buf_free(&mx->text.last); /* a failure sticks to it */
    if (lookup_run(&l, mx, key, 0))
        route = route_from_lookup(&l);
    if (route != NULL && render_for(format)(route, &mx->text.last))
        *text_r = mx->text.last.data;
    if (route != NULL && !mx->text.last.failed)
        keep_text(&l, format, by, *text_r);
    lookup_free(&l);
    learn_flush(mx);
    if (route == NULL || mx->text.last.failed) {
        *text_r = NULL;
        mxhop_route_free(&route);
        return err_nomem(err);
    }
    mxhop_route_free(&route);
    return MXHOP_OK;
}

enum mxhop_status mxhop_text(struct mxhop *mx, const char *key,
                             enum mxhop_format format, const char **text_r,
                             struct mxhop_error *err)
{
    struct key parsed;
    enum keep by;

    *text_r = NULL;
    if (render_for(format) == NULL)
        return err_set(err, MXHOP_ERR_ARGUMENT, "unknown format %d",
                       (int)format);
    handle_open_cache(mx);
    if (mx->text.rules_hash == 0) { /* not for those who never ask here */
        machine_addresses(mx);
        mx->text.rules_hash = text_rules_hash(mx);
    }
    key_parse(key, &parsed);
    if (short_way(mx, &parsed, format, text_r, &by))
        return MXHOP_OK;
    return long_way(mx, key, format, by, text_r, err);
}
