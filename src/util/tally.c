/*
 * tally - counts of texts, for reports
 *
 * The C library's balanced tree, so that strangers, who choose the texts, have
 * no influence on the time it takes. Each text is kept once, in one allocation
 * with its count. It owns everything in it until tally_free().
 */

#include "util/tally.h"
#include "util/vec.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* In the tree are the texts themselves. */
static int tally_by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct tally_entry *tally_entry_of(const void *node)
{
    char *text = *(char *const *)node;

    return (void *)(text - offsetof(struct tally_entry, text));
}

bool tally_add(struct tally *t, const char *text)
{
    const void *node = tfind(text, &t->tree, tally_by_text);
    size_t size = strlen(text) + 1;
    struct tally_entry *e;

    if (node != NULL) {
        tally_entry_of(node)->count++;
        return true;
    }
    if (!vec_room(&t->v, t->n, &t->cap, sizeof(*t->v)))
        return false;
    e = malloc(sizeof(*e) + size);
    if (e == NULL)
        return false;
    e->count = 1;
    memcpy(e->text, text, size);
    if (tsearch(e->text, &t->tree, tally_by_text) == NULL) {
        free(e);
        return false;
    }
    t->v[t->n++] = e;
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
    if (t->n > 0)
        qsort(t->v, t->n, sizeof(*t->v), tally_compare);
}

static void tally_keep(void *text)
{
    (void)text; /* in v */
}

void tally_free(struct tally *t)
{
    tdestroy(t->tree, tally_keep);
    for (size_t i = 0; i < t->n; i++)
        free(t->v[i]);
    free(t->v);
    *t = (struct tally){0};
}
