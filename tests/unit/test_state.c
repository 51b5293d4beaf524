/* What a refresh leaves beside the table, and what a reader makes of it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "support/suite.h"
#include "source/state.h"

static char dir[64], table[80], path[96];
static struct state out, in;
static struct mxhop_error err;

static void setup(void)
{
    strcpy(dir, "/tmp/mxhop-state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(table, sizeof(table), "%s/overrides", dir);
    snprintf(path, sizeof(path), "%s.state", table);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(all_comes_back)
{
    struct stat st;

    out = (struct state){.read_s = 1800000000,
                         .tried_s = 1800000060,
                         .error = "x.ldif:3: a \"quote\"\tand \\",
                         .source = "ldap",
                         .table = "00112233445566778899aabbccddeeff",
                         .entries = 7,
                         .held_back = 31,
                         .held = {"cn=a", "cn=S\xc3\xb6hne\xf0\x9f\x93\xae"},
                         .n_held = 2,
                         .kept_count = 1,
                         .kept = {{"cn=k", 1700000000, "mxhopHop: no"}},
                         .n_kept = 1,
                         .left_out = 3,
                         .follower_pid = 4711,
                         .follower_alive_s = 1800000055};
    ck_assert_int_eq(state_write(table, &out, &err), MXHOP_OK);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

START_TEST(no_file)
{
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_int_eq(in.tried_s, 0);
}
END_TEST

START_TEST(unknown_members_are_passed_over)
{
    put("{ \"new\": {\"a\":[1,{\"b\":null}],\"c\":\"}\"}, \"entries\" : 5,\n"
        "\"follower\":null, \"error\":null, \"read\":null, \"x\":true }");
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_uint_eq(in.entries, 5);
}
END_TEST

static const char *const damaged[] = {
    "",
    "{",
    "[]",
    "{\"entries\":}",
    "{\"entries\":-1}",
    "{\"read\":\"today\"}",
    "{\"error\":\"a",
    "{\"error\":\"\\u00\"}",
    "{\"error\":\"\\u0000\"}",
    "{\"error\":\"\\",
    "{\"kept\":[{\"dn\":}]}",
    "{\"held\":[1]}",
    "{\"entries\":1 \"left_out\":1}",
    "{\"entries\":1} {\"entries\":1}",
    "{\"source\":\"\xff\"}",
    /* JSON, but not of these types. */
    "[{\"entries\":1}]",
    "{\"entries\":\"1\"}",
    "{\"entries\":1.5}",
    "{\"entries\":true}",
    "{\"entries\":4294967296}",
    "{\"entries\":99999999999999999999}",
    "{\"left_out\":[]}",
    "{\"read\":1800000000}",
    "{\"tried\":{}}",
    "{\"error\":5}",
    "{\"source\":[\"ldap\"]}",
    "{\"table\":false}",
    "{\"held\":\"cn=a\"}",
    "{\"held\":[\"cn=a\",null]}",
    "{\"kept\":{\"dn\":\"cn=a\"}}",
    "{\"kept\":[\"cn=a\"]}",
    "{\"kept\":[{\"dn\":[]}]}",
    "{\"kept\":[{\"since\":0}]}",
    "{\"follower\":4711}",
    "{\"follower\":{\"pid\":\"4711\"}}",
    "{\"follower\":{\"pid\":-1}}",
    "{\"follower\":{\"pid\":2147483648}}",
};

START_TEST(damage)
{
    put(damaged[_i]);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, ".state: is damaged"));
    ck_assert_int_eq(in.tried_s, 0);
}
END_TEST

/* What is passed over may be nested, but no stack is filled by it. */
START_TEST(deep_nesting)
{
    static const char *const opens[] = {"[", "{\"a\":"};
    FILE *f = fopen(path, "w");

    fputs("{\"x\":", f);
    for (int n = 0; n < 80000; n++)
        fputs(opens[_i], f);
    fclose(f);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, ".state: is damaged"));
    put("{\"x\":[[[[[[[[[[[[]]]]]]]]]]]],\"entries\":5}");
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_uint_eq(in.entries, 5);
}
END_TEST

/* Every prefix of a file is damaged, and none is read beyond its end. */
START_TEST(cut)
{
    char text[4096];
    size_t n;
    FILE *f;

    out = (struct state){.tried_s = 1, .held = {"\xc3\xb6"}, .n_held = 1};
    ck_assert_int_eq(state_write(table, &out, &err), MXHOP_OK);
    f = fopen(path, "r");
    n = fread(text, 1, sizeof(text), f);
    fclose(f);
    for (n -= 2; n > 0; n--) {
        text[n] = '\0';
        put(text);
        ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
    }
}
END_TEST

START_TEST(more_than_fits)
{
    size_t n;
    FILE *f = fopen(path, "w");

    fputs("{\"held\":[\"\"", f);
    for (n = 0; n < 50; n++)
        fputs(",\"cn=x\"", f);
    /* Of its last character only one octet would fit. */
    fputs("],\"source\":\"", f);
    for (n = 0; n < 500; n++)
        fputs("\xc3\xb6", f);
    fputs("\"}", f);
    fclose(f);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_uint_eq(in.n_held, STATE_LIST);
    ck_assert_uint_eq(strlen(in.source), sizeof(in.source) - 2);
    ck_assert_int_eq(truncate(path, 1 << 20), 0);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
}
END_TEST

/* As long as it can become: six octets of each control character. */
START_TEST(largest)
{
    out = (struct state){.n_held = STATE_LIST, .n_kept = STATE_LIST};
    memset(out.error, 1, sizeof(out.error) - 1);
    memset(out.source, 1, sizeof(out.source) - 1);
    for (int i = 0; i < STATE_LIST; i++) {
        memset(out.held[i], 1, sizeof(out.held[i]) - 1);
        memset(out.kept[i].dn, 1, sizeof(out.kept[i].dn) - 1);
        memset(out.kept[i].why, 1, sizeof(out.kept[i].why) - 1);
    }
    ck_assert_int_eq(state_write(table, &out, &err), MXHOP_OK);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
    ck_assert_mem_eq(&in, &out, sizeof(in));
}
END_TEST

START_TEST(other_things_under_the_name)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
    unlink(path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_ERR_IO);
    /* A writer puts its own in the place of either. */
    ck_assert_int_eq(state_write(table, &out, &err), MXHOP_OK);
    ck_assert_int_eq(state_read(table, &in, &err), MXHOP_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("state");
    TCase *c = tcase_create("state");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, all_comes_back);
    tcase_add_test(c, no_file);
    tcase_add_test(c, unknown_members_are_passed_over);
    tcase_add_loop_test(c, damage, 0, sizeof(damaged) / sizeof(damaged[0]));
    tcase_add_loop_test(c, deep_nesting, 0, 2);
    tcase_add_test(c, cut);
    tcase_add_test(c, more_than_fits);
    tcase_add_test(c, largest);
    tcase_add_test(c, other_things_under_the_name);
    suite_add_tcase(s, c);
    return suite_run(s);
}
