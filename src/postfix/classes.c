/*
 * classes - whether the policy classes of a list mean anything to smtp(8)
 *
 * A host of a list can carry the class of its TLS policy in the form of its
 * port, which the table mxhop_tls turns into a policy. A smtp(8) that does not
 * ask that table delivers without the policy, and one that cannot verify
 * certificates or ask DNSSEC defers everything. So classes are used only if
 * every smtp(8) can honour them: the one of main.cf, and each in master.cf with
 * its options.
 *
 * What a parameter is by default, Postfix's default is, from 3.4 to 3.12.
 *
 * An option may set a parameter that another one is made of, as my_tables of
 * `smtp_tls_policy_maps = $my_tables'. What that one is for this service is not
 * worked out: it counts as wrong.
 *
 * When in doubt (master.cf cannot be read), there are no classes.
 */

#include <mxhop/postfix.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One configuration of smtp(8), and what is found. */
struct classes_side {
    const struct postfix_config *pf;
    const struct master_service *service; /* NULL: main.cf */
    unsigned class;                       /* that is asked for */
    bool own; /* for what this process delivers to, without lists */
    char *why;
    size_t size;
    bool refused;
};

struct classes_rule {
    const char *param, *by_default;
    unsigned class;
    bool (*holds)(const struct classes_side *s, const char *value);
    const char *remedy;
    bool lists; /* it matters to hosts of lists only */
};

/* Valid until the next call. */
static const char *classes_value(const struct classes_side *s, const char *name,
                                 const char *by_default)
{
    const struct postfix_config *pf = s->pf;
    const char *value;

    for (size_t i = s->service != NULL ? s->service->n_options : 0; i-- > 0;)
        if (strcmp(s->service->options[i].name, name) == 0)
            return pf->expand(pf->ctx, s->service->options[i].value);
    value = pf->param(pf->ctx, name);
    return value != NULL ? value : by_default;
}

#define CLASSES_DEPTH 4 /* of parameters in parameters */

/* The option that sets what the text is made of, or NULL. */
static const char *classes_part(const struct classes_side *s, const char *text,
                                unsigned depth)
{
    const struct postfix_config *pf = s->pf;
    const char *found = NULL, *raw;
    char name[64];

    while (found == NULL && text != NULL &&
           (text = word_parameter(text, name, sizeof(name))) != NULL) {
        for (size_t i = 0; i < s->service->n_options && found == NULL; i++)
            if (strcmp(s->service->options[i].name, name) == 0)
                found = s->service->options[i].name;
        raw = found == NULL && depth > 0 ? pf->raw(pf->ctx, name) : NULL;
        if (raw != NULL)
            found = classes_part(s, raw, depth - 1);
    }
    return found;
}

/* The same of a parameter of this service. */
static const char *classes_part_of(const struct classes_side *s,
                                   const char *param)
{
    const struct postfix_config *pf = s->pf;

    if (s->service == NULL)
        return NULL;
    for (size_t i = s->service->n_options; i-- > 0;)
        if (strcmp(s->service->options[i].name, param) == 0)
            return classes_part(s, s->service->options[i].value, CLASSES_DEPTH);
    return classes_part(s, pf->raw(pf->ctx, param), CLASSES_DEPTH);
}

static bool classes_has_word(const char *list, const char *wanted)
{
    char *copy = strdup(list), *cursor = copy, *word;
    bool found = false;

    while (!found && copy != NULL &&
           (word = word_next(&cursor, WORDS_IN_LIST)) != NULL)
        found = strcmp(word_unproxy(word), wanted) == 0;
    free(copy);
    return found;
}

static bool classes_is_asked(const struct classes_side *s, const char *value)
{
    char word[4096];

    snprintf(word, sizeof(word), TLS_TABLE_TYPE ":%s", s->pf->table);
    return classes_has_word(value, word);
}

/* A pattern may fit a host, whose class it then takes away. What does not find
   the host itself leaves it to the next table. */
static bool classes_is_before_patterns(const struct classes_side *s,
                                       const char *value)
{
    static const char *const patterns[] = {"pcre:", "regexp:", "static:"};
    char word[4096], *copy = strdup(value), *cursor = copy, *w;
    bool before = copy != NULL;

    snprintf(word, sizeof(word), TLS_TABLE_TYPE ":%s", s->pf->table);
    while (before && (w = word_next(&cursor, WORDS_IN_LIST)) != NULL) {
        const char *table = word_unproxy(w);

        if (strcmp(table, word) == 0)
            break;
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
            before =
                before && strncmp(table, patterns[i], strlen(patterns[i])) != 0;
    }
    free(copy);
    return before;
}

static bool classes_is_port_25(const struct classes_side *s, const char *value)
{
    (void)s;
    return strcmp(value, "smtp") == 0 || strcmp(value, "25") == 0;
}

static bool classes_is_no(const struct classes_side *s, const char *value)
{
    (void)s;
    return strcasecmp(value, "no") == 0;
}

static bool classes_has_ca(const struct classes_side *s, const char *value)
{
    return *value != '\0' || *classes_value(s, "smtp_tls_CApath", "") != '\0' ||
           strcasecmp(classes_value(s, "tls_append_default_CA", "no"), "yes") ==
               0;
}

static bool classes_is_dnssec(const struct classes_side *s, const char *value)
{
    (void)s;
    return strcasecmp(value, "dnssec") == 0;
}

static bool classes_asks_dns(const struct classes_side *s, const char *value)
{
    (void)s;
    return classes_has_word(value, "dns");
}

static bool classes_asks_whole_names(const struct classes_side *s,
                                     const char *value)
{
    (void)s;
    return !classes_has_word(value, "res_defnames") &&
           !classes_has_word(value, "res_dnsrch");
}

/* Of which TLSA records have some. Where smtp(8) knows a digest less, hosts are
   of a class that it cannot verify. */
static bool classes_has_digests(const struct classes_side *s, const char *value)
{
    (void)s;
    return classes_has_word(value, "sha256") &&
           classes_has_word(value, "sha512");
}

static const struct classes_rule rules[] = {
    {"smtp_tls_policy_maps", "", POSTFIX_CLASS_STS, classes_is_asked,
     "name " TLS_TABLE_TYPE ":FILE in it, with the FILE of transport_maps",
     true},
    {"smtp_tls_policy_maps", "", POSTFIX_CLASS_STS, classes_is_before_patterns,
     "name " TLS_TABLE_TYPE ":FILE before tables of type pcre, regexp and "
     "static, which may answer for its hosts",
     true},
    {"smtp_tcp_port", "smtp", POSTFIX_CLASS_STS, classes_is_port_25,
     "it must be 25", true},
    {"smtp_tls_CAfile", "", POSTFIX_CLASS_STS, classes_has_ca,
     "set it, smtp_tls_CApath or tls_append_default_CA", false},
    {"smtp_cname_overrides_servername", "no", POSTFIX_CLASS_STS, classes_is_no,
     "it must be no", false},
    {"smtp_dns_support_level", "", POSTFIX_CLASS_DANE, classes_is_dnssec,
     "it must be dnssec", false},
    {"smtp_host_lookup", "dns", POSTFIX_CLASS_DANE, classes_asks_dns,
     "dns must be in it", false},
    {"ignore_mx_lookup_error", "no", POSTFIX_CLASS_DANE, classes_is_no,
     "it must be no", false},
    {"smtp_dns_resolver_options", "", POSTFIX_CLASS_DANE,
     classes_asks_whole_names,
     "neither res_defnames nor res_dnsrch may be in it", false},
    {"tls_dane_digests", "sha512 sha256", POSTFIX_CLASS_DANE,
     classes_has_digests, "sha256 and sha512 must be in it", false},
};

__attribute__((format(printf, 2, 3))) static bool
classes_refused(struct classes_side *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->why, s->size, fmt, ap);
    va_end(ap);
    s->refused = true;
    return false;
}

/* True to go on with the next service. */
static bool classes_judge(void *ctx, const struct master_service *service)
{
    const struct classes_rule *r, *end = rules + sizeof(rules) / sizeof(*rules);
    struct classes_side *s = ctx;

    if (service != NULL && strcmp(service->command, "smtp") != 0)
        return true;
    s->service = service;
    for (r = rules; r < end; r++) {
        const char *part;

        if (r->class != s->class || (s->own && r->lists))
            continue;
        part = classes_part_of(s, r->param);
        if (part != NULL)
            return classes_refused(
                s, "master.cf: %s: -o %s: %s is made of it; set that itself",
                service->name, part, r->param);
        if (r->holds(s, classes_value(s, r->param, r->by_default)))
            continue;
        /* Whoever holds() asked has the text's place. */
        return classes_refused(
            s, "%s%s%s%s = %s: %s", service != NULL ? "master.cf: " : "",
            service != NULL ? service->name : "", service != NULL ? ": " : "",
            r->param, classes_value(s, r->param, r->by_default), r->remedy);
    }
    return true;
}

static bool classes_hold(struct classes_side *s, unsigned class)
{
    const struct postfix_config *pf = s->pf;
    const char *dir;
    char path[4096];
    int error;

    s->class = class;
    if (!classes_judge(s, NULL))
        return false;
    dir = pf->param(pf->ctx, "config_directory");
    snprintf(path, sizeof(path), "%s/master.cf", dir != NULL ? dir : "");
    error = master_services(path, classes_judge, s);
    if (error != 0)
        return classes_refused(s, "cannot read %s: %s", path, strerror(error));
    return !s->refused;
}

bool postfix_tls_classes(const struct postfix_config *pf, unsigned *classes_r,
                         char *why, size_t size)
{
    struct classes_side s = {.pf = pf, .why = why, .size = size};

    *classes_r = 0;
    why[0] = '\0';
    if (!classes_hold(&s, POSTFIX_CLASS_STS))
        return false;
    *classes_r = POSTFIX_CLASS_STS;
    if (!classes_hold(&s, POSTFIX_CLASS_DANE))
        return false;
    *classes_r |= POSTFIX_CLASS_DANE;
    return true;
}

unsigned postfix_own_tls_classes(const struct postfix_config *pf)
{
    char why[512];
    struct classes_side s = {
        .pf = pf, .why = why, .size = sizeof(why), .own = true};

    s.class = POSTFIX_CLASS_STS;
    if (!classes_judge(&s, NULL))
        return 0;
    s.class = POSTFIX_CLASS_DANE;
    return classes_judge(&s, NULL) ? POSTFIX_CLASS_STS | POSTFIX_CLASS_DANE
                                   : POSTFIX_CLASS_STS;
}
