/* The shared DNS cache: files, owners, damage; processes that die or stop. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/kv.h"
#include "support/pace.h"
#include "util/hash.h"

#define SIZE   ((uint64_t)1 << 20)
#define NOBODY 65534

static char top[64], dir[80];
static const char *const names[] = {"cache.mdb", "cache.mdb-lock",
                                    "cache.state"};
enum { DATA, LOCK, STATE };

static const char *path_of(int file)
{
    static char path[3][128];

    snprintf(path[file], sizeof(path[file]), "%s/%s", dir, names[file]);
    return path[file];
}

static void setup(void)
{
    strcpy(top, "/tmp/mxhop-kv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chmod(top, 0755), 0);
    snprintf(dir, sizeof(dir), "%s/c", top);
}

static void remove_files(void)
{
    for (int i = 0; i < 3; i++)
        unlink(path_of(i));
}

static void teardown(void)
{
    char path[128];

    remove_files();
    if (rmdir(dir) < 0)
        unlink(dir);
    snprintf(path, sizeof(path), "%s/x", top);
    unlink(path);
    rmdir(path);
    rmdir(top);
}

static uint64_t first_octet(uint64_t key, struct kv_value value)
{
    (void)key;
    return value.data[0];
}

static const char *note;
static struct mxhop_error err;
static struct kv
    *volatile opened[64]; /* children do not lose what they inherit */
static struct kv_view *inherited_view;
static size_t n_opened;

static struct kv *open_for(uid_t uid, gid_t gid, uint64_t bytes)
{
    struct kv_lmdb_options o = {.dir = dir,
                                .uid = uid,
                                .gid = gid,
                                .size_bytes = bytes,
                                .rank = first_octet};
    struct kv *kv;

    memset(&err, 0, sizeof(err));
    if (kv_lmdb_open(&kv, &o, &note, &err) != MXHOP_OK)
        ck_assert_ptr_null(kv);
    opened[n_opened++ % 64] = kv;
    return kv;
}

static struct kv *try_open(void)
{
    return open_for(geteuid(), getegid(), SIZE);
}

static struct kv *must_open(void)
{
    struct kv *kv = try_open();

    ck_assert_msg(kv != NULL, "%s", err.text);
    return kv;
}

/* ---- values that tell whether they are whole ---- */

static uint64_t key_of(uint64_t n)
{
    return kv_key(KV_DOMAIN, hash_bytes(4711, &n, sizeof(n)));
}

static size_t make_value(unsigned char *v, uint64_t key, uint64_t mark)
{
    size_t len = 60 + (key ^ mark) % 200;
    uint64_t sum;

    memset(v, (int)(mark & 0xff), len);
    memcpy(v + 1, &mark, sizeof(mark));
    sum = hash_bytes(key, v, len - sizeof(sum));
    memcpy(v + len - sizeof(sum), &sum, sizeof(sum));
    return len;
}

static bool whole(uint64_t key, struct kv_value v)
{
    uint64_t sum;

    if (v.len < 60)
        return false;
    memcpy(&sum, v.data + v.len - sizeof(sum), sizeof(sum));
    return sum == hash_bytes(key, v.data, v.len - sizeof(sum));
}

static bool all_whole(void *ctx, uint64_t key, struct kv_value v)
{
    ++*(uint64_t *)ctx;
    return whole(key, v) || (*(uint64_t *)ctx = UINT64_MAX, false);
}

/* How many entries there are; UINT64_MAX: one is torn, or nothing can be
   read. */
static uint64_t count(struct kv *kv)
{
    struct kv_view *v = kv->ops->view_open(kv);
    uint64_t n = UINT64_MAX;

    if (v == NULL)
        return n;
    if (kv->ops->begin(v)) {
        n = 0;
        kv->ops->walk(v, 0, all_whole, &n);
        kv->ops->end(v);
    }
    kv->ops->view_close(v);
    return n;
}

static bool put_n(struct kv *kv, uint64_t from, uint64_t n, uint64_t mark)
{
    unsigned char value[300];

    if (!kv->ops->write_begin(kv, 2000))
        return false;
    for (uint64_t i = from; i < from + n; i++)
        kv->ops->put(kv, key_of(i), value, make_value(value, key_of(i), mark));
    return kv->ops->commit(kv);
}

static bool has(struct kv *kv, uint64_t n)
{
    struct kv_view *v = kv->ops->view_open(kv);
    struct kv_value value;
    bool found;

    ck_assert(v != NULL && kv->ops->begin(v));
    found = kv->ops->get(v, key_of(n), &value) && whole(key_of(n), value);
    kv->ops->end(v);
    kv->ops->view_close(v);
    return found;
}

/* ---- processes ---- */

static int said[2]; /* a child tells that it got somewhere */

static void say(void)
{
    ck_assert_int_eq(write(said[1], "x", 1), 1);
}

static void hear(void)
{
    char c;

    ck_assert_int_eq(read(said[0], &c, 1), 1);
}

static pid_t spawn(int (*fn)(struct kv *inherited), struct kv *kv)
{
    pid_t pid;

    if (said[1] == 0)
        ck_assert_int_eq(pipe(said), 0);
    pid = fork();
    if (pid == 0)
        _exit(fn(kv));
    ck_assert_int_gt(pid, 0);
    return pid;
}

static int reap(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void wait_stopped(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(reap(pid), -SIGKILL);
}

/* ---- sharing ---- */

static uint64_t parents_seed;

static int share_child(struct kv *inherited)
{
    struct kv *kv = try_open();

    (void)inherited;
    if (kv == NULL || note != NULL)
        return 1;
    if (kv->seed != parents_seed || !has(kv, 1) || !put_n(kv, 2, 1, 7))
        return 2;
    kv->ops->close(kv);
    return 0;
}

START_TEST(shared_by_processes)
{
    struct kv *kv = must_open();
    struct stat st;

    ck_assert_ptr_null(note);
    ck_assert(put_n(kv, 1, 1, 3));
    parents_seed = kv->seed;
    ck_assert_int_eq(reap(spawn(share_child, NULL)), 0);
    ck_assert(has(kv, 1));
    ck_assert(has(kv, 2));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(path_of(i), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    kv->ops->close(kv);
    kv = must_open();
    ck_assert_ptr_null(note);
    ck_assert_uint_eq(kv->seed, parents_seed);
    ck_assert(has(kv, 2));
    kv->ops->close(kv);
}
END_TEST

static int may_write(struct kv *inherited)
{
    struct kv *kv = try_open();

    (void)inherited;
    return kv != NULL && kv->ops->write_begin(kv, 20);
}

START_TEST(opened_twice)
{
    struct kv *a = must_open(), *b = must_open();
    struct kv_view *v = inherited_view = b->ops->view_open(b);
    struct kv_value value;

    ck_assert_uint_eq(a->seed, b->seed);
    ck_assert(put_n(a, 1, 1, 3));
    ck_assert(b->ops->begin(v));
    ck_assert(b->ops->write_begin(b, 0));
    ck_assert(!a->ops->write_begin(a, 20));
    a->ops->close(a);
    a = must_open();
    a->ops->close(a);
    ck_assert_int_eq(reap(spawn(may_write, NULL)), 0);
    b->ops->put(b, key_of(2), "x", 1);
    ck_assert(b->ops->commit(b));
    ck_assert(b->ops->get(v, key_of(1), &value)); /* the snapshot is ours */
    ck_assert(!b->ops->get(v, key_of(2), &value));
    b->ops->end(v);
    b->ops->view_close(v);
    ck_assert_int_eq(reap(spawn(may_write, NULL)), 1);
    b->ops->close(b);
}
END_TEST

static int use_inherited(struct kv *kv)
{
    struct kv_value value;
    struct kv *own;

    if (kv->ops->begin(inherited_view) || kv->ops->write_begin(kv, 0) ||
        kv->ops->view_open(kv) != NULL ||
        kv->ops->get(inherited_view, key_of(1), &value))
        return 1;
    own = try_open();
    if (own == NULL || !put_n(own, 2, 1, 3) || !has(own, 1))
        return 2;
    kv->ops->end(inherited_view);
    kv->ops->view_close(inherited_view);
    kv->ops->close(kv);
    own->ops->close(own);
    return 0;
}

START_TEST(fork_after_open)
{
    struct kv *kv = must_open();
    struct kv_value value;

    ck_assert(put_n(kv, 1, 1, 3));
    inherited_view = kv->ops->view_open(kv);
    ck_assert(kv->ops->begin(inherited_view));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(reap(spawn(use_inherited, kv)), 0);
    ck_assert(kv->ops->get(inherited_view, key_of(1), &value));
    ck_assert(!kv->ops->get(inherited_view, key_of(2), &value));
    kv->ops->end(inherited_view);
    ck_assert(kv->ops->begin(inherited_view));
    ck_assert(kv->ops->get(inherited_view, key_of(2), &value));
    kv->ops->end(inherited_view);
    kv->ops->view_close(inherited_view);
    ck_assert(kv->ops->write_begin(kv, 0));
    ck_assert_int_eq(reap(spawn(may_write, kv)), 0);
    ck_assert(kv->ops->commit(kv));
    kv->ops->close(kv);
}
END_TEST

/* Programs that the host executes, as other users perhaps, get none of it. */
START_TEST(closed_on_exec)
{
    struct kv *kv = must_open();
    unsigned ours = 0;
    char path[PATH_MAX], name[64];

    for (int fd = 0; fd < 256; fd++) {
        ssize_t n;

        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        n = readlink(name, path, sizeof(path) - 1);
        if (n < 0)
            continue;
        path[n] = '\0';
        if (strstr(path, "cache.") == NULL)
            continue;
        ck_assert_msg((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "%s", path);
        ours++;
    }
    ck_assert_uint_ge(ours, 3);
    kv->ops->close(kv);
}
END_TEST

START_TEST(removed_while_in_use)
{
    struct kv *kv = must_open(), *other;

    ck_assert(put_n(kv, 1, 10, 3));
    remove_files();
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert(put_n(kv, 11, 10, 3));
    ck_assert_uint_eq(count(kv), 20);
    other = must_open();
    ck_assert_uint_eq(count(other), 0);
    ck_assert(put_n(other, 1, 5, 3));
    ck_assert_uint_eq(count(kv), 20);
    ck_assert_uint_eq(count(other), 5);
    kv->ops->close(kv);
    ck_assert(put_n(other, 6, 5, 3));
    other->ops->close(other);
}
END_TEST

/* ---- damage ---- */

static void overwrite(int file, off_t at, const void *bytes, size_t n)
{
    int fd = open(path_of(file), O_RDWR);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

static void nothing(void)
{
}

static void cut_data(void)
{
    ck_assert_int_eq(truncate(path_of(DATA), 20000), 0);
}

static void cut_header(void)
{
    ck_assert_int_eq(truncate(path_of(DATA), 100), 0);
}

static void empty_data(void)
{
    ck_assert_int_eq(truncate(path_of(DATA), 0), 0);
}

static void noise_in_data(void)
{
    unsigned char noise[8192];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (unsigned char)rand();
    overwrite(DATA, 0, noise, sizeof(noise));
}

static void noise_in_lock(void)
{
    unsigned char noise[8192];

    memset(noise, 0xa5, sizeof(noise));
    overwrite(LOCK, 0, noise, sizeof(noise));
}

static void other_version(void)
{
    overwrite(STATE, 8, "\x7f\0\0\0", 4);
}

/* Well-formed otherwise: its checksum, the last 8 octets, is made anew. */
static void other_boot(void)
{
    unsigned char s[256];
    uint64_t sum;
    int fd = open(path_of(STATE), O_RDWR);
    ssize_t n = read(fd, s, sizeof(s)), body = n - (ssize_t)sizeof(sum);

    ck_assert(body > 56 && n < (ssize_t)sizeof(s));
    memcpy(&sum, s + body, sizeof(sum));
    ck_assert_uint_eq(sum, hash_bytes(2, s, (size_t)body));
    s[16] = s[16] == '0' ? '1' : '0';
    sum = hash_bytes(2, s, (size_t)body);
    memcpy(s + body, &sum, sizeof(sum));
    ck_assert_int_eq(pwrite(fd, s, (size_t)n, 0), n);
    close(fd);
}

static void damaged_seed(void)
{
    overwrite(STATE, 57, "??", 2);
}

static void cut_state(void)
{
    ck_assert_int_eq(truncate(path_of(STATE), 40), 0);
}

static void no_state(void)
{
    unlink(path_of(STATE));
}

/* Sound, but not the file that was made with this state. */
static void other_data(void)
{
    static char bytes[2 * SIZE];
    int old = open(path_of(DATA), O_RDONLY), fd;
    ssize_t n = read(old, bytes, sizeof(bytes));

    unlink(path_of(DATA));
    fd = open(path_of(DATA), O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), n);
    close(fd);
    close(old); /* now: its inode number may be used again */
}

static void no_lock(void)
{
    unlink(path_of(LOCK));
}

static void empty_lock(void)
{
    ck_assert_int_eq(truncate(path_of(LOCK), 0), 0);
}

static void no_data(void)
{
    unlink(path_of(DATA));
}

static const struct {
    void (*damage)(void);
    bool kept;
    const char *note;
} damages[] = {
    {nothing, true, NULL},
    {no_lock, true, NULL},
    {empty_lock, true, NULL},
    {noise_in_lock, true, NULL},
    {cut_data, false, "damaged data was thrown away"},
    {cut_header, false, "damaged data was thrown away"},
    {empty_data, false, "damaged data was thrown away"},
    {noise_in_data, false, "damaged data was thrown away"},
    {other_version, false, "data of another version was thrown away"},
    {other_boot, false, "data of an earlier boot was thrown away"},
    {damaged_seed, false, "data with a damaged state was thrown away"},
    {cut_state, false, "data with a damaged state was thrown away"},
    {no_state, false, "data without its state was thrown away"},
    {no_data, false, NULL},
    {other_data, false, "data from elsewhere was thrown away"},
};

START_TEST(damaged)
{
    struct kv *kv = must_open();
    uint64_t seed = kv->seed;
    struct stat st;

    ck_assert(put_n(kv, 0, 500, 3));
    kv->ops->close(kv);
    damages[_i].damage();
    kv = must_open();
    ck_assert_str_eq(note != NULL ? note : "-",
                     damages[_i].note != NULL ? damages[_i].note : "-");
    ck_assert_uint_eq(count(kv), damages[_i].kept ? 500 : 0);
    ck_assert((kv->seed == seed) == damages[_i].kept);
    ck_assert(put_n(kv, 1000, 10, 3));
    ck_assert(has(kv, 1000));
    ck_assert_int_eq(stat(path_of(LOCK), &st), 0);
    ck_assert_uint_gt(st.st_blocks, 0);
    kv->ops->close(kv);
    kv = must_open();
    ck_assert_ptr_null(note);
    ck_assert(has(kv, 1000));
    kv->ops->close(kv);
}
END_TEST

/* ---- what is refused ---- */

static void link_lock(void)
{
    unlink(path_of(LOCK));
    ck_assert_int_eq(symlink("/tmp/mxhop-no-such-file", path_of(LOCK)), 0);
}

static void link_data(void)
{
    unlink(path_of(DATA));
    ck_assert_int_eq(symlink("/etc/passwd", path_of(DATA)), 0);
}

static void link_state(void)
{
    unlink(path_of(STATE));
    ck_assert_int_eq(symlink("/tmp/mxhop-no-such-file", path_of(STATE)), 0);
}

static void two_names(void)
{
    char x[80];

    snprintf(x, sizeof(x), "%s/x", top);
    ck_assert_int_eq(link(path_of(DATA), x), 0);
}

static void fifo(void)
{
    unlink(path_of(STATE));
    ck_assert_int_eq(mkfifo(path_of(STATE), 0600), 0);
}

static void writable_file(void)
{
    ck_assert_int_eq(chmod(path_of(LOCK), 0620), 0);
}

static void writable_dir(void)
{
    ck_assert_int_eq(chmod(dir, 0770), 0);
}

static void writable_parent(void)
{
    ck_assert_int_eq(chmod(top, 0777), 0);
}

static void linked_dir(void)
{
    char x[80];

    snprintf(x, sizeof(x), "%s/x", top);
    remove_files();
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(mkdir(x, 0700), 0);
    ck_assert_int_eq(symlink(x, dir), 0);
}

static void no_parent(void)
{
    strcat(dir, "/no/such/dir");
}

static void foreign_dir(void)
{
    ck_assert_int_eq(chown(dir, 1234, 1234), 0);
}

static void foreign_file(void)
{
    ck_assert_int_eq(chown(path_of(STATE), 1234, 1234), 0);
}

static void foreign_parent(void)
{
    ck_assert_int_eq(chown(top, 1234, 1234), 0);
}

static const struct {
    void (*act)(void);
    const char *text;
    bool root; /* only root can do this */
} refusals[] = {
    {link_lock, "cache.mdb-lock: is a symbolic link; remove it", false},
    {link_data, "cache.mdb: is a symbolic link; remove it", false},
    {link_state, "cache.state: is a symbolic link; remove it", false},
    {two_names, "cache.mdb: is not a regular file with one name", false},
    {fifo, "cache.state: is not a regular file", false},
    {writable_file, "cache.mdb-lock: others may write to it", false},
    {writable_dir, "others may write to this directory; `chmod 0700", false},
    {writable_parent, "others may write to the directory above it", false},
    {linked_dir, "c: Not a directory", false},
    {no_parent, "No such file or directory", false},
    {foreign_dir, "belongs to uid 1234, not to uid 0", true},
    {foreign_file, "cache.state: belongs to uid 1234, not to uid 0", true},
    {foreign_parent, "above it belongs to uid 1234", true},
};

START_TEST(refused)
{
    char kept[80];
    struct kv *kv;

    if (refusals[_i].root && geteuid() != 0)
        return;
    kv = must_open();
    kv->ops->close(kv);
    strcpy(kept, dir);
    refusals[_i].act();
    kv = try_open();
    strcpy(dir, kept);
    ck_assert_ptr_null(kv);
    ck_assert_int_eq(err.code, MXHOP_ERR_IO);
    ck_assert_msg(strstr(err.text, refusals[_i].text) != NULL, "%s", err.text);
    ck_assert_ptr_null(note);
    ck_assert_int_eq(access("/tmp/mxhop-no-such-file", F_OK), -1);
}
END_TEST

/* ---- owners (as root) ---- */

static int daemon_child(struct kv *inherited)
{
    struct kv *kv = open_for(NOBODY, NOBODY, SIZE);

    (void)inherited;
    if (kv == NULL || note != NULL)
        return 1;
    if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return 2;
    if (!put_n(kv, 2, 100, 3) || !has(kv, 1))
        return 3;
    kv->ops->close(kv);
    kv = open_for(NOBODY, NOBODY, SIZE);
    return kv != NULL && has(kv, 1) && put_n(kv, 200, 1, 3) ? 0 : 4;
}

static int other_user(struct kv *inherited)
{
    (void)inherited;
    if (setresuid(1234, 1234, 1234) < 0 ||
        open_for(NOBODY, NOBODY, SIZE) != NULL || err.code != MXHOP_ERR_IO)
        return 1;
    return strstr(err.text, "for uid 65534") != NULL &&
                   strstr(err.text, "with uid 1234") != NULL
               ? 0
               : 2;
}

START_TEST(privileges_are_dropped)
{
    mode_t old = umask(077);
    struct stat st;
    struct kv *kv;

    strcat(dir, "/d"); /* its parent is missing, too */
    kv = open_for(NOBODY, NOBODY, SIZE);
    umask(old);
    ck_assert_msg(kv != NULL, "%s", err.text);
    ck_assert_ptr_null(note);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(path_of(i), &st), 0);
        ck_assert(st.st_uid == NOBODY && st.st_gid == NOBODY);
    }
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert(st.st_uid == NOBODY && (st.st_mode & 07777) == 0700);
    ck_assert(put_n(kv, 1, 1, 3));
    ck_assert_int_eq(reap(spawn(daemon_child, NULL)), 0);
    ck_assert_int_eq(reap(spawn(other_user, NULL)), 0);
    ck_assert(has(kv, 101) && has(kv, 200));
    kv->ops->close(kv);
    remove_files();
    rmdir(dir);
    *strrchr(dir, '/') = '\0';
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert(st.st_uid == 0 && (st.st_mode & 07777) == 0755);
    /* The ids are ours again, on the failing paths too. */
    ck_assert_int_eq(chown(dir, 1234, 1234), 0);
    ck_assert_ptr_null(open_for(NOBODY, NOBODY, SIZE));
    ck_assert_int_eq(access(top, W_OK), 0);
    ck_assert_int_eq(chown(dir, 0, 0), 0);
}
END_TEST

static int make_as_user(struct kv *inherited)
{
    (void)inherited;
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0 || try_open() != NULL)
        return 1;
    return strstr(err.text, "install -d -o 65534 -m 0700") != NULL ? 0 : 2;
}

START_TEST(directories_that_cannot_be)
{
    ck_assert_int_eq(reap(spawn(make_as_user, NULL)), 0);
    /* Root gives nothing away where others may put things. */
    ck_assert_int_eq(chmod(top, 01777), 0);
    ck_assert_ptr_null(open_for(NOBODY, NOBODY, SIZE));
    ck_assert_ptr_nonnull(strstr(err.text, "others than root may write here"));
    ck_assert_int_eq(access(dir, F_OK), -1);
    /* One that cannot be written to. */
    ck_assert_int_eq(chmod(top, 0755), 0);
    ck_assert_int_eq(mkdir(dir, 0500), 0);
    ck_assert_int_eq(chown(dir, NOBODY, NOBODY), 0);
    ck_assert_ptr_null(open_for(NOBODY, NOBODY, SIZE));
    ck_assert_ptr_nonnull(strstr(err.text, "cache.state: Permission denied"));
}
END_TEST

/* ---- dying and stopping ---- */

static int write_for_ever(struct kv *inherited)
{
    struct kv *kv = try_open();

    (void)inherited;
    if (kv == NULL || note != NULL)
        return 1;
    for (uint64_t i = (uint64_t)getpid() * 1000;; i++)
        put_n(kv, i * 7919 % 3000, 20, i); /* may find it full */
}

START_TEST(writers_are_killed)
{
    struct kv *kv = must_open();
    uint64_t seed = kv->seed;

    /* On a slow machine many die before they have written anything. */
    for (uint64_t round = 0; round < 200 || (round < 4000 && count(kv) <= 100);
         round++) {
        pid_t pid = spawn(write_for_ever, NULL);

        usleep((useconds_t)(rand() % 4000));
        ck_assert_uint_lt(count(kv), UINT64_MAX);
        end_process(pid);
        ck_assert_uint_lt(count(kv), UINT64_MAX);
        if (round % 10 == 0)
            ck_assert(put_n(kv, 5000 + round, 1, 255));
        if (round % 10 == 0)
            ck_assert(has(kv, 5000 + round));
    }
    ck_assert_uint_gt(count(kv), 100);
    kv->ops->close(kv);
    kv = must_open();
    ck_assert_ptr_null(note);
    ck_assert_uint_eq(kv->seed, seed);
    ck_assert_uint_gt(count(kv), 100);
    kv->ops->close(kv);
}
END_TEST

static int stop_writing(struct kv *inherited)
{
    struct kv *kv = try_open();

    (void)inherited;
    if (kv == NULL || !kv->ops->write_begin(kv, 0))
        return 1;
    kv->ops->put(kv, key_of(77), "x", 1);
    raise(SIGSTOP);
    return kv->ops->commit(kv) ? 0 : 2;
}

static int read_only(struct kv *inherited)
{
    struct kv *kv = try_open();

    (void)inherited;
    if (kv == NULL || kv->seed != parents_seed || note != NULL)
        return 1;
    return has(kv, 1) && !kv->ops->write_begin(kv, 20) ? 0 : 2;
}

static int open_damaged(struct kv *inherited)
{
    char text[64];
    struct kv *kv;

    snprintf(text, sizeof(text), "process %s has locked it", getenv("STOPPED"));
    (void)inherited;
    empty_data();
    kv = try_open();
    return kv == NULL && err.code == MXHOP_ERR_IO &&
                   strstr(err.text, text) != NULL
               ? 0
               : 1;
}

START_TEST(writer_is_stopped)
{
    struct kv *kv = must_open();
    char text[16];
    pid_t pid;

    parents_seed = kv->seed;
    ck_assert(put_n(kv, 1, 1, 3));
    pid = spawn(stop_writing, NULL);
    wait_stopped(pid);
    ck_assert(!kv->ops->write_begin(kv, 20));
    ck_assert(has(kv, 1));
    ck_assert_int_eq(reap(spawn(read_only, NULL)), 0);
    ck_assert(!kv->ops->write_begin(kv, 0));
    kill(pid, SIGCONT);
    ck_assert_int_eq(reap(pid), 0);
    ck_assert(put_n(kv, 2, 1, 3));
    kv->ops->close(kv);

    pid = spawn(stop_writing, NULL);
    wait_stopped(pid);
    snprintf(text, sizeof(text), "%d", (int)pid);
    setenv("STOPPED", text, 1);
    ck_assert_int_eq(reap(spawn(open_damaged, NULL)), 0);
    end_process(pid);
    kv = must_open();
    ck_assert_str_eq(note, "damaged data was thrown away");
    ck_assert(put_n(kv, 2, 1, 3));
    kv->ops->close(kv);
}
END_TEST

static int stop_reading(struct kv *inherited)
{
    struct kv *kv = try_open();
    struct kv_view *v = kv == NULL ? NULL : kv->ops->view_open(kv);
    struct kv_value value;

    (void)inherited;
    if (v == NULL || !kv->ops->begin(v))
        return 1;
    raise(SIGSTOP);
    if (!kv->ops->get(v, key_of(1), &value) || value.data[0] != 3)
        return 2;
    kv->ops->end(v);
    if (!kv->ops->begin(v))
        return 3;
    kv->ops->end(v);
    kv->ops->view_close(v);
    return 0;
}

/* _i: whether it is killed or goes on. */
START_TEST(reader_is_stopped)
{
    struct kv *kv = must_open();
    bool written = true;
    pid_t pid;
    int n = 0, bad = 0;

    ck_assert(put_n(kv, 1, 300, 3));
    pid = spawn(stop_reading, NULL);
    wait_stopped(pid);
    for (; written && n < 10000; n++)
        written = put_n(kv, 1, 300, 4);
    ck_assert(!written);
    ck_assert_int_gt(n, 1);
    ck_assert_uint_eq(count(kv), 300);
    ck_assert(!put_n(kv, 1000, 300, 5));
    ck_assert_uint_eq(count(kv), 300);
    if (_i == 0) {
        end_process(pid);
    } else {
        kill(pid, SIGCONT);
        ck_assert_int_eq(reap(pid), 0);
    }
    /* The first may only find out, or find the freed pages too scattered. */
    for (int i = 0; i < 50; i++)
        bad += !put_n(kv, 2000, 300, 5);
    ck_assert_int_le(bad, 3);
    ck_assert(put_n(kv, 2000, 300, 5));
    ck_assert_uint_eq(count(kv), 600);
    kv->ops->close(kv);
}
END_TEST

static uint32_t readers(struct kv *kv)
{
    struct kv_view *v = kv->ops->view_open(kv);
    struct kv_stats s;

    ck_assert(kv->ops->begin(v));
    kv->ops->stats(v, &s);
    kv->ops->end(v);
    kv->ops->view_close(v);
    return s.readers;
}

static int die_reading(struct kv *inherited)
{
    struct kv *kv = try_open();
    struct kv_view *v = kv->ops->view_open(kv);

    (void)inherited;
    kv->ops->begin(v);
    say();
    pause();
    return 0;
}

START_TEST(dead_readers_are_cleared)
{
    enum { N = 20 };
    struct kv *kv = must_open();
    pid_t pid[N];
    int commits = 0;

    for (int i = 0; i < N; i++) {
        pid[i] = spawn(die_reading, NULL);
        hear();
    }
    ck_assert_uint_eq(readers(kv), N + 1);
    for (int i = 0; i < N; i++)
        end_process(pid[i]);
    while (readers(kv) > 1 && commits++ < 1100)
        ck_assert(put_n(kv, 1, 1, 3));
    ck_assert_uint_eq(readers(kv), 1);
    kv->ops->close(kv);
}
END_TEST

/* ---- room ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(file_system_is_full)
{
    struct kv *kv = must_open();
    uint64_t n, more = 0;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert(put_n(kv, 0, 200, 3));
    limit_files(160 * 1024);
    for (n = 0; n < 10000 && put_n(kv, 1000 + n * 10, 10, 3);)
        n++;
    ck_assert_uint_lt(n, 10000);
    ck_assert_uint_gt(count(kv), 100);
    ck_assert_uint_lt(count(kv), UINT64_MAX);
    /* It is not frozen: what is old makes room. */
    for (uint64_t i = 0; i < 200; i++)
        more += put_n(kv, 200000 + i, 1, 3);
    ck_assert_uint_gt(more, 100);
    limit_files(RLIM_INFINITY);
    for (uint64_t i = 0; i < 20; i++)
        ck_assert(put_n(kv, 300000 + i * 100, 100, 3));
    ck_assert_uint_gt(count(kv), 1000);
    kv->ops->close(kv);
    limit_files(160 * 1024);
    signal(SIGXFSZ, SIG_DFL);
    ck_assert_ptr_null(try_open());
    ck_assert_int_eq(err.code, MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "cache.mdb: File too large"));
    limit_files(RLIM_INFINITY);
}
END_TEST

START_TEST(file_stays_in_bounds)
{
    struct kv *kv = open_for(geteuid(), getegid(), 2 * SIZE);
    struct stat st;

    for (uint64_t i = 0; i < (pace_is_slow() ? 100 : 300); i++) {
        ck_assert(put_n(kv, i * 300, 300, i % 5));
        ck_assert_int_eq(stat(path_of(DATA), &st), 0);
        ck_assert_uint_le((uint64_t)st.st_blocks * 512, 4 * SIZE);
    }
    ck_assert_uint_gt(count(kv), 3000);
    kv->ops->close(kv);
}
END_TEST

START_TEST(sizes_that_differ)
{
    struct kv *kv = open_for(geteuid(), getegid(), SIZE / 64);
    struct stat st;

    ck_assert(put_n(kv, 0, 100, 3));
    kv->ops->close(kv);
    kv = open_for(geteuid(), getegid(), 4 * SIZE);
    ck_assert_ptr_null(note);
    ck_assert_uint_eq(count(kv), 100);
    ck_assert(put_n(kv, 0, 10000, 3));
    ck_assert_uint_eq(count(kv), 10000);
    kv->ops->close(kv);
    kv = open_for(geteuid(), getegid(), SIZE / 64);
    ck_assert_ptr_null(note);
    ck_assert_uint_eq(count(kv), 10000);
    /* What is too much for it goes, bit by bit. */
    for (uint64_t i = 0; i < 100; i++)
        ck_assert(put_n(kv, i, 1, 3));
    ck_assert_uint_lt(count(kv), 5000);
    kv->ops->close(kv);
    ck_assert_int_eq(stat(path_of(DATA), &st), 0);
    ck_assert_uint_eq(st.st_size, 8 * SIZE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv_lmdb");
    TCase *t = tcase_create("kv_lmdb");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, shared_by_processes);
    tcase_add_test(t, opened_twice);
    tcase_add_test(t, fork_after_open);
    tcase_add_test(t, closed_on_exec);
    tcase_add_test(t, removed_while_in_use);
    tcase_add_loop_test(t, damaged, 0, sizeof(damages) / sizeof(*damages));
    tcase_add_loop_test(t, refused, 0, sizeof(refusals) / sizeof(*refusals));
    if (geteuid() == 0) {
        tcase_add_test(t, privileges_are_dropped);
        tcase_add_test(t, directories_that_cannot_be);
    }
    tcase_add_test(t, writers_are_killed);
    tcase_add_test(t, writer_is_stopped);
    tcase_add_loop_test(t, reader_is_stopped, 0, 2);
    tcase_add_test(t, dead_readers_are_cleared);
    tcase_add_test(t, file_system_is_full);
    tcase_add_test(t, file_stays_in_bounds);
    tcase_add_test(t, sizes_that_differ);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
