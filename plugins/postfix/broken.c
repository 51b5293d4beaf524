/*
 * broken - a table whose configuration cannot be used
 *
 * Which overrides there are is not known, so what other systems receive waits:
 * every domain that is not local, and every recipient in it, as a table that is
 * asked before us for the domain must not be faster than an override for the
 * recipient. It waits in the queue, with the reason: `./retry:' is the retry
 * service for qmgr(8), and nothing special for smtpd(8), which goes on to take
 * mail for such recipients and from such senders. An error of the table would
 * turn both away.
 *
 * Local domains, address literals and whatever is no domain pass, as with a
 * good configuration. If even the lists of local domains fail, Postfix gets no
 * answer from them either.
 */

#include "postfix/host.h"
#include "postfix/postfix_abi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 1024 /* more than any domain in UTF-8 */

/* The domain of a key in the form in which lists of local domains have it.
   False: there is none. */
static bool broken_domain(const char *key, char out[NAME_MAX_LEN])
{
    const char *at = strrchr(key, '@'), *domain = at != NULL ? at + 1 : key;
    size_t len = strlen(domain), i;
    bool ascii = true;

    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len >= NAME_MAX_LEN || domain[0] == '.')
        return false;
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)domain[i];

        if (c < 0x80 && !isalnum(c) && strchr("-_.", c) == NULL)
            return false;
        ascii = ascii && c < 0x80;
        out[i] = (char)(c < 0x80 ? tolower(c) : c);
    }
    out[len] = '\0';
    if (!ascii && midna_domain_to_ascii != NULL) {
        const char *name = midna_domain_to_ascii(out);

        if (name == NULL)
            return false;
        snprintf(out, NAME_MAX_LEN, "%s", name);
    }
    return true;
}

const char *broken_lookup(const struct mxhop_host *host, const char *key)
{
    char domain[NAME_MAX_LEN];

    if (!broken_domain(key, domain) ||
        host->is_local(host->ctx, domain) == MXHOP_LOCAL_YES)
        return NULL;
    return "./retry:4.3.5 Routing configuration is not usable";
}
