/*
 * common - what the subcommands share: complaints, exit statuses, opening
 */

#include "cli/cli.h"
#include "util/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

static void complain(const char *fmt, va_list ap)
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
    complain(fmt, ap);
    va_end(ap);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(fmt, ap);
    va_end(ap);
    fprintf(stderr, "mxhop: see mxhop --help for the arguments of %s\n",
            command);
    return EXIT_USAGE;
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

static void log_line(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    cli_complain("%s%s", level == MXHOP_LOG_WARN ? "warning: " : "", line);
}

/* What Postfix would say with inet_interfaces = all: the addresses of this
   machine, for the check whether a host is ourselves. */
static void own_addresses(struct buf *out)
{
    struct ifaddrs *list, *i;
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&list) != 0)
        return;
    for (i = list; i != NULL; i = i->ifa_next) {
        const struct sockaddr *sa = i->ifa_addr;
        const void *addr =
            sa == NULL ? NULL
            : sa->sa_family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)sa)->sin_addr
            : sa->sa_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
                : NULL;

        if (addr != NULL &&
            inet_ntop(sa->sa_family, addr, text, sizeof(text)) != NULL)
            buf_printf(out, "%s ", text);
    }
    freeifaddrs(list);
}

struct mxhop *cli_open(const char *config, int *status_r)
{
    struct mxhop_host host = {.log = log_line};
    char name[HOST_NAME_MAX + 1] = "", owner[LOGIN_NAME_MAX + 1];
    struct buf addresses = {0};
    struct mxhop_error err;
    struct mxhop *mx;

    own_addresses(&addresses);
    host.own_addresses = addresses.data;
    if (gethostname(name, sizeof(name) - 1) == 0)
        host.own_names = name;
    if (cli_cache_owner(config, owner))
        host.cache_owner = owner;
    if (mxhop_open(&mx, config, &host, &err) != MXHOP_OK)
        *status_r = cli_fail(&err); /* mx is NULL then */
    buf_free(&addresses);
    return mx;
}

struct mxhop *cli_open_as_owner(const char *config, int *status_r)
{
    *status_r = cli_become_owner(config);
    return *status_r == 0 ? cli_open(config, status_r) : NULL;
}

struct mxhop *cli_open_cache(const char *config, const char *purpose,
                             struct probe_cache *cache_r, int *status_r)
{
    struct mxhop *mx = cli_open_as_owner(config, status_r);
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

gid_t cli_reader_gid(const struct conf *conf)
{
    const char *owner = conf->cache_owner;
    const struct passwd *pw = getpwnam(owner[0] != '\0' ? owner : "postfix");

    return pw != NULL ? pw->pw_gid : (gid_t)-1;
}

struct compile_options cli_compile_options(const struct conf *conf)
{
    return (struct compile_options){
        .source = conf->overrides,
        .table = conf->override_table,
        .reader_gid = cli_reader_gid(conf),
        .shrink_percent = conf->override_shrink_limit_percent,
        .now_s = clock_wall_s(),
        .report = cli_report,
    };
}

void cli_report(void *ctx, const struct finding *f)
{
    const char *source = ctx;

    if (source != NULL && strncmp(source, "ldif:", 5) == 0)
        source += 5;
    if (source != NULL && f->line > 0)
        cli_complain("%s:%zu: %s: %s", source, f->line, f->dn, f->text);
    else
        cli_complain("%s: %s", f->dn, f->text);
}
