/*
 * override_show - one override in one line, as text or JSON
 *
 * Text has tabs between the fields, so that cut(1) and awk(1) can be used: DN,
 * keys, mode, hops, state, and the window's ends, `-` where it has none. An MX
 * host that an entry matches by stands among the keys, after "mx=". JSON has an
 * attribute's values as a directory would.
 */

#include "cli/ovset.h"
#include "ldap/gentime.h"
#include "util/clock.h"
#include "util/json.h"

static const char *show_state_word(const struct override *o, int64_t now_s)
{
    if (!o->enabled)
        return "disabled";
    if (override_active(o, now_s))
        return "active";
    return o->not_before_s > now_s ? "pending" : "past";
}

/* ---- text ---- */

static void show_add_words(struct buf *out, const struct strlist *l,
                           const char *prefix, const char **sep)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_printf(out, "%s%s", *sep, prefix);
        buf_puts_printable(out, l->v[i]);
        *sep = " ";
    }
}

/* As people write it in a trace, in UTC. */
static void show_time(int64_t time_s, struct buf *out)
{
    char text[CLOCK_TEXT_MAX] = "";

    if (time_s != 0)
        (void)clock_text(time_s, text);
    buf_printf(out, "\t%s", text[0] != '\0' ? text : "-");
}

void override_show_text(const struct override *o, int64_t now_s,
                        struct buf *out)
{
    const char *sep = "";
    char hop[HOP_TEXT_MAX];

    buf_puts_printable(out, o->dn);
    buf_putc(out, '\t');
    show_add_words(out, &o->keys, "", &sep);
    show_add_words(out, &o->exchanges, "mx=", &sep);
    buf_printf(out, "\t%s\t", override_mode_name(o->mode));
    for (size_t i = 0; i < o->n_hops; i++) {
        hop_format(&o->hops[i], hop);
        buf_printf(out, "%s%s", i > 0 ? ", " : "", hop);
    }
    if (o->n_hops == 0)
        buf_putc(out, '-');
    buf_printf(out, "\t%s", show_state_word(o, now_s));
    show_time(o->not_before_s, out);
    show_time(o->not_after_s, out);
}

/* ---- JSON ---- */

static void show_json_hops(const struct override *o, struct buf *out)
{
    char hop[HOP_TEXT_MAX];

    buf_puts(out, ",\"hops\":[");
    for (size_t i = 0; i < o->n_hops; i++) {
        hop_format(&o->hops[i], hop);
        json_add(NULL, hop, out);
    }
    buf_putc(out, ']');
}

static void show_json_time(const char *name, int64_t time_s, struct buf *out)
{
    char text[GENTIME_MAX];

    gentime_format(time_s, text);
    json_add(name, time_s != 0 ? text : NULL, out);
}

void override_show_json(const struct override *o, bool state, int64_t now_s,
                        struct buf *out)
{
    buf_putc(out, '{');
    json_add("dn", o->dn, out);
    json_add_list("keys", o->keys.v, o->keys.n, out);
    json_add_list("exchanges", o->exchanges.v, o->exchanges.n, out);
    json_add("mode", override_mode_name(o->mode), out);
    show_json_hops(o, out);
    json_add_list("excludes", o->excludes.v, o->excludes.n, out);
    json_add("transport", o->transport, out);
    json_add("group", override_group_name(o), out);
    json_add("reason", o->reason, out);
    buf_printf(out, ",\"enabled\":%s", o->enabled ? "true" : "false");
    show_json_time("not_before", o->not_before_s, out);
    show_json_time("not_after", o->not_after_s, out);
    if (state)
        json_add("state", show_state_word(o, now_s), out);
    buf_putc(out, '}');
}
