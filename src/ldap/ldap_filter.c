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

#include <stdlib.h>
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

static void open_paren(struct walk *w, const char *after)
{
    if (w->depth == DEPTH_MAX) {
        w->why = "its parentheses are nested too deeply";
        return;
    }
    after += strspn(after, " \t\n"); /* as libldap does */
    w->depth++;
    w->level[w->depth] = (struct level){
        .kind = *after,
        .negated = w->level[w->depth - 1].negated || *after == '!',
        .needs_key = *after == '|',
    };
}

static void close_paren(struct walk *w)
{
    bool needs_key = w->level[w->depth].needs_key;
    struct level *out;

    if (w->depth == 0) {
        w->why = "its parentheses do not match";
        return;
    }
    out = &w->level[--w->depth];
    if (out->kind == '|')
        out->needs_key = out->needs_key && needs_key;
    else if (out->kind != '!')
        out->needs_key = out->needs_key || needs_key;
}

/* What stands before "=%s)" in what was written so far. */
static void take_key(struct walk *w)
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

static const char *take_percent(struct walk *w, const char *p)
{
    if (p[1] == '%')
        buf_putc(&w->filter, '%');
    else if (p[1] != 's')
        w->why = "of the % forms only %s can be mirrored";
    else if (p[2] != ')')
        w->why = "%s is not alone in a comparison, as in (attribute=%s)";
    else
        take_key(w);
    return p + 2;
}

static void walk(struct walk *w, const char *p)
{
    while (w->why == NULL && *p != '\0') {
        if (*p == '%') {
            p = take_percent(w, p);
            continue;
        }
        if (*p == '(')
            open_paren(w, p + 1);
        else if (*p == ')')
            close_paren(w);
        buf_putc(&w->filter, *p++);
    }
    if (w->why == NULL && w->depth != 0)
        w->why = "its parentheses do not match";
    if (w->why == NULL && w->attribute.len == 0)
        w->why = "it has no %s, and is the same for every key";
    if (w->why == NULL && !w->level[0].needs_key)
        w->why = "it finds entries of other keys, too: %s is not in each "
                 "branch of an \"or\"";
}

enum mxhop_status ldap_filter_mirror(const char *query_filter, char **filter_r,
                                     char **attribute_r, const char **why_r)
{
    struct buf whole = {0};
    struct walk w = {0};
    bool bare = query_filter[0] != '(';
    bool failed;

    *filter_r = *attribute_r = NULL;
    buf_printf(&whole, bare ? "(%s)" : "%s", query_filter);
    if (!whole.failed)
        walk(&w, whole.data);
    failed = whole.failed || w.filter.failed || w.attribute.failed;
    buf_free(&whole);
    *why_r = w.why;
    if (!failed && w.why == NULL) {
        *filter_r = buf_detach(&w.filter);
        *attribute_r = buf_detach(&w.attribute);
        failed = *filter_r == NULL || *attribute_r == NULL;
    }
    buf_free(&w.filter);
    buf_free(&w.attribute);
    if (!failed)
        return w.why == NULL ? MXHOP_OK : MXHOP_ERR_SYNTAX;
    free(*filter_r);
    free(*attribute_r);
    *filter_r = *attribute_r = NULL;
    return MXHOP_ERR_MEMORY;
}
