/*
 * parse - text of a configuration file to struct conf
 *
 * The format is that of main.cf, as Postfix users write it: `name = value`;
 * a line that begins with white space continues the line before; empty lines
 * and lines whose first visible character is `#` are skipped wherever they
 * stand. There are no sections, no quotes and no `$name`.
 *
 * The first mistake ends it, with file, line (where the parameter begins),
 * name, what was found and what was expected: a half-read configuration is
 * never used. Any bytes may come in.
 */

#include "conf/params.h"
#include "conf/suggest.h"
#include "util/err.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX (1u << 20) /* octets; a larger file is no configuration */

struct parser {
    const char *file;
    struct conf *c;
    struct mxhop_error *err;
    struct buf line;         /* the logical line so far */
    size_t line_no;          /* where it began; 0: there is none */
    size_t seen[PARAMS_MAX]; /* line of each parameter; 0: not given */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum mxhop_status fail(const struct parser *p, size_t line_no,
                              const char *name, const char *what)
{
    return err_set(p->err, MXHOP_ERR_CONFIG, "%.200s:%zu: %.64s: %s", p->file,
                   line_no, name, what);
}

static enum mxhop_status fail_unknown(const struct parser *p, const char *name)
{
    const char *near = suggest_name(name);
    char what[200] = "unknown parameter; expected a name that mxhop.cf(5) "
                     "lists";

    if (near != NULL)
        snprintf(what, sizeof(what),
                 "unknown parameter; expected a name that mxhop.cf(5) lists, "
                 "perhaps %s",
                 near);
    return fail(p, p->line_no, name, what);
}

static enum mxhop_status set(struct parser *p, const char *name,
                             const char *value)
{
    struct mxhop_error why = {0};
    enum mxhop_status st;
    char what[100];
    size_t i = 0;

    while (i < n_params && strcmp(params[i].name, name) != 0)
        i++;
    if (i == n_params)
        return fail_unknown(p, name);
    if (p->seen[i] != 0) {
        snprintf(what, sizeof(what),
                 "given again, after line %zu; expected once", p->seen[i]);
        return fail(p, p->line_no, name, what);
    }
    p->seen[i] = p->line_no;
    st = param_set(&params[i], p->c, value, &why);
    if (st == MXHOP_ERR_MEMORY)
        return err_nomem(p->err);
    return st == MXHOP_OK ? st : fail(p, p->line_no, name, why.text);
}

/* Take white space off both ends. */
static char *trim(char *s)
{
    size_t n;

    while (is_space(*s))
        s++;
    n = strlen(s);
    while (n > 0 && is_space(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

/* The logical line is complete. */
static enum mxhop_status finish_line(struct parser *p)
{
    char *equals, *name;
    enum mxhop_status st;

    if (p->line_no == 0)
        return MXHOP_OK;
    if (p->line.failed)
        return err_nomem(p->err);
    name = p->line.data;
    equals = strchr(name, '=');
    if (equals == NULL) {
        /* No more than the first word: what follows may be a password. */
        name[strcspn(name, " \t:")] = '\0';
        return fail(p, p->line_no, name,
                    "no equals sign; expected name = value");
    }
    *equals = '\0';
    name = trim(name);
    if (*name == '\0')
        return fail(p, p->line_no, "=",
                    "no name before it; expected name = value");
    st = set(p, name, trim(equals + 1));
    buf_reset(&p->line);
    p->line_no = 0;
    return st;
}

/* One line of the file, without its newline. */
static enum mxhop_status take_line(struct parser *p, size_t line_no,
                                   const char *s, size_t n)
{
    enum mxhop_status st;
    bool continues = n > 0 && is_space(*s);

    while (n > 0 && is_space(s[n - 1]))
        n--;
    while (n > 0 && is_space(*s)) {
        s++;
        n--;
    }
    if (n == 0 || *s == '#')
        return MXHOP_OK;
    if (continues && p->line_no == 0)
        return fail(p, line_no, "white space",
                    "continues nothing; expected name = value at the "
                    "beginning of the line");
    if (!continues) {
        st = finish_line(p);
        if (st != MXHOP_OK)
            return st;
        p->line_no = line_no;
    } else {
        buf_putc(&p->line, ' ');
    }
    buf_add(&p->line, s, n);
    return MXHOP_OK;
}

static enum mxhop_status take_lines(struct parser *p, const char *text,
                                    size_t len)
{
    enum mxhop_status st = MXHOP_OK;
    const char *end = text + len;
    size_t line_no = 1;

    for (; text < end && st == MXHOP_OK; line_no++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;

        if (memchr(text, '\0', (size_t)(stop - text)) != NULL)
            return fail(p, line_no, "NUL byte",
                        "not text; expected name = value");
        st = take_line(p, line_no, text, (size_t)(stop - text));
        text = newline != NULL ? newline + 1 : end;
    }
    return st == MXHOP_OK ? finish_line(p) : st;
}

/* What no row of the table can say by itself. */
static enum mxhop_status check_together(const struct parser *p)
{
    size_t min = 0, max = 0;
    bool at_min;

    if (p->c->ttl_min_s <= p->c->ttl_max_s)
        return MXHOP_OK;
    for (size_t i = 0; i < n_params; i++) {
        if (params[i].offset == offsetof(struct conf, ttl_min_s))
            min = p->seen[i];
        if (params[i].offset == offsetof(struct conf, ttl_max_s))
            max = p->seen[i];
    }
    at_min = min > max; /* the later of the two is at fault */
    return fail(p, at_min ? min : max, at_min ? "ttl_min" : "ttl_max",
                "ttl_min is longer than ttl_max; expected ttl_min to be at "
                "most ttl_max");
}

static enum mxhop_status set_defaults(struct parser *p)
{
    for (size_t i = 0; i < n_params; i++) {
        enum mxhop_status st =
            param_set(&params[i], p->c, params[i].value, p->err);

        if (st != MXHOP_OK)
            return st;
    }
    return MXHOP_OK;
}

enum mxhop_status conf_parse(struct conf *c_r, const char *name,
                             const char *text, size_t len,
                             struct mxhop_error *err)
{
    struct parser p = {.file = name, .c = c_r, .err = err};
    enum mxhop_status st;

    *c_r = (struct conf){0};
    if (len > FILE_MAX)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%.200s: larger than 1 MiB; expected a text file of "
                       "name = value lines",
                       name);
    st = set_defaults(&p);
    if (st == MXHOP_OK)
        st = take_lines(&p, text, len);
    if (st == MXHOP_OK)
        st = check_together(&p);
    if (st != MXHOP_OK)
        conf_free(c_r);
    buf_free(&p.line);
    return st;
}
