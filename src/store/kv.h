/*
 * A backend of the DNS cache: a bounded map from bytes to bytes that may
 * forget anything at any time. Calls come under the cache's lock.
 */

#ifndef STORE_KV_H
#define STORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>

struct kv;

#define KV_KEY_MAX   256 /* octets */
#define KV_VALUE_MAX 65536

/* How willingly an entry is given up: strangers choose names. */
enum kv_worth { KV_NEGATIVE, KV_POSITIVE, KV_WORTHS };

struct kv_ops {
    /* Copies the value into buf (cap bytes); returns its length, 0 if there
       is none, more than cap (nothing copied) if it does not fit. */
    size_t (*get)(struct kv *kv, const void *key, size_t key_len, void *buf,
                  size_t cap);
    /* Keep or replace; may fail silently (full, out of memory). */
    void (*put)(struct kv *kv, const void *key, size_t key_len,
                const void *value, size_t len, enum kv_worth worth);
    void (*del)(struct kv *kv, const void *key, size_t key_len);
    void (*close)(struct kv *kv);
};

struct kv {
    const struct kv_ops *ops;
};

/* In the memory of this process, at most max_bytes with all overhead counted.
   Eviction by sampling: of a handful of random entries negative ones go
   first, then the one not used for longest. */
enum mxhop_status kv_memory_open(struct kv **kv_r, size_t max_bytes,
                                 struct mxhop_error *err);

#endif
