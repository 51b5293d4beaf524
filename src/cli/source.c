/*
 * source - where the overrides come from, by the configuration
 */

#include "cli/cli.h"
#include "util/err.h"

#include <stdio.h>
#include <string.h>

static enum mxhop_status source_directory(const struct conf *conf,
                                          struct ldap_settings *s,
                                          struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    if (!ldap_settings_copy(s, &conf->ldap))
        return err_nomem(err);
    if (conf->ldap_config[0] != '\0')
        status = ldap_postfix_read(s, conf->ldap_config, err);
    return status == MXHOP_OK ? ldap_settings_complete(s, err) : status;
}

void cli_ldif(const char *file, char source_r[CLI_LDIF_MAX])
{
    snprintf(source_r, CLI_LDIF_MAX, "ldif:%s", file);
}

bool cli_source(const struct conf *conf, struct source *s_r)
{
    struct mxhop_error err;

    *s_r = (struct source){.text = conf->overrides};
    if (strcmp(conf->overrides, "ldap") != 0 ||
        source_directory(conf, &s_r->ldap, &err) == MXHOP_OK)
        return true;
    cli_fail(&err);
    return false;
}
