/* Overrides as LDIF, and back again: an equal override, whatever is in it. */

#include <stdlib.h>
#include <string.h>
#include "support/suite.h"
#include "ldap/attributes.h"
#include "ldap/gentime.h"
#include "source/ldif.h"
#include "overrides/codec.h"
#include "support/failmalloc.h"

struct reading {
    struct override o;
    unsigned n;
    char cn[400];
};

static enum mxhop_status take(void *ctx, const struct raw_entry *raw,
                              struct mxhop_error *err)
{
    struct reading *r = ctx;
    size_t line;

    for (size_t i = 0; i < raw->n_values; i++)
        if (strcmp(raw->values[i].attribute, "cn") == 0 &&
            raw->values[i].len < sizeof(r->cn))
            memcpy(r->cn, raw->values[i].bytes, raw->values[i].len);
    ck_assert_msg(entry_parse(raw, &r->o, &line, err) == ENTRY_OK, "%s",
                  err->text);
    r->n++;
    return MXHOP_OK;
}

/* The cn that was written. */
static const char *round_trip(const struct override *o)
{
    static struct reading r;
    struct mxhop_error err = {0};
    struct buf ldif = {0}, before = {0}, after = {0};

    memset(&r, 0, sizeof(r));
    attributes_ldif(o, &ldif);
    ck_assert(!ldif.failed);
    ck_assert_msg(ldif_read_bytes("test", ldif.data, ldif.len, take, &r,
                                  &err) == MXHOP_OK,
                  "%s in\n%s", err.text, ldif.data);
    ck_assert_uint_eq(r.n, 1);
    override_encode(&before, o);
    override_encode(&after, &r.o);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    override_free(&r.o);
    buf_free(&ldif);
    buf_free(&before);
    buf_free(&after);
    return r.cn;
}

static void add_hop(struct override *o, const char *text)
{
    struct hopspec hop;

    ck_assert_ptr_null(hop_parse(text, &hop));
    ck_assert(override_add_hop(o, &hop));
}

static struct override minimal(const char *dn)
{
    struct override o = {.enabled = true};

    o.dn = strdup(dn);
    strlist_add(&o.keys, "example.com");
    add_hop(&o, "[a.example]");
    return o;
}

START_TEST(names)
{
    static const struct {
        const char *dn, *cn;
    } cases[] = {
        {"cn=plain,dc=example", "plain"},
        {"CN=upper,dc=example", "upper"},
        {"cn=a\\, b,dc=example", "a, b"},
        {"cn=a\\2Cb,dc=example", "a,b"},
        {"ou=x+cn=second,dc=example", "second"},
        {"ou=no cn,dc=example", "no cn"},
        {"cn=caf\xc3\xa9,dc=example", "caf\xc3\xa9"},
        {"cn=\\#hash,dc=example", "#hash"},
        {" cn=space before", "space before"},
        {"cn=space behind ", "space behind"},
        {"cn=line\nobjectClass: organization,dc=example",
         "line\nobjectClass: organization"},
        {"cn=return\rinside", "return\rinside"},
        {"cn=\xff\xfe,dc=example", "\xff\xfe"},
        {"cn=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx folded,dc=a",
         NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct override o = minimal(cases[i].dn);
        const char *cn = round_trip(&o);

        if (cases[i].cn != NULL)
            ck_assert_str_eq(cn, cases[i].cn);
        override_free(&o);
    }
}
END_TEST

START_TEST(everything)
{
    static const char *const hops[] = {"[relay.example]:587", "10 [192.0.2.1]",
                                       "20 [IPv6:2001:db8::1]:25",
                                       "65535 mx.example", "0 [zero.example]"};
    static const char *const reasons[] = {
        "plain", " leading", "trailing ", ": colon", "< file:///etc/passwd",
        "#hash"};

    for (int mode = 0; mode < OVERRIDE_MODES; mode++)
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
            struct override o = minimal("cn=x");

            o.mode = (enum override_mode)mode;
            if (mode >= OVERRIDE_PASS || mode == OVERRIDE_EXCLUDE)
                o.n_hops = 0;
            for (size_t k = 0; k < 5 && o.n_hops > 0; k++)
                add_hop(&o, hops[k]);
            strlist_add(&o.keys, ".example.com");
            strlist_add(&o.keys, "*");
            strlist_add(&o.keys, "user@example.com");
            strlist_add(&o.exchanges, "mx.example.net");
            strlist_add(&o.exchanges, ".example.net");
            strlist_add(&o.excludes, ".bad.example");
            o.transport = strdup("slow");
            o.reason = strdup(reasons[i]);
            o.group = (enum override_group)(i % 3);
            o.enabled = i % 2 == 0;
            o.not_before_s = i == 1 ? 1 : 0;
            o.not_after_s = i == 2 ? 253402300799 : 0; /* end of 9999 */
            round_trip(&o);
            override_free(&o);
        }
}
END_TEST

START_TEST(times)
{
    static const int64_t times_s[] = {1, 951782399, 951868799, 1798761540,
                                      253402300799};
    char text[GENTIME_MAX];
    int64_t back_s;

    for (int i = 0; i < 5; i++) {
        gentime_format(times_s[i], text);
        ck_assert(gentime_parse(text, &back_s));
        ck_assert_int_eq(back_s, times_s[i]);
    }
    gentime_format(951782399, text);
    ck_assert_str_eq(text, "20000228235959Z");
    gentime_format(253402300800, text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(no_memory)
{
    struct override o = minimal("cn=x,dc=example");

    for (unsigned n = 1;; n++) {
        struct buf out = {0};
        bool hit;

        failmalloc_at(n);
        attributes_ldif(&o, &out);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(out.failed == hit);
        buf_free(&out);
        if (!hit)
            break;
    }
    override_free(&o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("attributes");
    TCase *t = tcase_create("attributes");

    tcase_add_test(t, names);
    tcase_add_test(t, everything);
    tcase_add_test(t, times);
    tcase_add_test(t, no_memory);
    suite_add_tcase(s, t);
    return suite_run(s);
}
