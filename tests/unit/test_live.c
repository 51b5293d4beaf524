/* The live bucket table: what was put is found, or nothing is. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/damage.h"
#include "support/pace.h"
#include "table/live_int.h"
#include "util/clock.h"

#define NEVER UINT32_MAX
#define MIB   ((uint64_t)1 << 20)

static char dir[] = "/dev/shm/test_live.XXXXXX";
static int dir_fd;
static struct live *t;
static struct live_view *v;

static void open_file(uint64_t size)
{
    struct mxhop_error err;

    ck_assert_msg(live_open_file(&t, dir_fd, "cache", size, 7, &err) ==
                      MXHOP_OK,
                  "%s", err.text);
    v = live_view_open(t);
}

static void setup_dir(void)
{
    strcpy(dir, "/dev/shm/test_live.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void close_table(void)
{
    live_view_close(&v);
    live_close(&t);
}

static void teardown_dir(void)
{
    close_table();
    unlinkat(dir_fd, "cache", 0);
    unlinkat(dir_fd, "cache.lock", 0);
    unlinkat(dir_fd, "aside", 0);
    close(dir_fd);
    rmdir(dir);
}

static void setup_file(void)
{
    setup_dir();
    open_file(64 * MIB);
}

static void setup_memory(void)
{
    struct mxhop_error err;

    ck_assert_int_eq(live_open_memory(&t, 64 * MIB, &err), MXHOP_OK);
    v = live_view_open(t);
}

static void put_worth(const char *key, const char *value, enum live_worth worth,
                      uint32_t dead_s)
{
    live_put(t, key, strlen(key), value, strlen(value), worth, dead_s);
}

static void put(const char *key, const char *value)
{
    ck_assert(live_begin(t, 100));
    put_worth(key, value, LIVE_ONCE, NEVER);
    ck_assert(live_end(t));
}

static bool has(const char *key, const char *value)
{
    struct live_value found;

    if (!live_get(v, key, strlen(key), &found))
        return false;
    ck_assert_uint_eq(found.len, strlen(value));
    return memcmp(found.data, value, found.len) == 0;
}

static bool lacks(const char *key)
{
    struct live_value found;

    return !live_get(v, key, strlen(key), &found);
}

static void put_number(unsigned i, enum live_worth worth, size_t len)
{
    char key[32], value[4096];

    snprintf(key, sizeof(key), "key%u.example", i);
    memset(value, 'a' + (int)(i % 26), len);
    live_put(t, key, strlen(key), value, len, worth, NEVER);
}

/* An assertion for each octet would take minutes. */
static bool is_filled(const unsigned char *data, size_t len, int with)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != with)
            return false;
    return true;
}

static bool has_number(unsigned i, size_t len)
{
    char key[32];
    struct live_value found;

    snprintf(key, sizeof(key), "key%u.example", i);
    if (!live_get(v, key, strlen(key), &found))
        return false;
    if (found.len != len || !is_filled(found.data, len, 'a' + (int)(i % 26)))
        ck_abort_msg("%s has another value", key);
    return true;
}

/* ---- what is put is found ---- */

START_TEST(nothing_is_in_an_empty_table)
{
    ck_assert(lacks("a"));
    put("a", "1");
    ck_assert(has("a", "1"));
    ck_assert(lacks("b"));
}
END_TEST

START_TEST(a_value_is_replaced_and_removed)
{
    put("a", "1");
    put("a", "another one");
    ck_assert(has("a", "another one"));
    ck_assert(live_begin(t, 100));
    live_del(t, "a", 1);
    live_del(t, "never there", 11);
    ck_assert(live_end(t));
    ck_assert(lacks("a"));
}
END_TEST

START_TEST(a_writer_sees_what_it_put)
{
    struct live_value found;

    ck_assert(live_begin(t, 100));
    ck_assert(!live_find(t, "a", 1, &found));
    put_worth("a", "1", LIVE_USED, 4000000000u);
    ck_assert(live_find(t, "a", 1, &found));
    ck_assert_uint_eq(found.len, 1);
    ck_assert_int_eq(found.worth, LIVE_USED);
    ck_assert_uint_eq(found.dead_s, 4000000000u);
    ck_assert(live_end(t));
}
END_TEST

/* Through all stages of growth: no record may be lost while there is room. */
START_TEST(it_grows_and_keeps_everything)
{
    const unsigned n = pace_is_slow() ? 6000 : 60000;
    struct live_stats stats;

    for (unsigned at = 0; at < n;) {
        ck_assert(live_begin(t, 100));
        for (unsigned k = 0; k < 1000; k++, at++)
            put_number(at, LIVE_ONCE, 60 + at % 150);
        ck_assert(live_end(t));
        for (unsigned k = 0; k < 500; k++) {
            unsigned i = (unsigned)random() % at;

            if (!has_number(i, 60 + i % 150))
                ck_abort_msg("%u of %u is lost", i, at);
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (!has_number(i, 60 + i % 150))
            ck_abort_msg("%u is lost", i);
    live_stats(t, &stats);
    ck_assert_uint_gt(stats.used_bytes, (uint64_t)n * 150);
    ck_assert_msg(stats.file_bytes <= stats.used_bytes * 14 / 10, "%lu of %lu",
                  (unsigned long)stats.file_bytes,
                  (unsigned long)stats.used_bytes);
}
END_TEST

START_TEST(long_values_are_kept_whole)
{
    static char big[LIVE_VALUE_MAX + 1], other[LIVE_VALUE_MAX + 1];
    struct live_value found;

    for (size_t i = 0; i < LIVE_VALUE_MAX; i++) {
        big[i] = (char)('a' + random() % 26);
        other[i] = (char)('a' + random() % 26);
    }
    for (size_t len = 1700; len <= LIVE_VALUE_MAX; len += len / 3) {
        big[len] = '\0';
        put("k", big);
        ck_assert(has("k", big));
        big[len] = 'x';
    }
    other[5000] = '\0';
    put("k", other);
    ck_assert(has("k", other));
    ck_assert(live_begin(t, 100));
    ck_assert(live_find(t, "k", 1, &found));
    ck_assert_uint_eq(found.len, 5000);
    ck_assert_mem_eq(found.data, other, 5000);
    live_del(t, "k", 1);
    ck_assert(live_end(t));
    ck_assert(lacks("k"));
}
END_TEST

START_TEST(what_is_too_long_is_not_kept)
{
    static char big[LIVE_VALUE_MAX + 1];
    char key[LIVE_KEY_MAX + 2];
    struct live_value found;

    memset(key, 'k', sizeof(key));
    ck_assert(live_begin(t, 100));
    live_put(t, "k", 1, big, sizeof(big), LIVE_ONCE, NEVER);
    live_put(t, key, LIVE_KEY_MAX + 1, "x", 1, LIVE_ONCE, NEVER);
    live_put(t, "", 0, "x", 1, LIVE_ONCE, NEVER);
    live_put(t, key, LIVE_KEY_MAX, "x", 1, LIVE_ONCE, NEVER);
    ck_assert(live_end(t));
    ck_assert(lacks("k"));
    ck_assert(!live_get(v, key, LIVE_KEY_MAX + 1, &found));
    ck_assert(!live_get(v, key, 0, &found));
    ck_assert(live_get(v, key, LIVE_KEY_MAX, &found));
}
END_TEST

static bool count_record(void *ctx, const void *key, size_t key_len,
                         const struct live_value *value)
{
    unsigned char *seen = ctx;
    char text[LIVE_KEY_MAX + 1] = "";
    unsigned i;

    memcpy(text, key, key_len);
    ck_assert_int_eq(sscanf(text, "key%u.example", &i), 1);
    ck_assert_uint_eq(value->len, i == 7 ? 4000 : 50);
    seen[i] = 1;
    return true;
}

START_TEST(a_walk_shows_everything)
{
    enum { N = 5000 };
    static unsigned char seen[N];

    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < N; i++)
        put_number(i, LIVE_ONCE, i == 7 ? 4000 : 50);
    ck_assert(live_end(t));
    memset(seen, 0, sizeof(seen));
    live_walk(v, count_record, seen);
    for (unsigned i = 0; i < N; i++)
        ck_assert_msg(seen[i], "%u was not shown", i);
}
END_TEST

START_TEST(a_table_is_cleared)
{
    struct live_stats stats;
    uint64_t seed = live_seed(t);

    for (unsigned i = 0; i < 3; i++) {
        ck_assert(live_begin(t, 100));
        for (unsigned k = 0; k < 2000; k++)
            put_number(k, LIVE_ONCE, 100);
        ck_assert(live_end(t));
        ck_assert(has_number(99, 100));
        ck_assert(live_begin(t, 100));
        live_clear(t);
        ck_assert(live_end(t));
        ck_assert(!has_number(99, 100));
        live_stats(t, &stats);
        ck_assert_uint_eq(stats.used_bytes, 0);
        ck_assert_uint_ne(live_seed(t), seed);
        seed = live_seed(t);
    }
}
END_TEST

/* ---- what goes when there is no room ---- */

static unsigned count_numbers(unsigned from, unsigned to, size_t len)
{
    unsigned n = 0;

    for (unsigned i = from; i < to; i++)
        n += has_number(i, len);
    return n;
}

START_TEST(a_flood_does_not_push_out_what_is_used)
{
    const unsigned used = 3000, flood = pace_is_slow() ? 5000 : 50000;
    unsigned kept;

    live_view_close(&v);
    live_close(&t);
    open_file(MIB); /* of which they take 0.42 */
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < used; i++)
        put_number(i, LIVE_USED, 100);
    for (unsigned i = 0; i < flood; i++)
        put_number(used + i, i % 2 ? LIVE_ONCE : LIVE_NEGATIVE, 100);
    ck_assert(live_end(t));
    kept = count_numbers(0, used, 100);
    ck_assert_msg(kept >= used - used / 500, "%u of %u are left", kept, used);
    /* And the youngest of the flood is there, too. */
    kept = count_numbers(used + flood - 100, used + flood, 100);
    ck_assert_uint_gt(kept, 50);
}
END_TEST

START_TEST(large_entries_do_not_push_out_small_ones)
{
    const unsigned used = 3000;

    live_view_close(&v);
    live_close(&t);
    open_file(MIB);
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < used; i++)
        put_number(i, LIVE_USED, 100);
    for (unsigned i = 0; i < 3000; i++)
        put_number(used + i, LIVE_ONCE, 4000);
    ck_assert(live_end(t));
    /* But where a bucket was full of them: see enum live_worth. */
    ck_assert_uint_ge(count_numbers(0, used, 100), used - used / 500);
}
END_TEST

START_TEST(a_full_table_of_used_entries_still_takes_new_ones)
{
    const unsigned used = pace_is_slow() ? 12000 : 30000;

    live_view_close(&v);
    live_close(&t);
    open_file(MIB);
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < used; i++) {
        put_number(i, LIVE_USED, 100);
        if (!has_number(i, 100))
            ck_abort_msg("%u is not there", i);
    }
    ck_assert(live_end(t));
    put("new", "1");
    ck_assert(has("new", "1"));
}
END_TEST

/* So small that a bucket is full of them before its octets are used up. */
START_TEST(nor_do_small_ones_keep_new_ones_out)
{
    live_view_close(&v);
    live_close(&t);
    open_file(MIB);
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < 20000; i++)
        put_number(i, LIVE_USED, 20);
    for (unsigned i = 0; i < 1000; i++) {
        put_number(100000 + i, LIVE_ONCE, 20);
        if (!has_number(100000 + i, 20))
            ck_abort_msg("%u is not there", i);
    }
    ck_assert(live_end(t));
}
END_TEST

START_TEST(what_is_dead_makes_room_first)
{
    live_view_close(&v);
    live_close(&t);
    open_file(MIB);
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < 20000; i++) {
        char key[32];

        snprintf(key, sizeof(key), "dead%u", i);
        put_worth(key, "is used, and nobody wants it any more", LIVE_USED, 1);
    }
    for (unsigned i = 0; i < 3000; i++)
        put_number(i, LIVE_ONCE, 100);
    ck_assert(live_end(t));
    ck_assert_uint_eq(count_numbers(0, 3000, 100), 3000);
}
END_TEST

START_TEST(it_stays_within_its_size)
{
    const unsigned n = pace_is_slow() ? 8000 : 50000;
    struct live_stats stats;
    struct stat st;

    live_view_close(&v);
    live_close(&t);
    open_file(MIB);
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < n; i++)
        put_number(i, LIVE_ONCE, 200);
    ck_assert(live_end(t));
    live_stats(t, &stats);
    ck_assert_uint_eq(fstatat(dir_fd, "cache", &st, 0), 0);
    ck_assert_uint_le((uint64_t)st.st_size, MIB);
    ck_assert_uint_gt(stats.used_bytes, MIB / 2);
}
END_TEST

/* ---- several processes ---- */

START_TEST(it_is_there_for_the_next_process)
{
    put("a", "1");
    close_table();
    open_file(64 * MIB);
    ck_assert(has("a", "1"));
}
END_TEST

START_TEST(sizes_of_processes_may_differ)
{
    const unsigned n = pace_is_slow() ? 12000 : 30000;
    struct live *small;
    struct live_view *view;
    struct live_value found;
    struct mxhop_error err;

    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < n; i++)
        put_number(i, LIVE_ONCE, 100);
    ck_assert(live_end(t));
    ck_assert_int_eq(live_open_file(&small, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_OK);
    view = live_view_open(small);
    for (unsigned i = 0; i < n; i++) {
        char key[32];

        snprintf(key, sizeof(key), "key%u.example", i);
        ck_assert(live_get(view, key, strlen(key), &found));
    }
    ck_assert(live_begin(small, 100));
    live_put(small, "b", 1, "2", 1, LIVE_ONCE, NEVER);
    ck_assert(live_end(small));
    ck_assert(has("b", "2"));
    ck_assert(has_number(1, 100));
    live_view_close(&view);
    live_close(&small);
}
END_TEST

START_TEST(data_of_another_boot_is_not_shown)
{
    struct mxhop_error err;

    put("a", "1");
    close_table();
    ck_assert_int_eq(live_open_file(&t, dir_fd, "cache", MIB, 8, &err),
                     MXHOP_OK);
    v = live_view_open(t);
    ck_assert(lacks("a"));
    put("b", "2");
    ck_assert(has("b", "2"));
    ck_assert(lacks("a"));
}
END_TEST

START_TEST(a_file_that_was_taken_away_is_made_anew)
{
    struct live *other;
    struct live_view *view;
    struct live_value found;
    struct mxhop_error err;

    put("a", "1");
    ck_assert_int_eq(renameat(dir_fd, "cache", dir_fd, "aside"), 0);
    put("b", "2");
    ck_assert(has("b", "2"));
    ck_assert(lacks("a"));
    ck_assert_int_eq(live_open_file(&other, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_OK);
    view = live_view_open(other);
    ck_assert(live_get(view, "b", 1, &found));
    live_view_close(&view);
    live_close(&other);
}
END_TEST

START_TEST(a_writer_that_was_stopped_is_not_waited_for)
{
    int fd = openat(dir_fd, "cache.lock", O_RDWR | O_CREAT, 0600);
    uint64_t before_ms = clock_boot_ms();

    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert(!live_begin(t, 20));
    ck_assert_uint_lt(clock_boot_ms() - before_ms, 2000);
    close(fd);
    put("a", "1");
    ck_assert(has("a", "1"));
}
END_TEST

START_TEST(files_that_others_prepared_are_refused)
{
    struct live *none;
    struct mxhop_error err;

    close_table();
    unlinkat(dir_fd, "cache", 0);
    ck_assert_int_eq(symlinkat("/etc/passwd", dir_fd, "cache"), 0);
    ck_assert_int_eq(live_open_file(&none, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
    unlinkat(dir_fd, "cache", 0);
    ck_assert_int_eq(mkfifoat(dir_fd, "cache", 0600), 0);
    ck_assert_int_eq(live_open_file(&none, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_ERR_IO);
    unlinkat(dir_fd, "cache", 0);
    if (geteuid() != 0)
        return;
    close(openat(dir_fd, "cache", O_RDWR | O_CREAT, 0600));
    ck_assert_int_eq(fchownat(dir_fd, "cache", 65534, 65534, 0), 0);
    ck_assert_int_eq(live_open_file(&none, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "65534"));
}
END_TEST

/* A value says what it should be; any other was never put. */
static void put_told(struct live *table, unsigned i, unsigned turn)
{
    char key[32], value[1200];
    size_t len = 20 + (i * 7 + turn * 13) % 1000;

    snprintf(key, sizeof(key), "k%u", i);
    memset(value, 'a' + (int)((i + turn) % 26), len);
    memcpy(value, &i, sizeof(i));
    memcpy(value + 4, &turn, sizeof(turn));
    live_put(table, key, strlen(key), value, len, (enum live_worth)(i % 3),
             NEVER);
}

static bool check_told(struct live_view *view, unsigned i)
{
    unsigned told_i, turn;
    char key[32];
    struct live_value found;

    snprintf(key, sizeof(key), "k%u", i);
    if (!live_get(view, key, strlen(key), &found))
        return false;
    memcpy(&told_i, found.data, sizeof(told_i));
    memcpy(&turn, found.data + 4, sizeof(turn));
    if (told_i != i || found.len != 20 + (i * 7 + turn * 13) % 1000 ||
        !is_filled(found.data + 8, found.len - 8, 'a' + (int)((i + turn) % 26)))
        ck_abort_msg("%s has another value", key);
    return true;
}

/* `writing` is shared with the parent. */
static void write_for_ever(unsigned seed, atomic_bool *writing)
{
    srandom(seed);
    for (unsigned turn = seed; live_begin(t, 1000); turn++) {
        for (unsigned k = 0; k < 50; k++)
            put_told(t, (unsigned)random() % 3000, turn);
        live_end(t);
        atomic_store(writing, true);
    }
    _exit(0);
}

/* A program under valgrind takes its time to start. */
static void nap(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

START_TEST(killed_writers_leave_nothing_wrong)
{
    const unsigned kills = pace_is_slow() ? 10 : damage_rounds(100, 1000);
    unsigned found = 0;
    atomic_bool *writing = mmap(NULL, sizeof(*writing), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(writing, MAP_FAILED);
    for (unsigned k = 0; k < kills; k++) {
        pid_t pid;

        atomic_store(writing, false);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
            write_for_ever(k, writing);
        for (unsigned i = 0; i < 10000 && !atomic_load(writing); i++)
            nap(1000 * 1000);
        nap((long)(random() % 3000000));
        for (unsigned i = 0; i < 200; i++)
            found += check_told(v, (unsigned)random() % 3000);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        for (unsigned i = 0; i < 200; i++)
            found += check_told(v, (unsigned)random() % 3000);
        ck_assert_msg(live_begin(t, 1000), "after kill %u", k);
        put_told(t, k, k);
        ck_assert(live_end(t));
        ck_assert(check_told(v, k));
    }
    munmap(writing, sizeof(*writing));
    ck_assert_uint_gt(found, kills);
}
END_TEST

START_TEST(a_stopped_reader_or_writer_costs_nothing)
{
    pid_t pid;
    int status;

    put("a", "1");
    pid = fork();
    if (pid == 0) {
        if (!has("a", "1") || !live_begin(t, 100))
            _exit(1);
        raise(SIGSTOP); /* with the lock held */
        live_end(t);
        _exit(has("a", "1") ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    ck_assert(has("a", "1"));
    ck_assert(!live_begin(t, 20));
    kill(pid, SIGCONT);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    put("a", "2");
    ck_assert(has("a", "2"));
}
END_TEST

/* Its descriptor of the lock is the same as ours. */
START_TEST(a_child_does_not_keep_the_lock)
{
    struct live *other;
    struct mxhop_error err;
    pid_t pid;

    ck_assert(live_begin(t, 100));
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
    ck_assert(live_end(t));
    ck_assert_int_eq(live_open_file(&other, dir_fd, "cache", MIB, 7, &err),
                     MXHOP_OK);
    ck_assert(live_begin(other, 20));
    ck_assert(live_end(other));
    live_close(&other);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_child_reads_memory_and_does_not_write_it)
{
    pid_t pid;
    int status;

    put("a", "1");
    pid = fork();
    if (pid == 0)
        _exit(has("a", "1") && !live_begin(t, 0) ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    put("b", "2");
    ck_assert(has("b", "2"));
}
END_TEST

/* ---- threads ---- */

static atomic_bool enough;

static void *write_thread(void *arg)
{
    (void)arg;
    for (unsigned turn = 0; !atomic_load(&enough); turn++) {
        ck_assert(live_begin(t, 1000));
        for (unsigned k = 0; k < 50; k++)
            put_told(t, (turn * 31 + k * 7) % 3000, turn);
        if (turn % 300 == 299)
            live_clear(t);
        ck_assert(live_end(t));
    }
    return NULL;
}

START_TEST(a_reader_sees_whole_values_while_a_thread_writes)
{
    const unsigned rounds = pace_is_slow() ? 5000 : 200 * 1000;
    unsigned found = 0;
    pthread_t thread;

    atomic_store(&enough, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_thread, NULL), 0);
    for (unsigned i = 0; i < rounds || (found == 0 && i < 100 * rounds); i++) {
        found += check_told(v, i % 3000);
        if (pace_is_slow() && i % 256 == 0)
            nap(1000 * 1000); /* valgrind runs one thread at a time */
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(found, 0);
}
END_TEST

/* ---- damage ---- */

static unsigned char *read_all(size_t *len_r)
{
    int fd = openat(dir_fd, "cache", O_RDONLY);
    struct stat st;
    unsigned char *bytes;

    fstat(fd, &st);
    *len_r = (size_t)st.st_size;
    bytes = malloc(*len_r);
    ck_assert_int_eq(pread(fd, bytes, *len_r, 0), (ssize_t)*len_r);
    close(fd);
    return bytes;
}

static void write_all(const unsigned char *bytes, size_t len)
{
    int fd = openat(dir_fd, "cache", O_RDWR | O_TRUNC | O_CREAT, 0600);

    ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

/* A small table of all kinds of records, closed; the octets of its file. */
static unsigned char *damage_whole(size_t *len_r)
{
    ck_assert(live_begin(t, 100));
    for (unsigned i = 0; i < 500; i++)
        put_told(t, i, i);
    put_number(1, LIVE_ONCE, 4000);
    ck_assert(live_end(t));
    close_table();
    return read_all(len_r);
}

START_TEST(a_damaged_file_gives_misses_at_worst)
{
    const unsigned rounds = pace_is_slow() ? 30 : damage_rounds(500, 10000);
    struct damage d = {.state = 31};
    unsigned char *whole, *bytes;
    unsigned found = 0;
    size_t len;

    whole = damage_whole(&len);
    bytes = malloc(len);
    for (unsigned k = 0; k < rounds; k++) {
        size_t cut = len;

        memcpy(bytes, whole, len);
        for (uint32_t n = 1 + damage_below(&d, 3); n > 0 && cut >= 8192; n--)
            cut = damage_file(&d, bytes, cut);
        write_all(bytes, cut);
        open_file(64 * MIB);
        for (unsigned i = 0; i < 500; i += 7)
            found += check_told(v, i);
        has_number(1, 4000);
        ck_assert(live_begin(t, 100));
        put_told(t, 1, k);
        put_told(t, 2000, k);
        ck_assert(live_end(t));
        ck_assert(check_told(v, 1));
        ck_assert(check_told(v, 2000));
        close_table();
    }
    free(whole);
    free(bytes);
    ck_assert_uint_gt(found, rounds * 10);
}
END_TEST

/* Where a structure stands: a head, a slot, a record or its beginning. */
static unsigned char *damage_aim(struct damage *d, unsigned char *bytes,
                                 size_t len)
{
    unsigned char *page =
        bytes + damage_below(d, (uint32_t)(len / LIVE_PAGE)) * LIVE_PAGE;
    struct live_bucket b;

    if (page == bytes)
        return page + damage_below(d, sizeof(struct live_head));
    memcpy(&b, page, sizeof(b));
    switch (damage_below(d, 3)) {
    case 0:
        return page + damage_below(d, sizeof(b));
    case 1:
        return page +
               (b.slot[damage_below(d, LIVE_SLOTS)].at & (LIVE_PAGE - 32)) +
               damage_below(d, 32);
    default:
        return page + damage_below(d, LIVE_PAGE);
    }
}

/* An owner who is hostile can make checks that are right. */
static void damage_repair(unsigned char *bytes, size_t len)
{
    struct live_head head;

    memcpy(&head, bytes, sizeof(head));
    head.check = live_head_check(&head);
    memcpy(bytes, &head, sizeof(head));
    for (uint32_t i = 0; (i + 2) * (size_t)LIVE_PAGE <= len; i++) {
        unsigned char *page = bytes + (i + 1) * (size_t)LIVE_PAGE;
        struct live_bucket b;

        memcpy(&b, page, sizeof(b));
        for (unsigned k = 0; k < b.count && k < LIVE_SLOTS; k++) {
            unsigned char *at = page + b.slot[k].at;
            struct live_record r;

            if (b.slot[k].at < sizeof(b) ||
                b.slot[k].at > LIVE_PAGE - sizeof(r))
                continue;
            memcpy(&r, at, sizeof(r));
            if (live_record_len(&r) > (size_t)(page + LIVE_PAGE - at))
                continue;
            r.check = live_record_check(at, head.seed);
            memcpy(at, &r.check, sizeof(r.check));
        }
        b.check = live_bucket_check(&b, head.seed, i);
        memcpy(page, &b.check, sizeof(b.check));
    }
}

/* What a caller may rely on, whatever the file says. */
static bool see_any(void *ctx, const void *key, size_t key_len,
                    const struct live_value *value)
{
    unsigned char copy[LIVE_KEY_MAX], *sum = ctx;

    ck_assert(key_len > 0 && key_len <= LIVE_KEY_MAX &&
              value->len <= LIVE_VALUE_MAX);
    memcpy(copy, key, key_len);
    *sum ^= copy[key_len - 1];
    for (size_t i = 0; i < value->len; i++)
        *sum ^= value->data[i];
    return true;
}

START_TEST(a_hostile_owner_crashes_nobody)
{
    const unsigned rounds = pace_is_slow() ? 30 : damage_rounds(500, 10000);
    struct damage d = {.state = 32};
    unsigned char *whole, *bytes, sum = 0;
    struct live_value found;
    size_t len;

    whole = damage_whole(&len);
    bytes = malloc(len);
    for (unsigned k = 0; k < rounds; k++) {
        memcpy(bytes, whole, len);
        for (uint32_t n = 1 + damage_below(&d, 16); n > 0; n--)
            *damage_aim(&d, bytes, len) =
                (unsigned char)(damage_below(&d, 3) == 0
                                    ? 255 * damage_below(&d, 2)
                                    : damage_below(&d, 256));
        damage_repair(bytes, len);
        write_all(bytes, len);
        open_file(64 * MIB);
        for (unsigned i = 0; i < 500; i += 7) {
            char key[32];

            snprintf(key, sizeof(key), "k%u", i);
            if (live_get(v, key, strlen(key), &found))
                see_any(&sum, key, strlen(key), &found);
        }
        if (live_get(v, "key1.example", 12, &found))
            see_any(&sum, "k", 1, &found);
        live_walk(v, see_any, &sum);
        if (live_begin(t, 100)) {
            for (unsigned i = 0; i < 100; i++)
                put_told(t, (unsigned)damage_below(&d, 1000), k);
            if (live_find(t, "key1.example", 12, &found))
                see_any(&sum, "k", 1, &found);
            put_number(1, LIVE_ONCE, 4000);
            live_del(t, "key1.example", 12);
            (void)live_end(t);
        }
        live_walk(v, see_any, &sum);
        close_table();
    }
    free(whole);
    free(bytes);
}
END_TEST

/* ---- no room ---- */

/* A file system of our own, in a mount namespace of our own. */
static void open_dir_anew(void)
{
    close(dir_fd);
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool enter_small_tmpfs(void)
{
    close_table();
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=2M,mode=0700") != 0)
        return false;
    open_dir_anew();
    return true;
}

static void leave_small_tmpfs(void)
{
    close_table();
    umount2(dir, MNT_DETACH);
    open_dir_anew();
}

static void fill_file_system(void)
{
    static const char zeroes[4096];
    int fd = openat(dir_fd, "aside", O_WRONLY | O_CREAT, 0600);

    while (write(fd, zeroes, sizeof(zeroes)) > 0)
        continue;
    close(fd);
}

/* What is lost as the file system is full is said; what is as no more is
   wanted is not. */
START_TEST(a_full_file_system_is_told)
{
    bool told = false;

    if (!enter_small_tmpfs())
        return; /* not root: tests/integration/cache_survives.t has it, too */
    open_file(80 * 1024);
    for (unsigned i = 0; i < 2000; i++) {
        ck_assert(live_begin(t, 100));
        put_number(i, LIVE_ONCE, 500);
        ck_assert(live_end(t));
    }
    close_table();
    unlinkat(dir_fd, "cache", 0);
    open_file(64 * MIB);
    put("a", "1");
    fill_file_system();
    for (unsigned i = 0; i < 2000 && !told; i++) {
        ck_assert(live_begin(t, 100));
        put_number(i, LIVE_ONCE, 500);
        told = !live_end(t);
        ck_assert(told || has_number(i, 500));
    }
    ck_assert(told);
    unlinkat(dir_fd, "aside", 0);
    put("b", "2");
    ck_assert(has("b", "2"));
    leave_small_tmpfs();
}
END_TEST

/* Whoever read the holes would fill the file system, and be killed then. */
START_TEST(a_length_that_is_only_claimed_is_not_read)
{
    unsigned char *bytes, sum = 0;
    struct statvfs fs;
    struct live_head head;
    size_t len;

    if (!enter_small_tmpfs())
        return; /* as above */
    open_file(64 * MIB);
    put("key1", "value1");
    bytes = read_all(&len);
    memcpy(&head, bytes, sizeof(head));
    head.n = 1000;
    memcpy(bytes, &head, sizeof(head));
    damage_repair(bytes, len);
    write_all(bytes, len);
    free(bytes);
    ck_assert_int_eq(ftruncate(t->fd, (off_t)(head.n + 1) * LIVE_PAGE), 0);
    ck_assert(lacks("key1"));
    live_walk(v, see_any, &sum);
    ck_assert_int_eq(fstatvfs(dir_fd, &fs), 0);
    ck_assert_uint_gt(fs.f_bfree, fs.f_blocks / 2);
    put("key1", "value1");
    ck_assert(has("key1", "value1"));
    leave_small_tmpfs();
}
END_TEST

/* As in a shell with `ulimit -f'. */
START_TEST(what_cannot_be_written_is_told)
{
    struct rlimit limit = {4096, RLIM_INFINITY};

    put("a", "1");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(live_begin(t, 100));
    live_del(t, "a", 1);
    ck_assert(!live_end(t));
    ck_assert(has("a", "1"));
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put("a", "2");
    ck_assert(has("a", "2"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("live");
    TCase *memory = tcase_create("memory"), *file = tcase_create("file"),
          *threads = tcase_create("threads");

    tcase_add_unchecked_fixture(memory, NULL, NULL);
    tcase_add_checked_fixture(memory, setup_memory, close_table);
    tcase_add_checked_fixture(file, setup_file, teardown_dir);
    tcase_add_checked_fixture(threads, setup_memory, close_table);
    tcase_set_tags(threads, "threads");
    for (int i = 0; i < 2; i++) {
        TCase *tc = i == 0 ? memory : file;

        tcase_set_timeout(tc, 600);
        tcase_add_test(tc, nothing_is_in_an_empty_table);
        tcase_add_test(tc, a_value_is_replaced_and_removed);
        tcase_add_test(tc, a_writer_sees_what_it_put);
        tcase_add_test(tc, it_grows_and_keeps_everything);
        tcase_add_test(tc, long_values_are_kept_whole);
        tcase_add_test(tc, what_is_too_long_is_not_kept);
        tcase_add_test(tc, a_walk_shows_everything);
        tcase_add_test(tc, a_table_is_cleared);
        suite_add_tcase(s, tc);
    }
    tcase_add_test(file, a_flood_does_not_push_out_what_is_used);
    tcase_add_test(file, large_entries_do_not_push_out_small_ones);
    tcase_add_test(file, a_full_table_of_used_entries_still_takes_new_ones);
    tcase_add_test(file, nor_do_small_ones_keep_new_ones_out);
    tcase_add_test(file, what_is_dead_makes_room_first);
    tcase_add_test(file, it_stays_within_its_size);
    tcase_add_test(file, it_is_there_for_the_next_process);
    tcase_add_test(file, sizes_of_processes_may_differ);
    tcase_add_test(file, data_of_another_boot_is_not_shown);
    tcase_add_test(file, a_file_that_was_taken_away_is_made_anew);
    tcase_add_test(file, a_writer_that_was_stopped_is_not_waited_for);
    tcase_add_test(file, files_that_others_prepared_are_refused);
    tcase_add_test(file, killed_writers_leave_nothing_wrong);
    tcase_add_test(file, a_stopped_reader_or_writer_costs_nothing);
    tcase_add_test(file, a_child_does_not_keep_the_lock);
    tcase_add_test(memory, a_child_reads_memory_and_does_not_write_it);
    tcase_add_test(file, a_damaged_file_gives_misses_at_worst);
    tcase_add_test(file, a_hostile_owner_crashes_nobody);
    tcase_add_test(file, a_full_file_system_is_told);
    tcase_add_test(file, a_length_that_is_only_claimed_is_not_read);
    tcase_add_test(file, what_cannot_be_written_is_told);
    tcase_set_timeout(threads, 600);
    tcase_add_test(threads, a_reader_sees_whole_values_while_a_thread_writes);
    suite_add_tcase(s, threads);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
