/*
 * sync_cookie - what is known of the cookies that OpenLDAP makes
 *
 *     rid=000,sid=001,csn=20261125213843.888838Z#000000#001#000000;...
 *
 * A cookie is opaque, and those of other makes stay as they are. Of these two
 * things are known, as slapd's own consumer knows them.
 *
 * sid is the server that made the cookie. In one that it receives, slapd takes
 * it for the server that asks, and does not tell it of changes that came from
 * there. We are no server: without sid another provider of the same set tells
 * us everything.
 *
 * There is a CSN for each server whose changes are in the set; its third field
 * says which. The cookie of a refresh has them all, that of a single change
 * only its own. Taken for the whole it would be right, but the next refresh
 * would bring all entries of the other servers once more.
 */

#include "ldap/sync_cookie.h"

#include <string.h>

struct span {
    const char *at, *end;
};

static size_t span_length(struct span s)
{
    return (size_t)(s.end - s.at);
}

static const char *span_find(struct span in, char c)
{
    const char *at = memchr(in.at, c, span_length(in));

    return at != NULL ? at : in.end;
}

/* Take the next CSN off the list, and say of which server it is. */
static bool csn_next(struct span *list, struct span *csn_r, struct span *sid_r)
{
    if (list->at == list->end)
        return false;
    *csn_r = (struct span){list->at, span_find(*list, ';')};
    list->at = csn_r->end < list->end ? csn_r->end + 1 : list->end;
    *sid_r = *csn_r;
    for (int field = 0; field < 2 && sid_r->at < sid_r->end; field++) {
        sid_r->at = span_find(*sid_r, '#');
        sid_r->at += sid_r->at < sid_r->end;
    }
    sid_r->end = span_find(*sid_r, '#');
    return true;
}

/* The list of CSNs; false: a cookie of another make, or one without. */
static bool csn_list(struct span cookie, struct span *list_r)
{
    struct span rest, csn, sid;
    const char *at;

    if (span_length(cookie) < 4 || memcmp(cookie.at, "rid=", 4) != 0)
        return false;
    at = memmem(cookie.at, span_length(cookie), ",csn=", 5);
    if (at == NULL)
        return false;
    list_r->at = at + 5;
    list_r->end = span_find((struct span){at + 5, cookie.end}, ',');
    rest = *list_r;
    while (csn_next(&rest, &csn, &sid))
        if (span_length(sid) == 0)
            return false;
    return true;
}

/* The CSN of that server; false: the list has none. */
static bool csn_of_server(struct span list, struct span sid, struct span *csn_r)
{
    struct span other;

    while (csn_next(&list, csn_r, &other))
        if (span_length(sid) == span_length(other) &&
            memcmp(sid.at, other.at, span_length(sid)) == 0)
            return true;
    return false;
}

/* false: c is too long now, and of no use. */
static bool cookie_append(struct sync_cookie *c, struct span s)
{
    if (span_length(s) > sizeof(c->text) - c->len)
        return false;
    memcpy(c->text + c->len, s.at, span_length(s));
    c->len += span_length(s);
    return true;
}

static bool cookie_append_csn(struct sync_cookie *c, struct span csn)
{
    static const char separator[] = ";";
    bool first = c->len > 0 && c->text[c->len - 1] == '=';

    return (first ||
            cookie_append(c, (struct span){separator, separator + 1})) &&
           cookie_append(c, csn);
}

/* All of `old`, each in its place as `new` has it, then what only `new` has. */
static bool cookie_merge(struct sync_cookie *c, struct span old,
                         struct span new)
{
    struct span rest = old, csn, sid, later;
    bool fits = true;

    while (fits && csn_next(&rest, &csn, &sid))
        fits =
            cookie_append_csn(c, csn_of_server(new, sid, &later) ? later : csn);
    rest = new;
    while (fits && csn_next(&rest, &csn, &sid))
        fits = csn_of_server(old, sid, &later) || cookie_append_csn(c, csn);
    return fits;
}

void sync_cookie_set(struct sync_cookie *c, struct sync_bytes to)
{
    if (to.len > 0)
        memcpy(c->text, to.data, to.len);
    c->len = to.len;
}

void sync_cookie_advance(struct sync_cookie *c, struct sync_bytes to)
{
    const struct span was = {c->text, c->text + c->len},
                      is = {to.data, (const char *)to.data + to.len};
    struct sync_cookie merged = {.len = 0};
    struct span old, new;

    if (csn_list(was, &old) && csn_list(is, &new) &&
        cookie_append(&merged, (struct span){is.at, new.at}) &&
        cookie_merge(&merged, old, new) &&
        cookie_append(&merged, (struct span){new.end, is.end}))
        *c = merged;
    else
        sync_cookie_set(c, to);
}

void sync_cookie_drop_sender(struct sync_cookie *c)
{
    const char *end = c->text + c->len;
    char *at;

    if (c->len < 4 || memcmp(c->text, "rid=", 4) != 0)
        return;
    at = memmem(c->text, c->len, ",sid=", 5);
    if (at == NULL)
        return;
    end = span_find((struct span){at + 1, end}, ',');
    memmove(at, end, (size_t)(c->text + c->len - end));
    c->len -= (size_t)(end - at);
}
