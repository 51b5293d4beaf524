/*
 * trace - explain every step of one lookup
 *
 * With the view of main.cf (view.c) a last step says which table of
 * transport_maps answers, and for a domain that Postfix routes itself, what
 * mxhop_tls says to smtp(8).
 */

#include "cli/cli.h"
#include "cli/view.h"
#include "ldap/gentime.h"
#include "util/json.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INDENT "              "

struct trace {
    struct mxhop *mx;
    struct view *view;
    const char *config, *key;
    const char *passed; /* the domain, if Postfix routes it; or NULL */
    int64_t at_s;
    bool json;
};

/* ---- a point in time ---- */

/*
 * As ISO 8601 writes it (2026-12-01, 2026-12-01T10:00, with or without seconds,
 * zone, and the T) or as a directory does (20261201100000Z). Without zone it is
 * local time.
 */
static bool trace_read_time(const char *text, int64_t *time_s_r)
{
    char digits[32];
    size_t n = 0;
    bool zone = false;
    struct tm tm;
    time_t t;

    for (const char *p = text; *p != '\0'; p++) {
        if (n + 4 >= sizeof(digits))
            return false;
        zone = zone || *p == 'Z' || (n >= 10 && (*p == '+' || *p == '-'));
        if (*p == 'T' || *p == ' ' || *p == ':' || (*p == '-' && !zone))
            continue;
        digits[n++] = *p;
    }
    if (n == 8) { /* a day */
        digits[n++] = '0';
        digits[n++] = '0';
    }
    if (!zone)
        digits[n++] = 'Z';
    digits[n] = '\0';
    if (!gentime_parse(digits, time_s_r))
        return false;
    t = (time_t)*time_s_r;
    if (zone || gmtime_r(&t, &tm) == NULL)
        return zone;
    tm.tm_isdst = -1;
    *time_s_r = mktime(&tm);
    return true;
}

/* ---- what Postfix makes of it ---- */

/* Text behind an indent. */
static void trace_add_wrapped(const char *text, struct buf *out)
{
    buf_puts_wrapped(out, text, sizeof(INDENT) - 1, sizeof(INDENT) - 1);
    buf_putc(out, '\n');
}

static void trace_cut_newline(struct buf *out)
{
    if (!out->failed)
        out->data[--out->len] = '\0';
}

static char *trace_ask_ours(void *ctx, const char *key)
{
    const struct trace *t = ctx;
    struct mxhop_route *route;
    char *text = NULL;

    if (mxhop_lookup(t->mx, key, 0, &route, NULL) != MXHOP_OK)
        return NULL;
    if (mxhop_render(t->mx, route, MXHOP_FORMAT_POSTFIX, &text, NULL) !=
        MXHOP_OK)
        text = NULL;
    mxhop_route_free(&route);
    return text;
}

/* Postfix has virtual_alias_maps for these, and asks nothing else. */
static bool trace_is_alias(const struct trace *t)
{
    return t->view->why[0] != '\0' &&
           strcmp(t->view->why, postfix_list_names[LIST_VIRTUAL_ALIAS]) == 0;
}

static void trace_add_policy(struct trace *t, struct buf *out)
{
    struct buf policy = {0}, text = {0};
    char why[VIEW_POLICY_WHY];

    if (t->passed == NULL ||
        !view_policy(t->view, t->config, t->passed, &policy, why))
        return;
    buf_printf(&text, TLS_TABLE_TYPE ", asked for the domain: %s (%s)",
               policy.len > 0 ? policy.data : "not found", why);
    buf_puts(out, INDENT);
    trace_add_wrapped(text.failed ? "out of memory" : text.data, out);
    buf_free(&policy);
    buf_free(&text);
}

static void trace_add_json_policy(struct trace *t, struct buf *out)
{
    struct buf policy = {0};
    char why[VIEW_POLICY_WHY];

    buf_puts(out, ",\"tls_policy\":");
    if (t->passed == NULL ||
        !view_policy(t->view, t->config, t->passed, &policy, why)) {
        buf_puts(out, "null");
        return;
    }
    buf_putc(out, '{');
    json_add("answer", policy.len > 0 ? policy.data : NULL, out);
    json_add("why", why, out);
    buf_putc(out, '}');
    buf_free(&policy);
}

static void trace_add_text(struct trace *t, struct buf *out)
{
    struct view_asker ours = {trace_ask_ours, t};

    if (!t->view->taken) {
        buf_puts(out, " 8 main.cf    not looked at:\n" INDENT);
        trace_add_wrapped(t->view->skipped, out);
        trace_cut_newline(out);
        return;
    }
    buf_printf(out, " 8 main.cf    %s\n", t->view->postfix.main);
    if (t->view->why[0] != '\0')
        buf_printf(out, INDENT "local by: %s\n", t->view->why);
    if (t->view->reason[0] != '\0') {
        buf_puts(out, INDENT "Postfix must see domains itself:\n" INDENT);
        trace_add_wrapped(t->view->reason, out);
    }
    if (trace_is_alias(t))
        buf_puts(out, INDENT "no table is asked: virtual_alias_maps has the "
                             "say\n");
    else
        view_tables(t->view, t->key, ours, false, out);
    trace_add_policy(t, out);
    trace_cut_newline(out);
}

static void trace_add_json(struct trace *t, struct buf *out)
{
    struct view_asker ours = {trace_ask_ours, t};

    if (!t->view->taken) {
        buf_puts(out, ",\"main_cf\":null}");
        return;
    }
    buf_puts(out, ",\"main_cf\":{");
    json_add("config_directory", t->view->postfix.dir, out);
    json_add("local_by", t->view->why, out);
    json_add("visible_reason", t->view->reason, out);
    buf_puts(out, ",\"transport_maps\":[");
    if (!trace_is_alias(t))
        view_tables(t->view, t->key, ours, true, out);
    buf_putc(out, ']');
    trace_add_json_policy(t, out);
    buf_puts(out, "}}");
}

static int trace_print(struct trace *t)
{
    unsigned flags = MXHOP_ADDRESS | (t->json ? MXHOP_EXPLAIN_JSON : 0);
    struct mxhop_route *route;
    struct mxhop_error err;
    struct buf out = {0};
    char *text;
    int status;

    if (mxhop_explain(t->mx, t->key, flags, &route, &text, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = cli_status(route->disposition);
    if (t->view->taken && route->domain[0] != '\0' &&
        view_is_local(t->view, route->domain) == MXHOP_LOCAL_NO &&
        route->disposition == MXHOP_PASS)
        t->passed = route->domain;
    buf_add(&out, text, strlen(text) - (t->json ? 1 : 0));
    if (t->json) {
        trace_add_json(t, &out);
    } else {
        buf_putc(&out, '\n');
        trace_add_text(t, &out);
    }
    if (out.failed)
        status = cli_no_memory();
    else
        puts(out.data);
    buf_free(&out);
    free(text);
    mxhop_route_free(&route);
    return status;
}

int cmd_trace(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"at", required_argument, NULL, 'a'},
        {"format", required_argument, NULL, 'f'},
        CLI_VIEW_OPTIONS,
        {0},
    };
    struct view_options view_options = {0};
    struct trace t = {0};
    struct view view;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'a') {
            if (!trace_read_time(optarg, &t.at_s))
                return cli_usage("trace",
                                 "--at %s: expected a time such as "
                                 "2026-12-01T10:00 or 20261201100000Z",
                                 optarg);
        } else if (opt == 'f') {
            if (!cli_read_format("trace", optarg, &t.json))
                return EXIT_USAGE;
        } else if (!view_option(opt, &view_options)) {
            return cli_bad_option("trace", argv[optind - 1]);
        }
    }
    if (argc - optind != 1)
        return cli_usage("trace", "trace needs one key");
    t.config = config;
    t.key = argv[optind];
    t.view = &view;
    status = view_take(&view, config, &view_options);
    if (status == 0)
        t.mx = cli_open_in_view(config, &view, t.at_s, &status);
    if (t.mx != NULL)
        status = trace_print(&t);
    mxhop_close(&t.mx);
    view_free(&view);
    return status;
}
