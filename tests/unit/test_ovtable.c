/* The override table on disk: whole sets, damage, dying writers, odd files. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/suite.h"
#include "overrides/ovtable_int.h"
#include "support/damage.h"
#include "support/failmalloc.h"
#include "support/ovreplace.h"
#include "support/pace.h"
#include "table/fixed_format.h"

static char dir[64], path[96], lock[112], note[112], half[112];

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-ovtable-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/overrides", dir);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    snprintf(note, sizeof(note), "%s.cookie", path);
    snprintf(half, sizeof(half), "%s.new", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(lock);
    unlink(note);
    unlink(half);
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

/* The transport of a key's entry, "" if there is none, "!" on error. */
static const char *mark_of(struct ovtable *t, const char *key)
{
    static char mark[64];
    struct mxhop_error err;
    struct override o;

    if (ovtable_find(t, OVTABLE_BY_KEY, key, 0, &o, NULL, &err) != MXHOP_OK)
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

static mode_t mode_of(const char *file)
{
    struct stat st;

    ck_assert_int_eq(stat(file, &st), 0);
    return st.st_mode & 07777;
}

START_TEST(write_and_find)
{
    static const unsigned char none[OVTABLE_ID_LEN];
    struct ovtable_change c, first;
    struct mxhop_error err = {0};
    struct ovtable_info info;
    struct ovtable *t;
    struct override o;
    mode_t old = umask(077);

    ck_assert_int_eq(write_n(200, "one", false, &first, &err), MXHOP_OK);
    ck_assert(first.changed && first.before == 0 && first.after == 200);
    ck_assert_mem_ne(first.id, none, OVTABLE_ID_LEN);
    ck_assert_uint_eq(mode_of(path), 0644);
    ck_assert_uint_eq(mode_of(lock), 0600);
    ck_assert_int_eq(write_n(200, "one", false, &c, &err), MXHOP_OK);
    ck_assert(!c.changed && c.before == 200);
    ck_assert_mem_eq(c.id, first.id, OVTABLE_ID_LEN);
    ck_assert_uint_eq(mode_of(note), 0600);
    ck_assert_int_eq(write_n(200, "two", false, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.modified == 200);
    ck_assert_mem_ne(c.id, first.id, OVTABLE_ID_LEN);
    umask(old);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d7.example"), "two");
    ck_assert_str_eq(mark_of(t, "d200.example"), "");
    ck_assert_str_eq(mark_of(t, ""), "");
    ck_assert_int_eq(ovtable_find(t, OVTABLE_BY_EXCHANGE, ".mx.example", 0, &o,
                                  NULL, &err),
                     MXHOP_OK);
    ck_assert_str_eq(o.dn, "cn=000099,dc=example");
    override_free(&o);
    ovtable_info(t, &info);
    ck_assert_mem_eq(info.id, c.id, OVTABLE_ID_LEN);
    ck_assert_uint_eq(info.entries, 200);
    ck_assert(info.has_exchanges && info.changed_s == 1000);
    ck_assert_str_eq(info.source, "ldif:/test");
    ovtable_close(&t);
    ck_assert_ptr_null(t);
}
END_TEST

/* Only some entries may concern any domain. */
START_TEST(what_concerns_all)
{
    struct override *o = make(3, "a");
    struct ovtable_info before, after;
    struct ovtable_change c;
    struct mxhop_error err;
    struct ovtable *t;

    strlist_add(&o[0].exchanges, "mx.example");
    ck_assert_int_eq(replace_set(o, 3, true, &c, &err), MXHOP_OK);
    t = must_open();
    ovtable_info(t, &before);
    ovtable_close(&t);
    ck_assert_uint_ne(before.general, 0);
    for (int i = 2; i >= 0; i--) {
        o[i].transport[0] = 'b';
        if (i == 1)
            strlist_add(&o[1].keys, "*");
        ck_assert_int_eq(replace_set(o, 3, true, &c, &err), MXHOP_OK);
        t = must_open();
        ovtable_info(t, &after);
        ovtable_close(&t);
        ck_assert_int_eq(after.general == before.general, i == 2);
        before = after;
    }
    override_free(&o[0]);
    override_free(&o[1]);
    ck_assert_int_eq(replace_set(o + 2, 1, true, &c, &err), MXHOP_OK);
    t = must_open();
    ovtable_info(t, &after);
    ovtable_close(&t);
    ck_assert(after.general == 0 && !after.has_exchanges);
    discard(o, 3);
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
        ck_assert_int_eq(ovtable_find(t, OVTABLE_BY_KEY, "same.example",
                                      cases[i].now_s, &got, NULL, &err),
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
    struct mxhop_error err;
    struct ovtable *t;

    must_write(10000, "x");
    t = must_open();
    ck_assert_int_eq(ovtable_walk(t, count_entry, seen, &err), MXHOP_OK);
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
    ck_assert_int_eq(write_n(24, "z", false, &c, &err), MXHOP_OK);
    ck_assert_ptr_nonnull(strstr(c.held_text, "76 of 100"));
    ck_assert(c.before == 50 && c.after == 50 && c.held == 26 && c.changed);
    ck_assert(c.removed == 0 && c.modified == 24);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d30.example"), "y");
    ck_assert_str_eq(mark_of(t, "d3.example"), "z");
    ovtable_close(&t);
    /* Said again: the same. */
    ck_assert_int_eq(write_n(24, "z", false, &c, &err), MXHOP_OK);
    ck_assert(c.held == 26 && !c.changed);
    ck_assert_int_eq(write_n(0, "z", true, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.after, 0);
    ck_assert_int_eq(write_n(3, "z", false, &c, &err), MXHOP_OK);
}
END_TEST

static enum mxhop_status write_at(size_t n, int64_t now_s,
                                  struct mxhop_error *err)
{
    struct ovtable_write w = {
        .path = path, .shrink_percent = 50, .now_s = now_s};
    struct override *o = make(n, "x");
    struct ovtable_change c;
    enum mxhop_status s = ovtable_replace(&w, o, n, &c, err);

    if (c.held > 0)
        s = err_set(err, MXHOP_ERR_HELD, "%s", c.held_text);
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

/* --force with the same set begins a new count, too. */
START_TEST(forced_where_it_is)
{
    struct ovtable_change c;
    struct mxhop_error err = {0};

    must_write(100, "x");
    ck_assert_int_eq(write_n(60, "x", false, &c, &err), MXHOP_OK);
    ck_assert_int_eq(write_n(40, "x", false, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.held, 20);
    ck_assert_int_eq(write_n(60, "x", true, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.held, 0);
    ck_assert_int_eq(write_n(40, "x", false, &c, &err), MXHOP_OK);
}
END_TEST

/* Whoever has a table open keeps it whole, in this process and in a child. */
START_TEST(stays_open)
{
    struct ovtable *t;
    pid_t pid;

    must_write(1000, "a");
    t = must_open();
    must_write(1000, "b");
    ck_assert(fixed_is_unchanged(ovtable_file(t)));
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    pid = fork();
    if (pid == 0)
        _exit(strcmp(mark_of(t, "d999.example"), "a") != 0);
    ck_assert_int_eq(reap(pid), 0);
    ovtable_close(&t);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d1.example"), "b");
    ovtable_close(&t);
}
END_TEST

/* With the filter, and without. */
START_TEST(what_a_table_has)
{
    struct ovtable *t[2];
    struct mxhop_error err;
    unsigned wrong = 0;
    char key[32];

    must_write(1000, "a");
    for (int often = 0; often < 2; often++)
        ck_assert_int_eq(ovtable_open_at(&t[often], AT_FDCWD, path, path,
                                         often != 0, &err),
                         MXHOP_OK);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "d%u.example", i);
        ck_assert_int_eq(ovtable_has(t[0], OVTABLE_BY_KEY, key), i < 1000);
        if (i < 1000)
            ck_assert(ovtable_has(t[1], OVTABLE_BY_KEY, key));
        else
            wrong += ovtable_has(t[1], OVTABLE_BY_KEY, key);
        ck_assert(!ovtable_has(t[i % 2], OVTABLE_BY_EXCHANGE, key));
    }
    ck_assert_uint_lt(wrong, 20);
    for (int often = 0; often < 2; often++) {
        ck_assert(!ovtable_has(t[often], OVTABLE_BY_KEY, "*"));
        ck_assert(!ovtable_has(t[often], OVTABLE_BY_KEY, ".example"));
        ck_assert(ovtable_has(t[often], OVTABLE_BY_EXCHANGE, ".mx.example"));
        ovtable_close(&t[often]);
    }
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
    char mark = '\0';

    ovtable_info(t, &info);
    ck_assert_uint_eq(info.entries, 300);
    ck_assert_msg(ovtable_walk(t, one_mark, &mark, &err) == MXHOP_OK, "%s",
                  err.text);
    ck_assert(mark == 'a' || mark == 'b');
}

/* A writer may die at any instruction, with a reader and without, also while
   the table is being created. */
START_TEST(killed_writer)
{
    struct mxhop_error err;
    struct ovtable *t;

    srandom(7);
    for (int round = 0; round < 40; round++) {
        pid_t pid;

        if (round < 20) {
            unlink(path);
            unlink(lock);
        }
        t = NULL;
        if (round >= 30)
            t = must_open();
        pid = spawn(write_for_ever, NULL);
        usleep((useconds_t)(random() % (round < 20 ? 6000 : 30000)));
        kill(pid, SIGKILL);
        ck_assert_int_eq(reap(pid), -SIGKILL);
        if (t != NULL)
            check_whole(t);
        ovtable_close(&t);
        if (ovtable_open(&t, path, &err) == MXHOP_OK) {
            check_whole(t);
        } else {
            ck_assert_int_lt(round, 20); /* not there yet, and says so */
            ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
        }
        ovtable_close(&t);
        must_write(1, "c");
        ck_assert_int_ne(access(half, F_OK), 0);
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

static void must_be_refused(const char *reason, const char *remedy)
{
    struct mxhop_error err = {0};
    struct ovtable *t;

    ck_assert_int_eq(ovtable_open(&t, path, &err), MXHOP_ERR_TABLE);
    ck_assert_ptr_null(t);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_msg(strstr(err.text, reason) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, remedy) != NULL, "%s", err.text);
}

/* What is ours may be replaced, whatever became of it. */
START_TEST(damaged_file_is_made_anew)
{
    static const struct {
        off_t at;
        const char *bytes;
        off_t size;
        const char *reason;
    } cases[] = {
        {0, "", 0, "is empty"},        {0, "", 4096, "cut short"},
        {0, "", 20000, "cut short"},   {0, "", 999424, "too long"},
        {0, "", 100, "cut short"},     {16, "x", -1, "another version"},
        {21, "x", -1, "damaged"},      {36, "\xff\xff", -1, "damaged"},
        {70, "damage", -1, "damaged"},
    };
    struct mxhop_error err = {0};
    struct ovtable_where where;
    struct ovtable_change c;
    struct ovtable *t;

    must_write(300, "a");
    spoil_file(cases[_i].at, cases[_i].bytes, strlen(cases[_i].bytes),
               cases[_i].size);
    must_be_refused(cases[_i].reason, "run `mxhop refresh`");
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_ERR_TABLE);
    ck_assert_int_eq(write_n(300, "a", false, &c, &err), MXHOP_OK);
    ck_assert(c.changed && c.after == 300);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    ovtable_close(&t);
}
END_TEST

/* One bad page is found by whom it concerns, and mended by a refresh of the
   same set. */
START_TEST(damaged_page)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    unsigned wrong = 0;
    struct ovtable *t;

    must_write(300, "a");
    spoil_file(3 * 4096 + 100, "damage", 6, -1);
    t = must_open();
    for (unsigned i = 0; i < 300; i++) {
        char key[32];

        snprintf(key, sizeof(key), "d%u.example", i);
        wrong += mark_of(t, key)[0] == '!';
        ck_assert_str_ne(mark_of(t, key), "");
    }
    ck_assert(wrong > 0 && wrong < 300);
    ovtable_close(&t);
    ck_assert_int_eq(write_n(300, "a", false, &c, &err), MXHOP_OK);
    ck_assert(c.changed);
    t = must_open();
    check_whole(t);
    ovtable_close(&t);
}
END_TEST

/* A flipped bit does not switch the limit off, as long as the header tells how
   many entries there were. */
START_TEST(a_damaged_set_is_held_back)
{
    static const struct {
        off_t at, size;
        bool held;
    } cases[] = {{3 * 4096 + 100, -1, true},
                 {0, 20000, true},
                 {21, -1, false},
                 {0, 2000, false}};
    struct mxhop_error err = {0};
    struct ovtable_change c;

    must_write(300, "a");
    spoil_file(cases[_i].at, "damage", cases[_i].size < 0 ? 6 : 0,
               cases[_i].size);
    if (cases[_i].held) {
        ck_assert_int_eq(write_n(2, "a", false, &c, &err), MXHOP_ERR_HELD);
        ck_assert_ptr_nonnull(strstr(err.text, "298 of 300"));
        ck_assert_int_eq(write_n(200, "a", false, &c, &err), MXHOP_OK);
        ck_assert(c.after == 200 && c.changed);
        ck_assert_int_eq(write_n(149, "a", false, &c, &err), MXHOP_OK);
        ck_assert_uint_eq(c.held, 51);
    }
    ck_assert_int_eq(write_n(2, "a", cases[_i].held, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.after, 2);
}
END_TEST

/* Who does not have all of the set cannot make it anew. */
START_TEST(part_of_a_damaged_set)
{
    static const unsigned char present[1][OVTABLE_ID_LEN] = {{1}};
    const struct ovtable_delta deltas[] = {
        {.complete = false},
        {.complete = true, .present = present, .n_present = 1}};
    const struct ovtable_write w = {.path = path, .force = true};
    struct mxhop_error err = {0};
    struct ovtable_change c;

    must_write(300, "a");
    spoil_file(3 * 4096 + 100, "damage", 6, -1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(ovtable_apply(&w, &deltas[i], &c, &err),
                         MXHOP_ERR_TABLE);
        ck_assert_ptr_nonnull(strstr(err.text, "mxhop refresh"));
    }
}
END_TEST

/* Of thousands of damaged tables none says that there is no override. */
START_TEST(damage_is_never_absence)
{
    unsigned rounds = pace_is_slow() ? 30 : damage_rounds(800, 20000);
    struct damage d = {.state = 21};
    unsigned char *file, *bytes;
    struct stat st;
    int fd;

    must_write(300, "a");
    ck_assert_int_eq(stat(path, &st), 0);
    file = malloc((size_t)st.st_size);
    bytes = malloc((size_t)st.st_size);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq((int)read(fd, file, (size_t)st.st_size), (int)st.st_size);
    close(fd);
    while (rounds-- > 0) {
        struct mxhop_error err;
        struct ovtable *t;
        size_t len;

        memcpy(bytes, file, (size_t)st.st_size);
        len = damage_file(&d, bytes, (size_t)st.st_size);
        spoil_file(0, bytes, len, (off_t)len);
        if (ovtable_open_at(&t, AT_FDCWD, path, path, rounds % 2 != 0, &err) !=
            MXHOP_OK)
            continue;
        for (unsigned i = 0; i < 310; i += 1 + rounds % 5) {
            char key[32];
            const char *mark;

            snprintf(key, sizeof(key), "d%u.example", i);
            mark = mark_of(t, key);
            ck_assert(strcmp(mark, "!") == 0 ||
                      strcmp(mark, i < 300 ? "a" : "") == 0);
            ck_assert(i >= 300 || ovtable_has(t, OVTABLE_BY_KEY, key));
        }
        ovtable_close(&t);
    }
    free(file);
    free(bytes);
}
END_TEST

/* What is not ours stays as it is. */
START_TEST(foreign_file)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct stat st;

    spoil_file(0, "somebody's", 10, -1);
    must_be_refused("is not an override table", "remove it");
    ck_assert_int_eq(write_n(1, "c", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "remove it"));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 10);
}
END_TEST

/* The first version had LMDB environments: the pages that tell. */
START_TEST(table_of_the_first_version)
{
    static const unsigned char magic[8] = {0xDE, 0xC0, 0xEF, 0xBE, 1};
    const uint64_t root = 2, newest = 7;
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct ovtable *t;

    for (off_t page = 0; page < 2; page++) {
        spoil_file(page * 4096 + 16, magic, sizeof(magic), -1);
        spoil_file(page * 4096 + 128, &root, sizeof(root), -1);
        spoil_file(page * 4096 + 144, &newest, sizeof(newest), -1);
    }
    spoil_file(8192 + 2000, "some.map", 8, 12288);
    must_be_refused("is not an override table", "remove it");
    spoil_file(8192 + 2000, "entry   exchange    key   meta", 30, 12288);
    must_be_refused("is a table of mxhop 1", "run `mxhop refresh`");
    ck_assert_int_eq(write_n(10, "a", false, &c, &err), MXHOP_OK);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d1.example"), "a");
    ovtable_close(&t);
}
END_TEST

/* ---- odd files ---- */

START_TEST(not_a_file)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct ovtable *t;
    char other[96];

    must_be_refused("No such file", "mxhop refresh");
    ck_assert_int_eq(ovtable_open(&t, dir, &err), MXHOP_ERR_TABLE);
    ck_assert_int_eq(ovtable_open(&t, "/dev/zero", &err), MXHOP_ERR_TABLE);
    snprintf(other, sizeof(other), "%s/other", dir);
    ck_assert_int_eq(symlink(other, path), 0);
    must_be_refused("is a symbolic link", "remove it");
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
    unlink(path);
    unlink(lock);
    ck_assert_int_eq(symlink(other, lock), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
    ck_assert_int_ne(access(other, F_OK), 0);
    unlink(lock);
    ck_assert_int_eq(mkfifo(path, 0644), 0);
    must_be_refused("is not a regular file", "mxhop refresh");
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    unlink(path);
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "install -d -m 0755"));
    ck_assert_int_eq(chmod(dir, 01777), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err),
                     geteuid() == 0 ? MXHOP_ERR_IO : MXHOP_OK);
}
END_TEST

/* The directory is root's, but not the one above it: who owns that one puts a
   link in its place, or another directory of root's. */
START_TEST(led_elsewhere)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    char site[70], in[76];

    if (geteuid() != 0)
        return;
    snprintf(site, sizeof(site), "%s/site", dir);
    snprintf(in, sizeof(in), "%s/root", site);
    ck_assert_int_eq(mkdir(site, 0755), 0);
    ck_assert_int_eq(mkdir(in, 0755), 0);
    snprintf(path, sizeof(path), "%s/overrides", in);
    ck_assert_int_eq(chown(site, 65534, 65534), 0);
    ck_assert_int_eq(write_n(1, "a", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_msg(strstr(err.text, "does not belong to root") != NULL, "%s",
                  err.text);
    ck_assert_int_eq(rmdir(in), 0); /* nothing is in it */
    ck_assert_int_eq(rmdir(site), 0);
}
END_TEST

/* A refresh puts the mode right, though the set is the same. */
START_TEST(modes_are_mended)
{
    static const mode_t modes[] = {0666, 0660, 0600};
    struct mxhop_error err = {0};
    struct ovtable_change c;

    for (int i = 0; i < 3; i++) {
        must_write(10, "a");
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        if (i < 2)
            must_be_refused("may write to it", "chmod 0644");
        ck_assert_int_eq(write_n(10, "a", false, &c, &err), MXHOP_OK);
        ck_assert_uint_eq(mode_of(path), 0644);
    }
}
END_TEST

static int hold_lock(void *ready)
{
    int fd = open(lock, O_RDWR | O_CREAT, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) != 0 || write(*(int *)ready, "x", 1) != 1)
        return 1;
    pause();
    return 0;
}

/* It is not waited for without end, and says what to look for. */
START_TEST(a_refresh_that_does_not_end)
{
    struct mxhop_error err = {0};
    struct ovtable_change c;
    int ready[2];
    char x;
    pid_t pid;

    must_write(1, "a");
    ck_assert_int_eq(pipe(ready), 0);
    pid = spawn(hold_lock, &ready[1]);
    ck_assert_int_eq((int)read(ready[0], &x, 1), 1);
    ck_assert_int_eq(write_n(1, "b", true, &c, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "another refresh is at work"));
    kill(pid, SIGKILL);
    reap(pid);
    must_write(1, "b");
}
END_TEST

/* A refresh that waits for a lock that somebody removes is not beside the one
   that takes the new lock. */
static int refresh_in_child(void *arg)
{
    struct mxhop_error err;
    struct ovtable_change c;

    (void)arg;
    return write_n(1, "b", true, &c, &err) == MXHOP_OK ? 0 : 1;
}

START_TEST(a_lock_that_is_removed)
{
    int ready[2], status;
    char x;
    pid_t old, waiting;
    struct ovtable *t;
    int fd;

    must_write(1, "a");
    ck_assert_int_eq(pipe(ready), 0);
    old = spawn(hold_lock, &ready[1]);
    ck_assert_int_eq((int)read(ready[0], &x, 1), 1);
    waiting = spawn(refresh_in_child, NULL);
    usleep(300000); /* it has opened the lock that is held */
    ck_assert_int_eq(unlink(lock), 0);
    fd = open(lock, O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    kill(old, SIGKILL);
    reap(old);
    usleep(500000);
    ck_assert_int_eq(waitpid(waiting, &status, WNOHANG), 0);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d0.example"), "a");
    ovtable_close(&t);
    close(fd);
    ck_assert_int_eq(reap(waiting), 0);
    t = must_open();
    ck_assert_str_eq(mark_of(t, "d0.example"), "b");
    ovtable_close(&t);
}
END_TEST

/* An id that is alike is none of another table. */
START_TEST(a_note_belongs_to_its_table)
{
    const struct ovtable_write w = {.path = path, .shrink_percent = 100};
    struct ovtable_delta d = {.cookie = "one", .cookie_len = 3};
    struct ovtable_where where;
    struct ovtable_change c;
    struct mxhop_error err;
    char old[96];

    ck_assert_int_eq(ovtable_apply(&w, &d, &c, &err), MXHOP_OK);
    snprintf(old, sizeof(old), "%s/old", dir);
    ck_assert_int_eq(link(path, old), 0);
    must_write(5, "a");
    d.cookie = "two";
    ck_assert_int_eq(ovtable_apply(&w, &d, &c, &err), MXHOP_OK);
    ck_assert(!c.changed);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.cookie_len == 3 && memcmp(where.cookie, "two", 3) == 0);
    /* A backup is restored: its own cookie counts again. */
    ck_assert_int_eq(rename(old, path), 0);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.cookie_len == 3 && memcmp(where.cookie, "one", 3) == 0);
    /* So it does where the note is lost, or is not what it was. */
    ck_assert_int_eq(ovtable_apply(&w, &d, &c, &err), MXHOP_OK);
    ck_assert_int_eq(truncate(note, 40), 0);
    ck_assert_int_eq(ovtable_where(path, &where, &err), MXHOP_OK);
    ck_assert(where.cookie_len == 3 && memcmp(where.cookie, "one", 3) == 0);
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
            s = ovtable_find(t, OVTABLE_BY_KEY, "d1.example", 0, &o, NULL,
                             &err);
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

/* A lookup reads all of them until one is active. */
START_TEST(many_entries_under_one_key)
{
    size_t n = OVTABLE_LIST_MAX + 1;
    struct override *o = make(n, "x");
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct ovtable *t;

    for (size_t i = 0; i < n; i++)
        strlist_add(&o[i].keys, "same.example");
    /* From the first on, and when one more comes to those that are there. */
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(replace_set(o, n - (i == 1), true, &c, &err) == MXHOP_OK,
                      "%s", err.text);
        ck_assert_uint_eq(c.after, n - 1);
        ck_assert_uint_eq(c.left_out, i != 1);
        ck_assert(c.unsettled == (i != 1));
        t = must_open();
        ck_assert_str_eq(mark_of(t, "same.example"), "x");
        ovtable_close(&t);
    }
    discard(o, n);
}
END_TEST

/* Nor more than a lookup would read, at once or one by one. */
START_TEST(too_much_under_a_key)
{
    struct mxhop_error err = {0};
    struct override o[6] = {0};
    struct ovtable_change c;
    char *reason = malloc(4000000);
    char dn[32];

    memset(reason, 'x', 3999999);
    reason[3999999] = '\0';
    for (int i = 0; i < 6; i++) {
        snprintf(dn, sizeof(dn), "cn=%d", i);
        o[i] = (struct override){
            .dn = strdup(dn), .enabled = true, .reason = strdup(reason)};
        strlist_add(&o[i].keys, "same.example");
    }
    for (unsigned n = 1;; n += pace_is_slow() ? 10 : 1) {
        enum mxhop_status s;
        bool hit;

        failmalloc_at(n);
        s = replace_set(o, 5, false, &c, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(s, hit && s != MXHOP_OK ? MXHOP_ERR_MEMORY : MXHOP_OK);
        if (!hit)
            break;
        unlink(path);
    }
    ck_assert_uint_eq(c.left_out, 1);
    ck_assert_int_eq(replace_set(o, 4, false, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.left_out, 0);
    ck_assert_int_eq(replace_set(o, 6, false, &c, &err), MXHOP_OK);
    ck_assert_uint_eq(c.left_out, 2);
    ck_assert_uint_eq(c.after, 4);
    for (int i = 0; i < 6; i++)
        override_free(&o[i]);
    free(reason);
}
END_TEST

/* What a hostile owner of the file may make of it: more entries than a refresh
   writes, or ids of one large entry again and again. */
START_TEST(a_list_without_end)
{
    static const size_t lens[] = {OVTABLE_LIST_MAX + 1, 20};
    size_t n = lens[_i];
    unsigned char(*ids)[OVTABLE_ID_LEN] = calloc(n, OVTABLE_ID_LEN);
    char *reason = malloc(3 << 20);
    struct override got;
    struct override o = {.dn = strdup("cn=x"),
                         .enabled = true,
                         .reason = reason,
                         .not_before_s = 4000000000};
    struct table_meta about = {.entries = 1};
    struct buf entry = {0}, meta = {0};
    const struct chars key = {"a.example", 9};
    unsigned char id[FIXED_ID_LEN];
    struct mxhop_error err;
    struct ovtable *t;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    memset(reason, 'x', 3 << 20);
    reason[_i == 0 ? 1 : (3 << 20) - 1] = '\0';
    table_kinds_add(&about.kinds, OVTABLE_BY_KEY, key);
    ck_assert(override_encode(&entry, &o) && table_meta_encode(&meta, &about));
    struct fixed_record r[] = {
        {.kind = OVTABLE_RECORD_KEY,
         .filtered = true,
         .key = {(const unsigned char *)key.at, key.len},
         .value = {ids[0], n * OVTABLE_ID_LEN}},
        {.kind = OVTABLE_RECORD_ENTRY,
         .key = {ids[0], OVTABLE_ID_LEN},
         .value = {(unsigned char *)entry.data, entry.len}},
    };
    struct fixed_set set = {.records = r, .n = 2};
    set.blob.at = (unsigned char *)meta.data;
    set.blob.len = meta.len;
    ck_assert_int_eq(fixed_build(fd, "overrides", &set, id), 0);
    t = must_open();
    ck_assert_str_eq(mark_of(t, key.at), "!");
    ck_assert_int_eq(ovtable_find(t, OVTABLE_BY_KEY, key.at, 0, &got, NULL,
                                  &err),
                     MXHOP_ERR_TABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    ovtable_close(&t);
    close(fd);
    buf_free(&entry);
    buf_free(&meta);
    free(o.dn);
    free(reason);
    free(ids);
}
END_TEST

/* A list under a key without octets, which no refresh writes, is damage, and is
   not taken over into a table that cannot be built. */
START_TEST(an_old_list_without_key)
{
    static const unsigned char ids[2 * OVTABLE_ID_LEN] = {1};
    struct fixed_record r = {.kind = OVTABLE_RECORD_KEY,
                             .filtered = true,
                             .key = {ids, OVTABLE_ID_LEN},
                             .value = {ids, OVTABLE_ID_LEN}};
    struct fixed_set set = {.records = &r, .n = 1};
    struct table_meta about = {0};
    struct buf meta = {0};
    unsigned char page[FIXED_PAGE], header[FIXED_PAGE], id[FIXED_ID_LEN];
    unsigned char *record = page + PAGE_DATA;
    struct mxhop_error err = {0};
    struct ovtable_change c;
    struct fixed_keys keys;
    uint64_t check;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    ck_assert(table_meta_encode(&meta, &about));
    set.blob.at = (unsigned char *)meta.data;
    set.blob.len = meta.len;
    ck_assert_int_eq(fixed_build(fd, "overrides", &set, id), 0);
    close(fd);
    fd = open(path, O_RDWR);
    ck_assert_int_eq((int)pread(fd, header, FIXED_PAGE, 0), FIXED_PAGE);
    ck_assert_int_eq((int)pread(fd, page, FIXED_PAGE, FIXED_PAGE), FIXED_PAGE);
    record[RECORD_KEY_LEN] = 0;
    record[RECORD_LEN] = 2 * OVTABLE_ID_LEN;
    keys = fixed_keys_of(header);
    check = htole64(page_check(&keys, 1, page));
    memcpy(page + PAGE_CHECK, &check, sizeof(check));
    ck_assert_int_eq((int)pwrite(fd, page, FIXED_PAGE, FIXED_PAGE), FIXED_PAGE);
    close(fd);
    buf_free(&meta);
    ck_assert_msg(write_n(1, "a", false, &c, &err) == MXHOP_OK, "%s", err.text);
}
END_TEST

START_TEST(too_large_a_record)
{
    struct override *o = make(1, "a");
    struct mxhop_error err = {0};
    struct ovtable_change c;

    free(o[0].reason);
    o[0].reason = malloc((4 << 20) + 1);
    memset(o[0].reason, 'x', 4 << 20);
    o[0].reason[4 << 20] = '\0';
    ck_assert_int_eq(replace_set(o, 1, true, &c, &err), MXHOP_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "octets"));
    ck_assert_int_ne(access(path, F_OK), 0);
    discard(o, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ovtable");
    TCase *t = tcase_create("ovtable");

    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, write_and_find);
    tcase_add_test(t, lowest_active_dn);
    tcase_add_test(t, ten_thousand);
    tcase_add_test(t, held_back);
    tcase_add_test(t, held_back_in_steps);
    tcase_add_test(t, forced_down);
    tcase_add_test(t, forced_where_it_is);
    tcase_add_test(t, stays_open);
    tcase_add_test(t, what_a_table_has);
    tcase_add_test(t, what_concerns_all);
    tcase_add_test(t, killed_writer);
    tcase_add_loop_test(t, damaged_file_is_made_anew, 0, 9);
    tcase_add_test(t, damaged_page);
    tcase_add_loop_test(t, a_damaged_set_is_held_back, 0, 4);
    tcase_add_test(t, part_of_a_damaged_set);
    tcase_add_test(t, damage_is_never_absence);
    tcase_add_test(t, foreign_file);
    tcase_add_test(t, table_of_the_first_version);
    tcase_add_test(t, not_a_file);
    tcase_add_test(t, led_elsewhere);
    tcase_add_test(t, modes_are_mended);
    tcase_add_test(t, a_refresh_that_does_not_end);
    tcase_add_test(t, a_lock_that_is_removed);
    tcase_add_test(t, a_note_belongs_to_its_table);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, many_entries_under_one_key);
    tcase_add_test(t, too_much_under_a_key);
    tcase_add_loop_test(t, a_list_without_end, 0, 2);
    tcase_add_test(t, an_old_list_without_key);
    tcase_add_test(t, too_large_a_record);
    suite_add_tcase(s, t);
    return suite_run(s);
}
