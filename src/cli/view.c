/*
 * view - what main.cf has to say
 *
 * The table inside Postfix knows its main.cf: which domains are local, whether
 * Postfix must see a domain itself, the address families, its own name and
 * addresses. For `mxhop lookup' and `mxhop trace' to answer the same, they find
 * all of that out through the commands of Postfix. It is asked before the
 * process gives root up, so that master.cf and main.cf can be read.
 *
 * The view is taken if transport_maps names this configuration. Otherwise
 * mxhop.cf alone counts, as for Exim.
 */

#include "cli/cli.h"
#include "cli/view.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool view_option(int opt, struct view_options *o)
{
    if (opt == 'n')
        o->plain = true;
    else if (opt == 'i')
        o->instance = optarg;
    else
        return false;
    return true;
}

/* ---- the table in main.cf ---- */

static bool view_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 &&
                                 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* The first of transport_maps that is ours, alone or inside another table. */
static bool view_find_table(struct view *v, const char *config)
{
    char **word = postconf_words(postconf_param(&v->postfix, "transport_maps"));
    const char *file;
    size_t len;

    for (size_t i = 0; word != NULL && word[i] != NULL; i++) {
        file = word_our_table(word[i], &len);
        if (file == NULL)
            continue;
        v->table = strndup(file, len);
        if (v->table != NULL && view_same_file(v->table, config))
            break;
        free(v->table);
        v->table = NULL;
    }
    free(word);
    return v->table != NULL;
}

/* ---- who we are ---- */

static const char *view_families(struct view *v)
{
    char **word = postconf_words(postconf_param(&v->postfix, "inet_protocols"));
    bool v4 = false, v6 = false;

    for (size_t i = 0; word != NULL && word[i] != NULL; i++) {
        bool all = strcasecmp(word[i], "all") == 0;

        v4 = v4 || all || strcasecmp(word[i], "ipv4") == 0;
        v6 = v6 || all || strcasecmp(word[i], "ipv6") == 0;
    }
    free(word);
    return v4 == v6 ? "ipv4 ipv6" : v4 ? "ipv4" : "ipv6";
}

static void view_put_address(const struct view *v, const struct sockaddr *sa,
                             bool loopback, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];

    if (sa == NULL)
        return;
    if (sa->sa_family == AF_INET && strstr(v->families, "ipv4") != NULL) {
        const struct sockaddr_in *in = (const void *)sa;

        if ((!loopback || ntohl(in->sin_addr.s_addr) >> 24 == 127) &&
            inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)) != NULL)
            buf_printf(out, "%s ", text);
    } else if (sa->sa_family == AF_INET6 &&
               strstr(v->families, "ipv6") != NULL) {
        const struct sockaddr_in6 *in = (const void *)sa;

        if ((!loopback || IN6_IS_ADDR_LOOPBACK(&in->sin6_addr)) &&
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text)) != NULL)
            buf_printf(out, "%s ", text);
    }
}

static void view_put_interfaces(const struct view *v, bool loopback,
                                struct buf *out)
{
    struct ifaddrs *list;

    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
        view_put_address(v, i->ifa_addr, loopback, out);
    freeifaddrs(list);
}

/* A host name or an address, which may be in brackets, and may say IPv6:. */
static void view_put_host(const struct view *v, char *word, struct buf *out)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    size_t len = strlen(word);
    struct addrinfo *list;

    if (word[0] == '[' && word[len - 1] == ']') {
        word[len - 1] = '\0';
        word += strncasecmp(word, "[IPv6:", 6) == 0 ? 6 : 1;
    }
    if (getaddrinfo(word, NULL, &hints, &list) != 0)
        return;
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
        view_put_address(v, a->ai_addr, false, out);
    freeaddrinfo(list);
}

/* Of inet_interfaces and proxy_interfaces. */
static bool view_find_addresses(struct view *v)
{
    static const char *const params[] = {"inet_interfaces", "proxy_interfaces"};
    struct buf out = {0};

    buf_puts(&out, "");
    for (int i = 0; i < 2; i++) {
        char **word = postconf_words(postconf_param(&v->postfix, params[i]));

        for (size_t k = 0; word != NULL && word[k] != NULL; k++) {
            if (strcasecmp(word[k], "all") == 0) {
                view_put_interfaces(v, false, &out);
                buf_puts(&out, i == 0 ? "127.0.0.0/8 " : "");
            } else if (strcasecmp(word[k], "loopback-only") == 0) {
                view_put_interfaces(v, true, &out);
            } else {
                view_put_host(v, word[k], &out);
            }
        }
        free(word);
    }
    v->own_addresses = buf_detach(&out);
    return v->own_addresses != NULL;
}

/* ---- taken or not ---- */

/* Of transport_maps and policies; view_open_lists() has named the others. */
static bool view_name_tables(struct view *v, const char *maps)
{
    char **word = postconf_words(maps);
    bool ok = word != NULL;

    for (size_t i = 0; ok && word[i] != NULL; i++)
        ok = postmap_name(&v->postfix, word[i]);
    free(word);
    return ok;
}

static int view_not_taken(struct view *v, const struct view_options *options,
                          bool warn)
{
    if (options->instance != NULL) {
        cli_complain("%s", v->skipped);
        return EXIT_CONFIG;
    }
    if (warn)
        cli_complain("warning: %s; what follows is the view of mxhop.cf alone",
                     v->skipped);
    return 0;
}

int view_take(struct view *v, const char *config,
              const struct view_options *options)
{
    struct mxhop_error err;
    enum mxhop_status status;

    *v = (struct view){.postfix.helper = -1};
    if (options->plain) {
        v->plain = true;
        snprintf(v->skipped, sizeof(v->skipped), "--no-main-cf was given");
        return 0;
    }
    status = postconf_read(&v->postfix, options->instance, &err);
    if (status != MXHOP_OK) {
        snprintf(v->skipped, sizeof(v->skipped), "%s", err.text);
        return view_not_taken(v, options, status != MXHOP_ERR_ARGUMENT);
    }
    if (!view_find_table(v, config)) {
        snprintf(v->skipped, sizeof(v->skipped),
                 "transport_maps in %s does not name mxhop:%s", v->postfix.main,
                 config);
        return view_not_taken(v, options, false);
    }
    v->config = (struct postfix_config){.ctx = &v->postfix,
                                        .table = v->table,
                                        .param = postconf_param,
                                        .expand = postconf_expand,
                                        .raw = postconf_raw};
    v->families = view_families(v);
    if (!view_find_addresses(v) || !view_open_lists(v))
        return cli_no_memory();
    if (!guard_reason(&v->config, &v->by_domain, v->reason, sizeof(v->reason)))
        v->reason[0] = '\0';
    if (v->postfix.master_error != 0)
        cli_complain("warning: cannot read %s: %s; whether Postfix must see "
                     "domains itself is unknown, and only overrides give lists",
                     v->postfix.master, strerror(v->postfix.master_error));
    if (!view_name_tables(v, postconf_param(&v->postfix, "transport_maps")) ||
        !view_name_tables(v, v->by_domain.tables))
        return cli_no_memory();
    postmap_begin(&v->postfix);
    v->taken = true;
    return 0;
}

void view_free(struct view *v)
{
    view_close_lists(v);
    postconf_free(&v->postfix);
    free(v->table);
    free(v->own_addresses);
    *v = (struct view){0};
}

/* Of one table and one key. true: Postfix must see the domain. */
static bool view_has_policy(struct view *v, const char *table, const char *key)
{
    char *value = NULL;
    enum postmap_found found = postmap_ask(&v->postfix, table, key, &value);

    free(value);
    if (found == POSTMAP_ABSENT)
        return false;
    snprintf(v->visible, sizeof(v->visible),
             found == POSTMAP_FOUND
                 ? "smtp_tls_policy_maps has %s"
                 : "smtp_tls_policy_maps cannot be asked for %s",
             key);
    return true;
}

static const char *view_visible_domain(void *ctx, const char *domain)
{
    struct view *v = ctx;
    char *copy, *cursor, *word;
    bool found = false;

    for (const char *key = domain; key != NULL && !found;
         key = strchr(key + 1, '.')) {
        cursor = copy = strdup(v->by_domain.tables);
        while (copy != NULL && !found &&
               (word = word_next(&cursor, WORDS_IN_LIST)) != NULL)
            found = view_has_policy(v, word, key);
        free(copy);
    }
    return found ? v->visible : NULL;
}

void view_host(struct view *v, struct mxhop_host *host)
{
    const struct guard_by_domain *d = &v->by_domain;

    if ((d->classes & POSTFIX_CLASS_STS) != 0)
        host->tls_classes |= 1u << MXHOP_TLS_STS;
    if ((d->classes & POSTFIX_CLASS_DANE) != 0)
        host->tls_classes |= 1u << MXHOP_TLS_DANE;
    if (d->unsigned_mx)
        host->visible_if |= MXHOP_VISIBLE_UNSIGNED;
    if (d->reports)
        host->visible_if |= MXHOP_VISIBLE_REPORTED;
    host->own_domains = d->own_domains;
    if (d->tables[0] != '\0')
        host->visible_domain = view_visible_domain;
    host->flags &= ~MXHOP_THIS_MACHINE;
    host->ctx = v;
    host->is_local = view_is_local;
    host->visible_reason = v->reason[0] != '\0' ? v->reason : NULL;
    host->own_names = postconf_param(&v->postfix, "myhostname");
    host->own_addresses = v->own_addresses;
    host->address_families = v->families;
}
