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
#include <stdlib.h>
#include <string.h>

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

static unsigned check_hosts(struct mxhop *mx, const struct override *o)
{
    unsigned findings = 0;

    for (size_t i = 0; i < o->n_hops; i++) {
        if (o->hops[i].kind != HOP_HOST ||
            probe_host(mx, o->hops[i].host) != ADDR_NONE)
            continue;
        cli_complain("%s: mxhopHop: %s has no address; is the name right?",
                     o->dn, o->hops[i].host);
        findings++;
    }
    return findings;
}

static int check_overrides(struct mxhop *mx, const struct conf *conf)
{
    struct compile_options options = cli_compile_options(conf);
    struct compile_result result;
    struct override *entries;
    struct mxhop_error err;
    uint32_t skipped;
    size_t n;
    unsigned findings;

    options.dry_run = true;
    options.ctx = conf->overrides;
    if (compile_overrides(&options, &result, &err) != MXHOP_OK ||
        compile_load(conf->overrides, NULL, NULL, &entries, &n, &skipped,
                     &err) != MXHOP_OK)
        return cli_fail(&err);
    findings = result.findings;
    for (size_t i = 0; i < n; i++) {
        findings += check_hosts(mx, &entries[i]);
        override_free(&entries[i]);
    }
    free(entries);
    printf("# %s: %u valid entries, %u findings\n", conf->overrides,
           result.entries, findings);
    return findings > 0 ? 1 : 0;
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
