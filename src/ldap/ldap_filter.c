/*
 * ldap_filter - from a filter for one key to one for all of them
 *
 * A mirror holds all entries, so what a table asks for one key must be asked
 * for any: (attr=%s) becomes (attr=*), and attr is what the keys are in. That
 * is the same set only where the key stands alone in one comparison of
 * equality, of one attribute, not below a "not", and where an entry must have
 * the key to be found: in each branch of an "or". Anything else is refused,
 * because a mirror of something else would send mail elsewhere.
 */

#include "ldap/ldap_settings.h"
#include "util/buf.h"
#include "util/str.h"

#include <string.h>

#define DEPTH_MAX 64

struct level {
    char kind;      /* & | ! or the first octet of a comparison */
    bool negated;   /* here, or further out */
    bool needs_key; /* what was read of it matches entries with the key only */
};

struct walk {
    struct buf filter, attribute;
    struct level level[DEPTH_MAX + 1]; /* 0: around the filter, as an "and" */
    size_t depth;
    const char *why;
};

/* The octets of an attribute description (RFC 4512 2.5). */
static const char name_octets[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;";

/* What stands before "=%s)" in what was written so far. */
static void filter_take_key(struct walk *w)
{
    const char *text = w->filter.data;
    size_t n = w->filter.len, from;
    struct buf name = {0};

    if (n == 0 || text[n - 1] != '=')
        from = n = 0;
    else
        for (from = --n; from > 0 && strchr(name_octets, text[from - 1]);)
            from--;
    if (n == from || from == 0 || text[from - 1] != '(') {
        w->why = "%s is not alone in a comparison, as in (attribute=%s)";
        return;
    }
    w->level[w->depth].needs_key = true;
    if (w->level[w->depth].negated) {
        w->why = "%s stands below a \"not\"";
        return;
    }
    buf_add(&name, text + from, n - from);
    if (!name.failed && w->attribute.len == 0)
        buf_puts(&w->attribute, name.data);
    else if (!name.failed && !str_ieq(w->attribute.data, name.data))
        w->why = "it compares the key with more than one attribute";
    w->filter.failed = w->filter.failed || name.failed;
    buf_free(&name);
    buf_putc(&w->filter, '*');
}

/* A parenthesis, and what it says about the key. */
static void filter_take_paren(struct walk *w, const char *p)
{
    struct level *inner = &w->level[w->depth], *outer;

    if (*p == '(') {
        if (w->depth == DEPTH_MAX) {
            w->why = "its parentheses are nested too deeply";
            return;
        }
        p += 1 + strspn(p + 1, " \t\n"); /* as libldap does */
        outer = inner;
        inner = &w->level[++w->depth];
        *inner = (struct level){.kind = *p,
                                .negated = outer->negated || *p == '!',
                                .needs_key = *p == '|'};
        return;
    }
    if (w->depth == 0) {
        w->why = "its parentheses do not match";
        return;
    }
    outer = &w->level[--w->depth];
    if (outer->kind == '|')
        outer->needs_key = outer->needs_key && inner->needs_key;
    else if (outer->kind != '!')
        outer->needs_key = outer->needs_key || inner->needs_key;
}

static void filter_walk(struct walk *w, const char *p)
{
    while (w->why == NULL && *p != '\0') {
        if (*p == '%') {
            if (p[1] == '%')
                buf_putc(&w->filter, '%');
            else if (p[1] != 's')
                w->why = "of the % forms only %s can be mirrored";
            else if (p[2] != ')')
                w->why = "%s is not alone in a comparison, as in "
                         "(attribute=%s)";
            else
                filter_take_key(w);
            p += 2;
            continue;
        }
        if (*p == '(' || *p == ')')
            filter_take_paren(w, p);
        buf_putc(&w->filter, *p++);
    }
    if (w->why != NULL)
        return;
    if (w->depth != 0)
        w->why = "its parentheses do not match";
    else if (w->attribute.len == 0)
        w->why = "it has no %s, and is the same for every key";
    else if (!w->level[0].needs_key)
        w->why = "it finds entries of other keys, too: %s is not in each "
                 "branch of an \"or\"";
}

enum mxhop_status ldap_filter_mirror(const char *query_filter, char **filter_r,
                                     char **attribute_r, const char **why_r)
{
    enum mxhop_status status = MXHOP_ERR_SYNTAX;
    struct buf whole = {0};
    struct walk w = {0};

    *filter_r = *attribute_r = NULL;
    buf_printf(&whole, query_filter[0] != '(' ? "(%s)" : "%s", query_filter);
    if (!whole.failed)
        filter_walk(&w, whole.data);
    *why_r = w.why;
    if (whole.failed || w.filter.failed || w.attribute.failed) {
        status = MXHOP_ERR_MEMORY;
    } else if (w.why == NULL) {
        status = MXHOP_OK;
        *filter_r = buf_detach(&w.filter);
        *attribute_r = buf_detach(&w.attribute);
    }
    buf_free(&whole);
    buf_free(&w.filter);
    buf_free(&w.attribute);
    return status;
}
