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
#include "model/key.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_TIME_MS 10000

/* ---- parameters that name the table ---- */

static bool postfix_names_us(const char *value)
{
    char **word = postconf_words(value);
    bool found = false;
    size_t len;

    for (size_t i = 0; word != NULL && word[i] != NULL && !found; i++)
        found = word_our_table(word[i], &len) != NULL;
    free(word);
    return found;
}

static void postfix_judge(struct check *c, const char *place, const char *name,
                          const char *value)
{
    /* proxymap(8) is told there which tables it may open. */
    if (str_in_list("transport_maps proxy_read_maps proxy_write_maps", name) ||
        !postfix_names_us(value))
        return;
    check_say(c, CHECK_ERROR, place, 0,
              "%s = %.200s: a table of type mxhop belongs in transport_maps "
              "alone; take it out, elsewhere it answers nothing or misroutes",
              name, value);
}

struct services {
    struct check *c;
    const char *place;
};

static bool postfix_judge_options(void *ctx, const struct master_service *s)
{
    struct services *m = ctx;
    char name[200];

    for (size_t i = 0; i < s->n_options; i++) {
        snprintf(name, sizeof(name), "%s: -o %s", s->name, s->options[i].name);
        if (strcmp(s->options[i].name, "transport_maps") != 0)
            postfix_judge(m->c, m->place, name, s->options[i].value);
    }
    return true;
}

void check_main_cf(struct check *c, struct view *v)
{
    struct services m = {c, v->postfix.master};
    struct buf place = {0};

    if (v->postfix.n_params == 0)
        return;
    buf_printf(&place, "%s/main.cf", v->postfix.dir);
    for (size_t i = 0; i < v->postfix.n_params && !place.failed; i++) {
        const struct postconf_param *p = &v->postfix.params[i];

        if (p->set && postfix_names_us(p->value) &&
            postconf_is_builtin(&v->postfix, p->name))
            postfix_judge(c, place.data, p->name, p->value);
    }
    buf_free(&place);
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
