/* Records of the DNS cache: bytes of a file that others may have damaged. What
   is accepted is within bounds, and is written in a form that stays. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cache/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is written as it was read. */
static void check_same(const struct buf *b, const uint8_t *data, size_t size)
{
    assert(b->len == size && memcmp(b->data, data, size) == 0);
}

static void check_text(struct chars c, const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;

    assert(c.len == 0 || (c.at >= at && c.at + c.len <= at + size));
    for (size_t i = 0; i < c.len; i++)
        assert(c.at[i] >= ' ' && c.at[i] <= '~');
}

static void check_domain(const uint8_t *data, size_t size, struct buf *b)
{
    struct domain_record r;

    if (!domain_record_decode(data, size, &r))
        return;
    check_text(r.failure_text, data, size);
    if ((r.f.flags & DOMAIN_ROUTE) != 0)
        check_text(r.route.text, data, size);
    for (int i = 0; i < TLS_TXTS; i++)
        if ((r.f.flags & DOMAIN_TXT(i)) != 0)
            assert(r.txt[i].f.state == TXT_FOUND
                       ? sts_id_is_valid(r.txt[i].id, r.txt[i].f.id_len)
                       : r.txt[i].f.id_len == 0 &&
                             r.txt[i].f.state <= TXT_FOUND);
    assert(domain_record_encode(b, &r));
    check_same(b, data, size);
}

static void check_host(const uint8_t *data, size_t size, struct buf *b)
{
    struct host_record r;

    if (!host_record_decode(data, size, &r))
        return;
    assert(r.f.family[FAMILY_V4].n <= ADDRS_MAX);
    assert(r.f.family[FAMILY_V6].n <= ADDRS_MAX);
    assert(r.tlsa.state < TLSA_FAILED);
    assert(r.tlsa.trust_anchor <= (r.tlsa.state == TLSA_USABLE));
    assert(host_record_encode(b, &r));
    check_same(b, data, size);
}

static void check_route(const uint8_t *data, size_t size, struct buf *b)
{
    struct route_record r;

    if (!route_record_decode(data, size, &r))
        return;
    check_text(r.text, data, size);
    assert(route_record_encode(b, &r));
    check_same(b, data, size);
}

/* A set is encoded in one way only. */
static void check_site(const uint8_t *data, size_t size, struct buf *b)
{
    struct buf again = {0};
    struct chars host;
    struct mxset set;
    size_t at = 0;

    if (site_record_decode(data, size, &set) != CODEC_OK)
        return;
    assert((set.outcome == MX_HOSTS) == (set.n_mx > 0));
    while (site_record_next(data, size, &at, &host))
        check_text(host, data, size);
    assert(site_record_encode(b, &set, SIZE_MAX));
    mxset_free(&set);
    assert(site_record_decode(b->data, b->len, &set) == CODEC_OK);
    assert(set.n_mx <= MXSET_MAX);
    assert(site_record_encode(&again, &set, SIZE_MAX));
    mxset_free(&set);
    check_same(&again, (const uint8_t *)b->data, b->len);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const uint8_t *, size_t, struct buf *) = {
        check_domain, check_host, check_route, check_site};
    struct buf b = {0};

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        checks[i](data, size, &b);
        buf_reset(&b);
    }
    buf_free(&b);
    return 0;
}
