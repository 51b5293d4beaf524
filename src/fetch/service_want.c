/*
 * service_want - what is wanted, what is due, what the clock says
 *
 * Lookups name domains, administrators give orders. Strangers choose for which
 * domains lookups are made: a lookup's word starts no fetch within a minute of
 * the last one, or half of the policy's life, nor before the time is over that
 * follows a failure.
 *
 * Times in the store are wall time. If the clock is set while the service runs,
 * those that it has set are moved with it. What was stored before, and lies in
 * the future now, is fetched at once, and is not in force until then
 * (sts_in_force()).
 */

#include "fetch/service_int.h"
#include "policy/want.h"
#include "util/clock.h"

#include <unistd.h>

#define AGAIN_S       60 /* between two fetches that lookups ask for */
#define CLOCK_SET_S   60 /* a jump that is none of ntpd's */
#define WANTS_AT_ONCE 256
#define ROOM_TRIES    64
#define SCAN_ITEMS    100000u /* for each second between two scans */

/* ---- what is wanted ---- */

static void service_forget(struct service *s, const char *domain)
{
    struct item *i = book_find(&s->book, domain);

    if (i == NULL)
        return;
    service_say(s, "%s: forgotten", domain);
    if (i->queue == ITEM_RUNNING)
        i->forget = true;
    else
        service_remove(s, i);
    service_save_soon(s);
}

/* Whoever makes up domains puts one more into the book with each. Those without
   a policy give way to them, any of them: for one that is asked for again they
   are tried again. */
static void service_make_room(struct service *s)
{
    const struct book *b = &s->book;

    if (b->n - b->policies < BOOK_NONE_MAX)
        return;
    for (int tries = 0; tries < ROOM_TRIES; tries++) {
        struct item *i = b->v[service_random((uint32_t)b->n)];

        if (i->queue == ITEM_IDLE && i->len > 0 && !i->has_policy) {
            service_remove(s, i);
            return;
        }
    }
}

/* Lookups of strangers must not make us knock at will. */
static bool service_may_knock(const struct store_entry *e)
{
    int64_t now_s = clock_wall_s(), again_s = AGAIN_S;

    if (e->failures > 0)
        return now_s >= e->next_s;
    if (e->has_policy && e->policy.max_age_s / 2 < again_s)
        again_s = e->policy.max_age_s / 2;
    return now_s >= e->tried_s + again_s || now_s < e->tried_s;
}

static bool service_fetch(struct service *s, const char *domain,
                          enum want_kind kind)
{
    struct item *i = book_find(&s->book, domain);
    struct store_entry e;

    if (i == NULL && (kind != WANT_SOON || s->book.untried < BOOK_SOON_MAX)) {
        service_make_room(s);
        i = book_add(&s->book, domain);
    }
    if (i == NULL) {
        if (!s->full_told)
            service_say(s, "too many domains: %s and others are left out",
                        domain);
        s->full_told = true;
        return false;
    }
    if (kind != WANT_FETCH && i->len > 0) {
        bool again;

        if (!book_get(i, &e))
            return false;
        again = service_may_knock(&e);
        store_entry_free(&e);
        if (!again)
            return true;
    }
    service_queue(s, i, kind == WANT_SOON ? ITEM_SOON : ITEM_URGENT);
    return true;
}

bool service_want(struct service *s, const char *domain)
{
    return service_fetch(s, domain, WANT_FETCH);
}

void service_take_wants(struct service *s)
{
    struct want w;

    for (int n = 0; n < WANTS_AT_ONCE && want_receive(s->want_fd, s->owner, &w);
         n++) {
        bool order = w.kind == WANT_FETCH || w.kind == WANT_FORGET;

        if (w.domain[0] == '\0' || (order && w.uid != 0 && w.uid != geteuid()))
            continue;
        if (w.kind == WANT_FORGET)
            service_forget(s, w.domain);
        else
            (void)service_fetch(s, w.domain, w.kind);
    }
}

/* ---- what is due ---- */

/* One try after another has failed, or nothing can be hoped for. */
static bool service_is_hopeless(const struct item *i)
{
    struct store_entry e;
    bool hopeless;

    if (i->has_policy || !book_get(i, &e))
        return false;
    hopeless = e.failures >= TRIES_MAX;
    store_entry_free(&e);
    return hopeless;
}

void service_scan(struct service *s)
{
    int64_t now_s = clock_wall_s();

    for (size_t k = s->book.n; k > 0; k--) {
        struct item *i = s->book.v[k - 1];

        /* No next try is set for later than in a day. */
        if (i->queue != ITEM_IDLE || i->len == 0 ||
            (i->next_s > now_s &&
             i->next_s <= now_s + DAY_S + STS_CLOCK_SLACK_S))
            continue;
        if (service_is_hopeless(i))
            service_remove(s, i);
        else
            service_queue(s, i, ITEM_SOON);
    }
    if (s->book.dirty)
        service_save_soon(s);
    s->full_told = false;
    s->scan_ms = clock_boot_ms() + 1000 * (1 + s->book.n / SCAN_ITEMS);
}

void service_move_times(struct service *s)
{
    int64_t clock_s = clock_wall_s() - (int64_t)(clock_boot_ms() / 1000);
    int64_t by_s = clock_s - s->clock_s;

    s->clock_s = clock_s;
    if (by_s > -CLOCK_SET_S && by_s < CLOCK_SET_S)
        return;
    service_say(s, "the clock was set by %lld s: times are moved with it",
                (long long)by_s);
    for (size_t k = 0; k < s->book.n; k++) {
        struct item *i = s->book.v[k];
        struct store_entry e;

        if (!i->ours || !book_get(i, &e))
            continue;
        e.tried_s += by_s;
        e.next_s += by_s;
        e.policy.fetched_s += by_s;
        e.policy.expires_s += by_s;
        if (!e.has_policy || e.policy.fetched_s >= 0)
            (void)book_put(&s->book, i, &e);
        store_entry_free(&e);
    }
    s->save_ms = clock_boot_ms();
}
