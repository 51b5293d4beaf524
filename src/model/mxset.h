/* What DNS says about a domain: the MX set, and the addresses of its hosts. */

#ifndef MODEL_MXSET_H
#define MODEL_MXSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "model/tls.h"

/* Per address family: what is known about the addresses of a host. */
enum addr_state {
    ADDR_UNKNOWN, /* never asked, or not known any more */
    ADDR_SOME,    /* has addresses */
    ADDR_NONE,    /* NODATA or NXDOMAIN: it has none */
    ADDR_FAILED   /* the lookup failed: may have some */
};

enum { FAMILY_V4, FAMILY_V6, FAMILIES };
#define FAMILY_BIT(f) (1u << (f))
/* In a mask of what is known, or wanted, of a host, beside the families. */
#define HOST_TLSA FAMILY_BIT(FAMILIES)

#define ADDRS_MAX 16 /* kept per family; a host with more is no less known */

struct hostaddrs {
    uint8_t state[FAMILIES]; /* enum addr_state */
    uint8_t n[FAMILIES];
    bool secure; /* AD on every answer */
    bool alias;  /* a CNAME led to them */
    bool stale;  /* some, but past their time in every family: there may be none
                    by now */
    uint32_t ttl_s[FAMILIES]; /* smallest of the answers' for the family */
    struct in_addr v4[ADDRS_MAX];
    struct in6_addr v6[ADDRS_MAX];
    struct tlsa tlsa; /* of _25._tcp.HOST */
};

/* Sum over the families in the bit mask: SOME if any has, else FAILED if any
   failed, else UNKNOWN if any is unknown, else NONE. */
enum addr_state hostaddrs_state(const struct hostaddrs *a, unsigned families);
/* How long it is so, at least: of SOME, those families that have addresses and
   time left; else all of them. */
uint32_t hostaddrs_ttl_s(const struct hostaddrs *a, unsigned families);
/* Without address nobody needs TLSA records, and where addresses are not signed
   they count for a CNAME only, which may be signed: there are none else. */
void hostaddrs_settle_tlsa(struct hostaddrs *a, unsigned families);

enum mx_outcome {
    MX_HOSTS,    /* n_mx > 0 */
    MX_NULL,     /* RFC 7505 */
    MX_NXDOMAIN, /* no such domain */
    MX_FAILURE   /* SERVFAIL, REFUSED, timeout, garbage, CNAME loop */
};

struct mx {
    char *host; /* presentation form of ns_name_ntop(3), lower case, may be
                   anything: only route/clean decides what is usable */
    uint16_t preference;
    struct hostaddrs addrs;
};

#define MXSET_MAX 100 /* exchanges of a domain that count: the best ones */

struct mxset {
    enum mx_outcome outcome;
    bool implicit;    /* no MX record: RFC 5321 section 5.1, preference 0 */
    bool dot_ignored; /* a `.` stood beside other exchanges */
    bool secure;      /* AD on the answer */
    uint32_t ttl_s;   /* as DNS says: negative answers from the SOA */
    char *failure;    /* MX_FAILURE: why, for people; else NULL */
    union {           /* whatever the outcome */
        struct {
            struct domain_txt sts, rpt;
        };
        struct domain_txt txt[TLS_TXTS];
    };
    struct mx *mx; /* by preference, then as received */
    size_t n_mx;
};

void mxset_free(struct mxset *s); /* frees what is in it and zeroes it */
/* Append; false when out of memory. host is copied. */
bool mxset_add(struct mxset *s, const char *host, uint16_t preference);
bool mxset_copy(struct mxset *to_r, const struct mxset *from);
void mxset_sort(struct mxset *s); /* stable, by preference */

#endif
