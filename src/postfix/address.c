/*
 * address - user+extension@domain without its extension
 *
 * By the rules of recipient_delimiter in postconf(5): the first of its
 * characters divides, if something is left on either side; some names are never
 * divided, and with `-` neither are owner-list and list-request.
 */

#include "util/str.h"

#include <mxhop/postfix.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool address_is_whole(const struct postfix_config *pf, const char *local)
{
    const char *sender = pf->param(pf->ctx, "double_bounce_sender");

    return strcasecmp(local, "postmaster") == 0 ||
           strcasecmp(local, "MAILER-DAEMON") == 0 ||
           (sender != NULL && strcasecmp(local, sender) == 0);
}

static bool address_is_of_list(const struct postfix_config *pf,
                               const char *local)
{
    const char *special = pf->param(pf->ctx, "owner_request_special");

    if (special != NULL && strcasecmp(special, "yes") != 0)
        return false;
    return strncasecmp(local, "owner-", 6) == 0 || str_iends(local, "-request");
}

bool postfix_strip(const struct postfix_config *pf, const char *address,
                   char *out, size_t size)
{
    const char *at = strrchr(address, '@'), *value;
    char delimiters[32], local[256];
    size_t n, len = at != NULL ? (size_t)(at - address) : 0;

    value = pf->param(pf->ctx, "recipient_delimiter");
    snprintf(delimiters, sizeof(delimiters), "%s", value != NULL ? value : "");
    if (len == 0 || len >= sizeof(local))
        return false;
    memcpy(local, address, len);
    local[len] = '\0';
    n = strcspn(local, delimiters);
    if (n == 0 || n == len || address_is_whole(pf, local) ||
        (strchr(delimiters, '-') != NULL && address_is_of_list(pf, local)))
        return false;
    return snprintf(out, size, "%.*s%s", (int)n, local, at) < (int)size;
}
