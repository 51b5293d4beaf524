/*
 * words - texts of main.cf and master.cf, cut as Postfix cuts them
 *
 * A word ends at a blank that is not inside braces, so that `{ a b }` and
 * `unionmap:{hash:/x, hash:/y}` are one word each. An unclosed brace takes the
 * rest of the text, as in Postfix, which then complains about it itself.
 *
 * Words point into the caller's text, which is cut with NULs.
 */

#include <ctype.h>
#include <mxhop/postfix.h>
#include <string.h>

char *word_next(char **cursor, const char *blanks)
{
    char *word = *cursor + strspn(*cursor, blanks);
    char *end;
    int depth = 0;

    if (*word == '\0')
        return NULL;
    for (end = word; *end != '\0'; end++) {
        if (depth == 0 && strchr(blanks, *end) != NULL)
            break;
        if (*end == '{')
            depth++;
        if (*end == '}' && depth > 0)
            depth--;
    }
    *cursor = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

const char *word_parameter(const char *text, char *name_r, size_t size)
{
    static const char octets[] = "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    while ((text = strchr(text, '$')) != NULL) {
        size_t len;

        text++;
        text += strspn(text, "{(");
        len = strspn(text, octets);
        if (len == 0 || len >= size)
            continue;
        memcpy(name_r, text, len);
        name_r[len] = '\0';
        return text + len;
    }
    return NULL;
}

const char *word_unproxy(const char *table)
{
    static const char proxy[] = "proxy:";

    while (strncmp(table, proxy, strlen(proxy)) == 0)
        table += strlen(proxy);
    return table;
}

const char *word_our_table(const char *word, size_t *len_r)
{
    static const char prefix[] = TABLE_TYPE ":";
    const char *at = word;

    for (; (at = strstr(at, prefix)) != NULL; at++) {
        if (at != word && isalnum((unsigned char)at[-1]))
            continue;
        at += strlen(prefix);
        *len_r = strcspn(at, "{}" WORDS_IN_LIST);
        return at;
    }
    return NULL;
}
