/*
 * value - one parameter's value between text and struct conf
 *
 * What a type means is here, what a parameter allows is in its row of the
 * table (params.c). An error says what was found and what was expected; who
 * calls adds file, line and name.
 */

#include "conf/params.h"
#include "util/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 80 /* octets of a bad value that an error repeats */

static void *value_member(const struct param *p, struct conf *c)
{
    return (char *)c + p->offset;
}

char **param_text(const struct param *p, struct conf *c)
{
    return value_member(p, c);
}

static void value_print_number(const struct param *p, uint64_t n,
                               struct buf *out)
{
    switch (p->type) {
    case PARAM_TIME_S:
    case PARAM_TIME_MS:
        units_print_time(n, out);
        return;
    case PARAM_SIZE:
        units_print_size(n, out);
        return;
    case PARAM_PERCENT:
        buf_printf(out, "%" PRIu64 "%%", n);
        return;
    default:
        buf_printf(out, "%" PRIu64, n);
    }
}

static void value_print_words(const struct param *p, struct buf *out)
{
    buf_puts(out, "one of ");
    for (const struct param_word *w = p->words; w->word != NULL; w++)
        buf_printf(out, "%s%s", w == p->words ? "" : ", ", w->word);
}

void param_print_range(const struct param *p, struct buf *out)
{
    static const char *const nouns[] = {
        [PARAM_TIME_S] = "a time",          [PARAM_TIME_MS] = "a time",
        [PARAM_PERCENT] = "a percentage",   [PARAM_SIZE] = "a size",
        [PARAM_INTEGER] = "a whole number",
    };

    if (p->type == PARAM_TEXT)
        return;
    if (p->type == PARAM_CHOICE) {
        value_print_words(p, out);
        return;
    }
    buf_printf(out, "%s from ", nouns[p->type]);
    value_print_number(p, p->min, out);
    buf_puts(out, " to ");
    value_print_number(p, p->max, out);
}

static enum mxhop_status value_unexpected(const struct param *p,
                                          const char *text,
                                          struct mxhop_error *err)
{
    struct buf range = {0};
    enum mxhop_status st;

    param_print_range(p, &range);
    if (range.failed)
        st = err_nomem(err);
    else
        st = err_set(err, MXHOP_ERR_CONFIG, "\"%.*s\"; expected %s", SHOWN,
                     text, range.data);
    buf_free(&range);
    return st;
}

static bool value_read_number(const struct param *p, const char *text,
                              uint64_t *n)
{
    switch (p->type) {
    case PARAM_TIME_S:
        return units_read_time(text, p->unit, n) && *n % 1000 == 0;
    case PARAM_TIME_MS:
        return units_read_time(text, p->unit, n);
    case PARAM_SIZE:
        return units_read_size(text, n);
    case PARAM_PERCENT:
        return units_read_number(text, "%", n);
    default:
        return units_read_number(text, "", n);
    }
}

static void value_store_number(const struct param *p, struct conf *c,
                               uint64_t n)
{
    if (p->type == PARAM_SIZE)
        *(uint64_t *)value_member(p, c) = n;
    else
        *(uint32_t *)value_member(p, c) =
            (uint32_t)(p->type == PARAM_TIME_S ? n / 1000 : n);
}

static enum mxhop_status value_set_number(const struct param *p, struct conf *c,
                                          const char *text,
                                          struct mxhop_error *err)
{
    uint64_t n = 0;

    if (*text != '\0' || *p->value != '\0')
        if (!value_read_number(p, text, &n) || n < p->min || n > p->max)
            return value_unexpected(p, text, err);
    value_store_number(p, c, n);
    return MXHOP_OK;
}

static enum mxhop_status value_set_choice(const struct param *p, struct conf *c,
                                          const char *text,
                                          struct mxhop_error *err)
{
    for (const struct param_word *w = p->words; w->word != NULL; w++)
        if (strcmp(text, w->word) == 0) {
            *(int *)value_member(p, c) = w->value;
            return MXHOP_OK;
        }
    return value_unexpected(p, text, err);
}

static enum mxhop_status value_set_text(const struct param *p, struct conf *c,
                                        const char *text,
                                        struct mxhop_error *err)
{
    struct buf out = {0};
    enum mxhop_status st = p->read(text, &out, err);
    char *kept;

    if (st != MXHOP_OK) {
        buf_free(&out);
        return st;
    }
    kept = buf_detach(&out);
    if (kept == NULL)
        return err_nomem(err);
    free(*param_text(p, c));
    *param_text(p, c) = kept;
    return MXHOP_OK;
}

enum mxhop_status param_set(const struct param *p, struct conf *c,
                            const char *text, struct mxhop_error *err)
{
    if (p->type == PARAM_TEXT)
        return value_set_text(p, c, text, err);
    if (p->type == PARAM_CHOICE)
        return value_set_choice(p, c, text, err);
    return value_set_number(p, c, text, err);
}

static uint64_t value_load_number(const struct param *p, const void *at)
{
    if (p->type == PARAM_SIZE)
        return *(const uint64_t *)at;
    return *(const uint32_t *)at * (p->type == PARAM_TIME_S ? 1000ull : 1);
}

void param_print(const struct param *p, const struct conf *c, struct buf *out)
{
    const void *at = (const char *)c + p->offset;
    uint64_t n;

    if (p->type == PARAM_TEXT) {
        buf_puts(out, *(char *const *)at);
        return;
    }
    if (p->type == PARAM_CHOICE) {
        for (const struct param_word *w = p->words; w->word != NULL; w++)
            if (w->value == *(const int *)at) {
                buf_puts(out, w->word);
                return;
            }
        return;
    }
    n = value_load_number(p, at);
    if (n >= p->min || *p->value != '\0')
        value_print_number(p, n, out);
}
