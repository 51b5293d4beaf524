/*
 * refresh - compile the overrides into the override table, like postmap(1)
 *
 * Needs only the configuration: a table that is missing or broken is what
 * this command mends. What is not in force as the source has it shows in the
 * exit status. With --follow it stays, as a service: one line on
 * standard error when the directory can no longer be followed, one when it can.
 */

#include "cli/check.h"
#include "source/follow.h"
#include "util/notify.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct refresh_how {
    bool force, strict, dry_run, follow;
};

static int refresh_once(struct conf *conf, const struct source *source,
                        const struct refresh_how *how, const char *config)
{
    struct compile_options options = cli_compile_options(conf, source);
    struct compile_result result;
    struct mxhop *mx = NULL;
    char id[OVTABLE_ID_TEXT];
    struct ovset set;
    struct check found = {.source = source, .plain = true};
    int status;

    options.force = how->force;
    options.strict = how->strict;
    if (how->dry_run)
        return refresh_dry_run(conf, &options, config);
    status = refresh_run(&options, &result);
    if (!result.done)
        goto out;
    printf("%s: %u entr%s%s, id %s, %u skipped", conf->override_table,
           result.entries, result.entries == 1 ? "y" : "ies",
           result.change.changed ? "" : " (unchanged)",
           ovtable_id_text(result.change.id, id), result.skipped);
    if (result.change.kept > 0)
        printf(", %u kept in an older version", result.change.kept);
    if (result.change.held > 0)
        printf(", %u held back", result.change.held);
    printf("\n");
    /* The table is written: what comes now informs only, and has no use for it.
       That the DNS cache is the mail system's, and not of the user who
       refreshes, is as it should be. */
    if (result.n_read > 0) {
        int ignored;

        conf->overrides[0] = '\0';
        mx = cli_open_quietly(conf, config, &ignored);
    }
    set = (struct ovset){
        .v = result.read, .n = result.n_read, .lines = result.lines};
    if (mx != NULL)
        check_entries(&found, mx, &set);
    mxhop_close(&mx);
out:
    compile_free(&result);
    return status;
}

/* ---- --follow ---- */

/* A commit is whole or not at all, so there is nothing to tidy up, and no wait
   for a server that does not answer. */
static void refresh_end_now(int signal)
{
    (void)signal;
    _exit(0);
}

static void refresh_say_state(void *ctx, bool well, const char *text)
{
    const struct conf *conf = ctx;

    if (well)
        cli_complain("following %s", text);
    else if (access(conf->override_table, F_OK) == 0)
        cli_complain("%s; the last good set stays in force", text);
    else
        cli_complain("%s; there is no set yet: on_override_failure decides",
                     text);
}

static void refresh_say_ready(void *ctx)
{
    (void)ctx;
    if (!notify_ready())
        cli_complain("the service manager cannot be told: %s", strerror(errno));
}

static int refresh_follow(const struct conf *conf, const struct source *source,
                          bool strict)
{
    struct compile_options compile = cli_compile_options(conf, source);
    const struct follow_options options = {
        .compile = &compile,
        .refresh_ms = conf->override_refresh_s * 1000,
        .state = refresh_say_state,
        .ready = refresh_say_ready,
        .ctx = (void *)conf,
    };
    const struct sigaction end = {.sa_handler = refresh_end_now};

    if (strcmp(conf->overrides, "ldap") != 0) {
        cli_complain("refresh --follow: only a directory can be followed; run "
                     "`mxhop refresh' when %s has changed",
                     conf->overrides);
        return EXIT_CONFIG;
    }
    compile.follower = true;
    compile.strict = strict;
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    follow_directory(&options);
}

static int refresh(struct conf *conf, const struct refresh_how *how,
                   const char *config)
{
    struct source source;
    int status;

    if (conf->overrides[0] == '\0') {
        cli_complain("overrides is empty: nothing to refresh; set it to "
                     "ldif:/etc/mxhop/overrides.ldif, for instance, in a copy "
                     "of the configuration, and run `mxhop -c COPY refresh' "
                     "before the copy is put in place");
        return EXIT_CONFIG;
    }
    status = cli_become_table_owner(conf);
    if (status != 0)
        return status;
    status = EXIT_CONFIG;
    if (cli_source(conf, &source))
        status = how->follow ? refresh_follow(conf, &source, how->strict)
                             : refresh_once(conf, &source, how, config);
    ldap_settings_free(&source.ldap);
    return status;
}

int cmd_refresh(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"dry-run", no_argument, NULL, 'n'},
        {"follow", no_argument, NULL, 'F'},
        {"force", no_argument, NULL, 'f'},
        {"strict", no_argument, NULL, 's'},
        {0},
    };
    struct mxhop_error err;
    struct conf conf;
    struct refresh_how how = {0};
    int opt, status;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt == '?')
            return cli_bad_option("refresh", argv[optind - 1]);
        how.dry_run = how.dry_run || opt == 'n';
        how.follow = how.follow || opt == 'F';
        how.force = how.force || opt == 'f';
        how.strict = how.strict || opt == 's';
    }
    if (how.follow && (how.force || how.dry_run))
        return cli_usage("refresh", "--force and --dry-run are for once; not "
                                    "with --follow");
    if (optind < argc)
        return cli_usage("refresh", "refresh takes no arguments");
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = refresh(&conf, &how, config);
    conf_free(&conf);
    return status;
}
