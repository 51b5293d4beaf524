/*
 * maincf - text in the format of main.cf
 *
 * `name = value`; a line that begins with white space continues the line
 * before; empty lines and lines whose first visible character is `#` are
 * skipped wherever they stand. There are no sections, no quotes and no `$name`.
 * A byte order mark at the beginning, which some editors write, is skipped.
 * What the parameters mean, and the words for faults, are the caller's.
 */

#include "util/maincf.h"
#include "util/str.h"

#include <string.h>

static void maincf_wipe(struct maincf *m)
{
    if (m->text.data != NULL)
        explicit_bzero(m->text.data, m->text.cap);
}

enum maincf_next maincf_next(struct maincf *m)
{
    char *equals;

    maincf_wipe(m);
    buf_reset(&m->text);
    if (m->lines_read == 0)
        m->at += str_bom(m->at, (size_t)(m->end - m->at));
    while (m->at < m->end) {
        const char *start = m->at;
        const char *newline = memchr(start, '\n', (size_t)(m->end - start));
        const char *stop = newline != NULL ? newline : m->end, *last = stop;
        bool continues = str_is_space(*start);
        bool has_nul = memchr(start, '\0', (size_t)(stop - start)) != NULL;

        while (start < stop && str_is_space(*start))
            start++;
        while (last > start && str_is_space(last[-1]))
            last--;
        if (!has_nul && start < last && *start != '#' && !continues &&
            m->text.len > 0)
            break; /* it belongs to the next parameter */
        m->at = newline != NULL ? newline + 1 : m->end;
        m->lines_read++;
        if (!has_nul && (start == last || *start == '#'))
            continue;
        if (m->text.len == 0 || has_nul)
            m->line = m->lines_read;
        if (has_nul)
            return MAINCF_NUL;
        if (m->text.len == 0 && continues)
            return MAINCF_DANGLING;
        if (m->text.len > 0)
            buf_putc(&m->text, ' ');
        buf_add(&m->text, start, (size_t)(last - start));
        if (m->text.failed)
            return MAINCF_MEMORY;
    }
    if (m->text.len == 0)
        return MAINCF_END;
    m->name = m->text.data;
    equals = strchr(m->name, '=');
    if (equals == NULL)
        return MAINCF_NO_EQUALS;
    *equals = '\0';
    m->name = str_trim(m->name);
    m->value = str_trim(equals + 1);
    return MAINCF_PARAMETER;
}

const char *maincf_hint(const char *value)
{
    size_t n = strlen(value);

    if (n > 1 && (*value == '"' || *value == '\'') && value[n - 1] == *value)
        return "; write the value without quotes";
    for (const char *s = value; (s = strchr(s, '#')) != NULL; s++)
        if (s > value && str_is_space(s[-1]))
            return "; a comment needs a line of its own";
    return "";
}

void maincf_free(struct maincf *m)
{
    maincf_wipe(m);
    buf_free(&m->text);
}
