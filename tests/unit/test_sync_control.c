/* Wire bytes of RFC 4533's controls. */

#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "ldap/sync_control.h"

#define BV(text)                         \
    &(struct berval)                     \
    {                                    \
        sizeof(text) - 1, (char *)(text) \
    }
#define UUID "0123456789abcdef"

START_TEST(request)
{
    struct berval v;

    ck_assert_int_eq(
        sync_request(SYNC_REFRESH_ONLY, (struct sync_bytes){0}, &v), MXHOP_OK);
    ck_assert_mem_eq(v.bv_val, "\x30\x03\x0a\x01\x01", 5);
    ck_assert_uint_eq(v.bv_len, 5);
    ber_memfree(v.bv_val);
    ck_assert_int_eq(sync_request(SYNC_REFRESH_AND_PERSIST,
                                  (struct sync_bytes){"ab", 2}, &v),
                     MXHOP_OK);
    ck_assert_uint_eq(v.bv_len, 9);
    ck_assert_mem_eq(v.bv_val,
                     "\x30\x07\x0a\x01\x03\x04\x02"
                     "ab",
                     9);
    ber_memfree(v.bv_val);
}
END_TEST

START_TEST(entry)
{
    struct sync_entry e;

    ck_assert(sync_parse_entry(BV("\x30\x15\x0a\x01\x02\x04\x10" UUID), &e));
    ck_assert_int_eq(e.state, SYNC_MODIFY);
    ck_assert_mem_eq(e.uuid, UUID, 16);
    ck_assert_uint_eq(e.cookie.len, 0);
    ck_assert(sync_parse_entry(
        BV("\x30\x19\x0a\x01\x03\x04\x10" UUID "\x04\x02xy"), &e));
    ck_assert_int_eq(e.state, SYNC_DELETE);
    ck_assert_uint_eq(e.cookie.len, 2);
    ck_assert_mem_eq(e.cookie.data, "xy", 2);
}
END_TEST

static const struct {
    const char *what;
    struct berval v;
} bad_entries[] = {
#define BAD(what, text)                      \
    {                                        \
        what,                                \
        {                                    \
            sizeof(text) - 1, (char *)(text) \
        }                                    \
    }
    BAD("nothing", ""),
    BAD("no UUID", "\x30\x03\x0a\x01\x01"),
    BAD("short UUID", "\x30\x14\x0a\x01\x01\x04\x0f"
                      "0123456789abcde"),
    BAD("unknown state", "\x30\x15\x0a\x01\x04\x04\x10" UUID),
    BAD("long state", "\x30\x16\x0a\x02\x00\x01\x04\x10" UUID),
    BAD("cut", "\x30\x15\x0a\x01\x01\x04\x10"
               "0123456789abcde"),
    BAD("something behind it", "\x30\x15\x0a\x01\x01\x04\x10" UUID "x"),
    BAD("something inside it", "\x30\x17\x0a\x01\x01\x04\x10" UUID "\x05\x00"),
    BAD("indefinite length", "\x30\x80\x0a\x01\x01\x04\x10" UUID "\0\0"),
    BAD("huge length", "\x30\x84\xff\xff\xff\xff\x0a\x01\x01\x04\x10" UUID),
    BAD("length of five octets", "\x30\x85\x00\x00\x00\x00\x15\x0a\x01\x01"
                                 "\x04\x10" UUID),
};

START_TEST(entry_bad)
{
    struct sync_entry e;

    ck_assert_msg(!sync_parse_entry(&bad_entries[_i].v, &e), "%s",
                  bad_entries[_i].what);
}
END_TEST

START_TEST(done)
{
    struct sync_done d;

    ck_assert(sync_parse_done(BV("\x30\x00"), &d));
    ck_assert_uint_eq(d.cookie.len, 0);
    ck_assert(!d.refresh_deletes);
    ck_assert(sync_parse_done(BV("\x30\x08\x04\x03"
                                 "abc\x01\x01\xff"),
                              &d));
    ck_assert_uint_eq(d.cookie.len, 3);
    ck_assert(d.refresh_deletes);
    ck_assert(sync_parse_done(BV("\x30\x03\x01\x01\x00"), &d));
    ck_assert(!d.refresh_deletes);
    ck_assert(!sync_parse_done(BV("\x30\x03\x01\x02\x00"), &d));
    ck_assert(!sync_parse_done(BV("\x31\x00"), &d));
    /* The order of members is fixed. */
    ck_assert(!sync_parse_done(BV("\x30\x08\x01\x01\xff\x04\x03"
                                  "abc"),
                               &d));
    ck_assert(!sync_parse_done(&(struct berval){0, NULL}, &d));
}
END_TEST

START_TEST(cookie_too_long)
{
    unsigned char bytes[8 + 5000] = {0x30, 0x82, 0x10, 0x04 + 1,
                                     0x04, 0x82, 0x10, 0x01};
    struct sync_done d;

    ck_assert(
        !sync_parse_done(&(struct berval){4 + 4 + 4097, (char *)bytes}, &d));
    bytes[3]--;
    bytes[7]--;
    ck_assert(
        sync_parse_done(&(struct berval){4 + 4 + 4096, (char *)bytes}, &d));
    ck_assert_uint_eq(d.cookie.len, 4096);
}
END_TEST

START_TEST(info)
{
    struct sync_info i;

    ck_assert_int_eq(sync_parse_info(BV("\x80\x02"
                                        "ck"),
                                     &i),
                     MXHOP_OK);
    ck_assert_int_eq(i.kind, SYNC_NEW_COOKIE);
    ck_assert_mem_eq(i.cookie.data, "ck", 2);
    ck_assert_int_eq(sync_parse_info(BV("\xa1\x00"), &i), MXHOP_OK);
    ck_assert_int_eq(i.kind, SYNC_REFRESH_DELETE);
    ck_assert(i.refresh_done); /* by default */
    ck_assert_int_eq(sync_parse_info(BV("\xa2\x07\x04\x02"
                                        "ck\x01\x01\x00"),
                                     &i),
                     MXHOP_OK);
    ck_assert_int_eq(i.kind, SYNC_REFRESH_PRESENT);
    ck_assert(!i.refresh_done);
}
END_TEST

START_TEST(info_set)
{
    struct sync_info i;

    ck_assert_int_eq(sync_parse_info(BV("\xa3\x29\x01\x01\xff\x31\x24"
                                        "\x04\x10" UUID "\x04\x10"
                                        "ABCDEFGHIJKLMNOP"),
                                     &i),
                     MXHOP_OK);
    ck_assert_int_eq(i.kind, SYNC_ID_SET);
    ck_assert(i.refresh_deletes);
    ck_assert_uint_eq(i.n_uuids, 2);
    ck_assert_mem_eq(i.uuids, UUID "ABCDEFGHIJKLMNOP", 32);
    free(i.uuids);
    ck_assert_int_eq(sync_parse_info(BV("\xa3\x02\x31\x00"), &i), MXHOP_OK);
    ck_assert(!i.refresh_deletes);
    ck_assert_uint_eq(i.n_uuids, 0);
}
END_TEST

START_TEST(info_bad)
{
    static const struct berval v[] = {
        {0, (char *)""},
        {2, (char *)"\xa4\x00"},
        {2, (char *)"\xa3\x00"}, /* no set */
        {4, (char *)"\xa3\x02\x31\x01"},
        {3, (char *)"\x80\x00x"},
        {2 + 2 + 17, (char *)"\xa3\x13\x31\x11\x04\x0f"
                             "0123456789abcde"},
        {2 + 2 + 18 + 1, (char *)"\xa3\x15\x31\x13\x04\x10" UUID "\x04"},
    };

    for (size_t n = 0; n < sizeof(v) / sizeof(v[0]); n++) {
        struct sync_info i;

        ck_assert_msg(sync_parse_info(&v[n], &i) == MXHOP_ERR_SYNTAX, "%zu", n);
        ck_assert_ptr_null(i.uuids);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sync_control");
    TCase *t = tcase_create("all");

    suite_add_tcase(s, t);
    tcase_add_test(t, request);
    tcase_add_test(t, entry);
    tcase_add_loop_test(t, entry_bad, 0,
                        sizeof(bad_entries) / sizeof(bad_entries[0]));
    tcase_add_test(t, done);
    tcase_add_test(t, cookie_too_long);
    tcase_add_test(t, info);
    tcase_add_test(t, info_set);
    tcase_add_test(t, info_bad);
    return suite_run(s);
}
