/*
 * view_policy - what smtp(8) gets from mxhop_tls for a domain without a list
 *
 * A domain that Postfix routes itself is asked for by its name, where main.cf
 * names the table, and not behind proxy:. The library says what it would say
 * inside smtp(8), of which only what main.cf makes of it is looked at here:
 * options in master.cf may make a service another. Nobody waits for a policy
 * here, which smtp(8) does, for the first message.
 */

#include "cli/cli.h"
#include "cli/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum view_tls view_names_tls(const struct view *v, const char *policy_maps)
{
    char **word = postconf_words(policy_maps);
    enum view_tls found = VIEW_TLS_ABSENT;

    for (size_t i = 0; word != NULL && word[i] != NULL; i++) {
        if (!view_is_table(v, word[i], TLS_TABLE_TYPE))
            continue;
        if (word_unproxy(word[i]) == word[i])
            found = VIEW_TLS_NAMED;
        else if (found == VIEW_TLS_ABSENT)
            found = VIEW_TLS_PROXIED;
    }
    free(word);
    return found;
}

static void policy_ask(struct view *v, struct mxhop *mx, const char *domain,
                       struct buf *policy_r, char why_r[VIEW_POLICY_WHY])
{
    const char *version = postconf_param(&v->postfix, "mail_version");
    unsigned flags =
        version != NULL && postfix_knows_sts(version) ? MXHOP_TLS_STS_WORDS : 0;
    struct mxhop_error err;
    const char *text, *why;

    if (probe_tls_text(mx, domain, flags, &text, &why, &err) != MXHOP_OK)
        why = err.text; /* mail waits */
    else if (text != NULL && strcmp(text, "dane") == 0 &&
             postfix_level_is_strict(&v->config))
        why = "smtp_tls_security_level is stricter than dane";
    else if (text != NULL)
        buf_puts(policy_r, text);
    snprintf(why_r, VIEW_POLICY_WHY, "%s", why);
}

bool view_policy(struct view *v, const char *config, const char *domain,
                 struct buf *policy_r, char why_r[VIEW_POLICY_WHY])
{
    const char *maps = postconf_param(&v->postfix, "smtp_tls_policy_maps");
    enum view_tls named = view_names_tls(v, maps);
    struct mxhop *mx;
    int status;

    if (named == VIEW_TLS_PROXIED)
        snprintf(why_r, VIEW_POLICY_WHY,
                 "behind proxy: it answers for hosts of lists only");
    if (named != VIEW_TLS_NAMED)
        return named == VIEW_TLS_PROXIED;
    mx = cli_open_for_policies(config, v, &status);
    if (mx != NULL)
        policy_ask(v, mx, domain, policy_r, why_r);
    mxhop_close(&mx);
    return status == 0;
}
