/*
 * mxset - what DNS says about a domain, as plain values
 *
 * A set owns its array, the host names in it and the failure text. The array
 * holds no spare elements, so that a set made by hand, copied or read from a
 * record can be appended to alike.
 *
 * Sorting allocates nothing, thus cannot fail, and bears a thousand exchanges
 * in the worst order: a stranger chooses what his domain's set looks like.
 */

#include "model/mxset.h"

#include <stdlib.h>
#include <string.h>

enum addr_state hostaddrs_state(const struct hostaddrs *a, unsigned families)
{
    static const enum addr_state order[] = {ADDR_SOME, ADDR_FAILED,
                                            ADDR_UNKNOWN};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        for (unsigned f = 0; f < FAMILIES; f++)
            if ((families & FAMILY_BIT(f)) != 0 && a->state[f] == order[i])
                return order[i];
    return ADDR_NONE;
}

uint32_t hostaddrs_ttl_s(const struct hostaddrs *a, unsigned families)
{
    bool some = hostaddrs_state(a, families) == ADDR_SOME;
    uint32_t ttl_s = UINT32_MAX;

    for (unsigned f = 0; f < FAMILIES; f++)
        if ((families & FAMILY_BIT(f)) != 0 && a->ttl_s[f] < ttl_s &&
            (!some || (a->state[f] == ADDR_SOME && a->ttl_s[f] > 0)))
            ttl_s = a->ttl_s[f];
    return ttl_s != UINT32_MAX ? ttl_s : 0;
}

void hostaddrs_settle_tlsa(struct hostaddrs *a, unsigned families)
{
    enum addr_state state = hostaddrs_state(a, families);

    if (state == ADDR_NONE || (state == ADDR_SOME && !a->secure && !a->alias))
        a->tlsa = (struct tlsa){.state = TLSA_NONE,
                                .ttl_s = hostaddrs_ttl_s(a, families)};
}

void mxset_free(struct mxset *s)
{
    for (size_t i = 0; i < s->n_mx; i++)
        free(s->mx[i].host);
    free(s->mx);
    free(s->failure);
    *s = (struct mxset){0};
}

/* An appended element with a copy of host, all else zero; NULL: memory. */
static struct mx *mxset_append(struct mxset *s, const char *host)
{
    struct mx *mx = realloc(s->mx, (s->n_mx + 1) * sizeof(*mx));
    char *copy;

    if (mx == NULL)
        return NULL;
    s->mx = mx;
    copy = strdup(host);
    if (copy == NULL)
        return NULL;
    mx += s->n_mx++;
    *mx = (struct mx){.host = copy};
    return mx;
}

bool mxset_add(struct mxset *s, const char *host, uint16_t preference)
{
    struct mx *mx = mxset_append(s, host);

    if (mx == NULL)
        return false;
    mx->preference = preference;
    return true;
}

static bool mxset_copy_members(struct mxset *to, const struct mxset *from)
{
    if (from->failure != NULL) {
        to->failure = strdup(from->failure);
        if (to->failure == NULL)
            return false;
    }
    if (from->n_mx == 0)
        return true;
    to->mx = calloc(from->n_mx, sizeof(*to->mx));
    if (to->mx == NULL)
        return false;
    for (; to->n_mx < from->n_mx; to->n_mx++) {
        struct mx *mx = &to->mx[to->n_mx];

        *mx = from->mx[to->n_mx];
        mx->host = strdup(mx->host);
        if (mx->host == NULL)
            return false;
    }
    return true;
}

bool mxset_copy(struct mxset *to_r, const struct mxset *from)
{
    *to_r = *from;
    to_r->failure = NULL;
    to_r->mx = NULL;
    to_r->n_mx = 0;
    if (mxset_copy_members(to_r, from))
        return true;
    mxset_free(to_r);
    return false;
}

static void mxset_reverse(struct mx *v, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct mx t = v[i];

        v[i] = v[n - 1 - i];
        v[n - 1 - i] = t;
    }
}

/* How many at the front of the sorted v are below preference, or not above. */
static size_t mxset_rank(const struct mx *v, size_t n, uint16_t preference,
                         bool or_equal)
{
    size_t low = 0;

    while (low < n) {
        size_t mid = low + (n - low) / 2;

        if (v[mid].preference < preference ||
            (or_equal && v[mid].preference == preference))
            low = mid + 1;
        else
            n = mid;
    }
    return low;
}

/* Merge the sorted v[0..mid) and v[mid..n) in place: cut the longer in half,
   find where the other divides, exchange the inner parts, merge both sides. */
static void mxset_merge(struct mx *v, size_t mid, size_t n)
{
    size_t a, b;

    if (mid == 0 || mid == n || v[mid - 1].preference <= v[mid].preference)
        return;
    if (mid >= n - mid) {
        a = mid / 2;
        b = mid + mxset_rank(v + mid, n - mid, v[a].preference, false);
    } else {
        b = mid + (n - mid + 1) / 2;
        a = mxset_rank(v, mid, v[b - 1].preference, true);
    }
    mxset_reverse(v + a, mid - a);
    mxset_reverse(v + mid, b - mid);
    mxset_reverse(v + a, b - a);
    mxset_merge(v, a, a + b - mid);
    mxset_merge(v + a + b - mid, mid - a, n - (a + b - mid));
}

void mxset_sort(struct mxset *s)
{
    for (size_t width = 1; width < s->n_mx; width *= 2)
        for (size_t i = 0; i + width < s->n_mx; i += 2 * width) {
            size_t left = s->n_mx - i;

            mxset_merge(s->mx + i, width, left < 2 * width ? left : 2 * width);
        }
}
