/*
 * suggest - the parameter name that somebody may have meant
 *
 * Nearest by edit distance (insert, delete, replace one character), if the
 * distance is small against the length. Words left out in front or behind count
 * as one: a name of ldap_table(5) lacks the ldap_, and there bind_pw is what is
 * a file here. Bounded: a longer text than any name could be is near to none.
 */

#include "conf/params.h"

#include <stdbool.h>
#include <string.h>

#define LENGTH_MAX 63

static size_t suggest_min(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* row[j]: the distance of a's first i characters from b's first j. */
static size_t suggest_distance(const char *a, const char *b)
{
    size_t row[LENGTH_MAX + 1], n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = suggest_min(row[j] + 1, row[j + 1] + 1, replaced);
        }
    }
    return row[n];
}

static bool suggest_lacks_words(const char *name, const char *whole)
{
    size_t n = strlen(name), all = strlen(whole);

    return n > 0 && n < all &&
           ((strncmp(whole, name, n) == 0 && whole[n] == '_') ||
            (strcmp(whole + all - n, name) == 0 && whole[all - n - 1] == '_'));
}

const char *suggest_name(const char *name)
{
    const char *best = NULL;
    size_t limit = strlen(name);

    if (limit > LENGTH_MAX)
        return NULL;
    limit = limit / 3 + 2; /* from here on not near any more */
    for (size_t i = 0; i < n_params; i++) {
        size_t d = suggest_lacks_words(name, params[i].name)
                       ? 1
                       : suggest_distance(name, params[i].name);

        if (d < limit) {
            limit = d;
            best = params[i].name;
        }
    }
    return best;
}
