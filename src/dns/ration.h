/* The ration of waiting: at most a share of any ten seconds
   (docs/design.md 6.1). */

#ifndef DNS_RATION_H
#define DNS_RATION_H

#include <stdbool.h>
#include <stdint.h>

#define RATION_SPAN_MS 10000u
#define RATION_SLOTS   10u

struct ration {
    uint32_t share_percent;             /* 0 to 100 */
    uint64_t slot_no[RATION_SLOTS + 1]; /* which second a slot stands for */
    uint32_t waited_ms[RATION_SLOTS + 1];
    uint32_t first_ms[RATION_SLOTS + 1]; /* of it, for first-seen names */
};

void ration_init(struct ration *r, uint32_t share_percent);
/*
 * How long a caller may wait at now_ms, at most want_ms. With a share of 100
 * always want_ms. Names that were never seen before (`first_seen`: strangers
 * choose them) together get at most half of the share, and each at most half
 * of what is left of that, so that they never use up the waiting of others.
 */
uint32_t ration_allow(const struct ration *r, uint64_t now_ms, uint32_t want_ms,
                      bool first_seen);
void ration_spend(struct ration *r, uint64_t now_ms, uint32_t waited_ms,
                  bool first_seen);

#endif
