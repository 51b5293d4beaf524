/*
 * ration - the ration of waiting
 *
 * Inside Postfix the calling thread may wait for DNS only for a share of any
 * ten seconds (DESIGN 6). The waits of the last ten seconds are kept in slots
 * of one second. There is one slot more than the span has seconds, so that
 * the sum covers at least ten seconds wherever in a second `now` falls: the
 * error is always on the side of waiting less.
 *
 * The struct belongs to the caller, holds no pointers and allocates nothing.
 * One waiter at a time: between ration_allow() and ration_spend() nobody else
 * may wait on the same ration.
 */

#include "dns/ration.h"

#include <string.h>

#define SLOT_MS (RATION_SPAN_MS / RATION_SLOTS)

void ration_init(struct ration *r, uint32_t share_percent)
{
    memset(r, 0, sizeof(*r));
    r->share_percent = share_percent < 100 ? share_percent : 100;
}

uint32_t ration_allow(const struct ration *r, uint64_t now_ms, uint32_t want_ms)
{
    uint64_t slot = now_ms / SLOT_MS;
    uint64_t left = RATION_SPAN_MS / 100 * r->share_percent;

    if (r->share_percent >= 100)
        return want_ms;
    for (unsigned i = 0; i <= RATION_SLOTS; i++) {
        if (r->slot_no[i] + RATION_SLOTS < slot)
            continue;
        if (r->waited_ms[i] >= left)
            return 0;
        left -= r->waited_ms[i];
    }
    return want_ms < left ? want_ms : (uint32_t)left;
}

void ration_spend(struct ration *r, uint64_t now_ms, uint32_t waited_ms)
{
    uint64_t slot = now_ms / SLOT_MS;
    unsigned i = (unsigned)(slot % (RATION_SLOTS + 1));

    if (r->slot_no[i] != slot) {
        r->slot_no[i] = slot;
        r->waited_ms[i] = 0;
    }
    if (waited_ms > UINT32_MAX - r->waited_ms[i])
        waited_ms = UINT32_MAX - r->waited_ms[i];
    r->waited_ms[i] += waited_ms;
}
