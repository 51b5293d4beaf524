/*
 * tls - what a domain says about MTA-STS in the DNS, as RFC 8461 3.1 reads it
 *
 *     v=STSv1; id=20160831085700Z;
 *
 * Strangers write these texts. A text that does not begin as above is no
 * record at all, as other programs put theirs at the same name. One that does
 * and is not well formed counts as none, and so do two of them. Fields that are
 * not known must be well formed and mean nothing. Of two ids the first counts,
 * as in a policy.
 */

#include "model/tls.h"

#include <string.h>
#include <strings.h>

#define STS_VERSION    "v=STSv1"
#define RPT_VERSION    "TLSRPTv1"
#define STS_FIELD_NAME 32 /* octets of a field's name */

static bool sts_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

bool sts_id_is_valid(const char *id, size_t len)
{
    size_t n = 0;

    while (n < len && sts_is_alnum(id[n]))
        n++;
    return n == len && len > 0 && len <= STS_ID_MAX;
}

static bool sts_is_value(char c)
{
    return c > ' ' && c <= '~' && c != ';' && c != '=';
}

static const char *sts_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Behind a `;' with its white space; NULL: there is none. */
static const char *sts_delimiter(const char *at, const char *end)
{
    at = sts_skip_space(at, end);
    return at < end && *at == ';' ? sts_skip_space(at + 1, end) : NULL;
}

/* One `name=value'; NULL: it is not well formed. */
static const char *sts_field(const char *at, const char *end,
                             struct domain_txt *r)
{
    const char *name = at, *value;
    size_t name_len, len;

    while (at < end && (sts_is_alnum(*at) ||
                        (at > name && strchr("_-.", *at) != NULL && *at != 0)))
        at++;
    name_len = (size_t)(at - name);
    if (name_len == 0 || name_len > STS_FIELD_NAME || at == end || *at != '=')
        return NULL;
    value = ++at;
    while (at < end && sts_is_value(*at))
        at++;
    len = (size_t)(at - value);
    if (len == 0)
        return NULL;
    if (name_len != 2 || memcmp(name, "id", 2) != 0)
        return at;
    if (!sts_id_is_valid(value, len))
        return NULL;
    if (r->id[0] == '\0')
        memcpy(r->id, value, len);
    return at;
}

static bool sts_well_formed(const char *at, const char *end,
                            struct domain_txt *r)
{
    for (;;) {
        at = sts_field(at, end, r);
        if (at == NULL || at == end)
            break;
        at = sts_delimiter(at, end);
        if (at == NULL || at == end)
            break;
    }
    return at != NULL && r->id[0] != '\0';
}

bool domain_txt_holds(const struct domain_txt *r)
{
    return r->state != TXT_UNKNOWN && r->ttl_s > 0;
}

void sts_txt_judge(struct domain_txt *r, unsigned *n, const char *text,
                   size_t len)
{
    const char *end = text + len, *at;

    if (len < strlen(STS_VERSION) ||
        memcmp(text, STS_VERSION, strlen(STS_VERSION)) != 0)
        return;
    at = sts_delimiter(text + strlen(STS_VERSION), end);
    if (at == NULL)
        return;
    memset(r->id, 0, sizeof(r->id));
    r->state = TXT_NONE;
    if (++*n == 1 && sts_well_formed(at, end, r))
        r->state = TXT_FOUND;
    else
        memset(r->id, 0, sizeof(r->id));
}

void rpt_txt_judge(struct domain_txt *r, const char *text, size_t len)
{
    static const char begin[] = "v=" RPT_VERSION;

    if (len < strlen(begin) || strncasecmp(text, begin, strlen(begin)) != 0)
        return;
    r->state = TXT_FOUND;
    memcpy(r->id, RPT_VERSION, sizeof(RPT_VERSION));
}
