/*
 * check_table - the override table in force, and what the last refresh left
 *
 * What a lookup would meet is asked for as the user that looks up: a child
 * takes that identity, with the directory above the table's opened before, as
 * the MTA has it. Only root can; everybody else asks for himself.
 *
 * What a refresh could not do is in TABLE.state (source/state.h). Who could
 * write that says what is in it.
 */

#include "cli/check.h"
#include "source/state.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OLD_S      86400 /* a directory that was not read for so long */
#define FOLLOWER_S 600   /* a follower that was not heard of for so long */

/* ---- is it there, and for whom ---- */

static const char *table_then(const struct conf *conf)
{
    return conf->on_override_failure == CHOICE_DEFER
               ? "mail that is routed by the table waits"
               : "no override is in force (on_override_failure = pass)";
}

/* In a child: the errno of opening the file as that user. */
static int table_try(const char *path, const struct passwd *pw)
{
    char dir[PATH_MAX], above[PATH_MAX], real[PATH_MAX], name[2 * PATH_MAX];
    const char *base = strrchr(path, '/') + 1;
    int fd;

    if (!ovtable_dir(dir, path) || realpath(dir, real) == NULL ||
        !ovtable_dir(above, real))
        return 0; /* somebody else complains */
    fd = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(name, sizeof(name), "%s/%s", strrchr(real, '/') + 1, base);
    if (fd < 0 || initgroups(pw->pw_name, pw->pw_gid) != 0 ||
        setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
        return 0;
    fd = openat(fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? errno : 0;
}

bool check_readable(struct check *c, enum check_level level, const char *path,
                    const char *user, const char *then)
{
    const struct passwd *pw = user != NULL ? getpwnam(user) : NULL;
    int status = 0;
    pid_t pid;

    if (geteuid() != 0 || pw == NULL || pw->pw_uid == 0)
        return true;
    pid = fork();
    if (pid == 0)
        _exit(table_try(path, pw));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 0)
        return true;
    check_say(c, level, path, 0,
              "user %s, who looks up for the mail system, cannot read it: %s; "
              "%s; give the file mode 0644, its directory 0755",
              user, strerror(WEXITSTATUS(status)), then);
    return false;
}

/* ---- the last refresh ---- */

static const char *table_time(int64_t time_s, char out[32])
{
    const time_t t = (time_t)time_s;
    struct tm tm;

    if (localtime_r(&t, &tm) == NULL ||
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, 32, "?");
    return out;
}

static void table_held(struct check *c, const char *table,
                       const struct state *s)
{
    struct buf names = {0};

    for (uint32_t i = 0; i < s->n_held; i++)
        buf_printf(&names, "%s%s", i > 0 ? "; " : "", s->held[i]);
    check_say(c, CHECK_ERROR, table, 0,
              "%u removal%s held back (override_shrink_limit): the entries "
              "stay in force until `mxhop refresh --force'%s%s%s",
              s->held_back, s->held_back == 1 ? " is" : "s are",
              s->n_held > 0 ? ": " : "", names.data != NULL ? names.data : "",
              s->n_held < s->held_back && s->n_held > 0 ? "; ..." : "");
    buf_free(&names);
}

static void table_follower(struct check *c, const struct conf *conf,
                           const struct state *s)
{
    int64_t quiet_s = 3 * (int64_t)conf->override_refresh_s;
    bool gone = kill(s->follower_pid, 0) != 0 && errno == ESRCH;
    char when[32];

    if (quiet_s < FOLLOWER_S)
        quiet_s = FOLLOWER_S;
    if (!gone && s->follower_alive_s + quiet_s >= clock_wall_s())
        return;
    check_say(c, CHECK_WARNING, conf->override_table, 0,
              "`mxhop refresh --follow' (process %ld) %s, and was last heard "
              "of at %s; changes in the directory are not in force: start it "
              "again",
              (long)s->follower_pid, gone ? "has ended" : "hangs",
              table_time(s->follower_alive_s, when));
}

static void table_state(struct check *c, const struct conf *conf,
                        const struct state *s)
{
    const char *table = conf->override_table;
    char when[32];

    if (s->held_back > 0)
        table_held(c, table, s);
    if (s->left_out > 0)
        check_say(c, CHECK_ERROR, table, 0,
                  "%u entr%s left out, not valid or with the DN of another "
                  "one: mail goes as without %s",
                  s->left_out, s->left_out == 1 ? "y is" : "ies are",
                  s->left_out == 1 ? "it" : "them");
    if (s->error[0] != '\0')
        check_say(c, CHECK_WARNING, table, 0,
                  "the last refresh, at %s, failed: %s; the set in force stays",
                  table_time(s->tried_s, when), s->error);
    if (strcmp(conf->overrides, "ldap") != 0)
        return; /* a follower may be remembered from when it was */
    if (s->follower_pid != 0)
        table_follower(c, conf, s);
    else if (s->read_s != 0 && s->read_s + OLD_S < clock_wall_s())
        check_say(c, CHECK_WARNING, table, 0,
                  "the directory was read last at %s: run `mxhop refresh' by a "
                  "timer, or with --follow as a service",
                  table_time(s->read_s, when));
}

bool check_table(struct check *c, const struct conf *conf, const char *user)
{
    struct ovtable *t = NULL;
    struct mxhop_error err;
    bool usable = ovtable_open(&t, conf->override_table, &err) == MXHOP_OK;

    if (usable)
        check_readable(c, CHECK_ERROR, conf->override_table, user,
                       table_then(conf));
    else
        check_say(c, CHECK_ERROR, err.text, 0, "%s", table_then(conf));
    ovtable_close(&t);
    c->state = malloc(sizeof(*c->state)); /* large for a stack */
    if (c->state == NULL)
        cli_no_memory();
    else if (state_read(conf->override_table, c->state, &err) == MXHOP_OK)
        table_state(c, conf, c->state);
    else
        check_say(c, CHECK_WARNING, err.text, 0,
                  "what the last refresh left undone is not known");
    return usable;
}

/* ---- entries that are in force in their last valid version ---- */

void check_hear(void *ctx, const struct finding *f)
{
    static const char skipped[] = "; the entry is skipped";
    size_t len = strlen(f->text), n = strlen(skipped);
    struct check *c = ctx;
    char when[32];

    for (uint32_t i = 0; c->state != NULL && i < c->state->n_kept; i++) {
        struct state_kept *k = &c->state->kept[i];

        if (strcmp(k->dn, f->dn) != 0 || len < n ||
            strcmp(f->text + len - n, skipped) != 0)
            continue;
        check_say(c, CHECK_WARNING, f->dn, f->line,
                  "%.*s; its last valid version is in force, since %s",
                  (int)(len - n), f->text, table_time(k->since_s, when));
        k->dn[0] = '\0';
        return;
    }
    check_say(c, CHECK_WARNING, f->dn, f->line, "%s", f->text);
}

void check_kept(struct check *c)
{
    const struct state *s = c->state;
    char when[32];

    for (uint32_t i = 0; s != NULL && i < s->n_kept; i++)
        if (s->kept[i].dn[0] != '\0')
            check_say(c, CHECK_WARNING, s->kept[i].dn, 0,
                      "%s; its last valid version is in force, since %s",
                      s->kept[i].why, table_time(s->kept[i].since_s, when));
}

/* ---- is it what the source says ---- */

static int table_by_dn(const void *key, const void *entry)
{
    return strcmp(key, ((const struct override *)entry)->dn);
}

void check_table_is_new(struct check *c, const struct conf *conf,
                        const struct ovset *set)
{
    uint32_t added = 0, changed = 0, same = 0, removed = 0, stays = 0;
    struct ovset there;

    if (c->state != NULL)
        stays = c->state->kept_count + c->state->held_back;
    if (ovset_read_table(&there, conf) != 0)
        return;
    for (size_t i = 0; i < set->n; i++) {
        const struct override *o = &set->v[i];
        const struct override *old =
            there.n == 0 ? NULL
                         : bsearch(o->dn, there.v, there.n, sizeof(*there.v),
                                   table_by_dn);

        if (old == NULL)
            added++;
        else if (override_differs(old, o))
            changed++;
        else
            same++;
    }
    removed = (uint32_t)there.n - changed - same;
    removed -= removed < stays ? removed : stays; /* that is known */
    if (added + changed + removed > 0)
        check_say(c, CHECK_ERROR, conf->override_table, 0,
                  "older than %s, which has %u new, %u changed and %u fewer "
                  "entr%s: run `mxhop refresh'",
                  conf->overrides, added, changed, removed,
                  removed == 1 ? "y" : "ies");
    ovset_free(&there);
}

void check_file_mode(struct check *c, const char *file)
{
    char dir[PATH_MAX];
    struct stat st;

    if (stat(file, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
        check_say(c, CHECK_WARNING, file, 0,
                  "anybody on this machine may write it, and route the mail: "
                  "chmod o-w");
    if (ovtable_dir(dir, file) && stat(dir, &st) == 0 &&
        (st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
        check_say(c, CHECK_WARNING, dir, 0,
                  "anybody on this machine may replace %s in it, and route the "
                  "mail: chmod o-w",
                  file);
}
