/*
 * ration - the ration of waiting
 *
 * Inside Postfix the calling thread may wait for DNS only for a share of any
 * ten seconds. The waits of the last ten seconds are kept in slots
 * of one second. There is one slot more than the span has seconds, so that
 * the sum covers at least ten seconds wherever in a second `now` falls: the
 * error is always on the side of waiting less.
 *
 * What was waited for names never seen before is counted twice: with the rest,
 * and apart, against half of the share. Each gets half of what is left of that
 * half, so one silent name does not leave the next without any.
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

/* What is left at now_ms of so much, if so much was waited in the slots. */
static uint32_t ration_left_ms(const struct ration *r, uint64_t now_ms,
                               uint32_t of_ms, const uint32_t *waited_ms)
{
    uint64_t slot = now_ms / SLOT_MS;

    for (unsigned i = 0; i <= RATION_SLOTS; i++) {
        if (r->slot_no[i] + RATION_SLOTS < slot)
            continue;
        if (waited_ms[i] >= of_ms)
            return 0;
        of_ms -= waited_ms[i];
    }
    return of_ms;
}

static uint32_t ration_least(uint32_t a_ms, uint32_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

uint32_t ration_allow(const struct ration *r, uint64_t now_ms, uint32_t want_ms,
                      bool first_seen)
{
    uint32_t share_ms = RATION_SPAN_MS / 100 * r->share_percent;

    if (r->share_percent >= 100)
        return want_ms;
    want_ms = ration_least(want_ms,
                           ration_left_ms(r, now_ms, share_ms, r->waited_ms));
    if (!first_seen)
        return want_ms;
    return ration_least(
        want_ms, ration_left_ms(r, now_ms, share_ms / 2, r->first_ms) / 2);
}

static void ration_add(uint32_t *sum_ms, uint32_t more_ms)
{
    *sum_ms += ration_least(more_ms, UINT32_MAX - *sum_ms);
}

void ration_spend(struct ration *r, uint64_t now_ms, uint32_t waited_ms,
                  bool first_seen)
{
    uint64_t slot = now_ms / SLOT_MS;
    unsigned i = (unsigned)(slot % (RATION_SLOTS + 1));

    if (r->slot_no[i] != slot) {
        r->slot_no[i] = slot;
        r->waited_ms[i] = r->first_ms[i] = 0;
    }
    ration_add(&r->waited_ms[i], waited_ms);
    if (first_seen)
        ration_add(&r->first_ms[i], waited_ms);
}
