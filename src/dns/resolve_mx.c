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

static void mx_learned(struct task *t)
{
    struct resolver *r = t->resolver;

    r->told = true;
    r->owner.mx_learned(r->owner.ctx, t->name, &t->set);
    hosts_begin(t);
}

/* Where nobody was asked nothing was learnt about the domain: it is to be asked
   for again as soon as there is somebody to be asked. */
static void mx_fail(struct task *t, bool asked, const char *why)
{
    mxset_free(&t->set);
    t->set.outcome = MX_FAILURE;
    snprintf(t->failure, FAILURE_TEXT, "%s", why);
    t->set.failure = t->failure;
    t->failure = NULL;
    if (asked)
        mx_learned(t);
    else
        hosts_begin(t);
}

static void mx_ask(struct task *t, const char *name)
{
    t->queries++;
    switch (engine_ask(t->resolver->engine, name, WIRE_TYPE_MX, t->deadline_ms,
                       mx_reply, t)) {
    case MXHOP_OK:
        break;
    case MXHOP_ERR_SYNTAX:
        mx_fail(t, true, "the name cannot be asked for in the DNS");
        break;
    default:
        mx_fail(t, false, "out of memory");
    }
}

void mx_begin(struct task *t)
{
    t->set.ttl_s = UINT32_MAX;
    t->set.secure = engine_trusts_ad(t->resolver->engine);
    mx_ask(t, t->name);
}

static void mx_drop_dots(struct mxset *set)
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

static int mx_by_name(const void *a, const void *b)
{
    const struct mx *x = a, *y = b;

    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

/* The rest has no say in anything. Names that no host has go first; of equals
   those stay that the cache keeps: name servers turn the order of records. */
static void mx_keep_best(struct mxset *set)
{
    size_t n = 0, odd = 0, odd_max;

    if (set->n_mx <= MXSET_MAX)
        return;
    odd_max = set->n_mx - MXSET_MAX;
    qsort(set->mx, set->n_mx, sizeof(*set->mx), mx_by_name);
    for (size_t i = 0; i < set->n_mx; i++) {
        if ((odd < odd_max && hosts_is_odd(set->mx[i].host)) ||
            n == MXSET_MAX) {
            odd++;
            free(set->mx[i].host);
        } else {
            set->mx[n++] = set->mx[i];
        }
    }
    set->n_mx = n;
}

static void mx_follow(struct task *t, const struct question *q,
                      const char *last)
{
    if (strcmp(last, t->name) == 0 || strcmp(last, q->name) == 0)
        mx_fail(t, true, "CNAME loop");
    else if (++t->links > WIRE_CNAME_MAX)
        mx_fail(t, true, "CNAME chain too long");
    else
        mx_ask(t, last);
}

static void mx_take_answer(struct task *t, const struct question *q,
                           const uint8_t *msg, size_t len)
{
    struct mxset part = {0};
    char last[WIRE_NAME_TEXT];
    enum records_status status = reply_mx(msg, len, q, &part, last);

    if (status != RECORDS_BAD) { /* what each reply says of the whole chain */
        t->set.secure = t->set.secure && part.secure;
        if (part.ttl_s < t->set.ttl_s)
            t->set.ttl_s = part.ttl_s;
    }
    switch (status) {
    case RECORDS_SOME:
        t->set.mx = part.mx; /* the array moves */
        t->set.n_mx = part.n_mx;
        part.mx = NULL;
        part.n_mx = 0;
        mx_drop_dots(&t->set);
        mx_keep_best(&t->set);
        mx_learned(t);
        break;
    case RECORDS_NODATA:
        t->set.outcome = MX_HOSTS;
        t->set.implicit = true;
        if (mxset_add(&t->set, last, 0))
            mx_learned(t);
        else
            mx_fail(t, true, "out of memory");
        break;
    case RECORDS_NXDOMAIN:
        t->set.outcome = MX_NXDOMAIN;
        mx_learned(t);
        break;
    case RECORDS_PARTIAL:
        mx_follow(t, q, last);
        break;
    case RECORDS_BAD:
        mx_fail(t, true,
                "unusable answer (malformed, CNAME loop or chain too long)");
        break;
    }
    mxset_free(&part);
}

static void mx_reply(void *ctx, enum exchange_outcome outcome,
                     const struct question *q, const uint8_t *msg, size_t len,
                     const char *why)
{
    struct task *t = ctx;
    char late[64];

    switch (outcome) {
    case EXCHANGE_ANSWER:
        mx_take_answer(t, q, msg, len);
        break;
    case EXCHANGE_FAILED:
        mx_fail(t, true, why);
        break;
    case EXCHANGE_TIMEOUT:
        /* Rounded up, as a little time passed between the caller's look at the
           clock and ours. */
        snprintf(late, sizeof(late), "no answer within %llu ms",
                 t->deadline_ms < t->start_ms
                     ? 0
                     : (unsigned long long)(t->deadline_ms - t->start_ms + 9) /
                           10 * 10);
        mx_fail(t, true, late);
        break;
    case EXCHANGE_DOWN:
    case EXCHANGE_UNASKED:
        mx_fail(t, false, why);
        break;
    }
}
