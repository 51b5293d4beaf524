/*
 * inspect - what an administrator should look at in a set of overrides
 *
 * The entries are valid, each by itself; what is reported here is about the
 * set, or about the time. Nothing is changed, and no finding keeps a set from
 * being compiled.
 */

#include "source/inspect.h"
#include "overrides/ovtable.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

struct claim { /* an index key that an entry stands under */
    const char *key;
    const struct override *o;
    size_t at; /* its place in v, and behind v in others */
};

struct claims { /* of one index, by key and DN */
    struct claim *v;
    size_t n;
};

struct taken { /* of an entry */
    size_t keys, by_others;
};

static int claim_order(const void *a, const void *b)
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

static bool window_covers(const struct override *a, const struct override *b)
{
    return a->not_before_s <= b->not_before_s &&
           (a->not_after_s == 0 ||
            (b->not_after_s != 0 && a->not_after_s >= b->not_after_s));
}

static bool claims_make(const struct inspection *in, bool exchanges,
                        struct claims *c)
{
    size_t cap = 0;

    for (size_t i = 0; i < in->n + in->n_others; i++) {
        const struct override *o =
            i < in->n ? &in->v[i] : &in->others[i - in->n];
        const struct strlist *keys = exchanges ? &o->exchanges : &o->keys;

        for (size_t k = 0; o->enabled && k < keys->n; k++) {
            if (!vec_room(&c->v, c->n, &cap, sizeof(*c->v)))
                return false;
            c->v[c->n++] = (struct claim){keys->v[k], o, i};
        }
    }
    if (c->n > 0)
        qsort(c->v, c->n, sizeof(*c->v), claim_order);
    return true;
}

/* Count, for each entry, its keys and those of them under which it never has
   its turn. Of the lower DNs only the next one and one that applies at all
   times are looked at: what several leave of a window together is rare, and
   comparing all with all is not for files that anybody may have written. */
static void claims_count_taken(const struct claims *c, struct taken *taken)
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
        if (always != NULL || (last != NULL && window_covers(last, o)))
            taken[c->v[i].at].by_others++;
        else if (o->not_before_s == 0 && o->not_after_s == 0)
            always = o;
    }
}

static size_t inspect_line(const struct inspection *in, size_t at)
{
    return in->lines != NULL && at < in->n ? in->lines[at] : 0;
}

static void claims_report(struct inspection *in, const char *attribute,
                          const struct claims *c, const struct taken *taken)
{
    for (size_t i = 1; i < c->n; i++) {
        const struct claim *a = &c->v[i - 1], *b = &c->v[i];
        const struct taken *t = &taken[b->at];

        if ((a->at >= in->n && b->at >= in->n) || a->o == b->o ||
            strcmp(a->key, b->key) != 0 || !windows_overlap(a->o, b->o))
            continue;
        in->findings++;
        finding_report(in->report, in->ctx, b->o->dn, inspect_line(in, b->at),
                       "%s: %s is taken by %s, which wins as the lower DN%s",
                       attribute, b->key, a->o->dn,
                       t->by_others == t->keys
                           ? "; all its keys are taken: the entry never applies"
                           : "");
    }
}

struct known {
    const struct override *o;
    bool found;
};

static bool inspect_is_known(void *ctx, const unsigned char *id,
                             struct override *there)
{
    struct known *k = ctx;

    (void)id;
    k->found = k->found || (strcmp(there->dn, k->o->dn) == 0 &&
                            there->not_after_s == k->o->not_after_s);
    return !k->found;
}

/* A refresh says it when the entry comes, or its window changes. */
static void inspect_past(struct inspection *in)
{
    struct ovtable *t = NULL;

    for (size_t i = 0; i < in->n; i++) {
        const struct override *o = &in->v[i];
        struct known k = {.o = o};

        if (o->not_after_s == 0 || o->not_after_s >= in->now_s)
            continue;
        if (t == NULL && in->table != NULL &&
            ovtable_open(&t, in->table, NULL) != MXHOP_OK)
            in->table = NULL;
        if (t != NULL && o->keys.n > 0)
            (void)ovtable_under(t, OVTABLE_BY_KEY, o->keys.v[0],
                                inspect_is_known, &k, NULL);
        else if (t != NULL)
            (void)ovtable_under(t, OVTABLE_BY_EXCHANGE, o->exchanges.v[0],
                                inspect_is_known, &k, NULL);
        if (k.found)
            continue;
        in->findings++;
        finding_report(in->report, in->ctx, o->dn, inspect_line(in, i),
                       "mxhopNotAfter: the window is past, the entry no longer "
                       "applies");
    }
    ovtable_close(&t);
}

bool inspect_set(struct inspection *in)
{
    struct claims keys = {0}, exchanges = {0};
    struct taken *taken = calloc(in->n + in->n_others + 1, sizeof(*taken));
    bool whole = taken != NULL && claims_make(in, false, &keys) &&
                 claims_make(in, true, &exchanges);

    inspect_past(in);
    if (whole) {
        claims_count_taken(&keys, taken);
        claims_count_taken(&exchanges, taken);
        claims_report(in, "mxhopKey", &keys, taken);
        claims_report(in, "mxhopExchange", &exchanges, taken);
    }
    free(keys.v);
    free(exchanges.v);
    free(taken);
    return whole;
}

/* ---- what DNS says already ---- */

struct choice {
    unsigned preference;
    const char *host;
};

static int choice_order(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

/* Which host comes before which matters, not the numbers. */
static bool choices_same_order(struct choice *a, struct choice *b, size_t n)
{
    qsort(a, n, sizeof(*a), choice_order);
    qsort(b, n, sizeof(*b), choice_order);
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
    return choices_same_order(a, b, o->n_hops);
}
