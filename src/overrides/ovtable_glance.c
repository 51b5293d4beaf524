/*
 * ovtable_glance - that no override stands under a key, without a transaction
 *
 * Most lookups are about keys that the table does not have, and its filter says
 * so. To read that no snapshot is needed: the filter is looked at first, and
 * then whether the set that it is of is still the newest (env_glance()).
 */

#include "overrides/ovtable_db.h"

#include <string.h>

void ovtable_expect(const struct ovtable *t, const char *domain)
{
    if (t->known != 0)
        ovtable_filter_expect(&t->filter, OVTABLE_BY_KEY, domain,
                              strlen(domain));
}

bool ovtable_lacks(struct ovtable *t, ovtable_next_fn *next,
                   const struct key *key, struct ovtable_info *info_r)
{
    const char *at = NULL;

    if (t->known == 0 || !env_glance(t->env))
        return false;
    while ((at = next(key, at)) != NULL)
        if (ovtable_filter_has(&t->filter, OVTABLE_BY_KEY, at, strlen(at)))
            break;
    if (!env_glance_end(t->env, t->known) || at != NULL)
        return false;
    *info_r = t->info;
    return true;
}
