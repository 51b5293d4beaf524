/*
 * refresh - compile the overrides into the override table, like postmap(1)
 *
 * Needs only the configuration: a table that is missing or broken is what
 * this command mends.
 */

#include "cli/ovset.h"

#include <getopt.h>
#include <stdio.h>

/* The table is written: what comes now informs only. */
static void report_hosts(const char *config)
{
    unsigned findings = 0;
    struct ovset set;
    int status;
    struct mxhop *mx = cli_open(config, &status);

    if (mx == NULL)
        return;
    if (ovset_read_table(&set, probe_conf(mx)) == 0)
        cli_check_hosts(mx, &set, &findings);
    ovset_free(&set);
    mxhop_close(&mx);
}

static int refresh(const struct conf *conf, bool force)
{
    struct compile_options options = cli_compile_options(conf);
    struct compile_result result;
    struct mxhop_error err;
    int status;

    if (conf->overrides[0] == '\0') {
        cli_complain("overrides is empty: nothing to refresh; set it to "
                     "ldif:/etc/mxhop/overrides.ldif, for instance");
        return EXIT_CONFIG;
    }
    status = cli_become_table_owner(conf);
    if (status != 0)
        return status;
    options.force = force;
    options.ctx = conf->overrides;
    if (compile_overrides(&options, &result, &err) != MXHOP_OK)
        return cli_fail(&err);
    printf("%s: %u entries%s, version %llu, %u skipped\n", conf->override_table,
           result.entries, result.change.changed ? "" : " (unchanged)",
           (unsigned long long)result.change.version, result.skipped);
    return 0;
}

int cmd_refresh(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'f'},
        {0},
    };
    struct mxhop_error err;
    struct conf conf;
    bool force = false;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt != 'f')
            return cli_usage("refresh", "unknown option");
        force = true;
    }
    if (optind < argc)
        return cli_usage("refresh", "refresh takes no arguments");
    if (conf_load(&conf, config, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = refresh(&conf, force);
    conf_free(&conf);
    if (status == 0)
        report_hosts(config);
    return status;
}
