/*
 * codec_site - the records of the DNS cache: MX sets, finished answers, name
 * servers
 *
 * An MX set is kept once for all domains that have it. Its content is its
 * identity, so it is encoded in one way only: exchanges sorted by preference,
 * then by name (name servers send equal ones in a new order each time), no
 * TTL. Two hashes of the content with different keys stand for it: one is the
 * key of its record, both are in the records that refer to it.
 *
 *     content  u8 outcome and flags, then for each exchange u16 preference,
 *              u8 length (255: u16 length follows), name
 *     site     the first seven octets of a head, content
 *     route    head (with the time it expires), u32 check of the site, u64
 *              made_of, u48 from, u48 until, u16 length, text
 *     server   head (its flags are the state), u40 since, u32 pid, u32
 *              opened, u8 length, address
 */

#include "cache/codec_int.h"
#include "util/hash.h"

#include <stdlib.h>

enum {
    CONTENT_OUTCOME = 0x03,
    CONTENT_IMPLICIT = 0x04,
    CONTENT_DOT = 0x08,
    CONTENT_SECURE = 0x10,
    CONTENT_FLAGS = 0x1f
};

enum { ROUTE_TEXT = 0x01, ROUTE_BY_DOMAIN = 0x02, ROUTE_FLAGS = 0x03 };

#define LONG_NAME  255 /* as a length: the length follows in 16 bits */
#define ROUTE_HEAD (RECORD_HEAD + 4 + 8 + 6 + 6 + 2)
#define WALL_MAX   INT64_C(0xffffffffffff)

/* ---- the content of a site ---- */

static int in_order(const void *a, const void *b)
{
    const struct mx *x = *(const struct mx *const *)a;
    const struct mx *y = *(const struct mx *const *)b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

/* false: there is no room. */
static bool enc_exchange(struct buf *b, const struct mx *mx, size_t max)
{
    size_t n = strlen(mx->host);

    if (n > UINT16_MAX || n + 5 > max - b->len)
        return false;
    enc_u16(b, mx->preference);
    enc_u8(b, n < LONG_NAME ? (uint8_t)n : LONG_NAME);
    if (n >= LONG_NAME)
        enc_u16(b, (uint16_t)n);
    buf_add(b, mx->host, n);
    return !b->failed;
}

static bool enc_exchanges(struct buf *b, const struct mxset *set, size_t max)
{
    const struct mx **order = calloc(set->n_mx, sizeof(const struct mx *));
    size_t i;

    if (order == NULL)
        return false;
    for (i = 0; i < set->n_mx; i++)
        order[i] = &set->mx[i];
    qsort(order, set->n_mx, sizeof(const struct mx *), in_order);
    for (i = 0; i < set->n_mx && enc_exchange(b, order[i], max); i++)
        ;
    free(order);
    return i > 0;
}

bool site_content_encode(struct buf *b, const struct mxset *set, size_t max)
{
    buf_reset(b);
    enc_u8(b, (uint8_t)((unsigned)set->outcome |
                        (set->implicit ? CONTENT_IMPLICIT : 0u) |
                        (set->dot_ignored ? CONTENT_DOT : 0u) |
                        (set->secure ? CONTENT_SECURE : 0u)));
    if (set->n_mx > 0 && !enc_exchanges(b, set, max))
        return false;
    return !b->failed;
}

struct site_id site_content_id(uint64_t seed, const void *content, size_t len)
{
    return (struct site_id){
        .hash = hash_bytes(seed, content, len),
        .check = (uint32_t)hash_bytes(~seed, content, len),
    };
}

/* The exchange at d; the status of d tells whether there was one. */
static struct chars dec_exchange(struct dec *d, uint16_t *preference_r)
{
    const unsigned char *p;
    size_t n;

    *preference_r = dec_u16(d);
    n = dec_u8(d);
    if (n == LONG_NAME)
        n = dec_u16(d);
    p = dec_take(d, n);
    if (p == NULL || (n > 0 && memchr(p, '\0', n) != NULL)) {
        dec_bad(d);
        return (struct chars){0};
    }
    return (struct chars){(const char *)p, n};
}

bool site_content_next(const void *content, size_t len, size_t *at,
                       struct chars *host_r)
{
    uint16_t preference;
    struct dec d;

    if (*at == 0)
        *at = 1;
    if (*at >= len)
        return false;
    dec_init(&d, (const unsigned char *)content + *at, len - *at);
    *host_r = dec_exchange(&d, &preference);
    *at = len - dec_left(&d);
    return d.status == CODEC_OK;
}

static void add_exchange(struct dec *d, struct mxset *set)
{
    uint16_t preference;
    struct chars host = dec_exchange(d, &preference);
    char *name;

    if (d->status != CODEC_OK)
        return;
    name = strndup(host.at, host.len);
    if (name == NULL || !mxset_add(set, name, preference))
        d->status = CODEC_MEMORY;
    free(name);
}

enum codec_status site_content_decode(const void *content, size_t len,
                                      struct mxset *set_r)
{
    struct dec d;
    unsigned flags;

    *set_r = (struct mxset){0};
    dec_init(&d, content, len);
    flags = dec_u8(&d);
    set_r->outcome = (enum mx_outcome)(flags & CONTENT_OUTCOME);
    set_r->implicit = (flags & CONTENT_IMPLICIT) != 0;
    set_r->dot_ignored = (flags & CONTENT_DOT) != 0;
    set_r->secure = (flags & CONTENT_SECURE) != 0;
    if ((flags & ~(unsigned)CONTENT_FLAGS) != 0 || set_r->outcome == MX_FAILURE)
        dec_bad(&d);
    while (d.status == CODEC_OK && dec_left(&d) > 0)
        add_exchange(&d, set_r);
    if ((set_r->outcome == MX_HOSTS) != (set_r->n_mx > 0))
        dec_bad(&d);
    if (d.status != CODEC_OK)
        mxset_free(set_r);
    return d.status;
}

/* ---- site ---- */

bool site_record_encode(struct buf *b, const struct site_record *r)
{
    enc_head(b, SITE_VERSION, r->worth, r->written_ms, r->content[0]);
    buf_add(b, r->content + 1, r->content_len - 1);
    return !b->failed;
}

bool site_record_decode(const void *bytes, size_t len, struct site_record *r_r)
{
    struct record_head h;

    if (len < RECORD_HEAD)
        return false;
    h = load_head(bytes);
    *r_r = (struct site_record){
        .worth = h.worth,
        .written_ms = h.time_ms,
        .content = (const unsigned char *)bytes + SITE_RECORD_HEAD,
        .content_len = len - SITE_RECORD_HEAD,
    };
    return head_fits(&h, SITE_VERSION);
}

/* ---- route ---- */

static uint64_t wall(int64_t t_s)
{
    return t_s < 0 ? 0 : t_s > WALL_MAX ? (uint64_t)WALL_MAX : (uint64_t)t_s;
}

bool route_record_encode(struct buf *b, const struct route_record *r)
{
    unsigned flags =
        (r->has_text ? ROUTE_TEXT : 0u) | (r->by_domain ? ROUTE_BY_DOMAIN : 0u);

    if (r->text.len > UINT16_MAX || (!r->has_text && r->text.len > 0))
        return false;
    enc_head(b, ROUTE_VERSION, r->worth, r->expires_ms, (uint8_t)flags);
    enc_u32(b, r->check);
    enc_u64(b, r->made_of);
    enc_u48(b, wall(r->from_s));
    enc_u48(b, wall(r->until_s));
    enc_u16(b, (uint16_t)r->text.len);
    buf_add(b, r->text.at, r->text.len);
    return !b->failed;
}

bool route_record_decode(const void *bytes, size_t len,
                         struct route_record *r_r)
{
    const unsigned char *p = bytes;
    struct record_head h;

    if (len < ROUTE_HEAD)
        return false;
    h = load_head(p);
    *r_r = (struct route_record){
        .worth = h.worth,
        .check = load_u32(p + RECORD_HEAD),
        .made_of = load_u64(p + RECORD_HEAD + 4),
        .expires_ms = h.time_ms,
        .from_s = (int64_t)load_u48(p + RECORD_HEAD + 12),
        .until_s = (int64_t)load_u48(p + RECORD_HEAD + 18),
        .has_text = (h.flags & ROUTE_TEXT) != 0,
        .by_domain = (h.flags & ROUTE_BY_DOMAIN) != 0,
        .text = {(const char *)p + ROUTE_HEAD, len - ROUTE_HEAD},
    };
    return head_fits(&h, ROUTE_VERSION) &&
           (h.flags & ~(unsigned)ROUTE_FLAGS) == 0 &&
           r_r->text.len == load_u16(p + RECORD_HEAD + 24) &&
           (r_r->has_text || r_r->text.len == 0) &&
           (r_r->text.len == 0 ||
            memchr(r_r->text.at, '\0', r_r->text.len) == NULL);
}

/* ---- server ---- */

bool server_record_encode(struct buf *b, const struct server_record *r)
{
    if (r->address.len == 0 || r->address.len > RECORD_NAME_MAX)
        return false;
    enc_head(b, SERVER_VERSION, WORTH_USED, r->reported_ms, r->state);
    enc_u40(b, r->since_ms);
    enc_u32(b, r->pid);
    enc_u32(b, r->opened);
    enc_u8(b, (uint8_t)r->address.len);
    buf_add(b, r->address.at, r->address.len);
    return !b->failed;
}

bool server_record_decode(const void *bytes, size_t len,
                          struct server_record *r_r)
{
    struct record_head h;
    const unsigned char *p;
    struct dec d;
    size_t n;

    *r_r = (struct server_record){0};
    if (len < RECORD_HEAD)
        return false;
    h = load_head(bytes);
    dec_init(&d, (const unsigned char *)bytes + RECORD_HEAD, len - RECORD_HEAD);
    r_r->state = h.flags;
    r_r->reported_ms = h.time_ms;
    r_r->since_ms = dec_u40(&d);
    r_r->pid = dec_u32(&d);
    r_r->opened = dec_u32(&d);
    n = dec_u8(&d);
    p = dec_take(&d, n);
    if (!head_fits(&h, SERVER_VERSION) || dec_end(&d) != CODEC_OK || n == 0 ||
        memchr(p, '\0', n) != NULL)
        return false;
    r_r->address = (struct chars){(const char *)p, n};
    return true;
}
