/*
 * render_json - a route as one JSON object on one line
 *
 * Every text goes through json_escape(), so that the line is valid JSON
 * whatever was asked.
 */

#include "route/render.h"
#include "util/json.h"

static void render_json_add_hop(const struct mxhop_hop *hop, struct buf *out)
{
    buf_putc(out, '{');
    json_add("host", hop->host, out);
    if (hop->port != 0)
        buf_printf(out, ",\"port\":%u", (unsigned)hop->port);
    else
        buf_puts(out, ",\"port\":null");
    buf_printf(out, ",\"preference\":%u", (unsigned)hop->preference);
    json_add("source", hop->source, out);
    if (hop->tls_class != MXHOP_TLS_NONE)
        buf_printf(out, ",\"tls\":\"%s\"", render_tls_class(hop->tls_class));
    buf_putc(out, '}');
}

bool render_json(const struct mxhop_route *r, struct buf *out)
{
    buf_putc(out, '{');
    json_add("key", r->key, out);
    json_add("domain", r->domain, out);
    json_add("disposition", render_disposition(r->disposition), out);
    json_add("transport", r->transport, out);
    buf_puts(out, ",\"hops\":[");
    for (size_t i = 0; i < r->n_hops; i++) {
        if (i > 0)
            buf_putc(out, ',');
        render_json_add_hop(&r->hops[i], out);
    }
    buf_putc(out, ']');
    json_add("reason", r->reason, out);
    json_add("override", r->override, out);
    buf_printf(out, ",\"secure\":%s", r->secure ? "true" : "false");
    json_add("cache", render_cache_state(r->cache), out);
    buf_printf(out, ",\"ttl\":%u}", (unsigned)r->ttl_s);
    return true;
}
