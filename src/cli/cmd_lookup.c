/*
 * lookup - print the next hops of domains or recipients
 *
 * One key prints its answer alone; several keys, or `-` for keys from
 * standard input, print `key<TAB>answer` lines in the MTA formats, as
 * `postmap -q -` does, and leave out what the MTA would not find. The exit
 * status is the gravest of all keys (defer, reject, pass, answered).
 */

#include "cli/cli.h"
#include "cli/view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

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

/* *worst becomes the gravest: gravity is the order of the exit statuses. */
static void cmd_lookup_print(struct mxhop *mx, const char *key, size_t format,
                             bool several, int *worst)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    char *text = NULL;
    int status;

    if (mxhop_lookup(mx, key, MXHOP_ADDRESS, &route, &err) != MXHOP_OK) {
        status = cli_fail(&err);
    } else {
        status = cli_status(route->disposition);
        if (mxhop_render(mx, route, formats[format].format, &text, &err) !=
            MXHOP_OK)
            status = cli_fail(&err);
        mxhop_route_free(&route);
    }
    if (text != NULL && several && formats[format].keyed)
        printf("%s\t%s\n", key, text);
    else if (text != NULL)
        puts(text);
    free(text);
    if (status > *worst)
        *worst = status;
}

static void cmd_lookup_print_stdin(struct mxhop *mx, size_t format, int *worst)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[--n] = '\0';
        if (n > 0 && line[n - 1] == '\r') /* a file from elsewhere */
            line[n - 1] = '\0';
        if (line[0] != '\0')
            cmd_lookup_print(mx, line, format, true, worst);
    }
    if (ferror(stdin)) {
        cli_complain("standard input: %s", strerror(errno));
        *worst = *worst > EX_IOERR ? *worst : EX_IOERR;
    }
    free(line);
}

int cmd_lookup(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        CLI_VIEW_OPTIONS,
        {0},
    };
    struct view_options view_options = {0};
    size_t format = 0;
    struct mxhop *mx = NULL;
    struct view view;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (view_option(opt, &view_options))
            continue;
        if (opt != 'f')
            return cli_bad_option("lookup", argv[optind - 1]);
        format = 0;
        while (format < N_FORMATS && strcmp(optarg, formats[format].name) != 0)
            format++;
        if (format == N_FORMATS)
            return cli_usage("lookup",
                             "unknown format \"%s\"; expected text, json, "
                             "postfix or exim",
                             optarg);
    }
    if (optind >= argc)
        return cli_usage("lookup", "lookup needs a key, or - for keys from "
                                   "standard input");
    if (formats[format].format == MXHOP_FORMAT_EXIM)
        view_options.plain = true;
    status = view_take(&view, config, &view_options);
    if (status == 0)
        mx = cli_open_in_view(config, &view, 0, &status);
    for (int i = optind; mx != NULL && i < argc; i++) {
        if (strcmp(argv[i], "-") == 0)
            cmd_lookup_print_stdin(mx, format, &status);
        else
            cmd_lookup_print(mx, argv[i], format, argc - optind > 1, &status);
    }
    mxhop_close(&mx);
    view_free(&view);
    return status;
}
