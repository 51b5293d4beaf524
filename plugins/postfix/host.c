/*
 * host - what Postfix knows and libmxhop cannot
 *
 * Local domains, our own name and addresses, the address families in use, the
 * log, and the parameters that <mxhop/postfix.h> asks for.
 *
 * Postfix's own lists match local domains, so files, tables, `!` and
 * parent_domain_matches_subdomains mean what they mean elsewhere. A table that
 * fails makes the domain unknown, never fatal.
 *
 * The lists are opened by host_create(), before the jail. Postfix keeps their
 * tables open, and watches them, until the process ends.
 */

#include "postfix/host.h"
#include "postfix/postfix_abi.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Names alone are compared here: Postfix copies and folds for each list. */
struct local_list {
    struct postfix_list *list; /* NULL: none, or */
    char *names;               /* each ends with a NUL, the last with two */
};

struct postfix_host {
    const char *type; /* of the table */
    char *name;
    struct local_list lists[N_LISTS];
    char *own_name, *mail_owner;
    char *own_addresses;
    char reason[512];
    struct guard_by_domain by_domain;
    struct postfix_maps *policies; /* of by_domain; or NULL */
    char visible[512];             /* host_visible_domain() */
};

/* ---- parameters ---- */

static const char *host_param(void *ctx, const char *name)
{
    (void)ctx;
    return mail_conf_lookup_eval(name);
}

static const char *host_raw(void *ctx, const char *name)
{
    (void)ctx;
    return mail_conf_lookup(name);
}

static const char *host_expand(void *ctx, const char *text)
{
    (void)ctx;
    return mail_conf_eval(text);
}

static struct postfix_config host_config(const char *table)
{
    return (struct postfix_config){.table = table,
                                   .param = host_param,
                                   .expand = host_expand,
                                   .raw = host_raw};
}

static const char *host_value(const char *param)
{
    const char *value = mail_conf_lookup_eval(param);

    return value != NULL ? value : "";
}

/* Since 3.11 postmap(1) has both a process_name and a service_name. But only
   daemons go on without a table. */
bool host_is_daemon(void)
{
    return dict_allow_surrogate != 0;
}

const char *host_program(void)
{
    return host_value("process_name");
}

/* ---- local domains ---- */

/* proxymap(8) would wait for itself, and commands are also used while Postfix
   is down. Neither is jailed, so they can open a proxied table themselves. */
static bool host_skips_proxy(void)
{
    return !host_is_daemon() || strcmp(host_program(), "proxymap") == 0;
}

/* `!` and `proxy:` at the beginning of a word, without the `proxy:`. */
static void host_put_unproxied(FILE *out, const char *word)
{
    size_t bangs = strspn(word, "!");

    fprintf(out, "%.*s%s ", (int)bangs, word, word_unproxy(word + bangs));
}

/*
 * A copy of a list, to be freed, in which nothing leads back to us: not a
 * table of our type, which would open this list again without end (someone
 * may have `relay_domains = $transport_maps`), nor proxy: where it is in the
 * way.
 */
static char *host_safe_patterns(const char *name, const char *param,
                                const char *value)
{
    bool direct = host_skips_proxy();
    char *copy = strdup(value), *cursor = copy, *word, *text = NULL;
    size_t len, ours;
    FILE *out = copy != NULL ? open_memstream(&text, &len) : NULL;

    while (out != NULL && (word = word_next(&cursor, WORDS_IN_LIST)) != NULL) {
        if (word_our_table(word, &ours) != NULL)
            msg_warn("%s:%s: %s in %s is not asked which domains are local",
                     TABLE_TYPE, name, word, param);
        else if (direct)
            host_put_unproxied(out, word);
        else
            fprintf(out, "%s ", word);
    }
    free(copy);
    if (out == NULL || fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* The words of a list of nothing but ASCII names, each with a NUL behind it;
   NULL if there is more in it (or no memory). */
static char *host_only_names(const char *patterns)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789.-_" WORDS_IN_LIST;
    char *names, *end;

    if (patterns[strspn(patterns, plain)] != '\0')
        return NULL;
    names = end = calloc(1, strlen(patterns) + 2);
    if (names == NULL)
        return NULL;
    for (const char *p = patterns; *p != '\0';) {
        size_t len = strcspn(p, WORDS_IN_LIST);

        memcpy(end, p, len);
        end += len + (len > 0);
        p += len + strspn(p + len, WORDS_IN_LIST);
    }
    return names;
}

static bool host_open_list(struct postfix_host *host,
                           const struct postfix_config *pf,
                           enum postfix_list_id id)
{
    const char *param = postfix_list_names[id];
    int surrogates = dict_allow_surrogate, flags = MATCH_FLAG_RETURN;
    match_function *match = id == LIST_RELAY ? match_hostname : match_string;
    char *copy = strdup(postfix_list_value(pf, id)), *patterns;

    if (copy == NULL)
        return false;
    patterns = host_safe_patterns(host->name, param, copy);
    free(copy);
    if (patterns == NULL)
        return false;
    if (match == match_string ||
        patterns[strspn(patterns, WORDS_IN_LIST)] == '\0')
        host->lists[id].names = host_only_names(patterns);
    if (host->lists[id].names == NULL) {
        if (match == match_hostname)
            flags |= match_parent_style(param);
        /* A missing table is not the end of postmap(1): we pass, and say so. */
        dict_allow_surrogate = 1;
        host->lists[id].list =
            match_list_init(param, flags, patterns, 1, match);
        dict_allow_surrogate = surrogates;
    }
    free(patterns);
    return true;
}

static bool host_open_lists(struct postfix_host *host,
                            const struct postfix_config *pf)
{
    for (int i = 0; i < N_LISTS; i++)
        if (!host_open_list(host, pf, (enum postfix_list_id)i))
            return false;
    return true;
}

static bool host_is_among(const char *names, const char *domain, size_t len)
{
    for (size_t n; (n = strlen(names)) > 0; names += n + 1)
        if (n == len && strcasecmp(names, domain) == 0)
            return true;
    return false;
}

static enum mxhop_local host_in_lists(struct postfix_host *host,
                                      const char *domain)
{
    size_t len = strlen(domain);
    int i;

    for (i = 0; i < N_LISTS; i++) {
        const struct local_list *l = &host->lists[i];

        if (l->names != NULL ? host_is_among(l->names, domain, len)
                             : match_list_match(l->list, domain) != 0)
            return MXHOP_LOCAL_YES;
        if (l->list != NULL && l->list->error != 0)
            return MXHOP_LOCAL_ERROR;
    }
    return MXHOP_LOCAL_NO;
}

/* A list may hold the Unicode form, which Postfix does not convert. */
static enum mxhop_local host_is_local(void *ctx, const char *domain)
{
    enum mxhop_local answer = host_in_lists(ctx, domain);
    const char *unicode;

    if (answer != MXHOP_LOCAL_NO || strstr(domain, "xn--") == NULL ||
        midna_domain_to_utf8 == NULL)
        return answer;
    unicode = midna_domain_to_utf8(domain);
    return unicode != NULL ? host_in_lists(ctx, unicode) : answer;
}

/* ---- domains that Postfix must see ---- */

/* In the way of smtp(8): the domain, then .parent after .parent. */
static bool host_has_policy(struct postfix_host *host, const char *domain)
{
    for (const char *key = domain; key != NULL; key = strchr(key + 1, '.')) {
        if (maps_find(host->policies, key, 0) == NULL &&
            host->policies->error == 0)
            continue;
        snprintf(host->visible, sizeof(host->visible),
                 host->policies->error == 0
                     ? "smtp_tls_policy_maps has %s"
                     : "smtp_tls_policy_maps cannot be asked for %s",
                 key);
        return true;
    }
    return false;
}

static const char *host_visible_domain(void *ctx, const char *domain)
{
    struct postfix_host *host = ctx;
    const char *unicode = NULL;

    if (host_has_policy(host, domain))
        return host->visible;
    if (strstr(domain, "xn--") != NULL && midna_domain_to_utf8 != NULL)
        unicode = midna_domain_to_utf8(domain);
    return unicode != NULL && host_has_policy(host, unicode) ? host->visible
                                                             : NULL;
}

static void host_open_policies(struct postfix_host *host)
{
    int surrogates = dict_allow_surrogate;

    if (host->by_domain.tables[0] == '\0')
        return;
    dict_allow_surrogate = 1; /* a missing table is an error of each lookup */
    host->policies =
        maps_create("smtp_tls_policy_maps", host->by_domain.tables,
                    DICT_FLAG_LOCK | DICT_FLAG_FOLD_FIX | DICT_FLAG_UTF8);
    dict_allow_surrogate = surrogates;
}

static unsigned host_classes(const struct postfix_host *host)
{
    unsigned classes = 0;

    if ((host->by_domain.classes & POSTFIX_CLASS_STS) != 0)
        classes |= 1u << MXHOP_TLS_STS;
    if ((host->by_domain.classes & POSTFIX_CLASS_DANE) != 0)
        classes |= 1u << MXHOP_TLS_DANE;
    return classes;
}

static unsigned host_visible_if(const struct postfix_host *host)
{
    return (host->by_domain.unsigned_mx ? MXHOP_VISIBLE_UNSIGNED : 0) |
           (host->by_domain.reports ? MXHOP_VISIBLE_REPORTED : 0);
}

/* ---- parameters that are not for us ---- */

/* Where the table cannot tell them from transport_maps. */
void host_warn_misplaced(const char *name)
{
    static const char *const params[] = {
        "sender_dependent_relayhost_maps",
        "sender_dependent_default_transport_maps", "mailbox_transport_maps",
        "fallback_transport_maps"};

    size_t len;

    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        if (word_our_table(host_value(params[i]), &len) != NULL)
            msg_warn("%s:%s: %s names a table of this type, which is made for "
                     "transport_maps only: remove it there",
                     TABLE_TYPE, name, params[i]);
}

/* ---- who we are ---- */

static void host_put_addresses(FILE *out, const struct postfix_addresses *a)
{
    char text[INET6_ADDRSTRLEN];
    int i;

    for (i = 0; i < a->used; i++) {
        const struct sockaddr_storage *sa = &a->list[i];
        const void *address =
            sa->ss_family == AF_INET
                ? (const void *)&((const struct sockaddr_in *)sa)->sin_addr
                : (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr;

        if (inet_ntop(sa->ss_family, address, text, sizeof(text)) != NULL)
            fprintf(out, "%s ", text);
    }
}

static char *host_own_addresses(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    host_put_addresses(out, own_inet_addr_list());
    if (strcasecmp(host_value("inet_interfaces"), "all") == 0)
        fputs("127.0.0.0/8 ", out); /* and not 127.0.0.1 alone */
    host_put_addresses(out, proxy_inet_addr_list());
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static const char *host_address_families(void)
{
    if (inet_proto_table == NULL)
        return NULL;
    switch (inet_proto_table->family) {
    case AF_INET:
        return "ipv4";
    case AF_INET6:
        return "ipv6";
    default:
        return "ipv4 ipv6";
    }
}

/* ---- */

static void host_log_line(void *ctx, enum mxhop_log_level level,
                          const char *line)
{
    const struct postfix_host *host = ctx;

    if (level == MXHOP_LOG_WARN)
        msg_warn("%s:%s: %s", host->type, host->name, line);
    else
        msg_info("%s:%s: %s", host->type, host->name, line);
}

struct postfix_host *host_create(const char *name, struct mxhop_host *api_r)
{
    const struct postfix_config pf = host_config(name);
    struct postfix_host *host = calloc(1, sizeof(*host));
    bool guarded;

    if (host == NULL)
        return NULL;
    host->type = TABLE_TYPE;
    host->name = strdup(name);
    host->own_name = strdup(host_value("myhostname"));
    host->mail_owner = strdup(host_value("mail_owner"));
    host->own_addresses = host_own_addresses();
    if (host->name == NULL || host->own_name == NULL ||
        host->mail_owner == NULL || host->own_addresses == NULL ||
        !host_open_lists(host, &pf)) {
        host_free(host);
        return NULL;
    }
    guarded =
        guard_reason(&pf, &host->by_domain, host->reason, sizeof(host->reason));
    if (!guarded)
        host_open_policies(host);
    *api_r = (struct mxhop_host){
        .flags = MXHOP_WORKER,
        .ctx = host,
        .log = host_log_line,
        .is_local = host_is_local,
        .visible_reason = guarded ? host->reason : NULL,
        .tls_classes = host_classes(host),
        .visible_if = host_visible_if(host),
        .visible_domain = host->policies != NULL ? host_visible_domain : NULL,
        .own_domains = host->by_domain.own_domains,
        .own_names = host->own_name,
        .own_addresses = host->own_addresses,
        .address_families = host_address_families(),
        .cache_owner = host->mail_owner,
    };
    return host;
}

/* Of processes that wait for long; one at least, or no mail would wait. */
static unsigned host_waiters(const struct postfix_config *pf)
{
    unsigned fifth = postfix_smtp_limit(pf) / 5;

    return fifth > 0 ? fifth : 1;
}

struct postfix_host *host_create_for_policies(const char *name,
                                              struct mxhop_host *api_r)
{
    const struct postfix_config pf = host_config(name);
    struct postfix_host *host = calloc(1, sizeof(*host));

    if (host == NULL)
        return NULL;
    host->type = TLS_TABLE_TYPE;
    host->name = strdup(name);
    host->own_name = strdup(host_value("myhostname"));
    host->mail_owner = strdup(host_value("mail_owner"));
    if (host->name == NULL || host->own_name == NULL ||
        host->mail_owner == NULL) {
        host_free(host);
        return NULL;
    }
    host->by_domain.classes = postfix_own_tls_classes(&pf);
    *api_r = (struct mxhop_host){
        .flags = MXHOP_POLICIES,
        .ctx = host,
        .log = host_log_line,
        .tls_classes = host_classes(host),
        .waiters_max = host_waiters(&pf),
        .own_names = host->own_name,
        .address_families = host_address_families(),
        .cache_owner = host->mail_owner,
    };
    return host;
}

unsigned host_policy_words(void)
{
    return postfix_knows_sts(host_value("mail_version")) ? MXHOP_TLS_STS_WORDS
                                                         : 0;
}

bool host_level_is_strict(void)
{
    const struct postfix_config pf = host_config("");

    return postfix_level_is_strict(&pf);
}

void host_free(struct postfix_host *host)
{
    int i;

    if (host == NULL)
        return;
    for (i = 0; i < N_LISTS; i++) {
        if (host->lists[i].list != NULL)
            match_list_free(host->lists[i].list);
        free(host->lists[i].names);
    }
    if (host->policies != NULL)
        maps_free(host->policies);
    free(host->name);
    free(host->own_name);
    free(host->mail_owner);
    free(host->own_addresses);
    free(host);
}
