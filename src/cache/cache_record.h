/* Inside the cache: what a record is worth at a given time. Pure. */

#ifndef STORE_CACHE_RECORD_H
#define STORE_CACHE_RECORD_H

#include "cache/cache.h"
#include "cache/codec.h"

/* Threads read the clock before they take the lock: a record may be a little
   younger than the reader's now. More than this is another boot. */
#define CACHE_CLOCK_SLACK_MS 10000

/* Whether the times of a record fit together and are not from the future. */
bool domain_plausible(const struct domain_record *r, uint64_t now_ms);
bool host_plausible(const struct host_record *r, uint64_t now_ms);

/* What is known of failures stays. */
void domain_drop_answer(struct domain_record *r);

uint32_t clamp_ttl_s(const struct cache_policy *p, uint32_t ttl_s,
                     bool negative);
void failure_note(struct failure_note *f, uint64_t now_ms);

struct cache_entry_state domain_judge(const struct cache_policy *p,
                                      const struct domain_record *r,
                                      uint64_t now_ms);
/* Fills *addrs_r with what is known of the families in the mask; those that
   are not known, and all others, are ADDR_UNKNOWN. */
struct cache_entry_state host_judge(const struct cache_policy *p,
                                    const struct host_record *r,
                                    unsigned families, uint64_t now_ms,
                                    struct hostaddrs *addrs_r);
/* Note the outcome of an address lookup, family by family; r is the record as
   it was, or has only a name. */
void host_update(const struct cache_policy *p, struct host_record *r,
                 const struct hostaddrs *addrs, uint64_t now_ms);

#endif
