/*
 * inspect - what an administrator should look at in a set of overrides
 *
 * The entries are valid, each by itself; what is reported here is about the
 * set, or about the time. Nothing is changed, and no finding keeps a set from
 * being compiled.
 */

#include "source/inspect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct claim { /* an index key that an entry stands under */
    const char *key;
    const struct override *o;
};

__attribute__((format(printf, 3, 4))) static void
report(struct inspection *in, const struct override *o, const char *fmt, ...)
{
    char text[600];
    size_t line = in->lines != NULL ? in->lines[o - in->v] : 0;
    struct finding f = {o->dn, line, text};
    va_list ap;

    in->findings++;
    if (in->report == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    in->report(in->ctx, &f);
}

static int by_key_and_dn(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : strcmp(x->o->dn, y->o->dn);
}

static bool windows_overlap(const struct override *a, const struct override *b)
{
    return (a->not_after_s == 0 || b->not_before_s <= a->not_after_s) &&
           (b->not_after_s == 0 || a->not_before_s <= b->not_after_s);
}

static size_t collect(const struct inspection *in, bool exchanges,
                      struct claim *claims)
{
    size_t n = 0;

    for (size_t i = 0; i < in->n; i++) {
        const struct strlist *keys =
            exchanges ? &in->v[i].exchanges : &in->v[i].keys;

        for (size_t k = 0; in->v[i].enabled && k < keys->n; k++) {
            if (claims != NULL)
                claims[n] = (struct claim){keys->v[k], &in->v[i]};
            n++;
        }
    }
    return n;
}

static bool report_clashes(struct inspection *in, bool exchanges)
{
    size_t n = collect(in, exchanges, NULL);
    struct claim *c;

    if (n == 0)
        return true;
    c = calloc(n, sizeof(*c));
    if (c == NULL)
        return false;
    collect(in, exchanges, c);
    qsort(c, n, sizeof(*c), by_key_and_dn);
    for (size_t i = 1; i < n; i++)
        if (strcmp(c[i - 1].key, c[i].key) == 0 && c[i - 1].o != c[i].o &&
            windows_overlap(c[i - 1].o, c[i].o))
            report(in, c[i].o,
                   "%s: %s is taken by %s, which wins as the lower DN",
                   exchanges ? "mxhopExchange" : "mxhopKey", c[i].key,
                   c[i - 1].o->dn);
    free(c);
    return true;
}

static void report_past(struct inspection *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (in->v[i].not_after_s != 0 && in->v[i].not_after_s < in->now_s)
            report(in, &in->v[i],
                   "mxhopNotAfter: the window is past, the entry no longer "
                   "applies");
}

bool inspect_set(struct inspection *in)
{
    report_past(in);
    return report_clashes(in, false) && report_clashes(in, true);
}
