/*
 * limit - what deliveries of this Postfix are like: how many, in which words,
 * how strict
 *
 * master.cf limits the processes of each service; where it does not, the
 * parameter default_process_limit does, 100 unless it is set. 0 in master.cf is
 * no limit.
 */

#include <limits.h>
#include <mxhop/postfix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT_DEFAULT 100u

struct limit {
    unsigned by_default, least;
};

static unsigned limit_number(const char *text, unsigned otherwise)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || n > UINT_MAX)
        return otherwise;
    return n > 0 ? (unsigned)n : UINT_MAX;
}

static bool limit_judge(void *ctx, const struct master_service *s)
{
    struct limit *l = ctx;
    unsigned n;

    if (strcmp(s->command, "smtp") != 0)
        return true;
    n = limit_number(s->limit, l->by_default);
    if (n < l->least)
        l->least = n;
    return true;
}

unsigned postfix_smtp_limit(const struct postfix_config *pf)
{
    const char *value = pf->param(pf->ctx, "default_process_limit");
    struct limit l = {.least = UINT_MAX};
    char path[4096];

    l.by_default = limit_number(value != NULL ? value : "-", LIMIT_DEFAULT);
    value = pf->param(pf->ctx, "config_directory");
    snprintf(path, sizeof(path), "%s/master.cf", value != NULL ? value : "");
    if (master_services(path, limit_judge, &l) != 0)
        return 0;
    return l.least;
}

/* From 3.MINOR.PATCH on. */
static bool limit_is_from(const char *mail_version, unsigned from_minor,
                          unsigned from_patch)
{
    unsigned major = 0, minor = 0, patch = 0;

    if (sscanf(mail_version, "%u.%u.%u", &major, &minor, &patch) < 2)
        return false;
    if (major != 3)
        return major > 3;
    return minor > from_minor || (minor == from_minor && patch >= from_patch);
}

bool postfix_knows_sts(const char *mail_version)
{
    return limit_is_from(mail_version, 10, 5);
}

bool postfix_knows_requiretls(const char *mail_version)
{
    return limit_is_from(mail_version, 11, 0);
}

bool postfix_level_is_strict(const struct postfix_config *pf)
{
    const char *level = pf->param(pf->ctx, "smtp_tls_security_level");

    if (level != NULL && *level != '\0')
        return strcasecmp(level, "none") != 0 &&
               strcasecmp(level, "may") != 0 && strcasecmp(level, "dane") != 0;
    level = pf->param(pf->ctx, "smtp_enforce_tls");
    return level != NULL && strcasecmp(level, "yes") == 0;
}
