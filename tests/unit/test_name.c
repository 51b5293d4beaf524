/* Names: in a message, as octets, as text. */

#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/suite.h"
#include "unit/wire_build.h"
#include "dns/name.h"
#include "dns/reply.h"

static struct build m;

static void begin(void)
{
    memset(&m, 0, sizeof(m));
    m.len = 12;
}

/* Read the name at `at` from an allocation of the message's exact size. */
static bool read_at(size_t at, char *text, size_t *end_r)
{
    uint8_t *copy = malloc(m.len);
    struct cursor c = {.msg = copy, .len = m.len, .pos = at};
    struct wire_name n;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, m.b, m.len);
    wire_name_read(&c, &n);
    free(copy);
    if (c.failed) {
        ck_assert_uint_eq(n.len, 0);
        return false;
    }
    wire_name_print(&n, text);
    *end_r = c.pos;
    return true;
}

static void put_labels(const int *lengths)
{
    for (; *lengths >= 0; lengths++) {
        put8(&m, (unsigned)*lengths);
        memset(m.b + m.len, 'a', (size_t)*lengths);
        m.len += (size_t)*lengths;
    }
}

static const struct {
    int lengths[6];
    bool good;
} sizes[] = {
    {{63, 63, 63, 61, 0, -1}, true},  /* 255 octets */
    {{63, 63, 63, 62, 0, -1}, false}, /* 256 */
    {{63, 63, 63, 63, 0, -1}, false},
    {{63, 0, -1}, true},
    {{64, 0, -1}, false},  /* reserved label type 01 */
    {{128, 0, -1}, false}, /* 10 */
    {{0, -1}, true},
    {{3, -1}, false}, /* no end */
};

START_TEST(test_sizes)
{
    char text[WIRE_NAME_TEXT];
    size_t end;

    begin();
    put_labels(sizes[_i].lengths);
    ck_assert_int_eq(read_at(12, text, &end), sizes[_i].good);
    if (sizes[_i].good)
        ck_assert_uint_eq(end, m.len);
}
END_TEST

START_TEST(test_255_through_pointer)
{
    static const int tail[] = {63, 63, 63, 0, -1}; /* 193 octets */
    char text[WIRE_NAME_TEXT];
    size_t end, at;

    for (unsigned first = 61; first <= 62; first++) {
        begin();
        put_labels(tail);
        at = m.len;
        put_labels((int[]){(int)first, -1});
        put_pointer(&m, 12);
        ck_assert_int_eq(read_at(at, text, &end), first == 61);
    }
}
END_TEST

/* Every byte as a label alone and among others, against libresolv. */
START_TEST(test_every_byte)
{
    char text[WIRE_NAME_TEXT], expected[NS_MAXDNAME];
    struct wire_name parsed, again;
    size_t end;

    begin();
    put8(&m, 3);
    put8(&m, 'x');
    put8(&m, (unsigned)_i);
    put8(&m, 'y');
    put_name(&m, "example");
    ck_assert(read_at(12, text, &end));
    if (_i >= 'A' && _i <= 'Z')
        m.b[14] = (uint8_t)(_i + 32);
    ck_assert_int_gt(ns_name_ntop(m.b + 12, expected, sizeof(expected)), 0);
    ck_assert_str_eq(text, expected);
    for (const char *p = text; *p != '\0'; p++)
        ck_assert(*p > ' ' && *p <= '~');
    ck_assert(wire_name_parse(text, &parsed));
    ck_assert_uint_eq(parsed.len, 13);
    ck_assert_mem_eq(parsed.octets, m.b + 12, 13);
    snprintf(expected, sizeof(expected), "x\\%03dy.example.", _i);
    ck_assert(wire_name_parse(expected, &again));
    ck_assert(wire_name_equal(&parsed, &again));
}
END_TEST

/* 255 octets of bytes that are all escaped fill the text, and no more. */
START_TEST(test_longest_text)
{
    char text[WIRE_NAME_TEXT];
    struct wire_name parsed;
    size_t end;

    begin();
    for (int i = 0; i < 4; i++) {
        put8(&m, i < 3 ? 63 : 61);
        memset(m.b + m.len, 0xff, 63);
        m.len += i < 3 ? 63 : 61;
    }
    put8(&m, 0);
    ck_assert(read_at(12, text, &end));
    ck_assert_uint_eq(strlen(text), 250 * 4 + 3);
    ck_assert(wire_name_parse(text, &parsed));
    ck_assert_uint_eq(parsed.len, 255);
}
END_TEST

START_TEST(test_pointers)
{
    char text[WIRE_NAME_TEXT];
    size_t end, at;

    begin();
    put_name(&m, "Example.COM"); /* octets 12 to 24 */
    at = m.len;
    put8(&m, 1);
    put8(&m, 'a');
    put_pointer(&m, 12);
    put8(&m, 99); /* not of the name */
    ck_assert(read_at(at, text, &end));
    ck_assert_str_eq(text, "a.example.com");
    ck_assert_uint_eq(end, at + 4);
    ck_assert(read_at(at + 2, text, &end)); /* a bare pointer */
    ck_assert_str_eq(text, "example.com");

    static const struct {
        size_t to;
        bool good;
    } cases[] = {
        {20, true},      {12, true}, {11, false},
        {0, false},      {24, true}, /* the root's octet */
        {0x3fff, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        poke16(&m, at + 2, 0xc000u | (unsigned)cases[i].to);
        ck_assert_msg(read_at(at, text, &end) == cases[i].good, "to %zu",
                      cases[i].to);
    }
    for (size_t to = at; to < m.len + 2; to++) { /* itself and forward */
        poke16(&m, at + 2, 0xc000u | (unsigned)to);
        ck_assert(!read_at(at, text, &end));
    }
}
END_TEST

/* Two pointers at each other; a pointer into the labels it belongs to. */
START_TEST(test_loops)
{
    char text[WIRE_NAME_TEXT];
    size_t end;

    begin();
    put_pointer(&m, 14);
    put_pointer(&m, 12);
    ck_assert(!read_at(12, text, &end));
    ck_assert(!read_at(14, text, &end));
    begin();
    put8(&m, 1);
    put8(&m, 'a');
    put_pointer(&m, 12);
    ck_assert(!read_at(12, text, &end));
    begin();
    put_pointer(&m, 12);
    ck_assert(!read_at(12, text, &end));
}
END_TEST

/* A chain of bare pointers, each to the one before. */
START_TEST(test_hops)
{
    char text[WIRE_NAME_TEXT];
    size_t end;

    begin();
    put8(&m, 0);
    put_pointer(&m, 12);
    for (int hops = 1; hops < 300; hops++) {
        ck_assert_msg(read_at(m.len - 2, text, &end) == (hops <= WIRE_HOPS_MAX),
                      "%d hops", hops);
        put_pointer(&m, m.len - 2);
    }
}
END_TEST

START_TEST(test_cut)
{
    static const int labels[] = {5, 63, 1, 7, 0, -1};
    char text[WIRE_NAME_TEXT];
    size_t whole, end;

    begin();
    put_labels(labels);
    whole = m.len;
    for (m.len = 12; m.len < whole; m.len++)
        ck_assert(!read_at(12, text, &end));
    ck_assert(read_at(12, text, &end));
}
END_TEST

static const struct {
    const char *text, *canonical; /* NULL: refused */
} texts[] = {
    {"Example.COM", "example.com"},
    {"example.com.", "example.com"},
    {".", "."},
    {"", NULL},
    {"..", NULL},
    {".a", NULL},
    {"a..b", NULL},
    {"a\\.b.c", "a\\.b.c"},
    {"a\\046b", "a\\.b"},
    {"\\097", "a"},
    {"\\065", "a"},
    {"a\\", NULL},
    {"a\\1", NULL},
    {"a\\12", NULL},
    {"a\\12x", NULL},
    {"a\\256", NULL},
    {"a\\255", "a\\255"},
    {"a b", "a\\032b"},
    {"a,b;c@d$e(f)g\"h", "a,b\\;c\\@d\\$e\\(f\\)g\\\"h"},
    {"\xc3\xa4", "\\195\\164"},
    {"_dmarc.x", "_dmarc.x"},
    {"\\\\", "\\\\"},
};

START_TEST(test_parse)
{
    char text[WIRE_NAME_TEXT];
    struct wire_name n;
    bool good = wire_name_parse(texts[_i].text, &n);

    ck_assert_msg(good == (texts[_i].canonical != NULL), "%s", texts[_i].text);
    if (!good)
        return;
    wire_name_print(&n, text);
    ck_assert_str_eq(text, texts[_i].canonical);
}
END_TEST

START_TEST(test_parse_limits)
{
    char text[300];
    struct wire_name n;

    for (size_t len = 1; len < 260; len++) { /* labels of 49 and a dot */
        for (size_t i = 0; i < len; i++)
            text[i] = i % 50 == 49 ? '.' : 'a';
        text[len] = '\0';
        ck_assert_msg(wire_name_parse(text, &n) ==
                          (len - (len % 50 == 0) <= 253),
                      "%zu", len);
    }
    memset(text, 'a', 64);
    text[63] = '\0';
    ck_assert(wire_name_parse(text, &n));
    text[63] = 'a';
    text[64] = '\0';
    ck_assert(!wire_name_parse(text, &n));
}
END_TEST

static const struct {
    const char *name, *zone;
    bool within;
} zones[] = {
    {"a.example.com", "example.com", true},
    {"example.com", "example.com", true},
    {"example.com", ".", true},
    {".", ".", true},
    {".", "com", false},
    {"com", "example.com", false},
    {"aexample.com", "example.com", false},
    {"a.example.org", "example.com", false},
    {"x\\007example.com", "example.com", false},
};

START_TEST(test_within)
{
    struct wire_name n, z;

    ck_assert(wire_name_parse(zones[_i].name, &n));
    ck_assert(wire_name_parse(zones[_i].zone, &z));
    ck_assert_int_eq(wire_name_within(&n, &z), zones[_i].within);
}
END_TEST

START_TEST(test_cursor)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct cursor c = {.msg = bytes, .len = sizeof(bytes)};

    ck_assert_uint_eq(cursor_u8(&c), 1);
    ck_assert_uint_eq(cursor_u16(&c), 0x0203);
    ck_assert_uint_eq(cursor_u32(&c), 0x04050607);
    ck_assert(!c.failed);
    ck_assert_uint_eq(cursor_u16(&c), 0); /* one octet is left */
    ck_assert(c.failed);
    ck_assert_uint_eq(cursor_u8(&c), 0); /* sticky */
    ck_assert_ptr_null(cursor_bytes(&c, 0));
    c = (struct cursor){.msg = bytes, .len = sizeof(bytes), .pos = 1};
    cursor_skip(&c, SIZE_MAX);
    ck_assert(c.failed);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *s = suite_create("name");
    TCase *t = tcase_create("name");

    tcase_add_loop_test(t, test_sizes, 0, COUNT(sizes));
    tcase_add_test(t, test_255_through_pointer);
    tcase_add_loop_test(t, test_every_byte, 0, 256);
    tcase_add_test(t, test_longest_text);
    tcase_add_test(t, test_pointers);
    tcase_add_test(t, test_loops);
    tcase_add_test(t, test_hops);
    tcase_add_test(t, test_cut);
    tcase_add_loop_test(t, test_parse, 0, COUNT(texts));
    tcase_add_test(t, test_parse_limits);
    tcase_add_loop_test(t, test_within, 0, COUNT(zones));
    tcase_add_test(t, test_cursor);
    suite_add_tcase(s, t);
    return suite_run(s);
}
