/*
 * cache_site - MX sets and hosts that are shared
 *
 * An MX set is written when a domain is put that has it and it is not there,
 * when it becomes worth more, and once an hour, so that a set that many
 * domains refer to never is among the oldest entries. Otherwise putting a
 * domain does not write its set again.
 *
 * Being used spreads: from a domain to its set, from a set to its hosts.
 */

#include "cache/cache_int.h"

#include <string.h>

#define SITE_REWRITE_MS (3600 * 1000)
#define TOUCH_HOSTS     64 /* of one set: a stranger's has a thousand */

bool writer_site(struct writer *w, struct site_id id, struct site_record *r_r)
{
    struct kv_value value;

    return writer_find(w, kv_key(KV_SITE, id.hash), &value) &&
           site_accept(w->cache, value, id, r_r);
}

/* An entry that was seen once is used from now on; false: it was not. */
static bool raise_worth(struct writer *w, uint64_t key)
{
    struct buf *b = writer_start_record(w);
    struct record_head head;
    struct kv_value value;

    if (!writer_find(w, key, &value) ||
        !record_head_decode(value.data, value.len, &head) ||
        head.worth != WORTH_ONCE)
        return false;
    buf_add(b, value.data, value.len);
    if (b->failed)
        return false;
    record_set_worth(b->data, WORTH_USED);
    writer_put_record(w, key);
    return true;
}

static void raise_hosts(struct writer *w, const void *content, size_t len)
{
    struct chars host;
    size_t at = 0;

    for (int i = 0; i < TOUCH_HOSTS; i++) {
        if (!site_content_next(content, len, &at, &host))
            return;
        raise_worth(w, name_key(w->cache, KV_HOST, host));
    }
}

static bool is_recent(const struct site_record *r, uint64_t now_ms)
{
    return r->written_ms <= now_ms + CACHE_CLOCK_SLACK_MS &&
           now_ms < r->written_ms + SITE_REWRITE_MS;
}

bool writer_put_site(struct writer *w, const struct pending *p, bool had,
                     uint8_t worth)
{
    struct site_record old, r = {.worth = worth, .written_ms = p->now_ms};
    bool known = writer_site(w, p->site, &old);
    uint8_t before = known ? old.worth : WORTH_NEGATIVE;

    if (known && !had)
        r.worth = WORTH_USED;
    if (known && r.worth < before)
        r.worth = before;
    if (known && r.worth == before && is_recent(&old, p->now_ms))
        return true;
    r.content = (const unsigned char *)p->data + p->name_len;
    r.content_len = p->len;
    if (site_record_encode(writer_start_record(w), &r))
        writer_put_record(w, kv_key(KV_SITE, p->site.hash));
    if (known && r.worth == WORTH_USED && before != WORTH_USED)
        raise_hosts(w, r.content, r.content_len);
    return known;
}

void writer_touch(struct writer *w, uint64_t key)
{
    struct domain_record d;
    struct site_record site;
    struct kv_value value;

    if (!writer_find(w, key, &value) ||
        !domain_record_decode(value.data, value.len, &d) || !d.has_answer ||
        !raise_worth(w, key) || !writer_site(w, d.site, &site))
        return;
    writer_keep(w, site.content, site.content_len);
    raise_worth(w, kv_key(KV_SITE, d.site.hash));
    if (!w->content.failed)
        raise_hosts(w, w->content.data, w->content.len);
}
