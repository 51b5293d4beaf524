/*
 * sync_control - RFC 4533's controls: one is written, three are read
 *
 *     syncRequestValue ::= SEQUENCE { mode ENUMERATED, cookie OCTET STRING
 *                          OPTIONAL, reloadHint BOOLEAN DEFAULT FALSE }
 *     syncStateValue   ::= SEQUENCE { state ENUMERATED, entryUUID OCTET
 *                          STRING (16), cookie OPTIONAL }
 *     syncDoneValue    ::= SEQUENCE { cookie OPTIONAL, refreshDeletes BOOLEAN
 *                          DEFAULT FALSE }
 *     syncInfoValue    ::= CHOICE { newcookie [0], refreshDelete [1],
 *                          refreshPresent [2], syncIdSet [3] }
 *
 * The reading is ours, over a bounded cursor: definite lengths, nothing behind
 * the end, nothing unknown. What a server says here decides which routes are
 * deleted, so whatever is not understood in full is refused, and with it the
 * whole refresh.
 *
 * Pure functions; a result points into its input.
 */

#include "ldap/sync_control.h"

#include <stdlib.h>
#include <string.h>

/* BER tags, all in one octet. */
enum {
    TAG_BOOLEAN = 0x01,
    TAG_OCTETS = 0x04,
    TAG_ENUM = 0x0a,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_NEW_COOKIE = 0x80,
    TAG_REFRESH_DELETE = 0xa1,
    TAG_REFRESH_PRESENT = 0xa2,
    TAG_ID_SET = 0xa3
};

/* What is left to read; `bad` sticks, and everything after it is nothing. */
struct tlv {
    const unsigned char *at, *end;
    bool bad;
};

static struct tlv tlv_of(const struct berval *value)
{
    const unsigned char *at = (const unsigned char *)value->bv_val;

    if (at == NULL)
        return (struct tlv){.bad = true};
    return (struct tlv){at, at + value->bv_len, false};
}

static size_t tlv_left(const struct tlv *c)
{
    return (size_t)(c->end - c->at);
}

static bool tlv_next_is(const struct tlv *c, unsigned tag)
{
    return !c->bad && c->at < c->end && *c->at == tag;
}

/* The contents of the next element, which must have this tag, and a definite
   length of at most four octets, as LDAP messages have. */
static struct tlv tlv_take(struct tlv *c, unsigned tag)
{
    struct tlv in = {.bad = true};
    size_t n, octets;

    if (!tlv_next_is(c, tag) || tlv_left(c) < 2)
        goto bad;
    c->at++;
    n = *c->at++;
    if (n >= 0x80) {
        octets = n & 0x7fu;
        if (octets < 1 || octets > 4 || octets > tlv_left(c))
            goto bad;
        for (n = 0; octets > 0; octets--)
            n = n << 8 | *c->at++;
    }
    if (n > tlv_left(c))
        goto bad;
    in = (struct tlv){c->at, c->at + n, false};
    c->at += n;
    return in;
bad:
    c->bad = true;
    return in;
}

/* Nothing here is longer than a cookie. */
static struct sync_bytes tlv_octets(struct tlv *c, unsigned tag)
{
    struct tlv in = tlv_take(c, tag);

    if (!c->bad && tlv_left(&in) > SYNC_COOKIE_MAX)
        c->bad = true;
    if (c->bad)
        return (struct sync_bytes){0};
    return (struct sync_bytes){in.at, tlv_left(&in)};
}

static struct sync_bytes tlv_optional_cookie(struct tlv *c)
{
    return tlv_next_is(c, TAG_OCTETS) ? tlv_octets(c, TAG_OCTETS)
                                      : (struct sync_bytes){0};
}

static bool tlv_optional_bool(struct tlv *c, bool otherwise)
{
    struct sync_bytes b;

    if (!tlv_next_is(c, TAG_BOOLEAN))
        return otherwise;
    b = tlv_octets(c, TAG_BOOLEAN);
    c->bad = c->bad || b.len != 1;
    return c->bad ? otherwise : *(const unsigned char *)b.data != 0;
}

static const unsigned char *tlv_uuid(struct tlv *c)
{
    struct sync_bytes b = tlv_octets(c, TAG_OCTETS);

    c->bad = c->bad || b.len != SYNC_UUID_LEN;
    return b.data;
}

/* Everything was read, inside and outside. */
static bool tlv_is_over(const struct tlv *inner, const struct tlv *outer)
{
    return !inner->bad && !outer->bad && inner->at == inner->end &&
           outer->at == outer->end;
}

bool sync_parse_entry(const struct berval *value, struct sync_entry *r)
{
    struct tlv outer = tlv_of(value), in = tlv_take(&outer, TAG_SEQUENCE);
    struct sync_bytes state = tlv_octets(&in, TAG_ENUM);
    unsigned n = state.len == 1 ? *(const unsigned char *)state.data : 255u;

    *r = (struct sync_entry){.state = (enum sync_state)n};
    r->uuid = tlv_uuid(&in);
    r->cookie = tlv_optional_cookie(&in);
    return n <= SYNC_DELETE && tlv_is_over(&in, &outer);
}

bool sync_parse_done(const struct berval *value, struct sync_done *r)
{
    struct tlv outer = tlv_of(value), in = tlv_take(&outer, TAG_SEQUENCE);

    *r = (struct sync_done){0};
    r->cookie = tlv_optional_cookie(&in);
    r->refresh_deletes = tlv_optional_bool(&in, false);
    return tlv_is_over(&in, &outer);
}

static enum mxhop_status sync_parse_uuids(struct tlv *c, struct sync_info *r)
{
    struct tlv set = tlv_take(c, TAG_SET);
    size_t most = set.bad ? 0 : tlv_left(&set) / (2 + SYNC_UUID_LEN);

    if (most == 0) { /* not even one fits */
        c->bad = c->bad || set.bad || tlv_left(&set) > 0;
        return MXHOP_OK;
    }
    r->uuids = malloc(most * SYNC_UUID_LEN);
    if (r->uuids == NULL)
        return MXHOP_ERR_MEMORY;
    while (!set.bad && set.at < set.end) {
        const unsigned char *uuid = tlv_uuid(&set);

        if (!set.bad)
            memcpy(r->uuids + r->n_uuids++ * SYNC_UUID_LEN, uuid,
                   SYNC_UUID_LEN);
    }
    c->bad = c->bad || set.bad;
    return MXHOP_OK;
}

enum mxhop_status sync_parse_info(const struct berval *value,
                                  struct sync_info *r)
{
    struct tlv outer = tlv_of(value), in = {0};
    enum mxhop_status status = MXHOP_OK;

    *r = (struct sync_info){.kind = SYNC_ID_SET};
    if (tlv_next_is(&outer, TAG_NEW_COOKIE)) {
        r->kind = SYNC_NEW_COOKIE;
        r->cookie = tlv_octets(&outer, TAG_NEW_COOKIE);
    } else if (tlv_next_is(&outer, TAG_REFRESH_DELETE) ||
               tlv_next_is(&outer, TAG_REFRESH_PRESENT)) {
        r->kind = *outer.at == TAG_REFRESH_DELETE ? SYNC_REFRESH_DELETE
                                                  : SYNC_REFRESH_PRESENT;
        in = tlv_take(&outer, *outer.at);
        r->cookie = tlv_optional_cookie(&in);
        r->refresh_done = tlv_optional_bool(&in, true);
    } else {
        in = tlv_take(&outer, TAG_ID_SET);
        r->cookie = tlv_optional_cookie(&in);
        r->refresh_deletes = tlv_optional_bool(&in, false);
        status = sync_parse_uuids(&in, r);
    }
    if (status == MXHOP_OK && !tlv_is_over(&in, &outer))
        status = MXHOP_ERR_SYNTAX;
    if (status != MXHOP_OK) {
        free(r->uuids);
        r->uuids = NULL;
        r->n_uuids = 0;
    }
    return status;
}

enum mxhop_status sync_request(enum sync_mode mode, struct sync_bytes cookie,
                               struct berval *out)
{
    BerElement *ber = ber_alloc_t(LBER_USE_DER);
    struct berval text;
    int rc;

    if (ber == NULL)
        return MXHOP_ERR_MEMORY;
    if (cookie.len > 0)
        rc = ber_printf(ber, "{eo}", (ber_int_t)mode, cookie.data,
                        (ber_len_t)cookie.len);
    else
        rc = ber_printf(ber, "{e}", (ber_int_t)mode);
    if (rc != -1 && ber_flatten2(ber, &text, 0) != -1)
        rc = ber_dupbv(out, &text) != NULL ? 0 : -1;
    else
        rc = -1;
    ber_free(ber, 1);
    return rc == 0 ? MXHOP_OK : MXHOP_ERR_MEMORY;
}
