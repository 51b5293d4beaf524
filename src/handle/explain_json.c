/*
 * explain_json - the trace as one JSON object on one line
 *
 * The object of `lookup --format json', and behind its members what the lookup
 * found out on the way.
 */

#include "handle/explain.h"
#include "route/render.h"
#include "util/clock.h"
#include "util/json.h"

#include <arpa/inet.h>

static void explain_json_addresses(const struct hostaddrs *a, unsigned families,
                                   struct buf *out)
{
    static const char *const words[] = {
        [ADDR_UNKNOWN] = "unknown",
        [ADDR_SOME] = "known",
        [ADDR_NONE] = "none",
        [ADDR_FAILED] = "failed",
    };
    char text[INET6_ADDRSTRLEN];

    buf_printf(out, ",\"address_state\":\"%s\",\"addresses\":[",
               words[a != NULL ? hostaddrs_state(a, families) : ADDR_UNKNOWN]);
    if (a != NULL && (families & FAMILY_BIT(FAMILY_V4)) != 0)
        for (unsigned i = 0; i < a->n[FAMILY_V4]; i++)
            json_add(NULL, inet_ntop(AF_INET, &a->v4[i], text, sizeof(text)),
                     out);
    if (a != NULL && (families & FAMILY_BIT(FAMILY_V6)) != 0)
        for (unsigned i = 0; i < a->n[FAMILY_V6]; i++)
            json_add(NULL, inet_ntop(AF_INET6, &a->v6[i], text, sizeof(text)),
                     out);
    buf_putc(out, ']');
}

static void explain_json_host_addresses(const struct candidate *c,
                                        unsigned families, struct buf *out)
{
    if (!c->is_address) {
        explain_json_addresses(c->addrs, families, out);
        return;
    }
    buf_puts(out, ",\"address_state\":\"known\",\"addresses\":[");
    json_add(NULL, c->host, out);
    buf_putc(out, ']');
}

static void explain_json_entries(const struct lookup *l,
                                 const struct explained_entries *e,
                                 struct buf *out)
{
    char time[CLOCK_TEXT_MAX];

    buf_puts(out, ",\"entries\":[");
    for (size_t i = 0; i < e->n; i++) {
        const struct explained_entry *x = &e->v[i];

        buf_puts(out, i > 0 ? ",{" : "{");
        json_add("dn", x->dn, out);
        json_add(x->by_exchange ? "exchange" : "key", x->under, out);
        json_add("mode", override_mode_name(x->mode), out);
        json_add("state", entry_state_words[x->state], out);
        json_add("not_before",
                 x->not_before_s != 0 ? clock_text(x->not_before_s, time)
                                      : NULL,
                 out);
        json_add("not_after",
                 x->not_after_s != 0 ? clock_text(x->not_after_s, time) : NULL,
                 out);
        json_add("beaten_by", x->state == ENTRY_BEATEN ? l->override.dn : NULL,
                 out);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void explain_json_dns(const struct lookup *l, struct buf *out)
{
    static const char *const outcomes[] = {
        [MX_HOSTS] = "hosts",
        [MX_NULL] = "null",
        [MX_NXDOMAIN] = "nxdomain",
        [MX_FAILURE] = "failure",
    };

    if (!l->asked_dns) {
        buf_puts(out, ",\"dns\":null");
        return;
    }
    buf_printf(out, ",\"dns\":{\"outcome\":\"%s\",\"implicit\":%s",
               l->cold ? "cold" : outcomes[l->set.outcome],
               l->set.implicit ? "true" : "false");
    json_add("failure", l->cold ? NULL : l->set.failure, out);
    buf_puts(out, ",\"mx\":[");
    for (size_t i = 0; !l->cold && i < l->set.n_mx; i++) {
        buf_puts(out, i > 0 ? ",{" : "{");
        json_add("host", l->set.mx[i].host, out);
        buf_printf(out, ",\"preference\":%u", l->set.mx[i].preference);
        explain_json_addresses(&l->set.mx[i].addrs, l->mx->rules.families, out);
        if (explain_has_tls(l))
            json_add("tlsa", explain_tlsa_word(&l->set.mx[i].addrs.tlsa), out);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

static void explain_json_hosts(const struct lookup *l, struct buf *out)
{
    buf_puts(out, ",\"hosts\":[");
    for (size_t i = 0; i < l->decision.n; i++) {
        const struct candidate *c = &l->decision.c[i];

        buf_puts(out, i > 0 ? ",{" : "{");
        json_add("host", c->host, out);
        if (c->port != 0)
            buf_printf(out, ",\"port\":%u", c->port);
        else
            buf_puts(out, ",\"port\":null");
        buf_printf(out, ",\"preference\":%u", c->preference);
        json_add("source", c->source, out);
        json_add("via", c->via, out);
        json_add("dropped", c->drop != DROP_NO ? drop_text(c->drop) : NULL,
                 out);
        if (explain_has_tls(l))
            json_add("tls", render_tls_class(c->tls_class), out);
        explain_json_host_addresses(c, l->mx->rules.families, out);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void
explain_json_rendered(const char *name,
                      bool (*render)(const struct mxhop_route *, struct buf *),
                      const struct mxhop_route *route, struct buf *out)
{
    struct buf text = {0};
    bool some = render(route, &text);

    out->failed = out->failed || text.failed;
    json_add(name, some ? text.data : NULL, out);
    buf_free(&text);
}

void explain_json(const struct lookup *l, const struct mxhop_route *route,
                  const struct explained_entries *entries, struct buf *out)
{
    static const char *const locals[] = {
        [MXHOP_LOCAL_NO] = "no",
        [MXHOP_LOCAL_YES] = "yes",
        [MXHOP_LOCAL_ERROR] = "unknown",
    };
    char time[CLOCK_TEXT_MAX], id[OVTABLE_ID_TEXT];

    (void)render_json(route, out);
    if (out->failed)
        return;
    out->data[--out->len] = '\0'; /* its brace */
    json_add("time", clock_text(l->now_s, time), out);
    json_add("local", locals[l->local], out);
    json_add("matched", l->matched, out);
    json_add("table",
             l->table == TABLE_OK ? ovtable_id_text(l->info.id, id) : NULL,
             out);
    json_add("table_error", l->table == TABLE_BAD ? l->table_err.text : NULL,
             out);
    buf_puts(out, ",\"also\":[");
    for (size_t i = 0; i < l->n_also; i++)
        json_add(NULL, l->also[i].dn, out);
    buf_putc(out, ']');
    explain_json_entries(l, entries, out);
    explain_json_dns(l, out);
    explain_tls_json(l, out);
    explain_json_hosts(l, out);
    buf_printf(out, ",\"stopper\":%s", route->stopper ? "true" : "false");
    explain_json_rendered("postfix", render_postfix, route, out);
    explain_json_rendered("exim", render_exim, route, out);
    buf_putc(out, '}');
}
