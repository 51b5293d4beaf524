/*
 * override_diff - what makes one set of overrides of another
 *
 * Entries are told apart by DN. A line each, "+" for one that is new, "-" for
 * one that is gone, "!" for one that differs; below it, indented, what it
 * says, attribute by attribute. The order of an attribute's values is not
 * compared: a directory has none.
 */

#include "cli/ovset.h"
#include "ldap/attributes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool diff_add_attribute(void *ctx, const char *name, const char *value)
{
    struct strlist *lines = ctx;
    struct buf line = {0};
    bool added;

    buf_printf(&line, "%s: %s", name, value);
    added = !line.failed && strlist_add(lines, line.data);
    buf_free(&line);
    return added;
}

static int diff_by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* NULL stands for an entry that is not there: no lines. */
static bool diff_list_lines(const struct override *o, struct strlist *lines)
{
    if (o == NULL)
        return true;
    if (!attributes_each(o, diff_add_attribute, lines))
        return false;
    qsort(lines->v, lines->n, sizeof(*lines->v), diff_by_text);
    return true;
}

static void diff_add_line(struct buf *out, const char *sign, const char *text)
{
    buf_puts(out, sign);
    buf_puts_printable(out, text);
    buf_putc(out, '\n');
}

/* Both sorted; false: they are the same. */
static bool diff_add_lines(const struct strlist *from, const struct strlist *to,
                           struct buf *out)
{
    size_t i = 0, k = 0;
    bool differ = false;

    while (i < from->n || k < to->n) {
        int order = i == from->n ? 1
                    : k == to->n ? -1
                                 : strcmp(from->v[i], to->v[k]);

        if (order < 0)
            diff_add_line(out, "    - ", from->v[i]);
        if (order > 0)
            diff_add_line(out, "    + ", to->v[k]);
        differ = differ || order != 0;
        i += order <= 0;
        k += order >= 0;
    }
    return differ;
}

/* One of the two may be NULL. false: they are the same. */
static bool diff_add(const struct override *from, const struct override *to,
                     struct buf *out)
{
    struct strlist old = {0}, new = {0};
    bool differ = true;

    if (diff_list_lines(from, &old) && diff_list_lines(to, &new))
        differ = diff_add_lines(&old, &new, out);
    else
        out->failed = true;
    strlist_free(&old);
    strlist_free(&new);
    return differ;
}

/* An exit status. */
static int diff_compare(const struct override *from, const struct override *to)
{
    const struct override *named = from != NULL ? from : to;
    const char *sign = from == NULL ? "+ " : to == NULL ? "- " : "! ";
    struct buf out = {0};
    int status;

    diff_add_line(&out, sign, named->dn);
    status = diff_add(from, to, &out) ? 1 : 0;
    if (out.failed)
        status = cli_no_memory();
    else if (status == 1)
        fputs(out.data, stdout);
    buf_free(&out);
    return status;
}

bool override_differs(const struct override *a, const struct override *b)
{
    struct buf out = {0};
    bool differ = diff_add(a, b, &out);

    buf_free(&out);
    return differ;
}

int override_diff(const struct ovset *from, const struct ovset *to)
{
    size_t i = 0, k = 0;
    int worst = 0;

    while ((i < from->n || k < to->n) && worst <= 1) {
        int order = i == from->n ? 1
                    : k == to->n ? -1
                                 : strcmp(from->v[i].dn, to->v[k].dn);
        int status = diff_compare(order <= 0 ? &from->v[i] : NULL,
                                  order >= 0 ? &to->v[k] : NULL);

        if (status > worst)
            worst = status;
        i += order <= 0;
        k += order >= 0;
    }
    return worst;
}
