/*
 * check - check configuration, overrides and the table in force
 *
 * What an administrator should look at, one line each, with its place and what
 * to do: first what is wrong with the table in force, then with the source:
 * entries that are invalid, clash, never apply, leave no host or say what DNS
 * says, and what Postfix makes of them. With a file, the entries in that
 * instead, before it is put in place. Nothing is changed. The exit status says
 * whether mail is affected now.
 *
 * The configured source is read as the user that refresh would read it as: what
 * only root can read, or may see in the directory, is no good to a service.
 * What is asked of Postfix, and as the MTA's user, comes before.
 */

#include "cli/check.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_FINE, CHECK_SOME, CHECK_MAIL }; /* exit statuses */

/* ---- findings ---- */

void check_say(struct check *c, enum check_level level, const char *place,
               size_t line, const char *fmt, ...)
{
    static const char *const words[] = {"warning: ", "error: ", "note: "};
    struct buf text = {0};
    va_list ap;

    c->errors += level == CHECK_ERROR;
    c->warnings += level == CHECK_WARNING;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (text.failed)
        cli_no_memory();
    else
        cli_say_of(c->source, c->plain ? "" : words[level], line, place,
                   text.data);
    buf_free(&text);
}

/* A name that is misspelt matches nothing, and so does what may not be seen. */
static void check_empty(struct check *c, const struct source *source)
{
    const struct ldap_settings *s = &source->ldap;

    if (strcmp(source->text, "ldap") == 0)
        check_say(c, CHECK_WARNING, s->base, 0,
                  "below it is no entry with a route: see ldap_search_base, "
                  "ldap_filter (%s is in force), ldap_key_attribute, "
                  "ldap_result_attribute, and whether the reader may see them",
                  s->filter);
}

/* ---- what is checked ---- */

/* overrides: NULL where there are none. */
static void check_sum_up(const struct check *c, const char *place,
                         const struct compile_result *overrides)
{
    printf("%s%s: ", c->verbose ? "# " : "", place);
    if (overrides != NULL)
        printf("%u valid entr%s, ", overrides->entries,
               overrides->entries == 1 ? "y" : "ies");
    printf("%u error%s, %u warning%s\n", c->errors, c->errors == 1 ? "" : "s",
           c->warnings, c->warnings == 1 ? "" : "s");
}

/* in_force: it is the source of a table that can be used, and not a file. */
static int check_overrides(struct check *c, struct mxhop *mx, struct view *v,
                           const struct source *source, bool in_force)
{
    const struct conf *conf = probe_conf(mx);
    struct compile_options options = cli_compile_options(conf, source);
    struct compile_result result;
    int status;

    c->source = source;
    options.dry_run = true;
    options.report = check_hear;
    options.ctx = c;
    status = refresh_run(&options, &result);
    check_kept(c);
    if (result.done) {
        const struct ovset set = {
            .v = result.read, .n = result.n_read, .lines = result.lines};

        status = 0;
        if (result.entries == 0 && result.findings == 0)
            check_empty(c, source);
        if (in_force)
            check_table_is_new(c, conf, &set);
        check_services(c, v, conf, &set);
        check_entries(c, mx, &set);
        check_redundant(c, mx, &set);
        check_sum_up(c, source->text, &result);
    }
    compile_free(&result);
    return status;
}

static int check_source(struct check *c, struct mxhop *mx, struct view *v,
                        const char *config)
{
    const struct conf *conf = probe_conf(mx);
    const char *user =
        v->taken ? postconf_param(&v->postfix, "mail_owner") : NULL;
    struct source source;
    bool usable;
    int status;

    check_file_mode(c, config);
    if (conf->cache_owner[0] != '\0')
        user = conf->cache_owner;
    check_main_cf(c, v);
    check_tls(c, mx, v, config, user);
    if (conf->overrides[0] == '\0') {
        check_sum_up(c, config, NULL);
        return 0;
    }
    usable = check_table(c, conf, user);
    if (strncmp(conf->overrides, "ldif:", 5) == 0)
        check_file_mode(c, conf->overrides + 5);
    if (conf->ldap_config[0] != '\0')
        check_file_mode(c, conf->ldap_config);
    status = cli_become_table_owner(conf);
    if (status != 0)
        return status;
    status = EXIT_CONFIG;
    if (cli_source(conf, &source))
        status = check_overrides(c, mx, v, &source, usable);
    ldap_settings_free(&source.ldap);
    return status;
}

static int check_file(struct check *c, struct mxhop *mx, struct view *v,
                      const char *file)
{
    struct source source = {0};
    char text[CLI_LDIF_MAX];

    cli_ldif(file, text);
    source.text = text;
    return check_overrides(c, mx, v, &source, false);
}

/* ---- the command ---- */

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

/* file: NULL for what the configuration names. */
static int check_run(const char *config, const char *file,
                     const struct view_options *options, bool verbose)
{
    struct mxhop *mx = NULL;
    struct check c = {.verbose = verbose};
    struct view v;
    int status = view_take(&v, config, options);

    if (status == 0)
        mx = cli_open_to_check(config, &v, &status);
    if (mx == NULL)
        goto out;
    status = file != NULL ? check_file(&c, mx, &v, file)
                          : check_source(&c, mx, &v, config);
    if (verbose)
        check_print_params(probe_conf(mx));
    if (status != EXIT_CONFIG && c.errors > 0)
        status = CHECK_MAIL;
    else if (status == 0)
        status = c.warnings > 0 ? CHECK_SOME : CHECK_FINE;
out:
    free(c.state);
    mxhop_close(&mx);
    view_free(&v);
    return status;
}

int cmd_check(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"defaults", no_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        CLI_VIEW_OPTIONS,
        {0},
    };
    struct view_options view_options = {0};
    bool defaults = false, verbose = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        if (view_option(opt, &view_options))
            continue;
        if (opt != 'd' && opt != 'v')
            return cli_bad_option("check", argv[optind - 1]);
        defaults = defaults || opt == 'd';
        verbose = verbose || opt == 'v';
    }
    if (argc - optind > (defaults ? 0 : 1))
        return cli_usage("check", "check takes one file at most, and none with "
                                  "--defaults");
    if (defaults)
        return check_print_params(NULL);
    return check_run(config, optind < argc ? argv[optind] : NULL, &view_options,
                     verbose);
}
