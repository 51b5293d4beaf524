/*
 * A backend of the DNS cache for tests: a sorted array under one lock, that
 * refuses, forgets and collides on demand. For one test file.
 */

#ifndef UNIT_FAKE_KV_H
#define UNIT_FAKE_KV_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "store/kv.h"

struct fake_entry {
    uint64_t key;
    unsigned char *value;
    size_t len;
};

struct fake_kv {
    struct kv kv;
    pthread_mutex_t lock;
    struct fake_entry *entry;
    size_t n, cap;
    bool refuse_read, refuse_write, refuse_commit;
    unsigned collide; /* a bit a kind: all its keys are the same */
    unsigned transactions, puts;
    unsigned now_puts, most_puts; /* in a transaction */
};

struct fake_view {
    struct fake_kv *fake;
};

static struct fake_kv *fake_of(struct kv *kv)
{
    return (struct fake_kv *)kv;
}

static struct fake_kv *fake_seen(struct kv_view *v)
{
    return ((struct fake_view *)v)->fake;
}

static uint64_t fake_key(const struct fake_kv *f, uint64_t key)
{
    enum kv_kind kind = kv_kind_of(key);

    return (f->collide >> kind & 1) != 0 ? kv_key(kind, 0) : key;
}

/* The first with at least that key. */
static size_t fake_place(const struct fake_kv *f, uint64_t key)
{
    size_t low = 0, high = f->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (f->entry[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct fake_entry *fake_find(struct fake_kv *f, uint64_t key)
{
    size_t i = fake_place(f, fake_key(f, key));

    return i < f->n && f->entry[i].key == fake_key(f, key) ? &f->entry[i]
                                                           : NULL;
}

static bool fake_value(struct fake_kv *f, uint64_t key, struct kv_value *v_r)
{
    const struct fake_entry *e = fake_find(f, key);

    if (e == NULL)
        return false;
    *v_r = (struct kv_value){e->value, e->len};
    return true;
}

static struct kv_view *fake_view_open(struct kv *kv)
{
    struct fake_view *v = malloc(sizeof(*v));

    if (v != NULL)
        v->fake = fake_of(kv);
    return (struct kv_view *)v;
}

static void fake_view_close(struct kv_view *v)
{
    free(v);
}

static bool fake_begin(struct kv_view *v)
{
    if (fake_seen(v)->refuse_read)
        return false;
    pthread_mutex_lock(&fake_seen(v)->lock);
    return true;
}

static bool fake_get(struct kv_view *v, uint64_t key, struct kv_value *v_r)
{
    return fake_value(fake_seen(v), key, v_r);
}

static void fake_walk(struct kv_view *v, uint64_t from, kv_walk_fn *fn,
                      void *ctx)
{
    struct fake_kv *f = fake_seen(v);

    for (size_t i = fake_place(f, from); i < f->n; i++)
        if (!fn(ctx, f->entry[i].key,
                (struct kv_value){f->entry[i].value, f->entry[i].len}))
            return;
}

static void fake_stats(struct kv_view *v, struct kv_stats *stats_r)
{
    *stats_r = (struct kv_stats){.entries = fake_seen(v)->n};
}

static void fake_end(struct kv_view *v)
{
    pthread_mutex_unlock(&fake_seen(v)->lock);
}

static bool fake_write_begin(struct kv *kv, uint32_t wait_ms)
{
    (void)wait_ms;
    if (fake_of(kv)->refuse_write)
        return false;
    pthread_mutex_lock(&fake_of(kv)->lock);
    fake_of(kv)->transactions++;
    fake_of(kv)->now_puts = 0;
    return true;
}

static bool fake_write_get(struct kv *kv, uint64_t key, struct kv_value *v_r)
{
    return fake_value(fake_of(kv), key, v_r);
}

static bool fake_room(struct fake_kv *f)
{
    size_t cap = f->cap > 0 ? 2 * f->cap : 64;
    struct fake_entry *entry;

    if (f->n < f->cap)
        return true;
    entry = realloc(f->entry, cap * sizeof(*entry));
    if (entry == NULL)
        return false;
    f->entry = entry;
    f->cap = cap;
    return true;
}

/* A commit that will be refused: nothing is changed to begin with. */
static void fake_put(struct kv *kv, uint64_t key, const void *value, size_t len)
{
    struct fake_kv *f = fake_of(kv);
    struct fake_entry *e = fake_find(f, key);
    unsigned char *copy;

    f->puts++;
    f->now_puts++;
    if (f->refuse_commit)
        return;
    copy = malloc(len);
    if (copy == NULL || (e == NULL && !fake_room(f))) {
        free(copy);
        return;
    }
    memcpy(copy, value, len);
    if (e == NULL) {
        size_t i = fake_place(f, fake_key(f, key));

        e = &f->entry[i];
        memmove(e + 1, e, (f->n++ - i) * sizeof(*e));
        *e = (struct fake_entry){.key = fake_key(f, key)};
    }
    free(e->value); /* what was read is gone: as in a real backend */
    e->value = copy;
    e->len = len;
}

static void fake_del(struct kv *kv, uint64_t key)
{
    struct fake_kv *f = fake_of(kv);
    struct fake_entry *e = fake_find(f, key);

    if (e == NULL || f->refuse_commit)
        return;
    free(e->value);
    memmove(e, e + 1, (size_t)(f->entry + --f->n - e) * sizeof(*e));
}

static void fake_clear(struct kv *kv)
{
    struct fake_kv *f = fake_of(kv);

    if (f->refuse_commit)
        return;
    while (f->n > 0)
        free(f->entry[--f->n].value);
}

static bool fake_commit(struct kv *kv)
{
    struct fake_kv *f = fake_of(kv);
    bool refused = f->refuse_commit;

    if (f->now_puts > f->most_puts)
        f->most_puts = f->now_puts;
    pthread_mutex_unlock(&f->lock);
    return !refused;
}

static void fake_close(struct kv *kv)
{
    struct fake_kv *f = fake_of(kv);

    f->refuse_commit = false;
    fake_clear(kv);
    free(f->entry);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static const struct kv_ops fake_ops = {
    .view_open = fake_view_open,
    .view_close = fake_view_close,
    .begin = fake_begin,
    .get = fake_get,
    .walk = fake_walk,
    .stats = fake_stats,
    .end = fake_end,
    .write_begin = fake_write_begin,
    .write_get = fake_write_get,
    .put = fake_put,
    .del = fake_del,
    .clear = fake_clear,
    .commit = fake_commit,
    .close = fake_close,
};

static struct fake_kv *fake_kv_open(void)
{
    struct fake_kv *f = calloc(1, sizeof(*f));

    f->kv = (struct kv){&fake_ops, 0x5eed, true};
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

#endif
