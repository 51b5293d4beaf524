/*
 * render_text - a route for people
 *
 *     example.com: route: MX records
 *        10  mx1.example.com        dns
 *        20  mx2.example.com:2525   cn=backup,dc=example
 *
 * Made for 80 columns: a reason or a source that does not fit goes to lines of
 * its own. UTF-8 stays as it is; controls and what is not UTF-8 become `?`:
 * nobody's MX record, or DN, moves an administrator's cursor.
 */

#include "route/render.h"

#include <stdio.h>
#include <string.h>

#include "route/steps.h"

#define PLACE_COLUMN 40 /* a longer place does not widen the column */

static void render_text_add_head(const struct mxhop_route *r, struct buf *out)
{
    size_t start = out->len;

    buf_puts_printable(out, r->key);
    buf_printf(out, ": %s", render_disposition(r->disposition));
    if (r->status[0] != '\0')
        buf_printf(out, " %s", r->status);
    if (r->reason[0] == '\0')
        return;
    buf_puts(out, ": ");
    buf_puts_wrapped(out, r->reason, out->len - start, 4);
}

static size_t render_text_place_width(const struct mxhop_route *r)
{
    char place[PLACE_MAX];
    size_t width = 0, n;

    for (size_t i = 0; i < r->n_hops; i++) {
        n = guard_place(&r->hops[i], place);
        if (n > width && n <= PLACE_COLUMN)
            width = n;
    }
    return width;
}

static void render_text_add_hop(const struct mxhop_hop *hop, size_t width,
                                struct buf *out)
{
    char place[PLACE_MAX];
    size_t n = guard_place(hop, place), start;

    buf_putc(out, '\n');
    start = out->len;
    buf_printf(out, "%5u  ", (unsigned)hop->preference);
    buf_add_printable(out, place, n);
    if (n < width)
        buf_printf(out, "%*s", (int)(width - n), "");
    buf_puts(out, "  ");
    buf_puts_wrapped(out, hop->source, out->len - start, 9);
    if (hop->tls_class != MXHOP_TLS_NONE)
        buf_printf(out, ", class %s", render_tls_class(hop->tls_class));
}

static void render_text_add_line(const char *name, const char *text,
                                 struct buf *out)
{
    buf_printf(out, "\n  %s: ", name);
    buf_puts_wrapped(out, text, strlen(name) + 4, 4);
}

bool render_text(const struct mxhop_route *r, struct buf *out)
{
    size_t width = render_text_place_width(r);

    render_text_add_head(r, out);
    for (size_t i = 0; i < r->n_hops; i++)
        render_text_add_hop(&r->hops[i], width, out);
    if (r->transport[0] != '\0')
        render_text_add_line("transport", r->transport, out);
    if (r->override != NULL)
        render_text_add_line("override", r->override, out);
    return true;
}
