/*
 * render_postfix - the right-hand side of transport(5)
 *
 *     TRANSPORT:[host], [host]:port, [ipv6:address], name
 *
 * Everything stands in brackets, so that smtp(8) asks for addresses only; a
 * name without them is one whose MX records it is to look up itself. reject
 * and defer are the error and retry services; pass has no words (not found).
 *
 * A domain that is to have a queue of its own (by_domain) gets a hash of its
 * name behind the list, written in separators: smtp(8) splits the list on
 * commas and space and skips empty elements, while qmgr(8) compares the
 * string. It begins and ends with a comma, which no trimming takes away.
 */

#include "route/render.h"

#include <string.h>

#include "route/guard.h"
#include "util/hash.h"

#define MARK_BITS 48

static void render_postfix_add_hop(const struct mxhop_hop *hop, struct buf *out)
{
    if (hop->is_mx)
        buf_puts(out, hop->host);
    else
        buf_printf(out, "[%s%s]", guard_is_v6(hop) ? "ipv6:" : "", hop->host);
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

static bool render_postfix_add_list(const struct mxhop_route *r,
                                    struct buf *out)
{
    size_t written = 0;

    for (size_t i = 0; i < r->n_hops; i++) {
        if (!guard_hop(&r->hops[i]))
            continue;
        if (written++ == 0)
            buf_printf(out, "%s:", r->transport);
        else
            buf_puts(out, ", ");
        render_postfix_add_hop(&r->hops[i], out);
    }
    if (written > 0 && r->by_domain)
        add_mark(r->domain, out);
    return written > 0;
}

/* One line of printable ASCII, whatever the text is. */
static void render_postfix_add_text(const char *service, const char *status,
                                    const char *text, struct buf *out)
{
    buf_printf(out, "%s:%s ", service, status);
    for (size_t i = 0; i < GUARD_TEXT_MAX && text[i] != '\0'; i++)
        buf_putc(out, text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
}

bool render_postfix(const struct mxhop_route *r, struct buf *out)
{
    switch (r->disposition) {
    case MXHOP_PASS:
        return false;
    case MXHOP_ROUTE:
        return guard_transport(r->transport) && render_postfix_add_list(r, out);
    case MXHOP_REJECT:
        render_postfix_add_text("error", guard_status(r->status, '5'),
                                r->reason, out);
        return true;
    case MXHOP_DEFER:
        render_postfix_add_text("retry", guard_status(r->status, '4'),
                                r->reason, out);
        return true;
    }
    return false;
}
