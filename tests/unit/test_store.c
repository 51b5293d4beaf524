/* The TLS store, and the datagrams that ask for what is not in it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"
#include "policy/store.h"
#include "policy/want.h"
#include "support/damage.h"
#include "support/failmalloc.h"
#include "support/pace.h"
#include "util/clock.h"

#define NOW       1800000000
#define NAME_ROOM 48

static char dir[64], path[128];
static int dir_fd;

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/" STORE_FILE, dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
    unlink(path);
    close(dir_fd);
    rmdir(dir);
}

static struct store_entry entry(const char *error)
{
    struct store_entry e = {.tried_s = NOW, .next_s = NOW + 300, .failures = 2};

    strcpy(e.error, error);
    return e;
}

static struct store_entry policy(uint32_t max_age_s)
{
    struct store_entry e = entry("");

    e.has_policy = true;
    e.policy.mode = STS_MODE_ENFORCE;
    strcpy(e.policy.id, "20260101");
    e.policy.max_age_s = max_age_s;
    e.policy.fetched_s = NOW;
    e.policy.expires_s = NOW + max_age_s;
    ck_assert(sts_policy_add(&e.policy, "mx.a.test"));
    ck_assert(sts_policy_add(&e.policy, "*.b.test"));
    return e;
}

/* n domains d0.test and so on: every third without a policy. */
static int write_many(size_t n)
{
    struct store_record *r = calloc(n + 1, sizeof(*r));
    char *names = malloc(n * NAME_ROOM + 1);
    struct store_entry kinds[2] = {policy(86400), entry("no answer")};
    struct buf bytes[2] = {{0}, {0}};
    unsigned char id[FIXED_ID_LEN];
    int rc;

    for (int i = 0; i < 2; i++) {
        store_encode(&bytes[i], &kinds[i]);
        store_entry_free(&kinds[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct buf *b = &bytes[i % 3 == 2];

        snprintf(names + i * NAME_ROOM, NAME_ROOM, "d%zu.test", i);
        r[i] = (struct store_record){names + i * NAME_ROOM,
                                     {(unsigned char *)b->data, b->len}};
    }
    rc = store_write(dir_fd, r, n, NOW, id);
    buf_free(&bytes[0]);
    buf_free(&bytes[1]);
    free(names);
    free(r);
    return rc;
}

START_TEST(what_is_written_is_read)
{
    struct mxhop_error err;
    struct store_entry e, peeked;
    struct store *s;
    char name[NAME_ROOM];
    bool filtered = _i == 1;

    ck_assert_int_eq(write_many(1000), 0);
    ck_assert_msg(store_open(&s, dir, filtered, NULL, &err) == MXHOP_OK, "%s",
                  err.text);
    ck_assert_uint_eq(store_count(s), 1000);
    ck_assert_int_eq(store_written_s(s), NOW);
    ck_assert_int_eq(store_stat(s)->st_mode & 07777, 0644);
    for (size_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "d%zu.test", i);
        ck_assert(store_may_have(s, name));
        ck_assert_int_eq(store_get(s, name, &e), FIXED_FOUND);
        ck_assert_int_eq(e.has_policy, i % 3 != 2);
        ck_assert_int_eq(e.tried_s, NOW);
        ck_assert_int_eq(e.next_s, NOW + 300);
        ck_assert_uint_eq(e.failures, 2);
        ck_assert_str_eq(e.error, e.has_policy ? "" : "no answer");
        ck_assert_int_eq(store_peek(s, name, &peeked), FIXED_FOUND);
        ck_assert_int_eq(peeked.has_policy, e.has_policy);
        ck_assert_int_eq(peeked.policy.expires_s, e.policy.expires_s);
        ck_assert_uint_eq(peeked.policy_hash, e.policy_hash);
        ck_assert_ptr_null(peeked.policy.mx);
        if (e.has_policy) {
            ck_assert_str_eq(e.policy.id, "20260101");
            ck_assert_int_eq(e.policy.mode, STS_MODE_ENFORCE);
            ck_assert_int_eq(e.policy.expires_s, NOW + 86400);
            ck_assert_uint_eq(e.policy.n_mx, 2);
            ck_assert_str_eq(e.policy.mx[1], "*.b.test");
        }
        store_entry_free(&e);
        snprintf(name, sizeof(name), "e%zu.test", i);
        ck_assert_int_eq(store_get(s, name, &e), FIXED_ABSENT);
    }
    ck_assert_int_eq(store_get(s, "", &e), FIXED_ABSENT);
    store_close(&s);
}
END_TEST

static bool count_one(void *ctx, const char *domain, struct store_entry *e)
{
    size_t *n = ctx;

    ck_assert_int_eq(domain[0], 'd');
    ck_assert_int_eq(e->tried_s, NOW);
    return --*n > 0;
}

START_TEST(walk)
{
    struct store *s;
    size_t n = 301;

    ck_assert_int_eq(write_many(300), 0);
    ck_assert_int_eq(store_open(&s, dir, false, NULL, NULL), MXHOP_OK);
    ck_assert_int_eq(store_walk(s, count_one, &n), FIXED_ABSENT);
    ck_assert_uint_eq(n, 1);
    n = 10;
    ck_assert_int_eq(store_walk(s, count_one, &n), FIXED_FOUND);
    store_close(&s);
}
END_TEST

START_TEST(missing_and_foreign)
{
    struct mxhop_error err;
    bool missing = false;
    struct store *s;
    int fd;

    ck_assert_int_eq(store_open(&s, dir, true, &missing, &err),
                     MXHOP_ERR_TABLE);
    ck_assert(missing);
    ck_assert_ptr_null(s);
    fd = open(path, O_WRONLY | O_CREAT, 0644);
    ck_assert_int_eq(write(fd, "policies", 8), 8);
    close(fd);
    ck_assert_int_eq(store_open(&s, dir, true, &missing, &err),
                     MXHOP_ERR_TABLE);
    ck_assert(!missing);
    ck_assert_ptr_nonnull(strstr(err.text, "is not a TLS store; remove it"));
}
END_TEST

/* Records that only somebody else can have written. */
static void spoil(struct store_entry *e, int how)
{
    switch (how) {
    case 0:
        e->policy.expires_s += 1;
        break;
    case 1:
        e->policy.max_age_s = STS_MAX_AGE_S + 1;
        e->policy.expires_s = NOW + STS_MAX_AGE_S + 1;
        break;
    case 2:
        e->policy.mode = (enum sts_mode)3;
        break;
    case 3:
        strcpy(e->policy.id, "a b");
        break;
    case 4:
        strcpy(e->policy.mx[0], "MX.a.test");
        break;
    case 5:
        strcpy(e->policy.mx[0], "a\nb.test");
        break;
    case 6:
        strcpy(e->error, "two\nlines");
        break;
    case 7:
        e->policy.fetched_s = e->policy.expires_s = -1;
        e->policy.max_age_s = 0;
        break;
    case 8:
        e->policy.fetched_s = INT64_MAX;
        e->policy.expires_s = INT64_MIN;
        break;
    case 9:
        while (e->policy.n_mx > 0)
            free(e->policy.mx[--e->policy.n_mx]);
        break;
    }
}

START_TEST(a_record_that_nobody_wrote_is_damage)
{
    struct store_entry e = policy(86400);
    struct buf b = {0};
    unsigned char id[FIXED_ID_LEN];
    struct store_record r;
    struct store *s;

    spoil(&e, _i);
    store_encode(&b, &e);
    store_entry_free(&e);
    r = (struct store_record){"a.test", {(unsigned char *)b.data, b.len}};
    ck_assert_int_eq(store_write(dir_fd, &r, 1, NOW, id), 0);
    buf_free(&b);
    ck_assert_int_eq(store_open(&s, dir, false, NULL, NULL), MXHOP_OK);
    ck_assert_int_eq(store_get(s, "a.test", &e), FIXED_DAMAGED);
    ck_assert(!e.has_policy);
    store_close(&s);
}
END_TEST

START_TEST(cut_records)
{
    struct store_entry e = policy(86400);
    struct buf b = {0};

    store_encode(&b, &e);
    store_entry_free(&e);
    for (size_t n = 0; n < b.len; n++)
        ck_assert(!store_decode(b.data, n, &e));
    ck_assert(store_decode(b.data, b.len, &e));
    store_entry_free(&e);
    buf_putc(&b, 'x');
    ck_assert(!store_decode(b.data, b.len, &e));
    buf_free(&b);
}
END_TEST

/* Whatever happens to the file: what is found is what was written. */
START_TEST(damage)
{
    struct damage d = {.state = 7};
    unsigned rounds = damage_rounds(300, 10000);
    static unsigned char whole[1 << 20], bytes[2 << 20];
    size_t len;
    int fd;

    ck_assert_int_eq(write_many(500), 0);
    fd = open(path, O_RDONLY);
    len = (size_t)read(fd, whole, sizeof(whole));
    close(fd);
    for (unsigned k = 0; k < rounds; k++) {
        struct store *s;
        size_t n;

        memcpy(bytes, whole, len);
        n = damage_file(&d, bytes, len);
        fd = open(path, O_WRONLY | O_TRUNC);
        ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
        close(fd);
        if (store_open(&s, dir, k % 2 == 0, NULL, NULL) != MXHOP_OK)
            continue;
        for (int i = 0; i < 500; i += 7) {
            struct store_entry e;
            char name[NAME_ROOM];
            enum fixed_found found;

            snprintf(name, sizeof(name), "d%d.test", i);
            found = store_get(s, name, &e);
            ck_assert_int_ne(found, FIXED_ABSENT);
            if (found == FIXED_FOUND)
                ck_assert_int_eq(e.has_policy, i % 3 != 2);
            store_entry_free(&e);
        }
        store_close(&s);
    }
}
END_TEST

START_TEST(without_memory)
{
    bool hit = true;

    ck_assert_int_eq(write_many(10), 0);
    for (unsigned n = 1; hit; n++) {
        enum fixed_found found = FIXED_MEMORY;
        struct store_entry e = {0};
        struct store *s;

        failmalloc_at(n);
        if (store_open(&s, dir, true, NULL, NULL) == MXHOP_OK)
            found = store_get(s, "d1.test", &e);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(found, hit ? FIXED_MEMORY : FIXED_FOUND);
        store_entry_free(&e);
        store_close(&s);
    }
}
END_TEST

/* `MXHOP_LONG=yes`: the figures of a million. */
START_TEST(a_million)
{
    size_t n = getenv("MXHOP_LONG") != NULL ? 1000000
               : pace_is_slow()             ? 2000
                                            : 20000;
    size_t asked = pace_is_slow() ? 2000 : 100000;
    uint64_t at_ms = clock_boot_ms(), built_ms, opened_ms, absent_ms, found_ms;
    struct store *s;
    char name[NAME_ROOM];

    ck_assert_int_eq(write_many(n), 0);
    built_ms = clock_boot_ms() - at_ms;
    at_ms = clock_boot_ms();
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(store_open(&s, dir, true, NULL, NULL), MXHOP_OK);
        if (i < 9)
            store_close(&s);
    }
    opened_ms = clock_boot_ms() - at_ms;
    at_ms = clock_boot_ms();
    for (size_t i = 0; i < asked; i++) {
        struct store_entry e;

        snprintf(name, sizeof(name), "e%zu.test", i);
        ck_assert_int_eq(store_get(s, name, &e), FIXED_ABSENT);
    }
    absent_ms = clock_boot_ms() - at_ms;
    at_ms = clock_boot_ms();
    for (size_t i = 0; i < asked; i++) {
        struct store_entry e;

        snprintf(name, sizeof(name), "d%zu.test", i * 7919 % n);
        ck_assert_int_eq(store_get(s, name, &e), FIXED_FOUND);
        store_entry_free(&e);
    }
    found_ms = clock_boot_ms() - at_ms;
    store_close(&s);
    printf("store of %zu: built in %lu ms, opened in %.1f ms, a domain that is "
           "not in it %.2f us, one that is %.2f us\n",
           n, (unsigned long)built_ms, (double)opened_ms / 10,
           (double)absent_ms * 1000 / (double)asked,
           (double)found_ms * 1000 / (double)asked);
}
END_TEST

/* ---- wants ---- */

START_TEST(wants_arrive)
{
    static const enum want_kind kinds[] = {WANT_SOON, WANT_URGENT, WANT_FETCH,
                                           WANT_FORGET};
    int to = want_open(), from;
    struct want w;

    ck_assert(!want_send(to, dir, "a.test", WANT_SOON)); /* nobody is there */
    from = want_bind(dir);
    ck_assert_int_ge(from, 0);
    ck_assert_int_eq(want_bind(dir), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    for (int i = 0; i < 4; i++) {
        ck_assert(want_send(to, dir, "a.test", kinds[i]));
        ck_assert(want_receive(from, 0, &w));
        ck_assert_int_eq(w.kind, kinds[i]);
        ck_assert_str_eq(w.domain, "a.test");
        ck_assert_uint_eq(w.uid, getuid());
    }
    ck_assert(!want_receive(from, 0, &w));
    close(to);
    close(from);
}
END_TEST

START_TEST(strange_wants_are_passed_over)
{
    static const char *const strange[] = {"",          "a/b",     "A.test",
                                          "192.0.2.1", "a..test", "a\ttest"};
    int to = want_open(), from = want_bind(dir);
    struct want w;

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        want_send(to, dir, strange[i], WANT_SOON);
    want_send(to, dir, "a.test", (enum want_kind)'q');
    want_send(to, dir, "b.test", WANT_SOON);
    /* One by one: who sends them without end is not read without end. The
       empty one is not sent. */
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        ck_assert(want_receive(from, 0, &w));
        ck_assert_str_eq(w.domain, "");
    }
    ck_assert(want_receive(from, 0, &w));
    ck_assert_str_eq(w.domain, "b.test");
    ck_assert(!want_receive(from, 0, &w));
    close(to);
    close(from);
}
END_TEST

/* Nobody reads, and the room is taken. */
START_TEST(wants_wait_for_room_where_somebody_waits)
{
    int to = want_open(), from = want_bind(dir), status;
    uint64_t start_ms;
    unsigned sent = 0;
    struct want w;
    pid_t pid;

    while (sent < 100000 && want_send(to, dir, "a.test", WANT_SOON))
        sent++;
    ck_assert_uint_gt(sent, 0);
    ck_assert_uint_lt(sent, 100000);
    start_ms = clock_boot_ms();
    ck_assert(!want_send(to, dir, "a.test", WANT_URGENT));
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_ge(clock_boot_ms(), start_ms + 90);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        for (int i = 0; i < 50; i++)
            if (want_send(to, dir, "b.test", WANT_URGENT))
                _exit(0);
        _exit(1);
    }
    usleep(150000);
    for (unsigned i = 0; i < sent; i++)
        ck_assert(want_receive(from, 0, &w));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert(want_receive(from, 0, &w));
    ck_assert_str_eq(w.domain, "b.test");
    close(to);
    close(from);
    ck_assert(!want_send(-1, dir, "a.test", WANT_SOON));
}
END_TEST

/* Whoever it is. */
START_TEST(wants_of_strangers_have_no_domain)
{
    int from = want_bind(dir), status;
    struct want w;
    pid_t pid = getuid() == 0 ? fork() : -1;

    if (pid == 0) {
        int to = want_open();

        _exit(setuid(12345) != 0 || !want_send(to, dir, "a.test", WANT_SOON) ||
              !want_send(to, dir, "b.test", WANT_SOON));
    }
    if (pid > 0) { /* root can be somebody else */
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert(want_receive(from, 12346, &w));
        ck_assert_str_eq(w.domain, "");
        ck_assert(want_receive(from, 12345, &w));
        ck_assert_str_eq(w.domain, "b.test");
        ck_assert_uint_eq(w.uid, 12345);
    }
    close(from);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, what_is_written_is_read, 0, 2);
    tcase_add_test(t, walk);
    tcase_add_test(t, missing_and_foreign);
    tcase_add_loop_test(t, a_record_that_nobody_wrote_is_damage, 0, 10);
    tcase_add_test(t, cut_records);
    tcase_add_test(t, damage);
    tcase_add_test(t, without_memory);
    tcase_add_test(t, a_million);
    tcase_add_test(t, wants_arrive);
    tcase_add_test(t, strange_wants_are_passed_over);
    tcase_add_test(t, wants_wait_for_room_where_somebody_waits);
    tcase_add_test(t, wants_of_strangers_have_no_domain);
    suite_add_tcase(s, t);
    return suite_run(s);
}
