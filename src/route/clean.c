/*
 * clean - which candidates may be tried at all
 *
 * The second step of decide(). Each candidate that must not reach an MTA is
 * marked with the reason; none is removed, so that `mxhop trace` can tell.
 *
 * - Not a host name, or one that reads as an address. This is the only guard
 *   between a stranger's MX record and Exim's string expansion. smtp(8) dies
 *   of a destination that its own valid_hostname() refuses, hence a label may
 *   not begin or end with `-` either.
 * - Excluded by the override: DNS hosts and spliced ones, not its own hops.
 * - Ourselves, by name or by address. If DNS names us, every DNS host of equal
 *   or worse preference goes too (RFC 5321 section 5.1), also where we have no
 *   address that counts: whoever ignores that sends mail in a circle. An
 *   override hop to ourselves on a port other than 25 stays: that is a content
 *   filter, and smtp(8) looks for itself on the smtp port only. A loopback
 *   address that is listed in bogus_networks is nobody's, so not ours.
 * - Not a host of the MTA-STS policy that is in force for the domain: so that
 *   two domains with the same hosts never share a list that one's policy
 *   forbids.
 * - No address in the families in use (a failed or unknown lookup keeps the
 *   host), or, of a DNS host, every address in bogus_networks.
 * - The lookup failed, and an override made the list: the host may be this
 *   system (docs/design.md 4.7).
 * - The same host and port twice: the better place stays. This comes last, so
 *   that the one that stays is one that may be tried.
 *
 * Sorts the list as it pleases; order_candidates() comes after it.
 */

#include "route/steps.h"

#include <stdlib.h>

#include "route/address.h"
#include "route/match.h"
#include "util/str.h"

typedef bool check_fn(const struct decide_input *in, const struct candidate *c);

static bool clean_bad_name(const struct decide_input *in,
                           const struct candidate *c)
{
    (void)in;
    return c->is_address ? !clean_is_address(c->host)
                         : !clean_is_hostname(c->host);
}

static bool clean_address_as_name(const struct decide_input *in,
                                  const struct candidate *c)
{
    (void)in;
    return !c->is_address && clean_looks_like_address(c->host);
}

bool decide_excludes(const struct override *o, const char *host)
{
    for (size_t i = 0; i < o->excludes.n; i++)
        if (match_host(o->excludes.v[i], host))
            return true;
    return false;
}

static bool clean_excluded(const struct decide_input *in,
                           const struct candidate *c)
{
    if (!c->is_dns && c->via == NULL)
        return false;
    if (in->override != NULL && decide_excludes(in->override, c->host))
        return true;
    for (size_t i = 0; i < in->n_also; i++)
        if (decide_excludes(&in->also[i], c->host))
            return true;
    return false;
}

static bool clean_self(const struct decide_input *in, const struct candidate *c)
{
    if (!c->is_dns && c->port != 0 && c->port != SMTP_PORT)
        return false;
    if (!c->is_address && str_in_list(in->rules->own_names, c->host))
        return true;
    return address_any_own(in->rules, c);
}

static bool clean_no_address(const struct decide_input *in,
                             const struct candidate *c)
{
    return address_none(in->rules, c);
}

static bool clean_unresolved(const struct decide_input *in,
                             const struct candidate *c)
{
    return in->override != NULL && address_failed(c, in->rules->families);
}

static bool clean_bogus(const struct decide_input *in,
                        const struct candidate *c)
{
    return c->is_dns && address_all_bogus(in->rules, c);
}

static const struct {
    check_fn *fails;
    enum drop drop;
} checks[] = {
    {clean_bad_name, DROP_BAD_NAME},
    {clean_address_as_name, DROP_LOOKS_LIKE_ADDRESS},
    {clean_excluded, DROP_EXCLUDED},
    {clean_self, DROP_SELF},
    {tlsclass_outside, DROP_STS}, /* behind clean_self: a host may be both */
    {clean_no_address, DROP_NO_ADDRESS},
    {clean_unresolved, DROP_UNRESOLVED},
    {clean_bogus, DROP_BOGUS},
};

static void clean_check(const struct decide_input *in, struct candidate *c)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (c->drop != DROP_NO)
            return;
        if (checks[i].fails(in, c))
            c->drop = checks[i].drop;
    }
}

static void clean_drop_behind_self(struct candidates *list)
{
    uint32_t best = UINT32_MAX;

    for (size_t i = 0; i < list->n; i++) {
        const struct candidate *c = &list->v[i];

        if (c->is_dns && c->drop == DROP_SELF && c->preference < best)
            best = c->preference;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct candidate *c = &list->v[i];

        if (c->is_dns && c->drop == DROP_NO && c->preference >= best)
            c->drop = DROP_BEHIND_SELF;
    }
}

/* ---- the same host more than once ------------------------------------ */

static int clean_by_host(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int d = str_icmp(x->host, y->host);

    if (d == 0)
        d = x->port - y->port;
    if (d == 0)
        d = (x->drop != DROP_NO) - (y->drop != DROP_NO);
    return d != 0 ? d : order_compare(x, y);
}

/* What is known of a host in one place is known of it everywhere: only the
   first exchanges of a set are examined, and nobody waits for override hops.
   The list is sorted by host; [from, to) are the same. */
static void clean_share(struct candidates *list, size_t from, size_t to,
                        unsigned families)
{
    const struct hostaddrs *known = NULL;

    for (size_t i = from; i < to && known == NULL; i++)
        if (address_known(&list->v[i], families))
            known = list->v[i].addrs;
    for (size_t i = from; i < to && known != NULL; i++)
        if (!address_known(&list->v[i], families))
            list->v[i].addrs = known;
}

static void clean_share_addresses(struct candidates *list, unsigned families)
{
    size_t from = 0;

    for (size_t i = 1; i <= list->n; i++) {
        if (i < list->n && str_ieq(list->v[from].host, list->v[i].host))
            continue;
        clean_share(list, from, i, families);
        from = i;
    }
}

/* The list is sorted by host: usable ones first, the best place first. */
static void clean_drop_duplicates(struct candidates *list)
{
    const struct candidate *first = NULL;

    for (size_t i = 0; i < list->n; i++) {
        struct candidate *c = &list->v[i];

        if (c->drop != DROP_NO)
            continue;
        if (first != NULL && str_ieq(first->host, c->host) &&
            first->port == c->port)
            c->drop = DROP_DUPLICATE;
        else
            first = c;
    }
}

static void clean_sort_by_host(struct candidates *list)
{
    if (list->n > 1)
        qsort(list->v, list->n, sizeof(*list->v), clean_by_host);
}

void clean_candidates(const struct decide_input *in, struct candidates *list)
{
    clean_sort_by_host(list);
    clean_share_addresses(list, in->rules->families);
    for (size_t i = 0; i < list->n; i++)
        clean_check(in, &list->v[i]);
    clean_drop_behind_self(list);
    clean_sort_by_host(list);
    clean_drop_duplicates(list);
}
