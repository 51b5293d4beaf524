/*
 * parse - text of a configuration file to struct conf
 *
 * The format is that of main.cf, as Postfix users write it (util/maincf.c).
 *
 * The first mistake ends it, with file, line (where the parameter begins),
 * name, what was found and what was expected: a half-read configuration is
 * never used. Any bytes may come in.
 */

#include "conf/params.h"
#include "util/err.h"
#include "util/maincf.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX (1u << 20) /* octets; a larger file is no configuration */

struct parser {
    const char *file;
    struct conf *c;
    struct mxhop_error *err;
    size_t seen[PARAMS_MAX]; /* line of each parameter; 0: not given */
};

static enum mxhop_status parse_fail(const struct parser *p, size_t line,
                                    const char *name, const char *what)
{
    return err_set(p->err, MXHOP_ERR_CONFIG, "%.200s:%zu: %.64s: %s", p->file,
                   line, name, what);
}

static enum mxhop_status parse_parameter(struct parser *p,
                                         const struct maincf *m)
{
    struct mxhop_error why = {0};
    enum mxhop_status st;
    char what[200];
    size_t i = 0;

    if (*m->name == '\0')
        return parse_fail(p, m->line, "=",
                          "no name before it; expected name = value");
    while (i < n_params && strcmp(params[i].name, m->name) != 0)
        i++;
    if (i == n_params) {
        const char *near = suggest_name(m->name);

        snprintf(what, sizeof(what),
                 "unknown parameter; expected a name that mxhop.cf(5) "
                 "lists%s%s",
                 near != NULL ? ", perhaps " : "", near != NULL ? near : "");
        return parse_fail(p, m->line, m->name, what);
    }
    if (p->seen[i] != 0) {
        snprintf(what, sizeof(what),
                 "given again, after line %zu; expected once", p->seen[i]);
        return parse_fail(p, m->line, m->name, what);
    }
    p->seen[i] = m->line;
    st = param_set(&params[i], p->c, m->value, &why);
    if (st == MXHOP_ERR_MEMORY)
        return err_nomem(p->err);
    return st == MXHOP_OK ? st
                          : err_set(p->err, MXHOP_ERR_CONFIG,
                                    "%.200s:%zu: %.64s: %s%s", p->file, m->line,
                                    m->name, why.text, maincf_hint(m->value));
}

static enum mxhop_status parse_lines(struct parser *p, struct maincf *m)
{
    for (;;) {
        enum mxhop_status st;

        switch (maincf_next(m)) {
        case MAINCF_PARAMETER:
            st = parse_parameter(p, m);
            if (st != MXHOP_OK)
                return st;
            break;
        case MAINCF_END:
            return MXHOP_OK;
        case MAINCF_NUL:
            return parse_fail(p, m->line, "NUL byte",
                              "not text; expected name = value");
        case MAINCF_DANGLING:
            return parse_fail(p, m->line, "white space",
                              "continues nothing; expected name = value at "
                              "the beginning of the line");
        case MAINCF_NO_EQUALS:
            /* No more than the first word: there may be a password. */
            m->name[strcspn(m->name, " \t:")] = '\0';
            return parse_fail(p, m->line, m->name,
                              "no equals sign; expected name = value");
        case MAINCF_MEMORY:
            return err_nomem(p->err);
        }
    }
}

/* What no row of the table can say by itself. */
static enum mxhop_status parse_check_together(const struct parser *p)
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
    return parse_fail(
        p, at_min ? min : max, at_min ? "ttl_min" : "ttl_max",
        "ttl_min is longer than ttl_max; expected ttl_min to be at "
        "most ttl_max");
}

static enum mxhop_status parse_defaults(struct parser *p)
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
    struct maincf m = {.at = text, .end = text + len};
    enum mxhop_status st;

    *c_r = (struct conf){0};
    if (len > FILE_MAX)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%.200s: larger than 1 MiB; expected a text file of "
                       "name = value lines",
                       name);
    st = parse_defaults(&p);
    if (st == MXHOP_OK)
        st = parse_lines(&p, &m);
    if (st == MXHOP_OK)
        st = parse_check_together(&p);
    if (st != MXHOP_OK)
        conf_free(c_r);
    maincf_free(&m);
    return st;
}
