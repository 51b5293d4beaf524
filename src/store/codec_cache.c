/*
 * codec_cache - the records of the DNS cache
 *
 * One record a domain: the last usable answer, and beside it what is known
 * about attempts that failed since. One record a host: the same for each
 * address family. A decoder either gives a record whose parts fit together or
 * says that it is bad, which the cache takes for a miss; whether its times
 * make sense now is the cache's business.
 */

#include "store/codec.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN_VERSION 1
#define HOST_VERSION   2 /* differs from DOMAIN_VERSION: never mistaken */

static void enc_failure(struct buf *b, const struct failure_note *f)
{
    enc_u32(b, f->count);
    enc_u64(b, f->retry_ms);
}

static void dec_failure(struct dec *d, struct failure_note *f)
{
    f->count = dec_u32(d);
    f->retry_ms = dec_u64(d);
}

/* ---- domain ---- */

static size_t mx_size(const struct mx *mx)
{
    return 2 + 4 + strlen(mx->host);
}

/* How many exchanges, from the first, fit into `room` bytes. */
static uint16_t fitting(const struct mxset *set, size_t room)
{
    size_t i;

    for (i = 0; i < set->n_mx && i < UINT16_MAX; i++) {
        if (mx_size(&set->mx[i]) > room)
            break;
        room -= mx_size(&set->mx[i]);
    }
    return (uint16_t)i;
}

static void enc_answer(struct buf *b, const struct mxset *set, size_t max)
{
    size_t used;
    uint16_t n;

    enc_u8(b, (uint8_t)set->outcome);
    enc_u8(b, set->implicit);
    enc_u8(b, set->dot_ignored);
    enc_u8(b, set->secure);
    enc_u32(b, set->ttl_s);
    used = b->len + 2;
    n = fitting(set, max > used ? max - used : 0);
    enc_u16(b, n);
    for (size_t i = 0; i < n; i++) {
        enc_u16(b, set->mx[i].preference);
        enc_str(b, set->mx[i].host);
    }
}

bool domain_record_encode(struct buf *b, const struct domain_record *r,
                          size_t max)
{
    enc_u8(b, DOMAIN_VERSION);
    enc_u64(b, r->written_ms);
    enc_u64(b, r->refresh_ms);
    enc_failure(b, &r->failure);
    enc_opt_str(b, r->failure_text);
    enc_u8(b, r->has_answer);
    if (r->has_answer) {
        enc_u64(b, r->stored_ms);
        enc_u64(b, r->expires_ms);
        enc_answer(b, &r->answer, max);
    }
    return !b->failed;
}

static void dec_hosts(struct dec *d, struct mxset *set)
{
    size_t n = dec_u16(d);

    for (size_t i = 0; i < n && d->status == CODEC_OK; i++) {
        uint16_t preference = dec_u16(d);
        char *host = dec_str(d);

        if (host != NULL && !mxset_add(set, host, preference))
            d->status = CODEC_MEMORY;
        free(host);
    }
}

static void dec_answer(struct dec *d, struct mxset *set)
{
    uint8_t outcome = dec_u8(d);

    if (outcome >= MX_FAILURE) {
        dec_bad(d);
        return;
    }
    set->outcome = (enum mx_outcome)outcome;
    set->implicit = dec_bool(d);
    set->dot_ignored = dec_bool(d);
    set->secure = dec_bool(d);
    set->ttl_s = dec_u32(d);
    dec_hosts(d, set);
    if ((set->outcome == MX_HOSTS) != (set->n_mx > 0))
        dec_bad(d);
}

enum codec_status domain_record_decode(const void *bytes, size_t len,
                                       struct domain_record *r_r)
{
    enum codec_status status;
    struct dec d;

    memset(r_r, 0, sizeof(*r_r));
    dec_init(&d, bytes, len);
    if (dec_u8(&d) != DOMAIN_VERSION)
        dec_bad(&d);
    r_r->written_ms = dec_u64(&d);
    r_r->refresh_ms = dec_u64(&d);
    dec_failure(&d, &r_r->failure);
    r_r->failure_text = dec_opt_str(&d);
    r_r->has_answer = dec_bool(&d);
    if (r_r->has_answer) {
        r_r->stored_ms = dec_u64(&d);
        r_r->expires_ms = dec_u64(&d);
        dec_answer(&d, &r_r->answer);
    }
    status = dec_end(&d);
    if (status != CODEC_OK)
        domain_record_free(r_r);
    return status;
}

void domain_record_free(struct domain_record *r)
{
    free(r->failure_text);
    mxset_free(&r->answer);
    memset(r, 0, sizeof(*r));
}

/* ---- host ---- */

bool host_record_encode(struct buf *b, const struct host_record *r)
{
    enc_u8(b, HOST_VERSION);
    enc_u64(b, r->written_ms);
    enc_u64(b, r->refresh_ms);
    for (int f = 0; f < FAMILIES; f++) {
        enc_failure(b, &r->family[f].failure);
        enc_u64(b, r->family[f].stored_ms);
        enc_u64(b, r->family[f].expires_ms);
        enc_u8(b, r->family[f].state);
        enc_u8(b, r->family[f].secure);
        enc_u8(b, r->family[f].n);
    }
    buf_add(b, r->v4, r->family[FAMILY_V4].n * sizeof(r->v4[0]));
    buf_add(b, r->v6, r->family[FAMILY_V6].n * sizeof(r->v6[0]));
    return !b->failed;
}

static void dec_family(struct dec *d, struct host_family *f)
{
    dec_failure(d, &f->failure);
    f->stored_ms = dec_u64(d);
    f->expires_ms = dec_u64(d);
    f->state = dec_u8(d);
    f->secure = dec_bool(d);
    f->n = dec_u8(d);
    if (f->state > ADDR_NONE || f->n > ADDRS_MAX)
        dec_bad(d);
    if ((f->state == ADDR_SOME) != (f->n > 0))
        dec_bad(d);
}

enum codec_status host_record_decode(const void *bytes, size_t len,
                                     struct host_record *r_r)
{
    enum codec_status status;
    struct dec d;

    memset(r_r, 0, sizeof(*r_r));
    dec_init(&d, bytes, len);
    if (dec_u8(&d) != HOST_VERSION)
        dec_bad(&d);
    r_r->written_ms = dec_u64(&d);
    r_r->refresh_ms = dec_u64(&d);
    for (int f = 0; f < FAMILIES; f++)
        dec_family(&d, &r_r->family[f]);
    dec_bytes(&d, r_r->v4, r_r->family[FAMILY_V4].n * sizeof(r_r->v4[0]));
    dec_bytes(&d, r_r->v6, r_r->family[FAMILY_V6].n * sizeof(r_r->v6[0]));
    status = dec_end(&d);
    if (status != CODEC_OK)
        memset(r_r, 0, sizeof(*r_r));
    return status;
}
