/*
 * dict_mxhop_tls - the Postfix lookup table type `mxhop_tls'
 *
 * The name of a table is the path of the configuration, as for the type mxhop:
 *
 *     transport_maps       = mxhop:/etc/mxhop/mxhop.cf
 *     smtp_tls_policy_maps = mxhop_tls:/etc/mxhop/mxhop.cf
 *
 * smtp(8) asks with the next hop as it was written. A host of a list that mail
 * must reach with a TLS policy has the class of that policy as the form of its
 * port, 25 with zeros before it:
 *
 *     [host]:025   MTA-STS: a certificate for the host from a public authority
 *     [host]:0025  DANE: TLSA records of the host
 *
 * The answer comes from the key alone. So nothing can take a policy away from
 * mail that was routed with it: not a configuration that cannot be used, nor a
 * store that is gone. Everything else is not found, and the next table, or the
 * level of main.cf, decides.
 *
 * The table never fails, for that would defer mail.
 */

#include "postfix/table.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#define NAME_MAX_LEN 253 /* of a host name */

static const struct {
    const char *port, *policy;
} classes[] = {
    {"025", "secure match=hostname servername=hostname"},
    {"0025", "dane-only"},
};

/* What mxhop writes between brackets: labels of letters, digits, `-' and `_'.
   The last one of an address is a number. */
static bool tls_is_host(const char *name, size_t len)
{
    bool number = false;
    size_t label = 0;

    if (len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c == '.' ? label == 0 : !isalnum(c) && c != '-' && c != '_')
            return false;
        number = c != '.' && (label == 0 || number) && isdigit(c);
        label = c != '.' ? label + 1 : 0;
    }
    return label > 0 && !number;
}

/* The policy of a class, or NULL. */
static const char *tls_class(const char *key)
{
    const char *end = strchr(key, ']');

    if (key[0] != '[' || end == NULL || end[1] != ':' ||
        !tls_is_host(key + 1, (size_t)(end - key - 1)))
        return NULL;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcmp(end + 2, classes[i].port) == 0)
            return classes[i].policy;
    return NULL;
}

static const char *dict_mxhop_tls_lookup(struct postfix_dict *dict,
                                         const char *key)
{
    dict->error = DICT_ERR_NONE;
    table_watch((struct dict_mxhop *)dict);
    return tls_class(key);
}

MXHOP_API struct postfix_dict *
dict_mxhop_tls_open(const char *name, int open_flags, int dict_flags);

struct postfix_dict *dict_mxhop_tls_open(const char *name, int open_flags,
                                         int dict_flags)
{
    struct dict_mxhop *d;

    if (open_flags != O_RDONLY)
        return table_refuse_writer(TLS_TABLE_TYPE, name, open_flags,
                                   dict_flags);
    d = table_make(TLS_TABLE_TYPE, name, dict_flags);
    d->dict.lookup = dict_mxhop_tls_lookup;
    return &d->dict;
}
