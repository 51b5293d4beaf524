/* Replies: whose they are, and what is taken out of them. */

#include <stdio.h>
#include <stdlib.h>

#include "support/suite.h"
#include "support/failmalloc.h"
#include "unit/wire_build.h"
#include "dns/reply.h"

#define ID 0x1234

static struct build m;
static struct question q;
static struct mxset set;
static char last[WIRE_NAME_TEXT];

static void setup(void)
{
    memset(&m, 0, sizeof(m));
    mxset_free(&set);
    q = (struct question){.id = ID, .type = WIRE_TYPE_MX};
    strcpy(q.name, "example.com");
    start(&m, ID, 0x8180, "example.com", WIRE_TYPE_MX);
}

static void teardown(void)
{
    mxset_free(&set);
}

/* A copy of exactly len octets, so that ASan sees any read behind them. */
static uint8_t *exact(size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, m.b, len);
    return copy;
}

static enum reply_kind judge(size_t len, int *rcode)
{
    uint8_t *copy = exact(len);
    enum reply_kind kind = reply_judge(copy, len, &q, rcode);

    free(copy);
    return kind;
}

static enum records_status read_mx(size_t len)
{
    uint8_t *copy = exact(len);
    enum records_status status;

    mxset_free(&set);
    status = RECORDS_BAD;
    if (reply_judge(copy, len, &q, NULL) == REPLY_ANSWER)
        status = reply_mx(copy, len, &q, &set, last);
    free(copy);
    return status;
}

static enum records_status read_addrs(size_t len, struct hostaddrs *addrs)
{
    uint8_t *copy = exact(len);
    enum records_status status = RECORDS_BAD;

    if (reply_judge(copy, len, &q, NULL) == REPLY_ANSWER)
        status = reply_addrs(copy, len, &q, addrs, last);
    free(copy);
    return status;
}

static void full_reply(void)
{
    size_t at;

    rr_cname(&m, "example.com", 300, "real.example");
    rr_mx(&m, "real.example", 600, 20, "mx2.example");
    rr_mx(&m, "real.example", 600, 10, "mx1.example");
    rr_ns(&m, "example", "ns.example");
    at = rr_start(&m, AT_AR, "mx1.example", WIRE_TYPE_A, 60);
    put32(&m, 0xc0000201);
    rr_end(&m, at);
    rr_opt(&m, 0);
}

START_TEST(test_mx)
{
    full_reply();
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 2);
    ck_assert_str_eq(set.mx[0].host, "mx1.example");
    ck_assert_uint_eq(set.mx[0].preference, 10);
    ck_assert_str_eq(set.mx[1].host, "mx2.example");
    ck_assert_str_eq(last, "real.example");
    ck_assert_uint_eq(set.ttl_s, 300);
    ck_assert(!set.secure);
    put8(&m, 0xff); /* behind the last record: ignored, as by BIND */
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
}
END_TEST

START_TEST(test_cut_everywhere)
{
    size_t question_end = m.len;

    full_reply();
    for (size_t len = 0; len < m.len; len++) {
        ck_assert_int_eq(judge(len, NULL),
                         len < question_end ? REPLY_ALIEN : REPLY_MALFORMED);
        ck_assert_int_eq(read_mx(len), RECORDS_BAD);
        ck_assert_uint_eq(set.n_mx, 0);
    }
    ck_assert_int_eq(judge(m.len, NULL), REPLY_ANSWER);
}
END_TEST

/* Any one octet changed: never a crash, and never records from a message
   that was not judged an answer. */
START_TEST(test_every_octet_changed)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xc0, 0xff, 0x3f};
    struct hostaddrs addrs = {0};

    full_reply();
    for (size_t i = 0; i < m.len; i++)
        for (size_t f = 0; f < sizeof(flips); f++) {
            m.b[i] ^= flips[f];
            if (judge(m.len, NULL) != REPLY_ANSWER)
                ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
            else if (read_mx(m.len) != RECORDS_SOME)
                ck_assert_uint_eq(set.n_mx, 0);
            (void)read_addrs(m.len, &addrs);
            m.b[i] ^= flips[f];
        }
}
END_TEST

static const struct {
    const char *what;
    unsigned flags, qd;
    enum reply_kind kind;
    int rcode;
} heads[] = {
    {"answer", 0x8180, 1, REPLY_ANSWER, 0},
    {"nxdomain", 0x8183, 1, REPLY_ANSWER, 3},
    {"not a response", 0x0180, 1, REPLY_ALIEN, -1},
    {"opcode NOTIFY", 0xa180, 1, REPLY_ALIEN, -1},
    {"no question", 0x8180, 0, REPLY_ALIEN, -1},
    {"nxdomain without question", 0x8183, 0, REPLY_ALIEN, -1},
    {"two questions", 0x8180, 2, REPLY_ALIEN, -1},
    {"truncated", 0x8380, 1, REPLY_TRUNCATED, 0},
    {"truncated nxdomain", 0x8383, 1, REPLY_TRUNCATED, 3},
    {"formerr", 0x8181, 1, REPLY_NO_EDNS, 1},
    {"formerr, header only", 0x8181, 0, REPLY_NO_EDNS, 1},
    {"notimp", 0x8184, 1, REPLY_NO_EDNS, 4},
    {"servfail", 0x8182, 1, REPLY_REFUSAL, 2},
    {"servfail, header only", 0x8182, 0, REPLY_REFUSAL, 2},
    {"servfail, truncated", 0x8382, 1, REPLY_REFUSAL, 2},
    {"refused", 0x8185, 1, REPLY_REFUSAL, 5},
    {"rcode 15", 0x818f, 1, REPLY_REFUSAL, 15},
};

START_TEST(test_heads)
{
    int rcode = 99;

    poke16(&m, 2, heads[_i].flags);
    poke16(&m, AT_QD, heads[_i].qd);
    if (heads[_i].qd == 0)
        m.len = 12;
    if (heads[_i].qd == 2) {
        put_name(&m, "example.com");
        put32(&m, 0x000f0001);
    }
    ck_assert_msg(judge(m.len, &rcode) == heads[_i].kind, "%s", heads[_i].what);
    ck_assert_msg(rcode == heads[_i].rcode, "%s", heads[_i].what);
    ck_assert(heads[_i].kind == REPLY_ANSWER || read_mx(m.len) == RECORDS_BAD);
}
END_TEST

static const struct {
    const char *asked, *echoed;
    uint16_t id, type, rrclass;
    enum reply_kind kind;
} echoes[] = {
    {"example.com", "example.com", ID, 15, 1, REPLY_ANSWER},
    {"example.com", "eXaMpLe.CoM", ID, 15, 1, REPLY_ANSWER},
    {"EXAMPLE.com.", "example.COM", ID, 15, 1, REPLY_ANSWER},
    {"example.com", "example.com", ID + 1, 15, 1, REPLY_ALIEN},
    {"example.com", "example.com", ID, 1, 1, REPLY_ALIEN},
    {"example.com", "example.com", ID, 15, 3, REPLY_ALIEN},
    {"example.com", "example.org", ID, 15, 1, REPLY_ALIEN},
    {"example.com", "example.com.x", ID, 15, 1, REPLY_ALIEN},
    {"example.com", "", ID, 15, 1, REPLY_ALIEN},
    {"example\\.com", "example.com", ID, 15, 1, REPLY_ALIEN},
    {"", "", ID, 15, 1, REPLY_ALIEN},
    {".", "", ID, 15, 1, REPLY_ANSWER},
};

START_TEST(test_echoes)
{
    strcpy(q.name, echoes[_i].asked);
    start(&m, echoes[_i].id, 0x8180, echoes[_i].echoed, echoes[_i].type);
    poke16(&m, m.len - 2, echoes[_i].rrclass);
    ck_assert_int_eq(judge(m.len, NULL), echoes[_i].kind);
    rr_mx(&m, echoes[_i].echoed, 60, 1, "mx.example");
    ck_assert_int_eq(read_mx(m.len), echoes[_i].kind == REPLY_ANSWER
                                         ? RECORDS_SOME
                                         : RECORDS_BAD);
}
END_TEST

START_TEST(test_opt)
{
    int rcode;
    size_t before;

    rr_opt(&m, 1);
    ck_assert_int_eq(judge(m.len, &rcode), REPLY_REFUSAL);
    ck_assert_int_eq(rcode, 16); /* BADVERS */
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    setup();
    rr_opt(&m, 0);
    ck_assert_int_eq(judge(m.len, &rcode), REPLY_ANSWER);
    rr_opt(&m, 0);
    ck_assert_int_eq(judge(m.len, &rcode), REPLY_MALFORMED); /* two */
    setup();
    rr_raw(&m, AT_AR, "not.root", 41, 0, 0);
    ck_assert_int_eq(judge(m.len, &rcode), REPLY_MALFORMED);
    setup();
    rr_raw(&m, AT_AN, "", 41, 0, 0);
    ck_assert_int_eq(judge(m.len, &rcode), REPLY_MALFORMED);
    setup(); /* FORMERR with our own OPT echoed and cut */
    poke16(&m, 2, 0x8181);
    before = m.len;
    rr_opt(&m, 0);
    ck_assert_int_eq(judge(before + 3, &rcode), REPLY_NO_EDNS);
}
END_TEST

START_TEST(test_counts_lie)
{
    static const size_t counts[] = {AT_AN, AT_NS, AT_AR};

    full_reply();
    for (size_t i = 0; i < 3; i++) {
        unsigned honest = m.b[counts[i] + 1];
        static const unsigned lies[] = {0x0100, 0xffff};

        for (size_t k = 0; k < 2; k++) {
            poke16(&m, counts[i], honest + lies[k]);
            if (((honest + lies[k]) & 0xffff) < honest)
                continue;
            ck_assert_int_eq(judge(m.len, NULL), REPLY_MALFORMED);
            ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
        }
        poke16(&m, counts[i], honest + 1);
        ck_assert_int_eq(judge(m.len, NULL), REPLY_MALFORMED);
        poke16(&m, counts[i], honest);
    }
    ck_assert_int_eq(judge(m.len, NULL), REPLY_ANSWER);
}
END_TEST

/* Lengths that are not that of the content, in every section. */
static const struct {
    uint16_t type;
    size_t n; /* octets of 0x01: labels of one octet that never end */
} lengths[] = {
    {1, 3},  {1, 5},   {1, 0}, {28, 15}, {28, 17}, {28, 4}, {15, 0},
    {15, 2}, {15, 10}, {5, 0}, {5, 7},   {2, 6},   {6, 0},  {6, 40},
};

START_TEST(test_rdlength)
{
    static const size_t sections[] = {AT_AN, AT_NS, AT_AR};

    for (size_t i = 0; i < 3; i++) {
        setup();
        rr_mx(&m, "example.com", 60, 1, "mx.example");
        rr_raw(&m, sections[i], "other.example", lengths[_i].type, 60,
               lengths[_i].n);
        ck_assert_int_eq(judge(m.len, NULL), REPLY_MALFORMED);
        ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    }
    setup(); /* data of a type that nobody reads may be anything */
    rr_raw(&m, AT_AN, "example.com", 16, 60, lengths[_i].n);
    ck_assert_int_eq(read_mx(m.len), RECORDS_NODATA);
}
END_TEST

/* The name in an MX record ends before, or behind, its record. */
START_TEST(test_rdlength_off_by)
{
    size_t at;

    for (int off = -12; off <= 3; off++) {
        setup();
        at = rr_start(&m, AT_AN, "example.com", WIRE_TYPE_MX, 60);
        put16(&m, 10);
        put_name(&m, "mx.example");
        rr_end(&m, at);
        poke16(&m, at, (unsigned)(14 + off));
        for (int i = 0; i < off; i++)
            put8(&m, 0);
        ck_assert_int_eq(read_mx(m.len), off == 0 ? RECORDS_SOME : RECORDS_BAD);
    }
}
END_TEST

START_TEST(test_compression)
{
    size_t at, host;

    count_one(&m, AT_AN);
    put_pointer(&m, 12);
    put16(&m, 15);
    put16(&m, 1);
    put32(&m, 60);
    at = m.len;
    put16(&m, 0);
    put16(&m, 5);
    host = m.len;
    put8(&m, 2);
    put8(&m, 'm');
    put8(&m, 'x');
    put_pointer(&m, 12);
    rr_end(&m, at);
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_str_eq(set.mx[0].host, "mx.example.com");
    for (size_t to = host; to < m.len + 4; to++) { /* loops, forward */
        poke16(&m, m.len - 2, 0xc000u | (unsigned)to);
        ck_assert_int_eq(judge(m.len, NULL), REPLY_MALFORMED);
        ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    }
}
END_TEST

/* links CNAMEs from example.com, in reverse order if asked, then an MX. */
static void chain(unsigned links, bool reverse, bool end)
{
    char from[32], to[32];

    for (unsigned i = 0; i < links; i++) {
        unsigned k = reverse ? links - 1 - i : i;

        snprintf(from, sizeof(from), k == 0 ? "example.com" : "c%u.x", k);
        snprintf(to, sizeof(to), "C%u.x", k + 1);
        rr_cname(&m, from, 1000 + k, to);
    }
    snprintf(to, sizeof(to), "c%u.X", links);
    if (end)
        rr_mx(&m, to, 2000, 1, "mx.example");
}

START_TEST(test_chain)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        setup();
        chain(16, reverse, true);
        ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
        ck_assert_str_eq(last, "c16.x");
        ck_assert_uint_eq(set.ttl_s, 1000);
        setup();
        chain(16, reverse, false);
        ck_assert_int_eq(read_mx(m.len), RECORDS_PARTIAL);
        ck_assert_str_eq(last, "c16.x");
        setup();
        chain(17, reverse, true);
        ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
        ck_assert_str_eq(last, "example.com");
        setup();
        chain(200, reverse, true);
        ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    }
}
END_TEST

START_TEST(test_chain_wrong)
{
    rr_cname(&m, "example.com", 60, "example.com");
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    setup();
    rr_cname(&m, "example.com", 60, "a.x");
    rr_cname(&m, "a.x", 60, "b.x");
    rr_cname(&m, "b.x", 60, "a.x");
    rr_mx(&m, "b.x", 60, 1, "mx.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    ck_assert_uint_eq(set.n_mx, 0);
    setup(); /* two targets */
    rr_cname(&m, "example.com", 60, "a.x");
    rr_cname(&m, "example.com", 60, "b.x");
    rr_mx(&m, "a.x", 60, 1, "mx.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    setup(); /* the same one twice; records off the chain do not count */
    rr_cname(&m, "example.com", 60, "a.x");
    rr_cname(&m, "EXAMPLE.com", 50, "A.x");
    rr_cname(&m, "stray.x", 1, "example.com");
    rr_mx(&m, "stray.x", 1, 1, "stray.example");
    rr_mx(&m, "example.com", 1, 1, "beside.example");
    rr_mx(&m, "a.x", 60, 1, "mx.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 1);
    ck_assert_str_eq(set.mx[0].host, "mx.example");
    ck_assert_uint_eq(set.ttl_s, 50);
}
END_TEST

/* Records of the asked type count only in the answer section, class IN. */
START_TEST(test_elsewhere)
{
    static const size_t sections[] = {AT_AN, AT_NS, AT_AR};

    for (size_t i = 0; i < 3; i++) {
        size_t at;

        setup();
        at = rr_start(&m, sections[i], "example.com", WIRE_TYPE_MX, 60);
        put16(&m, 10);
        put_name(&m, "mx.example");
        rr_end(&m, at);
        ck_assert_int_eq(read_mx(m.len),
                         i == 0 ? RECORDS_SOME : RECORDS_NODATA);
        poke16(&m, at - 6, 3); /* CHAOS */
        ck_assert_int_eq(read_mx(m.len), RECORDS_NODATA);
    }
}
END_TEST

static const struct {
    const char *what;
    unsigned flags;
    bool cname, ns;
    const char *zone; /* of the SOA, or NULL */
    uint32_t ttl, minimum;
    enum records_status status;
    uint32_t ttl_s;
} none[] = {
    {"minimum", 0x8180, false, true, "com", 900, 300, RECORDS_NODATA, 300},
    {"soa ttl", 0x8180, false, false, "com", 200, 300, RECORDS_NODATA, 200},
    {"root", 0x8180, false, false, "", 200, 300, RECORDS_NODATA, 200},
    {"nxdomain", 0x8183, false, false, "com", 900, 300, RECORDS_NXDOMAIN, 300},
    {"top bit", 0x8180, false, false, "com", 0x80000001, 9, RECORDS_NODATA, 0},
    {"top min", 0x8180, false, false, "com", 9, 0xffffffff, RECORDS_NODATA, 0},
    {"no soa", 0x8180, false, false, NULL, 0, 0, RECORDS_NODATA, 0},
    {"nx, no soa", 0x8183, false, false, NULL, 0, 0, RECORDS_NXDOMAIN, 0},
    {"other zone", 0x8180, false, false, "org", 9, 9, RECORDS_NODATA, 0},
    {"referral", 0x8100, false, true, NULL, 0, 0, RECORDS_BAD, 0},
    {"recursive ns", 0x8180, false, true, NULL, 0, 0, RECORDS_NODATA, 0},
    {"aa ns", 0x8500, false, true, NULL, 0, 0, RECORDS_NODATA, 0},
    {"chain", 0x8180, true, false, "y", 900, 300, RECORDS_NODATA, 100},
    {"chain min", 0x8180, true, false, "y", 900, 30, RECORDS_NODATA, 30},
    {"chain nx", 0x8183, true, false, "y", 900, 30, RECORDS_NXDOMAIN, 30},
    {"chain nx bare", 0x8183, true, false, NULL, 0, 0, RECORDS_NXDOMAIN, 0},
    {"partial", 0x8180, true, false, NULL, 0, 0, RECORDS_PARTIAL, 100},
    {"partial soa", 0x8180, true, false, "com", 9, 9, RECORDS_PARTIAL, 100},
    {"partial ref", 0x8100, true, true, NULL, 0, 0, RECORDS_PARTIAL, 100},
};

START_TEST(test_none)
{
    poke16(&m, 2, none[_i].flags);
    if (none[_i].cname)
        rr_cname(&m, "example.com", 100, "x.y");
    if (none[_i].ns)
        rr_ns(&m, "com", "ns.example");
    if (none[_i].zone != NULL)
        rr_soa(&m, none[_i].zone, none[_i].ttl, none[_i].minimum);
    ck_assert_msg(read_mx(m.len) == none[_i].status, "%s", none[_i].what);
    ck_assert_uint_eq(set.n_mx, 0);
    if (none[_i].status == RECORDS_BAD)
        return;
    ck_assert_msg(set.ttl_s == none[_i].ttl_s, "%s", none[_i].what);
    ck_assert_str_eq(last, none[_i].cname ? "x.y" : "example.com");
}
END_TEST

START_TEST(test_nxdomain_with_records)
{
    full_reply();
    poke16(&m, 2, 0x8183);
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
    ck_assert_uint_eq(set.n_mx, 0);
}
END_TEST

START_TEST(test_null_mx)
{
    rr_mx(&m, "example.com", 60, 0, "");
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 1);
    ck_assert_str_eq(set.mx[0].host, ".");
    rr_mx(&m, "example.com", 60, 0, "mx.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 2);
}
END_TEST

START_TEST(test_many)
{
    char host[32];

    for (unsigned i = 0; i < 600; i++) {
        snprintf(host, sizeof(host), "mx%u.example", i);
        rr_mx(&m, "example.com", 60, 600 - i, host);
    }
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 600);
    ck_assert_str_eq(set.mx[0].host, "mx599.example");
    ck_assert_uint_eq(set.mx[599].preference, 600);
    for (unsigned i = 600; i < WIRE_MX_MAX + 5; i++) {
        snprintf(host, sizeof(host), "m%u.x", i);
        rr_mx(&m, "example.com", 60, 700, host);
    }
    ck_assert_uint_le(m.len, 65535);
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, WIRE_MX_MAX);
}
END_TEST

START_TEST(test_duplicates_and_order)
{
    rr_mx(&m, "example.com", 60, 20, "c.example");
    rr_mx(&m, "example.com", 60, 10, "b.example");
    rr_mx(&m, "example.com", 60, 10, "a.example");
    rr_mx(&m, "example.com", 40, 10, "B.example");
    rr_mx(&m, "example.com", 60, 30, "b.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 4);
    ck_assert_str_eq(set.mx[0].host, "b.example"); /* as received */
    ck_assert_str_eq(set.mx[1].host, "a.example");
    ck_assert_str_eq(set.mx[2].host, "c.example");
    ck_assert_uint_eq(set.mx[3].preference, 30);
    ck_assert_uint_eq(set.ttl_s, 40);
}
END_TEST

START_TEST(test_ttl_and_secure)
{
    rr_mx(&m, "example.com", 0x7fffffff, 1, "mx.example");
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.ttl_s, 0x7fffffff);
    ck_assert(!set.secure);
    rr_mx(&m, "example.com", 0x80000000, 1, "mx.example");
    poke16(&m, 2, 0x81a0);
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_uint_eq(set.ttl_s, 0);
    ck_assert(set.secure);
}
END_TEST

START_TEST(test_host_bytes)
{
    size_t at = rr_start(&m, AT_AN, "example.com", WIRE_TYPE_MX, 60);

    put16(&m, 1);
    put8(&m, 8);
    for (const char *p = "a.,]\n\\:\xe4"; *p != '\0'; p++)
        put8(&m, (unsigned char)*p);
    put8(&m, 0);
    rr_end(&m, at);
    ck_assert_int_eq(read_mx(m.len), RECORDS_SOME);
    ck_assert_str_eq(set.mx[0].host, "a\\.,]\\010\\\\:\\228");
}
END_TEST

START_TEST(test_wrong_type_asked)
{
    struct hostaddrs addrs = {0}, before = addrs;

    full_reply();
    ck_assert_int_eq(read_addrs(m.len, &addrs), RECORDS_BAD);
    ck_assert_mem_eq(&addrs, &before, sizeof(addrs));
    q.type = WIRE_TYPE_A;
    ck_assert_int_eq(read_mx(m.len), RECORDS_BAD);
}
END_TEST

static void rr_addr(const char *owner, uint16_t type, uint32_t ttl, unsigned n)
{
    static const uint8_t zero[15];
    size_t at = rr_start(&m, AT_AN, owner, type, ttl);

    memcpy(m.b + m.len, zero, sizeof(zero));
    m.len += type == WIRE_TYPE_A ? 3 : 15;
    put8(&m, n);
    rr_end(&m, at);
}

static void ask(uint16_t type, unsigned flags)
{
    q.type = type;
    start(&m, ID, flags, "example.com", type);
}

START_TEST(test_addrs)
{
    struct hostaddrs a = {.secure = true, .ttl_s = {UINT32_MAX, UINT32_MAX}};

    ask(WIRE_TYPE_A, 0x81a0);
    rr_cname(&m, "example.com", 500, "x.y");
    rr_addr("x.y", WIRE_TYPE_A, 400, 1);
    rr_addr("x.y", WIRE_TYPE_A, 300, 2);
    rr_addr("other.y", WIRE_TYPE_A, 3, 3);
    rr_addr("x.y", WIRE_TYPE_AAAA, 3, 3);
    for (size_t len = 0; len < m.len; len++)
        ck_assert_int_eq(read_addrs(len, &a), RECORDS_BAD);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V4], UINT32_MAX);
    ck_assert_int_eq(read_addrs(m.len, &a), RECORDS_SOME);
    ck_assert_int_eq(a.state[FAMILY_V4], ADDR_SOME);
    ck_assert_int_eq(a.state[FAMILY_V6], ADDR_UNKNOWN);
    ck_assert_uint_eq(a.n[FAMILY_V4], 2);
    ck_assert_uint_eq(ntohl(a.v4[1].s_addr), 2);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V4], 300);
    ck_assert(a.secure);
    ck_assert_str_eq(last, "x.y");

    ask(WIRE_TYPE_AAAA, 0x8180);
    for (unsigned i = 0; i < ADDRS_MAX + 4; i++)
        rr_addr("example.com", WIRE_TYPE_AAAA, 900, i);
    ck_assert_int_eq(read_addrs(m.len, &a), RECORDS_SOME);
    ck_assert_uint_eq(a.n[FAMILY_V6], ADDRS_MAX);
    ck_assert_uint_eq(a.v6[7].s6_addr[15], 7);
    ck_assert_uint_eq(a.n[FAMILY_V4], 2); /* the other family stays */
    ck_assert_uint_eq(a.ttl_s[FAMILY_V4], 300);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V6], 900);
    ck_assert(!a.secure);
}
END_TEST

START_TEST(test_addrs_none)
{
    struct hostaddrs a = {.secure = true, .ttl_s = {UINT32_MAX, UINT32_MAX}};

    ask(WIRE_TYPE_A, 0x8180);
    rr_cname(&m, "example.com", 500, "x.y");
    ck_assert_int_eq(read_addrs(m.len, &a), RECORDS_PARTIAL);
    ck_assert_int_eq(a.state[FAMILY_V4], ADDR_UNKNOWN);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V4], 500);
    ask(WIRE_TYPE_A, 0x81a0);
    rr_soa(&m, "com", 200, 100);
    ck_assert_int_eq(read_addrs(m.len, &a), RECORDS_NODATA);
    ck_assert_int_eq(a.state[FAMILY_V4], ADDR_NONE);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V4], 100);
    ask(WIRE_TYPE_AAAA, 0x8183);
    rr_soa(&m, "com", 200, 50);
    ck_assert_int_eq(read_addrs(m.len, &a), RECORDS_NXDOMAIN);
    ck_assert_int_eq(a.state[FAMILY_V6], ADDR_NONE);
    ck_assert_uint_eq(a.ttl_s[FAMILY_V6], 50);
}
END_TEST

/* Out of memory at any point: a failure, and the set as it was. */
START_TEST(test_memory)
{
    enum records_status status;
    unsigned n;

    full_reply();
    for (n = 1;; n++) {
        bool hit;

        mxset_free(&set);
        ck_assert(mxset_add(&set, "before.example", 99));
        set.ttl_s = 7;
        failmalloc_at(n);
        status = reply_mx(m.b, m.len, &q, &set, last);
        hit = failmalloc_hit();
        failmalloc_at(0);
        if (!hit)
            break;
        ck_assert_int_eq(status, RECORDS_BAD);
        ck_assert_uint_eq(set.n_mx, 1);
        ck_assert_uint_eq(set.ttl_s, 7);
    }
    ck_assert_uint_ge(n, 5);
    ck_assert_int_eq(status, RECORDS_SOME);
    ck_assert_uint_eq(set.n_mx, 3);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static TCase *judging(void)
{
    TCase *t = tcase_create("judge");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cut_everywhere);
    tcase_add_test(t, test_every_octet_changed);
    tcase_add_loop_test(t, test_heads, 0, COUNT(heads));
    tcase_add_loop_test(t, test_echoes, 0, COUNT(echoes));
    tcase_add_test(t, test_opt);
    tcase_add_test(t, test_counts_lie);
    tcase_add_loop_test(t, test_rdlength, 0, COUNT(lengths));
    tcase_add_test(t, test_rdlength_off_by);
    tcase_add_test(t, test_compression);
    return t;
}

static TCase *records(void)
{
    TCase *t = tcase_create("records");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_mx);
    tcase_add_test(t, test_chain);
    tcase_add_test(t, test_chain_wrong);
    tcase_add_test(t, test_elsewhere);
    tcase_add_loop_test(t, test_none, 0, COUNT(none));
    tcase_add_test(t, test_nxdomain_with_records);
    tcase_add_test(t, test_null_mx);
    tcase_add_test(t, test_many);
    tcase_add_test(t, test_duplicates_and_order);
    tcase_add_test(t, test_ttl_and_secure);
    tcase_add_test(t, test_host_bytes);
    tcase_add_test(t, test_wrong_type_asked);
    tcase_add_test(t, test_addrs);
    tcase_add_test(t, test_addrs_none);
    tcase_add_test(t, test_memory);
    return t;
}

int main(void)
{
    Suite *s = suite_create("reply");

    suite_add_tcase(s, judging());
    suite_add_tcase(s, records());
    return suite_run(s);
}
