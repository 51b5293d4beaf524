/*
 * service_try - whose turn it is, and what came of it
 *
 * What somebody waits for comes first. Silent web servers hold places for ten
 * seconds, so there are far more places for those that somebody waits for than
 * for the rest.
 *
 * A policy is fetched again once a day at a random time, whatever its id says.
 * After a failure the next try is five minutes later, then ten, up to a day;
 * what was stored stays until it ends. A domain without a policy is given up
 * after the tenth failure.
 */

#include "fetch/service_int.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_MIN_S      300 /* unless lookups ask for it (handle/tls.c) */
#define UNASKED_S          60  /* while no name server can be asked */

#define RUNNING_URGENT_MAX 512u
#define RUNNING_SOON_MAX   128u

struct running { /* of a job */
    struct service *s;
    struct item *i;
};

/* ---- queues ---- */

static void service_unqueue(struct service *s, struct item *i)
{
    if (i->queue == ITEM_SOON)
        TAILQ_REMOVE(&s->soon, i, link);
    else if (i->queue == ITEM_URGENT)
        TAILQ_REMOVE(&s->urgent, i, link);
    else
        return;
    i->queue = ITEM_IDLE;
}

void service_queue(struct service *s, struct item *i, enum item_queue queue)
{
    if (i->queue >= queue)
        return;
    service_unqueue(s, i);
    i->queue = queue;
    if (queue == ITEM_URGENT)
        TAILQ_INSERT_TAIL(&s->urgent, i, link);
    else
        TAILQ_INSERT_TAIL(&s->soon, i, link);
}

void service_remove(struct service *s, struct item *i)
{
    service_unqueue(s, i);
    book_remove(&s->book, i);
}

/* ---- what came of a try ---- */

static int64_t service_next_s(const struct store_entry *e, int64_t now_s)
{
    int64_t wait_s = FIRST_RETRY_S;
    uint32_t period = DAY_S;

    if (e->failures > 0) {
        for (uint32_t i = 1; i < e->failures && wait_s < DAY_S; i++)
            wait_s *= 2;
        return now_s + (wait_s < DAY_S ? wait_s : DAY_S);
    }
    if (e->policy.max_age_s / 2 < period)
        period = e->policy.max_age_s / 2;
    if (period < REFRESH_MIN_S)
        period = REFRESH_MIN_S;
    return now_s + period / 2 + service_random(period / 2 + 1);
}

static bool service_same(const struct sts_policy *a, const struct sts_policy *b)
{
    if (a->mode != b->mode || strcmp(a->id, b->id) != 0 ||
        a->max_age_s != b->max_age_s || a->n_mx != b->n_mx)
        return false;
    for (size_t i = 0; i < a->n_mx; i++)
        if (strcmp(a->mx[i], b->mx[i]) != 0)
            return false;
    return true;
}

static void service_take_policy(struct service *s, const struct item *i,
                                struct store_entry *e, struct sts_policy *p)
{
    if (!e->has_policy || e->failures > 0 || !service_same(&e->policy, p))
        service_say(s, "%s: policy %s, mode %s, %zu mx, max_age %us", i->domain,
                    p->id, sts_mode_word(p->mode), p->n_mx, p->max_age_s);
    p->fetched_s = e->tried_s;
    p->expires_s = e->tried_s + p->max_age_s;
    sts_policy_free(&e->policy);
    e->policy = *p;
    *p = (struct sts_policy){0};
    e->has_policy = true;
    e->failures = 0;
    e->error[0] = '\0';
}

static void service_take_failure(struct service *s, const struct item *i,
                                 struct store_entry *e,
                                 enum job_outcome outcome, const char *why)
{
    char until[CLOCK_TEXT_MAX], error[sizeof(e->error)];
    bool ended = e->has_policy && e->tried_s >= e->policy.expires_s;

    snprintf(error, sizeof(error), "%s", why);
    str_printable(error);
    if (outcome != JOB_UNASKED || e->failures == 0)
        e->failures++;
    if (ended)
        service_say(s, "%s: %s; the policy that was stored has ended",
                    i->domain, error);
    else if (strcmp(error, e->error) != 0 && e->has_policy)
        service_say(s, "%s: %s; the policy that is stored stays until %s",
                    i->domain, error, clock_text(e->policy.expires_s, until));
    else if (strcmp(error, e->error) != 0)
        service_say(s, "%s: %s; it has no policy", i->domain, error);
    if (ended) {
        sts_policy_free(&e->policy);
        e->has_policy = false;
    }
    memcpy(e->error, error, sizeof(error));
}

static void service_done(void *ctx, enum job_outcome outcome, const char *why,
                         struct sts_policy *p)
{
    struct running *r = ctx;
    struct service *s = r->s;
    struct item *i = r->i;
    struct store_entry e;
    bool kept;

    free(r);
    s->running--;
    i->queue = ITEM_IDLE;
    if (i->forget) {
        service_remove(s, i);
        return;
    }
    kept = book_get(i, &e);
    e.tried_s = clock_wall_s();
    if (outcome == JOB_POLICY)
        service_take_policy(s, i, &e, p);
    else
        service_take_failure(s, i, &e, outcome, why);
    e.next_s = service_next_s(&e, e.tried_s);
    if (outcome == JOB_UNASKED)
        e.next_s = e.tried_s + UNASKED_S;
    if (outcome == JOB_NONE && !e.has_policy)
        e.failures = TRIES_MAX; /* an answer: nothing to hope for */
    i->ours = true;
    if (!kept || !book_put(&s->book, i, &e))
        i->next_s = e.tried_s + UNASKED_S; /* no memory: as if not tried */
    store_entry_free(&e);
    service_save_soon(s);
}

static void service_start(struct service *s, struct item *i)
{
    struct running *r = malloc(sizeof(*r));

    service_unqueue(s, i);
    if (r != NULL) {
        *r = (struct running){s, i};
        i->queue = ITEM_RUNNING;
        s->running++;
        if (job_start(&s->tools, i->domain, service_done, r))
            return;
        /* Too long a name, or no memory. */
        service_done(r, JOB_FAILED, "the TXT record cannot be asked for", NULL);
        return;
    }
    i->next_s = clock_wall_s() + UNASKED_S;
}

void service_start_some(struct service *s)
{
    struct item *i;

    while (s->running < RUNNING_URGENT_MAX &&
           (i = TAILQ_FIRST(&s->urgent)) != NULL)
        service_start(s, i);
    while (s->running < RUNNING_SOON_MAX && (i = TAILQ_FIRST(&s->soon)) != NULL)
        service_start(s, i);
}
