/*
 * str - small helpers for ASCII text
 *
 * Domain names, parameters and keywords are ASCII by definition; tolower(3)
 * and isprint(3) would depend on the locale of the host program.
 */

#include "util/str.h"

#include <string.h>

static char str_low(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void str_lower(char *s)
{
    for (; *s != '\0'; s++)
        *s = str_low(*s);
}

static bool str_ieq_n(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_low(a[i]) != str_low(b[i]))
            return false;
    return true;
}

int str_icmp(const char *a, const char *b)
{
    while (*a != '\0' && str_low(*a) == str_low(*b)) {
        a++;
        b++;
    }
    return (unsigned char)str_low(*a) - (unsigned char)str_low(*b);
}

bool str_ieq(const char *a, const char *b)
{
    return str_icmp(a, b) == 0;
}

bool str_iends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && str_ieq_n(s + n - m, suffix, m);
}

bool str_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

char *str_trim(char *s)
{
    size_t n;

    while (str_is_space(*s))
        s++;
    n = strlen(s);
    while (n > 0 && str_is_space(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

size_t str_bom(const char *s, size_t n)
{
    return n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
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
        if (len == want && str_ieq_n(item, word, len))
            return true;
    return false;
}

void str_printable(char *s)
{
    for (; *s != '\0'; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}

static bool str_is_control(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

size_t str_utf8(const char *s, uint32_t *code_r)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least; /* less would be overlong */
    } forms[] = {
        {0x80, 0x00, 0},
        {0xe0, 0xc0, 0x80},
        {0xf0, 0xe0, 0x800},
        {0xf8, 0xf0, 0x10000},
    };
    unsigned char first = (unsigned char)*s;
    size_t more = 0;
    uint32_t c;

    while (more < 4 && (first & forms[more].mask) != forms[more].lead)
        more++;
    if (more == 4)
        return 0;
    c = first & (unsigned char)~forms[more].mask;
    for (size_t i = 1; i <= more; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)s[i] & 0x3fu);
    }
    if (c < forms[more].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *code_r = c;
    return more + 1;
}

void str_printable_utf8(char *s)
{
    while (*s != '\0') {
        uint32_t code;
        size_t n = str_utf8(s, &code);

        if (n == 0 || str_is_control(code))
            *s++ = '?';
        else
            s += n;
    }
}
