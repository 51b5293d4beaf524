/*
 * tally - counts of texts, for reports
 *
 * A hash table with open addressing, at most three quarters full. Each text
 * is kept once, in one allocation with its count. It owns everything in it
 * until tally_free().
 */

#include "util/tally.h"
#include "util/hash.h"

#include <stdlib.h>
#include <string.h>

#define CAP_FIRST 64

/* Where an entry with this hash and text is, or would be. */
static struct tally_entry **tally_find(struct tally_entry **slots, size_t cap,
                                       uint64_t hash, const char *text)
{
    size_t i = (size_t)hash & (cap - 1);

    while (slots[i] != NULL &&
           (slots[i]->hash != hash || strcmp(slots[i]->text, text) != 0))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static bool tally_grow(struct tally *t)
{
    size_t cap = t->cap != 0 ? t->cap * 2 : CAP_FIRST;
    struct tally_entry **slots = calloc(cap, sizeof(struct tally_entry *));

    if (slots == NULL)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i] != NULL)
            *tally_find(slots, cap, t->slots[i]->hash, t->slots[i]->text) =
                t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->cap = cap;
    return true;
}

bool tally_add(struct tally *t, const char *text)
{
    size_t size = strlen(text) + 1;
    uint64_t hash = hash_bytes(t->seed, text, size);
    struct tally_entry **slot, *e;

    if (t->n >= t->cap / 4 * 3 && !tally_grow(t))
        return false;
    slot = tally_find(t->slots, t->cap, hash, text);
    if (*slot == NULL) {
        e = calloc(1, sizeof(*e) + size);
        if (e == NULL)
            return false;
        e->hash = hash;
        memcpy(e->text, text, size);
        *slot = e;
        t->n++;
    }
    (*slot)->count++;
    return true;
}

static int tally_compare(const void *a, const void *b)
{
    const struct tally_entry *x = *(struct tally_entry *const *)a;
    const struct tally_entry *y = *(struct tally_entry *const *)b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

void tally_sort(struct tally *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i] != NULL)
            t->slots[n++] = t->slots[i];
    for (size_t i = n; i < t->cap; i++)
        t->slots[i] = NULL;
    if (n > 0)
        qsort(t->slots, n, sizeof(struct tally_entry *), tally_compare);
}

void tally_free(struct tally *t)
{
    for (size_t i = 0; i < t->cap; i++)
        free(t->slots[i]);
    free(t->slots);
    *t = TALLY_INIT(t->seed);
}
