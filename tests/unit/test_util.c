/* src/util: buffers, strings, error text, hash. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/suite.h"
#include "support/failmalloc.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/maincf.h"
#include "util/str.h"
#include "util/vec.h"

START_TEST(test_buf_grows)
{
    struct buf b = {0};
    char *text;

    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    buf_putc(&b, 'x');
    buf_add(&b, "\0y", 2);
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 3);
    ck_assert_int_eq(b.data[b.len], '\0');
    ck_assert_int_eq(b.data[b.len - 1], 'y');
    buf_reset(&b);
    ck_assert_uint_eq(b.len, 0);
    buf_puts(&b, "again");
    text = buf_detach(&b);
    ck_assert_str_eq(text, "again");
    ck_assert_ptr_null(b.data);
    free(text);
}
END_TEST

START_TEST(test_buf_empty_detaches_as_text)
{
    struct buf b = {0};
    char *text = buf_detach(&b);

    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(test_buf_failure_sticks)
{
    for (unsigned n = 1;; n++) {
        struct buf b = {0};
        char *text;
        bool hit;

        failmalloc_at(n);
        for (int i = 0; i < 100; i++)
            buf_puts(&b, "0123456789");
        text = buf_detach(&b);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(text == NULL, hit);
        ck_assert(hit || strlen(text) == 1000);
        ck_assert(!b.failed); /* detaching starts afresh */
        free(text);
        if (!hit)
            break;
    }
}
END_TEST

START_TEST(test_buf_absurd_size)
{
    struct buf b = {0};

    buf_add(&b, "x", SIZE_MAX / 2);
    ck_assert(b.failed);
    buf_free(&b);
    ck_assert(!b.failed);
}
END_TEST

START_TEST(test_str)
{
    char text[] = "MiXed-\xc4Z", dirty[] = "a\x01\n\x7f\xc3 ~";

    str_lower(text);
    ck_assert_str_eq(text, "mixed-\xc4z");
    str_printable(dirty);
    ck_assert_str_eq(dirty, "a???? ~");
    ck_assert(str_ieq("Ab", "aB") && !str_ieq("a", "ab") && str_ieq("", ""));
    ck_assert(str_iends("mx.Example.COM", ".example.com"));
    ck_assert(!str_iends("com", ".com") && str_iends("com", ""));
}
END_TEST

static const struct {
    const char *text, *printable;
} utf8[] = {
    {"cn=caf\xc3\xa9,dc=\xe4\xb8\xad \xf0\x9f\x93\xa7~",
     "cn=caf\xc3\xa9,dc=\xe4\xb8\xad \xf0\x9f\x93\xa7~"},
    {"a\033[31m\n\t\x7f", "a?[31m???"},
    {"\xc2\x9b"
     "31m\xc2\x85",
     "??31m??"}, /* C1 */
    {"\xc2\xa0", "\xc2\xa0"},
    {"\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6", "?????????"},
    {"\xff\x80\xc3", "???"},
    {"\xc0\x9b\xe0\x80\x9b\xf0\x80\x80\x9b", "?????????"}, /* overlong */
    {"\xed\xa0\x80\xf4\x90\x80\x80", "???????"},
    {"\xe4\xb8"
     "x",
     "??"
     "x"},
    {"", ""},
};

START_TEST(test_str_utf8)
{
    char text[64];

    strcpy(text, utf8[_i].text);
    str_printable_utf8(text);
    ck_assert_str_eq(text, utf8[_i].printable);
}
END_TEST

START_TEST(test_str_words)
{
    static const char *const want[] = {"a", "bc", "d"};
    const char *pos = " ,a\t bc,,\r\nd ,", *word;
    size_t len, n = 0;

    while ((word = str_next_word(&pos, &len)) != NULL) {
        ck_assert_uint_lt(n, 3);
        ck_assert_uint_eq(len, strlen(want[n]));
        ck_assert_mem_eq(word, want[n], len);
        n++;
    }
    ck_assert_uint_eq(n, 3);
    ck_assert_ptr_null(str_next_word(&pos, &len));
    ck_assert(str_in_list("x, Bc", "bC") && !str_in_list("x, bcd", "bc"));
    ck_assert(!str_in_list("", "") && !str_in_list("a", ""));
}
END_TEST

START_TEST(test_err)
{
    struct mxhop_error err;
    char big[2000];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    ck_assert_int_eq(err_set(&err, MXHOP_ERR_IO, "a\nb %s", big), MXHOP_ERR_IO);
    ck_assert_int_eq(err.code, MXHOP_ERR_IO);
    ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
    ck_assert_int_eq(strncmp(err.text, "a?b xxx", 7), 0);
    ck_assert_int_eq(err_set(NULL, MXHOP_ERR_DNS, "x"), MXHOP_ERR_DNS);
    ck_assert_int_eq(err_nomem(&err), MXHOP_ERR_MEMORY);
    ck_assert_str_eq(err.text, "out of memory");
}
END_TEST

static void keep_line(void *ctx, int level, const char *line)
{
    char *out = ctx;

    out[0] = (char)('0' + level);
    strncpy(out + 1, line, 1000);
}

START_TEST(test_log)
{
    char line[1002] = "";
    struct log log = {keep_line, line}, none = {0};

    log_warn(&log, "%s\n", "a\tb");
    ck_assert_str_eq(line, "0a?b?");
    log_info(&log, "x");
    ck_assert_str_eq(line, "1x");
    log_warn(&none, "to nobody");
}
END_TEST

START_TEST(test_hash_is_stable)
{
    /* Machines of different releases must agree on the order of ties. */
    ck_assert(hash_bytes(0, "", 0) == 0x2d06800538d394c2ull);
    ck_assert(hash_bytes(1, "mx", 2) != hash_bytes(2, "mx", 2));
    ck_assert(hash_bytes(1, "mx", 2) == hash_bytes(1, "mx", 2));
    ck_assert(hash_bytes(1, "mx", 2) != hash_bytes(1, "my", 2));
}
END_TEST

static char ground[64];

/* "" where the directory is opened, else the reason. */
static const char *way_of(const char *path)
{
    static char way[PATH_MAX];
    char whole[160];
    int fd;

    snprintf(whole, sizeof(whole), "%s/%s", ground, path);
    fd = file_open_dir(whole, way);
    if (fd >= 0) {
        close(fd);
        return "";
    }
    return errno != 0
               ? strerror(errno)
               : way + (strlen(way) > strlen(ground) ? strlen(ground) : 0);
}

static void on_ground(const char *command)
{
    char whole[256];

    snprintf(whole, sizeof(whole), "cd %s && %s", ground, command);
    ck_assert_msg(system(whole) == 0, "%s", whole);
}

START_TEST(test_no_stranger_leads_root)
{
    strcpy(ground, "/tmp/mxhop-util-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(ground));
    on_ground("mkdir -p a/b s/b o/b w/b && ln -s a/b link && ln -s /tmp abs && "
              "ln -s loop loop && touch file && ln -s ../a s/up && "
              "ln -s ../a w/up");
    ck_assert_str_eq(way_of(""), "");
    ck_assert_str_eq(way_of("a//b/"), "");
    ck_assert_str_eq(way_of("link/../b"), "");
    ck_assert_str_eq(way_of("abs"), "");
    ck_assert_str_eq(way_of("s/up/b"), "");
    ck_assert_str_eq(way_of("none"), "No such file or directory");
    ck_assert_str_eq(way_of("file"), "Not a directory");
    ck_assert_str_eq(way_of("loop"), strerror(ELOOP));
    if (geteuid() == 0) {
        on_ground("chown 65534 o && chmod 1777 s && chmod 775 w && "
                  "chown -h 65534 link");
        ck_assert_str_eq(way_of("o"), "");
        ck_assert_str_eq(way_of("o/b"), "/o");
        ck_assert_str_eq(way_of("s/b"), "");
        ck_assert_str_eq(way_of("s/up/b"), "/s/up");
        ck_assert_str_eq(way_of("w/b"), "/w");
        ck_assert_str_eq(way_of("w/up"), "/w");
        ck_assert_str_eq(way_of("link"), "/link");
    }
    on_ground("rm -r a s o w link abs loop file");
    rmdir(ground);
}
END_TEST

START_TEST(test_clock)
{
    uint64_t before = clock_boot_ms();

    ck_assert(clock_boot_ms() >= before);
    ck_assert(clock_wall_s() > 1600000000);
}
END_TEST

START_TEST(test_str_trim)
{
    char text[] = " \t a b\r\n", blank[] = " \v\f ";

    ck_assert_str_eq(str_trim(text), "a b");
    ck_assert_str_eq(str_trim(blank), "");
    ck_assert(str_is_space('\n') && !str_is_space('\0') && !str_is_space('x'));
}
END_TEST

START_TEST(test_vec_room)
{
    uint32_t *v = NULL;
    size_t cap = 0;

    for (uint32_t n = 0; n < 1000; n++) {
        ck_assert(vec_room(&v, n, &cap, sizeof(*v)));
        ck_assert_uint_lt(n, cap);
        v[n] = n;
    }
    for (uint32_t n = 0; n < 1000; n++)
        ck_assert_uint_eq(v[n], n);
    cap = SIZE_MAX / 2; /* what cannot be had leaves all as it was */
    ck_assert(!vec_room(&v, cap, &cap, sizeof(*v)));
    ck_assert_uint_eq(cap, SIZE_MAX / 2);
    ck_assert_uint_eq(v[999], 999);
    free(v);
}
END_TEST

/* What a text comes to: a line "NAME=VALUE;" each, the end as a number. */
static const struct {
    const char *text, *want;
} maincf_texts[] = {
    {"", "1"},
    {"# only\n\n \t\n", "1"},
    {"a = b", "1:a=b;1"},
    {"a=b\n  c\n# x\n\n\td \ne =\n", "1:a=b c d;6:e=;1"},
    {"\n\n = v\n", "3:4"},
    {" \n= v\n", "2:=v;1"},
    {"a = b\nc\n", "1:a=b;2:5"},
    {"# x\n  # y\n z\n", "3:4"},
};

static void say_maincf(const char *text, size_t len, struct buf *out)
{
    struct maincf m = {.at = text, .end = text + len};
    enum maincf_next next;

    while ((next = maincf_next(&m)) == MAINCF_PARAMETER)
        buf_printf(out, "%zu:%s=%s;", m.line, m.name, m.value);
    if (next != MAINCF_END)
        buf_printf(out, "%zu:", m.line);
    buf_printf(out, "%d",
               next == MAINCF_END        ? 1
               : next == MAINCF_NUL      ? 3
               : next == MAINCF_DANGLING ? 4
                                         : 5);
    maincf_free(&m);
}

START_TEST(test_maincf)
{
    const char *text = maincf_texts[_i].text;
    struct buf out = {0};

    say_maincf(text, strlen(text), &out);
    ck_assert_str_eq(out.data, maincf_texts[_i].want);
    buf_free(&out);
    say_maincf("a = b\n#\0\nc = d", 15, &out);
    ck_assert_str_eq(out.data, "2:3");
    buf_free(&out);
}
END_TEST

START_TEST(test_file)
{
    char path[] = "/tmp/test_utilXXXXXX", text[8];
    struct stat st;
    int fd = mkstemp(path);

    ck_assert_int_eq(write(fd, "12345", 5), 5);
    close(fd);
    fd = file_open(path, &st);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(st.st_size, 5);
    ck_assert_int_eq(file_read(fd, text, 3), 3);
    ck_assert_int_eq(file_read(fd, text, sizeof(text)), 2);
    close(fd);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(file_open(path, &st), -1);
    ck_assert_int_eq(errno, ENOENT);
    /* With nobody who would write: it must not wait. */
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(file_open(path, &st), -1);
    ck_assert_int_eq(errno, 0);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("util");
    TCase *t = tcase_create("util");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_buf_grows);
    tcase_add_test(t, test_buf_empty_detaches_as_text);
    tcase_add_test(t, test_buf_failure_sticks);
    tcase_add_test(t, test_buf_absurd_size);
    tcase_add_test(t, test_str);
    tcase_add_loop_test(t, test_str_utf8, 0,
                        (int)(sizeof(utf8) / sizeof(utf8[0])));
    tcase_add_test(t, test_str_words);
    tcase_add_test(t, test_str_trim);
    tcase_add_test(t, test_vec_room);
    tcase_add_loop_test(t, test_maincf, 0,
                        sizeof(maincf_texts) / sizeof(maincf_texts[0]));
    tcase_add_test(t, test_file);
    tcase_add_test(t, test_err);
    tcase_add_test(t, test_log);
    tcase_add_test(t, test_hash_is_stable);
    tcase_add_test(t, test_no_stranger_leads_root);
    tcase_add_test(t, test_clock);
    return suite_run(s);
}
