/*
 * render_postfix - the right-hand side of transport(5)
 *
 *     TRANSPORT:[hOst], [host]:port, [ipv6:address]
 *
 * A host of the MX set that is held to a TLS class says so in its port: ":025"
 * is MTA-STS, ":0025" is DANE. Both are port 25, and smtp(8) asks
 * smtp_tls_policy_maps for the element as it stands. So hosts of different
 * classes never share a queue or a connection.
 *
 * Everything stands in brackets, so that smtp(8) asks for addresses only.
 * reject is the error service. pass has no words (not found), unless an
 * override says so: then an empty next hop ends the search, which goes on with
 * the domain of a recipient otherwise.
 *
 * defer is the retry service, which is spelt ./retry by default: smtpd(8) takes
 * `retry:` for a refusal, and tempfails recipients and senders.
 *
 * A list without transport leaves a local domain to local(8) or lmtp(8), which
 * take the list for something else, so it gets `relay`.
 *
 * Where the last host may have no address, [224.0.0.0]:1 comes after it:
 * smtp(8) bounces mail (5.4.4) if the last one has none, although others were
 * only down, and defers it if that one cannot be reached. The kernel makes no
 * TCP connection to a multicast address and says so at once, whatever routes
 * there are. So nobody can take the mail there, as any user of the machine can
 * at port 1 of 127.0.0.1 where net.ipv4.ip_unprivileged_port_start allows it.
 *
 * smtp(8) keeps a connection to any host of a list under the list's first host,
 * exactly as it is written there, and uses it for the next mail to a list that
 * begins so, which may not name that host at all. So the first host of several
 * is written in an unusual mixture of upper and lower case: a hash of the list.
 * Tables of policies and passwords fold the case. Where there are too few
 * letters, as in an IPv4 address, a multicast address with the hash in it comes
 * first.
 *
 * A domain that is to have a queue of its own (by_domain) gets a hash of its
 * name behind the list, written in separators: smtp(8) splits the list on
 * commas and space and skips empty elements, while qmgr(8) compares the
 * string. It begins and ends with a comma, which no trimming takes away.
 */

#include "route/render.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "route/steps.h"
#include "util/hash.h"

#define MARK_BITS   48
#define LETTERS_MIN 5 /* that the case of letters tells lists apart */

static void render_postfix_add_hop(const struct mxhop_hop *hop, struct buf *out)
{
    static const char *const class_ports[] = {
        [MXHOP_TLS_NONE] = "",
        [MXHOP_TLS_STS] = ":025",
        [MXHOP_TLS_DANE] = ":0025",
    };

    buf_printf(out, "[%s%s]%s", guard_is_v6(hop) ? "ipv6:" : "", hop->host,
               class_ports[hop->tls_class]);
    if (hop->port != 0)
        buf_printf(out, ":%u", (unsigned)hop->port);
}

static void add_mark(const char *domain, struct buf *out)
{
    uint64_t hash = hash_bytes(0, domain, strlen(domain));

    buf_putc(out, ',');
    for (int i = 0; i < MARK_BITS; i++)
        buf_putc(out, (hash >> i) & 1 ? ',' : ' ');
    buf_putc(out, ',');
}

/* Behind `at` stands a list of several hosts. IPv6 addresses have `ipv' at
   least, for a system that cannot use the other way. */
static void render_postfix_mark_list(struct buf *out, size_t at, bool only_ipv6)
{
    char first[32], *list, *c;
    uint64_t hash;
    unsigned n = 0;

    if (out->failed)
        return;
    list = out->data + at;
    hash = hash_bytes(0, list, out->len - at);
    for (c = list; *c != ']'; c++)
        n += islower((unsigned char)*c) != 0;
    if (n >= LETTERS_MIN || only_ipv6) {
        if ((hash & ((UINT64_C(1) << (n < 63 ? n : 63)) - 1)) == 0)
            hash = 1; /* never as a list of one host has it */
        for (n = 0, c = list; *c != ']'; c++)
            if (islower((unsigned char)*c) && hash >> (n++ % 64) & 1)
                *c = (char)toupper((unsigned char)*c);
        return;
    }
    snprintf(first, sizeof(first), "[239.%u.%u.%u]:1, ",
             (unsigned)(hash >> 16 & 0xff), (unsigned)(hash >> 8 & 0xff),
             (unsigned)(hash & 0xff));
    n = (unsigned)strlen(first);
    buf_puts(out, first);
    if (out->failed)
        return;
    list = out->data + at;
    memmove(list + n, list, out->len - at - n);
    memcpy(list, first, n);
}

static bool render_postfix_add_list(const struct mxhop_route *r,
                                    struct buf *out)
{
    const char *transport = r->transport;
    size_t written = 0, start = 0;

    if (r->local && transport[0] == '\0')
        transport = "relay";
    for (size_t i = 0; i < r->n_hops; i++) {
        if (!guard_hop(&r->hops[i]))
            continue;
        if (written++ == 0) {
            buf_printf(out, "%s:", transport);
            start = out->len;
        } else {
            buf_puts(out, ", ");
        }
        render_postfix_add_hop(&r->hops[i], out);
    }
    if (written > 1)
        render_postfix_mark_list(out, start, r->only_ipv6);
    if (written > 0 && r->stopper)
        buf_puts(out, r->only_ipv6 ? ", [ipv6:ff00::]:1" : ", [224.0.0.0]:1");
    if (written > 0 && r->by_domain)
        add_mark(r->domain, out);
    return written > 0;
}

static void render_postfix_add_text(const char *service, const char *status,
                                    const char *text, struct buf *out)
{
    buf_printf(out, "%s:%s ", service, status);
    guard_text(text, "", out);
}

static void render_postfix_defer(const struct mxhop_route *r,
                                 const char *status, const char *text,
                                 struct buf *out)
{
    const char *service = r->defer_service;

    if (service == NULL || !guard_defer_service(service))
        service = "./retry";
    render_postfix_add_text(service, status, text, out);
}

bool render_postfix(const struct mxhop_route *r, struct buf *out)
{
    bool fits = guard_transport(r->transport);

    switch (r->disposition) {
    case MXHOP_PASS:
        if (r->override == NULL)
            return false;
        buf_printf(out, "%s:", fits && !r->local ? r->transport : "");
        return true;
    case MXHOP_ROUTE:
        if (fits && render_postfix_add_list(r, out))
            return true;
        if (r->override == NULL)
            return false;
        render_postfix_defer(r, "4.3.5", "No usable next hop", out);
        return true;
    case MXHOP_REJECT:
        render_postfix_add_text("error", guard_status(r->status, '5'),
                                r->reason, out);
        return true;
    case MXHOP_DEFER:
        render_postfix_defer(r, guard_status(r->status, '4'), r->reason, out);
        return true;
    }
    return false;
}
