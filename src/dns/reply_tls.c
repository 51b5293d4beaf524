/*
 * reply_tls - from an untrusted DNS message to what it says about TLS
 *
 * Takes the texts at _mta-sts.DOMAIN or _smtp._tls.DOMAIN, or TLSA records, out
 * of a message that is a reply to our question. The strings of a TXT record are
 * one text (RFC 8461 3.1); a text longer than WIRE_TXT_MAX cannot be well
 * formed.
 *
 * TLSA records are of use to SMTP (RFC 7672 3.1) if they are DANE-TA(2) or
 * DANE-EE(3), with a selector and a matching type that exist and data as long
 * as a digest of that type. PKIX-TA(0) and PKIX-EE(1) are of no use there.
 *
 * Matching type 0 is a whole certificate or key, of use if it is a sound one.
 * smtp(8) has OpenSSL parse it, and goes on unauthenticated if that fails; a
 * parser of ours would be right about most of them, and hold up mail for the
 * rest. So it is only said that they are there, beside no digest of use, and
 * the MTA judges.
 *
 * Data that ends in the middle makes an answer bad. After RECORDS_BAD the
 * values are untouched and `last` is the question's name (empty if even that is
 * none).
 */

#include "dns/reply.h"

#include <string.h>

#include "dns/answer.h"

struct txt_sink {
    enum tls_txt which;
    struct domain_txt found;
    unsigned n; /* of the texts that begin as ours */
};

static bool reply_take_txt(void *ctx, const struct record *r)
{
    struct txt_sink *s = ctx;
    struct cursor rdata = r->rdata;
    char text[WIRE_TXT_MAX];
    size_t len = 0;

    while (rdata.pos < rdata.len) {
        size_t n = cursor_u8(&rdata);
        size_t fits = n < sizeof(text) - len ? n : sizeof(text) - len;
        const uint8_t *octets = cursor_bytes(&rdata, n);

        if (octets == NULL)
            return false;
        memcpy(text + len, octets, fits);
        len += fits;
        if (fits < n)
            text[sizeof(text) - 1] = '\0'; /* no text that counts has one */
    }
    if (s->which == TLS_TXT_STS)
        sts_txt_judge(&s->found, &s->n, text, len);
    else
        rpt_txt_judge(&s->found, text, len);
    return true;
}

enum records_status reply_txt(const uint8_t *msg, size_t len,
                              const struct question *q, enum tls_txt which,
                              struct domain_txt *txt, char *last)
{
    struct txt_sink sink = {.which = which, .found = {.state = TXT_NONE}};
    enum records_status status;
    struct answer a;

    status = answer_read(msg, len, q, WIRE_TYPE_TXT, &a, last, reply_take_txt,
                         &sink);
    if (status == RECORDS_BAD)
        return status;
    if (status != RECORDS_PARTIAL) {
        sink.found.ttl_s = txt->ttl_s;
        *txt = sink.found;
    }
    if (a.ttl_s < txt->ttl_s)
        txt->ttl_s = a.ttl_s;
    return status;
}

static bool reply_take_tlsa(void *ctx, const struct record *r)
{
    static const size_t digest_len[] = {0, 32, 64}; /* by matching type */
    struct tlsa *t = ctx;
    struct cursor rdata = r->rdata;
    unsigned usage = cursor_u8(&rdata);
    unsigned selector = cursor_u8(&rdata);
    unsigned matching = cursor_u8(&rdata);
    size_t len = rdata.len - rdata.pos;

    if (rdata.failed)
        return false;
    if (t->state == TLSA_NONE)
        t->state = TLSA_UNUSABLE;
    if ((usage != 2 && usage != 3) || selector > 1 || matching > 2 ||
        (matching == 0 ? len == 0 : len != digest_len[matching]))
        return true;
    if (matching != 0)
        t->state = TLSA_USABLE;
    else if (t->state != TLSA_USABLE)
        t->state = TLSA_WHOLE;
    t->trust_anchor = t->trust_anchor || usage == 2;
    return true;
}

enum records_status reply_tlsa(const uint8_t *msg, size_t len,
                               const struct question *q, struct tlsa *tlsa,
                               bool *secure, char *last)
{
    struct tlsa got = {.state = TLSA_NONE};
    enum records_status status;
    struct answer a;

    status = answer_read(msg, len, q, WIRE_TYPE_TLSA, &a, last, reply_take_tlsa,
                         &got);
    if (status == RECORDS_BAD)
        return status;
    *secure = *secure && a.secure;
    if (a.ttl_s < tlsa->ttl_s)
        tlsa->ttl_s = a.ttl_s;
    if (status != RECORDS_PARTIAL) {
        tlsa->state = *secure ? got.state : TLSA_NONE;
        tlsa->trust_anchor = tlsa->state == TLSA_USABLE && got.trust_anchor;
    }
    return status;
}
