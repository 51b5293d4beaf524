/*
 * render_exim - a host list for the manualroute router, data for redirect
 *
 *     <;mx1.example.com:2525;+;mx2.example.com;[2001:db8::1]:26;2001:db8::2
 *
 * `;` separates, `+` divides preference groups. Only a route has words: for
 * everything else the router is to decline.
 *
 *     :fail: 550 5.1.10 Domain example.com does not accept mail (null MX)
 *
 * is for a redirect router before it, for reject and defer: code and enhanced
 * code become those of the SMTP reply.
 *
 * Tried on Exim 4.96: with `<;` a port follows a single colon; with two, as in
 * lists separated by colons, the lookup of the "host" fails and the address is
 * deferred. An IPv6 address has brackets if a port follows and must not have
 * them otherwise. A space ends the list.
 *
 * One host whose address lookup fails defers the whole address in manualroute,
 * so such hosts are left out, unless there are no others.
 *
 * Exim expands the list twice, and may expand a text where an ACL quotes it: no
 * character that means anything to it gets through.
 */

#include "route/render.h"
#include "route/steps.h"

static bool render_exim_skip(const struct mxhop_hop *hop, bool skip_unresolved)
{
    return !guard_hop(hop) || (skip_unresolved && hop->unresolved);
}

static bool render_exim_any_resolved(const struct mxhop_route *r)
{
    for (size_t i = 0; i < r->n_hops; i++)
        if (!render_exim_skip(&r->hops[i], true))
            return true;
    return false;
}

bool render_exim(const struct mxhop_route *r, struct buf *out)
{
    bool skip_unresolved, new_group = false, any = false;

    if (r->disposition != MXHOP_ROUTE)
        return false;
    skip_unresolved = render_exim_any_resolved(r);
    for (size_t i = 0; i < r->n_hops; i++) {
        const struct mxhop_hop *hop = &r->hops[i];
        char place[PLACE_MAX];

        new_group |= hop->starts_group;
        if (render_exim_skip(hop, skip_unresolved))
            continue;
        buf_puts(out, !any ? "<;" : new_group ? ";+;" : ";");
        buf_add(out, place, guard_place(hop, place));
        any = true;
        new_group = false;
    }
    return any;
}

/* Nothing in the text is left to expand. */
bool render_exim_fate(const struct mxhop_route *r, struct buf *out)
{
    if (r->disposition == MXHOP_REJECT)
        buf_printf(out, ":fail: 550 %s ", guard_status(r->status, '5'));
    else if (r->disposition == MXHOP_DEFER)
        buf_printf(out, ":defer: 451 %s ", guard_status(r->status, '4'));
    else
        return false;
    guard_text(r->reason, "$\\{}", out);
    return true;
}
