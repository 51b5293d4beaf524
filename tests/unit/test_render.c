/* render: a route in the words of Postfix, Exim, programs and people. */

#include "route/render.h"

#include "route_fixture.h"
#include "support/failmalloc.h"

#define FROM(s, h, ...) \
    ((struct mxhop_hop){.host = (h), .source = (s), __VA_ARGS__})
#define HOP(...) FROM("dns", __VA_ARGS__)
#define N(a)     (sizeof(a) / sizeof((a)[0]))

typedef bool render_fn(const struct mxhop_route *r, struct buf *out);

static struct mxhop_route route_of(const struct mxhop_hop *hops, size_t n)
{
    return (struct mxhop_route){
        .key = "example.com",
        .domain = "example.com",
        .disposition = MXHOP_ROUTE,
        .reason = "MX records",
        .status = "",
        .transport = "",
        .hops = hops,
        .n_hops = n,
    };
}

static struct mxhop_route answer(enum mxhop_disposition d, const char *status,
                                 const char *reason)
{
    struct mxhop_route r = route_of(NULL, 0);

    r.disposition = d;
    r.status = status;
    r.reason = reason;
    return r;
}

/* NULL: no words, and nothing was appended. */
static void assert_render(render_fn *fn, const struct mxhop_route *r,
                          const char *want)
{
    struct buf out = {0};

    buf_puts(&out, ">");
    ck_assert_int_eq(fn(r, &out), want != NULL);
    ck_assert_str_eq(out.data + 1, want != NULL ? want : "");
    buf_free(&out);
}

static const struct mxhop_hop mixed[] = {
    HOP("mx1.test", .preference = 10),
    HOP("mx2.test", .preference = 10, .port = 2525),
    HOP("192.0.2.1", .preference = 20, .is_address = true,
        .starts_group = true),
    HOP("192.0.2.2", .preference = 20, .is_address = true, .port = 26),
    HOP("2001:db8::1", .preference = 30, .is_address = true,
        .starts_group = true),
    HOP("2001:db8::2", .preference = 30, .is_address = true, .port = 587),
    HOP("p.test", .preference = 40, .starts_group = true),
    HOP("q.test", .preference = 40, .port = 27),
};

/* ---- Postfix ------------------------------------------------------------- */

START_TEST(postfix_list)
{
    struct mxhop_route r = route_of(mixed, N(mixed));

    assert_render(render_postfix, &r,
                  ":[mX1.tesT], [mx2.test]:2525, [192.0.2.1], [192.0.2.2]:26, "
                  "[ipv6:2001:db8::1], [ipv6:2001:db8::2]:587, [p.test], "
                  "[q.test]:27");
    r.transport = "slow-smtp";
    r.n_hops = 1;
    assert_render(render_postfix, &r, "slow-smtp:[mx1.test]");
}
END_TEST

/* Exim does without: its transport looks at TLSA records itself. */
START_TEST(tls_classes)
{
    static const struct mxhop_hop hops[] = {
        HOP("a.test", .tls_class = MXHOP_TLS_STS),
        HOP("b.test", .tls_class = MXHOP_TLS_DANE),
        FROM("cn=x", "c.test", .port = 25),
    };
    struct mxhop_route r = route_of(hops, N(hops));
    struct buf out = {0};

    assert_render(render_postfix, &r,
                  ":[A.TesT]:025, [b.test]:0025, [c.test]:25");
    assert_render(render_exim, &r, "<;a.test;b.test;c.test:25");
    assert_render(render_text, &r,
                  "example.com: route: MX records\n"
                  "    0  a.test     dns, class sts\n"
                  "    0  b.test     dns, class dane\n"
                  "    0  c.test:25  cn=x");
    ck_assert(render_json(&r, &out));
    ck_assert_ptr_nonnull(
        strstr(out.data, "\"source\":\"dns\",\"tls\":\"sts\"}"));
    ck_assert_ptr_nonnull(strstr(out.data, "\"tls\":\"dane\"}"));
    ck_assert_ptr_nonnull(strstr(out.data, "\"source\":\"cn=x\"}"));
    buf_free(&out);
}
END_TEST

static const struct {
    enum mxhop_disposition d;
    const char *status, *reason, *want;
} answers[] = {
    {MXHOP_PASS, "", "why", NULL},
    {MXHOP_REJECT, "5.1.10", "No mail", "error:5.1.10 No mail"},
    {MXHOP_DEFER, "4.3.5", "Later", "./retry:4.3.5 Later"},
    {MXHOP_REJECT, "", "No mail", "error:5.0.0 No mail"},
    {MXHOP_REJECT, "4.3.5", "No mail", "error:5.0.0 No mail"},
    {MXHOP_DEFER, "5.1.1", "Later", "./retry:4.0.0 Later"},
    {MXHOP_DEFER, "4.3.5\n", "Later", "./retry:4.0.0 Later"},
    {MXHOP_REJECT, "5.7.1", "a\nb\rc\td\377\177", "error:5.7.1 a?b?c?d??"},
};

START_TEST(postfix_answers)
{
    struct mxhop_route r =
        answer(answers[_i].d, answers[_i].status, answers[_i].reason);

    assert_render(render_postfix, &r, answers[_i].want);
}
END_TEST

static const struct {
    const char *service, *want;
} defer_services[] = {
    {"./retry", "./retry:4.3.5 Later"},
    {"retry", "retry:4.3.5 Later"},
    {"./hold-it", "./hold-it:4.3.5 Later"},
    {"", "./retry:4.3.5 Later"},
    {"./", "./retry:4.3.5 Later"},
    {"/retry", "./retry:4.3.5 Later"},
    {"../retry", "./retry:4.3.5 Later"},
    {"././retry", "./retry:4.3.5 Later"},
    {"re try", "./retry:4.3.5 Later"},
    {"retry:", "./retry:4.3.5 Later"},
};

START_TEST(postfix_defer_service)
{
    struct mxhop_route r = answer(MXHOP_DEFER, "4.3.5", "Later");

    r.defer_service = defer_services[_i].service;
    assert_render(render_postfix, &r, defer_services[_i].want);
}
END_TEST

/* Without words Postfix would ask for the domain of a recipient next. */
START_TEST(postfix_pass_by_an_override)
{
    struct mxhop_route r = answer(MXHOP_PASS, "", "why");

    r.override = "cn=x";
    assert_render(render_postfix, &r, ":");
    r.transport = "slow-smtp";
    assert_render(render_postfix, &r, "slow-smtp:");
    r.local = true; /* 5.4.6 */
    assert_render(render_postfix, &r, ":");
}
END_TEST

START_TEST(postfix_local_domain)
{
    struct mxhop_route r = route_of(mixed, 1);

    r.local = true;
    assert_render(render_postfix, &r, "relay:[mx1.test]");
    r.transport = "slow-smtp";
    assert_render(render_postfix, &r, "slow-smtp:[mx1.test]");
}
END_TEST

START_TEST(postfix_stopper)
{
    struct mxhop_route r = route_of(mixed, 1);

    r.stopper = true;
    assert_render(render_postfix, &r, ":[mx1.test], [224.0.0.0]:1");
    r.only_ipv6 = true;
    assert_render(render_postfix, &r, ":[mx1.test], [ipv6:ff00::]:1");
    assert_render(render_exim, &r, "<;mx1.test");
    r.n_hops = 0;
    assert_render(render_postfix, &r, NULL);
}
END_TEST

/* smtp(8) keeps connections under the first element of a list, as it is
   written: lists that begin with the same host are told apart by it, and a list
   of this host alone from them all. */
START_TEST(postfix_first_element_is_the_lists)
{
    enum { LISTS = 300 };
    struct mxhop_hop hops[] = {HOP("relay.example.net"), HOP("x")};
    char *seen[LISTS];

    for (int i = 0; i < LISTS; i++) {
        struct mxhop_route r = route_of(hops, 2);
        struct buf out = {0}, again = {0};
        char second[32], plain[80];

        snprintf(second, sizeof(second), "b%d.test", i);
        hops[1].host = second;
        snprintf(plain, sizeof(plain), ":[relay.example.net], [%s]", second);
        ck_assert(render_postfix(&r, &out));
        ck_assert(render_postfix(&r, &again));
        ck_assert_str_eq(out.data, again.data);
        ck_assert_int_eq(strcasecmp(out.data, plain), 0);
        *strchr(out.data, ',') = '\0';
        ck_assert_str_ne(out.data, ":[relay.example.net]");
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(out.data, seen[j]);
        seen[i] = out.data;
        buf_free(&again);
    }
    for (int i = 0; i < LISTS; i++)
        free(seen[i]);
}
END_TEST

static const struct {
    const char *first;
    bool only_ipv6;
    const char *want;
} few_letters[] = {
    {"192.0.2.1", false, ":[239.17.252.214]:1, [192.0.2.1], [b.test]"},
    {"2001:500::1", false,
     ":[239.176.136.136]:1, [ipv6:2001:500::1], [b.test]"},
    {"2001:500::1", true, ":[Ipv6:2001:500::1], [b.test]"},
    {"fe80:db8::a", false, ":[IPv6:fe80:Db8::A], [b.test]"},
};

/* Where letters are too few an element of its own comes before it. */
START_TEST(postfix_first_element_of_few_letters)
{
    struct mxhop_hop hops[] = {HOP(few_letters[_i].first, .is_address = true),
                               HOP("b.test")};
    struct mxhop_route r = route_of(hops, 2);

    r.only_ipv6 = few_letters[_i].only_ipv6;
    assert_render(render_postfix, &r, few_letters[_i].want);
}
END_TEST

/* Never as if there were no override. */
START_TEST(postfix_override_without_words)
{
    struct mxhop_hop hops[] = {HOP("a b.test")};
    struct mxhop_route r = route_of(hops, 1);

    r.override = "cn=x";
    assert_render(render_postfix, &r, "./retry:4.3.5 No usable next hop");
}
END_TEST

START_TEST(postfix_text_is_cut)
{
    char reason[2000];
    struct mxhop_route r = answer(MXHOP_REJECT, "5.7.1", reason);
    struct buf out = {0};

    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    ck_assert(render_postfix(&r, &out));
    ck_assert_uint_eq(out.len, strlen("error:5.7.1 ") + 200);
    buf_free(&out);
}
END_TEST

/* The mark is made of separators only, behind the list, one for each domain. */
START_TEST(postfix_mark_of_a_domain)
{
    struct mxhop_route r = route_of(mixed, 1);
    char *marks[50];

    r.by_domain = true;
    for (size_t i = 0; i < N(marks); i++) {
        struct buf out = {0};
        char domain[32];
        size_t list = strlen(":[mx1.test]");

        snprintf(domain, sizeof(domain), "d%zu.test", i);
        r.domain = domain;
        ck_assert(render_postfix(&r, &out));
        ck_assert_int_eq(strncmp(out.data, ":[mx1.test],", list + 1), 0);
        ck_assert_uint_ge(out.len, list + 32);
        ck_assert_uint_eq(strspn(out.data + list, ", "), out.len - list);
        ck_assert_int_eq(out.data[out.len - 1], ',');
        marks[i] = buf_detach(&out);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(marks[i], marks[j]);
    }
    for (size_t i = 0; i < N(marks); i++)
        free(marks[i]);
}
END_TEST

static const char *const bad_hosts[] = {
    "a,b.test",   "a b.test", "a]b",  "[a]",       "a:25",   "a/b",
    "${run{id}}", "a;b",      "a\\b", "a\nb",      "a\377b", "*",
    "",           "-a.test",  "a.",   "192.0.2.1",
};

START_TEST(guard_leaves_bad_hosts_out)
{
    struct mxhop_hop hops[] = {
        HOP(bad_hosts[_i]),
        HOP("ok.test"),
        HOP(bad_hosts[_i]),
        HOP("name.test", .is_address = true),
    };
    struct mxhop_route r = route_of(hops, N(hops));

    assert_render(render_postfix, &r, ":[ok.test]");
    assert_render(render_exim, &r, "<;ok.test");
    r.n_hops = 1;
    r.by_domain = true;
    assert_render(render_postfix, &r, NULL);
    assert_render(render_exim, &r, NULL);
}
END_TEST

static const char *const bad_transports[] = {
    "smtp:", "a b", "a\nb", "a,b", "a/b", "\377", "${x}",
};

START_TEST(guard_refuses_bad_transports)
{
    struct mxhop_route r = route_of(mixed, 1);

    r.transport = bad_transports[_i];
    assert_render(render_postfix, &r, NULL);
}
END_TEST

START_TEST(no_hops_no_words)
{
    struct mxhop_route r = route_of(NULL, 0);

    assert_render(render_postfix, &r, NULL);
    assert_render(render_exim, &r, NULL);
}
END_TEST

/* ---- Exim -----------------------------------------------------------------
 */

START_TEST(exim_list)
{
    struct mxhop_route r = route_of(mixed, N(mixed));

    assert_render(render_exim, &r,
                  "<;mx1.test;mx2.test:2525;+;192.0.2.1;192.0.2.2:26;+;"
                  "2001:db8::1;[2001:db8::2]:587;+;p.test;q.test:27");
    r.disposition = MXHOP_REJECT;
    assert_render(render_exim, &r, NULL);
    r.disposition = MXHOP_DEFER;
    assert_render(render_exim, &r, NULL);
    r.disposition = MXHOP_PASS;
    assert_render(render_exim, &r, NULL);
}
END_TEST

static const struct {
    enum mxhop_disposition disposition;
    const char *status, *reason, *want;
} fates[] = {
    {MXHOP_PASS, "", "no opinion", NULL},
    {MXHOP_ROUTE, "", "MX records", NULL},
    {MXHOP_REJECT, "5.1.10", "No mail here", ":fail: 550 5.1.10 No mail here"},
    {MXHOP_DEFER, "4.3.5", "Later", ":defer: 451 4.3.5 Later"},
    {MXHOP_REJECT, "4.3.5", "x", ":fail: 550 5.0.0 x"},
    {MXHOP_DEFER, "${run", "x", ":defer: 451 4.0.0 x"},
    {MXHOP_REJECT, "5.7.1", "a ${run{/bin/id}} $x \\n b",
     ":fail: 550 5.7.1 a ??run?/bin/id?? ?x ?n b"},
    {MXHOP_REJECT, "5.7.1", "a\r\n250 b\377\t.",
     ":fail: 550 5.7.1 a??250 b??."},
};

START_TEST(exim_fate)
{
    struct mxhop_route r = route_of(mixed, N(mixed));

    r.disposition = fates[_i].disposition;
    r.status = fates[_i].status;
    r.reason = fates[_i].reason;
    assert_render(render_exim_fate, &r, fates[_i].want);
}
END_TEST

START_TEST(exim_fate_is_cut)
{
    char reason[2000];
    struct mxhop_route r = answer(MXHOP_DEFER, "4.3.5", reason);
    struct buf out = {0};

    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    ck_assert(render_exim_fate(&r, &out));
    ck_assert_uint_eq(out.len, strlen(":defer: 451 4.3.5 ") + 200);
    buf_free(&out);
}
END_TEST

static const struct {
    bool unresolved[4];
    const char *want;
} lookups[] = {
    {{0, 0, 0, 0}, "<;a.test;+;b.test;c.test;+;d.test"},
    {{1, 0, 0, 0}, "<;b.test;c.test;+;d.test"},
    {{0, 1, 0, 0}, "<;a.test;+;c.test;+;d.test"},
    {{0, 1, 1, 0}, "<;a.test;+;d.test"},
    {{1, 1, 1, 0}, "<;d.test"},
    {{1, 1, 1, 1}, "<;a.test;+;b.test;c.test;+;d.test"},
};

START_TEST(exim_without_hosts_whose_lookup_failed)
{
    struct mxhop_hop hops[] = {HOP("a.test"),
                               HOP("b.test", .starts_group = true),
                               HOP("c.test"),
                               HOP("d.test", .starts_group = true)};
    struct mxhop_route r = route_of(hops, N(hops));

    for (size_t i = 0; i < N(hops); i++)
        hops[i].unresolved = lookups[_i].unresolved[i];
    assert_render(render_exim, &r, lookups[_i].want);
}
END_TEST

/* Any bytes as hosts: nothing but these ever reaches a list. */
START_TEST(no_unchecked_byte_in_a_list)
{
    static const char alphabet[] =
        "ab1-_.:;,+<>[]{}$\\/*\"' \t\n\r\001\177\200\377";
    static const char postfix_bytes[] = "abAB0123456789-_.[], :ipvIPV";
    static const char exim_bytes[] = "ab1-_.:;+<[]";

    srand(1);
    for (int round = 0; round < 20000; round++) {
        char host[3][8];
        struct mxhop_hop hops[3];
        struct mxhop_route r = route_of(hops, 3);
        struct buf out = {0};

        for (int h = 0; h < 3; h++) {
            int n = rand() % 7;

            for (int i = 0; i < n; i++)
                host[h][i] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
            host[h][n] = '\0';
            hops[h] = HOP(host[h], .is_address = rand() % 4 == 0);
        }
        if (render_postfix(&r, &out))
            ck_assert_uint_eq(strspn(out.data, postfix_bytes), out.len);
        buf_free(&out);
        if (render_exim(&r, &out))
            ck_assert_uint_eq(strspn(out.data, exim_bytes), out.len);
        buf_free(&out);
    }
}
END_TEST

/* ---- JSON -----------------------------------------------------------------
 */

START_TEST(json_object)
{
    struct mxhop_hop hops[] = {
        HOP("mx1.test", .preference = 10),
        FROM("cn=x", "2001:db8::1", .preference = 20, .port = 587,
             .is_address = true),
        HOP("p.test"),
    };
    struct mxhop_route r = route_of(hops, N(hops));

    r.key = "User@Example.com";
    r.override = "cn=\"q\",dc=\\2c";
    r.secure = true;
    r.cache = MXHOP_CACHE_STALE;
    r.ttl_s = 4294967295u;
    assert_render(
        render_json, &r,
        "{\"key\":\"User@Example.com\",\"domain\":\"example.com\","
        "\"disposition\":\"route\",\"transport\":\"\",\"hops\":["
        "{\"host\":\"mx1.test\",\"port\":null,\"preference\":10,"
        "\"source\":\"dns\"},"
        "{\"host\":\"2001:db8::1\",\"port\":587,\"preference\":20,"
        "\"source\":\"cn=x\"},"
        "{\"host\":\"p.test\",\"port\":null,\"preference\":0,"
        "\"source\":\"dns\"}],"
        "\"reason\":\"MX records\",\"override\":\"cn=\\\"q\\\",dc=\\\\2c\","
        "\"secure\":true,\"cache\":\"stale\",\"ttl\":4294967295}");
}
END_TEST

START_TEST(json_of_pass)
{
    struct mxhop_route r = answer(MXHOP_PASS, "", "why");

    r.key = r.domain = "";
    assert_render(render_json, &r,
                  "{\"key\":\"\",\"domain\":\"\",\"disposition\":\"pass\","
                  "\"transport\":\"\",\"hops\":[],\"reason\":\"why\","
                  "\"override\":null,\"secure\":false,\"cache\":\"none\","
                  "\"ttl\":0}");
}
END_TEST

static const struct {
    const char *text, *want;
} strings[] = {
    {"a\"b\\c/d", "a\\\"b\\\\c/d"},
    {"\001\n\037\177", "\\u0001\\u000a\\u001f\\u007f"},
    {"b\303\274cher", "b\\u00fccher"},
    {"\342\202\254", "\\u20ac"},
    {"\360\237\230\200", "\\ud83d\\ude00"},
    {"\364\217\277\277", "\\udbff\\udfff"},
    {"\377x", "\\ufffdx"},
    {"\303", "\\ufffd"},
    {"\303x", "\\ufffdx"},
    {"\342\202", "\\ufffd\\ufffd"},
    {"\300\200", "\\ufffd\\ufffd"},                       /* overlong */
    {"\355\240\200", "\\ufffd\\ufffd\\ufffd"},            /* surrogate */
    {"\364\220\200\200", "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* too big */
    {"\370\210\200\200\200", "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"},
};

START_TEST(json_strings)
{
    struct mxhop_route r = answer(MXHOP_PASS, "", "");
    struct buf out = {0};
    char want[200];

    r.key = strings[_i].text;
    snprintf(want, sizeof(want),
             "{\"key\":\"%s\",\"domain\":", strings[_i].want);
    ck_assert(render_json(&r, &out));
    ck_assert_int_eq(strncmp(out.data, want, strlen(want)), 0);
    buf_free(&out);
}
END_TEST

/* ---- text -----------------------------------------------------------------
 */

START_TEST(text_list)
{
    struct mxhop_route r = route_of(mixed, N(mixed));

    assert_render(render_text, &r,
                  "example.com: route: MX records\n"
                  "   10  mx1.test           dns\n"
                  "   10  mx2.test:2525      dns\n"
                  "   20  192.0.2.1          dns\n"
                  "   20  192.0.2.2:26       dns\n"
                  "   30  2001:db8::1        dns\n"
                  "   30  [2001:db8::2]:587  dns\n"
                  "   40  p.test             dns\n"
                  "   40  q.test:27          dns");
}
END_TEST

START_TEST(text_of_an_answer)
{
    struct mxhop_route r =
        answer(MXHOP_REJECT, "5.1.10", "Domain does not accept mail");

    r.transport = "slow";
    r.override = "cn=x,dc=example";
    assert_render(render_text, &r,
                  "example.com: reject 5.1.10: Domain does not accept mail\n"
                  "  transport: slow\n"
                  "  override: cn=x,dc=example");
    r = answer(MXHOP_PASS, "", "");
    assert_render(render_text, &r, "example.com: pass");
}
END_TEST

START_TEST(text_fits_80_columns)
{
    struct mxhop_hop hops[] = {
        FROM("cn=an entry, ou=overrides, ou=mail, dc=example, dc=com",
             "a-mail-exchanger-with-a-long-name.provider.example",
             .preference = 65535, .port = 65535),
        HOP("mx.test"),
    };
    struct mxhop_route r = route_of(hops, N(hops));
    struct buf out = {0};
    char *save = NULL;

    r.reason = "a reason of many words that goes on and on until nobody can "
               "read it in one line of a terminal, whatever its width may be";
    r.override = hops[0].source;
    ck_assert(render_text(&r, &out));
    for (char *l = strtok_r(out.data, "\n", &save); l != NULL;
         l = strtok_r(NULL, "\n", &save)) {
        ck_assert_msg(strlen(l) <= 80, "%s", l);
        ck_assert_int_ne(l[strlen(l) - 1], ' ');
    }
    buf_free(&out);
}
END_TEST

START_TEST(text_is_printable)
{
    char every[256], long_host[400];
    struct mxhop_hop hops[] = {FROM(every, every), HOP(long_host)};
    struct mxhop_route r = route_of(hops, N(hops));
    struct buf out = {0};

    for (int i = 0; i < 255; i++)
        every[i] = (char)(i + 1);
    every[255] = '\0';
    memset(long_host, 'a', sizeof(long_host));
    long_host[sizeof(long_host) - 1] = '\0';
    r.key = r.reason = r.override = r.transport = every;
    ck_assert(render_text(&r, &out));
    for (size_t i = 0; i < out.len; i++)
        ck_assert(out.data[i] == '\n' ||
                  (out.data[i] >= ' ' && out.data[i] <= '~'));
    buf_free(&out);
    ck_assert(render_json(&r, &out));
    for (size_t i = 0; i < out.len; i++)
        ck_assert(out.data[i] >= ' ' && out.data[i] <= '~');
    buf_free(&out);
}
END_TEST

/* ---- all ------------------------------------------------------------------
 */

START_TEST(names)
{
    ck_assert_str_eq(render_disposition(MXHOP_DEFER), "defer");
    ck_assert_str_eq(render_cache_state(MXHOP_CACHE_HIT), "hit");
    ck_assert_str_eq(render_cache_state(MXHOP_CACHE_MISS), "miss");
}
END_TEST

static render_fn *const formats[] = {render_postfix, render_exim, render_json,
                                     render_text};

START_TEST(survives_allocation_failure)
{
    struct mxhop_route r = route_of(mixed, N(mixed));
    unsigned n = 1;
    bool hit;

    r.by_domain = true;
    do {
        struct buf out = {0};
        bool ok;

        failmalloc_at(n++);
        ok = formats[_i](&r, &out);
        hit = failmalloc_hit();
        failmalloc_at(0);
        ck_assert(ok);
        ck_assert_int_eq(out.failed, hit);
        buf_free(&out);
    } while (hit);
    ck_assert_uint_gt(n, 2);
}
END_TEST

#define LOOP(t, table) tcase_add_loop_test(tc, t, 0, (int)N(table))

int main(void)
{
    Suite *s = suite_create("render");
    TCase *tc = tcase_create("render");

    tcase_add_test(tc, postfix_list);
    tcase_add_test(tc, tls_classes);
    LOOP(postfix_answers, answers);
    LOOP(postfix_defer_service, defer_services);
    tcase_add_test(tc, postfix_pass_by_an_override);
    tcase_add_test(tc, postfix_local_domain);
    tcase_add_test(tc, postfix_stopper);
    tcase_add_test(tc, postfix_first_element_is_the_lists);
    tcase_add_loop_test(tc, postfix_first_element_of_few_letters, 0,
                        N(few_letters));
    tcase_add_test(tc, postfix_override_without_words);
    tcase_add_test(tc, postfix_text_is_cut);
    tcase_add_test(tc, postfix_mark_of_a_domain);
    LOOP(guard_leaves_bad_hosts_out, bad_hosts);
    LOOP(guard_refuses_bad_transports, bad_transports);
    tcase_add_test(tc, no_hops_no_words);
    tcase_add_test(tc, exim_list);
    LOOP(exim_fate, fates);
    tcase_add_test(tc, exim_fate_is_cut);
    LOOP(exim_without_hosts_whose_lookup_failed, lookups);
    tcase_add_test(tc, no_unchecked_byte_in_a_list);
    tcase_add_test(tc, json_object);
    tcase_add_test(tc, json_of_pass);
    LOOP(json_strings, strings);
    tcase_add_test(tc, text_list);
    tcase_add_test(tc, text_of_an_answer);
    tcase_add_test(tc, text_fits_80_columns);
    tcase_add_test(tc, text_is_printable);
    tcase_add_test(tc, names);
    LOOP(survives_allocation_failure, formats);
    suite_add_tcase(s, tc);
    return fixture_run(s);
}
