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
 * store that is gone.
 *
 * A domain that has no list is asked for by its name. With `mta_sts = enforce'
 * the library says what holds for it, from store and cache, which it opens
 * before the jail. Each smtp(8) delivers one message at a time, so it may wait
 * for DNS and for a policy. Only smtp(8) gets such an answer, and commands:
 * other daemons would take it for something else (relay_domains =
 * mxhop_tls:... would make an open relay), proxymap(8) does not know who asks,
 * and must not wait.
 *
 * Everything else is not found, and the next table, or the level of main.cf,
 * decides. Level dane delivers in the clear where TLSA records have just gone,
 * so it is no answer where the level of main.cf would not.
 *
 * The table fails, which defers mail, as on_sts_unknown says, without memory,
 * and for domains while the configuration cannot be used, unless it plainly
 * does not ask for policies to be kept to.
 */

#include "postfix/table.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 253 /* of a host name */

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

/* The policy of a class, or NULL. The text holds until the next one. The server
   is told its name in lower case: that of the first of several hosts is not,
   and not every server finds the certificate for such a name. */
static const char *tls_class(const char *key)
{
    static char
        policy[sizeof("secure match=hostname servername=") + NAME_MAX_LEN];
    const char *end = strchr(key, ']');
    int n;

    if (key[0] != '[' || end == NULL ||
        !tls_is_host(key + 1, (size_t)(end - key - 1)))
        return NULL;
    if (strcmp(end + 1, ":0025") == 0)
        return "dane-only";
    if (strcmp(end + 1, ":025") != 0)
        return NULL;
    n = snprintf(policy, sizeof(policy),
                 "secure match=hostname servername=%.*s", (int)(end - key - 1),
                 key + 1);
    for (char *c = policy + n - (end - key - 1); *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return policy;
}

static const char *tls_domain(struct dict_mxhop *d, const char *key)
{
    struct mxhop_error err;
    const char *text;

    if (mxhop_tls_text(d->own.mx, key, d->own.words, &text, &err) != MXHOP_OK) {
        msg_info("%s:%s: %s", d->dict.type, d->dict.name, err.text);
        d->dict.error = DICT_ERR_RETRY;
        return NULL;
    }
    if (text != NULL && d->own.strict && strcmp(text, "dane") == 0)
        return NULL;
    return text;
}

static const char *dict_mxhop_tls_lookup(struct postfix_dict *dict,
                                         const char *key)
{
    struct dict_mxhop *d = (struct dict_mxhop *)dict;
    const char *text;

    dict->error = DICT_ERR_NONE;
    table_watch(d);
    text = tls_class(key);
    if (text != NULL)
        return text;
    if (d->own.mx != NULL)
        return tls_domain(d, key);
    if (d->own.defers && tls_is_host(key, strlen(key)))
        dict->error = DICT_ERR_RETRY;
    return NULL;
}

/* Without a configuration that can be used the policy of a domain is not known.
 */
static void tls_open_domains(struct dict_mxhop *d)
{
    struct mxhop_error err = {.text = "out of memory"};
    enum mxhop_status status = MXHOP_ERR_MEMORY;

    d->own.words = host_policy_words();
    d->own.strict = host_level_is_strict();
    d->own.host = host_create_for_policies(d->dict.name, &d->own.api);
    if (d->own.host != NULL)
        status = mxhop_open(&d->own.mx, d->dict.name, &d->own.api, &err);
    if (status == MXHOP_OK) {
        if (!mxhop_keeps_policies(d->own.mx))
            mxhop_close(&d->own.mx);
        return;
    }
    d->own.not_config = status != MXHOP_ERR_CONFIG;
    d->own.defers = mxhop_may_keep_policies(d->dict.name) != 0;
    if (d->own.defers)
        msg_warn("%s:%s: %s. Until this is mended, mail to domains without a "
                 "list waits in the queue",
                 d->dict.type, d->dict.name, err.text);
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
    if (!d->own.daemon || strcmp(host_program(), "smtp") == 0)
        tls_open_domains(d);
    return &d->dict;
}
