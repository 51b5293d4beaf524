/*
 * main - mxhop-tls, the service that fetches MTA-STS policies
 *
 * A program of its own: libcurl, certificates and the web servers of strangers
 * stay away from the mail system and from the passwords of directories. It
 * writes one file, which the mail system reads, and is its only writer.
 *
 * Root becomes the user whose the directory of the store is, before anything is
 * looked up.
 */

#include "fetch/service.h"
#include "model/key.h"
#include "util/file.h"
#include "util/notify.h"
#include <mxhop/mxhop.h>

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define FILES_WANTED 4096 /* sockets of many fetches */

static void main_say(const char *line)
{
    fprintf(stderr, "mxhop-tls: %s\n", line);
}

static int main_fail(const struct mxhop_error *err)
{
    main_say(err->text);
    return err->code == MXHOP_ERR_CONFIG || err->code == MXHOP_ERR_DNS
               ? EX_CONFIG
           : err->code == MXHOP_ERR_MEMORY ? EX_OSERR
                                           : EX_IOERR;
}

/* NULL: well, or what is wrong with the directory is said when the store is
   opened. Where somebody else could put a directory in its place, he would
   choose whom root becomes. */
static const char *main_become_owner(const char *dir)
{
    char way[PATH_MAX];
    int fd = file_open_dir(dir, way);
    struct stat st = {0};
    const char *why = NULL;

    if (fd < 0)
        return errno == 0 ? "a directory above it is not root's alone" : NULL;
    if (fstat(fd, &st) == 0 && st.st_uid != 0 && geteuid() == 0 &&
        (setgroups(1, &st.st_gid) != 0 ||
         setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
         setresuid(st.st_uid, st.st_uid, st.st_uid) != 0))
        why = strerror(errno);
    close(fd);
    return why;
}

static void main_want_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= FILES_WANTED)
        return;
    files.rlim_cur =
        files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static int main_catch_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void main_reload(struct service *s, const char *config)
{
    struct mxhop_error err;
    struct conf conf;

    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK ||
        service_set(s, &conf, &err) != MXHOP_OK)
        main_say(err.text);
    else
        main_say("the configuration was read again");
    conf_free(&conf);
}

/* true: it is to end. */
static bool main_take_signal(struct service *s, int signals, const char *config)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGHUP)
            return true;
        main_reload(s, config);
    }
    return false;
}

static int main_serve(struct conf *conf, const char *config, bool once,
                      char **domains)
{
    int signals = main_catch_signals(), rc;
    struct mxhop_error err;
    struct service *s;
    const char *why;
    char line[320];

    if (conf->mta_sts == MTA_STS_OFF)
        main_say("mta_sts is off: lookups ask for no policy; set it to watch "
                 "first");
    why = main_become_owner(conf->tls_store);
    if (why != NULL) {
        snprintf(line, sizeof(line), "cannot become the owner of %.200s: %s",
                 conf->tls_store, why);
        main_say(line);
        return EX_OSERR;
    }
    umask(022);
    main_want_files();
    if (service_open(&s, conf, main_say, &err) != MXHOP_OK)
        return main_fail(&err);
    for (; *domains != NULL; domains++) {
        char name[NAME_MAX_TEXT + 1];
        const char *wrong = name_normalise(*domains, name);

        if (wrong != NULL || !service_want(s, name)) {
            snprintf(line, sizeof(line), "%.200s: %s", *domains,
                     wrong != NULL ? wrong : "there is no room for it");
            main_say(line);
        }
    }
    if (!once && !notify_ready())
        main_say("the service manager cannot be told");
    do
        service_run(s, signals, once);
    while (!main_take_signal(s, signals, config) && !once);
    rc = service_close(&s);
    if (rc == 0)
        return 0;
    snprintf(line, sizeof(line), "the store cannot be written: %s",
             strerror(rc));
    main_say(line);
    return EX_IOERR;
}

static int main_usage(FILE *out, int status)
{
    fputs("usage: mxhop-tls [-c FILE] [--once [DOMAIN...]]\n"
          "  Fetch MTA-STS policies and keep them in the TLS store.\n"
          "  -c FILE     configuration (" MXHOP_DEFAULT_CONFIG ")\n"
          "  --once      fetch what is due, and these domains, and end\n"
          "  -h, --help  this text; --version: the version\n",
          out);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"once", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    const char *config = MXHOP_DEFAULT_CONFIG;
    struct mxhop_error err;
    struct conf conf;
    bool once = false;
    int opt, status;

    while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (opt == 'h')
            return main_usage(stdout, 0);
        if (opt == 'V') {
            puts("mxhop-tls " MXHOP_VERSION);
            return 0;
        }
        if (opt == '?')
            return main_usage(stderr, EX_USAGE);
        once = once || opt == 'o';
        if (opt == 'c')
            config = optarg;
    }
    if (optind < argc && !once)
        return main_usage(stderr, EX_USAGE);
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return main_fail(&err);
    status = main_serve(&conf, config, once, argv + optind);
    conf_free(&conf);
    return status;
}
