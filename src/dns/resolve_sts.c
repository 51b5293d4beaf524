/*
 * resolve_sts - the TXT record at _mta-sts of a task's domain (RFC 8461 3.1)
 *
 * Asked for beside the MX records, so that a domain costs no more round trips
 * than without. What becomes of it never changes what becomes of the MX set.
 * What is not a plain answer is STS_TXT_FAILED, which the owner learns as such;
 * where there was an answer before, which has ended, the task keeps that. Where
 * no name server is to be reached, or time was too short to mean anything,
 * nothing was learnt.
 *
 * A CNAME is followed, by asking for its end where a reply does not go there.
 */

#include "dns/resolve_int.h"

#include <stdio.h>
#include <string.h>
#include "util/clock.h"

#define STS_PREFIX "_mta-sts."

static exchange_fn sts_reply;

static void sts_learned(struct sts_ask *a)
{
    struct task *t = a->task;
    struct resolver *r = t->resolver;

    r->told = true;
    r->owner.sts_learned(r->owner.ctx, t->name, &a->found);
    if (a->found.state != STS_TXT_FAILED || a->known.state == STS_TXT_UNKNOWN)
        a->known = a->found;
}

static void sts_failed(struct sts_ask *a)
{
    a->found = (struct sts_record){.state = STS_TXT_FAILED};
    sts_learned(a);
}

static void sts_ask(struct sts_ask *a, const char *name)
{
    struct task *t = a->task;

    if (t->queries >= RESOLVE_QUERIES_MAX)
        return;
    switch (engine_ask(t->resolver->engine, name, WIRE_TYPE_TXT, t->deadline_ms,
                       sts_reply, a)) {
    case MXHOP_OK:
        t->queries++;
        a->pending = true;
        break;
    case MXHOP_ERR_SYNTAX: /* too long a name for there to be one */
        a->found.state = STS_TXT_NONE;
        sts_learned(a);
        break;
    default:
        break;
    }
}

void sts_begin(struct task *t)
{
    struct sts_ask *a = &t->sts;
    char name[sizeof(STS_PREFIX) + WIRE_NAME_TEXT];

    a->task = t;
    a->known = t->set.sts;
    a->found.ttl_s = UINT32_MAX;
    if (t->is_host || (t->resolver->owner.tls_wanted & TLS_WANT_STS) == 0 ||
        sts_record_holds(&a->known))
        return;
    snprintf(name, sizeof(name), STS_PREFIX "%s", t->name);
    sts_ask(a, name);
}

static void sts_take_answer(struct sts_ask *a, const struct question *q,
                            const uint8_t *msg, size_t len)
{
    char last[WIRE_NAME_TEXT];
    enum records_status status = reply_sts(msg, len, q, &a->found, last);

    if (status == RECORDS_BAD ||
        (status == RECORDS_PARTIAL &&
         (strcmp(last, q->name) == 0 || ++a->links > WIRE_CNAME_MAX)))
        sts_failed(a);
    else if (status == RECORDS_PARTIAL)
        sts_ask(a, last);
    else
        sts_learned(a);
}

static void sts_reply(void *ctx, enum exchange_outcome outcome,
                      const struct question *q, const uint8_t *msg, size_t len,
                      const char *why)
{
    struct sts_ask *a = ctx;

    (void)why;
    a->pending = false;
    if (outcome == EXCHANGE_ANSWER)
        sts_take_answer(a, q, msg, len);
    else if (outcome == EXCHANGE_FAILED ||
             (outcome == EXCHANGE_TIMEOUT &&
              clock_boot_ms() - a->task->start_ms >= SILENCE_MS))
        sts_failed(a);
    if (!a->pending)
        hosts_pump(a->task);
}
