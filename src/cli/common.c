/*
 * common - what the subcommands share: complaints, exit statuses, opening
 */

#include "cli/cli.h"
#include "cli/view.h"
#include "util/clock.h"
#include "util/str.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void cli_vcomplain(const char *fmt, va_list ap)
{
    fflush(stdout);
    fputs("mxhop: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void cli_complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cli_vcomplain(fmt, ap);
    va_end(ap);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cli_vcomplain(fmt, ap);
    va_end(ap);
    fprintf(stderr, "mxhop: see mxhop --help for the arguments of %s\n",
            command);
    return EXIT_USAGE;
}

int cli_bad_option(const char *command, const char *option)
{
    return cli_usage(command, "%s: no such option, or its argument is missing",
                     option);
}

int cli_no_memory(void)
{
    cli_complain("out of memory");
    return EX_OSERR;
}

int cli_fail(const struct mxhop_error *err)
{
    static const int statuses[] = {
        [MXHOP_ERR_MEMORY] = EX_OSERR,     [MXHOP_ERR_ARGUMENT] = EX_USAGE,
        [MXHOP_ERR_CONFIG] = EX_CONFIG,    [MXHOP_ERR_SYNTAX] = EX_DATAERR,
        [MXHOP_ERR_IO] = EX_IOERR,         [MXHOP_ERR_TABLE] = EX_IOERR,
        [MXHOP_ERR_DNS] = EX_CONFIG,       [MXHOP_ERR_HELD] = EX_TEMPFAIL,
        [MXHOP_ERR_TIMEOUT] = EX_TEMPFAIL,
    };

    cli_complain("%s", err->text);
    return statuses[err->code];
}

int cli_status(enum mxhop_disposition disposition)
{
    static const int statuses[] = {
        [MXHOP_ROUTE] = EXIT_ANSWERED,
        [MXHOP_PASS] = EXIT_PASS,
        [MXHOP_REJECT] = EXIT_REJECT,
        [MXHOP_DEFER] = EXIT_DEFER,
    };

    return statuses[disposition];
}

static void cli_log_line(void *ctx, enum mxhop_log_level level,
                         const char *line)
{
    (void)ctx;
    cli_complain("%s%s", level == MXHOP_LOG_WARN ? "warning: " : "", line);
}

static void cli_log_warning(void *ctx, enum mxhop_log_level level,
                            const char *line)
{
    if (level == MXHOP_LOG_WARN)
        cli_log_line(ctx, level, line);
}

static struct mxhop *cli_open_with(struct conf *conf, const char *config,
                                   void (*log)(void *ctx,
                                               enum mxhop_log_level level,
                                               const char *line),
                                   struct view *view, int *status_r)
{
    struct mxhop_host host = {.log = log, .flags = MXHOP_THIS_MACHINE};
    bool postfix = view != NULL && view->taken;
    char owner[LOGIN_NAME_MAX + 1];
    struct mxhop_error err;
    struct mxhop *mx;

    if (cli_cache_owner(conf, config, owner))
        host.cache_owner = owner;
    if (postfix)
        view_host(view, &host);
    else
        host.flags |= MXHOP_STS_TRANSPORT;
    if (probe_open(&mx, conf, config, &host, &err) != MXHOP_OK)
        *status_r = cli_fail(&err); /* mx is NULL then */
    return mx;
}

static struct mxhop *cli_load(const char *config, bool as_owner,
                              struct view *view, int *status_r)
{
    struct mxhop *mx = NULL;
    struct mxhop_error err;
    struct conf conf;

    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK) {
        *status_r = cli_fail(&err);
        return NULL;
    }
    *status_r = as_owner ? cli_become_owner(&conf, config) : 0;
    if (*status_r == 0)
        mx = cli_open_with(&conf, config, cli_log_line, view, status_r);
    conf_free(&conf);
    return mx;
}

static bool cli_strip(void *ctx, const char *address, char *out, size_t size)
{
    const struct view *v = ctx;

    return v->taken && postfix_strip(&v->config, address, out, size);
}

struct mxhop *cli_open_in_view(const char *config, struct view *v, int64_t at_s,
                               int *status_r)
{
    struct mxhop *mx = cli_load(config, true, v, status_r);

    if (mx != NULL)
        probe_as(mx, (struct probe_as){at_s, cli_strip, v, v->taken});
    return mx;
}

struct mxhop *cli_open_to_check(const char *config, struct view *v,
                                int *status_r)
{
    return cli_load(config, false, v, status_r);
}

struct mxhop *cli_open_for_policies(const char *config, struct view *v,
                                    int *status_r)
{
    unsigned classes = postfix_own_tls_classes(&v->config);
    struct mxhop_host host = {
        .flags = MXHOP_POLICIES,
        .tls_classes =
            ((classes & POSTFIX_CLASS_STS) != 0 ? 1u << MXHOP_TLS_STS : 0) |
            ((classes & POSTFIX_CLASS_DANE) != 0 ? 1u << MXHOP_TLS_DANE : 0),
        .own_names = postconf_param(&v->postfix, "myhostname"),
        .address_families = v->families,
    };
    struct mxhop_error err;
    struct mxhop *mx;

    *status_r = 0;
    if (mxhop_open(&mx, config, &host, &err) != MXHOP_OK)
        *status_r = cli_fail(&err); /* mx is NULL then */
    return mx;
}

struct mxhop *cli_open_quietly(struct conf *conf, const char *config,
                               int *status_r)
{
    return cli_open_with(conf, config, cli_log_warning, NULL, status_r);
}

struct mxhop *cli_open_cache(const char *config, struct view *v,
                             const char *purpose, struct probe_cache *cache_r,
                             int *status_r)
{
    struct mxhop *mx = cli_load(config, true, v, status_r);
    const char *cache;

    if (mx == NULL || probe_shared_cache(mx, cache_r))
        return mx;
    cache = probe_conf(mx)->cache;
    if (strcmp(cache, "none") == 0 || strcmp(cache, "memory") == 0)
        cli_complain("cache = %s: there is no shared cache to %s", cache,
                     purpose);
    else
        cli_complain("the shared cache cannot be used: nothing to %s", purpose);
    *status_r = EXIT_CONFIG;
    mxhop_close(&mx);
    return NULL;
}

static bool cli_take_format(const char *command, const struct cli_action *a,
                            const char *text, enum cli_format *format_r)
{
    static const char *const names[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_LDIF] = "ldif"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0 && str_in_list(a->formats, text)) {
            *format_r = (enum cli_format)i;
            return true;
        }
    if (a->formats[0] == '\0')
        cli_usage(command, "%s %s has no --format", command, a->name);
    else
        cli_usage(command, "unknown format \"%s\" for %s; expected one of: %s",
                  text, a->name, a->formats);
    return false;
}

bool cli_read_action(const char *command, const struct cli_action *actions,
                     int argc, char **argv, struct cli_call *c_r)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        {0},
    };
    const struct cli_action *a = actions;
    int opt;

    while (a->name != NULL && (argc < 2 || strcmp(argv[1], a->name) != 0))
        a++;
    if (a->name == NULL) {
        cli_usage(command, "%s needs %s", command, a->usage);
        return false;
    }
    *c_r =
        (struct cli_call){.action = (size_t)(a - actions), .format = a->format};
    argc--;
    argv++;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt != 'f') {
            cli_bad_option(command, argv[optind - 1]);
            return false;
        }
        if (!cli_take_format(command, a, optarg, &c_r->format))
            return false;
    }
    c_r->n = argc - optind;
    c_r->arguments = argv + optind;
    if (c_r->n >= a->min && c_r->n <= a->max)
        return true;
    cli_usage(command, "%s %s takes %s", command, a->name, a->usage);
    return false;
}

bool cli_read_format(const char *command, const char *text, bool *json_r)
{
    *json_r = strcmp(text, "json") == 0;
    if (*json_r || strcmp(text, "text") == 0)
        return true;
    cli_usage(command, "unknown format \"%s\"; expected text or json", text);
    return false;
}

bool cli_read_number(const char *command, const char *option, const char *text,
                     unsigned min, unsigned max, unsigned *n_r)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 &&
        n >= min && n <= max) {
        *n_r = (unsigned)n;
        return true;
    }
    cli_usage(command, "--%s %s: expected a number from %u to %u", option, text,
              min, max);
    return false;
}

struct compile_options cli_compile_options(const struct conf *conf,
                                           const struct source *source)
{
    return (struct compile_options){
        .source = source,
        .table = conf->override_table,
        .shrink_percent = conf->override_shrink_limit_percent,
        .now_s = clock_wall_s(),
        .report = cli_report,
        .ctx = (void *)source,
    };
}

void cli_say_of(const struct source *source, const char *before, size_t line,
                const char *place, const char *text)
{
    struct buf out = {0};

    buf_puts(&out, before);
    if (line > 0)
        buf_printf(&out, "%s:%zu: ", source->text + strlen("ldif:"), line);
    buf_puts_printable(&out, place);
    buf_puts(&out, ": ");
    buf_puts_printable(&out, text);
    cli_complain("%s", out.failed ? "out of memory" : out.data);
    buf_free(&out);
}

void cli_report(void *ctx, const struct finding *f)
{
    cli_say_of(ctx, "", f->line, f->dn, f->text);
}
