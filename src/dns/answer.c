/*
 * answer - the records of a reply that answer its question
 *
 * Follows the CNAME chain from the question's name through the answer section
 * (links may stand in any order, and twice), hands the records at its end to
 * the caller, and tells the kinds of "none" apart by rcode and authority
 * section (RFC 2308): negative answer, chain that leads on, referral.
 *
 * Refused, so that it counts as a failure and never as "no MX": a chain that
 * loops or is too long, two CNAMEs of one name with different targets, an
 * NXDOMAIN that brings the very records, a referral from a server that does
 * not recurse (it said nothing about the name).
 *
 * Nothing is allocated. The message has been judged: every walk here is over
 * one that is known to be whole.
 */

#include "dns/answer.h"

#define LINKS_MAX      32 /* CNAMEs looked at: a whole chain and some strays */
#define RCODE_NXDOMAIN 3

struct link {
    struct wire_name owner, target;
    uint32_t ttl_s;
};

struct chain {
    size_t n;
    struct link links[LINKS_MAX];
};

/* What a message says beside the records asked for. */
struct hints {
    size_t records;
    bool soa, ns;
    uint32_t negative_ttl_s;
};

static void answer_lower_ttl(uint32_t *ttl_s, uint32_t to)
{
    if (to < *ttl_s)
        *ttl_s = to;
}

static struct link *answer_chain_find(struct chain *ch,
                                      const struct wire_name *owner)
{
    for (size_t i = 0; i < ch->n; i++)
        if (wire_name_equal(&ch->links[i].owner, owner))
            return &ch->links[i];
    return NULL;
}

static bool answer_chain_add(struct chain *ch, const struct record *r)
{
    struct cursor rdata = r->rdata;
    struct link *link = answer_chain_find(ch, &r->owner);
    struct wire_name target;

    wire_name_read(&rdata, &target);
    if (link != NULL) {
        answer_lower_ttl(&link->ttl_s, record_ttl_s(r->ttl));
        return wire_name_equal(&link->target, &target);
    }
    if (ch->n == LINKS_MAX)
        return false;
    ch->links[ch->n++] = (struct link){
        .owner = r->owner, .target = target, .ttl_s = record_ttl_s(r->ttl)};
    return true;
}

static bool answer_chain_collect(struct chain *ch, struct walk w)
{
    struct record r;

    ch->n = 0;
    while (walk_next(&w, &r) && r.section == SECTION_ANSWER)
        if (r.type == WIRE_TYPE_CNAME && r.rrclass == WIRE_CLASS_IN &&
            !answer_chain_add(ch, &r))
            return false;
    return true;
}

/* Move a->last to the end of the chain; false if it has none within reach,
   which is also how a loop shows. */
static bool answer_chain_follow(struct chain *ch, struct answer *a,
                                unsigned *links_r)
{
    struct link *link;

    *links_r = 0;
    while ((link = answer_chain_find(ch, &a->last)) != NULL) {
        if (++*links_r > WIRE_CNAME_MAX)
            return false;
        a->last = link->target;
        answer_lower_ttl(&a->ttl_s, link->ttl_s);
    }
    return true;
}

/* RFC 2308 section 5: the lesser of the SOA's own TTL and its MINIMUM. */
static uint32_t answer_negative_ttl_s(const struct record *r)
{
    struct cursor minimum = r->rdata;
    uint32_t ttl_s = record_ttl_s(r->ttl);

    minimum.pos = minimum.len - 4;
    answer_lower_ttl(&ttl_s, record_ttl_s(cursor_u32(&minimum)));
    return ttl_s;
}

static void answer_note_authority(const struct record *r,
                                  const struct answer *a, struct hints *h)
{
    if (r->type == WIRE_TYPE_NS)
        h->ns = true;
    if (r->type != WIRE_TYPE_SOA || !wire_name_within(&a->last, &r->owner))
        return;
    if (!h->soa)
        h->negative_ttl_s = UINT32_MAX;
    h->soa = true;
    answer_lower_ttl(&h->negative_ttl_s, answer_negative_ttl_s(r));
}

static bool answer_collect(struct walk w, struct answer *a, struct hints *h,
                           answer_fn *fn, void *ctx)
{
    struct record r;

    while (walk_next(&w, &r) && r.section != SECTION_ADDITIONAL) {
        if (r.rrclass != WIRE_CLASS_IN)
            continue;
        if (r.section == SECTION_AUTHORITY) {
            answer_note_authority(&r, a, h);
            continue;
        }
        if (r.type != w.qtype || !wire_name_equal(&r.owner, &a->last))
            continue;
        h->records++;
        answer_lower_ttl(&a->ttl_s, record_ttl_s(r.ttl));
        if (!fn(ctx, &r))
            return false;
    }
    return true;
}

static enum records_status answer_sum_up(const struct walk *w,
                                         const struct hints *h, unsigned links,
                                         struct answer *a)
{
    bool nxdomain = (w->flags & WIRE_RCODE) == RCODE_NXDOMAIN;
    bool referral = h->ns && !h->soa && (w->flags & (WIRE_AA | WIRE_RA)) == 0;

    if (h->records > 0)
        return nxdomain ? RECORDS_BAD : RECORDS_SOME;
    if (!nxdomain && !h->soa && links > 0)
        return RECORDS_PARTIAL;
    if (!nxdomain && referral)
        return RECORDS_BAD;
    answer_lower_ttl(&a->ttl_s, h->negative_ttl_s);
    return nxdomain ? RECORDS_NXDOMAIN : RECORDS_NODATA;
}

static void answer_print_question(const struct question *q, char *last)
{
    struct wire_name name;

    *last = '\0';
    if (wire_name_parse(q->name, &name))
        wire_name_print(&name, last);
}

enum records_status answer_read(const uint8_t *msg, size_t len,
                                const struct question *q, uint16_t type,
                                struct answer *a_r, char *last, answer_fn *fn,
                                void *ctx)
{
    enum records_status status = RECORDS_BAD;
    struct hints hints = {0};
    struct chain chain;
    struct walk w;
    unsigned links;

    if (q->type == type && walk_open(&w, msg, len)) {
        a_r->last = w.qname;
        a_r->ttl_s = UINT32_MAX;
        a_r->secure = (w.flags & WIRE_AD) != 0;
        if (answer_chain_collect(&chain, w) &&
            answer_chain_follow(&chain, a_r, &links) &&
            answer_collect(w, a_r, &hints, fn, ctx))
            status = answer_sum_up(&w, &hints, links, a_r);
    }
    if (status == RECORDS_BAD)
        answer_print_question(q, last);
    else
        wire_name_print(&a_r->last, last);
    return status;
}
