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
static void report_hosts(const char *config, const struct compile_result *r)
{
    unsigned findings = 0;
    struct ovset set = {.v = r->read, .n = r->n_read};
    int status;
    struct mxhop *mx = r->n_read > 0 ? cli_open(config, &status) : NULL;

    if (mx == NULL)
        return;
    cli_check_hosts(mx, &set, &findings);
    mxhop_close(&mx);
}

static int refresh_once(const struct conf *conf,
                        const struct cli_source *source, bool force,
                        const char *config)
{
    struct compile_options options = cli_compile_options(conf, source);
    struct compile_result result;
    struct mxhop_error err;
    enum mxhop_status status;

    options.force = force;
    status = compile_overrides(&options, &result, &err);
    if (status == MXHOP_OK) {
        printf("%s: %u entries%s, version %llu, %u skipped\n",
               conf->override_table, result.entries,
               result.change.changed ? "" : " (unchanged)",
               (unsigned long long)result.change.version, result.skipped);
        report_hosts(config, &result);
    }
    compile_free(&result);
    return status == MXHOP_OK ? 0 : cli_fail(&err);
}

static int refresh(const struct conf *conf, bool force, const char *config)
{
    struct cli_source source;
    int status;

    if (conf->overrides[0] == '\0') {
        cli_complain("overrides is empty: nothing to refresh; set it to "
                     "ldif:/etc/mxhop/overrides.ldif, for instance");
        return EXIT_CONFIG;
    }
    status = cli_become_table_owner(conf);
    if (status != 0)
        return status;
    status = EXIT_CONFIG;
    if (cli_source(conf, &source))
        status = refresh_once(conf, &source, force, config);
    cli_source_free(&source);
    return status;
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
    status = refresh(&conf, force, config);
    conf_free(&conf);
    return status;
}
