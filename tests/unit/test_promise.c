/* An override is a promise: in any universe of overrides, MX sets and DNS
   outcomes, mail goes where the rules of docs/design.md let it, or waits. The
   rules are written here once more, from that page alone. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/suite.h"
#include "handle/handle.h"
#include "support/ovreplace.h"
#include "support/pace.h"
#include "util/clock.h"

#define DOMAINS 120
#define HOSTS   32
#define ENTRIES 120
#define KEYS    250 /* asked in one world */
#define WORLDS  400 /* so many with MXHOP_LONG */

static char dir[32], config[64], table[64];
static char domains[DOMAINS][32], hosts[HOSTS][32];
static struct override entry[ENTRIES];
static struct mxhop *mx;
static int64_t now_s;
static bool moved; /* what is local has changed */

static uint64_t state;

/* For all of the program. */
time_t time(time_t *t_r)
{
    struct timespec t = {now_s, 0};

    if (now_s == 0)
        clock_gettime(CLOCK_REALTIME, &t);
    if (t_r != NULL)
        *t_r = t.tv_sec;
    return t.tv_sec;
}

static unsigned below(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* ---- what DNS says: the truth, as far as the cache knows it ---- */

enum known { UNKNOWN, NONE, MAYBE, SURE }; /* in the families that are used */

static struct {
    enum known addresses;
    bool own, bogus;
    bool open, failed; /* no address is known, and it may have some */
} fact[HOSTS];

static struct {
    bool known; /* neither cold nor failed */
    struct mxset set;
} dns[DOMAINS];

static void invent_family(struct hostaddrs *a, int f, const char *v4,
                          const char *v6, enum addr_state st)
{
    a->state[f] = (uint8_t)st;
    a->ttl_s[f] = 3600;
    a->n[f] = st == ADDR_SOME;
    if (f == FAMILY_V4)
        inet_pton(AF_INET, v4, &a->v4[0]);
    else
        inet_pton(AF_INET6, v6, &a->v6[0]);
}

static void invent_host(unsigned i)
{
    static const enum addr_state states[] = {
        ADDR_SOME, ADDR_SOME, ADDR_SOME, ADDR_NONE, ADDR_FAILED, ADDR_UNKNOWN};
    struct hostaddrs a = {0};
    unsigned kind = below(8), some = 0, open = 0, failed = 0;
    const char *v4 = kind == 0   ? "192.0.2.250"
                     : kind == 1 ? "203.0.113.5"
                                 : "192.0.2.1";
    const char *v6 = kind == 0   ? "2001:db8::250"
                     : kind == 1 ? "2001:db8:bad::5"
                                 : "2001:db8::1";
    bool stale = one_in(6);

    a.secure = one_in(2);
    a.tlsa =
        (struct tlsa){.state = (uint8_t)below(TLSA_FAILED + 1), .ttl_s = 3600};
    memset(&fact[i], 0, sizeof(fact[i]));
    for (int f = 0; f < FAMILIES; f++) {
        enum addr_state st = states[below(6)];

        invent_family(&a, f, v4, v6, st);
        if (stale)
            a.ttl_s[f] = 1;
        if ((mx->rules.families & FAMILY_BIT(f)) == 0)
            continue;
        some += st == ADDR_SOME;
        open += st == ADDR_FAILED || st == ADDR_UNKNOWN;
        failed += st == ADDR_FAILED;
    }
    if (one_in(5)) {
        fact[i].addresses = UNKNOWN;
        fact[i].open = true;
        return;
    }
    fact[i].open = some == 0 && open > 0;
    fact[i].failed = fact[i].open && failed > 0;
    fact[i].addresses = some > 0 ? SURE : open > 0 ? MAYBE : NONE;
    /* It may have none by now. */
    if (stale && fact[i].addresses == SURE)
        fact[i].addresses = MAYBE;
    fact[i].own = some > 0 && kind == 0;
    fact[i].bogus = some > 0 && open == 0 && kind == 1;
    cache_put_host(mx->store.cache, hosts[i],
                   clock_boot_ms() - (stale ? 3000 : 0), &a);
}

static void invent_domain(unsigned i)
{
    static const uint16_t preferences[] = {0, 10, 10, 20};
    struct mxset *set = &dns[i].set;
    unsigned outcome = below(10), n = 1 + below(4);

    mxset_free(set);
    dns[i].known = outcome < 8;
    set->outcome = outcome < 6    ? MX_HOSTS
                   : outcome == 6 ? MX_NULL
                   : outcome == 7 ? MX_NXDOMAIN
                                  : MX_FAILURE;
    set->ttl_s = 3600;
    set->secure = one_in(2);
    if (outcome == 8)
        set->failure = strdup("no answer");
    for (unsigned h = 0; set->outcome == MX_HOSTS && h < n; h++)
        ck_assert(mxset_add(set, hosts[below(HOSTS)], preferences[below(4)]));
    mxset_sort(set);
    if (outcome == 5) /* stale */
        set->ttl_s = 1;
    if (outcome < 9) /* else cold */
        cache_put_domain(mx->store.cache, domains[i],
                         clock_boot_ms() - (outcome == 5 ? 3000 : 0), set);
}

/* ---- what the administrator wrote ---- */

static void add_word(struct strlist *l, const char *word)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], word) == 0)
            return;
    ck_assert(strlist_add(l, word));
}

static const char *any_suffix(const char *name)
{
    const char *dot = name;

    for (unsigned n = below(3); n > 0 && (dot = strchr(dot + 1, '.')) != NULL;)
        n--;
    return dot != NULL ? dot : name;
}

static void invent_key(struct override *o)
{
    char word[64];
    unsigned d = below(DOMAINS);

    if (one_in(4)) {
        snprintf(word, sizeof(word), "u@%s", domains[d]);
        add_word(&o->keys, word);
    } else if (one_in(6)) {
        snprintf(word, sizeof(word), ".%s", domains[d]);
        add_word(&o->keys, word);
    } else {
        add_word(&o->keys, one_in(60) ? any_suffix(domains[d]) : domains[d]);
    }
}

static void invent_hop(struct override *o)
{
    static const char *const literals[] = {
        "[192.0.2.77]",        "[192.0.2.250]",     "[192.0.2.250]:10025",
        "[IPv6:2001:db8::77]", "[127.0.0.1]:10026", "[203.0.113.7]",
        "[me.test]",           "[me.test]:25",
    };
    char text[64];
    struct hopspec hop;

    if (one_in(4))
        snprintf(text, sizeof(text), "%u %s", below(30), literals[below(8)]);
    else if (one_in(4))
        snprintf(text, sizeof(text), "%u %s", below(30),
                 domains[below(DOMAINS)]);
    else
        snprintf(text, sizeof(text), "%u [%s]%s", below(30),
                 hosts[below(HOSTS)], one_in(4) ? ":26" : "");
    ck_assert_ptr_null(hop_parse(text, &hop));
    ck_assert(override_add_hop(o, &hop));
}

static void invent_entry(unsigned i)
{
    struct override *o = &entry[i];
    char dn[32];
    bool takes_hops;

    override_free(o);
    snprintf(dn, sizeof(dn), "cn=%03u", below(1000));
    for (unsigned k = 0; k < i; k++)
        if (strcmp(entry[k].dn, dn) == 0)
            snprintf(dn, sizeof(dn), "cn=%03u,again=%u", below(1000), i);
    o->dn = strdup(dn);
    o->mode = (enum override_mode)below(OVERRIDE_MODES);
    takes_hops = o->mode <= OVERRIDE_APPEND || o->mode == OVERRIDE_MERGE;
    o->enabled = !one_in(12);
    o->not_before_s = one_in(10) ? now_s + (one_in(2) ? 5000 : -5000) : 0;
    o->not_after_s = one_in(10) ? now_s + (one_in(2) ? 5000 : -4000) : 0;
    if (!one_in(3))
        invent_key(o);
    if (o->keys.n == 0 || one_in(8))
        add_word(&o->exchanges, any_suffix(hosts[below(HOSTS)]));
    for (unsigned n = takes_hops && !(o->mode == OVERRIDE_MERGE && one_in(3))
                          ? 1 + below(3)
                          : 0;
         n > 0; n--)
        invent_hop(o);
    if (o->mode == OVERRIDE_EXCLUDE || one_in(6))
        add_word(&o->excludes, any_suffix(hosts[below(HOSTS)]));
    if (o->excludes.n > 0 && one_in(2))
        add_word(&o->excludes, any_suffix(hosts[below(HOSTS)]));
    if (one_in(4))
        o->transport = strdup("slow");
}

static enum mxhop_local is_local(void *ctx, const char *domain)
{
    (void)ctx;
    return strstr(domain, moved ? "d" : "loc") != NULL ? MXHOP_LOCAL_YES
           : strstr(domain, "err") != NULL             ? MXHOP_LOCAL_ERROR
                                                       : MXHOP_LOCAL_NO;
}

static void invent_names(void)
{
    static const char *const suffixes[] = {"a.net", "b.net", "c.org",
                                           "mx.a.net"};

    for (unsigned i = 0; i < DOMAINS; i++)
        snprintf(domains[i], sizeof(domains[i]), "%s%u.%s.test",
                 i % 8 == 6   ? "loc"
                 : i % 8 == 7 ? "err"
                              : "d",
                 i, i % 2 ? "x" : "y");
    for (unsigned i = 0; i < HOSTS; i++)
        snprintf(hosts[i], sizeof(hosts[i]), "h%u.%s", i, suffixes[i % 4]);
    snprintf(hosts[0], sizeof(hosts[0]), "me.test");
}

static void invent_rules(void)
{
    struct rules *r = &mx->rules;

    r->families = 1 + below(3);
    r->max_hops = 1 + below(5);
    r->rotate_interval_s = 0;
    r->on_null_mx = one_in(2) ? CHOICE_REJECT : CHOICE_PASS;
    r->on_nxdomain = one_in(2) ? CHOICE_REJECT : CHOICE_PASS;
    r->on_dns_failure = one_in(2) ? CHOICE_DEFER : CHOICE_PASS;
    r->on_cold = one_in(2) ? CHOICE_DEFER : CHOICE_PASS;
    r->on_no_host = (enum choice)below(3);
    r->on_bogus = one_in(2) ? CHOICE_REJECT : CHOICE_PASS;
    r->on_override_unusable = one_in(4) ? CHOICE_PASS : CHOICE_DEFER;
    mx->answer = one_in(2) ? ANSWER_LIST : ANSWER_OVERRIDE;
}

static void write_table(unsigned n)
{
    const struct ovtable_write w = {.path = table,
                                    .source = "test",
                                    .shrink_percent = 100,
                                    .force = true,
                                    .now_s = now_s};
    struct ovtable_change change;
    struct mxhop_error err;

    ck_assert_msg(ovtable_replace(&w, entry, n, &change, &err) == MXHOP_OK,
                  "%s", err.text);
}

static unsigned invent_world(void)
{
    const struct mxhop_host host = {.is_local = is_local};
    unsigned n = 1 + below(ENTRIES);
    struct mxhop_error err;

    moved = false;
    for (unsigned i = 0; i < ENTRIES; i++) {
        invent_entry(i);
        if (i >= n)
            entry[i].enabled = false;
    }
    if (one_in(3))
        add_word(&entry[0].keys, "*");
    write_table(n);
    ck_assert_msg(mxhop_open(&mx, config, &host, &err) == MXHOP_OK, "%s",
                  err.text);
    mx->budget_ms = 0; /* nobody is asked: what the cache lacks is cold */
    invent_rules();
    handle_open_cache(mx);
    for (unsigned i = 0; i < HOSTS; i++)
        invent_host(i);
    for (unsigned i = 0; i < DOMAINS; i++)
        invent_domain(i);
    ck_assert(cache_flush(mx->store.cache, 100));
    return n;
}

/* ---- the rules: which entries apply ---- */

struct law {
    const struct override *o;            /* NULL: none */
    const struct override *out[ENTRIES]; /* excludes by exchange beside it */
    size_t n_out;
    bool local;
    unsigned domain;
};

static bool covers(const char *pattern, const char *name)
{
    size_t n = strlen(name), m = strlen(pattern);

    return pattern[0] == '.' ? n > m && strcmp(name + n - m, pattern) == 0
                             : strcmp(name, pattern) == 0;
}

static bool is_listed(const struct strlist *l, const char *pattern)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], pattern) == 0)
            return true;
    return false;
}

static bool excludes(const struct override *o, const char *host)
{
    for (size_t i = 0; i < o->excludes.n; i++)
        if (covers(o->excludes.v[i], host))
            return true;
    return false;
}

static bool active(const struct override *o)
{
    return o->dn != NULL && o->enabled &&
           (o->not_before_s == 0 || o->not_before_s <= now_s) &&
           (o->not_after_s == 0 || o->not_after_s >= now_s);
}

/* Of those under a key, the lowest DN. */
static const struct override *under(const char *key, bool exchange,
                                    bool but_exclude)
{
    const struct override *best = NULL;

    for (unsigned i = 0; i < ENTRIES; i++) {
        const struct override *o = &entry[i];

        if (active(o) && is_listed(exchange ? &o->exchanges : &o->keys, key) &&
            !(but_exclude && o->mode == OVERRIDE_EXCLUDE) &&
            (best == NULL || strcmp(o->dn, best->dn) < 0))
            best = o;
    }
    return best;
}

static bool excludes_some(const struct override *o, const struct mxset *set)
{
    for (size_t i = 0; i < set->n_mx; i++)
        if (excludes(o, set->mx[i].host))
            return true;
    return false;
}

static bool covers_some(const struct override *o, const struct mxset *set)
{
    for (size_t i = 0; i < o->exchanges.n; i++)
        for (size_t j = 0; j < set->n_mx; j++)
            if (covers(o->exchanges.v[i], set->mx[j].host))
                return true;
    return false;
}

static const struct override *by_exchange(const struct mxset *set)
{
    const struct override *best = NULL;
    const char *best_key = NULL;

    for (size_t i = 0; i < set->n_mx; i++) {
        const char *key = set->mx[i].host;

        if (set->mx[i].preference != set->mx[0].preference)
            break;
        for (; key != NULL; key = strchr(key + 1, '.')) {
            const struct override *o = under(key, true, true);

            if (o != NULL && (best == NULL || strlen(key) > strlen(best_key) ||
                              (strlen(key) == strlen(best_key) &&
                               strcmp(key, best_key) < 0))) {
                best = o;
                best_key = key;
            }
        }
    }
    return best;
}

static void add_excludes_by_exchange(struct law *law, const struct mxset *set)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (active(&entry[i]) && entry[i].mode == OVERRIDE_EXCLUDE &&
            covers_some(&entry[i], set) && excludes_some(&entry[i], set))
            law->out[law->n_out++] = &entry[i];
}

static struct law law_of(unsigned domain, bool recipient)
{
    struct law law = {.domain = domain,
                      .local =
                          is_local(NULL, domains[domain]) != MXHOP_LOCAL_NO};
    const struct mxset *set = &dns[domain].set;
    const char *key = domains[domain];
    const struct override *star = NULL, *found;
    char address[64];

    snprintf(address, sizeof(address), "u@%s", domains[domain]);
    law.o = under(recipient ? address : key, false, false);
    while (law.o == NULL && !recipient && !law.local &&
           (key = strchr(key + 1, '.')) != NULL)
        law.o = under(key, false, false);
    if (law.o == NULL && !recipient && !law.local)
        law.o = star = under("*", false, false);
    if (law.o != NULL && law.o->mode == OVERRIDE_EXCLUDE && dns[domain].known &&
        !excludes_some(law.o, set))
        law.o = star = NULL;
    if (recipient || law.local || law.o != star || !dns[domain].known ||
        set->outcome != MX_HOSTS)
        return law;
    found = by_exchange(set);
    add_excludes_by_exchange(&law, set);
    if (found != NULL)
        law.o = found;
    return law;
}

/* ---- the rules: what they allow ---- */

static int host_index(const char *host)
{
    for (int i = 0; i < HOSTS; i++)
        if (strcmp(hosts[i], host) == 0)
            return i;
    return -1;
}

static bool is_out(const struct law *law, const char *host)
{
    if (law->o != NULL && law->o->mode != OVERRIDE_PASS &&
        excludes(law->o, host))
        return true;
    for (size_t i = 0; i < law->n_out; i++)
        if (excludes(law->out[i], host))
            return true;
    return false;
}

static bool any_out(const struct law *law)
{
    return law->n_out > 0 || (law->o != NULL && law->o->excludes.n > 0);
}

static bool in_set(const struct mxset *set, const char *host)
{
    for (size_t i = 0; i < set->n_mx; i++)
        if (strcmp(set->mx[i].host, host) == 0)
            return true;
    return false;
}

static int domain_index(const char *name)
{
    for (int i = 0; i < DOMAINS; i++)
        if (strcmp(domains[i], name) == 0)
            return i;
    return -1;
}

/* A hop that the entry itself names, or that a bare name in it stands for. */
static bool is_its_own(const struct law *law, const struct mxhop_hop *hop)
{
    for (size_t i = 0; i < law->o->n_hops; i++) {
        const struct hopspec *h = &law->o->hops[i];
        int d = h->kind == HOP_MX ? domain_index(h->host) : -1;

        if (h->port != hop->port)
            continue;
        if (h->kind != HOP_MX && strcmp(h->host, hop->host) == 0)
            return true;
        if (d >= 0 && dns[d].known && in_set(&dns[d].set, hop->host) &&
            !is_out(law, hop->host))
            return true;
    }
    return false;
}

static bool takes_set(const struct override *o)
{
    return o == NULL || o->mode == OVERRIDE_PREPEND ||
           o->mode == OVERRIDE_APPEND || o->mode == OVERRIDE_EXCLUDE ||
           o->mode == OVERRIDE_MERGE || o->mode == OVERRIDE_PASS;
}

static bool is_ourselves(const struct mxhop_hop *hop)
{
    int i = host_index(hop->host);

    if (hop->port != 0 && hop->port != 25)
        return false;
    return strcmp(hop->host, "me.test") == 0 ||
           strcmp(hop->host, "192.0.2.250") == 0 || (i >= 0 && fact[i].own);
}

static bool has_none(const struct mxhop_hop *hop)
{
    int i = host_index(hop->host);

    if (!hop->is_address)
        return i >= 0 && fact[i].addresses == NONE;
    return (mx->rules.families &
            FAMILY_BIT(strchr(hop->host, ':') != NULL ? FAMILY_V6
                                                      : FAMILY_V4)) == 0;
}

/* It may be this system: nobody knows. */
static bool is_open(const struct mxhop_hop *hop)
{
    int i = host_index(hop->host);

    return !hop->is_address && (hop->port == 0 || hop->port == 25) && i >= 0 &&
           fact[i].open;
}

static bool is_sure(const struct mxhop_hop *hop)
{
    int i = host_index(hop->host);

    return hop->is_address || (i >= 0 && fact[i].addresses == SURE);
}

/* The best preference at which we are among the domain's hosts. */
static unsigned our_preference(const struct law *law)
{
    const struct mxset *set = &dns[law->domain].set;

    for (size_t i = 0; i < set->n_mx; i++) {
        struct mxhop_hop hop = {.host = set->mx[i].host};

        if (is_ourselves(&hop) && !is_out(law, hop.host))
            return set->mx[i].preference;
    }
    return UINT16_MAX + 1u;
}

static void check_hop(const struct law *law, const struct mxhop_hop *hop,
                      const char *what)
{
    int i = host_index(hop->host);
    bool of_set = strcmp(hop->source, "dns") == 0;

    ck_assert_msg(!is_ourselves(hop), "%s: ourselves: %s", what, hop->host);
    ck_assert_msg(!has_none(hop), "%s: no address: %s", what, hop->host);
    ck_assert_msg(!is_open(hop), "%s: not known: %s", what, hop->host);
    if (!of_set) {
        ck_assert_msg(is_its_own(law, hop), "%s: not its own: %s", what,
                      hop->host);
        return;
    }
    ck_assert_msg(takes_set(law->o) && dns[law->domain].known &&
                      in_set(&dns[law->domain].set, hop->host),
                  "%s: not in the set: %s", what, hop->host);
    ck_assert_msg(!is_out(law, hop->host), "%s: excluded: %s", what, hop->host);
    ck_assert_msg(!fact[i].bogus, "%s: bogus: %s", what, hop->host);
    ck_assert_msg(hop->preference < our_preference(law), "%s: behind us: %s",
                  what, hop->host);
}

/* Own hops and those of the set, in the order that the mode means. */
static void check_order(const struct law *law, const struct mxhop_route *r,
                        const char *what)
{
    for (size_t i = 1; i < r->n_hops; i++) {
        bool was_dns = strcmp(r->hops[i - 1].source, "dns") == 0;
        bool is_dns = strcmp(r->hops[i].source, "dns") == 0;

        ck_assert_msg(!(law->o->mode == OVERRIDE_PREPEND && was_dns && !is_dns),
                      "%s: order", what);
        ck_assert_msg(!(law->o->mode == OVERRIDE_APPEND && !was_dns && is_dns),
                      "%s: order", what);
        ck_assert_msg(was_dns != is_dns ||
                          r->hops[i - 1].preference <= r->hops[i].preference,
                      "%s: order", what);
    }
}

static void check_route(const struct law *law, const struct mxhop_route *r,
                        const char *what)
{
    const struct mxhop_hop *last = &r->hops[r->n_hops - 1];

    ck_assert_msg(r->n_hops > 0 && r->n_hops <= mx->rules.max_hops,
                  "%s: %zu hops", what, r->n_hops);
    for (size_t i = 0; i < r->n_hops; i++)
        check_hop(law, &r->hops[i], what);
    /* Of a set the first hosts are examined, and others may move up. */
    if (!is_sure(last) || strcmp(last->source, "dns") != 0)
        ck_assert_msg(r->stopper == !is_sure(last), "%s: stopper", what);
    ck_assert_msg(law->o == NULL || law->o->mode != OVERRIDE_REJECT, "%s",
                  what);
    ck_assert_msg(law->o == NULL || law->o->mode != OVERRIDE_DEFER, "%s", what);
    ck_assert_msg(law->o == NULL || law->o->mode != OVERRIDE_PASS ||
                      law->n_out > 0,
                  "%s: pass", what);
    if (law->o != NULL && law->o->transport != NULL)
        ck_assert_msg(strcmp(r->transport, law->o->transport) == 0,
                      "%s: transport", what);
    if (law->o != NULL)
        check_order(law, r, what);
}

static struct mxhop_hop hop_of(const struct hopspec *h)
{
    return (struct mxhop_hop){.host = (char *)h->host,
                              .port = h->port,
                              .is_address = h->kind == HOP_ADDRESS};
}

/* A host that the entry names and that may be tried, now or later. */
static bool has_usable_hop(const struct override *o)
{
    for (size_t i = 0; i < o->n_hops; i++) {
        struct mxhop_hop hop = hop_of(&o->hops[i]);

        if (o->hops[i].kind != HOP_MX && !is_ourselves(&hop) && !has_none(&hop))
            return true;
    }
    return false;
}

/* Before or beside a hop is none that has to be waited for. */
static bool nothing_before(const struct override *o, const struct hopspec *h)
{
    for (size_t i = 0; i < o->n_hops; i++) {
        struct mxhop_hop hop = hop_of(&o->hops[i]);

        if (o->hops[i].preference <= h->preference &&
            (o->hops[i].kind == HOP_MX ||
             (is_open(&hop) && !is_ourselves(&hop) &&
              !fact[host_index(hop.host)].failed)))
            return false;
    }
    return true;
}

/* A host that the entry names, and that mail must go to now. */
static bool has_ready_hop(const struct override *o)
{
    for (size_t i = 0; i < o->n_hops; i++) {
        struct mxhop_hop hop = hop_of(&o->hops[i]);

        if (o->hops[i].kind != HOP_MX && !is_ourselves(&hop) &&
            !has_none(&hop) && !is_open(&hop) && nothing_before(o, &o->hops[i]))
            return true;
    }
    return false;
}

/* The set and its hosts: where some host is not, the set is as good as cold. */
static bool is_known(unsigned domain)
{
    const struct mxset *set = &dns[domain].set;

    for (size_t i = 0; i < set->n_mx; i++)
        if (fact[host_index(set->mx[i].host)].addresses == UNKNOWN ||
            fact[host_index(set->mx[i].host)].addresses == MAYBE)
            return false;
    return dns[domain].known;
}

/* Whether the MTA's own routing is within what applies. */
static bool may_pass(const struct law *law)
{
    const struct rules *r = &mx->rules;
    const struct override *o = law->o;

    if (r->on_override_unusable == CHOICE_PASS)
        return o == NULL || o->mode == OVERRIDE_PASS || !has_usable_hop(o);
    if (any_out(law) &&
        (!dns[law->domain].known || dns[law->domain].set.outcome == MX_HOSTS))
        return o != NULL && o->mode == OVERRIDE_PASS && law->n_out == 0 &&
               !(law->local && o->transport != NULL);
    if (o == NULL || o->mode == OVERRIDE_PASS)
        return !(o != NULL && law->local && o->transport != NULL);
    return takes_set(o) && !law->local && !has_usable_hop(o) &&
           (o->n_hops == 0 || !is_known(law->domain));
}

/* Only what DNS says of a domain that the entry leaves as it is. */
static bool may_reject(const struct law *law, const char *status)
{
    if (law->o != NULL && law->o->mode == OVERRIDE_REJECT)
        return strcmp(status, "5.7.1") == 0;
    return law->o != NULL && takes_set(law->o) && law->o->n_hops == 0 &&
           !law->local && dns[law->domain].known &&
           (dns[law->domain].set.outcome != MX_HOSTS || !any_out(law));
}

static void check_against(const struct law *law, const struct mxhop_route *r,
                          const char *what)
{
    switch (r->disposition) {
    case MXHOP_ROUTE:
        check_route(law, r, what);
        break;
    case MXHOP_PASS:
        ck_assert_msg(may_pass(law), "%s: passes: %s", what, r->reason);
        break;
    case MXHOP_REJECT:
        ck_assert_msg(may_reject(law, r->status), "%s: rejects", what);
        break;
    case MXHOP_DEFER:
        break;
    }
    /* Nothing waits that need not. */
    if (law->o != NULL && has_ready_hop(law->o))
        ck_assert_msg(r->disposition == MXHOP_ROUTE, "%s: does not go", what);
    if (law->o != NULL && law->o->mode == OVERRIDE_PASS && law->n_out == 0 &&
        !(law->local && law->o->transport != NULL))
        ck_assert_msg(r->disposition == MXHOP_PASS, "%s: no pass", what);
}

static void check_text(const struct law *law, const struct mxhop_route *r,
                       const char *text, const char *what)
{
    size_t n = text != NULL ? strlen(text) : 0;
    static const char v4[] = ", [224.0.0.0]:1", v6[] = ", [ipv6:ff00::]:1";
    const char *stopper = mx->rules.families == FAMILY_BIT(FAMILY_V6) ? v6 : v4;

    if (law->o == NULL && law->n_out == 0)
        return;
    ck_assert_msg(text != NULL, "%s: no words", what);
    if (r->disposition == MXHOP_PASS)
        ck_assert_msg(text[n - 1] == ':', "%s: %s", what, text);
    if (r->disposition == MXHOP_DEFER)
        ck_assert_msg(strncmp(text, "./retry:4.", 10) == 0, "%s: %s", what,
                      text);
    if (r->disposition != MXHOP_ROUTE)
        return;
    ck_assert_msg(strchr(text, '[') != NULL, "%s: %s", what, text);
    if (r->stopper)
        ck_assert_msg(n > strlen(stopper) &&
                          strcmp(text + n - strlen(stopper), stopper) == 0,
                      "%s: %s", what, text);
    if (law->local)
        ck_assert_msg(text[0] != ':', "%s: %s", what, text);
}

static void check_key(unsigned domain, bool recipient, unsigned flags)
{
    struct law law = law_of(domain, recipient);
    struct mxhop_route *r;
    struct mxhop_error err;
    const char *kept;
    char key[64], what[160], *text;

    if (recipient && law.o == NULL && flags == MXHOP_ADDRESS)
        law = law_of(domain, false);
    snprintf(key, sizeof(key), "%s%s", recipient ? "u@" : "", domains[domain]);
    snprintf(what, sizeof(what), "state %llu, %s (%s, %s)",
             (unsigned long long)state, key, law.o != NULL ? law.o->dn : "none",
             law.o != NULL ? override_mode_name(law.o->mode) : "");
    ck_assert_int_eq(mxhop_lookup(mx, key, flags, &r, &err), MXHOP_OK);
    ck_assert_int_eq(mxhop_render(mx, r, MXHOP_FORMAT_POSTFIX, &text, &err),
                     MXHOP_OK);
    if (law.o != NULL || law.n_out > 0)
        check_against(&law, r, what);
    else
        ck_assert_msg(r->override == NULL, "%s: %s applies", what, r->override);
    check_text(&law, r, text, what);
    for (int i = 0; i < 2 && flags == 0; i++) {
        ck_assert_int_eq(mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &kept, &err),
                         MXHOP_OK);
        ck_assert_msg((kept == NULL) == (text == NULL) &&
                          (kept == NULL || strcmp(kept, text) == 0),
                      "%s: %s, and kept: %s", what, text, kept);
    }
    free(text);
    mxhop_route_free(&r);
}

/* Of a world that is invented now: what failed is to be asked for again then,
   and is as good as cold. */
static uint64_t end_of_world_ms(void)
{
    return clock_boot_ms() + CACHE_FAILURE_FIRST_S * 1000 - 1000;
}

START_TEST(promise)
{
    uint64_t end_ms = end_of_world_ms();

    state = 0x5eed0000u + (unsigned)_i;
    now_s = clock_wall_s();
    invent_world();
    for (unsigned i = 0; i < KEYS && clock_boot_ms() < end_ms; i++) {
        bool recipient = one_in(3);

        check_key(below(DOMAINS), recipient,
                  recipient && one_in(2) ? MXHOP_ADDRESS : 0);
    }
    mxhop_close(&mx);
}
END_TEST

/* ---- policies, beside all that ---- */

static const char *visible_domain(void *ctx, const char *domain)
{
    (void)ctx;
    return strstr(domain, moved ? "3." : "5.") != NULL ? "a table has it"
                                                       : NULL;
}

static void invent_policies(void)
{
    struct store_record records[DOMAINS];
    struct buf bytes[DOMAINS] = {0};
    unsigned char id[FIXED_ID_LEN];
    size_t n = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);

    for (unsigned i = 0; i < DOMAINS; i++) {
        struct store_entry e = {.tried_s = now_s, .has_policy = !one_in(4)};
        char pattern[40];

        if (one_in(3))
            continue;
        if (e.has_policy) {
            e.policy = (struct sts_policy){
                .mode = one_in(4) ? STS_MODE_TESTING : STS_MODE_ENFORCE,
                .id = "1",
                .max_age_s = 1000 + below(5000),
                .fetched_s = now_s - 1000,
            };
            e.policy.expires_s = e.policy.fetched_s + e.policy.max_age_s;
            snprintf(pattern, sizeof(pattern), "%s%s", one_in(2) ? "*" : "x",
                     strchr(hosts[below(HOSTS)], '.'));
            ck_assert(sts_policy_add(&e.policy, pattern));
            ck_assert(sts_policy_add(&e.policy, hosts[below(HOSTS)]));
        }
        store_encode(&bytes[n], &e);
        store_entry_free(&e);
        records[n].domain = domains[i];
        records[n].entry =
            (struct fixed_bytes){(const unsigned char *)bytes[n].data,
                                 bytes[n].len};
        n++;
    }
    ck_assert_int_eq(store_write(fd, records, n, now_s, id), 0);
    for (size_t i = 0; i < n; i++)
        buf_free(&bytes[i]);
    close(fd);
    mx->tls.placed.looked_ms = 0;
}

/* For a handle that was opened without. */
static void use_policies(void)
{
    struct mxhop_error err;

    mx->conf.mta_sts = MTA_STS_ENFORCE;
    mx->rules.on_sts_mismatch = one_in(2) ? CHOICE_DEFER : CHOICE_PASS;
    mx->rules.dane_ta = DANE_TA_LIST;
    mx->answer_auto = one_in(2);
    mx->host.visible_domain = visible_domain;
    mx->host.tls_classes = (unsigned[]){
        0, CLASS_BIT(MXHOP_TLS_STS),
        CLASS_BIT(MXHOP_TLS_STS) | CLASS_BIT(MXHOP_TLS_DANE)}[below(3)];
    mx->host.visible_if = one_in(2) ? MXHOP_VISIBLE_REPORTED : 0;
    mx->tls_wanted = TLS_WANT_STS | TLS_WANT_RPT | TLS_WANT_DANE;
    ck_assert_int_eq(tls_place(mx, &err), MXHOP_OK);
    invent_policies();
    for (unsigned i = 0; i < DOMAINS; i++) {
        struct domain_txt sts = {
            .state = (enum txt_state)below(4), .id = "1", .ttl_s = 3600};

        for (int t = 0; t < TLS_TXTS; t++, sts.state = (enum txt_state)below(4))
            cache_put_txt(mx->store.cache, domains[i], (enum tls_txt)t,
                          clock_boot_ms(), &sts);
    }
    ck_assert(cache_flush(mx->store.cache, 100));
}

/* What was kept under one table, at one time, is not the answer under another.
 */
static void change_something(unsigned n)
{
    if (mx->conf.mta_sts != MTA_STS_OFF && one_in(4))
        invent_policies();
    switch (below(5)) {
    case 0:
        invent_entry(below(n));
        if (one_in(4))
            add_word(&entry[0].keys, "*");
        write_table(n);
        mx->overrides.placed.looked_ms = 0;
        break;
    case 1:
        now_s += below(3000);
        break;
    case 2:
        moved = one_in(2);
        break;
    }
}

START_TEST(kept)
{
    struct mxhop_route *r;
    struct mxhop_error err;
    const char *last;
    uint64_t end_ms = end_of_world_ms();
    char key[64], *text;
    unsigned n;

    state = 0x5eed9000u + (unsigned)_i;
    now_s = clock_wall_s();
    n = invent_world();
    mx->rules.rotate_interval_s = one_in(2) ? 600 : 0;
    if (_i % 2 == 1)
        use_policies();
    for (unsigned i = 0; i < 10 * KEYS && clock_boot_ms() < end_ms; i++) {
        unsigned domain = below(DOMAINS / 8);

        if (one_in(8))
            change_something(n);
        snprintf(key, sizeof(key), "%s%s", one_in(3) ? "u@" : "",
                 domains[domain]);
        ck_assert_int_eq(mxhop_text(mx, key, MXHOP_FORMAT_POSTFIX, &last, &err),
                         MXHOP_OK);
        ck_assert_int_eq(mxhop_lookup(mx, key, 0, &r, &err), MXHOP_OK);
        ck_assert_int_eq(mxhop_render(mx, r, MXHOP_FORMAT_POSTFIX, &text, &err),
                         MXHOP_OK);
        ck_assert_msg((last == NULL) == (text == NULL) &&
                          (last == NULL || strcmp(last, text) == 0),
                      "world %d, step %u, %s: %s, and kept: %s", _i, i, key,
                      text, last);
        free(text);
        mxhop_route_free(&r);
    }
    mxhop_close(&mx);
}
END_TEST

static void set_up(void)
{
    FILE *f;

    strcpy(dir, "/tmp/test_promiseXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/mxhop.cf", dir);
    snprintf(table, sizeof(table), "%s/overrides", dir);
    f = fopen(config, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "tls_store = %s\ncache = memory\noverrides = "
            "ldif:/nowhere\noverride_table = %s\n"
            "own_names = me.test\nown_addresses = 192.0.2.250 2001:db8::250\n"
            "bogus_networks = 203.0.113.0/24 2001:db8:bad::/48\n"
            "ttl_min = 0\ndns_servers = 127.0.0.1:1\nseed = tests\n",
            dir, table);
    fclose(f);
    invent_names();
}

static void tear_down(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int worlds(void)
{
    return getenv("MXHOP_LONG") != NULL ? WORLDS
           : pace_is_slow()             ? WORLDS / 100
                                        : WORLDS / 10;
}

int main(void)
{
    Suite *s = suite_create("promise");
    TCase *tc = tcase_create("universes");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, promise, 0, worlds());
    tcase_add_loop_test(tc, kept, 0, worlds());
    suite_add_tcase(s, tc);
    return suite_run(s);
}
