/* Replies: values within bounds. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "dns/record.h"
#include "dns/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ask what the message says that was asked, so that the fuzzer need not
   guess; else a question of ours. */
static void take_question(const uint8_t *data, size_t size, struct question *q)
{
    struct walk w;

    *q = (struct question){.id = 0x1234, .type = WIRE_TYPE_MX};
    strcpy(q->name, "example.com");
    if (!walk_open(&w, data, size) || w.qname.len == 0)
        return;
    q->id = w.id;
    q->type = w.qtype;
    wire_name_print(&w.qname, q->name);
}

static void check_set(const struct mxset *s, enum records_status status)
{
    assert((s->n_mx > 0) == (status == RECORDS_SOME));
    assert(s->n_mx <= WIRE_MX_MAX && s->ttl_s <= INT32_MAX);
    for (size_t i = 0; i < s->n_mx; i++) {
        assert(i == 0 || s->mx[i - 1].preference <= s->mx[i].preference);
        assert(strlen(s->mx[i].host) < WIRE_NAME_TEXT);
        for (const char *p = s->mx[i].host; *p != '\0'; p++)
            assert(*p > ' ' && *p <= '~' && !(*p >= 'A' && *p <= 'Z'));
    }
}

static void check_sts(const struct domain_txt *r, enum records_status status)
{
    assert((r->state == TXT_FOUND) == (r->id[0] != '\0'));
    assert(r->state != TXT_FOUND || status == RECORDS_SOME);
    assert(strlen(r->id) <= STS_ID_MAX);
    for (const char *p = r->id; *p != '\0'; p++)
        assert(strchr("0123456789abcdefghijklmnopqrstuvwxyz"
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                      *p) != NULL);
}

static void check_tlsa(const struct tlsa *t, bool secure,
                       enum records_status status)
{
    assert(t->state < TLSA_FAILED);
    assert(t->state < TLSA_USABLE || (secure && status == RECORDS_SOME));
    assert(!t->trust_anchor || t->state == TLSA_USABLE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hostaddrs addrs = {.ttl_s = {UINT32_MAX, UINT32_MAX},
                              .secure = true};
    char last[WIRE_NAME_TEXT];
    struct mxset set = {0};
    struct domain_txt sts = {.ttl_s = UINT32_MAX}, rpt = sts;
    struct tlsa tlsa = {.ttl_s = UINT32_MAX};
    enum records_status mx, addr, txt, dane;
    bool secure = true;
    struct question q;

    take_question(data, size, &q);
    if (reply_judge(data, size, &q, NULL) != REPLY_ANSWER)
        return 0;
    mx = reply_mx(data, size, &q, &set, last);
    assert(strlen(last) < sizeof(last));
    check_set(&set, mx);
    mxset_free(&set);
    addr = reply_addrs(data, size, &q, &addrs, last);
    txt = reply_txt(data, size, &q, TLS_TXT_RPT, &rpt, last);
    check_sts(&rpt, txt);
    txt = reply_txt(data, size, &q, TLS_TXT_STS, &sts, last);
    check_sts(&sts, txt);
    dane = reply_tlsa(data, size, &q, &tlsa, &secure, last);
    check_tlsa(&tlsa, secure, dane);
    assert(addrs.n[FAMILY_V4] <= ADDRS_MAX && addrs.n[FAMILY_V6] <= ADDRS_MAX);
    assert((addr == RECORDS_SOME) ==
           (addrs.n[FAMILY_V4] + addrs.n[FAMILY_V6] > 0));
    return 0;
}
