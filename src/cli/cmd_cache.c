/*
 * cache - look into the shared cache, or empty it
 *
 * Everything but `flush` only reads, without a lock, so that it can be run
 * beside a busy mail system.
 */

#include "cli/cache_show.h"
#include "cli/cli.h"
#include "model/key.h"
#include "util/clock.h"

#include <time.h>

#define FLUSH_MS       5000 /* how long another writer is waited for */
#define FLUSH_RETRY_MS 50

/* ---- list ---- */

struct listing {
    struct buf line;
    bool json;
};

static bool cmd_cache_list_one(void *ctx, const char *domain,
                               const struct cache_entry_state *state,
                               const struct mxset *set)
{
    struct listing *l = ctx;

    show_line(domain, state, set, l->json, &l->line);
    return cli_put_line(&l->line);
}

static int cmd_cache_list(const struct probe_cache *c, bool json)
{
    struct listing l = {.json = json};

    cache_list(c->view, clock_boot_ms(), cmd_cache_list_one, &l);
    buf_free(&l.line);
    return 0;
}

/* ---- get ---- */

/* false after a complaint. */
static bool cmd_cache_parse_domain(const char *text, struct key *key_r)
{
    key_parse(text, key_r);
    if (key_r->kind != KEY_NONE)
        return true;
    cli_complain("%s: %s", text, key_r->why);
    return false;
}

static int cmd_cache_get_one(const struct probe_cache *c, const char *text,
                             bool json)
{
    struct cache_entry_state st;
    struct mxset set = {0};
    struct buf out = {0};
    struct key key;

    if (!cmd_cache_parse_domain(text, &key))
        return EXIT_NOT_THERE;
    st = cache_get_domain(c->view, key.domain, clock_boot_ms(), &set);
    show_all(c, key.domain, &st, &set, json, &out);
    (void)cli_put_line(&out);
    buf_free(&out);
    mxset_free(&set);
    return st.verdict == CACHE_MISS ? EXIT_NOT_THERE : 0;
}

static int cmd_cache_get(const struct probe_cache *c, bool json, int n,
                         char **domains)
{
    int status = 0;

    for (int i = 0; i < n; i++)
        if (cmd_cache_get_one(c, domains[i], json) != 0)
            status = EXIT_NOT_THERE;
    return status;
}

/* ---- flush ---- */

/* domain NULL: everything. Another process that writes is soon done; one that
   was stopped is not. */
static bool cmd_cache_forget(struct cache *cache, const char *domain,
                             bool *found_r)
{
    const struct timespec pause = {.tv_nsec = FLUSH_RETRY_MS * 1000000L};
    uint64_t until_ms = clock_boot_ms() + FLUSH_MS;

    while (domain != NULL ? !cache_forget(cache, domain, found_r)
                          : !cache_clear(cache)) {
        if (clock_boot_ms() >= until_ms) {
            cli_complain("the cache cannot be written: another process is "
                         "writing, or was stopped while it did, or its file "
                         "system is full; try again");
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Everything, where no domain is named. */
static int cmd_cache_flush(struct cache *cache, int n, char **domains)
{
    int status = EXIT_NOT_THERE;

    if (n == 0)
        return cmd_cache_forget(cache, NULL, NULL) ? 0 : EXIT_DEFER;
    for (int i = 0; i < n; i++) {
        struct key key;
        bool found;

        if (!cmd_cache_parse_domain(domains[i], &key))
            continue;
        if (!cmd_cache_forget(cache, key.domain, &found))
            return EXIT_DEFER;
        if (found)
            status = 0;
        else
            cli_complain("%s: not in the cache", key.domain);
    }
    return status;
}

/* ---- arguments ---- */

enum { CACHE_STATS, CACHE_LIST, CACHE_GET, CACHE_FLUSH };

static const struct cli_action actions[] = {
    [CACHE_STATS] = {"stats", FORMAT_TEXT, "text json", 0, 0, "no arguments"},
    [CACHE_LIST] = {"list", FORMAT_TEXT, "text json", 0, 0, "no arguments"},
    [CACHE_GET] = {"get", FORMAT_TEXT, "text json", 1, INT_MAX, "domains"},
    [CACHE_FLUSH] = {"flush", FORMAT_TEXT, "", 0, INT_MAX, "domains or none"},
    {.usage = "stats, list, get or flush"},
};

int cmd_cache(const char *config, int argc, char **argv)
{
    static const char *const purposes[] = {"describe", "list", "look into",
                                           "flush"};
    struct probe_cache c;
    struct cli_call call;
    struct mxhop *mx;
    int status;
    bool json;

    if (!cli_read_action("cache", actions, argc, argv, &call))
        return EXIT_USAGE;
    mx = cli_open_cache(config, NULL, purposes[call.action], &c, &status);
    if (mx == NULL)
        return status;
    json = call.format == FORMAT_JSON;
    if (call.action == CACHE_STATS)
        status = show_stats(&c, json);
    else if (call.action == CACHE_LIST)
        status = cmd_cache_list(&c, json);
    else if (call.action == CACHE_GET)
        status = cmd_cache_get(&c, json, call.n, call.arguments);
    else
        status = cmd_cache_flush(c.cache, call.n, call.arguments);
    mxhop_close(&mx);
    return status;
}
