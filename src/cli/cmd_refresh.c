/*
 * refresh - compile the overrides into the override table, like postmap(1)
 *
 * Needs only the configuration: a table that is missing or broken is what
 * this command mends. With --follow it stays, as a service: one line on
 * standard error when the directory can no longer be followed, one when it can.
 */

#include "cli/check.h"
#include "source/follow.h"

#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int refresh_once(struct conf *conf, const struct cli_source *source,
                        bool force, const char *config)
{
    struct compile_options options = cli_compile_options(conf, source);
    struct compile_result result;
    struct mxhop *mx = NULL;
    struct mxhop_error err;
    char id[OVTABLE_ID_TEXT];
    struct ovset set;
    struct check found = {.source = &source->source, .plain = true};
    int status = 0;

    options.force = force;
    if (compile_overrides(&options, &result, &err) != MXHOP_OK) {
        status = cli_fail(&err);
        goto out;
    }
    printf("%s: %u entries%s, id %s, %u skipped\n", conf->override_table,
           result.entries, result.change.changed ? "" : " (unchanged)",
           ovtable_id_text(result.change.id, id), result.skipped);
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

/* sd_notify(3): a datagram to the service manager, where there is one. */
static void refresh_say_ready(void *ctx)
{
    static const char ready[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    (void)ctx;
    if (len == 0 || len >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* an abstract name */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, ready, strlen(ready), 0, (struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        cli_complain("%s: the service manager cannot be told", path);
    close(fd);
}

static int refresh_follow(const struct conf *conf,
                          const struct cli_source *source)
{
    const struct compile_options compile = cli_compile_options(conf, source);
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
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    follow_directory(&options);
}

static int refresh(struct conf *conf, bool force, bool stay, const char *config)
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
        status = stay ? refresh_follow(conf, &source)
                      : refresh_once(conf, &source, force, config);
    cli_source_free(&source);
    return status;
}

int cmd_refresh(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'f'},
        {"follow", no_argument, NULL, 'F'},
        {0},
    };
    struct mxhop_error err;
    struct conf conf;
    bool force = false, stay = false;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (opt != 'f' && opt != 'F')
            return cli_bad_option("refresh", argv[optind - 1]);
        force = force || opt == 'f';
        stay = stay || opt == 'F';
    }
    if (force && stay)
        return cli_usage("refresh", "--force is for once; not with --follow");
    if (optind < argc)
        return cli_usage("refresh", "refresh takes no arguments");
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = refresh(&conf, force, stay, config);
    conf_free(&conf);
    return status;
}
