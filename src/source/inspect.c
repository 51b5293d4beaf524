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
    size_t at; /* its place in v, and behind v in others */
};

static const struct override *entry_at(const struct inspection *in, size_t at)
{
    return at < in->n ? &in->v[at] : &in->others[at - in->n];
}

__attribute__((format(printf, 3, 4))) static void
report(struct inspection *in, size_t at, const char *fmt, ...)
{
    char text[600];
    size_t line = in->lines != NULL && at < in->n ? in->lines[at] : 0;
    struct finding f = {entry_at(in, at)->dn, line, text};
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

static bool covers(const struct override *a, const struct override *b)
{
    return a->not_before_s <= b->not_before_s &&
           (a->not_after_s == 0 ||
            (b->not_after_s != 0 && a->not_after_s >= b->not_after_s));
}

/* ---- who stands under which key ---- */

struct claims { /* of one index, by key and DN */
    struct claim *v;
    size_t n;
};

struct taken { /* of an entry */
    size_t keys, by_others;
};

static size_t collect(const struct inspection *in, bool exchanges,
                      struct claim *claims)
{
    size_t n = 0;

    for (size_t i = 0; i < in->n + in->n_others; i++) {
        const struct override *o = entry_at(in, i);
        const struct strlist *keys = exchanges ? &o->exchanges : &o->keys;

        for (size_t k = 0; o->enabled && k < keys->n; k++) {
            if (claims != NULL)
                claims[n] = (struct claim){keys->v[k], o, i};
            n++;
        }
    }
    return n;
}

static bool make_claims(const struct inspection *in, bool exchanges,
                        struct claims *c)
{
    c->n = collect(in, exchanges, NULL);
    c->v = calloc(c->n + 1, sizeof(*c->v));
    if (c->v == NULL)
        return false;
    collect(in, exchanges, c->v);
    qsort(c->v, c->n, sizeof(*c->v), by_key_and_dn);
    return true;
}

/* Count, for each entry, its keys and those of them under which it never has
   its turn. Of the lower DNs only the next one and one that applies at all
   times are looked at: what several leave of a window together is rare, and
   comparing all with all is not for files that anybody may have written. */
static void count_taken(const struct claims *c, struct taken *taken)
{
    const struct override *always = NULL;

    for (size_t i = 0; i < c->n; i++) {
        const struct override *o = c->v[i].o, *last = NULL;

        if (i > 0 && strcmp(c->v[i - 1].key, c->v[i].key) == 0)
            last = c->v[i - 1].o;
        if (last == o)
            continue; /* it says the key twice */
        if (last == NULL)
            always = NULL;
        taken[c->v[i].at].keys++;
        if (always != NULL || (last != NULL && covers(last, o)))
            taken[c->v[i].at].by_others++;
        else if (o->not_before_s == 0 && o->not_after_s == 0)
            always = o;
    }
}

static void report_clashes(struct inspection *in, const char *attribute,
                           const struct claims *c, const struct taken *taken)
{
    for (size_t i = 1; i < c->n; i++) {
        const struct claim *a = &c->v[i - 1], *b = &c->v[i];
        const struct taken *t = &taken[b->at];

        if (a->at >= in->n && b->at >= in->n)
            continue;
        if (strcmp(a->key, b->key) == 0 && a->o != b->o &&
            windows_overlap(a->o, b->o))
            report(in, b->at,
                   "%s: %s is taken by %s, which wins as the lower DN%s",
                   attribute, b->key, a->o->dn,
                   t->by_others == t->keys
                       ? "; all its keys are taken: the entry never applies"
                       : "");
    }
}

static bool inspect_claims(struct inspection *in)
{
    struct claims keys = {0}, exchanges = {0};
    struct taken *taken = calloc(in->n + in->n_others + 1, sizeof(*taken));
    bool whole = taken != NULL && make_claims(in, false, &keys) &&
                 make_claims(in, true, &exchanges);

    if (whole) {
        count_taken(&keys, taken);
        count_taken(&exchanges, taken);
        report_clashes(in, "mxhopKey", &keys, taken);
        report_clashes(in, "mxhopExchange", &exchanges, taken);
    }
    free(keys.v);
    free(exchanges.v);
    free(taken);
    return whole;
}

static void report_past(struct inspection *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (in->v[i].not_after_s != 0 && in->v[i].not_after_s < in->now_s)
            report(in, i,
                   "mxhopNotAfter: the window is past, the entry no longer "
                   "applies");
}

bool inspect_set(struct inspection *in)
{
    report_past(in);
    return inspect_claims(in);
}

/* ---- what DNS says already ---- */

struct choice {
    unsigned preference;
    const char *host;
};

static int by_preference(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

/* Which host comes before which matters, not the numbers. */
static bool same_order(struct choice *a, struct choice *b, size_t n)
{
    qsort(a, n, sizeof(*a), by_preference);
    qsort(b, n, sizeof(*b), by_preference);
    for (size_t i = 0; i < n; i++)
        if (strcmp(a[i].host, b[i].host) != 0 ||
            (i > 0 && (a[i].preference == a[i - 1].preference) !=
                          (b[i].preference == b[i - 1].preference)))
            return false;
    return true;
}

bool inspect_may_equal(const struct override *o)
{
    bool plain = o->enabled && o->mode == OVERRIDE_REPLACE &&
                 o->transport == NULL && o->group == OVERRIDE_GROUP_UNSET &&
                 o->excludes.n == 0 && o->n_hops <= INSPECT_HOPS_MAX;

    for (size_t i = 0; i < o->n_hops && plain; i++)
        plain = o->hops[i].kind == HOP_HOST &&
                (o->hops[i].port == 0 || o->hops[i].port == 25);
    return plain;
}

bool inspect_equals(const struct override *o, const struct mxset *set)
{
    struct choice a[INSPECT_HOPS_MAX], b[INSPECT_HOPS_MAX];

    if (!inspect_may_equal(o) || set->outcome != MX_HOSTS ||
        set->n_mx != o->n_hops)
        return false;
    for (size_t i = 0; i < o->n_hops; i++) {
        a[i] = (struct choice){o->hops[i].preference, o->hops[i].host};
        b[i] = (struct choice){set->mx[i].preference, set->mx[i].host};
    }
    return same_order(a, b, o->n_hops);
}
