/* Cookies of OpenLDAP, and those of others, which stay as they are. */

#include <stdio.h>
#include <string.h>
#include "support/suite.h"
#include "ldap/sync_cookie.h"

#define A1 "20261125213841.000001Z#000000#001#000000"
#define A2 "20261125213841.000002Z#000000#001#000000"
#define B1 "20261125213841.000003Z#000000#002#000000"
#define B2 "20261125213841.000004Z#000000#002#000000"
#define C1 "20261125213841.000005Z#000000#0af#000000"

static struct sync_bytes bytes(const char *text)
{
    return (struct sync_bytes){text, strlen(text)};
}

static void must_be(const struct sync_cookie *c, const char *text)
{
    ck_assert_msg(c->len == strlen(text) && memcmp(c->text, text, c->len) == 0,
                  "%.*s", (int)c->len, c->text);
}

static const struct {
    const char *was, *to, *is;
} advances[] = {
    {"rid=000,sid=001,csn=" A1 ";" B1, "rid=000,sid=001,csn=" B2,
     "rid=000,sid=001,csn=" A1 ";" B2},
    {"rid=000,csn=" A1 ";" B1, "rid=000,sid=002,csn=" A2,
     "rid=000,sid=002,csn=" A2 ";" B1},
    {"rid=000,csn=" A1, "rid=000,csn=" B1, "rid=000,csn=" A1 ";" B1},
    {"rid=000,csn=" A1 ";" B1, "rid=000,csn=" A2 ";" C1,
     "rid=000,csn=" A2 ";" B1 ";" C1},
    {"rid=000,csn=" A1 ";" B1, "rid=000,csn=" A2 ",delcsn=" B1,
     "rid=000,csn=" A2 ";" B1 ",delcsn=" B1},
    {"rid=000,csn=" A1, "rid=000,csn=" A2, "rid=000,csn=" A2},
    /* Of other makes, or of none. */
    {"", "rid=000,csn=" A1, "rid=000,csn=" A1},
    {"rid=000,csn=" A1, "rid=000", "rid=000"},
    {"rid=000,csn=" A1, "an,csn=opaque", "an,csn=opaque"},
    {"an,csn=opaque", "another", "another"},
    {"rid=000,csn=;;#,x", "rid=000,csn=###,y", "rid=000,csn=###,y"},
    {"rid=000,csn=", "rid=000,csn=", "rid=000,csn="},
};

START_TEST(advance)
{
    struct sync_cookie c;

    sync_cookie_set(&c, bytes(advances[_i].was));
    sync_cookie_advance(&c, bytes(advances[_i].to));
    must_be(&c, advances[_i].is);
}
END_TEST

/* More than fits together: then the new one alone, which is right as well. */
START_TEST(too_long_together)
{
    struct sync_cookie c;
    char was[SYNC_COOKIE_MAX + 1] = "rid=000,csn=";
    char to[] = "rid=000,csn=" B2;
    size_t n = strlen(was);

    for (unsigned sid = 0x100; n + strlen(A1) + 1 < sizeof(was); sid++)
        n +=
            (size_t)snprintf(was + n, sizeof(was) - n,
                             "20261125213841.000001Z#000000#%03x#000000;", sid);
    was[--n] = '\0';
    sync_cookie_set(&c, bytes(was));
    sync_cookie_advance(&c, bytes(to));
    ck_assert(c.len == strlen(to) || c.len == n + 1 + strlen(B2));
    memset(was + n, 'x', SYNC_COOKIE_MAX - n);
    sync_cookie_set(&c, bytes(was));
    sync_cookie_advance(&c, bytes(to));
    must_be(&c, to);
}
END_TEST

static const struct {
    const char *was, *is;
} senders[] = {
    {"rid=000,sid=001,csn=" A1, "rid=000,csn=" A1},
    {"rid=000,sid=001", "rid=000"},
    {"rid=000,csn=" A1, "rid=000,csn=" A1},
    {"x,sid=001,csn=", "x,sid=001,csn="},
    {"rid", "rid"},
    {"", ""},
};

START_TEST(drop_sender)
{
    struct sync_cookie c;

    sync_cookie_set(&c, bytes(senders[_i].was));
    sync_cookie_drop_sender(&c);
    must_be(&c, senders[_i].is);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("sync_cookie");
    TCase *t = tcase_create("all");

    tcase_add_loop_test(t, advance, 0, N(advances));
    tcase_add_test(t, too_long_together);
    tcase_add_loop_test(t, drop_sender, 0, N(senders));
    suite_add_tcase(suite, t);
    return suite_run(suite);
}
