/*
 * match - in which order overrides are looked for
 *
 * An override stands under keys (domains, `.parent`, `*`, recipients) or
 * under exchanges (MX hosts and `.suffix` of them). This module lists the
 * keys to try in the override table, most specific first; the first active
 * entry wins. It also decides whether a host is covered by a pattern of the
 * same form (mxhopExclude, single_domain_sites).
 *
 * Strangers choose MX sets: at most MXSET_MAX hosts are considered, of
 * the best preference, or for what is to be excluded of any, and names that
 * could never stand in an override are left out. Keys of equal length are tried
 * in alphabetical order, because name servers turn the order of records and the
 * choice must not turn with it.
 */

#include "route/match.h"

#include <stdlib.h>
#include <string.h>

#include "route/decide.h"
#include "util/str.h"

static const char any_domain[] = "*";

const char *match_next_key(const struct key *key, const char *at)
{
    if (key->kind == KEY_RECIPIENT)
        return at == NULL ? key->recipient : NULL;
    if (key->kind != KEY_DOMAIN || at == any_domain)
        return NULL;
    if (at == NULL)
        return key->domain;
    at = strchr(at + 1, '.'); /* no name begins with a dot, but a parent does */
    return at != NULL ? at : any_domain;
}

bool match_keys(const struct key *key, struct strlist *keys_r)
{
    const char *at = NULL;

    *keys_r = (struct strlist){0};
    while ((at = match_next_key(key, at)) != NULL)
        if (!strlist_add(keys_r, at)) {
            strlist_free(keys_r);
            return false;
        }
    return true;
}

/* Longest first, then by the alphabet. */
static int match_by_specificity(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t n = strlen(x), m = strlen(y);

    if (n != m)
        return n > m ? -1 : 1;
    return strcmp(x, y);
}

static size_t match_count_dots(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += *s == '.';
    return n;
}

/* The hosts whose names count, into hosts; how many. *keys_r: how many keys
   they give together. */
static size_t match_hosts(const struct mxset *set, bool any, const char **hosts,
                          size_t *keys_r)
{
    size_t n = 0;

    *keys_r = 0;
    for (size_t i = 0; i < set->n_mx && n < MXSET_MAX; i++) {
        const struct mx *mx = &set->mx[i];

        if (!any && mx->preference != set->mx[0].preference)
            break;
        if (!clean_is_hostname(mx->host))
            continue;
        hosts[n++] = mx->host;
        *keys_r += 1 + match_count_dots(mx->host);
    }
    return n;
}

bool match_exchanges(const struct mxset *set, bool any, struct strlist *keys_r)
{
    const char *hosts[MXSET_MAX], **keys;
    size_t n_keys, n_hosts = match_hosts(set, any, hosts, &n_keys), n = 0;
    bool ok = true;

    *keys_r = (struct strlist){0};
    if (n_hosts == 0)
        return true;
    keys = calloc(n_keys, sizeof(*keys));
    if (keys == NULL)
        return false;
    for (size_t i = 0; i < n_hosts; i++) {
        keys[n++] = hosts[i];
        for (const char *p = strchr(hosts[i], '.'); p != NULL;
             p = strchr(p + 1, '.'))
            keys[n++] = p;
    }
    qsort(keys, n, sizeof(*keys), match_by_specificity);
    for (size_t i = 0; i < n && ok; i++)
        if (i == 0 || strcmp(keys[i], keys[i - 1]) != 0)
            ok = strlist_add(keys_r, keys[i]);
    free(keys);
    if (!ok)
        strlist_free(keys_r);
    return ok;
}

bool match_host(const char *pattern, const char *host)
{
    if (pattern[0] == '.')
        return pattern[1] != '\0' && strlen(host) > strlen(pattern) &&
               str_iends(host, pattern);
    return pattern[0] != '\0' && str_ieq(pattern, host);
}

bool match_host_list(const char *list, const char *host)
{
    char pattern[1 + NAME_MAX_TEXT + 1];
    const char *word;
    size_t len;

    while ((word = str_next_word(&list, &len)) != NULL) {
        if (len >= sizeof(pattern))
            continue;
        memcpy(pattern, word, len);
        pattern[len] = '\0';
        if (match_host(pattern, host))
            return true;
    }
    return false;
}
