/*
 * override - one administrator's entry, as plain values
 *
 * Filled by src/ldap from LDIF or LDAP and by src/overrides from the override
 * table. An override owns everything it points to; lists hold no spare
 * elements, so that it does not matter who made them.
 */

#include "model/override.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool final; /* needs no MX set */
} modes[OVERRIDE_MODES] = {
    [OVERRIDE_REPLACE] = {"replace", true},
    [OVERRIDE_PREPEND] = {"prepend", false},
    [OVERRIDE_APPEND] = {"append", false},
    [OVERRIDE_EXCLUDE] = {"exclude", false},
    [OVERRIDE_MERGE] = {"merge", false},
    [OVERRIDE_PASS] = {"pass", true},
    [OVERRIDE_REJECT] = {"reject", true},
    [OVERRIDE_DEFER] = {"defer", true},
};

bool strlist_add(struct strlist *l, const char *s)
{
    if ((l->n & (l->n - 1)) == 0) { /* room for a power of two */
        char **v = realloc(l->v, (l->n > 0 ? 2 * l->n : 1) * sizeof(*v));

        if (v == NULL)
            return false;
        l->v = v;
    }
    l->v[l->n] = strdup(s);
    if (l->v[l->n] == NULL)
        return false;
    l->n++;
    return true;
}

void strlist_free(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct strlist){0};
}

const char *override_mode_name(enum override_mode mode)
{
    return (unsigned)mode < OVERRIDE_MODES ? modes[mode].name : "?";
}

const char *override_group_name(const struct override *o)
{
    return o->group == OVERRIDE_GROUP_SITE     ? "site"
           : o->group == OVERRIDE_GROUP_DOMAIN ? "domain"
                                               : NULL;
}

bool override_mode_parse(const char *text, enum override_mode *mode_r)
{
    for (unsigned i = 0; i < OVERRIDE_MODES; i++)
        if (str_ieq(text, modes[i].name)) {
            *mode_r = (enum override_mode)i;
            return true;
        }
    return false;
}

bool override_active(const struct override *o, int64_t now_s)
{
    if (!o->enabled)
        return false;
    if (o->not_before_s != 0 && now_s < o->not_before_s)
        return false;
    return o->not_after_s == 0 || now_s <= o->not_after_s;
}

bool override_is_final(const struct override *o)
{
    return (unsigned)o->mode < OVERRIDE_MODES && modes[o->mode].final;
}

bool override_add_hop(struct override *o, const struct hopspec *hop)
{
    struct hopspec *hops = realloc(o->hops, (o->n_hops + 1) * sizeof(*hops));

    if (hops == NULL)
        return false;
    o->hops = hops;
    hops[o->n_hops++] = *hop;
    return true;
}

void override_free(struct override *o)
{
    free(o->dn);
    strlist_free(&o->keys);
    strlist_free(&o->exchanges);
    free(o->hops);
    strlist_free(&o->excludes);
    free(o->transport);
    free(o->reason);
    free(o->why);
    *o = (struct override){0};
}
