/*
 * resolve_txt - the TXT records about TLS of a task's domain
 *
 * At _mta-sts (RFC 8461 3.1), and at _smtp._tls (RFC 8460 3). Asked for beside
 * the MX records, so that a domain costs no more round trips than without. What
 * becomes of it never changes what becomes of the MX set. What is not a plain
 * answer is TXT_FAILED, which the owner learns as such; where there was an
 * answer before, which has ended, the task keeps that. Where no name server is
 * to be reached, or time was too short to mean anything, nothing was learnt.
 *
 * A CNAME is followed, by asking for its end where a reply does not go there.
 */

#include "dns/resolve_int.h"

#include <stdio.h>
#include <string.h>
#include "util/clock.h"

static const char *const txt_prefix[] = {
    [TLS_TXT_STS] = "_mta-sts.", [TLS_TXT_RPT] = "_smtp._tls."};

static exchange_fn txt_reply;

static void txt_learned(struct txt_ask *a)
{
    struct task *t = a->task;
    struct resolver *r = t->resolver;

    r->told = true;
    r->owner.txt_learned(r->owner.ctx, t->name, a->which, &a->found);
    if (a->found.state != TXT_FAILED || a->known.state == TXT_UNKNOWN)
        a->known = a->found;
}

static void txt_failed(struct txt_ask *a)
{
    a->found = (struct domain_txt){.state = TXT_FAILED};
    txt_learned(a);
}

static void txt_ask(struct txt_ask *a, const char *name)
{
    struct task *t = a->task;

    if (t->queries >= RESOLVE_QUERIES_MAX)
        return;
    switch (engine_ask(t->resolver->engine, name, WIRE_TYPE_TXT, t->deadline_ms,
                       txt_reply, a)) {
    case MXHOP_OK:
        t->queries++;
        t->txt_pending++;
        a->pending = true;
        break;
    case MXHOP_ERR_SYNTAX: /* too long a name for there to be one */
        a->found.state = TXT_NONE;
        txt_learned(a);
        break;
    default:
        break;
    }
}

void txt_begin(struct task *t)
{
    unsigned wanted = t->is_host ? 0 : t->resolver->owner.tls_wanted;
    char name[sizeof("_smtp._tls.") + WIRE_NAME_TEXT];

    for (int i = 0; i < TLS_TXTS; i++) {
        struct txt_ask *a = &t->txt[i];

        *a = (struct txt_ask){.task = t,
                              .which = (enum tls_txt)i,
                              .known = t->set.txt[i],
                              .found = {.ttl_s = UINT32_MAX}};
        if ((wanted & TLS_WANT_TXT(i)) == 0 || domain_txt_holds(&a->known))
            continue;
        snprintf(name, sizeof(name), "%s%s", txt_prefix[i], t->name);
        txt_ask(a, name);
    }
}

static void txt_take_answer(struct txt_ask *a, const struct question *q,
                            const uint8_t *msg, size_t len)
{
    char last[WIRE_NAME_TEXT];
    enum records_status status =
        reply_txt(msg, len, q, a->which, &a->found, last);

    if (status == RECORDS_BAD ||
        (status == RECORDS_PARTIAL &&
         (strcmp(last, q->name) == 0 || ++a->links > WIRE_CNAME_MAX)))
        txt_failed(a);
    else if (status == RECORDS_PARTIAL)
        txt_ask(a, last);
    else
        txt_learned(a);
}

static void txt_reply(void *ctx, enum exchange_outcome outcome,
                      const struct question *q, const uint8_t *msg, size_t len,
                      const char *why)
{
    struct txt_ask *a = ctx;

    (void)why;
    a->pending = false;
    a->task->txt_pending--;
    if (outcome == EXCHANGE_ANSWER)
        txt_take_answer(a, q, msg, len);
    else if (outcome == EXCHANGE_FAILED ||
             (outcome == EXCHANGE_TIMEOUT &&
              clock_boot_ms() - a->task->start_ms >= SILENCE_MS))
        txt_failed(a);
    if (!a->pending)
        hosts_pump(a->task);
}
