/*
 * ldap_entry - from a message of libldap to the values of an entry
 *
 * Values are not copied: they are judged at once, and only what is a valid
 * override is kept. Names lose their options (;lang-de), as in LDIF.
 *
 * An entry is known by what the directory made for that: it stays when the
 * entry is renamed. What people could write themselves is not looked at.
 */

#include "ldap/ldap_entry.h"
#include "overrides/ovtable.h"
#include "util/err.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

/* Of an entry. Three octets of a message make one, and it takes forty here. */
#define VALUES_MAX (1u << 20)

static void found_forget(struct ldap_entry *e)
{
    for (size_t i = 0; i < e->n_lists; i++)
        ber_memfree(e->lists[i]);
    e->n_lists = 0;
    e->n_values = 0;
}

void ldap_entry_free(struct ldap_entry *e)
{
    found_forget(e);
    free(e->values);
    free(e->lists);
    *e = (struct ldap_entry){0};
}

/* ---- the id ---- */

/* 32 hexadecimal digits with dashes anywhere. */
static bool found_id_of_hex(const struct raw_value *v, unsigned char *id)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < v->len; i++) {
        const char *at;
        unsigned digit;

        if (v->bytes[i] == '-')
            continue;
        at = memchr(digits, v->bytes[i] | 0x20, sizeof(digits) - 1);
        if (at == NULL || n == 2 * LDAP_ENTRY_ID_LEN)
            return false;
        digit = (unsigned)(at - digits);
        id[n / 2] =
            (unsigned char)(n % 2 == 0 ? digit << 4 : id[n / 2] | digit);
        n++;
    }
    return n == 2 * LDAP_ENTRY_ID_LEN;
}

static bool found_id(const struct ldap_entry *e, unsigned char *id)
{
    static const struct {
        const char *attribute;
        bool hex; /* else the octets themselves */
    } kinds[] = {
        {"entryUUID", true}, {"objectGUID", false}, {"nsUniqueId", true}};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t i = 0; i < e->n_values; i++) {
            const struct raw_value *v = &e->values[i];

            if (!str_ieq(v->attribute, kinds[k].attribute))
                continue;
            if (kinds[k].hex && found_id_of_hex(v, id))
                return true;
            if (!kinds[k].hex && v->len == LDAP_ENTRY_ID_LEN) {
                memcpy(id, v->bytes, v->len);
                return true;
            }
        }
    return false;
}

/* All attributes of the entry, and its DN. */
static enum mxhop_status found_read(struct ldap_entry *e, LDAP *ld,
                                    LDAPMessage *m)
{
    enum mxhop_status status = MXHOP_ERR_SYNTAX;
    struct berval dn, name, *list;
    BerElement *ber = NULL;

    if (ldap_get_dn_ber(ld, m, &ber, &dn) != LDAP_SUCCESS)
        return status;
    for (;;) {
        list = NULL;
        name.bv_val = NULL;
        if (ldap_get_attribute_ber(ld, m, ber, &name, &list) != LDAP_SUCCESS)
            goto out;
        if (name.bv_val == NULL)
            break;
        if (list == NULL)
            continue; /* no values */
        if (!vec_room(&e->lists, e->n_lists, &e->cap_lists,
                      sizeof(struct berval *))) {
            ber_memfree(list);
            status = MXHOP_ERR_MEMORY;
            goto out;
        }
        e->lists[e->n_lists++] = list;
        /* libldap ends names with a NUL, which may also be inside. */
        name.bv_val[strcspn(name.bv_val, ";")] = '\0';
        for (const struct berval *v = list; v->bv_val != NULL; v++) {
            if (e->n_values == VALUES_MAX)
                goto out;
            if (!vec_room(&e->values, e->n_values, &e->cap_values,
                          sizeof(*e->values))) {
                status = MXHOP_ERR_MEMORY;
                goto out;
            }
            e->values[e->n_values++] = (struct raw_value){
                .attribute = name.bv_val, .bytes = v->bv_val, .len = v->bv_len};
        }
    }
    if (memchr(dn.bv_val, '\0', dn.bv_len) == NULL)
        status = MXHOP_OK;
    e->raw = (struct raw_entry){
        .dn = dn.bv_val, .values = e->values, .n_values = e->n_values};
out:
    ber_free(ber, 0);
    return status;
}

enum mxhop_status ldap_entry_read(struct ldap_entry *e, struct ldap_conn *c,
                                  LDAPMessage *m, struct mxhop_error *err)
{
    enum mxhop_status status;

    found_forget(e);
    status = found_read(e, c->ld, m);
    if (status == MXHOP_ERR_MEMORY)
        return err_nomem(err);
    if (status != MXHOP_OK)
        return ldap_conn_refuse(c, "an entry cannot be read", err);
    if (!found_id(e, e->id))
        ovtable_id_of_dn(e->raw.dn, e->id);
    return MXHOP_OK;
}
