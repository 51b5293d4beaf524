/* The immutable bucket table: found, absent or damaged, and nothing else. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/suite.h"
#include "support/damage.h"
#include "support/failmalloc.h"
#include "support/pace.h"
#include "table/fixed_format.h"

#define RECORDS 3000

static char dir[64];
static int dir_fd;
static unsigned char *file; /* as it was built */
static size_t file_len;

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-fixed-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
    unlinkat(dir_fd, "t", 0);
    unlinkat(dir_fd, "t.new", 0);
    close(dir_fd);
    rmdir(dir);
    free(file);
    file = NULL;
}

/* What record i is: key, kind and value follow from the number. */
static struct fixed_record record(size_t i, char key[32], unsigned char *value)
{
    struct fixed_record r = {.kind = (fixed_kind)(i % 3),
                             .filtered = i % 3 != 2};

    r.key.len = (size_t)snprintf(key, 32, "key%zu", i);
    r.key.at = (unsigned char *)key;
    r.value.len = i % 97 == 0 ? 1990 + i : i % 150;
    for (size_t k = 0; k < r.value.len; k++)
        value[k] = (unsigned char)(i + k);
    r.value.at = value;
    return r;
}

static int build(size_t n, unsigned char id_r[FIXED_ID_LEN])
{
    struct fixed_record *r = calloc(n + 1, sizeof(*r));
    char(*keys)[32] = calloc(n + 1, 32);
    unsigned char **values = calloc(n + 1, sizeof(*values));
    /* The same for all: pages of two tables differ by the ids alone. */
    struct fixed_set set = {.records = r, .n = n, .seed = 42};
    int rc;

    set.blob.at = (const unsigned char *)"about";
    set.blob.len = 5;
    for (size_t i = 0; i < n; i++) {
        values[i] = malloc(1990 + n);
        r[i] = record(i, keys[i], values[i]);
    }
    rc = fixed_build(dir_fd, "t", &set, id_r);
    for (size_t i = 0; i < n; i++)
        free(values[i]);
    free(values);
    free(keys);
    free(r);
    return rc;
}

static void must_build(size_t n)
{
    unsigned char id[FIXED_ID_LEN];

    ck_assert_int_eq(build(n, id), 0);
}

static struct fixed *must_open(bool filtered)
{
    struct fixed *t;
    const char *why = fixed_open(&t, dir_fd, "t", filtered);

    ck_assert_msg(why == NULL, "%s", why);
    return t;
}

static enum fixed_found get(struct fixed *t, size_t i)
{
    static unsigned char value[1990 + 2 * RECORDS];
    char key[32];
    struct fixed_record r = record(i, key, value);
    struct fixed_bytes v;
    enum fixed_found found = fixed_get(t, r.kind, key, r.key.len, &v);

    if (found == FIXED_FOUND) {
        ck_assert_uint_eq(v.len, r.value.len);
        ck_assert(memcmp(v.at, value, v.len) == 0);
    }
    return found;
}

static bool may_have(const struct fixed *t, size_t i)
{
    char key[32];

    snprintf(key, sizeof(key), "key%zu", i);
    return fixed_may_have(t, (fixed_kind)(i % 3), key, strlen(key));
}

static const size_t sizes[] = {0, 1, 20, 400, RECORDS};

START_TEST(what_was_built_is_found)
{
    size_t n = sizes[_i], too_many = 0;
    unsigned char id[FIXED_ID_LEN];
    struct stat st;
    struct fixed *t;
    mode_t old = umask(077);

    ck_assert_int_eq(build(n, id), 0);
    umask(old);
    ck_assert_int_eq(fstatat(dir_fd, "t", &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    t = must_open(true);
    ck_assert_mem_eq(fixed_id(t), id, FIXED_ID_LEN);
    ck_assert_uint_eq(fixed_blob(t).len, 5);
    ck_assert_mem_eq(fixed_blob(t).at, "about", 5);
    ck_assert(fixed_is_unchanged(t));
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(get(t, i), FIXED_FOUND);
        ck_assert(i % 3 == 2 || may_have(t, i));
    }
    for (size_t i = n; i < n + RECORDS; i++) {
        ck_assert_int_eq(get(t, i), FIXED_ABSENT);
        too_many += may_have(t, i);
    }
    ck_assert_uint_lt(too_many, RECORDS / 100);
    fixed_close(&t);
    ck_assert_int_ne(faccessat(dir_fd, "t.new", F_OK, 0), 0);
}
END_TEST

struct seen {
    size_t n;
    bool *v, stop;
};

static bool see(void *ctx, fixed_kind kind, struct fixed_bytes key,
                struct fixed_bytes value)
{
    static unsigned char want[1990 + RECORDS];
    struct seen *s = ctx;
    char text[32], again[32];
    size_t i;

    ck_assert_uint_lt(key.len, sizeof(text));
    memcpy(text, key.at, key.len);
    text[key.len] = '\0';
    i = strtoul(text + 3, NULL, 10);
    ck_assert_uint_lt(i, RECORDS);
    ck_assert_uint_eq(kind, i % 3);
    ck_assert_uint_eq(record(i, again, want).value.len, value.len);
    ck_assert(memcmp(want, value.at, value.len) == 0);
    ck_assert(!s->v[i]);
    s->v[i] = true;
    return ++s->n < RECORDS || !s->stop;
}

START_TEST(a_walk_sees_all_once)
{
    struct seen s = {.v = calloc(RECORDS, 1)};
    struct fixed *t;

    must_build(RECORDS);
    t = must_open(false);
    ck_assert_int_eq(fixed_walk(t, see, &s), FIXED_ABSENT);
    ck_assert_uint_eq(s.n, RECORDS);
    s = (struct seen){.v = memset(s.v, 0, RECORDS), .stop = true};
    ck_assert_int_eq(fixed_walk(t, see, &s), FIXED_FOUND);
    free(s.v);
    fixed_close(&t);
}
END_TEST

START_TEST(two_builds_have_two_ids)
{
    unsigned char a[FIXED_ID_LEN], b[FIXED_ID_LEN];
    struct fixed *t;

    ck_assert_int_eq(build(400, a), 0);
    t = must_open(true);
    ck_assert_int_eq(build(400, b), 0);
    ck_assert_mem_ne(a, b, FIXED_ID_LEN);
    /* The one that is open stays whole. */
    ck_assert(fixed_is_unchanged(t));
    ck_assert_int_eq(get(t, 399), FIXED_FOUND);
    fixed_close(&t);
}
END_TEST

static void write_file(const unsigned char *bytes, size_t len)
{
    int fd = openat(dir_fd, "t", O_WRONLY | O_CREAT | O_TRUNC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, bytes, len), (int)len);
    close(fd);
}

static void read_file(void)
{
    struct stat st;
    int fd = openat(dir_fd, "t", O_RDONLY);

    ck_assert_int_eq(fstat(fd, &st), 0);
    file_len = (size_t)st.st_size;
    free(file);
    file = malloc(file_len);
    ck_assert_int_eq((int)read(fd, file, file_len), (int)file_len);
    close(fd);
}

static const char *why_not(void)
{
    struct fixed *t;
    const char *why = fixed_open(&t, dir_fd, "t", true);

    ck_assert((why == NULL) == (t != NULL));
    fixed_close(&t);
    return why != NULL ? why : "";
}

START_TEST(what_is_no_table_is_refused_with_the_reason)
{
    ck_assert_str_eq(why_not(), "No such file or directory");
    write_file((const unsigned char *)"", 0);
    ck_assert_str_eq(why_not(), "is empty");
    write_file((const unsigned char *)"x", 1);
    ck_assert_str_eq(why_not(), fixed_is_foreign);
    must_build(400);
    read_file();
    write_file(file, file_len - 1);
    ck_assert_ptr_nonnull(strstr(why_not(), "cut short"));
    write_file(file, 100);
    ck_assert_ptr_nonnull(strstr(why_not(), "cut short"));
    write_file(file, file_len);
    ck_assert_str_eq(why_not(), "");
    ck_assert_int_eq(fchmodat(dir_fd, "t", 0664, 0), 0);
    ck_assert_ptr_nonnull(strstr(why_not(), "group may write"));
    ck_assert_int_eq(fchmodat(dir_fd, "t", 0646, 0), 0);
    ck_assert_ptr_nonnull(strstr(why_not(), "everybody may write"));
    unlinkat(dir_fd, "t", 0);
    ck_assert_int_eq(mkfifoat(dir_fd, "t", 0644), 0);
    ck_assert_str_eq(why_not(), "is not a regular file");
    unlinkat(dir_fd, "t", 0);
    ck_assert_int_eq(mkdirat(dir_fd, "t", 0755), 0);
    ck_assert_str_eq(why_not(), "is not a regular file");
    unlinkat(dir_fd, "t", AT_REMOVEDIR);
    ck_assert_int_eq(symlinkat("/dev/null", dir_fd, "t"), 0);
    ck_assert_str_eq(why_not(), fixed_is_link);
}
END_TEST

START_TEST(a_sparse_file_of_terabytes)
{
    int fd = openat(dir_fd, "t", O_WRONLY | O_CREAT, 0644);

    must_build(1);
    close(fd);
    fd = openat(dir_fd, "t", O_WRONLY);
    if (ftruncate(fd, INT64_C(1) << 43) != 0)
        ck_assert_int_eq(ftruncate(fd, FIXED_SIZE_MAX + 4096), 0);
    close(fd);
    ck_assert_ptr_nonnull(strstr(why_not(), "too large"));
}
END_TEST

/* An owner who is hostile can make checks that are right. */
static void repair_checks(unsigned char *bytes, size_t len)
{
    struct fixed_keys keys = fixed_keys_of(bytes);

    for (uint32_t i = 0; (i + 1) * (size_t)FIXED_PAGE <= len; i++) {
        unsigned char *page = bytes + i * (size_t)FIXED_PAGE;
        uint64_t check = htole64(page_check(&keys, i, page));

        memcpy(page, &check, sizeof(check));
    }
}

/* A page on the disk, and a header that claims a filter of a gigabyte, or more
   of it than there can be keys. */
START_TEST(a_filter_that_is_only_claimed)
{
    uint32_t pages = _i == 0 ? 200000 : 100, blocks = _i == 0 ? 1 << 24 : 1601;
    int fd;

    must_build(1);
    read_file();
    memcpy(file + HEADER_PAGES, &(uint32_t){htole32(pages)}, 4);
    memcpy(file + HEADER_BLOCKS, &(uint32_t){htole32(blocks)}, 4);
    repair_checks(file, FIXED_PAGE);
    write_file(file, FIXED_PAGE);
    fd = openat(dir_fd, "t", O_WRONLY);
    ck_assert_int_eq(ftruncate(fd, (off_t)fixed_file_octets(pages, blocks)), 0);
    close(fd);
    ck_assert_str_eq(why_not(), "has a damaged header");
}
END_TEST

START_TEST(a_lease_is_not_waited_for)
{
    int fd;

    must_build(1);
    fd = openat(dir_fd, "t", O_WRONLY);
    signal(SIGIO, SIG_IGN);
    ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    ck_assert_ptr_nonnull(strstr(why_not(), "lease"));
    close(fd);
}
END_TEST

/* The right answer or damage; what is absent must be absent. */
static void ask_all(bool filtered)
{
    struct fixed *t;

    if (fixed_open(&t, dir_fd, "t", filtered) != NULL)
        return;
    for (size_t i = 0; i < 120; i++) {
        ck_assert_int_ne(get(t, i), FIXED_ABSENT);
        ck_assert(i % 3 == 2 || may_have(t, i));
    }
    for (size_t i = 120; i < 160; i++)
        ck_assert_int_ne(get(t, i), FIXED_FOUND);
    fixed_close(&t);
}

static unsigned rounds(unsigned few)
{
    return pace_is_slow() ? 50 : damage_rounds(few, 20000);
}

START_TEST(damage_is_never_absence)
{
    struct damage d = {.state = 11};
    unsigned char *bytes;

    must_build(120);
    read_file();
    bytes = malloc(file_len);
    for (unsigned i = rounds(1500); i > 0; i--) {
        size_t len;

        memcpy(bytes, file, file_len);
        len = damage_file(&d, bytes, file_len);
        write_file(bytes, len);
        ask_all(i % 2 == 0);
    }
    free(bytes);
}
END_TEST

static bool see_any(void *ctx, fixed_kind kind, struct fixed_bytes key,
                    struct fixed_bytes value)
{
    volatile unsigned char *sum = ctx;

    *sum = kind;
    for (size_t i = 0; i < key.len; i++)
        *sum ^= key.at[i];
    for (size_t i = 0; i < value.len; i++)
        *sum ^= value.at[i];
    return true;
}

/* What stands in a structure is changed, and the checks made to fit. */
START_TEST(a_hostile_owner_crashes_nobody)
{
    static const size_t heads[] = {8,  9,  10, 11, 12, 13, 14, 15, 16, 20,
                                   21, 22, 23, 24, 25, 36, 40, 44, 48, 64};
    struct damage d = {.state = 12};
    unsigned char *bytes, sum;

    must_build(120);
    read_file();
    bytes = malloc(file_len);
    for (unsigned i = rounds(1500); i > 0; i--) {
        struct fixed *t;

        memcpy(bytes, file, file_len);
        for (unsigned n = 1 + damage_below(&d, 4); n > 0; n--) {
            size_t page = damage_below(&d, (uint32_t)(file_len / FIXED_PAGE));
            size_t at =
                page * FIXED_PAGE + (damage_below(&d, 2) == 0
                                         ? heads[damage_below(&d, 20)]
                                         : damage_below(&d, FIXED_PAGE));

            bytes[at] = (unsigned char)(damage_below(&d, 3) == 0
                                            ? 255 * damage_below(&d, 2)
                                            : damage_below(&d, 256));
        }
        repair_checks(bytes, file_len);
        write_file(bytes, file_len);
        if (fixed_open(&t, dir_fd, "t", false) != NULL)
            continue;
        for (size_t k = 0; k < 160; k++) {
            struct fixed_bytes v;
            char key[32];

            snprintf(key, sizeof(key), "key%zu", k);
            if (fixed_get(t, (fixed_kind)(k % 3), key, strlen(key), &v) ==
                FIXED_FOUND)
                see_any(&sum, 0, v, v);
        }
        (void)fixed_walk(t, see_any, &sum);
        fixed_close(&t);
    }
    free(bytes);
}
END_TEST

/* Many records that lead to the same pieces of one long value. */
START_TEST(no_walk_reads_a_piece_again_and_again)
{
    enum { N = 20, LONG = 400000 };
    static const unsigned char value[LONG];
    struct fixed_record r[N];
    char keys[N][12];
    struct fixed_set set = {.records = r, .n = N};
    unsigned char id[FIXED_ID_LEN], *pieces = NULL, sum;
    struct fixed *t;

    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        r[i] = (struct fixed_record){
            .key = {(unsigned char *)keys[i], strlen(keys[i])},
            .value = {value, i == 0 ? LONG : RECORD_PIECES_LEN}};
    }
    ck_assert_int_eq(fixed_build(dir_fd, "t", &set, id), 0);
    read_file();
    ck_assert_uint_eq(load_u32(file + HEADER_BUCKETS), 1);
    for (int pass = 0; pass < 2; pass++) {
        unsigned char *p = file + FIXED_PAGE + PAGE_DATA;

        for (int i = 0; i < N; i++) {
            unsigned char *at = p + RECORD_HEAD + load_u16(p + RECORD_KEY_LEN);

            if (p[RECORD_IN_PIECES] != 0)
                pieces = at;
            ck_assert(pass == 0 || pieces != NULL);
            if (pass == 1) {
                p[RECORD_IN_PIECES] = 1;
                memmove(at, pieces, RECORD_PIECES_LEN);
            }
            p = at + load_u16(p + RECORD_LEN);
        }
    }
    repair_checks(file, file_len);
    write_file(file, file_len);
    t = must_open(false);
    ck_assert_int_eq(fixed_walk(t, see_any, &sum), FIXED_DAMAGED);
    fixed_close(&t);
}
END_TEST

/* A bucket whose pages lead back, or on and on. */
START_TEST(no_endless_chain)
{
    struct fixed *t;

    must_build(RECORDS);
    read_file();
    for (uint32_t i = 1; (i + 1) * (size_t)FIXED_PAGE <= file_len; i++) {
        uint32_t next = htole32(_i == 0 ? 1 : i + 1);

        memcpy(file + i * (size_t)FIXED_PAGE + PAGE_NEXT, &next, sizeof(next));
    }
    repair_checks(file, file_len);
    write_file(file, file_len);
    ck_assert_ptr_null(fixed_open(&t, dir_fd, "t", false));
    for (size_t i = RECORDS; i < RECORDS + 50; i++)
        ck_assert_int_eq(get(t, i), FIXED_DAMAGED);
    fixed_close(&t);
}
END_TEST

/* Copied over in place: of another table there is no page. */
START_TEST(a_file_that_changes_while_it_is_open)
{
    struct fixed *t;
    size_t damaged = 0;

    must_build(400);
    read_file();
    must_build(400);
    t = must_open(true);
    write_file(file, file_len);
    ck_assert(!fixed_is_unchanged(t));
    for (size_t i = 0; i < 400; i++)
        damaged += get(t, i) == FIXED_DAMAGED;
    ck_assert_uint_eq(damaged, 400);
    write_file(file, 0);
    ck_assert_int_eq(get(t, 1), FIXED_DAMAGED);
    fixed_close(&t);
}
END_TEST

/* Another builder begins, and removes what this one has begun: the other's half
   is not put in force, and stays. */
START_TEST(two_builders_at_once)
{
    unsigned char id[FIXED_ID_LEN];
    int status, fd, busy = 0;

    must_build(1);
    for (int round = 0; round < 20 && busy == 0; round++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(build(2 * RECORDS, id));
        while (unlinkat(dir_fd, "t.new", 0) != 0 &&
               (busy = waitpid(pid, &status, WNOHANG)) == 0)
            ;
        if (busy != 0) { /* it was too fast */
            busy = 0;
            continue;
        }
        fd = openat(dir_fd, "t.new", O_WRONLY | O_CREAT | O_EXCL, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, EBUSY << 8);
        busy = 1;
    }
    ck_assert_int_eq(busy, 1);
    ck_assert_str_eq(why_not(), "");
    ck_assert_int_eq(faccessat(dir_fd, "t.new", F_OK, 0), 0);
}
END_TEST

START_TEST(what_cannot_be_built)
{
    static unsigned char key[FIXED_KEY_MAX + 1];
    unsigned char id[FIXED_ID_LEN];
    struct fixed_record r = {.key = {key, sizeof(key)}};
    struct fixed_set set = {.records = &r, .n = 1};

    ck_assert_int_ne(fixed_build(dir_fd, "t", &set, id), 0);
    r.key.len = 0;
    ck_assert_int_ne(fixed_build(dir_fd, "t", &set, id), 0);
    r.key.len = FIXED_KEY_MAX;
    set.blob.len = FIXED_BLOB_MAX + 1;
    ck_assert_int_ne(fixed_build(dir_fd, "t", &set, id), 0);
    ck_assert_int_ne(faccessat(dir_fd, "t", F_OK, 0), 0);
    ck_assert_int_ne(faccessat(dir_fd, "t.new", F_OK, 0), 0);
}
END_TEST

START_TEST(no_memory)
{
    static unsigned char value[5000];
    struct fixed_record r = {.key = {value, 3}, .value = {value, 5000}};
    struct fixed_set set = {.records = &r, .n = 1};
    unsigned char id[FIXED_ID_LEN];

    for (unsigned n = 1;; n++) {
        enum fixed_found found = FIXED_MEMORY;
        struct fixed_bytes v;
        struct fixed *t = NULL;
        bool hit;

        failmalloc_at(n);
        if (fixed_build(dir_fd, "t", &set, id) == 0 &&
            fixed_open(&t, dir_fd, "t", true) == NULL)
            found = fixed_get(t, 0, value, 3, &v);
        hit = failmalloc_hit();
        failmalloc_at(0);
        fixed_close(&t);
        ck_assert_int_eq(found, hit ? FIXED_MEMORY : FIXED_FOUND);
        if (!hit)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fixed");
    TCase *t = tcase_create("fixed");

    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, what_was_built_is_found, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(t, a_walk_sees_all_once);
    tcase_add_test(t, two_builds_have_two_ids);
    tcase_add_test(t, what_is_no_table_is_refused_with_the_reason);
    tcase_add_test(t, a_sparse_file_of_terabytes);
    tcase_add_loop_test(t, a_filter_that_is_only_claimed, 0, 2);
    tcase_add_test(t, a_lease_is_not_waited_for);
    tcase_add_test(t, damage_is_never_absence);
    tcase_add_test(t, a_hostile_owner_crashes_nobody);
    tcase_add_test(t, no_walk_reads_a_piece_again_and_again);
    tcase_add_loop_test(t, no_endless_chain, 0, 2);
    tcase_add_test(t, a_file_that_changes_while_it_is_open);
    tcase_add_test(t, two_builders_at_once);
    tcase_add_test(t, what_cannot_be_built);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
