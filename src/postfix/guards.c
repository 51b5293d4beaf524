/*
 * guards - why Postfix must see a domain itself
 *
 * A list of hosts in brackets hides the recipient domain from whatever Postfix
 * decides by domain further on: TLS policy, DANE, another way out. With
 * `answer = auto` the library then answers only for domains that an override
 * changed. This module finds the reason: the first row of the table below that
 * holds, in the configuration of this process or as an option in master.cf
 * that the process cannot see.
 *
 * smtp_sasl_password_maps and smtp_requiretls_policy are reasons as soon as
 * they are set: either may name the domain.
 *
 * When in doubt (master.cf cannot be read), there is a reason. Postfix's own
 * defaults never are one, so a parameter that this program has not read and
 * that main.cf does not set needs no default here.
 */

#include <mxhop/postfix.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct guard {
    const char *param;
    bool (*holds)(const char *value, const struct postfix_config *pf);
    const char *command; /* whose options count too, "": any program's */
};

struct search {
    const struct postfix_config *pf;
    char *text;
    size_t size;
    bool found;
};

static bool guards_is_set(const char *value, const struct postfix_config *pf)
{
    (void)pf;
    return *value != '\0';
}

static bool guards_is_yes(const char *value, const struct postfix_config *pf)
{
    (void)pf;
    return strcasecmp(value, "yes") == 0;
}

/* Levels that are settled by domain, or that verify a name. */
static bool guards_is_level_by_domain(const char *value,
                                      const struct postfix_config *pf)
{
    static const char *const levels[] = {"dane", "dane-only", "verify",
                                         "secure", "fingerprint"};
    size_t i;

    (void)pf;
    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcasecmp(value, levels[i]) == 0)
            return true;
    }
    return false;
}

static bool guards_is_not_smtp(const char *value,
                               const struct postfix_config *pf)
{
    (void)pf;
    return strcmp(value, "smtp") != 0 && strcmp(value, "smtp:") != 0;
}

static bool guards_is_ours(const char *table, const char *name)
{
    static const char prefix[] = TABLE_TYPE ":";

    table = word_unproxy(table);
    return strncmp(table, prefix, strlen(prefix)) == 0 &&
           strcmp(table + strlen(prefix), name) == 0;
}

/* Postfix asks every table for the domain before it asks any for .parent. */
static bool guards_has_other_tables(const char *value,
                                    const struct postfix_config *pf)
{
    char *copy = strdup(value), *cursor = copy, *word;
    bool other = copy == NULL;

    while (!other && (word = word_next(&cursor, WORDS_IN_LIST)) != NULL)
        other = !guards_is_ours(word, pf->table);
    free(copy);
    return other;
}

static bool guards_has_parent_style(const char *value,
                                    const struct postfix_config *pf)
{
    (void)value;
    return postfix_parent_style(pf, "transport_maps");
}

#define REWRITE "trivial-rewrite"

static const struct guard guards[] = {
    {"smtp_tls_policy_maps", guards_is_set, ""},
    {"smtp_tls_per_site", guards_is_set, ""},
    {"smtp_enforce_tls", guards_is_yes, ""},
    {"smtp_tls_security_level", guards_is_level_by_domain, ""},
    {"smtp_requiretls_policy", guards_is_set, ""},
    {"smtp_sasl_password_maps", guards_is_set, ""},
    {"relayhost", guards_is_set, REWRITE},
    {"sender_dependent_relayhost_maps", guards_is_set, REWRITE},
    {"sender_dependent_default_transport_maps", guards_is_set, REWRITE},
    {"default_transport", guards_is_not_smtp, REWRITE},
    {"transport_maps", guards_has_other_tables, REWRITE},
    {"parent_domain_matches_subdomains", guards_has_parent_style, NULL},
};

__attribute__((format(printf, 2, 3))) static bool
guards_found(struct search *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->text, s->size, fmt, ap);
    va_end(ap);
    s->found = true;
    return true;
}

static bool guards_in_main_cf(struct search *s)
{
    const struct guard *g, *end = guards + sizeof(guards) / sizeof(guards[0]);
    const struct postfix_config *pf = s->pf;
    const char *value;

    for (g = guards; g < end; g++) {
        value = pf->param(pf->ctx, g->param);
        if (value == NULL || !g->holds(value, pf))
            continue;
        /* Whoever holds() asked has the text's place. */
        return guards_found(s, "%s = %s", g->param,
                            pf->param(pf->ctx, g->param));
    }
    return false;
}

static bool guards_counts_for(const struct guard *g, const char *command)
{
    return g->command != NULL &&
           (*g->command == '\0' || strcmp(g->command, command) == 0);
}

static bool guards_judge_service(void *ctx, const struct master_service *m)
{
    const struct guard *g, *end = guards + sizeof(guards) / sizeof(guards[0]);
    struct search *s = ctx;
    const char *value;

    for (size_t i = 0; i < m->n_options; i++)
        for (g = guards; g < end; g++) {
            if (strcmp(g->param, m->options[i].name) != 0 ||
                !guards_counts_for(g, m->command))
                continue;
            value = s->pf->expand(s->pf->ctx, m->options[i].value);
            if (g->holds(value, s->pf))
                return !guards_found(s, "master.cf: %s: -o %s=%s", m->name,
                                     g->param, value);
        }
    return true;
}

static bool guards_in_master_cf(struct search *s)
{
    const char *dir = s->pf->param(s->pf->ctx, "config_directory");
    char path[4096];
    int error;

    snprintf(path, sizeof(path), "%s/master.cf", dir != NULL ? dir : "");
    error = master_services(path, guards_judge_service, s);
    if (error != 0)
        return guards_found(s, "cannot read %s: %s", path, strerror(error));
    return s->found;
}

bool guard_reason(const struct postfix_config *pf, char *text, size_t size)
{
    struct search s = {.pf = pf, .text = text, .size = size};

    return guards_in_main_cf(&s) || guards_in_master_cf(&s);
}
