/*
 * identity - become the user whose cache or table it is
 *
 * A process that stays root does not use a cache that belongs to another user
 * (docs/design.md 2.5), and an administrator calls this command as root. So
 * commands that use the shared cache give root up, for good, before they open
 * it. What only root may read is read before, or the process stays root: an
 * answer without cache is better than none.
 *
 * A command that stays root to the end (it reads overrides, which nobody else
 * may be able to) uses no cache of another user, but must not take its place
 * with one of root's either: the library is told whose it is.
 *
 * A refresh writes into the directory of the override table. Where that belongs
 * to a user (the units of contrib/systemd have one) root writes nothing there,
 * but becomes that user: by hand or by the service, the files are the same.
 *
 * A directory that is missing is made by whoever opens the cache first; only
 * root can make it in /run, so that is done before the change.
 */

#include "cli/cli.h"
#include "cache/cache_file.h"
#include "overrides/ovtable.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct identity {
    char name[LOGIN_NAME_MAX + 1];
    uid_t uid;
    gid_t gid;
};

static bool identity_take_user(const struct passwd *pw, struct identity *who)
{
    size_t n = pw != NULL ? strlen(pw->pw_name) : 0;

    if (pw == NULL || n >= sizeof(who->name))
        return false;
    memcpy(who->name, pw->pw_name, n + 1);
    who->uid = pw->pw_uid;
    who->gid = pw->pw_gid;
    return true;
}

/* Whose the cache is, or should be. false: root's, or nobody knows. */
static bool identity_find_owner(const struct conf *conf, const char *dir,
                                struct identity *who)
{
    struct stat st;
    bool found;

    if (conf->cache_owner[0] != '\0')
        found = identity_take_user(getpwnam(conf->cache_owner), who);
    else if (lstat(dir, &st) == 0 && st.st_uid != 0)
        found = identity_take_user(getpwuid(st.st_uid), who);
    else
        found = identity_take_user(getpwnam("postfix"), who);
    return found && who->uid != 0;
}

/* What is wrong is said when the cache is opened. */
static bool identity_make_directory(const char *dir, const struct identity *who)
{
    struct cache_place place;
    struct mxhop_error err;
    bool made =
        cache_place_find(&place, dir, who->uid, who->gid, &err) == MXHOP_OK;

    cache_place_close(&place);
    return made;
}

/* Be that user for a moment: NULL, or why it is no good. *back_r: whether the
   process is root again. */
static const char *identity_try_identity(const struct identity *who,
                                         const char *config, bool *back_r)
{
    gid_t groups[NGROUPS_MAX];
    int n = getgroups(NGROUPS_MAX, groups);
    const char *why = NULL;

    *back_r = true;
    if (n < 0 || initgroups(who->name, who->gid) != 0)
        return strerror(errno);
    if (setegid(who->gid) != 0 || seteuid(who->uid) != 0)
        why = strerror(errno);
    else if (faccessat(AT_FDCWD, config, R_OK, AT_EACCESS) != 0)
        why = "that user cannot read the configuration";
    *back_r = seteuid(0) == 0 && setegid(getgid()) == 0 &&
              setgroups((size_t)n, groups) == 0;
    return why;
}

/* The groups are set already. */
static bool identity_become(const struct identity *who)
{
    uid_t r, e, s;

    if (setresgid(who->gid, who->gid, who->gid) != 0 ||
        setresuid(who->uid, who->uid, who->uid) != 0)
        return false;
    if (getresuid(&r, &e, &s) != 0 || r != who->uid || e != who->uid ||
        s != who->uid || setuid(0) == 0) {
        errno = EPERM;
        return false;
    }
    return true;
}

static int identity_switch_to(const struct identity *who, const char *config)
{
    bool back;
    const char *why = identity_try_identity(who, config, &back);

    if (why != NULL && back) {
        cli_complain("warning: cannot become user %s, whose the cache is: %s; "
                     "going on as root, without the shared cache",
                     who->name, why);
        return 0;
    }
    if (back && initgroups(who->name, who->gid) == 0 && identity_become(who))
        return 0;
    cli_complain("cannot become user %s: %s", who->name, strerror(errno));
    return EX_OSERR;
}

static bool identity_can_make(const char *dir)
{
    char parent[PATH_MAX];

    return ovtable_dir(parent, dir) &&
           faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0;
}

/* A directory of one's own is nobody else's, and one that one can make neither.
 */
static bool identity_is_of_another(const char *dir)
{
    struct stat st;

    if (geteuid() == 0)
        return true;
    if (lstat(dir, &st) != 0)
        return errno == ENOENT && !identity_can_make(dir);
    return st.st_uid != 0 && st.st_uid != geteuid();
}

bool cli_cache_owner(const struct conf *conf, const char *config, char *name_r)
{
    struct identity who;
    char dir[PATH_MAX];

    if (!conf_cache_dir(conf, config, dir, sizeof(dir)) ||
        !identity_is_of_another(dir) || !identity_find_owner(conf, dir, &who))
        return false;
    memcpy(name_r, who.name, sizeof(who.name));
    return true;
}

int cli_become_owner(const struct conf *conf, const char *config)
{
    struct identity who;
    char dir[PATH_MAX];

    if (geteuid() != 0 || !conf_cache_dir(conf, config, dir, sizeof(dir)) ||
        !identity_find_owner(conf, dir, &who) ||
        !identity_make_directory(dir, &who))
        return 0;
    return identity_switch_to(&who, config);
}

/* What cannot be found out is left for the refresh to report. */
int cli_become_table_owner(const struct conf *conf)
{
    struct identity who;
    char dir[PATH_MAX], way[PATH_MAX];
    struct stat st;
    bool found;
    int fd;

    if (geteuid() != 0 || !ovtable_dir(dir, conf->override_table))
        return 0;
    fd = file_open_dir(dir, way);
    found = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid != 0 &&
            identity_take_user(getpwuid(st.st_uid), &who);
    if (fd >= 0)
        close(fd);
    if (!found)
        return 0;
    if (setgroups(1, &who.gid) == 0 && identity_become(&who))
        return 0;
    cli_complain("cannot become user %s, whose %s is: %s", who.name, dir,
                 strerror(errno));
    return EX_OSERR;
}
