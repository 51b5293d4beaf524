/*
 * trace - explain every step of one lookup
 */

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static int trace_print(struct mxhop *mx, const char *key)
{
    struct mxhop_route *route;
    struct mxhop_error err;
    char *text;
    int status;

    if (mxhop_explain(mx, key, MXHOP_ADDRESS, &route, &text, &err) != MXHOP_OK)
        return cli_fail(&err);
    puts(text);
    free(text);
    status = cli_status(route->disposition);
    mxhop_route_free(&route);
    return status;
}

int cmd_trace(const char *config, int argc, char **argv)
{
    struct mxhop *mx;
    int status;

    if (argc != 2 || argv[1][0] == '-')
        return cli_usage("trace", "trace needs one key");
    mx = cli_open_as_owner(config, &status);
    if (mx == NULL)
        return status;
    status = trace_print(mx, argv[1]);
    mxhop_close(&mx);
    return status;
}
