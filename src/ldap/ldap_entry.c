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
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* Of an entry. Three octets of a message make one, and it takes forty here. */
#define VALUES_MAX (1u << 20)

static void forget(struct ldap_entry *e)
{
    for (size_t i = 0; i < e->n_lists; i++)
        ber_memfree(e->lists[i]);
    e->n_lists = 0;
    e->n_values = 0;
}

void ldap_entry_free(struct ldap_entry *e)
{
    forget(e);
    free(e->values);
    free(e->lists);
    *e = (struct ldap_entry){0};
}

static bool keep_list(struct ldap_entry *e, struct berval *list)
{
    if (e->n_lists == e->cap_lists) {
        size_t cap = e->cap_lists != 0 ? e->cap_lists * 2 : 16;
        struct berval **lists = realloc(e->lists, cap * sizeof(*lists));

        if (lists == NULL)
            return false;
        e->lists = lists;
        e->cap_lists = cap;
    }
    e->lists[e->n_lists++] = list;
    return true;
}

static bool keep_value(struct ldap_entry *e, const char *name,
                       const struct berval *v)
{
    if (e->n_values == e->cap_values) {
        size_t cap = e->cap_values != 0 ? e->cap_values * 2 : 32;
        struct raw_value *values = realloc(e->values, cap * sizeof(*values));

        if (values == NULL)
            return false;
        e->values = values;
        e->cap_values = cap;
    }
    e->values[e->n_values++] = (struct raw_value){
        .attribute = name, .bytes = v->bv_val, .len = v->bv_len};
    return true;
}

static enum mxhop_status
take_attribute(struct ldap_entry *e, struct berval *name, struct berval *list)
{
    if (list == NULL)
        return MXHOP_OK; /* no values */
    if (!keep_list(e, list)) {
        ber_memfree(list);
        return MXHOP_ERR_MEMORY;
    }
    /* libldap ends names with a NUL, which may also be inside. */
    name->bv_val[strcspn(name->bv_val, ";")] = '\0';
    for (const struct berval *v = list; v->bv_val != NULL; v++) {
        if (e->n_values == VALUES_MAX)
            return MXHOP_ERR_SYNTAX;
        if (!keep_value(e, name->bv_val, v))
            return MXHOP_ERR_MEMORY;
    }
    return MXHOP_OK;
}

/* ---- the id ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* 32 hexadecimal digits with dashes anywhere. */
static bool id_of_hex(const struct raw_value *v, unsigned char *id)
{
    size_t n = 0;

    for (size_t i = 0; i < v->len; i++) {
        int digit = hex_digit(v->bytes[i]);

        if (v->bytes[i] == '-')
            continue;
        if (digit < 0 || n == 2 * LDAP_ENTRY_ID_LEN)
            return false;
        id[n / 2] =
            (unsigned char)(n % 2 == 0 ? digit << 4 : id[n / 2] | digit);
        n++;
    }
    return n == 2 * LDAP_ENTRY_ID_LEN;
}

static bool id_of_bytes(const struct raw_value *v, unsigned char *id)
{
    if (v->len != LDAP_ENTRY_ID_LEN)
        return false;
    memcpy(id, v->bytes, LDAP_ENTRY_ID_LEN);
    return true;
}

static bool find_id(const struct ldap_entry *e, unsigned char *id)
{
    static const struct {
        const char *attribute;
        bool (*read)(const struct raw_value *v, unsigned char *id);
    } kinds[] = {
        {"entryUUID", id_of_hex},
        {"objectGUID", id_of_bytes},
        {"nsUniqueId", id_of_hex},
    };

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t i = 0; i < e->n_values; i++)
            if (str_ieq(e->values[i].attribute, kinds[k].attribute) &&
                kinds[k].read(&e->values[i], id))
                return true;
    return false;
}

enum mxhop_status ldap_entry_read(struct ldap_entry *e, LDAP *ld,
                                  LDAPMessage *m)
{
    enum mxhop_status status = MXHOP_OK;
    struct berval dn, name, *list;
    BerElement *ber = NULL;
    int rc;

    forget(e);
    if (ldap_get_dn_ber(ld, m, &ber, &dn) != LDAP_SUCCESS)
        return MXHOP_ERR_SYNTAX;
    do {
        list = NULL;
        name.bv_val = NULL;
        rc = ldap_get_attribute_ber(ld, m, ber, &name, &list);
        if (rc == LDAP_SUCCESS && name.bv_val != NULL)
            status = take_attribute(e, &name, list);
    } while (rc == LDAP_SUCCESS && name.bv_val != NULL && status == MXHOP_OK);
    ber_free(ber, 0);
    if (status == MXHOP_OK && rc != LDAP_SUCCESS)
        status = MXHOP_ERR_SYNTAX;
    if (status == MXHOP_OK && memchr(dn.bv_val, '\0', dn.bv_len) != NULL)
        status = MXHOP_ERR_SYNTAX;
    e->raw = (struct raw_entry){
        .dn = dn.bv_val, .values = e->values, .n_values = e->n_values};
    if (status == MXHOP_OK && !find_id(e, e->id))
        ovtable_id_of_dn(e->raw.dn, e->id);
    return status;
}
