/*
 * attributes - an override as the attributes that say it
 *
 * What is in the override table goes back to where people write: LDIF that
 * `mxhop refresh` makes the same set of, and lines to compare. Attributes that
 * mxhop has no use for (description and the like) are not in the table, and so
 * cannot come back; cn is taken from the DN.
 */

#include "ldap/attributes.h"
#include "ldap/gentime.h"

#include <stdio.h>
#include <ldap.h>
#include <ldif.h>
#include <string.h>

struct giving {
    bool (*fn)(void *ctx, const char *name, const char *value);
    void *ctx;
    bool go_on;
};

static void give(struct giving *g, const char *name, const char *value)
{
    if (g->go_on && value != NULL)
        g->go_on = g->fn(g->ctx, name, value);
}

static void give_list(struct giving *g, const char *name,
                      const struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        give(g, name, l->v[i]);
}

static void give_hops(struct giving *g, const struct override *o)
{
    char text[HOP_TEXT_MAX];

    for (size_t i = 0; i < o->n_hops; i++) {
        hop_format(&o->hops[i], text);
        give(g, "mxhopHop", text);
    }
}

static void give_time(struct giving *g, const char *name, int64_t time_s)
{
    char text[GENTIME_MAX];

    if (time_s == 0)
        return;
    gentime_format(time_s, text);
    give(g, name, text);
}

bool attributes_each(const struct override *o,
                     bool (*fn)(void *ctx, const char *name, const char *value),
                     void *ctx)
{
    static const char *const groups[] = {[OVERRIDE_GROUP_UNSET] = NULL,
                                         [OVERRIDE_GROUP_SITE] = "site",
                                         [OVERRIDE_GROUP_DOMAIN] = "domain"};
    struct giving g = {fn, ctx, true};

    give_list(&g, "mxhopKey", &o->keys);
    give_list(&g, "mxhopExchange", &o->exchanges);
    give(&g, "mxhopMode", override_mode_name(o->mode));
    give_hops(&g, o);
    give_list(&g, "mxhopExclude", &o->excludes);
    give(&g, "mxhopTransport", o->transport);
    give(&g, "mxhopGroup", groups[o->group]);
    give(&g, "mxhopReason", o->reason);
    give(&g, "mxhopEnabled", o->enabled ? NULL : "FALSE");
    give_time(&g, "mxhopNotBefore", o->not_before_s);
    give_time(&g, "mxhopNotAfter", o->not_after_s);
    return g.go_on;
}

/* ---- LDIF ---- */

static bool add_line(void *ctx, const char *name, const char *value)
{
    struct buf *out = ctx;
    char *line =
        ldif_put(LDIF_PUT_VALUE, name, value, (ber_len_t)strlen(value));

    if (line == NULL) {
        out->failed = true;
        return false;
    }
    buf_puts(out, line);
    ber_memfree(line);
    return true;
}

/* The cn of the first RDN, else whatever names the entry there. */
static const LDAPAVA *naming(LDAPDN dn)
{
    LDAPRDN rdn = dn != NULL ? dn[0] : NULL;

    for (int i = 0; rdn != NULL && rdn[i] != NULL; i++)
        if (rdn[i]->la_attr.bv_len == 2 &&
            strncasecmp(rdn[i]->la_attr.bv_val, "cn", 2) == 0)
            return rdn[i];
    return rdn != NULL ? rdn[0] : NULL;
}

static void add_cn(const char *dn, struct buf *out)
{
    LDAPDN parsed = NULL;
    const LDAPAVA *ava = NULL;
    char *line;

    if (ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS)
        ava = naming(parsed);
    if (ava != NULL && ava->la_value.bv_len > 0) {
        line = ldif_put(LDIF_PUT_VALUE, "cn", ava->la_value.bv_val,
                        ava->la_value.bv_len);
        if (line != NULL)
            buf_puts(out, line);
        else
            out->failed = true;
        ber_memfree(line);
    } else {
        add_line(out, "cn", "override"); /* a DN that is none */
    }
    ldap_dnfree(parsed);
}

void attributes_ldif(const struct override *o, struct buf *out)
{
    if (!add_line(out, "dn", o->dn))
        return;
    add_line(out, "objectClass", "mxhopOverride");
    add_cn(o->dn, out);
    attributes_each(o, add_line, out);
    buf_putc(out, '\n');
}
