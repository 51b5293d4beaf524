/*
 * text - the hot path: a cached answer without a system call, an allocation
 * or a rendering
 *
 * The cache keeps, once for all domains with one MX set, the finished answer
 * with everything that it was made from (DESIGN 6): a hash of configuration,
 * rules, version of the override table and format must be the same, and it
 * ends with the earliest of all TTLs, time slots and override windows. What is
 * asked here, each time: is the domain local, and does an override stand under
 * its name; answers for those where one does are kept by key, in the memory of
 * the process. Everything else goes the long way (lookup.c), and leaves a
 * finished answer behind where the next lookup may use it (keep.c).
 */

#include "handle/handle.h"
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
    add_text(&all, mx->host_addresses);
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
uint64_t text_made_of(const struct mxhop *mx, const struct ovtable_info *info,
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

enum overridden { OVERRIDDEN_NO, OVERRIDDEN_YES, OVERRIDDEN_UNKNOWN };

/* Whether entries, active or not, stand under the key. */
static enum overridden is_overridden(struct mxhop *mx, const struct key *key,
                                     struct ovtable_info *info_r)
{
    enum overridden answer = OVERRIDDEN_UNKNOWN;
    struct mxhop_error err;
    struct ovtable_snap *snap;

    info_r->version = 0;
    info_r->changed_s = 0;
    info_r->has_exchanges = false;
    if (mx->conf.overrides[0] == '\0')
        return OVERRIDDEN_NO;
    if (mx->table == NULL || mx->table_bad)
        return OVERRIDDEN_UNKNOWN;
    if (ovtable_lacks(mx->table, match_next_key, key, info_r))
        return OVERRIDDEN_NO;
    if (ovtable_begin(mx->table, &snap, &err) != MXHOP_OK)
        return OVERRIDDEN_UNKNOWN;
    if (ovtable_info(snap, info_r, &err) == MXHOP_OK)
        answer = has_override(snap, key) ? OVERRIDDEN_YES : OVERRIDDEN_NO;
    ovtable_end(&snap);
    return answer;
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

/* By MX set or by key; false: there is none (any more). */
static bool kept_answer(struct mxhop *mx, const struct key *key,
                        const struct ovtable_info *info,
                        enum mxhop_format format, enum keep by,
                        const char **text_r)
{
    uint64_t made_of = text_made_of(mx, info, format);
    uint64_t now_ms = clock_boot_ms();
    int64_t now_s = clock_wall_s();
    struct cached_route route;

    if (by == KEEP_BY_KEY
            ? !cache_get_overridden(mx->view, key_text(key), made_of, now_ms,
                                    now_s, &route, &mx->text)
            : !cache_get_route(mx->view, key->domain, made_of, now_ms, now_s,
                               &route, &mx->text))
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

/* true: *text_r is the answer. *keep_r: where the next one is looked for. */
static bool short_way(struct mxhop *mx, const struct key *key,
                      enum mxhop_format format, const char **text_r,
                      enum keep *keep_r)
{
    struct ovtable_info info;
    enum overridden overridden;

    *text_r = NULL;
    *keep_r = KEEP_NOT;
    if (!is_for_mta(format))
        return false;
    expect(mx, key);
    if (key->kind == KEY_NONE ||
        lookup_is_local(mx, key->domain) != MXHOP_LOCAL_NO)
        return true;
    overridden = is_overridden(mx, key, &info);
    if (overridden == OVERRIDDEN_UNKNOWN)
        return false;
    if (overridden == OVERRIDDEN_NO &&
        (key->kind == KEY_RECIPIENT ||
         lookup_only_overrides(mx, info.has_exchanges)))
        return true;
    if (mx->view == NULL || mx->rules_hash == 0)
        return false;
    *keep_r = overridden == OVERRIDDEN_YES ? KEEP_BY_KEY : KEEP_BY_SITE;
    return kept_answer(mx, key, &info, format, *keep_r, text_r);
}

/* ---- the long way ---- */

/* The text without the mark of the domain is what a site shares. */
static const char *render_and_keep(const struct lookup *l,
                                   struct mxhop_route *route,
                                   enum mxhop_format format, enum keep by)
{
    struct buf *out = &l->mx->text;
    bool by_domain = route->by_domain, has_text;

    buf_reset(out);
    route->by_domain = false;
    has_text = render_for(format)(route, out);
    route->by_domain = by_domain;
    if (!out->failed)
        keep_text(l, by_domain, format, by, has_text ? out->data : NULL);
    if (!has_text)
        return NULL;
    if (by_domain)
        render_mark(format, route->domain, out);
    return out->data;
}

static enum mxhop_status long_way(struct mxhop *mx, const char *key,
                                  enum mxhop_format format, enum keep by,
                                  const char **text_r, struct mxhop_error *err)
{
    struct mxhop_route *route = NULL;
    struct lookup l;

    buf_free(&mx->text); /* a failure sticks to it */
    if (lookup_run(&l, mx, key, 0))
        route = route_from_lookup(&l);
    if (route != NULL)
        *text_r = render_and_keep(&l, route, format, by);
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
    enum keep by;

    *text_r = NULL;
    if (render_for(format) == NULL)
        return err_set(err, MXHOP_ERR_ARGUMENT, "unknown format %d",
                       (int)format);
    handle_check_cache(mx);
    if (mx->rules_hash == 0) { /* not for those who never ask here */
        machine_addresses(mx);
        mx->rules_hash = text_rules_hash(mx);
    }
    key_parse(key, &parsed);
    if (short_way(mx, &parsed, format, text_r, &by))
        return MXHOP_OK;
    return long_way(mx, key, format, by, text_r, err);
}
