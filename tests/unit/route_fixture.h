/* MX sets, overrides and rules in short words, for the tests of src/route. */

#ifndef UNIT_ROUTE_FIXTURE_H
#define UNIT_ROUTE_FIXTURE_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "route/decide.h"
#include "util/buf.h"

#define BOTH (FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6))
#define DN   "cn=test,dc=example"

static struct rules fixture_rules(void)
{
    return (struct rules){
        .on_null_mx = CHOICE_REJECT,
        .on_bogus = CHOICE_REJECT,
        .families = BOTH,
        .max_hops = 3,
        .rotate_interval_s = 600,
        .seed = 7,
        .transport = "",
        .single_domain_sites = ".google.com .googlemail.com",
        .own_names = "me.test, mail.me.test",
    };
}

static void fixture_networks(struct networks *n, const char *list)
{
    const char *bad;
    size_t len;

    networks_free(n);
    ck_assert_ptr_null(networks_parse(list, n, &bad, &len));
}

/* "192.0.2.1 2001:db8::1", "none", "failed", "unknown", "secure 192.0.2.1";
   a family that is not named has none where the other has some. */
static struct hostaddrs fixture_addrs(const char *text)
{
    struct hostaddrs a = {0};
    char copy[512], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *w = strtok_r(copy, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save)) {
        int state = strcmp(w, "none") == 0     ? ADDR_NONE
                    : strcmp(w, "failed") == 0 ? ADDR_FAILED
                                               : ADDR_UNKNOWN;

        if (strcmp(w, "secure") == 0) {
            a.secure = true;
            continue;
        }
        if (strcmp(w, "unknown") == 0 || state != ADDR_UNKNOWN) {
            a.state[FAMILY_V4] = a.state[FAMILY_V6] = (uint8_t)state;
            continue;
        }
        if (a.state[FAMILY_V4] == ADDR_UNKNOWN)
            a.state[FAMILY_V4] = a.state[FAMILY_V6] = ADDR_NONE;
        if (strchr(w, ':') != NULL) {
            a.state[FAMILY_V6] = ADDR_SOME;
            ck_assert_int_eq(inet_pton(AF_INET6, w, &a.v6[a.n[FAMILY_V6]++]),
                             1);
        } else {
            a.state[FAMILY_V4] = ADDR_SOME;
            ck_assert_int_eq(inet_pton(AF_INET, w, &a.v4[a.n[FAMILY_V4]++]), 1);
        }
    }
    return a;
}

static void fixture_mx(struct mxset *set, uint16_t preference, const char *host,
                       const char *addrs)
{
    ck_assert(mxset_add(set, host, preference));
    set->mx[set->n_mx - 1].addrs = fixture_addrs(addrs);
    set->outcome = MX_HOSTS;
}

/* "10 mx1, 20 mx2=192.0.2.1 2001:db8::2, 30 mx3=failed": address unknown where
   none is given. */
static struct mxset fixture_set(const char *text)
{
    struct mxset set = {0};
    char copy[1024], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *w = strtok_r(copy, ",", &save); w != NULL;
         w = strtok_r(NULL, ",", &save)) {
        char *host, *addrs = strchr(w, '=');
        long preference = strtol(w, &host, 10);

        if (addrs != NULL)
            *addrs++ = '\0';
        fixture_mx(&set, (uint16_t)preference, host + 1,
                   addrs != NULL ? addrs : "unknown");
    }
    mxset_sort(&set);
    return set;
}

static struct override fixture_override(enum override_mode mode,
                                        const char *hops)
{
    struct override o = {.mode = mode, .enabled = true};
    char copy[512], *save = NULL;

    o.dn = strdup(DN);
    snprintf(copy, sizeof(copy), "%s", hops);
    for (char *w = strtok_r(copy, ",", &save); w != NULL;
         w = strtok_r(NULL, ",", &save)) {
        struct hopspec hop;

        ck_assert_ptr_null(hop_parse(w + strspn(w, " "), &hop));
        ck_assert(override_add_hop(&o, &hop));
    }
    return o;
}

/* "10 mx1.test:25 20 mx2.test!" of the candidates from..to; `!` the MTA looks
   the MX up, `<name` spliced from. */
static char *fixture_text(const struct candidate *c, size_t n)
{
    struct buf out = {0};

    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, "%s%u %s", i > 0 ? " " : "", c[i].preference,
                   c[i].host);
        if (c[i].port != 0)
            buf_printf(&out, ":%u", c[i].port);
        if (c[i].is_mx)
            buf_puts(&out, "!");
        if (c[i].via != NULL)
            buf_printf(&out, "<%s", c[i].via);
    }
    return buf_detach(&out);
}

static enum drop fixture_drop(const struct candidate *c, size_t n,
                              const char *host)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(c[i].host, host) == 0)
            return c[i].drop;
    ck_abort_msg("no candidate %s", host);
    return DROP_NO;
}

#define assert_text(list, count, want)           \
    do {                                         \
        char *text_ = fixture_text(list, count); \
        ck_assert_str_eq(text_, want);           \
        free(text_);                             \
    } while (0)

static inline int fixture_run(Suite *suite)
{
    /* Not every program uses every word. */
    (void)fixture_rules, (void)fixture_networks, (void)fixture_set;
    (void)fixture_override, (void)fixture_text, (void)fixture_drop;
    return suite_run(suite);
}

#endif
