/*
 * site - the site of an MX set, as text
 *
 * Name servers turn the order of equally preferred exchanges from answer to
 * answer; here it is by name, so that equal sets make equal texts. A host can
 * be any octets but a newline, which ends it: one that DNS gave is in the
 * presentation form, but records of a cache are not trusted.
 */

#include "model/site.h"

#include <stdlib.h>
#include <string.h>

static int site_compare(const void *a, const void *b)
{
    const struct mx *x = *(const struct mx *const *)a;
    const struct mx *y = *(const struct mx *const *)b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

void site_text(const struct mxset *set, struct buf *out)
{
    const struct mx **sorted;

    if (set->outcome != MX_HOSTS || set->n_mx == 0)
        return;
    sorted = malloc(set->n_mx * sizeof(struct mx *));
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < set->n_mx; i++)
        sorted[i] = &set->mx[i];
    qsort(sorted, set->n_mx, sizeof(struct mx *), site_compare);
    for (size_t i = 0; i < set->n_mx; i++)
        if (i == 0 || site_compare(&sorted[i - 1], &sorted[i]) != 0)
            buf_printf(out, "%u %.*s\n", (unsigned)sorted[i]->preference,
                       (int)strcspn(sorted[i]->host, "\n"), sorted[i]->host);
    free(sorted);
}

const char *site_next(const char *text, unsigned *preference_r,
                      const char **host_r, size_t *len_r)
{
    char *end;

    if (*text == '\0')
        return NULL;
    *preference_r = (unsigned)strtoul(text, &end, 10);
    *host_r = *end == ' ' ? end + 1 : end;
    *len_r = strcspn(*host_r, "\n");
    return *host_r + *len_r + ((*host_r)[*len_r] == '\n');
}
