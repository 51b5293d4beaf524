/*
 * text - the hot path: a cached answer without a system call, an allocation
 * or a rendering
 *
 * The cache keeps, once for all domains with one MX set, the finished answer
 * with everything that it was made from (DESIGN 6): a hash of configuration,
 * rules, version of the override table and format must be the same, and it
 * ends with the earliest of all TTLs, time slots and override windows. What is
 * asked here, each time: is the domain local, and does an override stand under
 * its name. Everything else goes the long way (lookup.c), and leaves a finished
 * answer behind where the next lookup may use it.
 *
 * Answers that name the domain (reject and defer) and those of overridden
 * domains are not kept: the long way takes some microseconds.
 */

#include "handle.h"
#include "route/match.h"
#include "route/render.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/hash.h"

static void add_text(struct buf *out, const char *text)
{
    buf_puts(out, text != NULL ? text : "");
    buf_putc(out, '\n');
}

/* The same text of configuration and host makes the same routes. */
uint64_t text_rules_hash(const struct mxhop *mx)
{
    struct buf all = {0};
    uint64_t hash = 0; /* without memory: no finished answers are used */

    conf_print(&mx->conf, &all);
    add_text(&all, MXHOP_VERSION);
    add_text(&all, mx->host_names);
    add_text(&all, mx->host.own_addresses);
    buf_add(&all, &mx->rules.seed, sizeof(mx->rules.seed));
    buf_add(&all, &mx->rules.families, sizeof(mx->rules.families));
    buf_add(&all, &mx->answer, sizeof(mx->answer));
    if (!all.failed)
        hash = hash_bytes(0, all.data, all.len);
    buf_free(&all);
    return hash;
}

/* A table that is made anew counts its versions from one again, so the time of
   its last change belongs to it. */
static uint64_t made_of(const struct mxhop *mx, const struct ovtable_info *info,
                        enum mxhop_format format)
{
    const uint64_t parts[] = {info->version, (uint64_t)info->changed_s,
                              (uint64_t)format};

    return hash_bytes(mx->rules_hash, parts, sizeof(parts));
}

/* The others name what was asked, and have words for everything. */
static bool is_for_mta(enum mxhop_format format)
{
    return format == MXHOP_FORMAT_POSTFIX || format == MXHOP_FORMAT_EXIM;
}

/* ---- the short way ---- */

static bool has_override(struct ovtable_snap *snap, const struct key *key)
{
    const char *at = NULL;

    while ((at = match_next_key(key, at)) != NULL)
        if (ovtable_has(snap, OVTABLE_BY_KEY, at))
            return true;
    return false;
}

/* No override has a say but by exchange; false: go the long way. */
static bool no_override(struct mxhop *mx, const struct key *key,
                        struct ovtable_info *info_r)
{
    struct mxhop_error err;
    struct ovtable_snap *snap;
    bool clear;

    info_r->version = 0;
    info_r->changed_s = 0;
    info_r->has_exchanges = false;
    if (mx->conf.overrides[0] == '\0')
        return true;
    if (mx->table == NULL || mx->table_bad)
        return false;
    if (ovtable_lacks(mx->table, match_next_key, key, info_r))
        return true;
    if (ovtable_begin(mx->table, &snap, &err) != MXHOP_OK)
        return false;
    clear = ovtable_info(snap, info_r, &err) == MXHOP_OK &&
            !has_override(snap, key);
    ovtable_end(&snap);
    return clear;
}

/* What is looked at last is waited for longest: have it read meanwhile. */
static void expect(const struct mxhop *mx, const struct key *key)
{
    if (key->kind != KEY_DOMAIN)
        return;
    if (mx->view != NULL)
        cache_expect(mx->view, key->domain);
    if (mx->table != NULL)
        ovtable_expect(mx->table, key->domain);
}

/* true: *text_r is the answer. *keep_r: a finished one was looked for. */
static bool short_way(struct mxhop *mx, const struct key *key,
                      enum mxhop_format format, const char **text_r,
                      bool *keep_r)
{
    struct ovtable_info info;
    struct cached_route route;

    *text_r = NULL;
    *keep_r = false;
    if (!is_for_mta(format))
        return false;
    expect(mx, key);
    if (key->kind == KEY_NONE ||
        lookup_is_local(mx, key->domain) != MXHOP_LOCAL_NO)
        return true;
    if (!no_override(mx, key, &info))
        return false;
    if (key->kind == KEY_RECIPIENT ||
        lookup_only_overrides(mx, info.has_exchanges))
        return true;
    if (mx->view == NULL || mx->rules_hash == 0)
        return false;
    *keep_r = true;
    if (!cache_get_route(mx->view, key->domain, made_of(mx, &info, format),
                         clock_boot_ms(), clock_wall_s(), &route, &mx->text))
        return false;
    if (route.refresh_due || route.once)
        facts_used(mx, key->domain, route.refresh_due, route.once);
    if (!route.has_text)
        return true;
    if (route.by_domain)
        render_mark(format, key->domain, &mx->text);
    *text_r = mx->text.failed ? NULL : mx->text.data;
    return *text_r != NULL;
}

/* ---- the long way, and what it leaves behind ---- */

/* How long the addresses in a decision hold; 0: they are not all known. What
   DNS said just now is not clamped yet. */
static uint32_t addresses_ttl_s(const struct lookup *l)
{
    const struct decision *d = &l->decision;
    uint32_t ttl_s = UINT32_MAX;

    for (size_t i = 0; i < d->n; i++) {
        const struct candidate *c = &d->c[i];
        enum addr_state state =
            c->addrs == NULL ? ADDR_UNKNOWN
                             : hostaddrs_state(c->addrs, l->mx->rules.families);

        if (c->is_address || c->drop == DROP_LIMIT)
            continue;
        if (state == ADDR_SOME || state == ADDR_NONE)
            ttl_s = min_u32(ttl_s, c->addrs->ttl_s);
        else if (c->drop == DROP_NO || c->drop == DROP_NOT_KNOWN)
            return 0;
        if (state == ADDR_NONE)
            ttl_s = min_u32(ttl_s, l->mx->conf.negative_ttl_max_s);
    }
    return ttl_s;
}

/* Another name's MX set in it has a TTL, or a failure, of its own. */
static bool has_spliced(const struct override *o)
{
    for (size_t i = 0; i < o->n_hops; i++)
        if (o->hops[i].kind == HOP_MX)
            return true;
    return false;
}

/* Whether the answer follows from the MX set (and overrides by exchange). */
static bool is_of_site(const struct lookup *l)
{
    return l->asked_dns && !l->cold && !l->vague &&
           l->cache_state != MXHOP_CACHE_STALE &&
           l->set.outcome != MX_FAILURE &&
           (l->override.dn == NULL ||
            (l->by_exchange && !has_spliced(&l->override))) &&
           (l->disposition == MXHOP_ROUTE || l->disposition == MXHOP_PASS);
}

static void keep(const struct lookup *l, const struct mxhop_route *route,
                 enum mxhop_format format, const char *text)
{
    struct mxhop *mx = l->mx;
    uint32_t ttl_s = min_u32(addresses_ttl_s(l), l->ttl_s);
    uint64_t now_ms = clock_boot_ms();
    struct cache_route r = {
        .domain = l->key.domain,
        .now_ms = now_ms,
        .made_of = made_of(mx, &l->info, format),
        .expires_ms = now_ms + (uint64_t)ttl_s * 1000,
        .from_s = l->now_s,
        .until_s = l->exchange_edge_s,
        .text = text,
        .by_domain = route->by_domain,
    };

    if (ttl_s == 0 || !is_of_site(l))
        return;
    if (l->decision.slot_left_s != UINT32_MAX &&
        l->now_s + l->decision.slot_left_s < r.until_s)
        r.until_s = l->now_s + l->decision.slot_left_s;
    cache_put_route(mx->cache, &l->set, &r);
}

/* The text without the mark of the domain is what a site shares. */
static const char *render_and_keep(const struct lookup *l,
                                   struct mxhop_route *route,
                                   enum mxhop_format format, bool may_keep)
{
    struct buf *out = &l->mx->text;
    bool by_domain = route->by_domain, has_text;

    buf_reset(out);
    route->by_domain = false;
    has_text = render_for(format)(route, out);
    route->by_domain = by_domain;
    if (!out->failed && may_keep)
        keep(l, route, format, has_text ? out->data : NULL);
    if (!has_text)
        return NULL;
    if (by_domain)
        render_mark(format, route->domain, out);
    return out->data;
}

static enum mxhop_status long_way(struct mxhop *mx, const char *key,
                                  enum mxhop_format format, bool may_keep,
                                  const char **text_r, struct mxhop_error *err)
{
    struct mxhop_route *route = NULL;
    struct lookup l;

    buf_free(&mx->text); /* a failure sticks to it */
    if (lookup_run(&l, mx, key, 0))
        route = route_from_lookup(&l);
    if (route != NULL)
        *text_r = render_and_keep(&l, route, format, may_keep);
    lookup_free(&l);
    learn_flush(mx);
    if (route == NULL || mx->text.failed) {
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
    bool may_keep;

    *text_r = NULL;
    if (render_for(format) == NULL)
        return err_set(err, MXHOP_ERR_ARGUMENT, "unknown format %d",
                       (int)format);
    handle_check_cache(mx);
    key_parse(key, &parsed);
    if (short_way(mx, &parsed, format, text_r, &may_keep))
        return MXHOP_OK;
    return long_way(mx, key, format, may_keep, text_r, err);
}
