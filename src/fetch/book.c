/*
 * book - all domains of the store in memory
 *
 * A domain keeps its entry as the store has it, so that writing the store is no
 * more than handing over pointers. Items do not move: queues and jobs hold
 * them.
 */

#include "fetch/book.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/hash.h"
#include "util/vec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct item **book_bucket(const struct book *b, uint64_t hash)
{
    return &b->buckets[hash & (b->n_buckets - 1)];
}

struct item *book_find(const struct book *b, const char *domain)
{
    uint64_t hash = hash_bytes(b->seed, domain, strlen(domain));

    if (b->n_buckets == 0)
        return NULL;
    for (struct item *i = *book_bucket(b, hash); i != NULL; i = i->chain)
        if (i->hash == hash && strcmp(i->domain, domain) == 0)
            return i;
    return NULL;
}

static bool book_grow(struct book *b)
{
    size_t n = b->n_buckets == 0 ? 1024 : b->n_buckets * 2;
    struct item **buckets;

    if (b->n < b->n_buckets)
        return true;
    buckets = calloc(n, sizeof(struct item *));
    if (buckets == NULL)
        return false;
    free(b->buckets);
    b->buckets = buckets;
    b->n_buckets = n;
    for (size_t k = 0; k < b->n; k++) {
        struct item **at = book_bucket(b, b->v[k]->hash);

        b->v[k]->chain = *at;
        *at = b->v[k];
    }
    return true;
}

struct item *book_add(struct book *b, const char *domain)
{
    size_t n = strlen(domain);
    struct item *i, **at;

    if (b->n >= BOOK_DOMAINS_MAX || b->untried >= BOOK_NEW_MAX ||
        !book_grow(b) || !vec_room(&b->v, b->n, &b->cap, sizeof(*b->v)))
        return NULL;
    i = calloc(1, sizeof(*i) + n + 1);
    if (i == NULL)
        return NULL;
    memcpy(i->domain, domain, n + 1);
    i->hash = hash_bytes(b->seed, domain, n);
    i->at = b->n;
    at = book_bucket(b, i->hash);
    i->chain = *at;
    *at = i;
    b->v[b->n++] = i;
    b->untried++;
    return i;
}

void book_remove(struct book *b, struct item *i)
{
    struct item **at = book_bucket(b, i->hash);

    while (*at != i)
        at = &(*at)->chain;
    *at = i->chain;
    b->v[i->at] = b->v[--b->n];
    b->v[i->at]->at = i->at;
    if (i->len == 0)
        b->untried--;
    else
        b->dirty = true;
    b->policies -= i->has_policy;
    free(i->entry);
    free(i);
}

bool book_get(const struct item *i, struct store_entry *e_r)
{
    *e_r = (struct store_entry){0};
    return i->len == 0 || store_decode(i->entry, i->len, e_r);
}

bool book_put(struct book *b, struct item *i, const struct store_entry *e)
{
    struct buf bytes = {0};
    unsigned char *entry;
    size_t len;

    store_encode(&bytes, e);
    len = bytes.len;
    entry = bytes.failed ? NULL : malloc(len); /* no larger than it must be */
    if (entry != NULL)
        memcpy(entry, bytes.data, len);
    buf_free(&bytes);
    if (entry == NULL)
        return false;
    if (i->len == 0)
        b->untried--;
    free(i->entry);
    i->entry = entry;
    i->len = len;
    i->next_s = e->next_s;
    b->policies += e->has_policy;
    b->policies -= i->has_policy;
    i->has_policy = e->has_policy;
    b->dirty = true;
    return true;
}

void book_free(struct book *b)
{
    for (size_t k = 0; k < b->n; k++) {
        free(b->v[k]->entry);
        free(b->v[k]);
    }
    free(b->v);
    free(b->buckets);
    *b = (struct book){.seed = b->seed};
}

/* ---- the store ---- */

static bool book_take(void *ctx, const char *domain, struct store_entry *e)
{
    struct book *b = ctx;
    struct item *i = book_add(b, domain);

    return i != NULL && book_put(b, i, e);
}

enum mxhop_status book_load(struct book *b, const char *dir, bool *missing_r,
                            struct mxhop_error *err)
{
    enum mxhop_status status;
    enum fixed_found found;
    struct store *s;

    status = store_open(&s, dir, false, missing_r, err);
    if (status != MXHOP_OK)
        return status;
    memcpy(b->id, store_id(s), sizeof(b->id));
    found = store_walk(s, book_take, b);
    store_close(&s);
    b->dirty = false;
    if (found == FIXED_ABSENT)
        return MXHOP_OK;
    book_free(b);
    return found == FIXED_DAMAGED
               ? err_set(err, MXHOP_ERR_TABLE, "%s/%s: is damaged", dir,
                         STORE_FILE)
               : err_nomem(err);
}

int book_save(struct book *b, int dir_fd)
{
    struct store_record *r = malloc((b->n + 1) * sizeof(*r));
    size_t n = 0;
    int rc;

    if (r == NULL)
        return ENOMEM;
    for (size_t k = 0; k < b->n; k++)
        if (b->v[k]->len > 0)
            r[n++] = (struct store_record){b->v[k]->domain,
                                           {b->v[k]->entry, b->v[k]->len}};
    rc = store_write(dir_fd, r, n, clock_wall_s(), b->id);
    free(r);
    b->dirty = rc != 0;
    return rc;
}
