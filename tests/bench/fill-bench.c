/*
 * fill-bench - put many domains into a shared cache, without the DNS
 *
 *     fill-bench CACHE SIZE_MIB DOMAINS SETS [sts]
 *
 * Fills the cache in the directory CACHE, as its owner, as if all had just been
 * asked for, and once more: domains d<n>.bench.test, each with its finished
 * answer, that share SETS MX sets of one to three hosts m<s>.bench.test, each
 * host with an IPv4 address and every other one with an IPv6 address too. All
 * is good for a day. With `sts' it is known, too, that they publish no MTA-STS
 * policy. Ends with an error if anything was dropped.
 */

#include "cache/cache.h"
#include "cache/cache_file.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_S    86400
#define BATCH    500  /* entries between two flushes */
#define PATIENCE 1000 /* ms; nobody else writes */

static void die(const char *what)
{
    fprintf(stderr, "fill-bench: %s\n", what);
    exit(1);
}

static struct cache *open_cache(const char *dir, uint64_t size_bytes)
{
    static struct cache_place place;
    const struct cache_policy policy = {
        .ttl_max_s = DAY_S, .negative_ttl_max_s = 900, .stale_max_s = DAY_S};
    struct mxhop_error err;
    const char *warning;
    struct cache *cache;
    struct live *live;

    if (cache_place_find(&place, dir, geteuid(), getegid(), &err) != MXHOP_OK ||
        cache_place_open(&place, size_bytes, &live, &warning, &err) !=
            MXHOP_OK ||
        cache_open(&cache, live, &policy, &err) != MXHOP_OK)
        die(err.text);
    return cache;
}

static void flush(struct cache *cache)
{
    if (!cache_flush(cache, PATIENCE))
        die("not written");
}

static bool ends_batch(unsigned long i, unsigned long n)
{
    return (i + 1) % BATCH == 0 || i + 1 == n;
}

static const char *domain_name(unsigned long i)
{
    static char domain[64];

    snprintf(domain, sizeof(domain), "d%lu.bench.test", i);
    return domain;
}

/* The batch that ends with domain i: the second time it is asked for. */
static void touch_batch(struct cache *cache, unsigned long i)
{
    for (unsigned long k = i - i % BATCH; k <= i; k++)
        cache_touch(cache, domain_name(k));
    flush(cache);
}

static void put_hosts(struct cache *cache, unsigned long sets)
{
    struct hostaddrs addrs;
    char host[64];

    for (unsigned long s = 0; s < sets; s++) {
        memset(&addrs, 0, sizeof(addrs));
        addrs.ttl_s[FAMILY_V4] = addrs.ttl_s[FAMILY_V6] = DAY_S;
        addrs.state[FAMILY_V4] = ADDR_SOME;
        addrs.n[FAMILY_V4] = 1;
        addrs.v4[0].s_addr = htonl((192u << 24) | (uint32_t)(s & 0xffffff));
        addrs.state[FAMILY_V6] = s % 2 == 0 ? ADDR_SOME : ADDR_NONE;
        addrs.n[FAMILY_V6] = s % 2 == 0;
        addrs.v6[0].s6_addr[0] = 0xfd; /* :: would be ourselves */
        memcpy(&addrs.v6[0].s6_addr[8], &s, sizeof(s));
        snprintf(host, sizeof(host), "m%lu.bench.test", s);
        cache_put_host(cache, host, clock_boot_ms(), &addrs);
        if (ends_batch(s, sets))
            flush(cache);
    }
}

/* As postfix gets it. No lookup finds it: it is made of nothing. */
static void put_text(struct cache *cache, unsigned long i,
                     const struct mxset *set)
{
    struct buf text = {0};
    struct cache_route route = {.now_ms = clock_boot_ms(),
                                .expires_ms = clock_boot_ms() + DAY_S * 1000,
                                .until_s = INT64_MAX};

    for (size_t h = 0; h < set->n_mx; h++)
        buf_printf(&text, "%s[%s]", h == 0 ? ":" : ", ", set->mx[h].host);
    route.text = text.data;
    cache_put_route(cache, domain_name(i), set, &route);
    buf_free(&text);
}

static void put_domains(struct cache *cache, unsigned long n,
                        unsigned long sets, bool sts)
{
    const struct domain_txt none = {.state = TXT_NONE, .ttl_s = DAY_S};
    char host[64];
    unsigned long s;

    for (unsigned long i = 0; i < n; i++) {
        struct mxset set = {.outcome = MX_HOSTS, .ttl_s = DAY_S};

        s = i % sets;
        for (unsigned long h = 0; h <= s % 3; h++) {
            snprintf(host, sizeof(host), "m%lu.bench.test", (s + h) % sets);
            if (!mxset_add(&set, host, (uint16_t)(10 * (h + 1))))
                die("out of memory");
        }
        cache_put_domain(cache, domain_name(i), clock_boot_ms(), &set);
        if (sts)
            cache_put_txt(cache, domain_name(i), TLS_TXT_STS, clock_boot_ms(),
                          &none);
        put_text(cache, i, &set);
        mxset_free(&set);
        if (!ends_batch(i, n))
            continue;
        flush(cache);
        touch_batch(cache, i);
    }
}

int main(int argc, char **argv)
{
    unsigned long domains, sets;
    struct cache *cache;

    if (argc < 5)
        die("usage: fill-bench CACHE SIZE_MIB DOMAINS SETS [sts]");
    domains = strtoul(argv[3], NULL, 10);
    sets = strtoul(argv[4], NULL, 10);
    if (sets == 0)
        die("SETS is not a number");
    cache = open_cache(argv[1], strtoull(argv[2], NULL, 10) << 20);
    put_hosts(cache, sets);
    put_domains(cache, domains, sets, argc > 5);
    cache_close(&cache);
    return 0;
}
