/*
 * lists - the lists in main.cf of domains that Postfix delivers itself
 *
 * Those of mydestination, virtual_alias_domains and virtual_mailbox_domains,
 * and those of relay_domains unless relay_transport merely says relay or smtp:
 * a transport with a next hop of its own would lose it. Parameters that the
 * program has not read have the value here that Postfix's default gives them.
 */

#include <mxhop/postfix.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const postfix_list_names[N_LISTS] = {
    [LIST_MYDESTINATION] = "mydestination",
    [LIST_VIRTUAL_ALIAS] = "virtual_alias_domains",
    [LIST_VIRTUAL_MAILBOX] = "virtual_mailbox_domains",
    [LIST_RELAY] = "relay_domains",
};

static bool lists_is_bare(const char *transport, const char *name)
{
    size_t len = strlen(name);

    return strncmp(transport, name, len) == 0 &&
           (transport[len] == '\0' || strcmp(transport + len, ":") == 0);
}

static bool lists_relay_is_replaced(const struct postfix_config *pf)
{
    const char *transport = pf->param(pf->ctx, "relay_transport");

    return transport == NULL || lists_is_bare(transport, "relay") ||
           lists_is_bare(transport, "smtp");
}

const char *postfix_list_value(const struct postfix_config *pf,
                               enum postfix_list_id id)
{
    /* The parameter that the next one is by default, where it is not known. */
    static const char *const chains[N_LISTS][4] = {
        [LIST_MYDESTINATION] = {"mydestination"},
        [LIST_VIRTUAL_ALIAS] = {"virtual_alias_domains", "virtual_alias_maps",
                                "virtual_maps"},
        [LIST_VIRTUAL_MAILBOX] = {"virtual_mailbox_domains",
                                  "virtual_mailbox_maps"},
        [LIST_RELAY] = {"relay_domains"},
    };
    const char *value = NULL;

    if (id == LIST_RELAY && lists_relay_is_replaced(pf))
        return "";
    for (const char *const *name = chains[id]; value == NULL && *name != NULL;
         name++)
        value = pf->param(pf->ctx, *name);
    return value != NULL ? value : "";
}

bool postfix_parent_style(const struct postfix_config *pf, const char *name)
{
    const char *value = pf->param(pf->ctx, "parent_domain_matches_subdomains");
    char *copy = strdup(value != NULL ? value : ""), *cursor = copy, *word;
    bool found = false, wanted = true;

    while (!found && copy != NULL &&
           (word = word_next(&cursor, WORDS_IN_LIST)) != NULL) {
        for (wanted = true; *word == '!'; word++)
            wanted = !wanted;
        found = strcasecmp(word, name) == 0;
    }
    free(copy);
    return found && wanted;
}
