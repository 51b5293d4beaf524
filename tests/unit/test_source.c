/*
 * test_source - LDIF files and the rules of an entry, as an administrator
 * meets them: what is taken, what is refused, and with which words.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "support/suite.h"
#include "source/compile.h"
#include "ldap/gentime.h"
#include "source/ldif.h"
#include "source/state.h"
#include "support/failmalloc.h"
#include "util/buf.h"
#include "util/err.h"

/* ---- entries ---- */

#define HEAD "dn: cn=a,dc=example\nobjectClass: mxhopOverride\ncn: a\n"

struct parsed {
    unsigned valid, invalid, others;
    struct override o;      /* the last valid one */
    struct mxhop_error err; /* of the last invalid one, */
    size_t line;            /* and where */
};

static enum mxhop_status parse(void *ctx, const struct raw_entry *raw,
                               struct mxhop_error *err)
{
    struct parsed *p = ctx;
    struct override o;

    switch (entry_parse(raw, &o, &p->line, &p->err)) {
    case ENTRY_OK:
        override_free(&p->o);
        p->o = o;
        p->valid++;
        return MXHOP_OK;
    case ENTRY_INVALID:
        p->invalid++;
        return MXHOP_OK;
    case ENTRY_OTHER:
        p->others++;
        return MXHOP_OK;
    default:
        return err_nomem(err);
    }
}

static enum mxhop_status read_text(const char *text, struct parsed *p,
                                   struct mxhop_error *err)
{
    *p = (struct parsed){0};
    return ldif_read_bytes("t.ldif", text, strlen(text), parse, p, err);
}

START_TEST(whole_entry)
{
    struct mxhop_error err = {0};
    struct parsed p;

    ck_assert_int_eq(
        read_text(HEAD
                  "mxhopKey: Example.COM.\n"
                  "mxhopKey: .Sub.example.com\nmxhopKey: *\n"
                  "mxhopKey: User@Example.com\n"
                  "mxhopExchange: .protection.outlook.com\n"
                  "mxhopMode: prepend\nmxhopHop: 5 [relay.example.net]:587\n"
                  "mxhopHop: [IPv6:2001:db8::1]\nmxhopHop: splice.example\n"
                  "mxhopExclude: .bad.example\nmxhopTransport: relay\n"
                  "mxhopGroup: domain\nmxhopReason: because\n"
                  "mxhopEnabled: FALSE\n"
                  "mxhopNotBefore: 20260101000000Z\n"
                  "mxhopNotAfter: 20270101000000Z\n",
                  &p, &err),
        MXHOP_OK);
    ck_assert_uint_eq(p.valid, 1);
    ck_assert_str_eq(p.o.dn, "cn=a,dc=example");
    ck_assert_uint_eq(p.o.keys.n, 4);
    ck_assert_str_eq(p.o.keys.v[0], "example.com");
    ck_assert_str_eq(p.o.keys.v[1], ".sub.example.com");
    ck_assert_str_eq(p.o.keys.v[2], "*");
    ck_assert_str_eq(p.o.keys.v[3], "user@example.com");
    ck_assert_str_eq(p.o.exchanges.v[0], ".protection.outlook.com");
    ck_assert_int_eq(p.o.mode, OVERRIDE_PREPEND);
    ck_assert_uint_eq(p.o.n_hops, 3);
    ck_assert_uint_eq(p.o.hops[0].preference, 5);
    ck_assert_uint_eq(p.o.hops[0].port, 587);
    ck_assert_int_eq(p.o.hops[1].kind, HOP_ADDRESS);
    ck_assert_int_eq(p.o.hops[2].kind, HOP_MX);
    ck_assert_str_eq(p.o.transport, "relay");
    ck_assert_int_eq(p.o.group, OVERRIDE_GROUP_DOMAIN);
    ck_assert(!p.o.enabled);
    ck_assert_int_eq(p.o.not_before_s, 1767225600);
    override_free(&p.o);
}
END_TEST

static const struct {
    const char *values, *complaint;
} invalid[] = {
    {"mxhopHop: [r.example]\n", "neither mxhopKey nor mxhopExchange"},
    {"mxhopKey: a.example\n", "needs at least one hop"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopHop: [r.example]\n",
     "takes no hops"},
    {"mxhopKey: a.example\nmxhopMode: exclude\n", "mxhopExclude"},
    {"mxhopKey: a.example\nmxhopMode: merge\n", "mode merge needs"},
    {"mxhopKey: a.example\nmxhopMode: sideways\nmxhopHop: [r.example]\n",
     "expected replace"},
    {"mxhopKey: a..example\nmxhopHop: [r.example]\n",
     "mxhopKey: \"a..example\""},
    {"mxhopKey: a.example\nmxhopHop: [r.example]:99999\n", "mxhopHop"},
    {"mxhopKey: a.example\nmxhopHop: [r.exa,mple]\n", "mxhopHop"},
    {"mxhopKey: a.example\nmxhopHop: [r.example]\nmxhopTransport: smtp:x\n",
     "without colon"},
    {"mxhopKey: a.example\nmxhopHop: [r.example]\nmxhopGroup: both\n",
     "site or domain"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopMode: pass\n",
     "one value only"},
    {"mxhopKey: a.example\nmxhopMode: reject\nmxhopReason:: Z3LDvG4=\n",
     "printable ASCII"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopHops: x\n",
     "no such attribute"},
    {"mxhopKey:: YQBi\nmxhopMode: pass\n", "NUL byte"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopEnabled: yes\n", "TRUE"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopNotBefore: tomorrow\n",
     "generalizedTime"},
    {"mxhopKey: a.example\nmxhopMode: pass\nmxhopNotBefore: 20270101000000Z\n"
     "mxhopNotAfter: 20260101000000Z\n",
     "ends before it begins"},
};

START_TEST(invalid_entry)
{
    struct mxhop_error err = {0};
    char text[1024];
    struct parsed p;

    /* A good neighbour must survive. */
    snprintf(text, sizeof(text),
             "%s%s\n%smxhopKey: b.example\nmxhopMode: pass\n", HEAD,
             invalid[_i].values, HEAD);
    ck_assert_int_eq(read_text(text, &p, &err), MXHOP_OK);
    ck_assert_uint_eq(p.invalid, 1);
    ck_assert_uint_eq(p.valid, 1);
    ck_assert_msg(strstr(p.err.text, invalid[_i].complaint) != NULL,
                  "\"%s\" lacks \"%s\"", p.err.text, invalid[_i].complaint);
    override_free(&p.o);
}
END_TEST

START_TEST(foreign_entries_are_no_fault)
{
    struct mxhop_error err = {0};
    struct parsed p;

    ck_assert_int_eq(
        read_text("version: 1\n\n# people\n"
                  "dn: ou=people,dc=example\n"
                  "objectClass: organizationalUnit\nou: people\n\n" HEAD
                  "mxhopKey: a.example\nmxhopMode: PASS\n",
                  &p, &err),
        MXHOP_OK);
    ck_assert_uint_eq(p.others, 1);
    ck_assert_uint_eq(p.valid, 1);
    override_free(&p.o);
}
END_TEST

/* An attribute of ours without the class, or with one that is misspelt, is not
   somebody else's entry. */
START_TEST(class_is_missing)
{
    static const struct {
        const char *text;
        size_t line;
    } rows[] = {
        {"dn: cn=a,dc=example\ncn: a\nmxhopKey: a.example\n", 1},
        {"dn: cn=a,dc=example\nobjectClass: top\nobjectClass: mxhopOveride\n"
         "mxhopKey: a.example\n",
         3},
        {"dn: cn=a,dc=example\ncn: a\nobjectClass: mxhopOveride\n"
         "objectClass: top\nmxhopKey: a.example\n",
         3},
    };
    struct mxhop_error err = {0};
    struct parsed p;

    ck_assert_int_eq(read_text(rows[_i].text, &p, &err), MXHOP_OK);
    ck_assert_uint_eq(p.invalid, 1);
    ck_assert_uint_eq(p.line, rows[_i].line);
    ck_assert_msg(strstr(p.err.text, "objectClass: the entry has mxhopKey, but "
                                     "not the class mxhopOverride") != NULL,
                  "%s", p.err.text);
}
END_TEST

static const struct {
    const char *values, *hint;
    size_t line; /* 4: that of the first value */
} hints[] = {
    {"mxhopKey: a.example\nmxhopHop: smtp:[gw.example]\n", "mxhopTransport", 5},
    {"mxhopKey: a.example\nmxhopHop: 10 relay:gw.example\n", "mxhopTransport",
     5},
    {"mxhopKey: a.example\nmxhopHop: smtp:\n", "mxhopTransport", 5},
    {"mxhopKey: a.example\nmxhopHop: gw:submission\n", "the port is a number",
     5},
    {"mxhopMode: pass\nmxhopKey: @a.example\n", "without @", 5},
    {"mxhopMode: pass\nmxhopKey: *@a.example\n", "without @", 5},
    {"mxhopMode: pass\nmxhopKey: *.a.example\n", "expected .example.com", 5},
    {"mxhopKey: a.example\nmxhopMode: exclude\nmxhopExclude: *.a.example\n",
     "expected .example.com", 6},
    {"mxhopMode: pass\nmxhopKey: a.example\nmxhopHop: [r.example]\n",
     "takes no hops", 6},
    {"mxhopKey: a.example\n", "needs at least one hop", 1},
    {"mxhopMode: pass\nmxhopKey: b\xc3\xbc cher\n", "\"b\xc3\xbc cher\"", 5},
};

START_TEST(hint_and_line)
{
    struct mxhop_error err = {0};
    char text[1024];
    struct parsed p;

    snprintf(text, sizeof(text), HEAD "%s", hints[_i].values);
    ck_assert_int_eq(read_text(text, &p, &err), MXHOP_OK);
    ck_assert_uint_eq(p.invalid, 1);
    ck_assert_uint_eq(p.line, hints[_i].line);
    ck_assert_msg(strstr(p.err.text, hints[_i].hint) != NULL,
                  "\"%s\" lacks \"%s\"", p.err.text, hints[_i].hint);
}
END_TEST

/* One that would be in the way of all others. */
static const struct {
    const char *attribute, *value, *wrong;
    size_t most;
} large[] = {
    {"mxhopHop", "[h.example]", "mxhopHop: the entry has more than", 1000},
    {"mxhopKey", "k.example", "mxhopKey: the entry has more than", 65535},
    {"mxhopExchange", "k.example", "mxhopExchange: the entry has more", 65536},
    {"mxhopExclude", "k.example", "mxhopExclude: the entry has more", 65536},
    {"mxhopKey",
     "an-example-of-a-name-that-is-somewhat-longer.than-most-of-the-others-are."
     "and-makes-entries.large.example",
     "mxhopKey: the entry is larger", 25000},
};

START_TEST(too_large_an_entry)
{
    struct raw_value few[] = {{"objectClass", "mxhopOverride", 13, 0, NULL},
                              {"mxhopKey", "a.example", 9, 0, NULL},
                              {"mxhopMode", "merge", 5, 0, NULL},
                              {"mxhopTransport", "x", 1, 0, NULL}};
    struct raw_value *v = calloc(100000, sizeof(*v));
    struct raw_entry raw = {"cn=a", 1, v, 0};
    struct mxhop_error err;
    struct override o;
    size_t line;

    for (size_t i = 0; i < 100000; i++)
        v[i] = i < 4 ? few[i]
                     : (struct raw_value){large[_i].attribute, large[_i].value,
                                          strlen(large[_i].value), 0, NULL};
    raw.n_values = 4 + large[_i].most;
    ck_assert_int_eq(entry_parse(&raw, &o, &line, &err), ENTRY_OK);
    override_free(&o);
    raw.n_values += large[_i].most / 2;
    ck_assert_int_eq(entry_parse(&raw, &o, &line, &err), ENTRY_INVALID);
    ck_assert_msg(strstr(err.text, large[_i].wrong) == err.text, "%s",
                  err.text);
    free(v);
}
END_TEST

/* No text about a mistake is as long. */
START_TEST(attribute_with_a_long_name)
{
    const size_t n = (size_t)32 << 20;
    char *text = malloc(n + 256);
    struct mxhop_error err = {0};
    struct parsed p;
    char *end = stpcpy(text, HEAD);

    memset(end, 'a', n);
    strcpy(end + n, ": 1\nmxhopKey: a.example\n");
    ck_assert_int_eq(read_text(text, &p, &err), MXHOP_OK);
    ck_assert_uint_eq(p.invalid, 1);
    ck_assert_uint_eq(p.line, 1);
    free(text);
}
END_TEST

/* ---- LDIF ---- */

/* What some editors write, and what a program that folds lines may write. */
START_TEST(byte_order_mark_and_folding_anywhere)
{
    struct mxhop_error err = {0};
    struct parsed p;

    ck_assert_int_eq(
        read_text("\xef\xbb\xbf" HEAD "mxhopMode: pass\nmxhopKey: a.example\n"
                  "description: what the text before the fold is long enough "
                  "for, and then\n mxhopKey: b.example\n",
                  &p, &err),
        MXHOP_OK);
    ck_assert_uint_eq(p.valid, 1);
    ck_assert_uint_eq(p.o.keys.n, 1);
    override_free(&p.o);
}
END_TEST

static const struct {
    const char *text;
    size_t line;
    const char *complaint;
} refused[] = {
    {HEAD "mxhopKey:< file:///etc/passwd\n", 4, "attr:<"},
    {HEAD "mxhopKey:\n < file:///etc/passwd\n", 4, "attr:<"},
    {HEAD "mxhopKey: a.example\nthis is no attribute\n", 5, "attribute"},
    {"cn: a\n", 1, "expected dn:"},
    {HEAD "\n\ninclude: file:///etc/passwd\n", 6, "include:"},
    {"dn: cn=a,dc=example\nchangetype: delete\n", 2, "change records"},
    {"dn: cn=a,dc=example\ndn: cn=b,dc=example\n", 2, "second dn"},
    {"dn: not a dn\n", 1, "distinguished name"},
    {"# comment\n\ndn: cn=a\ncn: \001\n", 4, "control byte 0x01"},
    {HEAD "  mxhopKey: a.example\nmxhopMode: pass\n", 4,
     "white space in front"},
    {"dn: cn=a\n objectClass: mxhopOverride\n", 2, "white space in front"},
    {HEAD "# a comment\n mxhopKey: a.example\n", 5, "white space in front"},
    {HEAD "\n\tmxhopkey:: eA==\n", 5, "white space in front"},
    {"dn: cn=a\n\n# one\n# two\ndn: cn=b\nobjectClass\n", 6, "attribute"},
};

START_TEST(refused_file)
{
    struct mxhop_error err = {0};
    char place[32];
    struct parsed p;

    ck_assert_int_eq(read_text(refused[_i].text, &p, &err), MXHOP_ERR_SYNTAX);
    snprintf(place, sizeof(place), "t.ldif:%zu:", refused[_i].line);
    ck_assert_msg(strncmp(err.text, place, strlen(place)) == 0,
                  "\"%s\" does not begin with %s", err.text, place);
    ck_assert_msg(strstr(err.text, refused[_i].complaint) != NULL,
                  "\"%s\" lacks \"%s\"", err.text, refused[_i].complaint);
    override_free(&p.o);
}
END_TEST

START_TEST(folding_and_crlf)
{
    struct mxhop_error err = {0};
    struct parsed p;

    ck_assert_int_eq(
        read_text("dn: cn=a,\r\n dc=example\r\nobjectClass: mxhopOverride\r\n"
                  "mxhopKey: exam\r\n ple.com\r\nmxhopMode:: cGFzcw==\r\n",
                  &p, &err),
        MXHOP_OK);
    ck_assert_uint_eq(p.valid, 1);
    ck_assert_str_eq(p.o.dn, "cn=a,dc=example");
    ck_assert_str_eq(p.o.keys.v[0], "example.com");
    override_free(&p.o);
}
END_TEST

START_TEST(nul_byte)
{
    static const char text[] = "dn: cn=a\ncn: a\0b\n";
    struct mxhop_error err = {0};
    struct parsed p = {0};

    ck_assert_int_eq(ldif_read_bytes("t.ldif", text, sizeof(text) - 1, parse,
                                     &p, &err),
                     MXHOP_ERR_SYNTAX);
    ck_assert(strstr(err.text, "t.ldif:2: control byte 0x00") != NULL);
}
END_TEST

START_TEST(no_regular_file)
{
    struct mxhop_error err = {0};
    struct parsed p = {0};

    ck_assert_int_eq(ldif_read("/dev/zero", parse, &p, &err), MXHOP_ERR_IO);
    ck_assert(strstr(err.text, "not a regular file") != NULL);
    ck_assert_int_eq(ldif_read("/nonexistent/x", parse, &p, &err),
                     MXHOP_ERR_IO);
}
END_TEST

START_TEST(out_of_memory)
{
    const char *text = HEAD "mxhopKey: a.example\nmxhopHop: [r.example]\n"
                            "mxhopTransport: relay\nmxhopReason: why\n";

    for (unsigned n = 1;; n++) {
        struct mxhop_error err = {0};
        struct parsed p;
        enum mxhop_status status;
        bool hit;

        failmalloc_at(n);
        status = read_text(text, &p, &err);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert_int_eq(status, hit ? MXHOP_ERR_MEMORY : MXHOP_OK);
        override_free(&p.o);
        if (!hit)
            break;
    }
}
END_TEST

/* ---- generalizedTime ---- */

static const struct {
    const char *text;
    int64_t time_s; /* 0: refused */
} times[] = {
    {"19700101000001Z", 1},
    {"20260228235959Z", 1772323199},
    {"2026022823Z", 1772319600},
    {"202602282359Z", 1772323140},
    {"20260301005959+0100", 1772323199},
    {"20260228235959.5Z", 1772323199},
    {"20380119031408Z", INT64_C(1) << 31},
    {"21060207062816Z", INT64_C(1) << 32},
    {"20261231235960Z", 1798761600}, /* a leap second */
    {"99991231235959Z", 253402300799},
    {"99991231235959-0001", 0}, /* in the year 10000, which cannot be written */
    {"20260230235960Z", 0},
    {"20260229000000Z", 0},
    {"20261301000000Z", 0},
    {"20260101240000Z", 0},
    {"20260101000000", 0},
    {"20260101000000Zx", 0},
    {"2026-01-01", 0},
    {"", 0},
};

START_TEST(generalized_time)
{
    int64_t time_s = 0;
    bool ok = gentime_parse(times[_i].text, &time_s);

    ck_assert_int_eq(ok, times[_i].time_s != 0);
    if (ok)
        ck_assert_int_eq(time_s, times[_i].time_s);
}
END_TEST

/* ---- compilation ---- */

static char dir[] = "/tmp/test_sourceXXXXXX";
static char ldif_path[64], source[80], table[64];
static char said[4096];
static struct state state;

static void hear(void *ctx, const struct finding *f)
{
    (void)ctx;
    snprintf(said + strlen(said), sizeof(said) - strlen(said), "%zu %s %s\n",
             f->line, f->dn, f->text);
}

static void write_ldif(const char *text)
{
    FILE *f = fopen(ldif_path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* What was read; the counts stay. */
static void forget(struct compile_result *r)
{
    struct compile_result counts = *r;

    compile_free(r);
    *r = counts;
    r->read = NULL;
    r->lines = NULL;
    r->n_read = 0;
}

static enum mxhop_status compile(const char *text, bool dry_run,
                                 struct compile_result *result,
                                 struct mxhop_error *err)
{
    struct compile_options o = {.source = &(struct source){.text = source},
                                .table = table,
                                .shrink_percent = 50,
                                .dry_run = dry_run,
                                .now_s = 1800000000,
                                .report = hear};

    enum mxhop_status status;

    said[0] = '\0';
    write_ldif(text);
    status = compile_overrides(&o, result, err);
    forget(result);
    return status;
}

static void enter_directory(void)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(ldif_path, sizeof(ldif_path), "%s/o.ldif", dir);
    snprintf(source, sizeof(source), "ldif:%s", ldif_path);
    snprintf(table, sizeof(table), "%s/overrides", dir);
}

static void leave_directory(void)
{
    char lock[80];

    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"lock", "state", "cookie"};

        snprintf(lock, sizeof(lock), "%s.%s", table, suffixes[i]);
        unlink(lock);
    }
    unlink(table);
    unlink(ldif_path);
    rmdir(dir);
}

#define ENTRY(name, rest)                                               \
    "dn: cn=" name ",dc=example\nobjectClass: mxhopOverride\ncn: " name \
    "\n" rest "\n"

START_TEST(clash_and_past)
{
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(
        compile(ENTRY("b", "mxhopKey: x.example\nmxhopMode: pass\n")
                    ENTRY("a", "mxhopKey: x.example\nmxhopMode: pass\n")
                        ENTRY("old", "mxhopKey: y.example\nmxhopMode: pass\n"
                                     "mxhopNotAfter: 20200101000000Z\n")
                            ENTRY("z", "mxhopKey: y.example\n"
                                       "mxhopMode: pass\n"),
                false, &r, &err),
        MXHOP_OK);
    ck_assert_uint_eq(r.entries, 4);
    ck_assert_uint_eq(r.findings, 2);
    ck_assert_msg(strstr(said, "cn=b,dc=example mxhopKey: x.example is taken "
                               "by cn=a,dc=example") != NULL,
                  "%s", said);
    ck_assert(strstr(said, "cn=old,dc=example mxhopNotAfter") != NULL);
}
END_TEST

/* Not at every refresh, but when it comes, and when somebody changed it. */
START_TEST(past_window_is_said_once)
{
#define PAST(time)                                        \
    ENTRY("b", "mxhopKey: x.example\nmxhopMode: pass\n")  \
    ENTRY("old", "mxhopKey: y.example\nmxhopMode: pass\n" \
                 "mxhopNotAfter: " time "\n")
    static const struct {
        const char *text;
        bool dry_run, said;
    } rows[] = {
        {PAST("20200101000000Z"), false, true},
        {PAST("20200101000000Z"), false, false},
        {PAST("20200101000000Z"), true, true},
        {PAST("20200202000000Z"), false, true},
        {PAST("20200202000000Z"), false, false},
        {PAST("20990101000000Z"), false, false},
    };
    struct mxhop_error err = {0};
    struct compile_result r;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(compile(rows[i].text, rows[i].dry_run, &r, &err),
                         MXHOP_OK);
        ck_assert_msg((strstr(said, "cn=old,dc=example mxhopNotAfter: the "
                                    "window is past") != NULL) == rows[i].said,
                      "%zu: %s", i, said);
    }
}
END_TEST

START_TEST(one_entry_to_a_dn)
{
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: x.example\nmxhopMode: pass\n")
                    ENTRY("b", "mxhopKey: y.example\nmxhopMode: pass\n")
                        ENTRY("a", "mxhopKey: z.example\nmxhopMode: pass\n"),
                false, &r, &err),
        MXHOP_OK);
    ck_assert_uint_eq(r.entries, 2);
    ck_assert_uint_eq(r.skipped, 1);
    ck_assert_uint_eq(r.findings, 1);
    ck_assert_msg(strstr(said, "cn=a,dc=example the entry in line 1 has the "
                               "same DN") != NULL,
                  "%s", said);
}
END_TEST

START_TEST(windows_that_do_not_meet_do_not_clash)
{
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(compile(ENTRY("a", "mxhopKey: x.example\nmxhopMode: pass\n"
                                        "mxhopNotAfter: 20300101000000Z\n")
                                 ENTRY("b",
                                       "mxhopKey: x.example\nmxhopMode: defer\n"
                                       "mxhopNotBefore: 20300101000001Z\n"),
                             true, &r, &err),
                     MXHOP_OK);
    ck_assert_uint_eq(r.findings, 0);
}
END_TEST

START_TEST(syntax_error_keeps_the_table)
{
    unsigned char id[OVTABLE_ID_LEN];
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: x.example\nmxhopMode: pass\n"), false, &r,
                &err),
        MXHOP_OK);
    memcpy(id, r.change.id, sizeof(id));
    ck_assert_int_eq(compile("dn: cn=a\nnonsense\n", false, &r, &err),
                     MXHOP_ERR_SYNTAX);
    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: x.example\nmxhopMode: pass\n"), false, &r,
                &err),
        MXHOP_OK);
    ck_assert(!r.change.changed);
    ck_assert_mem_eq(r.change.id, id, sizeof(id));
}
END_TEST

START_TEST(shrunk_set_is_held)
{
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: a.example\nmxhopMode: pass\n")
                    ENTRY("b", "mxhopKey: b.example\nmxhopMode: pass\n")
                        ENTRY("c", "mxhopKey: c.example\nmxhopMode: pass\n"),
                false, &r, &err),
        MXHOP_OK);
    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: a.example\nmxhopMode: pass\n")
                    ENTRY("new", "mxhopKey: n.example\nmxhopMode: pass\n"),
                false, &r, &err),
        MXHOP_OK);
    ck_assert(r.change.added == 1 && r.change.held == 0);
    ck_assert_int_eq(compile("", false, &r, &err), MXHOP_OK);
    ck_assert(r.change.held == 2 && r.entries == 2);
    ck_assert_msg(strstr(said, "held back: 3 of 3 entries of the last day") !=
                      NULL,
                  "%s", said);
    ck_assert_int_eq(state_read(table, &state, &err), MXHOP_OK);
    ck_assert(state.held_back == 2 && state.n_held == 2 && state.entries == 2);
    ck_assert_str_eq(state.error, "");
}
END_TEST

#define NO_OVERRIDE(name) \
    "dn: cn=" name ",dc=example\nobjectClass: device\ncn: " name "\n\n"

START_TEST(last_good_version)
{
    struct mxhop_error err = {0};
    struct compile_result r;

    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: a.example\nmxhopMode: pass\n")
                    ENTRY("b", "mxhopKey: b.example\nmxhopMode: pass\n"),
                false, &r, &err),
        MXHOP_OK);
    /* a says nonsense, b is no override any more, and c never was one. */
    ck_assert_int_eq(
        compile(ENTRY("a", "mxhopKey: a.example\nmxhopMode: past\n")
                    ENTRY("c", "mxhopKey: c.example\nmxhopMode: past\n")
                        ENTRY("d", "mxhopKey: d.example\nmxhopMode: pass\n")
                            NO_OVERRIDE("b"),
                false, &r, &err),
        MXHOP_OK);
    ck_assert(r.change.kept == 2 && r.skipped == 1 && r.entries == 3);
    ck_assert_msg(strstr(said,
                         "5 cn=a,dc=example mxhopMode: \"past\": expected "
                         "replace") != NULL &&
                      strstr(said, "; the last good version (kept since "
                                   "2027-01-15T08:00:00Z) stays in force\n") &&
                      strstr(said, "cn=b,dc=example objectClass: ") &&
                      strstr(said, "; the entry is skipped\n"),
                  "%s", said);
    ck_assert_int_eq(state_read(table, &state, &err), MXHOP_OK);
    ck_assert(state.kept_count == 2 && state.n_kept == 2 &&
              state.left_out == 1 && state.kept[0].since_s == 1800000000);
    /* What cannot be read says so, and what is known stays. */
    ck_assert_int_eq(compile("nonsense\n", false, &r, &err), MXHOP_ERR_SYNTAX);
    ck_assert_int_eq(state_read(table, &state, &err), MXHOP_OK);
    ck_assert_str_eq(state.error, err.text);
    ck_assert_uint_eq(state.kept_count, 2);
}
END_TEST

/* More keys than an entry may have, and longer ones than there is room for. */
START_TEST(too_large_an_entry_is_alone)
{
    static const unsigned keys[] = {65537, 40000};
    static const int width[] = {1, 60};
    struct mxhop_error err = {0};
    struct compile_result r;
    struct buf text = {0};

    buf_puts(&text, ENTRY("a", "mxhopKey: a.example\nmxhopMode: pass\n")
                        ENTRY("b", "mxhopMode: pass\n"));
    text.len--; /* the empty line behind it */
    for (unsigned i = 0; i < keys[_i]; i++)
        buf_printf(&text, "mxhopKey: d%u.%0*d.%0*d.example\n", i, width[_i], 0,
                   width[_i], 0);
    ck_assert(!text.failed);
    ck_assert_int_eq(compile(text.data, false, &r, &err), MXHOP_OK);
    ck_assert_uint_eq(r.change.after, 1);
    ck_assert_uint_eq(r.skipped, 1);
    ck_assert_msg(strstr(said, "cn=b,dc=example mxhopKey: the entry ") != NULL,
                  "%s", said);
    buf_free(&text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("source");
    TCase *entry = tcase_create("entry"), *ldif = tcase_create("ldif"),
          *comp = tcase_create("compile");

    tcase_add_test(entry, whole_entry);
    tcase_add_loop_test(entry, invalid_entry, 0,
                        sizeof(invalid) / sizeof(invalid[0]));
    tcase_add_test(entry, foreign_entries_are_no_fault);
    tcase_add_loop_test(entry, class_is_missing, 0, 3);
    tcase_add_loop_test(entry, hint_and_line, 0,
                        sizeof(hints) / sizeof(hints[0]));
    tcase_add_test(entry, attribute_with_a_long_name);
    tcase_add_loop_test(entry, too_large_an_entry, 0,
                        sizeof(large) / sizeof(large[0]));
    tcase_add_loop_test(entry, generalized_time, 0,
                        sizeof(times) / sizeof(times[0]));
    tcase_add_loop_test(ldif, refused_file, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(ldif, folding_and_crlf);
    tcase_add_test(ldif, byte_order_mark_and_folding_anywhere);
    tcase_add_test(ldif, nul_byte);
    tcase_add_test(ldif, no_regular_file);
    tcase_add_test(ldif, out_of_memory);
    tcase_add_checked_fixture(comp, enter_directory, leave_directory);
    tcase_set_timeout(comp, 60); /* asan is slow with large entries */
    tcase_add_test(comp, clash_and_past);
    tcase_add_test(comp, past_window_is_said_once);
    tcase_add_test(comp, one_entry_to_a_dn);
    tcase_add_test(comp, windows_that_do_not_meet_do_not_clash);
    tcase_add_test(comp, syntax_error_keeps_the_table);
    tcase_add_test(comp, shrunk_set_is_held);
    tcase_add_test(comp, last_good_version);
    tcase_add_loop_test(comp, too_large_an_entry_is_alone, 0, 2);
    suite_add_tcase(s, entry);
    suite_add_tcase(s, ldif);
    suite_add_tcase(s, comp);
    return suite_run(s);
}
