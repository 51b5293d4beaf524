/*
 * tls - what MTA-STS and the host say about the domain of one lookup
 *
 * The store of mxhop-tls is looked for as placed.c says, and read by pread(2)
 * of the domain's record where its filter, in memory, has the domain. Of most
 * domains it has nothing, which costs no system call.
 *
 * A policy that has not ended is in force whatever DNS says now. A domain that
 * says that it has one, and of which the store knows nothing, or a policy that
 * has ended and was not tried again, is left to the MTA until the service has
 * answered, be it with a failure. So is, without a store that can be used,
 * every domain that may have a policy. The service is told of a domain by a
 * datagram, which may get lost: the next lookup says it again.
 *
 * made_of is what of this an answer depends on; zero for most domains.
 */

#include "handle/handle.h"
#include "policy/want.h"
#include "route/match.h"
#include "util/clock.h"
#include "util/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WANT_AGAIN_MS 10000

enum mxhop_status tls_place(struct mxhop *mx, struct mxhop_error *err)
{
    char path[PATH_MAX];

    mx->tls.want_fd = want_open();
    if (snprintf(path, sizeof(path), "%s/" STORE_FILE, mx->conf.tls_store) >=
        (int)sizeof(path))
        path[0] = '\0';
    return placed_find(&mx->tls.placed, "tls_store",
                       path[0] != '\0' ? path : mx->conf.tls_store, err);
}

void tls_leave(struct mxhop *mx)
{
    store_close(&mx->tls.store);
    placed_leave(&mx->tls.placed);
    if (mx->tls.want_fd >= 0)
        close(mx->tls.want_fd);
}

/* ---- the store ---- */

static void tls_say(struct mxhop *mx, bool bad, const char *why)
{
    bool watch = mx->conf.mta_sts == MTA_STS_WATCH;

    if (bad == mx->tls.bad)
        return;
    mx->tls.bad = bad;
    /* No answer depends on it: the trace tells those who ask once. */
    if (watch && (mx->host.flags & MXHOP_WORKER) == 0)
        return;
    if (bad && watch)
        log_info(&mx->log, "%s; no MTA-STS policy is known", why);
    else if (bad)
        log_warn(&mx->log,
                 "%s; domains that may have an MTA-STS policy are left to the "
                 "MTA",
                 why);
    else
        log_info(&mx->log, "TLS store %s is usable", mx->conf.tls_store);
}

static struct store *tls_store_now(struct mxhop *mx, uint64_t now_ms)
{
    struct placed *p = &mx->tls.placed;
    struct store *s = mx->tls.store;
    struct mxhop_error err;

    if (p->looked_ms != 0 && now_ms < p->looked_ms + PLACED_LOOK_MS)
        return s;
    if (!placed_look(p, s != NULL ? store_file(s) : NULL, now_ms))
        return s;
    store_close(&mx->tls.store);
    if (store_open_at(&mx->tls.store, p->above_fd, p->name, mx->conf.tls_store,
                      (mx->host.flags & MXHOP_WORKER) != 0, NULL,
                      &err) == MXHOP_OK)
        p->seen = *store_stat(mx->tls.store);
    tls_say(mx, mx->tls.store == NULL, err.text);
    return mx->tls.store;
}

static enum sts_stored tls_read(struct mxhop *mx, const char *domain,
                                bool patterns, uint64_t now_ms,
                                struct store_entry *e_r)
{
    struct store *s = tls_store_now(mx, now_ms);

    if (s == NULL)
        return STS_NO_STORE;
    switch (patterns ? store_get(s, domain, e_r) : store_peek(s, domain, e_r)) {
    case FIXED_FOUND:
        return STS_STORED;
    case FIXED_ABSENT:
        return STS_ABSENT;
    case FIXED_DAMAGED:
    case FIXED_MEMORY:
        break;
    }
    tls_say(mx, true, "a record of the TLS store cannot be read");
    return STS_NO_STORE;
}

/* Since then nobody has tried to fetch it. */
static bool tls_has_ended(const struct store_entry *e, int64_t now_s)
{
    return e->has_policy && e->failures == 0 &&
           !sts_in_force(&e->policy, now_s);
}

/* ---- before DNS ---- */

static uint64_t tls_made_of(const struct mxhop *mx, const struct tls_facts *t,
                            int64_t now_s)
{
    const struct store_entry *e = &t->entry;
    uint64_t seen = t->visible != NULL;

    if (mx->conf.mta_sts == MTA_STS_ENFORCE && t->stored == STS_NO_STORE)
        seen |= 2;
    if (mx->conf.mta_sts != MTA_STS_ENFORCE || t->stored != STS_STORED)
        return seen;
    seen |= tls_has_ended(e, now_s) ? 8 : 4;
    if (e->has_policy && sts_in_force(&e->policy, now_s))
        seen ^= e->policy_hash;
    return seen;
}

static void tls_look_for(struct mxhop *mx, const char *domain, bool local,
                         bool patterns, uint64_t now_ms, struct tls_facts *t_r)
{
    *t_r = (struct tls_facts){0};
    if (!local && mx->answer_auto && mx->answer == ANSWER_LIST &&
        mx->host.visible_domain != NULL)
        t_r->visible = mx->host.visible_domain(mx->host.ctx, domain);
    if (mx->conf.mta_sts != MTA_STS_OFF &&
        !match_host_list(mx->conf.mta_sts_exempt, domain))
        t_r->stored = tls_read(mx, domain, patterns, now_ms, &t_r->entry);
    if (t_r->stored != STS_OFF || t_r->visible != NULL)
        t_r->made_of = tls_made_of(mx, t_r, clock_wall_s());
}

void tls_look(struct mxhop *mx, const char *domain, bool local, uint64_t now_ms,
              struct tls_facts *t_r)
{
    tls_look_for(mx, domain, local, true, now_ms, t_r);
}

void tls_glance(struct mxhop *mx, const char *domain, bool local,
                uint64_t now_ms, struct tls_facts *t_r)
{
    tls_look_for(mx, domain, local, false, now_ms, t_r);
}

void tls_forget(struct tls_facts *t)
{
    store_entry_free(&t->entry);
    *t = (struct tls_facts){0};
}

/* ---- with what DNS says ---- */

static void tls_heard(struct mxhop *mx, bool heard)
{
    if (heard != mx->tls.unheard)
        return;
    mx->tls.unheard = !heard;
    if ((mx->host.flags & MXHOP_WORKER) == 0)
        return;
    if (heard)
        log_info(&mx->log, "mxhop-tls listens again for tls_store = %s",
                 mx->conf.tls_store);
    else
        log_warn(&mx->log,
                 "mxhop-tls does not listen for tls_store = %s; start it, or "
                 "no MTA-STS policy is fetched",
                 mx->conf.tls_store);
}

/* One line a domain and ten seconds, about: names that fall together go on. */
void tls_want(struct mxhop *mx, const char *domain)
{
    uint64_t hash = hash_bytes(0, domain, strlen(domain));
    uint64_t now_ms = clock_boot_ms();
    size_t i = hash % (sizeof(mx->tls.wanted) / sizeof(mx->tls.wanted[0]));

    if (mx->tls.wanted[i].hash == hash &&
        now_ms < mx->tls.wanted[i].at_ms + WANT_AGAIN_MS)
        return;
    if (!want_send(mx->tls.want_fd, mx->conf.tls_store, domain, WANT_SOON)) {
        if (errno == ECONNREFUSED)
            tls_heard(mx, false);
        return;
    }
    tls_heard(mx, true);
    mx->tls.wanted[i].hash = hash;
    mx->tls.wanted[i].at_ms = now_ms;
}

/* Whether there may be a policy that is not known. */
static bool tls_is_open(const struct tls_facts *t, const struct domain_txt *txt,
                        int64_t now_s)
{
    switch (t->stored) {
    case STS_OFF:
        return false;
    case STS_STORED:
        if (!tls_has_ended(&t->entry, now_s))
            return false;
        break;
    case STS_ABSENT:
        break;
    case STS_NO_STORE:
        return txt->state != TXT_NONE;
    }
    /* A lookup that fails must not hold up mail. */
    return txt->state == TXT_FOUND || txt->state == TXT_UNKNOWN;
}

/* The service would let a very short policy end before it is fetched again, as
   it does not know whether mail depends on it. Where it does, lookups say so
   from the middle of the policy's life on: no answer is kept past that. */
static bool tls_is_to_renew(struct lookup *l)
{
    const struct store_entry *e = &l->tls.entry;
    int64_t from_s = e->policy.fetched_s + e->policy.max_age_s / 2;
    int64_t edge_s = from_s;

    if (e->next_s < e->policy.expires_s)
        return false;
    if (l->now_s >= from_s)
        edge_s = l->now_s + WANT_AGAIN_MS / 1000;
    if (edge_s < l->edge_s)
        l->edge_s = edge_s;
    return l->now_s >= from_s;
}

void tls_judge(struct lookup *l)
{
    if (!l->cold)
        tls_weigh(l);
}

void tls_weigh(struct lookup *l)
{
    struct mxhop *mx = l->mx;
    struct tls_facts *t = &l->tls;
    const struct domain_txt *txt = &l->set.sts;
    bool in_force = t->stored == STS_STORED && t->entry.has_policy &&
                    sts_in_force(&t->entry.policy, l->now_s);

    if (t->stored == STS_OFF)
        return;
    if (txt->state == TXT_FOUND &&
        (!in_force || strcmp(txt->id, t->entry.policy.id) != 0 ||
         tls_is_to_renew(l)))
        tls_want(mx, l->key.domain);
    if (mx->conf.mta_sts != MTA_STS_ENFORCE)
        return;
    t->open = tls_is_open(t, txt, l->now_s);
    if (in_force && t->entry.policy.mode == STS_MODE_ENFORCE) {
        t->policy = &t->entry.policy;
        if (t->policy->expires_s < l->edge_s)
            l->edge_s = t->policy->expires_s;
    }
}

void tls_mismatch(struct lookup *l)
{
    if (l->tls.policy == NULL || l->decision.n_kept > 0)
        return;
    for (size_t i = 0; i < l->decision.n; i++)
        if (l->decision.c[i].drop == DROP_STS) {
            tls_want(l->mx, l->key.domain);
            return;
        }
}

uint32_t tls_ttl_s(const struct lookup *l)
{
    uint32_t ttl_s = UINT32_MAX;

    for (int i = 0; i < TLS_TXTS; i++)
        if ((l->mx->tls_wanted & TLS_WANT_TXT(i)) != 0)
            ttl_s = min_u32(ttl_s, l->set.txt[i].ttl_s);
    if ((l->mx->tls_wanted & TLS_WANT_DANE) == 0 || !l->set.secure)
        return ttl_s;
    for (size_t i = 0; i < l->decision.n; i++) {
        const struct candidate *c = &l->decision.c[i];

        if (c->is_dns && c->drop == DROP_NO && c->addrs != NULL &&
            hostaddrs_state(c->addrs, l->mx->rules.families) == ADDR_SOME)
            ttl_s = min_u32(ttl_s, c->addrs->tlsa.ttl_s);
    }
    return ttl_s;
}

bool tls_is_settled(const struct lookup *l)
{
    bool reports = (l->mx->tls_wanted & TLS_WANT_RPT) != 0 && l->asked_dns;

    if (l->tls.open || (reports && l->set.rpt.state == TXT_UNKNOWN))
        return false;
    for (size_t i = 0; i < l->decision.n; i++)
        if (l->decision.c[i].drop == DROP_CLASS_UNKNOWN)
            return false;
    return true;
}
