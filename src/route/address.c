/*
 * address - what the addresses of a candidate say about it
 *
 * An address of the form ::ffff:192.0.2.1 is judged as what it is, an IPv4
 * address, or it would slip past own_addresses and bogus_networks. 0.0.0.0 and
 * ::, with which resolvers answer for names that they block, are ours: the
 * kernel connects to this machine then. They and loopback addresses that are
 * listed in bogus_networks are nobody's in a domain's MX records: the
 * administrator wants such hosts counted as bogus.
 */

#include "route/address.h"

#include <arpa/inet.h>
#include <string.h>

struct address {
    int family; /* as it stands, mapped or not */
    bool is_v6;
    struct in_addr v4;
    struct in6_addr v6;
};

typedef bool address_test(const struct rules *r, const struct address *a);

static struct address address_v4(struct in_addr v4)
{
    return (struct address){.family = FAMILY_V4, .v4 = v4};
}

static struct address address_v6(struct in6_addr v6)
{
    struct address a = {.family = FAMILY_V6, .is_v6 = true, .v6 = v6};

    if (!IN6_IS_ADDR_V4MAPPED(&v6))
        return a;
    a.is_v6 = false;
    memcpy(&a.v4, &v6.s6_addr[12], sizeof(a.v4));
    return a;
}

static bool address_parse_literal(const char *host, struct address *a_r)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        *a_r = address_v4(v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return false;
    *a_r = address_v6(v6);
    return true;
}

static bool address_in_networks(const struct networks *n,
                                const struct address *a)
{
    return a->is_v6 ? networks_has_v6(n, a->v6) : networks_has_v4(n, a->v4);
}

static bool address_is_loopback(const struct address *a)
{
    if (a->is_v6)
        return IN6_IS_ADDR_LOOPBACK(&a->v6);
    return (ntohl(a->v4.s_addr) >> 24) == IN_LOOPBACKNET;
}

static bool address_is_unspecified(const struct address *a)
{
    return a->is_v6 ? IN6_IS_ADDR_UNSPECIFIED(&a->v6)
                    : a->v4.s_addr == htonl(INADDR_ANY);
}

static bool address_is_bogus(const struct rules *r, const struct address *a)
{
    return address_in_networks(&r->bogus, a);
}

static bool address_is_own(const struct rules *r, const struct address *a)
{
    return address_in_networks(&r->own_addresses, a) ||
           address_is_unspecified(a);
}

static bool address_is_own_of_dns(const struct rules *r,
                                  const struct address *a)
{
    return address_is_own(r, a) &&
           !((address_is_loopback(a) || address_is_unspecified(a)) &&
             address_is_bogus(r, a));
}

static size_t address_family_size(const struct hostaddrs *h, int family)
{
    if (h->state[family] != ADDR_SOME)
        return 0;
    return h->n[family] < ADDRS_MAX ? h->n[family] : ADDRS_MAX;
}

static size_t address_count_known(const struct hostaddrs *h,
                                  const struct rules *r, unsigned families,
                                  address_test *test, size_t *hits_r)
{
    size_t all = 0;

    for (int f = 0; f < FAMILIES; f++) {
        if (!(families & FAMILY_BIT(f)))
            continue;
        for (size_t i = 0; i < address_family_size(h, f); i++, all++) {
            struct address a =
                f == FAMILY_V4 ? address_v4(h->v4[i]) : address_v6(h->v6[i]);

            *hits_r += test(r, &a);
        }
    }
    return all;
}

/* How many known addresses in `families` a candidate has; *hits_r: of how
   many the test is true. */
static size_t address_count(const struct candidate *c, const struct rules *r,
                            unsigned families, address_test *test,
                            size_t *hits_r)
{
    struct address a;

    *hits_r = 0;
    if (!c->is_address)
        return c->addrs != NULL
                   ? address_count_known(c->addrs, r, families, test, hits_r)
                   : 0;
    if (!address_parse_literal(c->host, &a) ||
        !(families & FAMILY_BIT(a.family)))
        return 0;
    *hits_r = test(r, &a);
    return 1;
}

bool address_any_own(const struct rules *r, const struct candidate *c)
{
    unsigned any = FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6);
    size_t hits;

    address_count(c, r, any, c->is_dns ? address_is_own_of_dns : address_is_own,
                  &hits);
    return hits > 0;
}

bool address_all_bogus(const struct rules *r, const struct candidate *c)
{
    size_t hits,
        all = address_count(c, r, r->families, address_is_bogus, &hits);

    /* It may have a good address in a family that is not known. */
    for (unsigned f = 0; f < FAMILIES && !c->is_address && all > 0; f++)
        if ((r->families & FAMILY_BIT(f)) != 0 &&
            c->addrs->state[f] != ADDR_SOME && c->addrs->state[f] != ADDR_NONE)
            return false;
    return all > 0 && hits == all;
}

bool address_none(const struct rules *r, const struct candidate *c)
{
    struct address a;

    if (c->is_address)
        return !address_parse_literal(c->host, &a) ||
               !(r->families & FAMILY_BIT(a.family));
    return c->addrs != NULL &&
           hostaddrs_state(c->addrs, r->families) == ADDR_NONE;
}

bool address_sure(const struct candidate *c, unsigned families)
{
    return c->is_address || (c->addrs != NULL && !c->addrs->stale &&
                             hostaddrs_state(c->addrs, families) == ADDR_SOME);
}

/* smtp(8) takes no host for itself at another port than its own. */
static bool address_matters(const struct candidate *c)
{
    return !c->is_address && c->addrs != NULL &&
           (c->port == 0 || c->port == SMTP_PORT);
}

bool address_is_due(const struct candidate *c, unsigned families)
{
    return address_matters(c) && !c->is_dns &&
           hostaddrs_state(c->addrs, families) == ADDR_UNKNOWN;
}

bool address_failed(const struct candidate *c, unsigned families)
{
    return address_matters(c) &&
           hostaddrs_state(c->addrs, families) == ADDR_FAILED;
}

bool address_known(const struct candidate *c, unsigned families)
{
    return c->addrs != NULL &&
           hostaddrs_state(c->addrs, families) != ADDR_UNKNOWN;
}
