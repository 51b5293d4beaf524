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
 * Where the hosts of a list can carry a TLS class (classes.c), some of these
 * reasons hold for some domains only. DANE is a class. A policy table of the
 * administrator's, beside mxhop_tls, can be asked for the domain, if it is a
 * table on this machine: then the domains that it has must be seen.
 *
 * smtp_sasl_password_maps is a reason as soon as it is set: it may name the
 * domain. So is smtp_requiretls_policy if it has a table. Where it is not set,
 * Postfix asks less of the servers of its own domain, for mail with REQUIRETLS
 * (RFC 8689), than of others, by the name of the next hop. With a list, such
 * mail to a domain in it would be returned if its server is elsewhere, and be
 * sent as to ourselves if only the server is in it.
 *
 * When in doubt (master.cf cannot be read), there is a reason. Postfix's own
 * defaults never are one for all domains, so a parameter that this program has
 * not read and that main.cf does not set needs no default here.
 *
 * A certificate is verified by the name of the host at level `verify', unless
 * its match says otherwise, and by nothing of the domain at `fingerprint'.
 * There a list changes nothing, unless smtp_tls_servername asks servers for the
 * certificate of the domain. Reports of TLS (RFC 8460) are for domains that
 * publish where they go, whatever there is of classes.
 */

#include <mxhop/postfix.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct search {
    const struct postfix_config *pf;
    struct guard_by_domain *by_domain;
    const char *no_classes;       /* why lists have none */
    bool dane, insecure_is_other; /* level dane; not for unsigned MX records */
    bool verify, by_nexthop; /* level verify; where that is by the domain */
    char *text;
    size_t size;
    bool found;
};

struct guard {
    const char *param;
    bool (*holds)(struct search *s, const char *value); /* for all domains */
    const char *command; /* whose options count too, "": any program's */
    /* In its place where there are classes; NULL: the same. */
    bool (*with_classes)(struct search *s, const char *value);
};

static bool guards_is_set(struct search *s, const char *value)
{
    (void)s;
    return *value != '\0';
}

static bool guards_has_a_table(struct search *s, const char *value)
{
    (void)s;
    return strchr(value, ':') != NULL;
}

static bool guards_is_yes(struct search *s, const char *value)
{
    (void)s;
    return strcasecmp(value, "yes") == 0;
}

static bool guards_never(struct search *s, const char *value)
{
    (void)s;
    (void)value;
    return false;
}

/* Levels that are settled by domain, or that verify its name. */
static bool guards_is_level_by_domain(struct search *s, const char *value)
{
    if (strcasecmp(value, "verify") == 0) {
        s->verify = true;
        return s->by_nexthop;
    }
    return strcasecmp(value, "dane") == 0 ||
           strcasecmp(value, "dane-only") == 0 ||
           strcasecmp(value, "secure") == 0;
}

/* What level verify compares a certificate with. */
static bool guards_is_match_by_domain(struct search *s, const char *value)
{
    char *copy = strdup(value), *cursor = copy, *word;

    s->by_nexthop = s->by_nexthop || copy == NULL;
    while (copy != NULL &&
           (word = word_next(&cursor, WORDS_IN_LIST ":")) != NULL)
        s->by_nexthop = s->by_nexthop || strcasecmp(word, "nexthop") == 0 ||
                        strcasecmp(word, "dot-nexthop") == 0;
    free(copy);
    return s->by_nexthop && s->verify;
}

/* The name that a server is asked for, which chooses its certificate. */
static bool guards_is_nexthop(struct search *s, const char *value)
{
    (void)s;
    return strcmp(value, "nexthop") == 0;
}

/* A report is for a domain, and smtp(8) would ask where those for the host go.
 */
static bool guards_note_reports(struct search *s, const char *value)
{
    s->by_domain->reports =
        s->by_domain->reports || strcasecmp(value, "yes") == 0;
    return false;
}

/* On this machine, and quick: trivial-rewrite(8) asks them. */
static bool guards_is_local_table(const char *table)
{
    static const char *const types[] = {
        "btree:", "cdb:",  "cidr:", "dbm:",    "hash:",   "inline:",
        "lmdb:",  "pcre:", "sdbm:", "regexp:", "static:", "texthash:",
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strncmp(table, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

static bool guards_has_table(const char *tables, const char *word)
{
    char *copy = strdup(tables), *cursor = copy, *w;
    bool found = false;

    while (copy != NULL && (w = word_next(&cursor, WORDS_IN_LIST)) != NULL)
        found = found || strcmp(w, word) == 0;
    free(copy);
    return found;
}

/* Note those that are not ours. true: one of them cannot be asked. */
static bool guards_note_tables(struct search *s, const char *value)
{
    char *copy = strdup(value), *cursor = copy, *word, *tables;
    bool cannot = copy == NULL;
    size_t n;

    while (!cannot && (word = word_next(&cursor, WORDS_IN_LIST)) != NULL) {
        tables = s->by_domain->tables;
        n = strlen(tables);
        if (strncmp(word_unproxy(word), TLS_TABLE_TYPE ":",
                    sizeof(TLS_TABLE_TYPE)) == 0 ||
            guards_has_table(tables, word))
            continue;
        cannot = !guards_is_local_table(word) ||
                 n + strlen(word) + 2 > sizeof(s->by_domain->tables);
        if (!cannot)
            snprintf(tables + n, sizeof(s->by_domain->tables) - n, "%s ", word);
    }
    free(copy);
    return cannot;
}

static bool guards_note_level(struct search *s, const char *value)
{
    bool dane_only = strcasecmp(value, "dane-only") == 0;

    if (!dane_only && strcasecmp(value, "dane") != 0)
        return guards_is_level_by_domain(s, value);
    s->dane = true;
    s->by_domain->unsigned_mx = s->by_domain->unsigned_mx || dane_only;
    return (s->by_domain->classes & POSTFIX_CLASS_DANE) == 0;
}

static bool guards_note_insecure(struct search *s, const char *value)
{
    s->insecure_is_other =
        s->insecure_is_other || strcasecmp(value, "dane") != 0;
    return false;
}

static bool guards_is_not_smtp(struct search *s, const char *value)
{
    (void)s;
    return strcmp(value, "smtp") != 0 && strcmp(value, "smtp:") != 0;
}

/* Then the domain's own address counts, whatever its MX records say. */
static bool guards_is_disabled(struct search *s, const char *value)
{
    (void)s;
    return strcasecmp(value, "disabled") == 0;
}

static bool guards_is_ours(const char *table, const char *name)
{
    static const char prefix[] = TABLE_TYPE ":";

    table = word_unproxy(table);
    return strncmp(table, prefix, strlen(prefix)) == 0 &&
           strcmp(table + strlen(prefix), name) == 0;
}

/* Postfix asks every table for the domain before it asks any for .parent. */
static bool guards_has_other_tables(struct search *s, const char *value)
{
    char *copy = strdup(value), *cursor = copy, *word;
    bool other = copy == NULL;

    while (!other && (word = word_next(&cursor, WORDS_IN_LIST)) != NULL)
        other = !guards_is_ours(word, s->pf->table);
    free(copy);
    return other;
}

static bool guards_has_parent_style(struct search *s, const char *value)
{
    (void)value;
    return postfix_parent_style(s->pf, "transport_maps");
}

#define REWRITE "trivial-rewrite"

static const struct guard guards[] = {
    {"smtp_tls_policy_maps", guards_is_set, "", guards_note_tables},
    {"smtp_tls_per_site", guards_is_set, "", NULL},
    {"smtp_enforce_tls", guards_is_yes, "", NULL},
    {"smtp_tls_security_level", guards_is_level_by_domain, "",
     guards_note_level},
    {"smtp_tls_verify_cert_match", guards_is_match_by_domain, "", NULL},
    {"smtp_tls_servername", guards_is_nexthop, "", NULL},
    {"smtp_tls_dane_insecure_mx_policy", guards_never, "",
     guards_note_insecure},
    {"smtp_tlsrpt_enable", guards_note_reports, "", NULL},
    {"smtp_requiretls_policy", guards_has_a_table, "", NULL},
    {"smtp_sasl_password_maps", guards_is_set, "", NULL},
    /* Services for content filters have them, too, and need no list. */
    {"smtp_dns_support_level", guards_is_disabled, NULL, NULL},
    {"disable_dns_lookups", guards_is_yes, NULL, NULL},
    {"relayhost", guards_is_set, REWRITE, NULL},
    {"sender_dependent_relayhost_maps", guards_is_set, REWRITE, NULL},
    {"sender_dependent_default_transport_maps", guards_is_set, REWRITE, NULL},
    {"default_transport", guards_is_not_smtp, REWRITE, NULL},
    {"transport_maps", guards_has_other_tables, REWRITE, NULL},
    {"parent_domain_matches_subdomains", guards_has_parent_style, NULL, NULL},
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

static bool guards_holds(struct search *s, const struct guard *g,
                         const char *value)
{
    return s->by_domain->classes != 0 && g->with_classes != NULL
               ? g->with_classes(s, value)
               : g->holds(s, value);
}

/* Of main.cf, or behind a service. Somebody expects classes, and there are
 * none.
 */
static bool guards_tell(struct search *s, const char *where,
                        const struct guard *g, const char *value)
{
    bool expected =
        s->by_domain->classes == 0 && strstr(value, TLS_TABLE_TYPE ":") != NULL;

    return guards_found(s, "%s%s%s%s%s", where, g->param,
                        *where != '\0' ? "=" : " = ", value,
                        expected ? s->no_classes : "");
}

static bool guards_in_main_cf(struct search *s)
{
    const struct guard *g, *end = guards + sizeof(guards) / sizeof(guards[0]);
    const struct postfix_config *pf = s->pf;
    const char *value;

    for (g = guards; g < end; g++) {
        value = pf->param(pf->ctx, g->param);
        if (value == NULL || !guards_holds(s, g, value))
            continue;
        /* Whoever holds() asked has the text's place. */
        return guards_tell(s, "", g, pf->param(pf->ctx, g->param));
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
    char where[128];

    for (size_t i = 0; i < m->n_options; i++)
        for (g = guards; g < end; g++) {
            if (strcmp(g->param, m->options[i].name) != 0 ||
                !guards_counts_for(g, m->command))
                continue;
            value = s->pf->expand(s->pf->ctx, m->options[i].value);
            snprintf(where, sizeof(where), "master.cf: %.100s: -o ", m->name);
            if (guards_holds(s, g, value))
                return !guards_tell(s, where, g, value);
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

static const char *guards_value(const struct search *s, const char *param)
{
    const char *value = s->pf->param(s->pf->ctx, param);

    return value != NULL ? value : "";
}

static void guards_note_own_domains(struct search *s)
{
    const struct postfix_config *pf = s->pf;

    if (postfix_knows_requiretls(guards_value(s, "mail_version")) &&
        strcasecmp(guards_value(s, "requiretls_enable"), "no") != 0 &&
        pf->param(pf->ctx, "smtp_requiretls_policy") == NULL)
        snprintf(s->by_domain->own_domains, sizeof(s->by_domain->own_domains),
                 "%s",
                 pf->expand(pf->ctx, "${domain_to_ascii{$mydomain}} "
                                     ".${domain_to_ascii{$mydomain}}"));
}

bool guard_reason(const struct postfix_config *pf, struct guard_by_domain *d_r,
                  char *text, size_t size)
{
    char why[512], no_classes[600];
    struct search s = {.pf = pf,
                       .by_domain = d_r,
                       .no_classes = no_classes,
                       .text = text,
                       .size = size};
    bool found;

    *d_r = (struct guard_by_domain){0};
    guards_note_own_domains(&s);
    (void)postfix_tls_classes(pf, &d_r->classes, why, sizeof(why));
    snprintf(no_classes, sizeof(no_classes),
             "; its TLS classes mean nothing: %s", why);
    found = guards_in_main_cf(&s) || guards_in_master_cf(&s);
    if (s.dane && s.insecure_is_other)
        d_r->unsigned_mx = true;
    return found;
}
