/*
 * source - where the overrides come from, by the configuration
 */

#include "cli/cli.h"
#include "util/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum dir_scope scopes[] = {
    [LDAP_SCOPE_IS_SUB] = DIR_SUB,
    [LDAP_SCOPE_IS_ONE] = DIR_ONE,
    [LDAP_SCOPE_IS_BASE] = DIR_BASE,
};
static const enum dir_bind binds[] = {
    [LDAP_BIND_NONE] = DIR_BIND_NONE,
    [LDAP_BIND_SIMPLE] = DIR_BIND_SIMPLE,
    [LDAP_BIND_SASL] = DIR_BIND_EXTERNAL,
};

static bool source_copy_texts(const struct conf *c, struct ldap_settings *s)
{
    const struct {
        char **to;
        const char *from;
    } rows[] = {
        {&s->servers, c->ldap_server_host},
        {&s->base, c->ldap_search_base},
        {&s->filter, c->ldap_filter},
        {&s->key_attribute, c->ldap_key_attribute},
        {&s->result_attribute, c->ldap_result_attribute},
        {&s->bind_dn, c->ldap_bind_dn},
        {&s->bind_pw_file, c->ldap_bind_pw_file},
        {&s->sasl_mechs, c->ldap_sasl_mechs},
        {&s->tls_ca_file, c->ldap_tls_ca_cert_file},
        {&s->tls_ca_dir, c->ldap_tls_ca_cert_dir},
        {&s->tls_cert, c->ldap_tls_cert},
        {&s->tls_key, c->ldap_tls_key},
        {&s->tls_ciphers, c->ldap_tls_cipher_suite},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if ((*rows[i].to = strdup(rows[i].from)) == NULL)
            return false;
    return true;
}

static enum mxhop_status source_fill(const struct conf *c,
                                     struct ldap_settings *s,
                                     struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;

    s->scope = scopes[c->ldap_scope];
    s->bind = binds[c->ldap_bind];
    s->bind_plaintext = c->ldap_bind_plaintext != 0;
    s->start_tls = c->ldap_start_tls != 0;
    s->tls_require_cert = c->ldap_tls_require_cert != 0;
    s->timeout_ms = c->ldap_timeout_s * 1000;
    s->network_timeout_ms = c->ldap_network_timeout_s * 1000;
    if (!source_copy_texts(c, s))
        return err_nomem(err);
    if (c->ldap_config[0] != '\0')
        status = ldap_postfix_read(s, c->ldap_config, err);
    return status == MXHOP_OK ? ldap_settings_complete(s, err) : status;
}

void cli_ldif(const char *file, char source_r[CLI_LDIF_MAX])
{
    snprintf(source_r, CLI_LDIF_MAX, "ldif:%s", file);
}

bool cli_source(const struct conf *conf, struct cli_source *s_r)
{
    struct mxhop_error err;

    *s_r = (struct cli_source){.source = {conf->overrides, &s_r->ldap}};
    if (strcmp(conf->overrides, "ldap") != 0 ||
        source_fill(conf, &s_r->ldap, &err) == MXHOP_OK)
        return true;
    cli_fail(&err);
    return false;
}

void cli_source_free(struct cli_source *s)
{
    ldap_settings_free(&s->ldap);
}
