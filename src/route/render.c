/*
 * render - words that all formats share, and the last guard
 *
 * Hosts were cleaned before a route was made. A route may come from a cache
 * or from a caller of the library, though, and what stands behind a list is
 * Postfix's parser or Exim's string expansion: so every host is looked at
 * once more when it is written.
 */

#include "route/render.h"

#include <stdio.h>
#include <string.h>

#include "route/steps.h"

#define TEXT_MAX 200 /* octets for a sender */

const char *render_disposition(enum mxhop_disposition d)
{
    static const char *const names[] = {
        [MXHOP_PASS] = "pass",
        [MXHOP_ROUTE] = "route",
        [MXHOP_REJECT] = "reject",
        [MXHOP_DEFER] = "defer",
    };

    return names[d];
}

const char *render_cache_state(enum mxhop_cache_state s)
{
    static const char *const names[] = {
        [MXHOP_CACHE_NONE] = "none",
        [MXHOP_CACHE_HIT] = "hit",
        [MXHOP_CACHE_MISS] = "miss",
        [MXHOP_CACHE_STALE] = "stale",
    };

    return names[s];
}

const char *render_tls_class(enum mxhop_tls_class c)
{
    static const char *const names[] = {
        [MXHOP_TLS_NONE] = "none",
        [MXHOP_TLS_STS] = "sts",
        [MXHOP_TLS_DANE] = "dane",
    };

    return names[c];
}

bool guard_hop(const struct mxhop_hop *hop)
{
    if (hop->is_address)
        return clean_is_address(hop->host);
    return clean_is_hostname(hop->host) && !clean_looks_like_address(hop->host);
}

bool guard_is_v6(const struct mxhop_hop *hop)
{
    return hop->is_address && strchr(hop->host, ':') != NULL;
}

bool guard_transport(const char *transport)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return transport[strspn(transport, allowed)] == '\0';
}

bool guard_defer_service(const char *service)
{
    if (strncmp(service, "./", 2) == 0)
        service += 2;
    return service[0] != '\0' && guard_transport(service);
}

const char *guard_status(const char *status, char class_digit)
{
    static const char digits_and_dots[] = "0123456789.";

    if (status[0] == class_digit && status[1] == '.' &&
        status[strspn(status, digits_and_dots)] == '\0')
        return status;
    return class_digit == '5' ? "5.0.0" : "4.0.0";
}

size_t guard_place(const struct mxhop_hop *hop, char place[PLACE_MAX])
{
    char port[8] = "";

    if (hop->port != 0)
        snprintf(port, sizeof(port), ":%u", (unsigned)hop->port);
    return (size_t)snprintf(place, PLACE_MAX,
                            guard_is_v6(hop) && hop->port != 0 ? "[%.260s]%s"
                                                               : "%.260s%s",
                            hop->host, port);
}

void guard_text(const char *text, const char *without, struct buf *out)
{
    for (size_t i = 0; i < TEXT_MAX && text[i] != '\0'; i++) {
        bool plain = text[i] >= ' ' && text[i] <= '~' &&
                     strchr(without, text[i]) == NULL;

        buf_putc(out, plain ? text[i] : '?');
    }
}

render_fn *render_for(enum mxhop_format format)
{
    static render_fn *const renderers[] = {
        [MXHOP_FORMAT_TEXT] = render_text,
        [MXHOP_FORMAT_JSON] = render_json,
        [MXHOP_FORMAT_POSTFIX] = render_postfix,
        [MXHOP_FORMAT_EXIM] = render_exim,
        [MXHOP_FORMAT_EXIM_FATE] = render_exim_fate,
    };

    if ((size_t)format >= sizeof(renderers) / sizeof(renderers[0]))
        return NULL;
    return renderers[format];
}
