/* Both backends of the DNS cache: what they have in common. */

#include <check.h>
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/kv.h"
#include "support/failmalloc.h"
#include "util/hash.h"

enum backend { MEMORY, LMDB, BACKENDS };

static char dir[64];

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-kv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    static const char *const names[] = {"cache.mdb", "cache.mdb-lock",
                                        "cache.state"};
    char path[128];

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/c/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/c", dir);
    rmdir(path);
    rmdir(dir);
}

/* The first octet of a value is its rank. */
static uint64_t first_octet(uint64_t key, struct kv_value value)
{
    (void)key;
    return value.data[0];
}

static enum mxhop_status try_open(enum backend b, struct kv **kv_r,
                                  size_t bytes, struct mxhop_error *err)
{
    char path[80];
    const char *note;
    struct kv_lmdb_options o = {.dir = path,
                                .uid = geteuid(),
                                .gid = getegid(),
                                .size_bytes = bytes,
                                .rank = first_octet};

    snprintf(path, sizeof(path), "%s/c", dir);
    return b == MEMORY ? kv_memory_open(kv_r, bytes, first_octet, err)
                       : kv_lmdb_open(kv_r, &o, &note, err);
}

static struct kv *open_kv(enum backend b, size_t bytes)
{
    struct mxhop_error err = {0};
    struct kv *kv;

    ck_assert_msg(try_open(b, &kv, bytes, &err) == MXHOP_OK, "%s", err.text);
    ck_assert(kv->shared == (b == LMDB));
    return kv;
}

static uint64_t key_of(enum kv_kind kind, uint64_t n)
{
    return kv_key(kind, hash_bytes(4711, &n, sizeof(n)));
}

static void put(struct kv *kv, uint64_t key, const char *value)
{
    kv->ops->put(kv, key, value, strlen(value));
}

static void put_one(struct kv *kv, uint64_t key, const char *value)
{
    ck_assert(kv->ops->write_begin(kv, 1000));
    put(kv, key, value);
    ck_assert(kv->ops->commit(kv));
}

static const char *text(bool found, struct kv_value v)
{
    static char out[64];

    snprintf(out, sizeof(out), "%.*s", found ? (int)v.len : 1,
             found ? (const char *)v.data : "-");
    return out;
}

/* In a transaction of its own; "-": not there. */
static const char *get(struct kv *kv, uint64_t key)
{
    struct kv_view *v = kv->ops->view_open(kv);
    struct kv_value value;
    const char *t;

    ck_assert_ptr_nonnull(v);
    ck_assert(kv->ops->begin(v));
    t = text(kv->ops->get(v, key, &value), value);
    kv->ops->end(v);
    kv->ops->view_close(v);
    return t;
}

static const char *write_get(struct kv *kv, uint64_t key)
{
    struct kv_value value;

    return text(kv->ops->write_get(kv, key, &value), value);
}

START_TEST(put_get_del)
{
    struct kv *kv = open_kv(_i, 1 << 20);
    uint64_t a = key_of(KV_DOMAIN, 1), b = key_of(KV_SITE, 1);

    ck_assert_str_eq(get(kv, a), "-");
    ck_assert(kv->ops->write_begin(kv, 0));
    put(kv, a, "one");
    put(kv, b, "two");
    ck_assert_str_eq(write_get(kv, a), "one");
    put(kv, a, "three");
    ck_assert_str_eq(write_get(kv, a), "three");
    ck_assert_str_eq(write_get(kv, b), "two");
    ck_assert(kv->ops->commit(kv));
    ck_assert_str_eq(get(kv, a), "three");
    ck_assert_str_eq(get(kv, b), "two");
    ck_assert(kv->ops->write_begin(kv, 0));
    kv->ops->del(kv, a);
    kv->ops->del(kv, key_of(KV_HOST, 1));
    ck_assert_str_eq(write_get(kv, a), "-");
    ck_assert(kv->ops->commit(kv));
    ck_assert_str_eq(get(kv, a), "-");
    ck_assert_str_eq(get(kv, b), "two");
    kv->ops->close(kv);
}
END_TEST

START_TEST(limits)
{
    static char big[KV_VALUE_MAX + 1];
    struct kv *kv = open_kv(_i, 1 << 20);
    uint64_t k = key_of(KV_DOMAIN, 1);
    struct kv_view *v;
    struct kv_value value;

    memset(big, 'b', sizeof(big));
    ck_assert(kv->ops->write_begin(kv, 0));
    put(kv, k, "old");
    kv->ops->put(kv, k, big, sizeof(big));
    kv->ops->put(kv, k, "", 0);
    ck_assert_str_eq(write_get(kv, k), "old");
    kv->ops->put(kv, k, big, KV_VALUE_MAX);
    ck_assert(kv->ops->commit(kv));
    v = kv->ops->view_open(kv);
    ck_assert(kv->ops->begin(v));
    ck_assert(kv->ops->get(v, k, &value));
    ck_assert_uint_eq(value.len, KV_VALUE_MAX);
    ck_assert_mem_eq(value.data, big, KV_VALUE_MAX);
    kv->ops->end(v);
    kv->ops->view_close(v);
    kv->ops->close(kv);
}
END_TEST

struct seen {
    uint64_t keys[8];
    size_t n, max;
};

static bool see(void *ctx, uint64_t key, struct kv_value value)
{
    struct seen *s = ctx;

    ck_assert_uint_eq(value.len, 1);
    s->keys[s->n++] = key;
    return s->n < s->max;
}

START_TEST(walk_in_order)
{
    static const uint64_t keys[] = {0, 1, 256, UINT64_MAX - 1, UINT64_MAX};
    struct kv *kv = open_kv(_i, 1 << 20);
    struct kv_view *v = kv->ops->view_open(kv);
    struct seen s = {.max = 8};

    ck_assert(kv->ops->begin(v));
    kv->ops->walk(v, 0, see, &s);
    ck_assert_uint_eq(s.n, 0);
    kv->ops->end(v);
    ck_assert(kv->ops->write_begin(kv, 0));
    for (int i = 4; i >= 0; i--)
        put(kv, keys[i], "x");
    ck_assert(kv->ops->commit(kv));
    ck_assert(kv->ops->begin(v));
    kv->ops->walk(v, 0, see, &s);
    ck_assert_uint_eq(s.n, 5);
    ck_assert_mem_eq(s.keys, keys, sizeof(keys));
    s = (struct seen){.max = 2};
    kv->ops->walk(v, 2, see, &s);
    ck_assert_uint_eq(s.n, 2);
    ck_assert_mem_eq(s.keys, keys + 2, 2 * sizeof(*keys));
    kv->ops->end(v);
    put_one(kv, 7, "x");
    s = (struct seen){.max = 1};
    ck_assert(kv->ops->begin(v));
    kv->ops->walk(v, 2, see, &s);
    kv->ops->end(v);
    ck_assert_uint_eq(s.keys[0], 7);
    kv->ops->view_close(v);
    kv->ops->close(kv);
}
END_TEST

START_TEST(clear_and_stats)
{
    struct kv *kv = open_kv(_i, 1 << 20);
    struct kv_view *v = kv->ops->view_open(kv);
    struct kv_stats none, some, after;

    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &none);
    kv->ops->end(v);
    ck_assert(kv->ops->write_begin(kv, 0));
    for (uint64_t i = 0; i < 500; i++)
        put(kv, key_of(i % KV_KINDS, i), "a value of some length");
    ck_assert(kv->ops->commit(kv));
    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &some);
    kv->ops->end(v);
    ck_assert(kv->ops->write_begin(kv, 0));
    kv->ops->clear(kv);
    put(kv, 1, "new");
    ck_assert(kv->ops->commit(kv));
    ck_assert_str_eq(get(kv, 1), "new");
    ck_assert_str_eq(get(kv, key_of(0, 0)), "-");
    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &after);
    kv->ops->end(v);
    ck_assert_uint_eq(none.entries, 0);
    ck_assert_uint_eq(some.entries, 500);
    ck_assert_uint_eq(after.entries, 1);
    ck_assert_uint_eq(some.size_bytes, 1 << 20);
    ck_assert_uint_ge(some.used_bytes, none.used_bytes + 500 * 22);
    ck_assert_uint_lt(after.used_bytes, some.used_bytes);
    ck_assert_uint_eq(some.readers, _i == LMDB ? 1 : 0);
    kv->ops->view_close(v);
    kv->ops->close(kv);
}
END_TEST

/* ---- against a table of what was put ---- */

enum { MODEL_KEYS = 3000, MODEL_ROUNDS = 60, MODEL_CHANGES = 500 };

struct model {
    struct kv *kv;
    uint64_t key[MODEL_KEYS];
    size_t len[MODEL_KEYS]; /* 0: not there */
    unsigned char fill[MODEL_KEYS];
    size_t seen;
    uint64_t last;
};

/* Mostly small, some as large as a page and more. */
static size_t some_length(unsigned r)
{
    static const size_t most[] = {20, 20, 60, 60, 150, 400, 3000, 9000};

    return 1 + (r >> 3) % most[r % 8];
}

static void check_model_value(const struct model *m, size_t i,
                              struct kv_value v)
{
    size_t same = 0;

    while (same < v.len && v.data[same] == m->fill[i])
        same++;
    ck_assert_uint_eq(v.len, m->len[i]);
    ck_assert_uint_eq(same, v.len);
}

static size_t model_index(const struct model *m, uint64_t key)
{
    size_t i = 0;

    while (i < MODEL_KEYS && m->key[i] != key)
        i++;
    ck_assert_uint_lt(i, MODEL_KEYS);
    return i;
}

static bool see_model(void *ctx, uint64_t key, struct kv_value value)
{
    struct model *m = ctx;

    ck_assert(m->seen == 0 || key > m->last);
    m->last = key;
    m->seen++;
    check_model_value(m, model_index(m, key), value);
    return true;
}

/* How many there are. */
static size_t get_model(struct model *m, struct kv_view *v)
{
    struct kv_value value;
    size_t n = 0;

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        bool found;

        if (m->kv->ops->expect != NULL)
            m->kv->ops->expect(v, m->key[i]);
        found = m->kv->ops->get(v, m->key[i], &value);
        ck_assert(found == (m->len[i] > 0));
        if (found)
            check_model_value(m, i, value);
        n += found;
    }
    return n;
}

/* Twice: a view may remember where it found something, until the next
   commit. */
static void check_model(struct model *m, struct kv_view *v)
{
    ck_assert(m->kv->ops->begin(v));
    get_model(m, v);
    m->seen = 0;
    m->kv->ops->walk(v, 0, see_model, m);
    ck_assert_uint_eq(m->seen, get_model(m, v));
    m->kv->ops->end(v);
}

static void change_model(struct model *m, unsigned *r, unsigned dels_of_8)
{
    static unsigned char value[9001];
    struct kv_value v;
    size_t i;

    *r = *r * 1103515245 + 12345;
    i = (*r >> 8) % MODEL_KEYS;
    if ((*r >> 5) % 8 < dels_of_8) {
        m->len[i] = 0;
        m->kv->ops->del(m->kv, m->key[i]);
    } else {
        m->len[i] = some_length(*r >> 10);
        m->fill[i] = (unsigned char)*r;
        memset(value, m->fill[i], m->len[i]);
        m->kv->ops->put(m->kv, m->key[i], value, m->len[i]);
    }
    ck_assert(m->kv->ops->write_get(m->kv, m->key[i], &v) == (m->len[i] > 0));
}

/* Grows, then shrinks: all that was put is there, in order, and nothing else;
   what is deleted gives its room back. */
START_TEST(as_put)
{
    static struct model m;
    struct kv_stats most, least;
    struct kv_view *v;
    unsigned r = 1;

    m = (struct model){.kv = open_kv(_i, 32 << 20)};
    for (size_t i = 0; i < MODEL_KEYS; i++)
        m.key[i] = i == 0 ? UINT64_MAX : key_of((uint64_t)i % KV_KINDS, i);
    v = m.kv->ops->view_open(m.kv);
    for (unsigned round = 0; round < MODEL_ROUNDS; round++) {
        ck_assert(m.kv->ops->write_begin(m.kv, 1000));
        for (unsigned i = 0; i < MODEL_CHANGES; i++)
            change_model(&m, &r, round < MODEL_ROUNDS / 2 ? 2 : 7);
        ck_assert(m.kv->ops->commit(m.kv));
        if (round % 10 > 7)
            check_model(&m, v);
        if (round != MODEL_ROUNDS / 2)
            continue;
        ck_assert(m.kv->ops->begin(v));
        m.kv->ops->stats(v, &most);
        m.kv->ops->end(v);
    }
    ck_assert(m.kv->ops->begin(v));
    m.kv->ops->stats(v, &least);
    m.kv->ops->end(v);
    ck_assert_uint_lt(least.entries, most.entries / 3);
    ck_assert_uint_lt(least.used_bytes, most.used_bytes / 2);
    m.kv->ops->view_close(v);
    m.kv->ops->close(m.kv);
}
END_TEST

/* A flood of low rank does not drive out what ranks higher, nor servers. */
START_TEST(evicts_low_ranks)
{
    enum { SIZE = 1 << 20, GOOD = 300, FLOOD = 20000 };
    struct kv *kv = open_kv(_i, SIZE);
    char value[100];
    unsigned good = 0, bad = 0;
    struct kv_stats stats;
    struct kv_view *v;

    memset(value, '9', sizeof(value));
    value[99] = '\0';
    ck_assert(kv->ops->write_begin(kv, 0));
    for (uint64_t i = 0; i < GOOD; i++)
        put(kv, key_of(i % KV_SERVER, i), value);
    value[0] = '0';
    for (uint64_t i = 0; i < 5; i++)
        put(kv, key_of(KV_SERVER, i), value);
    ck_assert(kv->ops->commit(kv));
    value[0] = '1';
    for (uint64_t i = 0; i < FLOOD; i++) {
        if (i % 100 == 0)
            ck_assert(kv->ops->write_begin(kv, 0));
        put(kv, key_of(i % 2, GOOD + i), value);
        if (i % 100 == 99)
            ck_assert(kv->ops->commit(kv));
    }
    for (uint64_t i = 0; i < GOOD; i++)
        good += *get(kv, key_of(i % KV_SERVER, i)) == '9';
    for (uint64_t i = 0; i < 5; i++)
        ck_assert(*get(kv, key_of(KV_SERVER, i)) == '0');
    for (uint64_t i = 0; i < FLOOD; i++)
        bad += *get(kv, key_of(i % 2, GOOD + i)) == '1';
    ck_assert_uint_ge(good, GOOD * 99 / 100);
    ck_assert_uint_gt(bad, 1000);
    v = kv->ops->view_open(kv);
    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &stats);
    kv->ops->end(v);
    kv->ops->view_close(v);
    ck_assert_uint_eq(stats.entries, good + bad + 5);
    ck_assert_uint_le(stats.used_bytes, SIZE);
    if (_i == LMDB) /* which evicts from 80 % on; and a batch */
        ck_assert_uint_le(stats.used_bytes, SIZE / 100 * 85);
    ck_assert_uint_ge(stats.used_bytes, SIZE / 2);
    kv->ops->close(kv);
}
END_TEST

/* One batch that is larger than everything. */
START_TEST(large_batch)
{
    enum { SIZE = 1 << 20, N = 20000 };
    struct kv *kv = open_kv(_i, SIZE);
    char value[100];
    unsigned kept = 0;

    memset(value, '5', sizeof(value));
    value[99] = '\0';
    for (int round = 0; round < 3; round++) {
        ck_assert(kv->ops->write_begin(kv, 0));
        for (uint64_t i = 0; i < N; i++)
            put(kv, key_of(KV_DOMAIN, i), value);
        ck_assert(kv->ops->commit(kv));
    }
    for (uint64_t i = 0; i < N; i++)
        kept += *get(kv, key_of(KV_DOMAIN, i)) == '5';
    ck_assert_uint_gt(kept, 1000);
    ck_assert_uint_lt(kept, 10000);
    kv->ops->close(kv);
}
END_TEST

/* Threads that read and threads that take turns at writing. */

struct crew {
    struct kv *kv;
    unsigned begun;
};

static void *write_some(void *ctx)
{
    struct crew *c = ctx;
    char value[32];

    for (int i = 0; i < 200; i++) {
        if (!c->kv->ops->write_begin(c->kv, 10000))
            return "not begun";
        snprintf(value, sizeof(value), "%d-%d", c->begun, c->begun);
        c->begun++; /* only one writes */
        for (uint64_t k = 0; k < 10; k++)
            put(c->kv, key_of(KV_DOMAIN, k), value);
        if (!c->kv->ops->commit(c->kv))
            return "not committed";
    }
    return NULL;
}

static void *read_some(void *ctx)
{
    struct kv *kv = ((struct crew *)ctx)->kv;
    struct kv_view *v = kv->ops->view_open(kv);
    struct kv_value value;
    char *wrong = NULL;

    for (uint64_t i = 0; i < 20000 && wrong == NULL; i++) {
        char got[32];
        int a, b;

        if (!kv->ops->begin(v))
            wrong = "nothing to read";
        else if (kv->ops->get(v, key_of(KV_DOMAIN, i % 10), &value)) {
            snprintf(got, sizeof(got), "%.*s", (int)value.len,
                     (const char *)value.data);
            if (sscanf(got, "%d-%d", &a, &b) != 2 || a != b)
                wrong = "torn value";
        }
        kv->ops->end(v);
    }
    kv->ops->view_close(v);
    return wrong;
}

START_TEST(threads)
{
    /* Large: a reader that has to wait for a processor holds old pages. */
    struct crew c = {.kv = open_kv(_i, 16 << 20)};
    pthread_t t[4];
    void *wrong[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(
            pthread_create(&t[i], NULL, i < 2 ? write_some : read_some, &c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], &wrong[i]);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(wrong[i] == NULL, "%s", (char *)wrong[i]);
    ck_assert_uint_eq(c.begun, 400);
    ck_assert_str_eq(get(c.kv, key_of(KV_DOMAIN, 3)), "399-399");
    c.kv->ops->close(c.kv);
}
END_TEST

static void *begin_while_other_writes(void *kv)
{
    return ((struct kv *)kv)->ops->write_begin(kv, 20) ? kv : NULL;
}

START_TEST(one_writer)
{
    struct kv *kv = open_kv(_i, 1 << 20);
    uint64_t k = key_of(KV_DOMAIN, 1);
    pthread_t t;
    void *begun;

    ck_assert(kv->ops->write_begin(kv, 0));
    put(kv, k, "x");
    ck_assert_int_eq(pthread_create(&t, NULL, begin_while_other_writes, kv), 0);
    pthread_join(t, &begun);
    ck_assert_ptr_null(begun);
    get(kv, k); /* reading goes on */
    ck_assert(kv->ops->commit(kv));
    ck_assert_str_eq(get(kv, k), "x");
    kv->ops->close(kv);
}
END_TEST

START_TEST(no_memory)
{
    for (unsigned n = 1;; n++) {
        struct mxhop_error err = {0};
        struct kv_value value;
        struct kv_view *v = NULL;
        bool hit, good = true;
        struct kv *kv;
        char text_of[16];

        failmalloc_at(n);
        if (try_open(_i, &kv, 1 << 20, &err) == MXHOP_OK) {
            good = kv->ops->write_begin(kv, 0);
            for (uint64_t i = 0; good && i < 200; i++) {
                snprintf(text_of, sizeof(text_of), "%d", (int)i);
                put(kv, key_of(KV_DOMAIN, i), text_of);
            }
            good = good && kv->ops->commit(kv);
            v = kv->ops->view_open(kv);
            if (v != NULL && kv->ops->begin(v)) {
                for (uint64_t i = 0; i < 200; i++)
                    if (kv->ops->get(v, key_of(KV_DOMAIN, i), &value))
                        good = good && atoi(text(true, value)) == (int)i;
                kv->ops->end(v);
            }
            if (v != NULL)
                kv->ops->view_close(v);
            kv->ops->close(kv);
        } else {
            good = err.code == MXHOP_ERR_MEMORY;
        }
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(good);
        if (!hit)
            break;
    }
}
END_TEST

/* ---- of the memory backend only ---- */

START_TEST(memory_is_bounded)
{
    enum { MAX = 200000, N = 20000, SLACK = 8192 /* freed, yet counted */ };
    size_t before = mallinfo2().uordblks;
    struct kv *kv = open_kv(MEMORY, MAX);
    char value[100];
    struct kv_stats stats;
    struct kv_view *v;

    memset(value, 'v', sizeof(value));
    value[99] = '\0';
    ck_assert(kv->ops->write_begin(kv, 0));
    for (uint64_t i = 0; i < N; i++) {
        value[i % 99] = '\0'; /* of all lengths */
        put(kv, key_of(i % KV_KINDS, i), value);
        value[i % 99] = 'v';
        ck_assert_uint_le(mallinfo2().uordblks - before, MAX + SLACK);
    }
    ck_assert(kv->ops->commit(kv));
    v = kv->ops->view_open(kv);
    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &stats);
    kv->ops->end(v);
    kv->ops->view_close(v);
    ck_assert_uint_le(stats.used_bytes, MAX);
    ck_assert_uint_gt(stats.entries, 200);
    kv->ops->close(kv);
}
END_TEST

START_TEST(memory_needs_room)
{
    struct mxhop_error err;
    struct kv *kv;
    char big[9000];

    ck_assert_int_eq(kv_memory_open(&kv, 100, first_octet, &err),
                     MXHOP_ERR_ARGUMENT);
    ck_assert_ptr_null(kv);
    kv = open_kv(MEMORY, 8192);
    memset(big, 'b', sizeof(big));
    put_one(kv, 1, "old");
    ck_assert(kv->ops->write_begin(kv, 0));
    kv->ops->put(kv, 1, big, sizeof(big));
    /* Nothing but servers: none of them goes, new ones are dropped. */
    for (uint64_t i = 0; i < 500; i++)
        kv->ops->put(kv, key_of(KV_SERVER, i), "0server", 7);
    ck_assert(kv->ops->commit(kv));
    ck_assert_str_eq(get(kv, key_of(KV_SERVER, 0)), "0server");
    ck_assert_str_eq(get(kv, key_of(KV_SERVER, 499)), "-");
    kv->ops->close(kv);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv");
    TCase *t = tcase_create("both"), *m = tcase_create("memory");
    TCase *crew = tcase_create("threads");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, put_get_del, 0, BACKENDS);
    tcase_add_loop_test(t, limits, 0, BACKENDS);
    tcase_add_loop_test(t, walk_in_order, 0, BACKENDS);
    tcase_add_loop_test(t, clear_and_stats, 0, BACKENDS);
    tcase_add_loop_test(t, as_put, 0, BACKENDS);
    tcase_add_loop_test(t, evicts_low_ranks, 0, BACKENDS);
    tcase_add_loop_test(t, large_batch, 0, BACKENDS);
    tcase_add_loop_test(t, no_memory, 0, BACKENDS);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(crew, setup, teardown);
    tcase_set_tags(crew, "threads");
    tcase_set_timeout(crew, 60);
    tcase_add_loop_test(crew, threads, 0, BACKENDS);
    tcase_add_loop_test(crew, one_writer, 0, BACKENDS);
    suite_add_tcase(s, crew);
    tcase_add_test(m, memory_is_bounded);
    tcase_add_test(m, memory_needs_room);
    suite_add_tcase(s, m);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
