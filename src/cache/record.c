/*
 * record - the records of the DNS cache, as bytes
 *
 *     domain   struct domain_fixed, text of the failure [, struct txt_fixed,
 *              id]... [, route]
 *     route    struct route_fixed, text
 *     host     struct host_fixed, addresses: IPv4, then IPv6
 *              [, struct host_tlsa]
 *     site     u8 outcome and flags, then for each exchange u16 preference,
 *              u16 length, name
 *
 * A decoder either gives a record whose parts fit together or says that it is
 * bad, which the cache takes for a miss. Nothing is allocated but for the hosts
 * of an MX set.
 */

#include "cache/record.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct route_fixed) == 24 &&
                   sizeof(struct domain_fixed) == 64 &&
                   sizeof(struct txt_fixed) == 32 &&
                   sizeof(struct host_fixed) == 80 &&
                   sizeof(struct host_tlsa) == 32,
               "no padding, and a million are kept");

/* Eight octets at a time: it is on the hot path. Of octets below 0x80 a high
   bit comes from those below the space, or from 0x7f. */
bool record_is_printable(const char *text, size_t len)
{
    const uint64_t ones = UINT64_MAX / 0xff;
    uint64_t bad = 0, w;

    for (; len >= sizeof(w); text += sizeof(w), len -= sizeof(w)) {
        memcpy(&w, text, sizeof(w));
        bad |= w | (w - ones * ' ') | (w + ones);
    }
    for (; len > 0; text++, len--)
        if (*text < ' ' || *text > '~')
            return false;
    return (bad & ones * 0x80) == 0;
}

/* ---- finished answers ---- */

bool route_record_encode(struct buf *b, const struct route_record *r)
{
    if (r->text.len > (r->f.has_text ? RECORD_TEXT_MAX : 0) ||
        !record_is_printable(r->text.at, r->text.len))
        return false;
    buf_add(b, &r->f, sizeof(r->f));
    buf_add(b, r->text.at, r->text.len);
    return !b->failed;
}

bool route_record_decode(const void *bytes, size_t len,
                         struct route_record *r_r)
{
    if (len < sizeof(r_r->f))
        return false;
    memcpy(&r_r->f, bytes, sizeof(r_r->f));
    r_r->text = (struct chars){(const char *)bytes + sizeof(r_r->f),
                               len - sizeof(r_r->f)};
    return r_r->text.len <= (r_r->f.has_text ? RECORD_TEXT_MAX : 0) &&
           record_is_printable(r_r->text.at, r_r->text.len);
}

/* ---- domains ---- */

bool domain_record_encode(struct buf *b, const struct domain_record *r)
{
    struct domain_fixed f = r->f;

    if (r->failure_text.len > RECORD_FAILURE_MAX ||
        !record_is_printable(r->failure_text.at, r->failure_text.len))
        return false;
    f.failure_len = (uint16_t)r->failure_text.len;
    buf_add(b, &f, sizeof(f));
    buf_add(b, r->failure_text.at, r->failure_text.len);
    for (int i = 0; i < TLS_TXTS; i++)
        if ((f.flags & DOMAIN_TXT(i)) != 0) {
            buf_add(b, &r->txt[i].f, sizeof(r->txt[i].f));
            buf_add(b, r->txt[i].id, r->txt[i].f.id_len);
        }
    if ((f.flags & DOMAIN_ROUTE) != 0)
        return route_record_encode(b, &r->route);
    return !b->failed;
}

/* What was taken of the octets at `at'; 0: they do not fit together. */
static size_t record_take_txt(const char *at, size_t len, struct txt_record *r)
{
    struct txt_fixed *s = &r->f;

    if (len < sizeof(*s))
        return 0;
    memcpy(s, at, sizeof(*s));
    if (s->state > TXT_FOUND || (s->state == TXT_FOUND) != (s->id_len > 0) ||
        s->id_len > STS_ID_MAX || s->id_len > len - sizeof(*s))
        return 0;
    memcpy(r->id, at + sizeof(*s), s->id_len);
    return sts_id_is_valid(r->id, s->id_len) || s->id_len == 0
               ? sizeof(*s) + s->id_len
               : 0;
}

bool domain_record_decode(const void *bytes, size_t len,
                          struct domain_record *r_r)
{
    const char *at = bytes;
    struct domain_fixed *f = &r_r->f;

    if (len < sizeof(*f))
        return false;
    memcpy(f, at, sizeof(*f));
    at += sizeof(*f);
    len -= sizeof(*f);
    r_r->failure_text = (struct chars){at, f->failure_len};
    if (f->failure_len > RECORD_FAILURE_MAX || f->failure_len > len ||
        (f->flags & ~(unsigned)DOMAIN_FLAGS) != 0 ||
        ((f->flags & DOMAIN_ANSWER) == 0 &&
         (f->flags & (DOMAIN_HOSTS | DOMAIN_ROUTE)) != 0) ||
        (f->failure.count == 0 && f->failure_len > 0) ||
        !record_is_printable(at, f->failure_len))
        return false;
    at += f->failure_len;
    len -= f->failure_len;
    for (int i = 0; i < TLS_TXTS; i++) {
        size_t taken = 0;

        if ((f->flags & DOMAIN_TXT(i)) == 0)
            continue;
        taken = record_take_txt(at, len, &r_r->txt[i]);
        if (taken == 0)
            return false;
        at += taken;
        len -= taken;
    }
    return (f->flags & DOMAIN_ROUTE) != 0
               ? route_record_decode(at, len, &r_r->route)
               : len == 0;
}

/* ---- hosts ---- */

bool host_record_encode(struct buf *b, const struct host_record *r)
{
    buf_add(b, &r->f, sizeof(r->f));
    buf_add(b, r->v4, r->f.family[FAMILY_V4].n * sizeof(r->v4[0]));
    buf_add(b, r->v6, r->f.family[FAMILY_V6].n * sizeof(r->v6[0]));
    if (r->tlsa.state != TLSA_UNKNOWN || r->tlsa.failure.count > 0)
        buf_add(b, &r->tlsa, sizeof(r->tlsa));
    return !b->failed;
}

bool host_record_decode(const void *bytes, size_t len, struct host_record *r_r)
{
    struct dec d;

    memset(r_r, 0, sizeof(*r_r));
    dec_init(&d, bytes, len);
    dec_bytes(&d, &r_r->f, sizeof(r_r->f));
    for (int i = 0; i < FAMILIES; i++) {
        const struct host_family *h = &r_r->f.family[i];

        if (h->state > ADDR_NONE || h->n > ADDRS_MAX ||
            (h->state == ADDR_SOME) != (h->n > 0))
            return false;
    }
    dec_bytes(&d, r_r->v4, r_r->f.family[FAMILY_V4].n * sizeof(r_r->v4[0]));
    dec_bytes(&d, r_r->v6, r_r->f.family[FAMILY_V6].n * sizeof(r_r->v6[0]));
    if (dec_left(&d) > 0) {
        const struct host_tlsa *t = &r_r->tlsa;

        dec_bytes(&d, &r_r->tlsa, sizeof(r_r->tlsa));
        if (t->state >= TLSA_FAILED ||
            t->trust_anchor > (t->state == TLSA_USABLE) ||
            (t->state == TLSA_UNKNOWN && t->failure.count == 0))
            return false;
    }
    return dec_end(&d) == CODEC_OK;
}

/* ---- MX sets ---- */

enum {
    SITE_OUTCOME = 0x03,
    SITE_IMPLICIT = 0x04,
    SITE_DOT = 0x08,
    SITE_SECURE = 0x10,
    SITE_FLAGS = 0x1f
};

static int record_site_order(const void *a, const void *b)
{
    const struct mx *x = *(const struct mx *const *)a;
    const struct mx *y = *(const struct mx *const *)b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

bool site_record_encode(struct buf *b, const struct mxset *set, size_t max)
{
    const struct mx **order;
    size_t n;

    buf_reset(b);
    if ((set->outcome == MX_HOSTS) != (set->n_mx > 0))
        return false;
    enc_u8(b, (uint8_t)((unsigned)set->outcome |
                        (set->implicit ? SITE_IMPLICIT : 0u) |
                        (set->dot_ignored ? SITE_DOT : 0u) |
                        (set->secure ? SITE_SECURE : 0u)));
    if (set->n_mx == 0)
        return !b->failed;
    order = calloc(set->n_mx, sizeof(const struct mx *));
    if (order == NULL)
        return false;
    for (size_t i = 0; i < set->n_mx; i++)
        order[i] = &set->mx[i];
    qsort(order, set->n_mx, sizeof(const struct mx *), record_site_order);
    for (size_t i = 0; i < set->n_mx && i < MXSET_MAX; i++) {
        n = strlen(order[i]->host);
        if (n + 4 > max - b->len || n > UINT16_MAX)
            break;
        enc_u16(b, order[i]->preference);
        enc_u16(b, (uint16_t)n);
        buf_add(b, order[i]->host, n);
    }
    free(order);
    return !b->failed && b->len > 1;
}

/* The exchange at d; the status of d tells whether there was one. */
static struct chars site_record_exchange(struct dec *d, uint16_t *preference_r)
{
    const char *p;
    size_t n;

    *preference_r = dec_u16(d);
    n = dec_u16(d);
    p = (const char *)dec_take(d, n);
    if (p != NULL && record_is_printable(p, n))
        return (struct chars){p, n};
    dec_bad(d);
    return (struct chars){0};
}

bool site_record_next(const void *bytes, size_t len, size_t *at,
                      struct chars *host_r)
{
    uint16_t preference;
    struct dec d;

    if (*at == 0)
        *at = 1;
    if (*at >= len)
        return false;
    dec_init(&d, (const unsigned char *)bytes + *at, len - *at);
    *host_r = site_record_exchange(&d, &preference);
    *at = len - dec_left(&d);
    return d.status == CODEC_OK;
}

enum codec_status site_record_decode(const void *bytes, size_t len,
                                     struct mxset *set_r)
{
    struct dec d;
    unsigned flags;

    *set_r = (struct mxset){0};
    dec_init(&d, bytes, len);
    flags = dec_u8(&d);
    set_r->outcome = (enum mx_outcome)(flags & SITE_OUTCOME);
    set_r->implicit = (flags & SITE_IMPLICIT) != 0;
    set_r->dot_ignored = (flags & SITE_DOT) != 0;
    set_r->secure = (flags & SITE_SECURE) != 0;
    if ((flags & ~(unsigned)SITE_FLAGS) != 0 || set_r->outcome == MX_FAILURE)
        dec_bad(&d);
    while (d.status == CODEC_OK && dec_left(&d) > 0) {
        uint16_t preference;
        struct chars host = site_record_exchange(&d, &preference);
        char *name = d.status == CODEC_OK ? strndup(host.at, host.len) : NULL;

        if (d.status == CODEC_OK &&
            (name == NULL || !mxset_add(set_r, name, preference)))
            d.status = CODEC_MEMORY;
        free(name);
    }
    if ((set_r->outcome == MX_HOSTS) != (set_r->n_mx > 0))
        dec_bad(&d);
    if (d.status != CODEC_OK)
        mxset_free(set_r);
    return d.status;
}
