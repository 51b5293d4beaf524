/*
 * cache_write - what was put off becomes records
 *
 * In batches, so that other processes get their turn, and in the order in which
 * it was put off. Each change starts from the record as it is then, which some
 * other process may have written. What was read points into the table's memory
 * until the next call, so a record is encoded first and put then.
 *
 * An MX set is written when a domain is put that has it and it is not there,
 * when it becomes worth more, and before it ends; otherwise putting a domain
 * does not write its set again. Being used spreads: from a domain to its set,
 * from a set to its hosts.
 *
 * Claims are written at once.
 */

#include "cache/cache_int.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

/* A set is kept for longer than the domain that has it. */
#define SITE_SLACK_S 3600
#define TOUCH_HOSTS  64 /* of one set: a stranger's has a hundred */

/* The last record that was put waits for the next one: an answer, and the text
   that was made of it, are written at once. */
struct writer {
    struct cache *cache;
    uint64_t seed;
    struct buf record;    /* being encoded */
    struct buf kept;      /* out of the table's memory */
    struct cache_key key; /* of the one that waits; len 0: none does */
    struct buf value;
    enum live_worth worth;
    uint32_t dead_s;
};

static struct buf *writer_empty(struct buf *b)
{
    if (b->failed)
        buf_free(b);
    buf_reset(b);
    return b;
}

static bool writer_holds(const struct writer *w, const struct cache_key *k)
{
    return w->key.len == k->len && memcmp(w->key.text, k->text, k->len) == 0;
}

static bool writer_find(struct writer *w, enum cache_kind kind,
                        const void *name, size_t len,
                        struct live_value *value_r)
{
    struct cache_key k;

    if (!cache_key_make(&k, kind, name, len))
        return false;
    if (!writer_holds(w, &k))
        return live_find(w->cache->live, k.text, k.len, value_r);
    *value_r = (struct live_value){(const unsigned char *)w->value.data,
                                   w->value.len, w->worth, w->dead_s};
    return true;
}

static void writer_write(struct writer *w)
{
    if (w->key.len > 0)
        live_put(w->cache->live, w->key.text, w->key.len, w->value.data,
                 w->value.len, w->worth, w->dead_s);
    w->key.len = 0;
}

/* What is in w->record; false: it cannot be kept. */
static bool writer_put(struct writer *w, enum cache_kind kind, const void *name,
                       size_t len, enum live_worth worth, uint32_t dead_s)
{
    struct buf encoded = w->record;
    struct cache_key k;

    if (encoded.failed || encoded.len > LIVE_VALUE_MAX ||
        !cache_key_make(&k, kind, name, len))
        return false;
    if (!writer_holds(w, &k))
        writer_write(w);
    w->key = k;
    w->record = w->value;
    w->value = encoded;
    w->worth = worth;
    w->dead_s = dead_s;
    return true;
}

static void writer_free(struct writer *w)
{
    buf_free(&w->record);
    buf_free(&w->kept);
    buf_free(&w->value);
}

/* ---- domains ---- */

/* The record as it is; false: there is none, and *r_r is empty. It points into
   the table's memory. */
static bool writer_domain(struct writer *w, const char *name, size_t len,
                          uint64_t now_ms, struct domain_record *r_r,
                          enum live_worth *worth_r)
{
    struct live_value value;

    *worth_r = LIVE_NEGATIVE;
    if (writer_find(w, CACHE_DOMAIN, name, len, &value) &&
        cache_accept_domain(&value, now_ms, r_r)) {
        *worth_r = value.worth;
        return true;
    }
    *r_r = (struct domain_record){0};
    return false;
}

static void writer_put_domain(struct writer *w, const char *name, size_t len,
                              const struct domain_record *r,
                              enum live_worth worth)
{
    if (domain_record_encode(writer_empty(&w->record), r))
        writer_put(w, CACHE_DOMAIN, name, len, worth,
                   judge_domain_dead_s(&w->cache->policy, r));
}

static void writer_drop_answer(struct domain_record *r)
{
    r->f.flags &= (uint16_t) ~(DOMAIN_ANSWER | DOMAIN_HOSTS | DOMAIN_ROUTE);
}

static struct site_id writer_site_id(const struct writer *w, const char *set,
                                     size_t len)
{
    return (struct site_id){
        {hash_bytes(w->seed, set, len), hash_bytes(~w->seed, set, len)}};
}

static bool writer_has_site(const struct domain_record *r,
                            const struct site_id *id)
{
    return (r->f.flags & DOMAIN_ANSWER) != 0 &&
           memcmp(&r->f.site, id, sizeof(*id)) == 0;
}

/* What was seen once is used from now on, and is in w->value. false: it was not
   seen once, or is not there. */
static bool writer_raise(struct writer *w, enum cache_kind kind,
                         const void *name, size_t len)
{
    struct live_value value;

    if (!writer_find(w, kind, name, len, &value) || value.worth != LIVE_ONCE)
        return false;
    buf_add(writer_empty(&w->record), value.data, value.len);
    return writer_put(w, kind, name, len, LIVE_USED, value.dead_s);
}

static void writer_raise_hosts(struct writer *w, const void *set, size_t len)
{
    struct chars host;
    size_t at = 0;

    for (int i = 0; i < TOUCH_HOSTS && site_record_next(set, len, &at, &host);
         i++)
        writer_raise(w, CACHE_HOST, host.at, host.len);
}

/* The hosts of a set that was used before were, too. */
static void write_touch(struct writer *w, const char *name)
{
    struct domain_record d;

    if (!writer_raise(w, CACHE_DOMAIN, name, strlen(name)) ||
        !domain_record_decode(w->value.data, w->value.len, &d) ||
        !writer_raise(w, CACHE_SITE, &d.f.site, sizeof(d.f.site)))
        return;
    buf_add(writer_empty(&w->kept), w->value.data, w->value.len);
    if (!w->kept.failed)
        writer_raise_hosts(w, w->kept.data, w->kept.len);
}

/* had: the domain had the set before; else it is another domain's, too. */
static void writer_put_site(struct writer *w, const struct pending *p,
                            const struct site_id *id, bool had,
                            enum live_worth worth, uint32_t dead_s)
{
    const char *set = p->data + p->name_len;
    struct live_value old = {.worth = LIVE_NEGATIVE};
    bool known = writer_find(w, CACHE_SITE, id, sizeof(*id), &old) &&
                 old.len == p->len && memcmp(old.data, set, p->len) == 0;

    if (known && !had)
        worth = LIVE_USED;
    if (known && worth <= old.worth && dead_s <= old.dead_s)
        return;
    if (known && worth < old.worth)
        worth = old.worth;
    dead_s =
        dead_s < UINT32_MAX - SITE_SLACK_S ? dead_s + SITE_SLACK_S : UINT32_MAX;
    buf_add(writer_empty(&w->record), set, p->len);
    writer_put(w, CACHE_SITE, id, sizeof(*id), worth, dead_s);
    if (known && worth == LIVE_USED && old.worth != LIVE_USED)
        writer_raise_hosts(w, set, p->len);
}

static void write_answer(struct writer *w, const struct pending *p)
{
    const char *set = p->data + p->name_len;
    struct domain_record old, r = {.f = {.written_ms = p->now_ms,
                                         .stored_ms = p->now_ms,
                                         .ttl_s = p->ttl_s,
                                         .flags = DOMAIN_ANSWER}};
    enum live_worth before, worth = LIVE_ONCE;
    bool had;

    r.f.site = writer_site_id(w, set, p->len);
    if (p->outcome == MX_HOSTS)
        r.f.flags |= DOMAIN_HOSTS;
    writer_domain(w, p->data, p->name_len, p->now_ms, &old, &before);
    had = writer_has_site(&old, &r.f.site);
    for (int i = 0; i < TLS_TXTS; i++)
        if ((old.f.flags & DOMAIN_TXT(i)) != 0) {
            r.f.flags |= (uint16_t)DOMAIN_TXT(i);
            r.txt[i].f = old.txt[i].f;
            memcpy(r.txt[i].id, old.txt[i].id, r.txt[i].f.id_len);
        }
    if (p->outcome == MX_NXDOMAIN || before == LIVE_USED)
        worth = p->outcome == MX_NXDOMAIN ? LIVE_NEGATIVE : LIVE_USED;
    /* The set is the same, so what was made of it holds as long as it did. */
    if (had && (old.f.flags & DOMAIN_ROUTE) != 0) {
        buf_add(writer_empty(&w->kept), old.route.text.at, old.route.text.len);
        if (!w->kept.failed) {
            r.f.flags |= DOMAIN_ROUTE;
            r.route = old.route;
            r.route.text.at = w->kept.data;
        }
    }
    writer_put_site(w, p, &r.f.site, had, worth,
                    judge_domain_dead_s(&w->cache->policy, &r));
    writer_put_domain(w, p->data, p->name_len, &r, worth);
}

/* A claim may stay in the record: it ends before the next attempt is due. */
static void write_failure(struct writer *w, const struct pending *p)
{
    enum cache_verdict verdict;
    enum live_worth worth;
    struct domain_record r;

    writer_domain(w, p->data, p->name_len, p->now_ms, &r, &worth);
    verdict = judge_domain(&w->cache->policy, &r, worth, p->now_ms).verdict;
    r.f.written_ms = cache_later(r.f.written_ms, p->now_ms);
    judge_note_failure(&r.f.failure, p->now_ms);
    r.failure_text = (struct chars){p->data + p->name_len, p->len};
    if (verdict != CACHE_FRESH && verdict != CACHE_STALE) {
        writer_drop_answer(&r);
        worth = LIVE_NEGATIVE;
    }
    writer_put_domain(w, p->data, p->name_len, &r, worth);
}

/* What was made of the MX set and another answer about TLS has to be made
   again. */
static void write_txt(struct writer *w, const struct pending *p)
{
    struct domain_txt txt;
    enum live_worth worth;
    struct domain_record r;

    memcpy(&txt, p->data + p->name_len, sizeof(txt));
    writer_domain(w, p->data, p->name_len, p->now_ms, &r, &worth);
    r.f.written_ms = cache_later(r.f.written_ms, p->now_ms);
    if (judge_update_txt(&w->cache->policy, &r, p->which, &txt, p->now_ms))
        r.f.flags &= (uint16_t)~DOMAIN_ROUTE;
    writer_put_domain(w, p->data, p->name_len, &r, worth);
}

static void write_refresh(struct writer *w, const struct pending *p)
{
    enum live_worth worth;
    struct domain_record r;

    if (!writer_domain(w, p->data, p->name_len, p->now_ms, &r, &worth))
        return;
    r.f.written_ms = cache_later(r.f.written_ms, p->now_ms);
    r.f.refresh_ms = p->now_ms + CACHE_STALE_REFRESH_S * 1000;
    r.f.flags &= (uint16_t)~DOMAIN_CLAIM;
    writer_put_domain(w, p->data, p->name_len, &r, worth);
}

/* ---- finished answers ---- */

static void write_route(struct writer *w, const struct pending *p)
{
    const char *set = p->data + p->name_len;
    struct site_id id = writer_site_id(w, set, p->set_len);
    enum live_worth worth;
    struct domain_record r;

    if (!writer_domain(w, p->data, p->name_len, p->now_ms, &r, &worth) ||
        !writer_has_site(&r, &id) ||
        !route_record_decode(set + p->set_len, p->len - p->set_len, &r.route))
        return;
    r.f.flags |= DOMAIN_ROUTE;
    writer_put_domain(w, p->data, p->name_len, &r, worth);
}

/* Strangers may choose the key, below a `.parent' or `*'. What is made again
   for a later time is used. */
static void write_overridden(struct writer *w, const struct pending *p)
{
    const char *bytes = p->data + p->name_len;
    enum live_worth worth = LIVE_ONCE;
    struct route_record r, old;
    struct live_value value;

    if (!route_record_decode(bytes, p->len, &r))
        return;
    if (writer_find(w, CACHE_OVERRIDDEN, p->data, p->name_len, &value) &&
        route_record_decode(value.data, value.len, &old) &&
        (value.worth == LIVE_USED || old.f.expires_ms < r.f.expires_ms))
        worth = LIVE_USED;
    buf_add(writer_empty(&w->record), bytes, p->len);
    writer_put(w, CACHE_OVERRIDDEN, p->data, p->name_len, worth,
               judge_route_dead_s(&r.f));
}

/* ---- hosts, name servers ---- */

/* Nobody asks for a host's addresses again unless somebody needs them again. */
static enum live_worth writer_host_worth(const struct host_fixed *f,
                                         enum live_worth before,
                                         uint64_t before_ms, uint64_t now_ms)
{
    if (!judge_has_address(f))
        return LIVE_NEGATIVE;
    if (before == LIVE_ONCE &&
        now_ms >= before_ms + CACHE_STALE_REFRESH_S * 1000)
        return LIVE_USED;
    return before == LIVE_USED ? LIVE_USED : LIVE_ONCE;
}

static void write_host(struct writer *w, const struct pending *p)
{
    struct live_value value = {.worth = LIVE_NEGATIVE};
    enum live_worth worth;
    struct host_record r;
    uint64_t before_ms;

    if (!writer_find(w, CACHE_HOST, p->data, p->name_len, &value) ||
        !cache_accept_host(&value, p->now_ms, &r)) {
        if (p->op == PENDING_HOST_REFRESH)
            return;
        memset(&r, 0, sizeof(r));
        value.worth = LIVE_NEGATIVE;
    }
    before_ms = r.f.written_ms;
    worth = value.worth;
    if (p->op == PENDING_HOST) {
        struct hostaddrs addrs;

        memcpy(&addrs, p->data + p->name_len, sizeof(addrs));
        judge_update_host(&w->cache->policy, &r, &addrs, p->now_ms);
        worth = writer_host_worth(&r.f, value.worth, before_ms, p->now_ms);
    } else {
        r.f.written_ms = cache_later(r.f.written_ms, p->now_ms);
        r.f.refresh_ms = p->now_ms + CACHE_STALE_REFRESH_S * 1000;
    }
    if (host_record_encode(writer_empty(&w->record), &r))
        writer_put(w, CACHE_HOST, p->data, p->name_len, worth,
                   judge_host_dead_s(&w->cache->policy, &r.f));
}

static void write_server(struct writer *w, const struct pending *p)
{
    buf_add(writer_empty(&w->record), p->data + p->name_len, p->len);
    writer_put(w, CACHE_SERVER, p->data, p->name_len, LIVE_USED, UINT32_MAX);
}

/* ---- batches ---- */

bool cache_flush(struct cache *c, uint32_t wait_ms)
{
    static void (*const apply[])(struct writer *, const struct pending *) = {
        [PENDING_ANSWER] = write_answer,
        [PENDING_FAILURE] = write_failure,
        [PENDING_TXT] = write_txt,
        [PENDING_REFRESH] = write_refresh,
        [PENDING_ROUTE] = write_route,
        [PENDING_OVERRIDDEN] = write_overridden,
        [PENDING_HOST] = write_host,
        [PENDING_HOST_REFRESH] = write_host,
        [PENDING_SERVER] = write_server,
    };
    struct writer w = {.cache = c};
    bool kept = true;

    while (kept && cache_pending(c) > 0) {
        struct pending_list list;
        struct pending *p;
        size_t at = 0;

        kept = live_begin(c->live, wait_ms);
        if (!kept)
            break;
        w.seed = live_seed(c->live);
        queue_take(c, &list);
        STAILQ_FOREACH(p, &list, link)
        apply[p->op](&w, p);
        for (size_t i = 0; i < c->touching.n; i++) {
            write_touch(&w, c->touching.names + at);
            at += strlen(c->touching.names + at) + 1;
        }
        writer_write(&w);
        kept = live_end(c->live);
        queue_free(&list);
    }
    writer_free(&w);
    return kept;
}

static bool writer_claim(struct writer *w, const char *name, uint64_t now_ms)
{
    size_t len = strlen(name);
    struct cache_entry_state state;
    struct live_value site;
    enum live_worth worth;
    struct domain_record r;
    struct chars route = {0};

    writer_domain(w, name, len, now_ms, &r, &worth);
    /* What follows may take it from under us. */
    buf_add(writer_empty(&w->kept), r.failure_text.at, r.failure_text.len);
    if ((r.f.flags & DOMAIN_ROUTE) != 0) {
        route = r.route.text;
        buf_add(&w->kept, route.at, route.len);
    }
    if (w->kept.failed)
        return true;
    r.failure_text.at = w->kept.data;
    if (route.len > 0)
        r.route.text.at = w->kept.data + r.failure_text.len;
    if ((r.f.flags & DOMAIN_ANSWER) != 0 &&
        !writer_find(w, CACHE_SITE, &r.f.site, sizeof(r.f.site), &site))
        writer_drop_answer(&r); /* to readers it is a miss */
    state = judge_domain(&w->cache->policy, &r, worth, now_ms);
    if (state.verdict == CACHE_FAILING || state.claimed ||
        (state.verdict != CACHE_MISS && !state.refresh_due))
        return false;
    r.f.flags &= (uint16_t)~DOMAIN_CLAIM;
    if (state.verdict == CACHE_MISS)
        r.f.flags |= DOMAIN_CLAIM;
    r.f.refresh_ms =
        now_ms + (state.verdict == CACHE_MISS ? CACHE_CLAIM_MS
                                              : CACHE_STALE_REFRESH_S * 1000);
    r.f.written_ms = cache_later(r.f.written_ms, now_ms);
    writer_put_domain(w, name, len, &r, worth);
    return true;
}

void cache_claim(struct cache *c, const char *const *domains, size_t n,
                 uint64_t now_ms, bool *granted)
{
    struct writer w = {.cache = c};

    for (size_t i = 0; i < n; i++)
        granted[i] = true;
    if (n == 0 || !live_is_shared(c->live) ||
        !live_begin(c->live, CACHE_CLAIM_WAIT_MS))
        return;
    for (size_t i = 0; i < n; i++)
        granted[i] = writer_claim(&w, domains[i], now_ms);
    writer_write(&w);
    live_end(c->live);
    writer_free(&w);
}
