/*
 * kv_memory - the DNS cache in the memory of one process
 *
 * A hash table with chains. The hash is keyed with random bits: strangers
 * choose the names. Beside the buckets there is a dense array of all nodes,
 * so that a random one is found at once; eviction looks at a handful of them
 * and gives up the least worthy, among equals the one not used for longest.
 *
 * Everything counts towards max_bytes: nodes as malloc(3) rounds them, and
 * both arrays, also while they grow. What cannot be kept is dropped without a
 * word; an older value of the key then stays (it has an expiry of its own).
 *
 * Owned by the cache, called under its lock.
 */

#include "store/kv.h"
#include "util/err.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS_FIRST 64 /* power of two */
#define SAMPLES     8

struct node {
    struct node *next; /* in its bucket */
    uint64_t hash;
    uint64_t used;  /* tick of the last use */
    uint32_t index; /* in nodes[] */
    uint32_t value_len;
    uint16_t key_len;
    uint8_t worth;
    unsigned char bytes[]; /* key, value */
};

struct memory {
    struct kv kv;
    size_t max_bytes, used_bytes;
    uint64_t seed, tick, draws;
    uint32_t n, cap; /* of nodes[] and of buckets[] alike */
    struct node **nodes;
    struct node **buckets;
};

static size_t charge(size_t n)
{
    size_t rounded = (n + 8 + 15) & ~(size_t)15; /* glibc: header, 16 */

    return rounded < 32 ? 32 : rounded;
}

static size_t node_charge(size_t key_len, size_t value_len)
{
    return charge(sizeof(struct node) + key_len + value_len);
}

static size_t arrays_charge(uint32_t cap)
{
    return 2 * charge(cap * sizeof(struct node *));
}

static struct node **bucket_of(const struct memory *m, uint64_t hash)
{
    return &m->buckets[hash & (m->cap - 1)];
}

static struct node *find(const struct memory *m, const void *key,
                         size_t key_len)
{
    uint64_t hash = hash_bytes(m->seed, key, key_len);
    struct node *n = *bucket_of(m, hash);

    while (n != NULL && (n->hash != hash || n->key_len != key_len ||
                         memcmp(n->bytes, key, key_len) != 0))
        n = n->next;
    return n;
}

static void drop(struct memory *m, struct node *n)
{
    struct node **p = bucket_of(m, n->hash);
    struct node *last = m->nodes[--m->n];

    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    last->index = n->index;
    m->nodes[last->index] = last;
    m->used_bytes -= node_charge(n->key_len, n->value_len);
    free(n);
}

static struct node *draw(struct memory *m)
{
    uint64_t r = hash_bytes(m->seed, &m->draws, sizeof(m->draws));

    m->draws++;
    return m->nodes[r % m->n];
}

static bool worse(const struct node *a, const struct node *b)
{
    return a->worth != b->worth ? a->worth < b->worth : a->used < b->used;
}

static void evict_one(struct memory *m)
{
    struct node *victim = draw(m);

    for (int i = 1; i < SAMPLES; i++) {
        struct node *other = draw(m);

        if (worse(other, victim))
            victim = other;
    }
    drop(m, victim);
}

static void fill_buckets(struct memory *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        struct node **b = bucket_of(m, m->nodes[i]->hash);

        m->nodes[i]->next = *b;
        *b = m->nodes[i];
    }
}

/* Twice the slots, if memory and max_bytes (old and new together) allow. */
static bool grow(struct memory *m)
{
    uint32_t cap = m->cap * 2;
    struct node **nodes, **buckets;

    if (m->cap > UINT32_MAX / 4 ||
        arrays_charge(cap) > m->max_bytes - m->used_bytes)
        return false;
    nodes = calloc(cap, sizeof(*nodes));
    buckets = calloc(cap, sizeof(struct node *));
    if (nodes == NULL || buckets == NULL) {
        free(nodes);
        free(buckets);
        return false;
    }
    memcpy(nodes, m->nodes, m->n * sizeof(*nodes));
    free(m->nodes);
    free(m->buckets);
    m->used_bytes += arrays_charge(cap) - arrays_charge(m->cap);
    m->nodes = nodes;
    m->buckets = buckets;
    m->cap = cap;
    fill_buckets(m);
    return true;
}

static void insert(struct memory *m, struct node *n)
{
    size_t need = node_charge(n->key_len, n->value_len);
    struct node **b;

    while (m->n > 0 && m->max_bytes - m->used_bytes < need)
        evict_one(m);
    if (m->n == m->cap && !grow(m))
        evict_one(m);
    if (m->max_bytes - m->used_bytes < need) {
        free(n);
        return;
    }
    n->index = m->n;
    m->nodes[m->n++] = n;
    b = bucket_of(m, n->hash);
    n->next = *b;
    *b = n;
    m->used_bytes += need;
}

static void memory_put(struct kv *kv, const void *key, size_t key_len,
                       const void *value, size_t len, enum kv_worth worth)
{
    struct memory *m = (struct memory *)kv;
    struct node *n, *old;

    if (key_len == 0 || key_len > KV_KEY_MAX || len == 0 ||
        len > KV_VALUE_MAX ||
        node_charge(key_len, len) > m->max_bytes - arrays_charge(m->cap))
        return;
    n = malloc(sizeof(*n) + key_len + len);
    if (n == NULL)
        return;
    n->hash = hash_bytes(m->seed, key, key_len);
    n->used = ++m->tick;
    n->key_len = (uint16_t)key_len;
    n->value_len = (uint32_t)len;
    n->worth = (uint8_t)worth;
    memcpy(n->bytes, key, key_len);
    memcpy(n->bytes + key_len, value, len);
    old = find(m, key, key_len);
    if (old != NULL)
        drop(m, old);
    insert(m, n);
}

static size_t memory_get(struct kv *kv, const void *key, size_t key_len,
                         void *buf, size_t cap)
{
    struct memory *m = (struct memory *)kv;
    struct node *n = find(m, key, key_len);

    if (n == NULL)
        return 0;
    n->used = ++m->tick;
    if (n->value_len <= cap)
        memcpy(buf, n->bytes + n->key_len, n->value_len);
    return n->value_len;
}

static void memory_del(struct kv *kv, const void *key, size_t key_len)
{
    struct memory *m = (struct memory *)kv;
    struct node *n = find(m, key, key_len);

    if (n != NULL)
        drop(m, n);
}

static void memory_close(struct kv *kv)
{
    struct memory *m = (struct memory *)kv;

    for (uint32_t i = 0; i < m->n; i++)
        free(m->nodes[i]);
    free(m->nodes);
    free(m->buckets);
    free(m);
}

static const struct kv_ops memory_ops = {memory_get, memory_put, memory_del,
                                         memory_close};

enum mxhop_status kv_memory_open(struct kv **kv_r, size_t max_bytes,
                                 struct mxhop_error *err)
{
    size_t fixed = charge(sizeof(struct memory)) + arrays_charge(SLOTS_FIRST);
    struct memory *m;

    *kv_r = NULL;
    if (max_bytes < fixed)
        return err_set(err, MXHOP_ERR_ARGUMENT,
                       "a memory cache needs at least %zu bytes, not %zu",
                       fixed, max_bytes);
    m = calloc(1, sizeof(*m));
    if (m == NULL)
        return err_nomem(err);
    m->kv.ops = &memory_ops;
    m->max_bytes = max_bytes - charge(sizeof(*m));
    m->used_bytes = arrays_charge(SLOTS_FIRST);
    m->cap = SLOTS_FIRST;
    m->nodes = calloc(m->cap, sizeof(*m->nodes));
    m->buckets = calloc(m->cap, sizeof(*m->buckets));
    if (m->nodes == NULL || m->buckets == NULL) {
        memory_close(&m->kv);
        return err_nomem(err);
    }
    /* Without random bits at early boot a guess must do: not a secret. */
    if (getrandom(&m->seed, sizeof(m->seed), GRND_NONBLOCK) < 0)
        m->seed = (uint64_t)(uintptr_t)m;
    *kv_r = &m->kv;
    return MXHOP_OK;
}
