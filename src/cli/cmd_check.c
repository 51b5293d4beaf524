/*
 * check - check configuration and overrides
 *
 * Prints the parameters in force, then what an administrator should look at:
 * entries that are invalid, clash or never apply, override hosts without an
 * address, overrides that say what DNS says. With a file, the entries in that
 * instead, before it is put in place. Nothing is changed. Exit status 1 when
 * there was something to report.
 *
 * The configured source is read as the user that refresh would read it as: what
 * only root can read, or may see in the directory, is no good to a service.
 */

#include "cli/ovset.h"
#include "handle/probe.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int check_print_params(const struct conf *conf)
{
    struct buf out = {0};
    int status = 0;

    if (conf != NULL)
        conf_print(conf, &out);
    else
        conf_print_defaults(&out);
    if (out.failed)
        status = cli_no_memory();
    else
        fputs(out.data, stdout);
    buf_free(&out);
    return status;
}

/* A name that is misspelt matches nothing, and so does what may not be seen. */
static void check_empty(const struct cli_source *source, unsigned *findings)
{
    const struct ldap_settings *s = &source->ldap;

    if (strcmp(source->source.text, "ldap") != 0)
        return;
    cli_complain("below %s is no entry with a route: see ldap_search_base, "
                 "ldap_filter (%s is in force), ldap_key_attribute, "
                 "ldap_result_attribute, and whether the reader may see them",
                 s->base, s->filter);
    (*findings)++;
}

static int check_overrides(struct mxhop *mx, const struct cli_source *source)
{
    struct compile_options options =
        cli_compile_options(probe_conf(mx), source);
    struct compile_result result;
    struct mxhop_error err;
    enum mxhop_status status;
    unsigned findings = 0;

    options.dry_run = true;
    status = compile_overrides(&options, &result, &err);
    if (status == MXHOP_OK) {
        const struct ovset set = {.v = result.read, .n = result.n_read};

        findings = result.findings;
        if (result.entries == 0 && findings == 0)
            check_empty(source, &findings);
        cli_check_hosts(mx, &set, &findings);
        cli_check_redundant(mx, &set, &findings);
        printf("# %s: %u valid entries, %u findings\n", source->source.text,
               result.entries, findings);
    }
    compile_free(&result);
    if (status != MXHOP_OK)
        return cli_fail(&err);
    return findings > 0 ? 1 : 0;
}

static int check_source(struct mxhop *mx)
{
    const struct conf *conf = probe_conf(mx);
    int status = check_print_params(conf);
    struct cli_source source;

    if (status != 0 || conf->overrides[0] == '\0')
        return status;
    status = cli_become_table_owner(conf);
    if (status != 0)
        return status;
    status = EXIT_CONFIG;
    if (cli_source(conf, &source))
        status = check_overrides(mx, &source);
    cli_source_free(&source);
    return status;
}

static int check_file(struct mxhop *mx, const char *file)
{
    struct cli_source source = {0};
    char text[CLI_LDIF_MAX];

    cli_ldif(file, text);
    source.source.text = text;
    return check_overrides(mx, &source);
}

int cmd_check(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"defaults", no_argument, NULL, 'd'},
        {0},
    };
    struct mxhop *mx;
    bool defaults = false;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt != 'd')
            return cli_bad_option("check", argv[optind - 1]);
        defaults = true;
    }
    if (argc - optind > (defaults ? 0 : 1))
        return cli_usage("check", "check takes one file at most, and none with "
                                  "--defaults");
    if (defaults)
        return check_print_params(NULL);
    mx = cli_open(config, &status);
    if (mx == NULL)
        return status;
    status = optind < argc ? check_file(mx, argv[optind]) : check_source(mx);
    mxhop_close(&mx);
    return status;
}
