/*
 * resolve_mx - the MX question of a task, by RFC 5321 5.1 and RFC 7505
 *
 * Turns replies into the outcome of an MX set (docs/design.md 5), tells the
 * owner, and hands the task on to the addresses. Whatever is not a plain
 * answer is MX_FAILURE with a text for people, never "no MX": mail to a domain
 * whose servers are ill must wait, not go to its web server. Where no name
 * server is to be reached the owner is told nothing.
 *
 * Replies that end in the middle of a CNAME chain are followed by asking for
 * its end, 16 times at most, and never for a name that the chain came from.
 * DNSSEC status and TTL hold for all replies together.
 */

#include "dns/resolve_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static exchange_fn mx_reply;

static void learned(struct task *t)
{
    struct resolver *r = t->resolver;

    r->owner.mx_learned(r->owner.ctx, t->name, &t->set);
    hosts_begin(t);
}

static void set_failure(struct task *t, const char *why)
{
    mxset_free(&t->set);
    t->set.outcome = MX_FAILURE;
    snprintf(t->failure, FAILURE_TEXT, "%s", why);
    t->set.failure = t->failure;
    t->failure = NULL;
}

static void fail(struct task *t, const char *why)
{
    set_failure(t, why);
    learned(t);
}

/* Nothing was learnt about the domain: it is to be asked for again as soon as
   there is somebody to be asked. */
static void fail_unasked(struct task *t, const char *why)
{
    set_failure(t, why);
    hosts_begin(t);
}

/* Rounded up, as a little time passed between the caller's look at the clock
   and ours. */
static void fail_late(struct task *t)
{
    uint64_t ms =
        t->deadline_ms < t->start_ms ? 0 : t->deadline_ms - t->start_ms;
    char why[64];

    snprintf(why, sizeof(why), "no answer within %llu ms",
             (unsigned long long)((ms + 9) / 10 * 10));
    fail(t, why);
}

void mx_expire(struct task *t)
{
    fail_late(t);
}

static void ask(struct task *t, const char *name)
{
    enum mxhop_status status =
        engine_ask(t->resolver->engine, name, WIRE_TYPE_MX, t->deadline_ms,
                   mx_reply, t);

    t->asking = status == MXHOP_OK;
    if (t->asking)
        return;
    if (status == MXHOP_ERR_SYNTAX)
        fail(t, "the name cannot be asked for in the DNS");
    else if (status == MXHOP_ERR_MEMORY)
        fail_unasked(t, "out of memory");
    else
        fail_unasked(t, "no socket for a DNS query");
}

void mx_begin(struct task *t)
{
    t->state = TASK_MX;
    t->set.ttl_s = UINT32_MAX;
    t->set.secure = engine_trusts_ad(t->resolver->engine);
    ask(t, t->name);
}

/* What one reply says of the whole chain. */
static void fold(struct mxset *set, const struct mxset *part)
{
    set->secure = set->secure && part->secure;
    if (part->ttl_s < set->ttl_s)
        set->ttl_s = part->ttl_s;
}

static void drop_dots(struct mxset *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n_mx; i++)
        if (strcmp(set->mx[i].host, ".") == 0)
            free(set->mx[i].host);
        else
            set->mx[n++] = set->mx[i];
    set->dot_ignored = n > 0 && n < set->n_mx;
    set->outcome = n > 0 ? MX_HOSTS : MX_NULL;
    set->n_mx = n;
}

/* part: a reply with MX records, whose array moves to the task. */
static void take_records(struct task *t, struct mxset *part)
{
    t->set.mx = part->mx;
    t->set.n_mx = part->n_mx;
    part->mx = NULL;
    part->n_mx = 0;
    drop_dots(&t->set);
    mxset_sort(&t->set);
    learned(t);
}

static void take_implicit(struct task *t, const char *host)
{
    t->set.outcome = MX_HOSTS;
    t->set.implicit = true;
    if (mxset_add(&t->set, host, 0))
        learned(t);
    else
        fail(t, "out of memory");
}

static void take_nxdomain(struct task *t)
{
    t->set.outcome = MX_NXDOMAIN;
    learned(t);
}

static void follow(struct task *t, const struct question *q, const char *last)
{
    if (strcmp(last, t->name) == 0 || strcmp(last, q->name) == 0)
        fail(t, "CNAME loop");
    else if (++t->links > WIRE_CNAME_MAX)
        fail(t, "CNAME chain too long");
    else
        ask(t, last);
}

static void take_answer(struct task *t, const struct question *q,
                        const uint8_t *msg, size_t len)
{
    struct mxset part = {0};
    char last[WIRE_NAME_TEXT];
    enum records_status status = reply_mx(msg, len, q, &part, last);

    if (status != RECORDS_BAD)
        fold(&t->set, &part);
    switch (status) {
    case RECORDS_SOME:
        take_records(t, &part);
        break;
    case RECORDS_NODATA:
        take_implicit(t, last);
        break;
    case RECORDS_NXDOMAIN:
        take_nxdomain(t);
        break;
    case RECORDS_PARTIAL:
        follow(t, q, last);
        break;
    case RECORDS_BAD:
        fail(t, "unusable answer (malformed, CNAME loop or chain too long)");
        break;
    }
    mxset_free(&part);
}

static void mx_reply(void *ctx, enum exchange_outcome outcome,
                     const struct question *q, const uint8_t *msg, size_t len,
                     const char *why)
{
    struct task *t = ctx;

    t->asking = false;
    if (t->state == TASK_ZOMBIE) { /* it ended at its deadline */
        task_bury(t);
        return;
    }
    if (outcome == EXCHANGE_ANSWER)
        take_answer(t, q, msg, len);
    else if (outcome == EXCHANGE_DOWN || outcome == EXCHANGE_UNASKED)
        fail_unasked(t, why);
    else if (outcome == EXCHANGE_FAILED)
        fail(t, why != NULL ? why : "DNS failure");
    else
        fail_late(t);
}
