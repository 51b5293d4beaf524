/* A cache in memory, or in a file, and short words for its use. For the tests
   of the cache; each is one program. */

#ifndef UNIT_CACHE_FIXTURE_H
#define UNIT_CACHE_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/cache_int.h"
#include "support/failmalloc.h"
#include "util/clock.h"

#define T0       t0 /* ms; later than now, so that nothing is dead yet */
#define EXAMPLE  "example.com"
#define MADE_OF  0x1234567890u
#define V4_ONE   0x010200c0
#define BOTH     (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct cache_policy policy = {
    .ttl_min_s = 30,
    .ttl_max_s = 86400,
    .negative_ttl_max_s = 900,
    .stale_max_s = 259200,
};

static uint64_t t0;
static struct cache *cache;
static struct cache_view *view;
static struct live_view *raw; /* of the same table */
static char shared_dir[32];   /* "": the cache is in memory */
static int shared_fd = -1;

static inline struct live *open_shared_table(void)
{
    struct mxhop_error err;
    struct live *t;

    ck_assert_msg(live_open_file(&t, shared_fd, "cache", 64 << 20, 1, &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    return t;
}

static inline void open_over(struct live *t, const struct cache_policy *p)
{
    struct mxhop_error err;

    ck_assert_int_eq(cache_open(&cache, t, p, &err), MXHOP_OK);
    view = cache_view_open(cache);
    raw = live_view_open(t);
    ck_assert(view != NULL && raw != NULL);
}

static inline void open_with(const struct cache_policy *p)
{
    struct mxhop_error err;
    struct live *t;

    ck_assert_int_eq(live_open_memory(&t, 64 << 20, &err), MXHOP_OK);
    open_over(t, p);
}

static inline void setup(void)
{
    t0 = clock_boot_ms() + 100000000;
    open_with(&policy);
}

static inline void teardown(void)
{
    live_view_close(&raw);
    cache_view_close(&view);
    ck_assert_ptr_null(view);
    cache_close(&cache);
    ck_assert_ptr_null(cache);
    if (shared_dir[0] == '\0')
        return;
    unlinkat(shared_fd, "cache", 0);
    unlinkat(shared_fd, "cache.lock", 0);
    close(shared_fd);
    rmdir(shared_dir);
    shared_dir[0] = '\0';
}

/* As setup, in a file that other processes share. */
static inline void reopen_shared(void)
{
    teardown();
    strcpy(shared_dir, "/tmp/test_cache.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(shared_dir));
    shared_fd = open(shared_dir, O_PATH | O_DIRECTORY);
    open_over(open_shared_table(), &policy);
}

/* The record under a key, as it is in the table; false: there is none. */
static inline bool raw_get(enum cache_kind kind, const char *name,
                           struct live_value *value_r)
{
    struct cache_key k;

    return cache_key_make(&k, kind, name, strlen(name)) &&
           live_get(raw, k.text, k.len, value_r);
}

static inline void raw_put(enum cache_kind kind, const char *name,
                           const void *bytes, size_t len)
{
    struct cache_key k;

    ck_assert(cache_key_make(&k, kind, name, strlen(name)));
    ck_assert(live_begin(cache->live, 1000));
    live_put(cache->live, k.text, k.len, bytes, len, LIVE_USED, UINT32_MAX);
    ck_assert(live_end(cache->live));
}

static inline enum live_worth worth_of(enum cache_kind kind, const char *name)
{
    struct live_value value;

    ck_assert(raw_get(kind, name, &value));
    return value.worth;
}

struct only {
    enum cache_kind kind;
    size_t n, key_len;
    char key[LIVE_KEY_MAX];
    struct live_value value;
    unsigned char bytes[4096];
};

static inline bool note_only(void *ctx, const void *key, size_t key_len,
                             const struct live_value *value)
{
    struct only *o = ctx;

    if (*(const char *)key != (char)o->kind)
        return true;
    o->n++;
    o->key_len = key_len;
    memcpy(o->key, key, key_len);
    ck_assert_uint_le(value->len, sizeof(o->bytes));
    memcpy(o->bytes, value->data, value->len);
    o->value = *value;
    o->value.data = o->bytes;
    return true;
}

/* The only record of its kind. */
static inline void get_only(enum cache_kind kind, struct only *o)
{
    *o = (struct only){.kind = kind};
    live_walk(raw, note_only, o);
    ck_assert_uint_eq(o->n, 1);
}

/* As setup, with prefetch in the last 10 % of the TTL. */
static inline void reopen_with_prefetch(void)
{
    struct cache_policy p = policy;

    teardown();
    p.prefetch_percent = 10;
    open_with(&p);
}

static inline void flush(void)
{
    ck_assert(cache_flush(cache, 0));
    ck_assert_uint_eq(cache_pending(cache), 0);
}

static inline struct mxset make_set(enum mx_outcome outcome, uint32_t ttl_s,
                                    const char *host)
{
    struct mxset s = {.outcome = outcome, .ttl_s = ttl_s, .secure = true};

    if (outcome == MX_HOSTS)
        ck_assert(mxset_add(&s, host, 10));
    if (outcome == MX_FAILURE)
        s.failure = strdup("SERVFAIL");
    return s;
}

static inline void put_name(const char *name, enum mx_outcome outcome,
                            uint32_t ttl_s, uint64_t now_ms)
{
    struct mxset s = make_set(outcome, ttl_s, "mx.example.com");

    cache_put_domain(cache, name, now_ms, &s);
    mxset_free(&s);
    flush();
}

static inline void put(enum mx_outcome outcome, bool implicit, uint32_t ttl_s,
                       uint64_t now_ms)
{
    struct mxset s = make_set(outcome, ttl_s, "mx.example.com");

    s.implicit = implicit;
    cache_put_domain(cache, EXAMPLE, now_ms, &s);
    mxset_free(&s);
    flush();
}

static inline struct cache_entry_state
get_name(const char *name, uint64_t now_ms, enum mx_outcome *o)
{
    struct mxset s;
    struct cache_entry_state st = cache_get_domain(view, name, now_ms, &s);

    if (o != NULL)
        *o = s.outcome;
    if (st.verdict == CACHE_MISS)
        ck_assert(s.mx == NULL && s.failure == NULL);
    else if (s.outcome == MX_HOSTS)
        ck_assert_str_eq(s.mx[0].host, "mx.example.com");
    else if (s.outcome == MX_FAILURE)
        ck_assert_str_eq(s.failure, "SERVFAIL");
    mxset_free(&s);
    return st;
}

static inline struct cache_entry_state get(uint64_t now_ms, enum mx_outcome *o)
{
    return get_name(EXAMPLE, now_ms, o);
}

static inline struct cache_stats stats_at(uint64_t now_ms)
{
    struct cache_stats s;

    cache_stats(view, now_ms, &s);
    return s;
}

static inline struct hostaddrs addrs(enum addr_state v4, enum addr_state v6)
{
    struct hostaddrs a = {.secure = true};

    a.state[FAMILY_V4] = (uint8_t)v4;
    a.state[FAMILY_V6] = (uint8_t)v6;
    a.ttl_s[FAMILY_V4] = a.ttl_s[FAMILY_V6] = 60;
    a.n[FAMILY_V4] = v4 == ADDR_SOME;
    a.n[FAMILY_V6] = v6 == ADDR_SOME;
    a.v4[0].s_addr = V4_ONE;
    a.v6[0].s6_addr[15] = 1;
    return a;
}

static inline void put_host(const char *host, enum addr_state v4,
                            enum addr_state v6, uint64_t now_ms)
{
    struct hostaddrs a = addrs(v4, v6);

    cache_put_host(cache, host, now_ms, &a);
    flush();
}

static inline void put_route(const char *domain, const char *text,
                             const struct mxset *set, uint64_t made_of)
{
    struct cache_route r = {.now_ms = T0,
                            .made_of = made_of,
                            .expires_ms = T0 + 50000,
                            .from_s = 1000,
                            .until_s = 2000,
                            .text = text};

    cache_put_route(cache, domain, set, &r);
    flush();
}

/* A case in which each test begins with an empty cache. */
static inline TCase *cache_case(Suite *s)
{
    TCase *t = tcase_create("cache");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return t;
}

#endif
