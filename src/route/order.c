/*
 * order - who comes first among equals
 *
 * By tier, preference and rank; within that by a keyed hash of the time slot
 * and the host. The same MX set gives the same order, hence the same string
 * and the same queue of the MTA, for all its domains and in every process with
 * the same seed; another seed or another slot spreads the load. The order that
 * records came in never matters.
 *
 * A slot lasts rotate_interval. Its edges are offset by a hash of the hosts of
 * the MX set (of all candidates where there is no set), so that not all lists
 * turn in the same second.
 */

#include "route/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/str.h"

#define EXAMINE_MAX_TIE 20 /* more, to finish a tie at the cut */

/* Names that are longer than the buffer are dropped anyway. */
static uint64_t order_host_hash(uint64_t seed, uint64_t salt, const char *host)
{
    struct {
        uint8_t salt[8];
        char host[NAME_MAX_TEXT + 1];
    } key;

    for (int i = 0; i < 8; i++)
        key.salt[i] = (uint8_t)(salt >> (8 * i));
    snprintf(key.host, sizeof(key.host), "%s", host);
    str_lower(key.host);
    return hash_bytes(seed, &key, sizeof(key.salt) + strlen(key.host));
}

/* A sum does not depend on the order of its terms. */
static uint64_t order_set_spread(const struct rules *r, const struct mxset *set)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < set->n_mx; i++)
        sum += order_host_hash(r->seed, 0, set->mx[i].host);
    return sum;
}

static uint64_t order_list_spread(const struct rules *r,
                                  const struct candidates *list)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < list->n; i++)
        sum += order_host_hash(r->seed, 0, list->v[i].host);
    return sum;
}

static struct slot order_slot_at(const struct rules *r, uint64_t spread,
                                 int64_t now_s)
{
    uint32_t interval_s = r->rotate_interval_s;
    uint64_t t;

    if (interval_s == 0)
        return (struct slot){0, UINT32_MAX};
    t = (now_s > 0 ? (uint64_t)now_s : 0) + spread % interval_s;
    return (struct slot){t / interval_s,
                         interval_s - (uint32_t)(t % interval_s)};
}

struct slot order_slot(const struct decide_input *in,
                       const struct candidates *list)
{
    const struct mxset *set = in->set;
    uint64_t spread;

    if (set != NULL && set->outcome == MX_HOSTS && set->n_mx > 0)
        spread = order_set_spread(in->rules, set);
    else
        spread = order_list_spread(in->rules, list);
    return order_slot_at(in->rules, spread, in->now_s);
}

static int order_compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_compare_via(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

int order_compare(const struct candidate *a, const struct candidate *b)
{
    int d = a->tier - b->tier;

    if (d == 0)
        d = a->preference - b->preference;
    if (d == 0)
        d = a->rank - b->rank;
    if (d == 0)
        d = order_compare_u64(a->tie, b->tie);
    if (d == 0)
        d = str_icmp(a->host, b->host);
    if (d == 0)
        d = a->port - b->port;
    if (d == 0)
        d = a->is_mx - b->is_mx;
    if (d == 0)
        d = b->is_dns - a->is_dns;
    if (d == 0)
        d = strcmp(a->host, b->host);
    return d != 0 ? d : order_compare_via(a->via, b->via);
}

static int order_by_place(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int d = (x->drop != DROP_NO) - (y->drop != DROP_NO);

    return d != 0 ? d : order_compare(x, y);
}

void order_candidates(const struct decide_input *in, struct candidates *list)
{
    struct slot slot = order_slot(in, list);

    for (size_t i = 0; i < list->n; i++)
        list->v[i].tie =
            order_host_hash(in->rules->seed, slot.number, list->v[i].host);
    if (list->n > 1)
        qsort(list->v, list->n, sizeof(*list->v), order_by_place);
}

/* ---- which exchanges to examine -------------------------------------- */

struct pick {
    uint64_t tie;
    const char *host;
    uint16_t preference, index;
};

static int order_by_turn(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    int d = x->preference - y->preference;

    if (d == 0)
        d = order_compare_u64(x->tie, y->tie);
    if (d == 0)
        d = str_icmp(x->host, y->host);
    return d != 0 ? d : x->index - y->index;
}

/* Names that cannot be used are not worth a query. */
static size_t order_fill_picks(const struct rules *rules,
                               const struct mxset *set, int64_t now_s,
                               struct pick *picks)
{
    struct slot slot =
        order_slot_at(rules, order_set_spread(rules, set), now_s);
    size_t n = 0;

    for (size_t i = 0; i < set->n_mx && i <= UINT16_MAX; i++) {
        const struct mx *mx = &set->mx[i];

        if (!clean_is_hostname(mx->host) || clean_looks_like_address(mx->host))
            continue;
        picks[n++] = (struct pick){
            .tie = order_host_hash(rules->seed, slot.number, mx->host),
            .host = mx->host,
            .preference = mx->preference,
            .index = (uint16_t)i,
        };
    }
    return n;
}

size_t decide_pick(const struct rules *rules, const struct mxset *set,
                   int64_t now_s, uint16_t *index, size_t cap)
{
    size_t first = 2 * (size_t)rules->max_hops, n, k;
    struct pick *picks;

    if (set->n_mx == 0)
        return 0;
    picks = calloc(set->n_mx, sizeof(*picks));
    if (picks == NULL)
        return 0;
    n = order_fill_picks(rules, set, now_s, picks);
    qsort(picks, n, sizeof(*picks), order_by_turn);
    for (k = 0; k < n && k < cap && k < EXAMINE_MAX; k++) {
        if (k >= first + EXAMINE_MAX_TIE ||
            (k >= first && picks[k].preference != picks[first - 1].preference))
            break;
        index[k] = picks[k].index;
    }
    free(picks);
    return k;
}
