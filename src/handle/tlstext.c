/*
 * tlstext - what TLS has to be like towards a domain that the MTA routes itself
 *
 * A list carries its classes with it. Of other domains Postfix asks for the
 * policy by name when it delivers:
 *
 * - Where the MX set is signed, and TLSA records bind every host, it is DANE.
 *   MTA-STS has no say then.
 * - Else, where an MTA-STS policy is in force, a certificate must be for one of
 *   its hosts. Since 3.10.5 Postfix sees to it that it is for the very host.
 * - Else there is no policy, and the MTA's own level holds.
 *
 * With a policy, what is not known of a host's TLSA records makes nothing
 * weaker: DANE alone is accepted, as Postfix asks for them itself.
 *
 * A domain may say that it has a policy, and the service not have fetched it
 * yet. Then the process waits, and looks at the store again and again.
 */

#include "handle/handle.h"
#include "model/sts.h"
#include "policy/want.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/str.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define LOOK_AGAIN_MS 100
#define SAY_AGAIN_MS  1000 /* to the service */
#define UNHEARD_MS    1000 /* without a service: it may be about to start */

/* ---- DNS ---- */

/* What TLSA records say about all hosts that mail can get to. */
static enum host_dane tlstext_dane(const struct lookup *l)
{
    const struct mxhop *mx = l->mx;
    enum host_dane sum = HOST_DANE_NO;

    if ((mx->host.tls_classes & CLASS_BIT(MXHOP_TLS_DANE)) == 0 || l->cold ||
        l->set.outcome != MX_HOSTS || !l->set.secure)
        return HOST_DANE_NO;
    for (size_t i = 0; i < l->set.n_mx; i++) {
        const struct mx *host = &l->set.mx[i];
        enum host_dane dane;

        if (str_in_list(mx->rules.own_names, host->host))
            break; /* it delivers to better ones only */
        if (hostaddrs_state(&host->addrs, mx->rules.families) == ADDR_NONE)
            continue;
        dane = tlsclass_dane(&mx->rules, &host->addrs);
        if (dane == HOST_DANE_NO)
            return HOST_DANE_NO;
        if (sum != HOST_DANE_OPEN)
            sum = dane;
    }
    return sum;
}

static bool tlstext_has_no_host(const struct lookup *l)
{
    for (size_t i = 0; i < l->set.n_mx; i++)
        if (sts_matches(l->tls.policy, l->set.mx[i].host))
            return false;
    return !l->cold && l->set.outcome == MX_HOSTS;
}

static void tlstext_ask(struct lookup *l, uint64_t deadline_ms)
{
    mxset_free(&l->set);
    l->asked_dns = false;
    l->deadline_ms = deadline_ms;
    facts_domain(l, true);
}

/* ---- the store ---- */

static void tlstext_look(struct lookup *l)
{
    tls_forget(&l->tls);
    l->now_s = clock_wall_s();
    tls_look(l->mx, l->key.domain, true, clock_boot_ms(), &l->tls);
    tls_weigh(l);
}

/* There may be a policy, and time may tell. */
static bool tlstext_is_to_come(const struct lookup *l)
{
    return l->tls.open &&
           (l->set.sts.state == TXT_FOUND || l->set.sts.state == TXT_UNKNOWN);
}

static void tlstext_wait(struct lookup *l, uint64_t start_ms)
{
    const struct timespec pause = {0, LOOK_AGAIN_MS * 1000000L};
    struct mxhop *mx = l->mx;
    uint64_t until_ms = start_ms + mx->conf.mta_sts_wait_ms;
    uint64_t now_ms = clock_boot_ms(), unheard_ms = 0, say_ms = 0;
    int place = waiters_enter(mx, l->key.domain);

    while (place >= 0 && tlstext_is_to_come(l) && now_ms < until_ms &&
           waiters_may_stay(mx, place, l->key.domain)) {
        if (l->set.sts.state == TXT_UNKNOWN) {
            tlstext_ask(l, until_ms);
        } else if (now_ms >= say_ms) {
            if (want_send(mx->tls.want_fd, mx->conf.tls_store, l->key.domain,
                          WANT_URGENT)) {
                say_ms = now_ms + SAY_AGAIN_MS;
                unheard_ms = 0;
            } else if (errno == EAGAIN) { /* others take the room */
                unheard_ms = 0;
            } else if (unheard_ms == 0) {
                unheard_ms = now_ms;
            } else if (now_ms >= unheard_ms + UNHEARD_MS) {
                break;
            }
        }
        nanosleep(&pause, NULL);
        mx->tls.placed.looked_ms = 0;
        tlstext_look(l);
        now_ms = clock_boot_ms();
    }
    if (place >= 0)
        waiters_leave(mx, place, l->key.domain,
                      tlstext_is_to_come(l) && unheard_ms == 0);
}

/* ---- the text ---- */

static void tlstext_put_secure(const struct lookup *l, unsigned flags,
                               struct buf *out)
{
    const struct sts_policy *p = l->tls.policy;

    buf_puts(out, "secure match=");
    for (size_t i = 0; i < p->n_mx; i++) {
        const char *pattern = p->mx[i];

        if (i > 0)
            buf_putc(out, ':');
        buf_puts(out, pattern[0] == '*' ? pattern + 1 : pattern);
    }
    buf_puts(out, " servername=hostname");
    if ((flags & MXHOP_TLS_STS_WORDS) == 0)
        return;
    buf_printf(out, " policy_type=sts policy_domain=%s", l->key.domain);
    for (size_t i = 0; i < p->n_mx; i++)
        buf_printf(out, " { mx_host_pattern=%s }", p->mx[i]);
}

/* Nothing, where no policy holds. Returns why, for people. */
static const char *tlstext_put(const struct lookup *l, unsigned flags,
                               struct buf *out)
{
    struct mxhop *mx = l->mx;
    enum host_dane dane = tlstext_dane(l);

    if (l->tls.policy == NULL) {
        if (dane == HOST_DANE_USABLE)
            buf_puts(out, "dane");
        return dane == HOST_DANE_USABLE ? "TLSA records bind every host"
               : l->tls.open            ? "its policy is not known yet"
                                        : "no policy in force, and not "
                                          "every host has TLSA records";
    }
    if (dane != HOST_DANE_NO) {
        buf_puts(out, "dane-only");
        return dane == HOST_DANE_USABLE
                   ? "TLSA records bind every host"
                   : "a policy in force, and TLSA records not known";
    }
    if (tlstext_has_no_host(l)) {
        tls_want(mx, l->key.domain);
        if (mx->rules.on_sts_mismatch == CHOICE_PASS)
            return "no MX host is in its policy (on_sts_mismatch = pass)";
    }
    if ((mx->host.tls_classes & CLASS_BIT(MXHOP_TLS_STS)) == 0)
        return "a policy in force, but Postfix cannot verify certificates";
    tlstext_put_secure(l, flags, out);
    return "its MTA-STS policy";
}

enum mxhop_status mxhop_tls_text(struct mxhop *mx, const char *domain,
                                 unsigned flags, const char **text_r,
                                 struct mxhop_error *err)
{
    const char *why;

    return probe_tls_text(mx, domain, flags, text_r, &why, err);
}

enum mxhop_status probe_tls_text(struct mxhop *mx, const char *domain,
                                 unsigned flags, const char **text_r,
                                 const char **why_r, struct mxhop_error *err)
{
    uint64_t start_ms = clock_boot_ms();
    struct lookup l = {.mx = mx, .asked = domain, .edge_s = INT64_MAX};
    struct buf *out = &mx->text.last;
    bool unknown;

    *text_r = NULL;
    *why_r = "mta_sts is not enforce";
    key_parse(domain, &l.key);
    if (l.key.kind != KEY_DOMAIN || !mxhop_keeps_policies(mx))
        return MXHOP_OK;
    buf_free(out);
    handle_open_cache(mx);
    learn_report(mx);
    tlstext_ask(&l, start_ms + mx->budget_ms);
    tlstext_look(&l);
    if (tlstext_is_to_come(&l))
        tlstext_wait(&l, start_ms);
    unknown = l.tls.open && mx->conf.on_sts_unknown == CHOICE_DEFER;
    if (!unknown)
        *why_r = tlstext_put(&l, flags, out);
    lookup_free(&l);
    learn_flush(mx);
    if (unknown)
        return err_set(err, MXHOP_ERR_TIMEOUT,
                       "%s: may have an MTA-STS policy, which was not fetched "
                       "yet (on_sts_unknown = defer)",
                       domain);
    if (out->failed)
        return err_nomem(err);
    if (out->len > 0)
        *text_r = out->data;
    return MXHOP_OK;
}
