/* The override table on disk: whole sets, jails, damage, dying writers. */

#include <check.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "overrides/ovtable.h"
#include "support/failmalloc.h"

static char dir[64], path[80], lock[96];

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-ovtable-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/overrides", dir);
    snprintf(lock, sizeof(lock), "%s-lock", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(lock);
    rmdir(dir);
}

/* n entries; the transport of all is `mark`, the hundredth of them has an
   exchange. */
static struct override *make(size_t n, const char *mark)
{
    struct override *o = calloc(n + 1, sizeof(*o));
    char text[64];

    for (size_t i = 0; i < n; i++) {
        size_t k = n - 1 - i; /* unsorted: descending */

        snprintf(text, sizeof(text), "cn=%06zu,dc=example", k);
        o[i].dn = strdup(text);
        snprintf(text, sizeof(text), "d%zu.example", k);
        strlist_add(&o[i].keys, text);
        if (k % 100 == 99)
            strlist_add(&o[i].exchanges, ".mx.example");
        o[i].transport = strdup(mark);
        o[i].enabled = true;
    }
    return o;
}

static void discard(struct override *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        override_free(&o[i]);
    free(o);
}

static enum mxhop_status replace_set(const struct override *o, size_t n,
                                     bool force, struct ovtable_change *c,
                                     struct mxhop_error *err)
{
    struct ovtable_write w = {.path = path,
                              .source = "ldif:/test",
                              .reader_gid = (gid_t)-1,
                              .shrink_percent = 50,
                              .force = force,
                              .now_s = 1000};

    return ovtable_replace(&w, o, n, c, err);
}

static enum mxhop_status write_n(size_t n, const char *mark, bool force,
                                 struct ovtable_change *c,
                                 struct mxhop_error *err)
{
    struct override *o = make(n, mark);
    enum mxhop_status s = replace_set(o, n, force, c, err);

    discard(o, n);
    return s;
}

static void must_write(size_t n, const char *mark)
{
    struct ovtable_change c;
    struct mxhop_error err = {0};

    ck_assert_msg(write_n(n, mark, true, &c, &err) == MXHOP_OK, "%s", err.text);
}

static struct ovtable *must_open(void)
{
    struct mxhop_error err = {0};
    struct ovtable *t;

    ck_assert_msg(ovtable_open(&t, path, &err) == MXHOP_OK, "%s", err.text);
    return t;
}

static enum mxhop_status find(struct ovtable *t, enum ovtable_index by,
                              const char *key, int64_t now_s,
                              struct override *o, struct mxhop_error *err)
{
    struct ovtable_snap *s;
    enum mxhop_status status = ovtable_begin(t, &s, err);

    memset(o, 0, sizeof(*o));
    if (status != MXHOP_OK)
        return status;
    status = ovtable_find(s, by, key, now_s, o, err);
    ovtable_end(&s);
    return status;
}

/* The transport of a key's entry, "" if there is none, "!" on error. */
static const char *mark_of(struct ovtable *t, const char *key)
{
    static char mark[64];
    struct mxhop_error err;
    struct override o;

    if (find(t, OVTABLE_BY_KEY, key, 0, &o, &err) != MXHOP_OK)
        return "!";
    snprintf(mark, sizeof(mark), "%s", o.dn != NULL ? o.transport : "");
    override_free(&o);
    return mark;
}

/* In a child: run fn, its result is the exit status. */
static pid_t spawn(int (*fn)(void *), void *arg)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn(arg));
    ck_assert_int_gt(pid, 0);
    return pid;
}

static int reap(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int write_child(void *mark)
{
    struct ovtable_change c;
    struct mxhop_error err;

    return (int)write_n(1000, mark, true, &c, &err);
}

START_TEST(write_and_find)
{
    struct ovtable_change c;
    struct mxhop_error err = {0};
    struct ovtable_info info;
    struct ovtable_snap *s;
    struct ovtable *t;
    struct override o;
    struct stat st;
    mode_t old = umask(077);

    ck_assert_int_eq(write_n(200, "one", false, &c, &err), MXHOP_OK);
    umask(old);
    ck_assert(c.changed && c.before == 0 && c.after == 200 && c.version == 1);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    ck_assert_int_eq(stat(lock, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
    ck_assert_int_eq(write_n(200, "one", false, &c, &err), MXHOP_OK);
    ck_assert(!c.changed && c.before == 200 && c.version == 1);
    ck_assert_int_eq(write_n(200, "two", false, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.version == 2);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d7.example"), "two");
    ck_assert_str_eq(mark_of(t, "d200.example"), "");
    ck_assert_str_eq(mark_of(t, ""), "");
    ck_assert_int_eq(find(t, OVTABLE_BY_EXCHANGE, ".mx.example", 0, &o, &err),
                     MXHOP_OK);
    ck_assert_str_eq(o.dn, "cn=000099,dc=example");
    override_free(&o);
    ck_assert_int_eq(ovtable_begin(t, &s, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_info(s, &info, &err), MXHOP_OK);
    ovtable_end(&s);
    ck_assert_uint_eq(info.version, 2);
    ck_assert_uint_eq(info.entries, 200);
    ck_assert(info.has_exchanges && info.compiled_s == 1000);
    ck_assert_str_eq(info.source, "ldif:/test");
    ovtable_close(&t);
    ck_assert_ptr_null(t);
}
END_TEST

START_TEST(lowest_active_dn)
{
    struct override *o = make(4, "x");
    struct ovtable_change c;
    struct mxhop_error err = {0};
    struct ovtable *t;
    struct override got;
    static const struct {
        int64_t now_s;
        const char *dn;
    } cases[] = {{50, "cn=000002,dc=example"}, {150, "cn=000001,dc=example"}};

    /* o[3] is cn=000000: off; o[2] cn=000001: from 100 on; o[1] always. */
    for (int i = 0; i < 4; i++)
        strlist_add(&o[i].keys, "same.example");
    o[3].enabled = false;
    o[2].not_before_s = 100;
    strlist_add(&o[2].keys, "same.example");
    free(o[0].dn); /* o[1] is then a second entry with its DN: dropped */
    o[0].dn = strdup(o[1].dn);
    ck_assert_int_eq(replace_set(o, 4, false, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.after, 3);
    t = must_open();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(find(t, OVTABLE_BY_KEY, "same.example", cases[i].now_s,
                              &got, &err),
                         MXHOP_OK);
        ck_assert_str_eq(got.dn, cases[i].dn);
        override_free(&got);
    }
    ck_assert_str_eq(mark_of(t, "d3.example"), "x");
    ck_assert_str_eq(mark_of(t, "d2.example"), "");
    ck_assert_str_eq(mark_of(t, "d0.example"), ""); /* switched off */
    ovtable_close(&t);
    discard(o, 4);
}
END_TEST

/* Each entry once: bit maps over the numbers in the DNs. */
static bool count_entry(void *ctx, struct override *o)
{
    unsigned char *seen = ctx;
    unsigned long k = strtoul(o->dn + 3, NULL, 10);

    if (seen[k] != 0)
        return false;
    seen[k] = 1;
    return true;
}

START_TEST(ten_thousand)
{
    static unsigned char seen[10000];
    struct timespec a, b;
    struct ovtable_snap *s;
    struct mxhop_error err;
    struct ovtable *t;

    clock_gettime(CLOCK_MONOTONIC, &a);
    must_write(10000, "x");
    clock_gettime(CLOCK_MONOTONIC, &b);
    ck_assert_int_lt(b.tv_sec - a.tv_sec, 10);
    t = must_open();
    ck_assert_int_eq(ovtable_begin(t, &s, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_walk(s, count_entry, seen, &err), MXHOP_OK);
    ovtable_end(&s);
    ck_assert_ptr_null(memchr(seen, 0, sizeof(seen)));
    ovtable_close(&t);
}
END_TEST

START_TEST(held_back)
{
    struct ovtable_change c;
    struct mxhop_error err = {0};
    struct ovtable *t;

    must_write(100, "x");
    ck_assert_int_eq(write_n(50, "y", false, &c, &err), MXHOP_OK);
    ck_assert_int_eq(write_n(24, "z", false, &c, &err), MXHOP_ERR_HELD);
    ck_assert_ptr_nonnull(strstr(err.text, "76 of 100"));
    ck_assert(c.before == 50 && c.after == 24 && !c.changed);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d30.example"), "y");
    ovtable_close(&t);
    ck_assert_int_eq(write_n(0, "z", true, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.after, 0);
    ck_assert_int_eq(write_n(3, "z", false, &c, &err), MXHOP_OK);
}
END_TEST

static enum mxhop_status write_at(size_t n, int64_t now_s,
                                  struct mxhop_error *err)
{
    struct ovtable_write w = {.path = path,
                              .reader_gid = (gid_t)-1,
                              .shrink_percent = 50,
                              .now_s = now_s};
    struct override *o = make(n, "x");
    struct ovtable_change c;
    enum mxhop_status s = ovtable_replace(&w, o, n, &c, err);

    discard(o, n);
    return s;
}

/* What may not go at once may not go in steps of a few either, within a day. */
START_TEST(held_back_in_steps)
{
    const int64_t then = INT64_C(5000000000), day = 86400;
    struct mxhop_error err = {0};

    ck_assert_int_eq(write_at(100, then, &err), MXHOP_OK);
    /* Nothing happens for a month. */
    for (unsigned left = 90; left >= 50; left -= 10)
        ck_assert_int_eq(write_at(left, then + 30 * day + 100 - left, &err),
                         MXHOP_OK);
    ck_assert_int_eq(write_at(40, then + 30 * day + 60, &err), MXHOP_ERR_HELD);
    ck_assert_msg(strstr(err.text, "60 of 100 entries of the last day") != NULL,
                  "%s", err.text);
    ck_assert_int_eq(write_at(60, then + 30 * day + 61, &err), MXHOP_OK);
    ck_assert_int_eq(write_at(49, then + 30 * day + 62, &err), MXHOP_ERR_HELD);
    /* The clock is turned back. */
    ck_assert_int_eq(write_at(49, then, &err), MXHOP_ERR_HELD);
    ck_assert_int_eq(write_at(49, then + 32 * day, &err), MXHOP_OK);
    ck_assert_int_eq(write_at(29, then + 32 * day + 1, &err), MXHOP_ERR_HELD);
    ck_assert_ptr_nonnull(strstr(err.text, "31 of 60 entries of the last day"));
}
END_TEST

/* --force says that it is meant, and begins a new count. */
START_TEST(forced_down)
{
    struct ovtable_change c;
    struct mxhop_error err = {0};

    must_write(100, "x");
    ck_assert_int_eq(write_n(20, "x", true, &c, &err), MXHOP_OK);
    ck_assert_int_eq(write_n(10, "x", false, &c, &err), MXHOP_OK);
}
END_TEST

START_TEST(two_handles)
{
    char mark[] = "b";
    struct ovtable *t, *u;
    struct ovtable_change c;
    struct mxhop_error err = {0};

    must_write(1000, "a");
    t = must_open();
    u = must_open();
    ck_assert_str_eq(mark_of(u, "d1.example"), "a");
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    ovtable_close(&u);
    ck_assert_int_eq(reap(spawn(write_child, mark)), 0);
    ck_assert_str_eq(mark_of(t, "d1.example"), "b");
    /* A read-only environment cannot serve a writer of the same process. */
    ck_assert_int_eq(write_n(1, "c", true, &c, &err), MXHOP_ERR_ARGUMENT);
    ovtable_close(&t);
    must_write(1, "c");
}
END_TEST

static int after_fork(void *arg)
{
    struct mxhop_error err;
    struct ovtable_snap *s;
    struct ovtable *t = arg, *own;

    if (ovtable_begin(t, &s, &err) != MXHOP_ERR_TABLE)
        return 1;
    ovtable_close(&t);
    if (ovtable_open(&own, path, &err) != MXHOP_OK)
        return 2;
    if (strcmp(mark_of(own, "d1.example"), "a") != 0)
        return 3;
    ovtable_close(&own);
    return 0;
}

START_TEST(not_across_fork)
{
    struct ovtable *t;

    must_write(10, "a");
    t = must_open();
    ck_assert_int_eq(reap(spawn(after_fork, t)), 0);
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    ovtable_close(&t);
}
END_TEST

static int go[2], done[2];

static int jailed(void *arg)
{
    struct mxhop_error err;
    struct ovtable *t;
    char empty[96], c;

    (void)arg;
    if (ovtable_open(&t, path, &err) != MXHOP_OK)
        return 1;
    snprintf(empty, sizeof(empty), "%s/jail", dir);
    if (mkdir(empty, 0755) < 0 || chroot(empty) < 0 || chdir("/") < 0)
        return 2;
    if (strcmp(mark_of(t, "d1.example"), "a") != 0)
        return 3;
    if (write(done[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
        return 4;
    if (strcmp(mark_of(t, "d1.example"), "b") != 0)
        return 5;
    if (strcmp(mark_of(t, "d19999.example"), "b") != 0)
        return 6;
    ovtable_close(&t);
    return 0;
}

START_TEST(seen_in_a_jail)
{
    char jail[96], c;
    pid_t pid;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(pipe(go) | pipe(done), 0);
    must_write(10, "a");
    pid = spawn(jailed, NULL);
    ck_assert_int_eq((int)read(done[0], &c, 1), 1);
    must_write(20000, "b"); /* larger than the child's map */
    ck_assert_int_eq((int)write(go[1], "x", 1), 1);
    ck_assert_int_eq(reap(pid), 0);
    snprintf(jail, sizeof(jail), "%s/jail", dir);
    rmdir(jail);
}
END_TEST

static int write_for_ever(void *arg)
{
    struct override *a = make(300, "a"), *b = make(300, "b");
    struct ovtable_change c;
    struct mxhop_error err;

    (void)arg;
    for (;;)
        if (replace_set(a, 300, true, &c, &err) != MXHOP_OK ||
            replace_set(b, 300, true, &c, &err) != MXHOP_OK)
            return 1;
}

static bool one_mark(void *ctx, struct override *o)
{
    char *mark = ctx;

    if (*mark == '\0')
        *mark = o->transport[0];
    if (*mark != o->transport[0])
        *mark = '!';
    return *mark != '!';
}

static void check_whole(struct ovtable *t)
{
    struct mxhop_error err = {0};
    struct ovtable_info info;
    struct ovtable_snap *s;
    char mark = '\0';

    ck_assert_int_eq(ovtable_begin(t, &s, &err), MXHOP_OK);
    ck_assert_int_eq(ovtable_info(s, &info, &err), MXHOP_OK);
    ck_assert_uint_eq(info.entries, 300);
    ck_assert_msg(ovtable_walk(s, one_mark, &mark, &err) == MXHOP_OK, "%s",
                  err.text);
    ck_assert(mark == 'a' || mark == 'b');
    ovtable_end(&s);
}

static const char *only_domain(const struct key *key, const char *at)
{
    return at == NULL ? key->domain : NULL;
}

/* What a glance at the table says: entries of the set that has nothing under
   the domain, or -1. */
static long lacks(struct ovtable *t, const char *domain)
{
    struct ovtable_info info;
    struct key key;

    key_parse(domain, &key);
    ovtable_expect(t, key.domain);
    return ovtable_lacks(t, only_domain, &key, &info) ? (long)info.entries : -1;
}

static int lacks_after_fork(void *t)
{
    return lacks(t, "nothing.example") == -1 ? 0 : 1;
}

static int write_more(void *arg)
{
    (void)arg;
    must_write(20000, "b"); /* larger than the parent's map */
    return 0;
}

START_TEST(seen_at_a_glance)
{
    struct ovtable *t;

    must_write(100, "a");
    t = must_open();
    ck_assert_int_eq(lacks(t, "nothing.example"), 100);
    ck_assert_int_eq(lacks(t, "d1.example"), -1);
    ck_assert_int_eq(reap(spawn(lacks_after_fork, t)), 0);
    ck_assert_int_eq(reap(spawn(write_more, NULL)), 0);
    /* Of the new set nothing is known before it was read. */
    ck_assert_int_eq(lacks(t, "nothing.example"), -1);
    ck_assert_int_eq(lacks(t, "d19999.example"), -1);
    ck_assert_str_eq(mark_of(t, "d19999.example"), "b");
    ck_assert_int_eq(lacks(t, "nothing.example"), 20000);
    ck_assert_int_eq(lacks(t, "d19999.example"), -1);
    ovtable_close(&t);
}
END_TEST

/* Without a transaction, a writer may use the pages that are looked at. */
START_TEST(no_glance_at_pages_in_use)
{
    struct ovtable *t;
    unsigned certain = 0;
    pid_t pid;

    must_write(300, "a");
    t = must_open();
    pid = spawn(write_for_ever, NULL);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_str_ne(mark_of(t, "d1.example"), "");
        certain += lacks(t, "nothing.example") == 300;
        for (unsigned k = 0; k < 20000; k++)
            ck_assert_int_eq(lacks(t, "d1.example"), -1);
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(reap(pid), -SIGKILL);
    ck_assert_uint_gt(certain, 0);
    ovtable_close(&t);
}
END_TEST

/* A writer may die at any instruction, with a reader and without, also while
   the table is being created. */
START_TEST(killed_writer)
{
    struct mxhop_error err;
    struct ovtable *t;

    srandom(7);
    for (int round = 0; round < 20; round++) {
        pid_t pid;

        if (round < 10) {
            unlink(path);
            unlink(lock);
        }
        t = NULL;
        if (round >= 15)
            t = must_open();
        pid = spawn(write_for_ever, NULL);
        usleep((useconds_t)(random() % (round < 10 ? 6000 : 30000)));
        kill(pid, SIGKILL);
        ck_assert_int_eq(reap(pid), -SIGKILL);
        if (t == NULL && ovtable_open(&t, path, &err) != MXHOP_OK) {
            ck_assert_int_lt(round, 10); /* not there yet, and says so */
            ck_assert_int_eq(err.code, MXHOP_ERR_TABLE);
        }
        if (t != NULL)
            check_whole(t);
        ovtable_close(&t);
        must_write(300, "a");
    }
}
END_TEST

/* ---- damage ---- */

static void spoil_file(off_t at, const void *bytes, size_t n, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);

    ck_assert_int_ge(fd, 0);
    if (n > 0)
        ck_assert_int_eq((int)pwrite(fd, bytes, n, at), (int)n);
    if (size >= 0)
        ck_assert_int_eq(ftruncate(fd, size), 0);
    close(fd);
}

START_TEST(foreign_or_cut_file)
{
    static const struct {
        off_t at;
        const char *bytes;
        off_t size;
    } cases[] = {
        {0, "", 100},     {0, "", 4096},        {0, "", 8192},
        {0, "", 20000},   {16, "foreign", -1},  {20, "\xff", -1},
        {40, "\x01", -1}, {4096 + 16, "x", -1}, {136, "\xff\xff\xff", -1},
    };
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct ovtable *t;
    struct stat before, after;

    must_write(300, "a");
    must_write(300, "b");
    spoil_file(cases[_i].at, cases[_i].bytes, strlen(cases[_i].bytes),
               cases[_i].size);
    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_ptr_null(t);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_ptr_nonnull(strstr(err.text, "mxhop refresh"));
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(write_n(1, "c", true, &c, &err), MXHOP_ERR_TABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "remove it"));
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
}
END_TEST

START_TEST(not_a_file)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct ovtable *t;
    char other[96];

    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "mxhop refresh"));
    ck_assert_int_eq(ovtable_open(&t, dir, &err), MXHOP_ERR_TABLE);
    ck_assert_int_eq(ovtable_open(&t, "/dev/zero", &err), MXHOP_ERR_TABLE);
    snprintf(other, sizeof(other), "%s/other", dir);
    ck_assert_int_eq(symlink(other, path), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
    unlink(path);
    ck_assert_int_eq(symlink(other, lock), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_int_ne(access(other, F_OK), 0);
    unlink(lock);
    unlink(path);
    spoil_file(0, "", 0, 0); /* what a killed first refresh may leave */
    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_OK);
    unlink(lock);
    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_int_ne(access(lock, F_OK), 0); /* nothing is created */
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "install -d -m 0755"));
    ck_assert_int_eq(chmod(dir, 01777), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_OK);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, (gid_t)-1), 0);
        ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
        ck_assert_ptr_nonnull(strstr(err.text, "65534"));
    }
}
END_TEST

static void spoil_record(const char *db, const void *key, size_t key_len,
                         const void *value, size_t len)
{
    MDB_val k = {key_len, (void *)key}, v = {len, (void *)value};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    ck_assert_int_eq(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 4);
    ck_assert_int_eq(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, db, 0, &dbi), 0);
    ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

#define ID1 "\1" /* stands for the id of the entry with d1.example */

START_TEST(damaged_records)
{
    static const struct {
        const char *db, *key, *value;
        size_t len;
    } cases[] = {
        {"entry", ID1, "garbage", 7},
        {"entry", ID1, "\1\xff\xff\xff\xff", 5},
        {"entry", ID1, "", 0},
        {"key", "d1.example", "\0\0\0", 3},
        {"key", "d1.example", "0123456789abcdef", 16},
        {"key", "d1.example", "", 0},
        {"meta", "set", "garbage", 7},
        {"meta", "set", "", 0},
        {"meta", "set", "\1\1\0\0\0\0\0\0\0\0", 10}, /* an older version */
        {"meta", "filter", "garbage", 7},
        {"meta", "filter", "", 0},
    };
    struct mxhop_error err = {0};
    struct ovtable_change c;
    unsigned char id[OVTABLE_ID_LEN];
    bool by_id = strcmp(cases[_i].key, ID1) == 0;
    struct override o;
    struct ovtable *t;
    enum mxhop_status s;

    must_write(10, "a");
    ovtable_id_of_dn("cn=000001,dc=example", id);
    spoil_record(cases[_i].db, by_id ? (void *)id : (void *)cases[_i].key,
                 by_id ? sizeof(id) : strlen(cases[_i].key), cases[_i].value,
                 cases[_i].len);
    s = ovtable_open(&t, path, &err);
    if (s == MXHOP_OK)
        s = find(t, OVTABLE_BY_KEY, "d1.example", 0, &o, &err);
    ck_assert_int_eq(s, MXHOP_ERR_TABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    ck_assert_ptr_nonnull(strstr(err.text, "mxhop refresh"));
    ck_assert(t == NULL || o.dn == NULL);
    ovtable_close(&t);
    /* What the message asks for helps, although the set is the same. */
    ck_assert_int_eq(write_n(10, "a", false, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.after == 10);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    ovtable_close(&t);
}
END_TEST

/* Who does not have all of the set cannot make it anew. */
START_TEST(part_of_a_damaged_set)
{
    static const unsigned char present[1][OVTABLE_ID_LEN] = {{1}};
    const struct ovtable_delta deltas[] = {
        {.complete = false},
        {.complete = true, .present = present, .n_present = 1}};
    const struct ovtable_write w = {
        .path = path, .reader_gid = (gid_t)-1, .force = true};
    struct ovtable_where where;
    struct mxhop_error err = {0};
    struct ovtable_change c;

    must_write(10, "a");
    spoil_record("meta", "set", 3, "garbage", 7);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_ERR_TABLE);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ovtable_apply(&w, &deltas[i], &c, &err),
                         MXHOP_ERR_TABLE);
        ck_assert_ptr_nonnull(strstr(err.text, "mxhop refresh"));
    }
}
END_TEST

/* A bit that fell would hide an override. */
START_TEST(damaged_filter)
{
    char record[8192];
    struct mxhop_error err = {0};
    struct ovtable *t;
    MDB_val k = {6, "filter"}, v;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    size_t len, at = 48;

    must_write(100, "a");
    ck_assert_int_eq(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 4);
    ck_assert_int_eq(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    ck_assert_int_eq(mdb_get(txn, dbi, &k, &v), 0);
    len = v.mv_size;
    ck_assert_uint_le(len, sizeof(record));
    memcpy(record, v.mv_data, len);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    while (record[at] == 0)
        at++;
    record[at] = 0;
    spoil_record("meta", "filter", 6, record, len);
    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "filter"));
}
END_TEST

START_TEST(no_memory)
{
    struct override *set = make(5, "a");

    for (unsigned n = 1;; n++) {
        struct mxhop_error err;
        struct ovtable_change c;
        struct ovtable *t = NULL;
        struct override o = {0};
        enum mxhop_status s;
        bool hit;

        set[0].transport[0] ^= 1; /* differs each time */
        failmalloc_at(n);
        s = replace_set(set, 5, true, &c, &err);
        if (s == MXHOP_OK)
            s = ovtable_open(&t, path, &err);
        if (s == MXHOP_OK)
            s = find(t, OVTABLE_BY_KEY, "d1.example", 0, &o, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        override_free(&o);
        ovtable_close(&t);
        ck_assert_int_eq(s, hit && s != MXHOP_OK ? MXHOP_ERR_MEMORY : MXHOP_OK);
        if (!hit)
            break;
    }
    discard(set, 5);
}
END_TEST

START_TEST(bad_arguments)
{
    struct override *o = make(1, "a");
    struct mxhop_error err = {0};
    struct ovtable_change c;
    char key[600];

    memset(key, 'k', sizeof(key));
    key[512] = '\0';
    strlist_add(&o[0].keys, key);
    ck_assert_int_eq(replace_set(o, 1, true, &c, &err), MXHOP_ERR_ARGUMENT);
    free(o[0].dn);
    o[0].dn = NULL;
    ck_assert_int_eq(replace_set(o, 1, true, &c, &err), MXHOP_ERR_ARGUMENT);
    ck_assert_int_ne(access(path, F_OK), 0);
    discard(o, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ovtable");
    TCase *t = tcase_create("ovtable");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, write_and_find);
    tcase_add_test(t, lowest_active_dn);
    tcase_add_test(t, ten_thousand);
    tcase_add_test(t, held_back);
    tcase_add_test(t, held_back_in_steps);
    tcase_add_test(t, forced_down);
    tcase_add_test(t, two_handles);
    tcase_add_test(t, not_across_fork);
    tcase_add_test(t, seen_at_a_glance);
    tcase_add_test(t, no_glance_at_pages_in_use);
    tcase_add_test(t, seen_in_a_jail);
    tcase_add_test(t, killed_writer);
    tcase_add_loop_test(t, foreign_or_cut_file, 0, 9);
    tcase_add_test(t, not_a_file);
    tcase_add_loop_test(t, damaged_records, 0, 11);
    tcase_add_test(t, part_of_a_damaged_set);
    tcase_add_test(t, damaged_filter);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, bad_arguments);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
