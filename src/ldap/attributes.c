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

static void attributes_give(struct giving *g, const char *name,
                            const char *value)
{
    if (g->go_on && value != NULL)
        g->go_on = g->fn(g->ctx, name, value);
}

static void attributes_give_list(struct giving *g, const char *name,
                                 const struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        attributes_give(g, name, l->v[i]);
}

bool attributes_each(const struct override *o,
                     bool (*fn)(void *ctx, const char *name, const char *value),
                     void *ctx)
{
    struct giving g = {fn, ctx, true};
    char hop[HOP_TEXT_MAX], before[GENTIME_MAX], after[GENTIME_MAX];

    gentime_format(o->not_before_s, before);
    gentime_format(o->not_after_s, after);
    attributes_give_list(&g, "mxhopKey", &o->keys);
    attributes_give_list(&g, "mxhopExchange", &o->exchanges);
    attributes_give(&g, "mxhopMode", override_mode_name(o->mode));
    for (size_t i = 0; i < o->n_hops; i++) {
        hop_format(&o->hops[i], hop);
        attributes_give(&g, "mxhopHop", hop);
    }
    attributes_give_list(&g, "mxhopExclude", &o->excludes);
    attributes_give(&g, "mxhopTransport", o->transport);
    attributes_give(&g, "mxhopGroup", override_group_name(o));
    attributes_give(&g, "mxhopReason", o->reason);
    attributes_give(&g, "mxhopEnabled", o->enabled ? NULL : "FALSE");
    attributes_give(&g, "mxhopNotBefore", o->not_before_s != 0 ? before : NULL);
    attributes_give(&g, "mxhopNotAfter", o->not_after_s != 0 ? after : NULL);
    return g.go_on;
}

/* ---- LDIF ---- */

static bool attributes_line(struct buf *out, const char *name,
                            const char *value, size_t len)
{
    char *line = ldif_put(LDIF_PUT_VALUE, name, value, (ber_len_t)len);

    if (line != NULL)
        buf_puts(out, line);
    else
        out->failed = true;
    ber_memfree(line);
    return !out->failed;
}

static bool attributes_add(void *ctx, const char *name, const char *value)
{
    return attributes_line(ctx, name, value, strlen(value));
}

/* The cn of the first RDN, else whatever names the entry there. */
static void attributes_add_cn(const char *dn, struct buf *out)
{
    const LDAPAVA *ava = NULL;
    LDAPDN parsed = NULL;

    if (ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS &&
        parsed != NULL && parsed[0] != NULL) {
        ava = parsed[0][0];
        for (int i = 0; parsed[0][i] != NULL; i++)
            if (parsed[0][i]->la_attr.bv_len == 2 &&
                strncasecmp(parsed[0][i]->la_attr.bv_val, "cn", 2) == 0) {
                ava = parsed[0][i];
                break;
            }
    }
    if (ava != NULL && ava->la_value.bv_len > 0)
        attributes_line(out, "cn", ava->la_value.bv_val, ava->la_value.bv_len);
    else
        attributes_add(out, "cn", "override"); /* a DN that is none */
    ldap_dnfree(parsed);
}

void attributes_ldif(const struct override *o, struct buf *out)
{
    if (!attributes_add(out, "dn", o->dn))
        return;
    attributes_add(out, "objectClass", "mxhopOverride");
    attributes_add_cn(o->dn, out);
    attributes_each(o, attributes_add, out);
    buf_putc(out, '\n');
}
