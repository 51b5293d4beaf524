/*
 * render_json - a route as one JSON object on one line
 *
 * Every text goes through json_escape(), so that the line is valid JSON
 * whatever was asked.
 */

#include "route/render.h"
#include "util/json.h"

static void render_json_add_member(const char *name, const char *text,
                                   struct buf *out)
{
    buf_printf(out, "\"%s\":", name);
    if (text != NULL)
        json_escape(text, out);
    else
        buf_puts(out, "null");
    buf_putc(out, ',');
}

static void render_json_add_hop(const struct mxhop_hop *hop, struct buf *out)
{
    buf_putc(out, '{');
    render_json_add_member("host", hop->host, out);
    if (hop->port != 0)
        buf_printf(out, "\"port\":%u,", (unsigned)hop->port);
    else
        buf_puts(out, "\"port\":null,");
    buf_printf(out, "\"preference\":%u,\"source\":", (unsigned)hop->preference);
    json_escape(hop->source, out);
    if (hop->tls_class != MXHOP_TLS_NONE)
        buf_printf(out, ",\"tls\":\"%s\"", render_tls_class(hop->tls_class));
    buf_putc(out, '}');
}

bool render_json(const struct mxhop_route *r, struct buf *out)
{
    buf_putc(out, '{');
    render_json_add_member("key", r->key, out);
    render_json_add_member("domain", r->domain, out);
    render_json_add_member("disposition", render_disposition(r->disposition),
                           out);
    render_json_add_member("transport", r->transport, out);
    buf_puts(out, "\"hops\":[");
    for (size_t i = 0; i < r->n_hops; i++) {
        if (i > 0)
            buf_putc(out, ',');
        render_json_add_hop(&r->hops[i], out);
    }
    buf_puts(out, "],");
    render_json_add_member("reason", r->reason, out);
    render_json_add_member("override", r->override, out);
    buf_printf(out, "\"secure\":%s,", r->secure ? "true" : "false");
    render_json_add_member("cache", render_cache_state(r->cache), out);
    buf_printf(out, "\"ttl\":%u}", (unsigned)r->ttl_s);
    return true;
}
