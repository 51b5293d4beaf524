/*
 * reply - from an untrusted DNS message to values
 *
 * Judges whether a message is a reply to our question, and takes MX records
 * or addresses out of one that is; reply_tls.c does so with TXT and TLSA. No
 * byte of the message is trusted: what is not wholly valid gives no record at
 * all.
 *
 * Bytes after the last record are ignored, as BIND does. Of an error reply
 * only header and question count, and an extended rcode if one can be read:
 * what a server that dislikes our query puts behind them (often the query's
 * own OPT, cut short) changes nothing.
 *
 * Values belong to the caller. Unless reply_mx() returns RECORDS_SOME, the
 * hosts in the set are those that were there before; after RECORDS_BAD, which
 * also stands for out of memory, the set or the addresses are untouched and
 * `last` is the question's name (empty if even that is none).
 */

#include "dns/reply.h"

#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"

static enum reply_kind reply_kind_of_rcode(int rcode)
{
    switch (rcode) {
    case 0: /* NOERROR */
    case 3: /* NXDOMAIN */
        return REPLY_ANSWER;
    case 1: /* FORMERR */
    case 4: /* NOTIMP */
        return REPLY_NO_EDNS;
    default:
        return REPLY_REFUSAL;
    }
}

static bool reply_is_ours(const struct walk *w, const struct question *q)
{
    struct wire_name name;

    if (w->id != q->id || (w->flags & (WIRE_QR | WIRE_OPCODE)) != WIRE_QR)
        return false;
    if (w->count[SECTION_QUESTION] == 0)
        return reply_kind_of_rcode((int)(w->flags & WIRE_RCODE)) !=
               REPLY_ANSWER;
    return w->count[SECTION_QUESTION] == 1 && w->qtype == q->type &&
           w->qclass == WIRE_CLASS_IN && wire_name_parse(q->name, &name) &&
           wire_name_equal(&name, &w->qname);
}

/* Walk all sections. OPT may stand once, in the additional section, at the
   root (RFC 6891 section 6.1.1); its
   TTL begins with the upper bits of the rcode. */
static bool reply_walk_whole(struct walk *w, int *extended_r)
{
    bool opt = false;
    struct record r;

    while (walk_next(w, &r)) {
        if (r.type != WIRE_TYPE_OPT)
            continue;
        if (opt || r.section != SECTION_ADDITIONAL || r.owner.len != 1)
            return false;
        opt = true;
        *extended_r = (int)(r.ttl >> 24);
    }
    return !w->c.failed;
}

enum reply_kind reply_judge(const uint8_t *msg, size_t len,
                            const struct question *q, int *rcode_r)
{
    enum reply_kind kind;
    struct walk w;
    int rcode, extended = 0;
    bool whole;

    if (rcode_r != NULL)
        *rcode_r = -1;
    if (!walk_open(&w, msg, len) || !reply_is_ours(&w, q))
        return REPLY_ALIEN;
    rcode = (int)(w.flags & WIRE_RCODE);
    kind = reply_kind_of_rcode(rcode);
    whole = reply_walk_whole(&w, &extended);
    if (rcode_r != NULL)
        *rcode_r = whole ? extended << 4 | rcode : rcode;
    if (whole && extended != 0)
        return REPLY_REFUSAL;
    if (kind == REPLY_ANSWER && (w.flags & WIRE_TC) != 0)
        return REPLY_TRUNCATED;
    return kind == REPLY_ANSWER && !whole ? REPLY_MALFORMED : kind;
}

struct mx_sink {
    struct mxset *set;
    size_t first; /* hosts before it were there already */
    size_t taken; /* records, duplicates included */
};

static bool reply_mx_known(const struct mx_sink *s, const char *host,
                           uint16_t preference)
{
    for (size_t i = s->first; i < s->set->n_mx; i++)
        if (s->set->mx[i].preference == preference &&
            strcmp(s->set->mx[i].host, host) == 0)
            return true;
    return false;
}

static bool reply_take_mx(void *ctx, const struct record *r)
{
    struct mx_sink *s = ctx;
    struct cursor rdata = r->rdata;
    uint16_t preference = cursor_u16(&rdata);
    char host[WIRE_NAME_TEXT];
    struct wire_name name;

    if (s->taken == WIRE_MX_MAX)
        return true;
    s->taken++;
    wire_name_read(&rdata, &name);
    wire_name_print(&name, host);
    return reply_mx_known(s, host, preference) ||
           mxset_add(s->set, host, preference);
}

static void reply_give_back(struct mx_sink *s)
{
    while (s->set->n_mx > s->first)
        free(s->set->mx[--s->set->n_mx].host);
}

enum records_status reply_mx(const uint8_t *msg, size_t len,
                             const struct question *q, struct mxset *set,
                             char *last)
{
    struct mx_sink sink = {.set = set, .first = set->n_mx};
    enum records_status status;
    struct answer a;

    status =
        answer_read(msg, len, q, WIRE_TYPE_MX, &a, last, reply_take_mx, &sink);
    if (status != RECORDS_SOME)
        reply_give_back(&sink);
    if (status == RECORDS_BAD)
        return status;
    mxset_sort(set);
    set->ttl_s = a.ttl_s;
    set->secure = a.secure;
    return status;
}

/* Where the records of a family go; what does not fit is left out. */
struct addr_sink {
    struct hostaddrs *addrs;
    unsigned family;
};

static bool reply_take_addr(void *ctx, const struct record *r)
{
    struct addr_sink *s = ctx;
    struct cursor rdata = r->rdata;
    bool v4 = s->family == FAMILY_V4;
    size_t size = v4 ? sizeof(s->addrs->v4[0]) : sizeof(s->addrs->v6[0]);
    const uint8_t *octets = cursor_bytes(&rdata, size);
    uint8_t *n = &s->addrs->n[s->family];

    if (*n == ADDRS_MAX || octets == NULL)
        return true;
    memcpy(v4 ? (void *)&s->addrs->v4[*n] : &s->addrs->v6[*n], octets, size);
    (*n)++;
    return true;
}

enum records_status reply_addrs(const uint8_t *msg, size_t len,
                                const struct question *q,
                                struct hostaddrs *addrs, char *last)
{
    unsigned family = q->type == WIRE_TYPE_A ? FAMILY_V4 : FAMILY_V6;
    struct hostaddrs got = *addrs; /* an answer may prove bad halfway */
    struct addr_sink sink = {.addrs = &got, .family = family};
    enum records_status status;
    struct answer a;

    got.n[family] = 0;
    status = answer_read(msg, len, q,
                         family == FAMILY_V4 ? WIRE_TYPE_A : WIRE_TYPE_AAAA, &a,
                         last, reply_take_addr, &sink);
    if (status == RECORDS_BAD)
        return status;
    if (status != RECORDS_PARTIAL) {
        *addrs = got;
        addrs->state[family] = status == RECORDS_SOME ? ADDR_SOME : ADDR_NONE;
    }
    if (a.ttl_s < addrs->ttl_s[family])
        addrs->ttl_s[family] = a.ttl_s;
    addrs->secure = addrs->secure && a.secure;
    return status;
}
