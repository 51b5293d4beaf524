/*
 * check_postfix - what main.cf and master.cf make of the table and its entries
 *
 * An override names a transport that Postfix must have, and that must not know
 * another way out; for some domains Postfix does not ask at all; and in other
 * parameters than transport_maps the table answers nothing, or is taken for
 * something else. Without Postfix, or without us in its transport_maps, there
 * is nothing to say.
 *
 * Tables of domains are asked through postmap(1), a process a question: after
 * some seconds the rest is left.
 */

#include "cli/check.h"
#include "util/clock.h"
#include "util/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_TIME_MS 10000

/* ---- parameters that name the table ---- */

/* Where a table may stand. proxymap(8) is told in its parameters which tables
   it may open. */
static const struct {
    const char *prefix, *params, *advice;
} tables[] = {
    {TABLE_TYPE ":", "transport_maps proxy_read_maps proxy_write_maps",
     "a table of type " TABLE_TYPE " belongs in transport_maps alone; take it "
     "out, elsewhere it answers nothing or misroutes"},
    {TLS_TABLE_TYPE ":",
     "smtp_tls_policy_maps tlsproxy_client_policy_maps proxy_read_maps "
     "proxy_write_maps",
     "a table of type " TLS_TABLE_TYPE " belongs in smtp_tls_policy_maps "
     "alone; take it out, elsewhere it answers nothing or misroutes"},
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

/* Behind the next place where the value has the word, and no longer one. */
static const char *postfix_find(const char *value, const char *word)
{
    const char *at = value;

    for (; (at = strstr(at, word)) != NULL; at++)
        if (at == value || !isalnum((unsigned char)at[-1]))
            return at + strlen(word);
    return NULL;
}

/* A port in one of the two forms that stand for a class. */
static bool postfix_names_class(const char *value)
{
    static const char *const ports[] = {"]:025", "]:0025"};

    for (int i = 0; i < 2; i++)
        for (const char *at = value; (at = strstr(at, ports[i])) != NULL;) {
            at += strlen(ports[i]);
            if (!isalnum((unsigned char)*at))
                return true;
        }
    return false;
}

struct services {
    struct check *c;
    const char *place;
    bool classes; /* smtp(8) asks the table that knows classes */
};

/* shown: the parameter, and whose option it is. */
static void postfix_judge(const struct services *m, const char *place,
                          const char *shown, const char *name,
                          const char *value)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (!str_in_list(tables[i].params, name) &&
            postfix_find(value, tables[i].prefix) != NULL)
            check_say(m->c, CHECK_ERROR, place, 0, "%s = %.200s: %s", shown,
                      value, tables[i].advice);
    if (m->classes && strcmp(name, "smtp_tls_policy_maps") != 0 &&
        postfix_names_class(value))
        check_say(m->c, CHECK_WARNING, place, 0,
                  "%s = %.200s: the table " TLS_TABLE_TYPE " takes the ports "
                  ":025 and :0025 for TLS classes, and mail there waits unless "
                  "the host can be verified; write :25",
                  shown, value);
}

static bool postfix_judge_options(void *ctx, const struct master_service *s)
{
    const struct services *m = ctx;
    char shown[200];

    for (size_t i = 0; i < s->n_options; i++) {
        const struct master_option *o = &s->options[i];

        snprintf(shown, sizeof(shown), "%s: -o %s", s->name, o->name);
        postfix_judge(m, m->place, shown, o->name, o->value);
    }
    return true;
}

/* What is worth the question whether Postfix has the parameter. */
static bool postfix_is_suspect(const struct services *m, const char *value)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (postfix_find(value, tables[i].prefix) != NULL)
            return true;
    return m->classes && postfix_names_class(value);
}

void check_main_cf(struct check *c, struct view *v)
{
    const char *policies = postconf_param(&v->postfix, "smtp_tls_policy_maps");
    struct services m = {.c = c, .place = v->postfix.master};

    if (v->postfix.n_params == 0)
        return;
    m.classes =
        policies != NULL && postfix_find(policies, TLS_TABLE_TYPE ":") != NULL;
    for (size_t i = 0; i < v->postfix.n_params; i++) {
        const struct postconf_param *p = &v->postfix.params[i];

        if (p->set && postfix_is_suspect(&m, p->value) &&
            postconf_is_builtin(&v->postfix, p->name))
            postfix_judge(&m, v->postfix.main, p->name, p->name, p->value);
    }
    (void)master_services(v->postfix.master, postfix_judge_options, &m);
}

/* ---- transports ---- */

struct transport {
    const char *name;
    const char *main_fallback; /* smtp_fallback_relay of main.cf, or "" */
    char *fallback;            /* that is in force, to be freed; or NULL */
    bool found;
};

static bool postfix_take_service(void *ctx, const struct master_service *s)
{
    struct transport *t = ctx;
    const char *value = t->main_fallback;

    if (strcmp(s->name, t->name) != 0 || strcmp(s->type, "unix") != 0)
        return true;
    t->found = true;
    if (strcmp(s->command, "smtp") != 0)
        return false;
    for (size_t i = 0; i < s->n_options; i++)
        if (strcmp(s->options[i].name, "smtp_fallback_relay") == 0)
            value = s->options[i].value;
    if (*value != '\0')
        t->fallback = strdup(value);
    return false;
}

/* The n-th transport that a list of hosts may go to without a transport of its
   own: those of the address classes. */
static const char *postfix_class_transport(struct view *v, int n, char out[101])
{
    const char *value = postconf_param(&v->postfix, n == 0 ? "default_transport"
                                                           : "relay_transport");

    snprintf(out, 101, "%.*s", value != NULL ? (int)strcspn(value, ":") : 0,
             value != NULL ? value : "");
    return *out != '\0' ? out : n == 0 ? "smtp" : "relay";
}

static void postfix_transport(struct check *c, struct view *v, const char *name,
                              const char *dn, size_t line)
{
    const char *fallback = postconf_param(&v->postfix, "smtp_fallback_relay");
    struct transport t = {.name = name,
                          .main_fallback = fallback != NULL ? fallback : ""};

    if (*name == '\0' ||
        master_services(v->postfix.master, postfix_take_service, &t) != 0)
        return;
    if (!t.found)
        check_say(
            c, CHECK_ERROR, dn, line,
            "transport %s is not in %s; mail for it waits (an entry names "
            "one in mxhopTransport, mxhop.cf in transport)",
            name, v->postfix.master);
    if (t.fallback != NULL)
        check_say(c, CHECK_ERROR, dn, line,
                  "transport %s has smtp_fallback_relay = %.200s: mail goes "
                  "there when the override's hosts are down; set `-o "
                  "smtp_fallback_relay=' for %s in %s",
                  name, t.fallback, name, v->postfix.master);
    free(t.fallback);
}

static bool postfix_makes_a_list(const struct override *o)
{
    return o->mode != OVERRIDE_PASS && o->mode != OVERRIDE_REJECT &&
           o->mode != OVERRIDE_DEFER;
}

/* Each transport once, at the first entry that goes there: there may be a
   hundred thousand for a handful of transports. */
static void postfix_transports(struct check *c, struct view *v,
                               const struct conf *conf, const struct ovset *set)
{
    struct strlist seen = {0};

    for (size_t i = 0; i < set->n; i++) {
        const struct override *o = &set->v[i];
        const char *named = o->transport != NULL         ? o->transport
                            : conf->transport[0] != '\0' ? conf->transport
                                                         : NULL;

        for (int n = 0; n < (named != NULL ? 1 : 2) && o->enabled; n++) {
            char class[101];
            const char *name =
                named != NULL ? named : postfix_class_transport(v, n, class);
            size_t k = 0;

            if (o->transport == NULL && !postfix_makes_a_list(o))
                continue;
            while (k < seen.n && strcmp(seen.v[k], name) != 0)
                k++;
            if (k < seen.n || !strlist_add(&seen, name))
                continue;
            postfix_transport(c, v, name, o->dn, ovset_line(set, o));
        }
    }
    strlist_free(&seen);
}

/* ---- domains that Postfix does not ask about, or delivers itself ---- */

static void postfix_local(struct check *c, struct view *v,
                          const struct override *o, size_t line,
                          const char *key)
{
    const char *at = strrchr(key, '@');
    const char *domain = at != NULL ? at + 1 : key;

    if (*domain == '.' || *domain == '*' ||
        view_is_local(v, domain) != MXHOP_LOCAL_YES)
        return;
    if (strcmp(v->why, postfix_list_names[LIST_VIRTUAL_ALIAS]) == 0)
        check_say(c, CHECK_ERROR, o->dn, line,
                  "mxhopKey: %s: Postfix never asks about a domain in "
                  "virtual_alias_domains; send its addresses elsewhere with "
                  "virtual_alias_maps",
                  key);
    else if (o->mode == OVERRIDE_PASS && o->transport != NULL)
        check_say(c, CHECK_ERROR, o->dn, line,
                  "mxhopTransport: %s: without hosts a transport cannot be "
                  "used for %s, which is in %s; mail for it waits: name the "
                  "hosts (mxhopMode: replace)",
                  o->transport, key, v->why);
}

static void postfix_locals(struct check *c, struct view *v,
                           const struct ovset *set)
{
    uint64_t until_ms = clock_boot_ms() + LOCAL_TIME_MS;

    for (size_t i = 0; i < set->n; i++) {
        const struct override *o = &set->v[i];

        for (size_t k = 0; o->enabled && k < o->keys.n; k++) {
            if (clock_boot_ms() > until_ms) {
                check_say(c, CHECK_WARNING, v->postfix.dir, 0,
                          "not every domain was looked up in the tables of "
                          "local domains: that would take too long");
                return;
            }
            postfix_local(c, v, o, ovset_line(set, o), o->keys.v[k]);
        }
    }
}

void check_services(struct check *c, struct view *v, const struct conf *conf,
                    const struct ovset *set)
{
    if (!v->taken)
        return;
    postfix_transports(c, v, conf, set);
    if (conf->local_domains[0] == '\0')
        postfix_locals(c, v, set);
}
