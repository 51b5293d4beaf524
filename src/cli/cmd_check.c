/*
 * check - check configuration and overrides
 *
 * Prints the parameters in force, then what an administrator should look at:
 * entries that are invalid or clash, and override hosts without an address.
 * Nothing is changed. Exit status 1 when there was something to report.
 */

#include "cli/cli.h"
#include "probe.h"

#include <getopt.h>
#include <stdio.h>

static int print_params(const struct conf *conf)
{
    struct buf out = {0};

    if (conf != NULL)
        conf_print(conf, &out);
    else
        conf_print_defaults(&out);
    if (out.failed) {
        buf_free(&out);
        return 71;
    }
    fputs(out.data, stdout);
    buf_free(&out);
    return 0;
}

static int check_overrides(struct mxhop *mx, const struct conf *conf)
{
    struct compile_options options = cli_compile_options(conf);
    struct compile_result result;
    struct mxhop_error err;
    unsigned without;
    int status;

    options.dry_run = true;
    options.ctx = conf->overrides;
    if (compile_overrides(&options, &result, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = cli_check_hosts(mx, &without);
    if (status != 0)
        return status;
    printf("# %s: %u valid entries, %u findings\n", conf->overrides,
           result.entries, result.findings + without);
    return result.findings + without > 0 ? 1 : 0;
}

static int check(const char *config)
{
    const struct conf *conf;
    struct mxhop *mx;
    int status;

    mx = cli_open(config, &status);
    if (mx == NULL)
        return status;
    conf = probe_conf(mx);
    status = print_params(conf);
    if (status == 0 && conf->overrides[0] != '\0')
        status = check_overrides(mx, conf);
    mxhop_close(&mx);
    return status;
}

int cmd_check(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"defaults", no_argument, NULL, 'd'},
        {0},
    };
    bool defaults = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt != 'd')
            return cli_usage("check", "unknown option");
        defaults = true;
    }
    if (optind < argc)
        return cli_usage("check", "check takes no arguments");
    return defaults ? print_params(NULL) : check(config);
}
