/*
 * render_exim - a host list for the manualroute router
 *
 *     <;mx1.example.com:2525;+;mx2.example.com;[2001:db8::1]:26;2001:db8::2
 *
 * `;` separates, `+` divides preference groups, a name that ends in /MX is one
 * whose MX records Exim looks up itself. Only a route has words: for
 * everything else the router is to decline.
 *
 * Tried on Exim 4.96: with `<;` a port follows a single colon; with two, as in
 * lists separated by colons, the lookup of the "host" fails and the address is
 * deferred. An IPv6 address has brackets if a port follows and must not have
 * them otherwise. `/MX` comes before the port. A space ends the list.
 *
 * One host whose address lookup fails defers the whole address in manualroute,
 * so such hosts are left out, unless there are no others.
 */

#include "route/render.h"

#include "route/guard.h"

static bool skip(const struct mxhop_hop *hop, bool skip_unresolved)
{
    return !guard_hop(hop) || (skip_unresolved && hop->unresolved);
}

static bool any_resolved(const struct mxhop_route *r)
{
    for (size_t i = 0; i < r->n_hops; i++)
        if (!skip(&r->hops[i], true))
            return true;
    return false;
}

static void add_hop(const struct mxhop_hop *hop, struct buf *out)
{
    const char *mx = hop->is_mx ? "/MX" : "";

    if (hop->port == 0)
        buf_printf(out, "%s%s", hop->host, mx);
    else if (guard_is_v6(hop))
        buf_printf(out, "[%s]:%u", hop->host, (unsigned)hop->port);
    else
        buf_printf(out, "%s%s:%u", hop->host, mx, (unsigned)hop->port);
}

bool render_exim(const struct mxhop_route *r, struct buf *out)
{
    bool skip_unresolved, new_group = false, any = false;

    if (r->disposition != MXHOP_ROUTE)
        return false;
    skip_unresolved = any_resolved(r);
    for (size_t i = 0; i < r->n_hops; i++) {
        const struct mxhop_hop *hop = &r->hops[i];

        new_group |= hop->starts_group;
        if (skip(hop, skip_unresolved))
            continue;
        buf_puts(out, !any ? "<;" : new_group ? ";+;" : ";");
        add_hop(hop, out);
        any = true;
        new_group = false;
    }
    return any;
}
