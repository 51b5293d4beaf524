/*
 * ovtable_place - the directory of the override table, and what else is there
 *
 * Beside the table NAME stand NAME.lock, which the refresh that is at work
 * holds with flock(2), and NAME.cookie: where the source stood, as the last
 * refresh saw it that changed no entry. Both are 0600 and of the user that
 * refreshes, so that nobody else can hold or forge them; nothing is lost with
 * them. What a caller puts beside it, everybody may read.
 *
 * A refresh writes only into a directory where nobody else can put files in its
 * way.
 */

#include "overrides/ovtable_int.h"
#include "util/err.h"
#include "util/file.h"
#include "util/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 50 /* of a tenth of a second */

bool ovtable_dir(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    int n = slash != NULL ? (int)(slash - path) : 0;

    if (slash == NULL)
        return snprintf(out, PATH_MAX, ".") > 0;
    return snprintf(out, PATH_MAX, "%.*s", n > 0 ? n : 1, path) < PATH_MAX;
}

static enum mxhop_status place_error(struct mxhop_error *err, const char *path,
                                     const char *suffix)
{
    return err_set(err, MXHOP_ERR_IO, "%s%s: %s", path, suffix,
                   errno == ELOOP ? "is a symbolic link; remove it"
                                  : strerror(errno));
}

static enum mxhop_status place_open_dir(struct ovtable_place *p,
                                        struct mxhop_error *err)
{
    char dir[PATH_MAX], way[PATH_MAX];
    struct stat st;
    int fd;

    if (!ovtable_dir(dir, p->path))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long",
                       p->path);
    fd = file_open_dir(dir, way);
    if (fd < 0 && errno == 0)
        return err_set(
            err, MXHOP_ERR_IO,
            "%s: %s does not belong to root alone, and who may write "
            "there could lead us elsewhere; `chown root %s`, `chmod "
            "go-w %s`, or run the refresh as its owner",
            dir, way, way, way);
    if (fd >= 0) {
        p->dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
    }
    if (p->dir_fd < 0 || fstat(p->dir_fd, &st) != 0)
        return err_set(err, MXHOP_ERR_IO, "%s: %s; `install -d -m 0755 %s`",
                       dir, strerror(errno), dir);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, MXHOP_ERR_IO,
                       "%s: this directory belongs to uid %lu, who could put "
                       "links in our way; run the refresh as its owner",
                       dir, (unsigned long)st.st_uid);
    /* In a sticky one a stranger could have a file ready with a name of ours.
     */
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
        ((st.st_mode & S_ISVTX) == 0 || geteuid() == 0))
        return err_set(err, MXHOP_ERR_IO,
                       "%s: others may write to this directory; "
                       "`install -d -m 0755 %s`",
                       dir, dir);
    return MXHOP_OK;
}

/* NAME and suffix; false: too long. */
static bool place_name(char out[NAME_MAX + 1], const char *name,
                       const char *suffix)
{
    return snprintf(out, NAME_MAX + 1, "%s%s", name, suffix) <= NAME_MAX;
}

static enum mxhop_status place_open_lock(struct ovtable_place *p,
                                         const char *name, struct stat *st_r,
                                         struct mxhop_error *err)
{
    p->lock_fd = openat(p->dir_fd, name,
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                            O_CLOEXEC,
                        0600);
    if (p->lock_fd < 0 || fstat(p->lock_fd, st_r) != 0)
        return place_error(err, p->path, ".lock");
    if (!S_ISREG(st_r->st_mode) || st_r->st_nlink > 1 ||
        st_r->st_uid != geteuid())
        return err_set(
            err, MXHOP_ERR_IO,
            "%s.lock: is not a file of uid %lu with one name; remove "
            "it",
            p->path, (unsigned long)geteuid());
    /* Who may open it can hold it. */
    if ((st_r->st_mode & 07777) != 0600 && fchmod(p->lock_fd, 0600) != 0)
        return place_error(err, p->path, ".lock");
    return MXHOP_OK;
}

static enum mxhop_status place_lock(struct ovtable_place *p,
                                    struct mxhop_error *err)
{
    static const struct timespec tenth = {0, 100000000};
    char name[NAME_MAX + 1];
    struct stat st, now;
    enum mxhop_status status;

    if (!place_name(name, p->name, ".lock"))
        return err_set(err, MXHOP_ERR_ARGUMENT, "%s: path is too long",
                       p->path);
    for (int tries = 0; tries <= LOCK_TRIES; tries++) {
        status = place_open_lock(p, name, &st, err);
        if (status != MXHOP_OK)
            return status;
        if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0) {
            /* Somebody may have removed it, and another refresh made its own.
             */
            if (fstatat(p->dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
                now.st_ino == st.st_ino && now.st_dev == st.st_dev)
                return MXHOP_OK;
        } else if (errno != EWOULDBLOCK && errno != EINTR) {
            return place_error(err, p->path, ".lock");
        }
        close(p->lock_fd);
        p->lock_fd = -1;
        nanosleep(&tenth, NULL);
    }
    return err_set(err, MXHOP_ERR_IO,
                   "%s.lock: another refresh is at work; `fuser %s.lock` tells "
                   "which",
                   p->path, p->path);
}

static struct ovtable_place place_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return (struct ovtable_place){
        .dir_fd = -1,
        .lock_fd = -1,
        .path = path,
        .name = slash != NULL ? slash + 1 : path,
    };
}

enum mxhop_status ovtable_enter(struct ovtable_place *p_r, const char *path,
                                struct mxhop_error *err)
{
    enum mxhop_status status;

    *p_r = place_of(path);
    status = place_open_dir(p_r, err);
    return status == MXHOP_OK ? place_lock(p_r, err) : status;
}

void ovtable_leave(struct ovtable_place *p)
{
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    if (p->dir_fd >= 0)
        close(p->dir_fd);
}

/* ---- NAME.cookie: check, id of the table, struct table_where ---- */

#define NOTE_HEAD (8 + OVTABLE_ID_LEN)
#define NOTE_MAX  (NOTE_HEAD + 64 + OVTABLE_COOKIE_MAX)

/* A crash may lose it: nothing that stands beside the table is needed. */
static int place_put(int dir_fd, const char *table, const char *suffix,
                     mode_t mode, const void *bytes, size_t len)
{
    char name[NAME_MAX + 1], temporary[NAME_MAX + 1];
    int fd, rc = 0;

    if (!place_name(name, table, suffix) ||
        !place_name(temporary, name, ".new"))
        return ENAMETOOLONG;
    (void)unlinkat(dir_fd, temporary, 0);
    errno = 0;
    fd = openat(dir_fd, temporary,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len ||
        fchmod(fd, mode) != 0 || renameat(dir_fd, temporary, dir_fd, name) != 0)
        rc = errno != 0 ? errno : EIO;
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        (void)unlinkat(dir_fd, temporary, 0);
    return rc;
}

int ovtable_note_where(const struct ovtable_place *p,
                       const unsigned char id[OVTABLE_ID_LEN],
                       const struct table_where *where)
{
    struct buf b = {0}, note = {0};
    int rc = ENOMEM;

    buf_add(&b, id, OVTABLE_ID_LEN);
    table_where_encode(&b, where);
    enc_u64(&note, hash_bytes(0, b.data, b.len));
    buf_add(&note, b.data, b.len);
    if (!b.failed && !note.failed)
        rc =
            place_put(p->dir_fd, p->name, ".cookie", 0600, note.data, note.len);
    buf_free(&b);
    buf_free(&note);
    return rc;
}

enum mxhop_status ovtable_put_beside(const char *path, const char *suffix,
                                     const void *bytes, size_t len,
                                     struct mxhop_error *err)
{
    struct ovtable_place p = place_of(path);
    enum mxhop_status status = place_open_dir(&p, err);
    int rc;

    if (status == MXHOP_OK &&
        (rc = place_put(p.dir_fd, p.name, suffix, 0644, bytes, len)) != 0)
        status =
            err_set(err, MXHOP_ERR_IO, "%s%s: %s", path, suffix, strerror(rc));
    ovtable_leave(&p);
    return status;
}

/* false: there is none of this table. The cookie points into `note`. */
static bool place_read_note(const char *path, const unsigned char *id,
                            unsigned char note[NOTE_MAX],
                            struct table_where *where_r)
{
    char name[PATH_MAX];
    ssize_t n = -1;
    struct stat st;
    int fd;

    if (snprintf(name, sizeof(name), "%s.cookie", path) >= (int)sizeof(name))
        return false;
    fd = open(name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (st.st_uid == 0 || st.st_uid == geteuid()))
        n = read(fd, note, NOTE_MAX);
    close(fd);
    return n > NOTE_HEAD &&
           load_u64(note) == hash_bytes(0, note + 8, (size_t)n - 8) &&
           memcmp(note + 8, id, OVTABLE_ID_LEN) == 0 &&
           table_where_decode(note + NOTE_HEAD, (size_t)n - NOTE_HEAD, where_r);
}

enum mxhop_status ovtable_read_where(struct ovtable *t, const char *path,
                                     struct ovtable_where *where_r,
                                     struct mxhop_error *err)
{
    unsigned char note[NOTE_MAX];
    struct table_where where;
    struct fixed_bytes v;
    enum fixed_found found;

    memset(where_r, 0, sizeof(*where_r));
    if (!place_read_note(path, fixed_id(ovtable_file(t)), note, &where)) {
        found = fixed_get(ovtable_file(t), OVTABLE_RECORD_WHERE,
                          OVTABLE_WHERE_KEY, strlen(OVTABLE_WHERE_KEY), &v);
        if (found == FIXED_MEMORY)
            return err_nomem(err);
        if (found != FIXED_FOUND || !table_where_decode(v.at, v.len, &where))
            return ovtable_refused(err, path, "is damaged");
    }
    if (where.cookie.len > sizeof(where_r->cookie))
        return ovtable_refused(err, path, "is damaged");
    where_r->fingerprint = where.fingerprint;
    where_r->compiled_s = where.compiled_s;
    where_r->entries = ovtable_meta(t)->entries;
    where_r->cookie_len = where.cookie.len;
    memcpy(where_r->cookie, where.cookie.at, where.cookie.len);
    return MXHOP_OK;
}

enum mxhop_status ovtable_where(const char *path, struct ovtable_where *where_r,
                                struct mxhop_error *err)
{
    enum mxhop_status status;
    struct ovtable *t;
    struct stat st;

    memset(where_r, 0, sizeof(*where_r));
    if (lstat(path, &st) < 0 && errno == ENOENT)
        return MXHOP_OK;
    status = ovtable_open(&t, path, err);
    if (status == MXHOP_OK)
        status = ovtable_read_where(t, path, where_r, err);
    ovtable_close(&t);
    return status;
}

/* ---- mxhop 1 ---- */

#define LMDB_MAGIC 0xBEEFC0DEu

/* In the layout of a 64-bit machine, which is where it was: the root page of
   the main database lists the names of the others. */
bool ovtable_is_lmdb(int dir_fd, const char *name)
{
    static const char *const names[] = {"entry", "exchange", "meta"};
    unsigned char page[4096], meta[160];
    uint64_t root = 0, newest = 0;
    bool ours = false;
    int fd = openat(dir_fd, name,
                    O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (pread(fd, meta, sizeof(meta), (off_t)i * 4096) !=
                (ssize_t)sizeof(meta) ||
            load_u32(meta + 16) != LMDB_MAGIC)
            break;
        if (load_u64(meta + 144) >= newest) {
            newest = load_u64(meta + 144);
            root = load_u64(meta + 128);
        }
    }
    if (root != 0 && root < (uint64_t)FIXED_SIZE_MAX / 4096 &&
        pread(fd, page, sizeof(page), (off_t)root * 4096) ==
            (ssize_t)sizeof(page)) {
        ours = true;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            ours = ours && memmem(page, sizeof(page), names[i],
                                  strlen(names[i])) != NULL;
    }
    close(fd);
    return ours;
}
