/*
 * kv_memory - the DNS cache in the memory of one process
 *
 * A hash table with chains. Beside the buckets there is a dense array of all
 * nodes, so that a random one is found at once; eviction looks at a handful of
 * them and gives up the one with the lowest rank.
 *
 * Everything counts towards max_bytes: nodes as malloc(3) rounds them, and
 * both arrays, also while they grow. What cannot be kept is dropped without a
 * word; an older value of the key then stays (it has an expiry of its own).
 *
 * A view holds the lock from begin() to end(), a writer only while it puts or
 * deletes one entry: so no one waits for a batch. There is one writer at a
 * time, and none but it changes anything: it may look without the lock.
 */

#include "store/kv.h"
#include "store/wait.h"
#include "util/clock.h"
#include "util/err.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS_FIRST 64 /* power of two */
#define SAMPLES     16

struct node {
    struct node *next; /* in its bucket */
    uint64_t key;
    uint32_t index; /* in nodes[] */
    uint32_t len;
    unsigned char bytes[];
};

struct memory {
    struct kv kv;
    pthread_mutex_t lock;    /* of all below */
    pthread_mutex_t writing; /* held from write_begin() to commit() */
    kv_rank_fn *rank;
    size_t max_bytes, used_bytes;
    uint64_t random;
    uint32_t n, cap; /* of nodes[] and of buckets[] alike */
    bool sorted;     /* nodes[], by key */
    struct node **nodes;
    struct node **buckets;
};

struct kv_view {
    struct memory *m;
};

static size_t charge(size_t n)
{
    size_t rounded = (n + 8 + 15) & ~(size_t)15; /* glibc: header, 16 */

    return rounded < 32 ? 32 : rounded;
}

static size_t node_charge(size_t len)
{
    return charge(sizeof(struct node) + len);
}

static size_t arrays_charge(uint32_t cap)
{
    return 2 * charge(cap * sizeof(struct node *));
}

/* Keys are keyed hashes already; the kind alone is not spread. */
static struct node **bucket_of(const struct memory *m, uint64_t key)
{
    return &m->buckets[(key ^ key >> KV_KIND_SHIFT) & (m->cap - 1)];
}

static struct node *find(const struct memory *m, uint64_t key)
{
    struct node *n = *bucket_of(m, key);

    while (n != NULL && n->key != key)
        n = n->next;
    return n;
}

static void drop(struct memory *m, struct node *n)
{
    struct node **p = bucket_of(m, n->key);
    struct node *last = m->nodes[--m->n];

    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    last->index = n->index;
    m->nodes[last->index] = last;
    m->sorted = false;
    m->used_bytes -= node_charge(n->len);
    free(n);
}

/* ---- room ---- */

static struct node *draw(struct memory *m)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return m->nodes[(m->random >> 33) % m->n];
}

/* false: it met nothing that may go. */
static bool evict_one(struct memory *m)
{
    struct node *victim = NULL;
    uint64_t lowest = 0;

    for (int i = 0; i < SAMPLES && m->n > 0; i++) {
        struct node *n = draw(m);
        uint64_t rank;

        if (kv_kind_of(n->key) == KV_SERVER)
            continue;
        rank = m->rank(n->key, (struct kv_value){n->bytes, n->len});
        if (victim == NULL || rank < lowest) {
            victim = n;
            lowest = rank;
        }
    }
    if (victim != NULL)
        drop(m, victim);
    return victim != NULL;
}

static void fill_buckets(struct memory *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        struct node **b = bucket_of(m, m->nodes[i]->key);

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
    size_t need = node_charge(n->len);
    struct node **b;
    bool room = true;

    while (room && m->max_bytes - m->used_bytes < need)
        room = evict_one(m);
    if (room && m->n == m->cap && !grow(m))
        room = evict_one(m);
    if (!room || m->max_bytes - m->used_bytes < need) {
        free(n);
        return;
    }
    n->index = m->n;
    m->nodes[m->n++] = n;
    m->sorted = false;
    b = bucket_of(m, n->key);
    n->next = *b;
    *b = n;
    m->used_bytes += need;
}

/* ---- writing ---- */

static bool memory_write_begin(struct kv *kv, uint32_t wait_ms)
{
    struct memory *m = (struct memory *)kv;

    return wait_mutex(&m->writing, clock_boot_ms() + wait_ms);
}

static bool find_value(const struct memory *m, uint64_t key,
                       struct kv_value *value_r)
{
    const struct node *n = find(m, key);

    if (n == NULL)
        return false;
    value_r->data = n->bytes;
    value_r->len = n->len;
    return true;
}

static bool memory_write_get(struct kv *kv, uint64_t key,
                             struct kv_value *value_r)
{
    return find_value((struct memory *)kv, key, value_r);
}

static void memory_put(struct kv *kv, uint64_t key, const void *value,
                       size_t len)
{
    struct memory *m = (struct memory *)kv;
    struct node *n, *old;

    if (len == 0 || len > KV_VALUE_MAX ||
        node_charge(len) > m->max_bytes - arrays_charge(m->cap))
        return;
    n = malloc(sizeof(*n) + len);
    if (n == NULL)
        return;
    n->key = key;
    n->len = (uint32_t)len;
    memcpy(n->bytes, value, len); /* which may be of write_get() */
    pthread_mutex_lock(&m->lock);
    old = find(m, key);
    if (old != NULL)
        drop(m, old);
    insert(m, n);
    pthread_mutex_unlock(&m->lock);
}

static void memory_del(struct kv *kv, uint64_t key)
{
    struct memory *m = (struct memory *)kv;
    struct node *n;

    pthread_mutex_lock(&m->lock);
    n = find(m, key);
    if (n != NULL)
        drop(m, n);
    pthread_mutex_unlock(&m->lock);
}

static void memory_clear(struct kv *kv)
{
    struct memory *m = (struct memory *)kv;

    pthread_mutex_lock(&m->lock);
    while (m->n > 0)
        drop(m, m->nodes[m->n - 1]);
    pthread_mutex_unlock(&m->lock);
}

static bool memory_commit(struct kv *kv)
{
    struct memory *m = (struct memory *)kv;

    pthread_mutex_unlock(&m->writing);
    return true;
}

/* ---- reading ---- */

static struct kv_view *memory_view_open(struct kv *kv)
{
    struct kv_view *v = malloc(sizeof(*v));

    if (v != NULL)
        v->m = (struct memory *)kv;
    return v;
}

static void memory_view_close(struct kv_view *v)
{
    free(v);
}

static bool memory_begin(struct kv_view *v)
{
    pthread_mutex_lock(&v->m->lock);
    return true;
}

static void memory_end(struct kv_view *v)
{
    pthread_mutex_unlock(&v->m->lock);
}

static bool memory_get(struct kv_view *v, uint64_t key,
                       struct kv_value *value_r)
{
    return find_value(v->m, key, value_r);
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(struct node *const *)a)->key;
    uint64_t y = (*(struct node *const *)b)->key;

    return x < y ? -1 : x > y;
}

/* The nodes themselves: their order means nothing, and a copy might exceed
   max_bytes. Only a command walks, in many pieces. */
static void sort_nodes(struct memory *m)
{
    if (m->sorted)
        return;
    qsort(m->nodes, m->n, sizeof(struct node *), by_key);
    for (uint32_t i = 0; i < m->n; i++)
        m->nodes[i]->index = i;
    m->sorted = true;
}

static void memory_walk(struct kv_view *v, uint64_t from, kv_walk_fn *fn,
                        void *ctx)
{
    struct memory *m = v->m;
    uint32_t low = 0, high = m->n;

    sort_nodes(m);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (m->nodes[middle]->key < from)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = low; i < m->n; i++) {
        const struct node *n = m->nodes[i];

        if (!fn(ctx, n->key, (struct kv_value){n->bytes, n->len}))
            return;
    }
}

static void memory_stats(struct kv_view *v, struct kv_stats *stats_r)
{
    const struct memory *m = v->m;

    memset(stats_r, 0, sizeof(*stats_r));
    stats_r->size_bytes = m->max_bytes + charge(sizeof(*m));
    stats_r->used_bytes = m->used_bytes + charge(sizeof(*m));
    stats_r->entries = m->n;
}

/* ---- opening and closing ---- */

static void memory_close(struct kv *kv)
{
    struct memory *m = (struct memory *)kv;

    for (uint32_t i = 0; i < m->n; i++)
        free(m->nodes[i]);
    free(m->nodes);
    free(m->buckets);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->writing);
    free(m);
}

static const struct kv_ops memory_ops = {
    .view_open = memory_view_open,
    .view_close = memory_view_close,
    .begin = memory_begin,
    .get = memory_get,
    .walk = memory_walk,
    .stats = memory_stats,
    .end = memory_end,
    .write_begin = memory_write_begin,
    .write_get = memory_write_get,
    .put = memory_put,
    .del = memory_del,
    .clear = memory_clear,
    .commit = memory_commit,
    .close = memory_close,
};

enum mxhop_status kv_memory_open(struct kv **kv_r, size_t max_bytes,
                                 kv_rank_fn *rank, struct mxhop_error *err)
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
    m->rank = rank;
    pthread_mutex_init(&m->lock, NULL); /* never fails with glibc */
    pthread_mutex_init(&m->writing, NULL);
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
    if (getrandom(&m->kv.seed, sizeof(m->kv.seed), GRND_NONBLOCK) < 0)
        m->kv.seed = (uint64_t)(uintptr_t)m;
    m->random = ~m->kv.seed;
    *kv_r = &m->kv;
    return MXHOP_OK;
}
