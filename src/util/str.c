/*
 * str - small helpers for ASCII text
 *
 * Domain names, parameters and keywords are ASCII by definition; tolower(3)
 * and isprint(3) would depend on the locale of the host program.
 */

#include "util/str.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void str_lower(char *s)
{
    for (; *s != '\0'; s++)
        *s = lower(*s);
}

static bool ieq_n(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool str_ieq(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n == strlen(b) && ieq_n(a, b, n);
}

bool str_iends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && ieq_n(s + n - m, suffix, m);
}

const char *str_next_word(const char **pos, size_t *len_r)
{
    static const char separators[] = ", \t\r\n";
    const char *word = *pos + strspn(*pos, separators);

    *len_r = strcspn(word, separators);
    *pos = word + *len_r;
    return *len_r > 0 ? word : NULL;
}

bool str_in_list(const char *list, const char *word)
{
    size_t want = strlen(word), len;
    const char *pos = list, *item;

    while ((item = str_next_word(&pos, &len)) != NULL)
        if (len == want && ieq_n(item, word, len))
            return true;
    return false;
}

void str_printable(char *s)
{
    for (; *s != '\0'; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}
