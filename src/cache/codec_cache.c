/*
 * codec_cache - the records of the DNS cache: domains and hosts
 *
 * One record a domain: the last usable answer, which is no more than the
 * hashes of its MX set (codec_site.c), beside it what is known about attempts
 * that failed since, and the finished answer where no other domain has the
 * set. One record a host: the same for each address
 * family. A million of them are kept, so what is not always needed (a failure,
 * a refresh) takes no room where it is not there:
 *
 *     domain   head, u8 length of the name, u32 TTL, u64 and u32 hashes, name
 *              [u40 stored, if not when written] [u40 refresh] [failure, u8
 *              length and text] [u16 length, finished answer]
 *     host     head, u8 length, name [u40 refresh], for each known family: u8
 *              state and flags, u8 addresses [u32 TTL] [u40 stored] [failure],
 *              addresses
 *     failure  u8 count, u40 retry
 *
 * A decoder either gives a record whose parts fit together or says that it is
 * bad, which the cache takes for a miss; whether its times make sense now is
 * the cache's business. Nothing is allocated for decoding.
 */

#include "cache/codec_int.h"

enum {
    DOMAIN_ANSWER = 0x01,
    DOMAIN_HOSTS = 0x02,
    DOMAIN_STORED = 0x04,
    DOMAIN_REFRESH = 0x08,
    DOMAIN_CLAIM = 0x10,
    DOMAIN_FAILURE = 0x20,
    DOMAIN_FIRST = 0x40,
    DOMAIN_ROUTE = 0x80,
    DOMAIN_OF_ANSWER =
        DOMAIN_HOSTS | DOMAIN_STORED | DOMAIN_FIRST | DOMAIN_ROUTE
};

enum { HOST_REFRESH = 0x04, HOST_FLAGS = 0x07 }; /* and FAMILY_BIT() */

enum {
    FAMILY_STATE = 0x03,
    FAMILY_SECURE = 0x04,
    FAMILY_STORED = 0x08,
    FAMILY_FAILURE = 0x10,
    FAMILY_FLAGS = 0x1f
};

#define DOMAIN_HEAD (RECORD_HEAD + 1 + 4 + 8 + 4)

bool record_head_decode(const void *bytes, size_t len,
                        struct record_head *head_r)
{
    if (len < RECORD_HEAD)
        return false;
    *head_r = load_head(bytes);
    return head_r->version >= DOMAIN_VERSION && head_r->version < VERSION_END &&
           head_r->worth <= WORTH_USED;
}

void record_set_worth(void *bytes, uint8_t worth)
{
    ((unsigned char *)bytes)[1] = worth;
}

static bool has_nul(const struct chars *c)
{
    return c->len > 0 && memchr(c->at, '\0', c->len) != NULL;
}

static void dec_chars(struct dec *d, size_t len, struct chars *c)
{
    const unsigned char *p = dec_take(d, len);

    if (p == NULL)
        return;
    *c = (struct chars){(const char *)p, len};
    if (has_nul(c))
        dec_bad(d);
}

static void enc_failure(struct buf *b, const struct failure_note *f)
{
    enc_u8(b, f->count);
    enc_u40(b, f->retry_ms);
}

static void dec_failure(struct dec *d, struct failure_note *f)
{
    f->count = dec_u8(d);
    f->retry_ms = dec_u40(d);
    if (f->count == 0)
        dec_bad(d);
}

/* ---- domain ---- */

static uint8_t domain_flags(const struct domain_record *r)
{
    unsigned flags = 0;

    if (r->has_answer)
        flags |= DOMAIN_ANSWER | (r->has_hosts ? DOMAIN_HOSTS : 0u) |
                 (r->stored_ms != r->written_ms ? DOMAIN_STORED : 0u) |
                 (r->first ? DOMAIN_FIRST : 0u) |
                 (r->route.len > 0 ? DOMAIN_ROUTE : 0u);
    if (r->refresh_ms != 0)
        flags |= DOMAIN_REFRESH | (r->claim ? DOMAIN_CLAIM : 0u);
    if (r->failure.count > 0)
        flags |= DOMAIN_FAILURE;
    return (uint8_t)flags;
}

bool domain_record_encode(struct buf *b, const struct domain_record *r)
{
    uint8_t flags = domain_flags(r);

    if (r->name.len == 0 || r->name.len > RECORD_NAME_MAX ||
        r->failure_text.len > RECORD_TEXT_MAX ||
        r->route.len > RECORD_ROUTE_MAX)
        return false;
    enc_head(b, DOMAIN_VERSION, r->worth, r->written_ms, flags);
    enc_u8(b, (uint8_t)r->name.len);
    enc_u32(b, r->has_answer ? r->ttl_s : 0);
    enc_u64(b, r->has_answer ? r->site.hash : 0);
    enc_u32(b, r->has_answer ? r->site.check : 0);
    buf_add(b, r->name.at, r->name.len);
    if ((flags & DOMAIN_STORED) != 0)
        enc_u40(b, r->stored_ms);
    if ((flags & DOMAIN_REFRESH) != 0)
        enc_u40(b, r->refresh_ms);
    if ((flags & DOMAIN_FAILURE) != 0) {
        enc_failure(b, &r->failure);
        enc_u8(b, (uint8_t)r->failure_text.len);
        buf_add(b, r->failure_text.at, r->failure_text.len);
    }
    if ((flags & DOMAIN_ROUTE) != 0) {
        enc_u16(b, (uint16_t)r->route.len);
        buf_add(b, r->route.at, r->route.len);
    }
    return !b->failed;
}

static bool domain_flags_fit(uint8_t flags)
{
    return ((flags & DOMAIN_ANSWER) != 0 || (flags & DOMAIN_OF_ANSWER) == 0) &&
           ((flags & DOMAIN_REFRESH) != 0 || (flags & DOMAIN_CLAIM) == 0);
}

/* What it says is looked at when it is used. */
static void dec_route(struct dec *d, struct chars *route)
{
    size_t len = dec_u16(d);

    route->at = (const char *)dec_take(d, len);
    route->len = len;
    if (len == 0 || len > RECORD_ROUTE_MAX)
        dec_bad(d);
}

static bool domain_options(const unsigned char *at, size_t len, uint8_t flags,
                           struct domain_record *r)
{
    struct dec d;

    dec_init(&d, at, len);
    if ((flags & DOMAIN_STORED) != 0)
        r->stored_ms = dec_u40(&d);
    if ((flags & DOMAIN_REFRESH) != 0)
        r->refresh_ms = dec_u40(&d);
    if ((flags & DOMAIN_FAILURE) != 0) {
        dec_failure(&d, &r->failure);
        dec_chars(&d, dec_u8(&d), &r->failure_text);
    }
    if ((flags & DOMAIN_ROUTE) != 0)
        dec_route(&d, &r->route);
    return dec_end(&d) == CODEC_OK;
}

bool domain_record_decode(const void *bytes, size_t len,
                          struct domain_record *r_r)
{
    const unsigned char *p = bytes;
    struct record_head h;
    size_t name_len;

    if (len < DOMAIN_HEAD)
        return false;
    h = load_head(p);
    name_len = p[RECORD_HEAD];
    if (!head_fits(&h, DOMAIN_VERSION) || !domain_flags_fit(h.flags) ||
        name_len == 0 || len - DOMAIN_HEAD < name_len)
        return false;
    /* One by one: to clear all of it first would take as long as the rest. */
    r_r->name = (struct chars){(const char *)p + DOMAIN_HEAD, name_len};
    r_r->worth = h.worth;
    r_r->written_ms = h.time_ms;
    r_r->refresh_ms = 0;
    r_r->claim = (h.flags & DOMAIN_CLAIM) != 0;
    r_r->failure = (struct failure_note){0};
    r_r->failure_text = (struct chars){0};
    r_r->has_answer = (h.flags & DOMAIN_ANSWER) != 0;
    r_r->has_hosts = (h.flags & DOMAIN_HOSTS) != 0;
    r_r->stored_ms = (h.flags & DOMAIN_ANSWER) != 0 ? h.time_ms : 0;
    r_r->ttl_s = load_u32(p + RECORD_HEAD + 1);
    r_r->site.hash = load_u64(p + RECORD_HEAD + 5);
    r_r->site.check = load_u32(p + RECORD_HEAD + 13);
    r_r->first = (h.flags & DOMAIN_FIRST) != 0;
    r_r->route = (struct chars){0};
    return !has_nul(&r_r->name) &&
           domain_options(p + DOMAIN_HEAD + name_len,
                          len - DOMAIN_HEAD - name_len, h.flags, r_r);
}

/* ---- host ---- */

static bool family_known(const struct host_family *f)
{
    return f->state != ADDR_UNKNOWN || f->failure.count > 0;
}

static void enc_family(struct buf *b, const struct host_family *f,
                       uint64_t written_ms)
{
    bool stored = f->state != ADDR_UNKNOWN && f->stored_ms != written_ms;

    enc_u8(b, (uint8_t)(f->state | (f->secure ? FAMILY_SECURE : 0u) |
                        (stored ? FAMILY_STORED : 0u) |
                        (f->failure.count > 0 ? FAMILY_FAILURE : 0u)));
    enc_u8(b, f->n);
    if (f->state != ADDR_UNKNOWN)
        enc_u32(b, f->ttl_s);
    if (stored)
        enc_u40(b, f->stored_ms);
    if (f->failure.count > 0)
        enc_failure(b, &f->failure);
}

bool host_record_encode(struct buf *b, const struct host_record *r)
{
    unsigned flags = r->refresh_ms != 0 ? HOST_REFRESH : 0u;

    if (r->name.len == 0 || r->name.len > RECORD_NAME_MAX)
        return false;
    for (int f = 0; f < FAMILIES; f++)
        flags |= family_known(&r->family[f]) ? FAMILY_BIT(f) : 0u;
    enc_head(b, HOST_VERSION, r->worth, r->written_ms, (uint8_t)flags);
    enc_u8(b, (uint8_t)r->name.len);
    buf_add(b, r->name.at, r->name.len);
    if (r->refresh_ms != 0)
        enc_u40(b, r->refresh_ms);
    for (int f = 0; f < FAMILIES; f++)
        if (family_known(&r->family[f]))
            enc_family(b, &r->family[f], r->written_ms);
    buf_add(b, r->v4, r->family[FAMILY_V4].n * sizeof(r->v4[0]));
    buf_add(b, r->v6, r->family[FAMILY_V6].n * sizeof(r->v6[0]));
    return !b->failed;
}

static void dec_family(struct dec *d, struct host_family *f,
                       uint64_t written_ms)
{
    uint8_t flags = dec_u8(d);

    f->state = flags & FAMILY_STATE;
    f->secure = (flags & FAMILY_SECURE) != 0;
    f->n = dec_u8(d);
    if (f->state != ADDR_UNKNOWN) {
        f->ttl_s = dec_u32(d);
        f->stored_ms = (flags & FAMILY_STORED) != 0 ? dec_u40(d) : written_ms;
    }
    if ((flags & FAMILY_FAILURE) != 0)
        dec_failure(d, &f->failure);
    if ((flags & ~(unsigned)FAMILY_FLAGS) != 0 || f->state > ADDR_NONE ||
        f->n > ADDRS_MAX || (f->state == ADDR_SOME) != (f->n > 0) ||
        !family_known(f) ||
        (f->state == ADDR_UNKNOWN && (flags & FAMILY_STORED) != 0))
        dec_bad(d);
}

bool host_record_decode(const void *bytes, size_t len, struct host_record *r_r)
{
    struct record_head h;
    struct dec d;

    memset(r_r, 0, sizeof(*r_r));
    if (len < RECORD_HEAD)
        return false;
    h = load_head(bytes);
    if (!head_fits(&h, HOST_VERSION) || (h.flags & ~(unsigned)HOST_FLAGS) != 0)
        return false;
    r_r->worth = h.worth;
    r_r->written_ms = h.time_ms;
    dec_init(&d, (const unsigned char *)bytes + RECORD_HEAD, len - RECORD_HEAD);
    dec_chars(&d, dec_u8(&d), &r_r->name);
    if ((h.flags & HOST_REFRESH) != 0)
        r_r->refresh_ms = dec_u40(&d);
    for (int f = 0; f < FAMILIES; f++)
        if ((h.flags & FAMILY_BIT(f)) != 0)
            dec_family(&d, &r_r->family[f], h.time_ms);
    /* Not before all was well so far: n may be anything. */
    if (d.status != CODEC_OK || r_r->name.len == 0)
        return false;
    dec_bytes(&d, r_r->v4, r_r->family[FAMILY_V4].n * sizeof(r_r->v4[0]));
    dec_bytes(&d, r_r->v6, r_r->family[FAMILY_V6].n * sizeof(r_r->v6[0]));
    return dec_end(&d) == CODEC_OK;
}
