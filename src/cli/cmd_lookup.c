/*
 * lookup - print the next hops of domains or recipients
 *
 * One key prints its answer alone; several keys, or `-` for keys from
 * standard input, print `key<TAB>answer` lines in the MTA formats, as
 * `postmap -q -` does, and leave out what the MTA would not find. The exit
 * status is the gravest of all keys (defer, reject, pass, answered).
 */

#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum mxhop_format format;
    bool keyed; /* the answer does not name the key itself */
} formats[] = {
    {"text", MXHOP_FORMAT_TEXT, false},
    {"json", MXHOP_FORMAT_JSON, false},
    {"postfix", MXHOP_FORMAT_POSTFIX, true},
    {"exim", MXHOP_FORMAT_EXIM, true},
};

#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

static size_t cmd_lookup_find_format(const char *name)
{
    size_t i = 0;

    while (i < N_FORMATS && strcmp(name, formats[i].name) != 0)
        i++;
    return i;
}

/* Gravity is the numeric order of the exit statuses. */
static int cmd_lookup_worse(int a, int b)
{
    return a > b ? a : b;
}

static int cmd_lookup_print_one(struct mxhop *mx, const char *key,
                                size_t format, bool several)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    char *text;
    int status;

    if (mxhop_lookup(mx, key, MXHOP_ADDRESS, &route, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = cli_status(route->disposition);
    if (mxhop_render(mx, route, formats[format].format, &text, &err) !=
        MXHOP_OK)
        status = cli_fail(&err);
    if (text != NULL && several && formats[format].keyed)
        printf("%s\t%s\n", key, text);
    else if (text != NULL)
        puts(text);
    free(text);
    mxhop_route_free(&route);
    return status;
}

static int cmd_lookup_print_stdin(struct mxhop *mx, size_t format)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    int status = EXIT_ANSWERED;

    while ((n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[--n] = '\0';
        if (n > 0 && line[n - 1] == '\r') /* a file from elsewhere */
            line[n - 1] = '\0';
        if (line[0] != '\0')
            status =
                cmd_lookup_worse(status,
                                 cmd_lookup_print_one(mx, line, format, true));
    }
    if (ferror(stdin)) {
        cli_complain("standard input: %s", strerror(errno));
        status = cmd_lookup_worse(status, 74);
    }
    free(line);
    return status;
}

static int cmd_lookup_print_all(struct mxhop *mx, size_t format, int n,
                                char **keys)
{
    int status = EXIT_ANSWERED;

    for (int i = 0; i < n; i++)
        status = cmd_lookup_worse(
            status, strcmp(keys[i], "-") == 0
                        ? cmd_lookup_print_stdin(mx, format)
                        : cmd_lookup_print_one(mx, keys[i], format, n > 1));
    return status;
}

int cmd_lookup(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        {0},
    };
    size_t format = 0;
    struct mxhop *mx;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt != 'f')
            return cli_bad_option("lookup", argv[optind - 1]);
        format = cmd_lookup_find_format(optarg);
        if (format == N_FORMATS)
            return cli_usage("lookup",
                             "unknown format \"%s\"; expected text, json, "
                             "postfix or exim",
                             optarg);
    }
    if (optind >= argc)
        return cli_usage("lookup", "lookup needs a key, or - for keys from "
                                   "standard input");
    mx = cli_open_as_owner(config, &status);
    if (mx == NULL)
        return status;
    status = cmd_lookup_print_all(mx, format, argc - optind, argv + optind);
    mxhop_close(&mx);
    return status;
}
