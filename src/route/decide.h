/*
 * The decision about one key, from what is known: merge, clean, order, limit
 * (docs/design.md 4.6 to 4.9). Pure: no I/O, no clock, the same input gives the
 * same decision in every process and on every machine with the same seed.
 */

#ifndef ROUTE_DECIDE_H
#define ROUTE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/mxhop.h>
#include "model/key.h"
#include "model/mxset.h"
#include "model/override.h"
#include "model/rules.h"
#include "model/tls.h"

#define CLASS_BIT(c) (1u << (c)) /* of enum mxhop_tls_class */

/* Exchanges of a set that are examined, and may be listed, whatever max_hops
   says: strangers choose domains, and each costs a query a family. */
#define EXAMINE_MAX 31

/* What is known for one hop of the override, by index. */
struct hop_facts {
    bool spliced;           /* HOP_MX: `set` is that name's MX set */
    struct mxset set;       /* with addresses, as far as examined */
    struct hostaddrs addrs; /* HOP_HOST: from the host cache */
};

struct decide_input {
    const struct rules *rules;
    const char *domain;              /* of the key, normal form */
    const struct override *override; /* NULL: none applies */
    const struct hop_facts *facts;   /* override->n_hops, or NULL */
    const struct override *also; /* by exchange, all of mode exclude: they hold
                                    beside `override` */
    size_t n_also;
    bool local;              /* the MTA delivers the domain itself */
    const struct mxset *set; /* NULL: was not asked for */
    bool cold; /* the MX set was asked for but not known in time (set NULL) */
    bool learning; /* addresses not known now are being asked for */
    const struct sts_policy *policy; /* in force (mode enforce); or NULL */
    bool policy_open;                /* there may be one that is not known */
    unsigned classes;                /* CLASS_BIT(): the MTA knows them */
    unsigned visible_if;             /* of struct mxhop_host */
    const char *own_domains;         /* of it, or NULL */
    int64_t now_s;                   /* wall time: rotation slots */
};

/* Why a candidate is not in the list; texts: drop_text(). */
enum drop {
    DROP_NO,
    DROP_EXCLUDED, /* mxhopExclude */
    DROP_BAD_NAME, /* not a host name */
    DROP_LOOKS_LIKE_ADDRESS,
    DROP_DUPLICATE,
    DROP_NO_ADDRESS,
    DROP_BOGUS,
    DROP_SELF,
    DROP_BEHIND_SELF,    /* DNS host of equal or worse preference than we */
    DROP_NOT_KNOWN,      /* no address is known yet, and it would end the list,
                            or an override's list has it */
    DROP_BEHIND_UNKNOWN, /* in an override's list, behind one of those */
    DROP_UNRESOLVED,     /* the lookup failed, in an override's list */
    DROP_STS,            /* not a host of the domain's MTA-STS policy */
    DROP_NO_CLASS,       /* nothing would hold it to that policy */
    DROP_POLICY_UNKNOWN, /* there may be a policy that it is not in */
    DROP_CLASS_UNKNOWN,  /* what its TLSA records say is not known */
    DROP_UNEXAMINED,     /* beyond EXAMINE_MAX */
    DROP_LIMIT,          /* beyond max_hops */
    DROP_NAME_NOT_KNOWN, /* MX set of a spliced name */
    DROP_NULL_MX,        /* spliced name accepts no mail */
    DROP_NO_DOMAIN       /* spliced name does not exist */
};

struct candidate {
    const char *host;   /* points into the input */
    const char *source; /* "dns" or the override's DN; into the input */
    const char *via;    /* spliced from this name, or NULL */
    uint16_t port;
    uint16_t preference; /* for people */
    bool is_address, is_dns;
    bool is_mx; /* a name to be spliced, that has no hosts: dropped */
    enum mxhop_tls_class tls_class; /* of DNS hosts that are kept */
    uint8_t tier;  /* 0 prepended, 1 the MX set and merged, 2 appended */
    uint16_t rank; /* within a spliced set: 0 best group, 1 ... */
    uint64_t tie;  /* keyed hash that orders equals */
    const struct hostaddrs *addrs; /* NULL: nothing known */
    enum drop drop;
};

struct decision {
    enum mxhop_disposition disposition;
    const char *status; /* static: "5.1.10", "" */
    char reason[256];   /* printable ASCII; text of reject and defer */
    const char *transport;
    bool by_domain; /* group: a queue of its own */
    bool secure;
    bool stopper;        /* the last host may have no address */
    struct candidate *c; /* all, kept ones first in the order to try, then the
                            dropped ones, in the same order among them */
    size_t n, n_kept;
    uint32_t slot_left_s; /* until the order of ties turns: at least 1;
                             UINT32_MAX: never, or there is no list */
};

/* false: out of memory, *d_r is empty. Everything in *d_r that is a pointer
   to text or addresses belongs to the input, which must outlive it. */
bool decide(const struct decide_input *in, struct decision *d_r);
void decision_free(struct decision *d);
const char *drop_text(enum drop drop);

/* Whether an override keeps mail from a host of an MX set. */
bool decide_excludes(const struct override *o, const char *host);

/* Equally preferred: neither starts a group (struct mxhop_hop) after the
   other. */
bool candidate_same_group(const struct candidate *a, const struct candidate *b);

/*
 * Which exchanges of a set are worth examining: the first
 * 2 x max_hops in the order of this time slot, and up to 20 more to finish a
 * tie, but EXAMINE_MAX at most. Fills index with positions in set->mx; returns
 * how many.
 */
size_t decide_pick(const struct rules *rules, const struct mxset *set,
                   int64_t now_s, uint16_t *index, size_t cap);

/* The steps of decide(), each on a list of candidates, for their tests. */
struct candidates {
    struct candidate *v;
    size_t n, cap;
};
bool merge_candidates(const struct decide_input *in, struct candidates *list);
void clean_candidates(const struct decide_input *in, struct candidates *list);
void order_candidates(const struct decide_input *in, struct candidates *list);

/* What TLSA records say about a host of an MX set that is signed. */
enum host_dane {
    HOST_DANE_NO,     /* nothing that binds it */
    HOST_DANE_USABLE, /* its certificate must match */
    HOST_DANE_OPEN    /* not known */
};
enum host_dane tlsclass_dane(const struct rules *rules,
                             const struct hostaddrs *a);

/* Whether text may reach a rendered list as a host name: labels of letters,
   digits, `-` and `_`, of 1 to 63 octets, none with `-` at an end, 253 octets
   at most. */
bool clean_is_hostname(const char *host);
/* The last label is all digits, or the whole reads as an address. */
bool clean_looks_like_address(const char *host);

#endif
