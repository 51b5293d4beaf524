/*
 * ststransport - Exim: a transport holds hosts to an MTA-STS policy
 *
 * A list of Exim cannot say of a host how it has to prove who it is. So mail
 * for a domain with a policy in mode enforce goes to a transport of its own,
 * which verifies every host by its name: exim_sts_transport. A list that has
 * hosts of an override, too, goes there as a whole. It does so although an
 * override names another transport: no list with a host of the policy goes
 * unverified. What the MTA routes by itself goes there, unless the override
 * that passes it names a transport, or the administrator has chosen that no
 * host of the domain needs to be in its policy (on_sts_mismatch = pass).
 *
 * Each process of Exim looks up for one message, so it may wait for a policy
 * that mxhop-tls has not fetched yet: until the time of the lookup is over, and
 * not where nobody listens. Then on_sts_unknown decides.
 */

#include "handle/handle.h"
#include "model/sts.h"
#include "policy/want.h"
#include "util/clock.h"

#include <errno.h>
#include <time.h>

#define LOOK_AGAIN_MS 50
#define SAY_AGAIN_MS  1000 /* datagrams get lost */

void ststransport_begin(struct mxhop *mx)
{
    if ((mx->host.flags & MXHOP_STS_TRANSPORT) != 0 &&
        mx->conf.exim_sts_transport[0] != '\0')
        mx->host.tls_classes |= CLASS_BIT(MXHOP_TLS_STS);
}

static bool ststransport_is_on(const struct lookup *l)
{
    const struct mxhop *mx = l->mx;

    return (mx->host.flags & MXHOP_STS_TRANSPORT) != 0 &&
           mx->conf.exim_sts_transport[0] != '\0' &&
           mx->conf.mta_sts == MTA_STS_ENFORCE && l->local == MXHOP_LOCAL_NO;
}

/* ---- waiting ---- */

static bool ststransport_is_to_come(const struct lookup *l)
{
    return l->tls.open && l->tls.stored != STS_NO_STORE &&
           l->set.sts.state == TXT_FOUND;
}

void ststransport_wait(struct lookup *l)
{
    const struct timespec pause = {0, LOOK_AGAIN_MS * 1000000L};
    struct mxhop *mx = l->mx;
    uint64_t now_ms = clock_boot_ms(), say_ms = 0;

    while (ststransport_is_on(l) && ststransport_is_to_come(l) &&
           now_ms < l->deadline_ms) {
        if (now_ms >= say_ms) {
            if (want_send(mx->tls.want_fd, mx->conf.tls_store, l->key.domain,
                          WANT_URGENT))
                say_ms = now_ms + SAY_AGAIN_MS;
            else if (errno != EAGAIN)
                return;
        }
        nanosleep(&pause, NULL);
        now_ms = clock_boot_ms();
        mx->tls.placed.looked_ms = 0;
        tls_forget(&l->tls);
        tls_look(mx, l->key.domain, false, now_ms, &l->tls);
        tls_judge(l);
    }
}

bool ststransport_defers(const struct lookup *l)
{
    return ststransport_is_on(l) && l->tls.open &&
           l->mx->conf.on_sts_unknown == CHOICE_DEFER &&
           l->decision.disposition == MXHOP_PASS &&
           l->override.transport == NULL;
}

/* ---- the transport ---- */

static bool ststransport_has_class(const struct lookup *l)
{
    for (size_t i = 0; i < l->decision.n_kept; i++)
        if (l->decision.c[i].tls_class == MXHOP_TLS_STS)
            return true;
    return false;
}

static bool ststransport_holds_passed(const struct lookup *l)
{
    const struct tls_facts *t = &l->tls;

    if (l->override.transport != NULL || t->stored != STS_STORED ||
        !t->entry.has_policy || t->entry.policy.mode != STS_MODE_ENFORCE ||
        !sts_in_force(&t->entry.policy, l->now_s))
        return false;
    for (size_t i = 0; i < l->decision.n; i++)
        if (l->decision.c[i].drop == DROP_STS &&
            l->mx->rules.on_sts_mismatch == CHOICE_PASS)
            return false;
    return true;
}

const char *ststransport_name(const struct lookup *l)
{
    bool holds = false;

    if (ststransport_is_on(l) && l->disposition == MXHOP_ROUTE)
        holds = ststransport_has_class(l);
    else if (ststransport_is_on(l) && l->disposition == MXHOP_PASS)
        holds = ststransport_holds_passed(l);
    return holds ? l->mx->conf.exim_sts_transport : NULL;
}
