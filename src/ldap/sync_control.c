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
struct cursor {
    const unsigned char *at, *end;
    bool bad;
};

static struct cursor cursor_of(const struct berval *value)
{
    const unsigned char *at = (const unsigned char *)value->bv_val;

    if (at == NULL)
        return (struct cursor){.bad = true};
    return (struct cursor){at, at + value->bv_len, false};
}

static bool next_is(const struct cursor *c, unsigned tag)
{
    return !c->bad && c->at < c->end && *c->at == tag;
}

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* A definite length of at most four octets, as LDAP messages have. */
static size_t take_length(struct cursor *c)
{
    size_t n = 0, octets;

    if (left(c) < 1) {
        c->bad = true;
        return 0;
    }
    if (*c->at < 0x80)
        return *c->at++;
    octets = *c->at++ & 0x7fu;
    if (octets < 1 || octets > 4 || octets > left(c)) {
        c->bad = true;
        return 0;
    }
    while (octets-- > 0)
        n = n << 8 | *c->at++;
    return n;
}

/* The contents of the next element, which must have this tag. */
static struct cursor take(struct cursor *c, unsigned tag)
{
    struct cursor in = {.bad = true};
    size_t n;

    if (!next_is(c, tag)) {
        c->bad = true;
        return in;
    }
    c->at++;
    n = take_length(c);
    if (c->bad || n > left(c)) {
        c->bad = true;
        return in;
    }
    in = (struct cursor){c->at, c->at + n, false};
    c->at += n;
    return in;
}

static struct sync_bytes take_octets(struct cursor *c, unsigned tag)
{
    struct cursor in = take(c, tag);

    if (c->bad)
        return (struct sync_bytes){0};
    return (struct sync_bytes){in.at, left(&in)};
}

static struct sync_bytes take_cookie(struct cursor *c, unsigned tag)
{
    struct sync_bytes cookie = take_octets(c, tag);

    if (cookie.len > SYNC_COOKIE_MAX)
        c->bad = true;
    return cookie;
}

static struct sync_bytes take_optional_cookie(struct cursor *c)
{
    return next_is(c, TAG_OCTETS) ? take_cookie(c, TAG_OCTETS)
                                  : (struct sync_bytes){0};
}

static bool take_optional_bool(struct cursor *c, bool otherwise)
{
    struct sync_bytes b;

    if (!next_is(c, TAG_BOOLEAN))
        return otherwise;
    b = take_octets(c, TAG_BOOLEAN);
    if (b.len != 1) {
        c->bad = true;
        return otherwise;
    }
    return *(const unsigned char *)b.data != 0;
}

static const unsigned char *take_uuid(struct cursor *c)
{
    struct sync_bytes b = take_octets(c, TAG_OCTETS);

    if (b.len != SYNC_UUID_LEN)
        c->bad = true;
    return b.data;
}

/* Everything was read, inside and outside. */
static bool at_end(const struct cursor *inner, const struct cursor *outer)
{
    return !inner->bad && !outer->bad && inner->at == inner->end &&
           outer->at == outer->end;
}

bool sync_parse_entry(const struct berval *value, struct sync_entry *r)
{
    struct cursor outer = cursor_of(value), in = take(&outer, TAG_SEQUENCE);
    struct sync_bytes state = take_octets(&in, TAG_ENUM);
    unsigned n = state.len == 1 ? *(const unsigned char *)state.data : 255u;

    *r = (struct sync_entry){.state = (enum sync_state)n};
    r->uuid = take_uuid(&in);
    r->cookie = take_optional_cookie(&in);
    return n <= SYNC_DELETE && at_end(&in, &outer);
}

bool sync_parse_done(const struct berval *value, struct sync_done *r)
{
    struct cursor outer = cursor_of(value), in = take(&outer, TAG_SEQUENCE);

    *r = (struct sync_done){0};
    r->cookie = take_optional_cookie(&in);
    r->refresh_deletes = take_optional_bool(&in, false);
    return at_end(&in, &outer);
}

static enum mxhop_status take_uuids(struct cursor *c, struct sync_info *r)
{
    struct cursor set = take(c, TAG_SET);
    size_t most = set.bad ? 0 : left(&set) / (2 + SYNC_UUID_LEN);

    if (most == 0) { /* not even one fits */
        c->bad = c->bad || set.bad || left(&set) > 0;
        return MXHOP_OK;
    }
    r->uuids = malloc(most * SYNC_UUID_LEN);
    if (r->uuids == NULL)
        return MXHOP_ERR_MEMORY;
    while (!set.bad && set.at < set.end) {
        const unsigned char *uuid = take_uuid(&set);

        if (!set.bad)
            memcpy(r->uuids + r->n_uuids++ * SYNC_UUID_LEN, uuid,
                   SYNC_UUID_LEN);
    }
    c->bad = c->bad || set.bad;
    return MXHOP_OK;
}

static enum mxhop_status take_set(struct cursor *in, struct sync_info *r)
{
    r->kind = SYNC_ID_SET;
    r->cookie = take_optional_cookie(in);
    r->refresh_deletes = take_optional_bool(in, false);
    return take_uuids(in, r);
}

static void take_end(struct cursor *in, struct sync_info *r,
                     enum sync_info_kind kind)
{
    r->kind = kind;
    r->cookie = take_optional_cookie(in);
    r->refresh_done = take_optional_bool(in, true);
}

enum mxhop_status sync_parse_info(const struct berval *value,
                                  struct sync_info *r)
{
    struct cursor outer = cursor_of(value), in = {0};
    enum mxhop_status status = MXHOP_OK;

    *r = (struct sync_info){0};
    if (next_is(&outer, TAG_NEW_COOKIE)) {
        r->kind = SYNC_NEW_COOKIE;
        r->cookie = take_cookie(&outer, TAG_NEW_COOKIE);
    } else if (next_is(&outer, TAG_REFRESH_DELETE)) {
        in = take(&outer, TAG_REFRESH_DELETE);
        take_end(&in, r, SYNC_REFRESH_DELETE);
    } else if (next_is(&outer, TAG_REFRESH_PRESENT)) {
        in = take(&outer, TAG_REFRESH_PRESENT);
        take_end(&in, r, SYNC_REFRESH_PRESENT);
    } else {
        in = take(&outer, TAG_ID_SET);
        status = take_set(&in, r);
    }
    if (status == MXHOP_OK && !at_end(&in, &outer))
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
