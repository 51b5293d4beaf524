/*
 * check_entries - what of an override cannot be used
 *
 * No lookup of an MTA waits for the address of an override's host, so a
 * misspelt name shows only in mail that waits. `refresh` and `check` ask, with
 * the decision that a lookup would make: hosts without an address, hosts that
 * are this machine, names that do not exist, and entries that leave no host at
 * all, because nothing of it can be used or because an exclude takes every MX
 * host; and hops that max_hops leaves no room for, behind others or behind the
 * MX hosts. Windows to come are looked at, past ones are not.
 *
 * They stop at the first name that DNS fails for and after some seconds: the
 * table is written by then, and an outage is no reason to keep an administrator
 * waiting.
 */

#include "cli/check.h"
#include "handle/probe.h"
#include "util/clock.h"
#include "util/hash.h"

#include <string.h>

#define ENTRIES_TIME_MS 10000
#define ENTRIES_FINE    4096 /* lists of hops that are known to be fine */

struct asking {
    struct check *c;
    struct mxhop *mx;
    const struct override *o;
    size_t line;
    uint64_t until_ms;
    bool excluded; /* a host was dropped for that */
    bool stopped;
    uint64_t fine[ENTRIES_FINE]; /* hashes: thousands of entries may go to the
                                    same few hosts */
};

static uint64_t entries_hash(const struct override *o)
{
    uint64_t h = 1;

    for (size_t i = 0; i < o->n_hops; i++) {
        const struct hopspec *hop = &o->hops[i];
        const uint16_t numbers[] = {(uint16_t)hop->kind, hop->port};

        h = hash_bytes(h, numbers, sizeof(numbers));
        h = hash_bytes(h, hop->host, strlen(hop->host));
    }
    return h;
}

static void entries_ignore(void *ctx, const struct probe_dropped *d)
{
    struct asking *a = ctx;

    a->excluded = a->excluded || d->why == PROBE_EXCLUDED;
}

static void entries_hear(void *ctx, const struct probe_dropped *d)
{
    struct asking *a = ctx;

    if (d->by_dns && d->why == PROBE_NO_ADDRESS)
        return; /* a host that a bare name stands for, and not the only one */
    check_say(a->c, CHECK_WARNING, a->o->dn, a->line, "mxhopHop: %s %s",
              d->host,
              d->why == PROBE_NO_ADDRESS ? "has no address; is the name right?"
              : d->why == PROBE_SELF
                  ? "is this machine, and is left out: mail would loop"
                  : d->text);
}

static bool entries_ask(struct asking *a, const char *domain,
                        void (*fn)(void *ctx, const struct probe_dropped *d),
                        struct probe_outcome *r)
{
    if (!probe_override(a->mx, a->o, domain, r, fn, a)) {
        cli_no_memory();
        a->stopped = true;
    }
    if (!r->known || clock_boot_ms() > a->until_ms)
        a->stopped = true;
    return r->known;
}

static const char *entries_then(const struct asking *a)
{
    return probe_conf(a->mx)->on_override_unusable == CHOICE_DEFER
               ? "mail for it waits"
               : "mail for it goes as without the entry "
                 "(on_override_unusable = pass)";
}

static void entries_hops(struct asking *a)
{
    const unsigned max_hops = probe_conf(a->mx)->max_hops;
    const struct override *o = a->o;
    const unsigned warnings = a->c->warnings;
    uint64_t hash = entries_hash(o), *fine = &a->fine[hash % ENTRIES_FINE];
    struct probe_outcome r;

    if (*fine == hash)
        return;
    if (o->n_hops > max_hops)
        check_say(a->c, CHECK_WARNING, o->dn, a->line,
                  "mxhopHop: %zu hops, but max_hops = %u: the last ones are "
                  "not tried",
                  o->n_hops, max_hops);
    if (!entries_ask(a, NULL, entries_hear, &r))
        return;
    if (a->c->warnings == warnings)
        *fine = hash;
    else if (r.kept == 0 && o->mode == OVERRIDE_REPLACE)
        check_say(a->c, CHECK_ERROR, o->dn, a->line,
                  "mxhopHop: none of its hosts can be used; %s",
                  entries_then(a));
}

/* MX hosts may stand before the entry's own hops. */
static bool entries_may_be_cut(const struct asking *a)
{
    return (a->o->mode == OVERRIDE_APPEND || a->o->mode == OVERRIDE_MERGE) &&
           a->o->n_hops > 0 && a->o->n_hops <= probe_conf(a->mx)->max_hops;
}

/* Of keys that are a domain, or somebody in one, the MX set can be had. */
static void entries_domains(struct asking *a)
{
    const struct override *o = a->o;
    bool excludes = o->excludes.n > 0, cuts = entries_may_be_cut(a);

    for (size_t i = 0; i < o->keys.n && !a->stopped && (excludes || cuts);
         i++) {
        const char *key = o->keys.v[i], *at = strrchr(key, '@');
        const char *domain = at != NULL ? at + 1 : key;
        struct probe_outcome r;

        if (*domain == '.' || *domain == '*')
            continue;
        a->excluded = false;
        if (!entries_ask(a, domain, entries_ignore, &r))
            continue;
        if (r.kept == 0 && r.has_hosts && a->excluded)
            check_say(a->c, CHECK_ERROR, o->dn, a->line,
                      "mxhopExclude: leaves no host of %s; %s", domain,
                      entries_then(a));
        if (!cuts || r.cut == 0)
            continue;
        check_say(
            a->c, CHECK_WARNING, o->dn, a->line,
            "mxhopHop: behind the MX hosts of %s there is no room for %zu "
            "of %zu hops: max_hops = %u; they are not tried",
            domain, r.cut, o->n_hops, probe_conf(a->mx)->max_hops);
        cuts = false; /* once an entry */
    }
}

void check_entries(struct check *c, struct mxhop *mx, const struct ovset *set)
{
    struct asking a = {
        .c = c, .mx = mx, .until_ms = clock_boot_ms() + ENTRIES_TIME_MS};
    int64_t now_s = clock_wall_s();

    for (size_t i = 0; i < set->n && !a.stopped; i++) {
        const struct override *o = &set->v[i];

        if (!o->enabled || (o->not_after_s != 0 && o->not_after_s < now_s))
            continue;
        a.o = o;
        a.line = ovset_line(set, o);
        if (o->n_hops > 0)
            entries_hops(&a);
        if (!a.stopped)
            entries_domains(&a);
    }
    if (a.stopped)
        check_say(c, CHECK_WARNING, "DNS", 0,
                  "fails, or does not answer in time: not every host of an "
                  "override was looked at");
}
