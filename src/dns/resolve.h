/*
 * MX resolution by the rules of RFC 5321 section 5.1 and RFC 7505: from a
 * domain to its MX set with the addresses of the hosts worth examining, and
 * what the DNS says about TLS there if that is wanted. Runs tasks on an engine;
 * not thread-safe.
 */

#ifndef DNS_RESOLVE_H
#define DNS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dns/exchange.h"
#include "model/mxset.h"

/*
 * What the resolver asks of and tells its owner (who has the caches), from
 * resolver_start_domain() and resolver_step(), on their thread.
 */
struct resolver_owner {
    void *ctx;
    /* The families, among `families`, of which a host's addresses need not be
       asked for: *addrs_r has them. The same for HOST_TLSA. */
    unsigned (*host_known)(void *ctx, const char *host, unsigned families,
                           struct hostaddrs *addrs_r);
    /* A host's addresses were asked for; states may be ADDR_FAILED. What was
       not asked for, or is not known, is ADDR_UNKNOWN. TLSA records alike. */
    void (*host_learned)(void *ctx, const char *host,
                         const struct hostaddrs *addrs);
    /* A domain's MX set was asked for (addresses not filled in). */
    void (*mx_learned)(void *ctx, const char *domain, const struct mxset *set);
    /* Which exchanges to examine: fills index[] (of set->mx) with at most
       cap entries, returns how many. */
    size_t (*pick)(void *ctx, const struct mxset *set, uint16_t *index,
                   size_t cap);
    /* A text of a domain was asked for; the state may be TXT_FAILED. May be
       NULL without TLS_WANT_TXT(). */
    void (*txt_learned)(void *ctx, const char *domain, enum tls_txt which,
                        const struct domain_txt *txt);
    unsigned tls_wanted; /* TLS_WANT_...: asked for beside the rest */
};

/* Strangers choose domains: for one at most so many queries are asked, and no
   more exchanges examined than they suffice for, both families of each, MX and
   TXT. The exchanges beyond that are not listed. TLSA records for which no
   query is left are not known. */
#define RESOLVE_QUERIES_MAX   65
#define RESOLVE_PICK_MAX      ((RESOLVE_QUERIES_MAX - 1 - TLS_TXTS) / FAMILIES)
#define RESOLVE_IN_FLIGHT_MAX 32 /* queries in flight for one domain */

struct resolver;

enum mxhop_status resolver_open(struct resolver **r_r, struct engine *engine,
                                const struct resolver_owner *owner,
                                unsigned families, struct mxhop_error *err);
void resolver_close(struct resolver **r); /* drops tasks, no callbacks */

/*
 * Called once for each resolver_start_domain() that returned MXHOP_OK (unless
 * the resolver is closed first). set: the result with the addresses of the
 * examined hosts (known ones included); valid during the call, and the
 * function may take its contents by mxset_copy or by moving and zeroing it.
 */
typedef void resolved_fn(void *ctx, const char *name, struct mxset *set);

/*
 * Resolve a domain: one round trip for MX and TXT, one for the hosts' addresses
 * (in parallel, none if all are known), and where MX and addresses are signed
 * one for TLSA. When known is not NULL the MX set is taken from it (copied) and
 * only the rest is asked for, TXT unless its record holds.
 * At deadline_ms the task ends with what it has: an MX answer still missing
 * is MX_FAILURE, an address still missing ADDR_FAILED (in the result;
 * host_learned is told only if it was waited for long enough to mean it).
 * Where no name server could be asked (EXCHANGE_DOWN, _UNASKED) the result is
 * the same, at once, and the owner learns nothing.
 */
enum mxhop_status resolver_start_domain(struct resolver *r, const char *domain,
                                        const struct mxset *known,
                                        uint64_t deadline_ms, resolved_fn *fn,
                                        void *ctx);
/* engine_step() plus the ending of tasks. */
void resolver_step(struct resolver *r, uint64_t until_ms, int wake_fd);

#endif
