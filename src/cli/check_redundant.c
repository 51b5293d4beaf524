/*
 * check_redundant - overrides that say what DNS says
 *
 * Such an entry changes nothing today, and holds the domain to it when its MX
 * records change: what is left of a migration. Only `check` asks, for all
 * domains at once and for some seconds: an outage is no reason to keep an
 * administrator waiting.
 */

#include "cli/check.h"
#include "handle/bulk.h"
#include "source/inspect.h"
#include "util/clock.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>

#define REDUNDANT_TIME_MS 10000
#define REDUNDANT_JOBS    64

struct candidate {
    const char *domain;
    const struct override *o;
};

struct comparing {
    struct check *check;
    const struct ovset *set;
    struct candidate *v; /* by domain */
    size_t n, next;
    uint64_t until_ms;
    bool stopped;
};

static int redundant_by_domain(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int d = strcmp(x->domain, y->domain);

    return d != 0 ? d : strcmp(x->o->dn, y->o->dn);
}

/* false: out of memory. */
static bool redundant_collect(const struct ovset *set, struct comparing *c)
{
    size_t cap = 0;

    for (size_t i = 0; i < set->n; i++) {
        const struct override *o = &set->v[i];

        for (size_t k = 0; inspect_may_equal(o) && k < o->keys.n; k++) {
            const char *key = o->keys.v[k];

            if (key[0] == '.' || key[0] == '*' || strchr(key, '@') != NULL)
                continue; /* no domain */
            if (!vec_room(&c->v, c->n, &cap, sizeof(*c->v)))
                return false;
            c->v[c->n++] = (struct candidate){key, o};
        }
    }
    return true;
}

static enum bulk_input redundant_next(void *ctx, const char **key_r)
{
    struct comparing *c = ctx;

    while (c->next > 0 && c->next < c->n &&
           strcmp(c->v[c->next].domain, c->v[c->next - 1].domain) == 0)
        c->next++;
    if (c->next >= c->n)
        return BULK_END;
    *key_r = c->v[c->next++].domain;
    return BULK_KEY;
}

/* Where a domain's candidates begin. */
static size_t redundant_find(const struct comparing *c, const char *domain)
{
    size_t low = 0, high = c->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(c->v[middle].domain, domain) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void redundant_answered(void *ctx, const struct bulk_answer *answer)
{
    struct comparing *c = ctx;

    for (size_t i = redundant_find(c, answer->domain);
         i < c->n && strcmp(c->v[i].domain, answer->domain) == 0; i++) {
        if (!inspect_equals(c->v[i].o, answer->set))
            continue;
        check_say(c->check, CHECK_WARNING, c->v[i].o->dn,
                  ovset_line(c->set, c->v[i].o),
                  "mxhopHop: says for %s what its MX records say; the entry "
                  "can go",
                  answer->domain);
    }
}

/* Keys of overrides are in normal form: none is. */
static void redundant_refused(void *ctx, const char *key, const char *why)
{
    (void)ctx;
    cli_complain("%s: %s", key, why);
}

static bool redundant_tick(void *ctx)
{
    struct comparing *c = ctx;

    c->stopped = clock_boot_ms() > c->until_ms;
    return !c->stopped;
}

static void redundant_compare(struct mxhop *mx, struct comparing *c)
{
    const struct bulk bulk = {.ctx = c,
                              .next = redundant_next,
                              .input_fd = -1,
                              .refused = redundant_refused,
                              .answered = redundant_answered,
                              .tick = redundant_tick,
                              .jobs = REDUNDANT_JOBS,
                              .timeout_ms = REDUNDANT_TIME_MS / 2};
    struct mxhop_error err;
    uint64_t unwritten;

    if (bulk_run(mx, &bulk, &unwritten, &err) != MXHOP_OK)
        cli_complain("%s", err.text);
    if (c->stopped)
        cli_complain("DNS does not answer in time: not every override was "
                     "compared with the MX records");
}

void check_redundant(struct check *check, struct mxhop *mx,
                     const struct ovset *set)
{
    struct comparing c = {.check = check,
                          .set = set,
                          .until_ms = clock_boot_ms() + REDUNDANT_TIME_MS};

    if (!redundant_collect(set, &c)) {
        cli_no_memory();
    } else if (c.n > 0) {
        qsort(c.v, c.n, sizeof(*c.v), redundant_by_domain);
        redundant_compare(mx, &c);
    }
    free(c.v);
}
