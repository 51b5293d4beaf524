/* Records of the DNS cache: bytes of a file that others may have damaged. What
   is accepted is within bounds, and is written in a form that stays. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cache/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chars(struct chars c, const struct buf *b)
{
    const char *end = b->data + b->len;

    assert(c.len == 0 || (c.at >= b->data && c.at + c.len <= end));
    assert(c.len == 0 || memchr(c.at, '\0', c.len) == NULL);
}

static void check_same(struct buf *one, struct buf *two)
{
    assert(one->len == two->len);
    assert(memcmp(one->data, two->data, one->len) == 0);
}

static void check_domain(const uint8_t *data, size_t size, struct buf *one,
                         struct buf *two)
{
    struct domain_record r;

    if (!domain_record_decode(data, size, &r))
        return;
    assert(domain_record_encode(one, &r));
    assert(domain_record_decode(one->data, one->len, &r));
    check_chars(r.name, one);
    check_chars(r.failure_text, one);
    assert(r.route.len <= RECORD_ROUTE_MAX);
    assert(domain_record_encode(two, &r));
    check_same(one, two);
}

static void check_host(const uint8_t *data, size_t size, struct buf *one,
                       struct buf *two)
{
    struct host_record r;

    if (!host_record_decode(data, size, &r))
        return;
    assert(host_record_encode(one, &r));
    assert(host_record_decode(one->data, one->len, &r));
    check_chars(r.name, one);
    assert(r.family[FAMILY_V4].n <= ADDRS_MAX);
    assert(r.family[FAMILY_V6].n <= ADDRS_MAX);
    assert(host_record_encode(two, &r));
    check_same(one, two);
}

static void check_route(const uint8_t *data, size_t size, struct buf *one)
{
    struct route_record r;

    if (!route_record_decode(data, size, &r))
        return;
    assert(r.has_text || r.text.len == 0);
    assert(route_record_encode(one, &r));
    assert(one->len == size && memcmp(one->data, data, size) == 0);
}

static void check_server(const uint8_t *data, size_t size, struct buf *one)
{
    struct server_record r;

    if (!server_record_decode(data, size, &r))
        return;
    r.address.len = r.address.len < 4 ? r.address.len : 4;
    assert(server_record_encode(one, &r));
    assert(server_record_decode(one->data, one->len, &r));
    check_chars(r.address, one);
}

/* A set is encoded in one way only. */
static void check_site(const uint8_t *data, size_t size, struct buf *one,
                       struct buf *two)
{
    struct site_record r;
    struct mxset set;

    if (!site_record_decode(data, size, &r) ||
        site_content_decode(r.content, r.content_len, &set) != CODEC_OK)
        return;
    assert((set.outcome == MX_HOSTS) == (set.n_mx > 0));
    assert(site_content_encode(one, &set, SIZE_MAX));
    mxset_free(&set);
    assert(site_content_decode(one->data, one->len, &set) == CODEC_OK);
    assert(site_content_encode(two, &set, SIZE_MAX));
    mxset_free(&set);
    check_same(one, two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const uint8_t *, size_t, struct buf *,
                                  struct buf *) = {check_domain, check_host,
                                                   check_site};
    struct buf one = {0}, two = {0};

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        checks[i](data, size, &one, &two);
        buf_reset(&one);
        buf_reset(&two);
    }
    check_route(data, size, &one);
    buf_reset(&one);
    check_server(data, size, &one);
    buf_free(&one);
    buf_free(&two);
    return 0;
}
