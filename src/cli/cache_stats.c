/*
 * cache_stats - the shared cache as a whole, and the name servers
 *
 * One table of numbers, printed as text or as JSON, then a line a name server:
 * what the process that saw it last says of it.
 */

#include "cli/cache_show.h"
#include "util/clock.h"
#include "util/json.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

struct number {
    const char *name, *text;
    uint64_t value;
};

static void cache_stats_add_owner(const char *dir, struct buf *out)
{
    const struct passwd *pw;
    struct stat st;

    if (stat(dir, &st) != 0) {
        buf_putc(out, '?');
        return;
    }
    pw = getpwuid(st.st_uid);
    if (pw != NULL)
        buf_puts(out, pw->pw_name);
    else
        buf_printf(out, "%lu", (unsigned long)st.st_uid);
}

static void cache_stats_add_text(const char *dir, const struct number *numbers,
                                 size_t n, struct buf *out)
{
    buf_printf(out, "%-13s %s\n%-13s ", "directory", dir, "owner");
    cache_stats_add_owner(dir, out);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "\n%-13s %llu", numbers[i].text,
                   (unsigned long long)numbers[i].value);
}

static void cache_stats_add_json(const char *dir, const struct number *numbers,
                                 size_t n, struct buf *out)
{
    struct buf owner = {0};

    cache_stats_add_owner(dir, &owner);
    buf_putc(out, '{');
    json_add("directory", dir, out);
    json_add("owner", owner.failed ? "" : owner.data, out);
    buf_free(&owner);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, ",\"%s\":%llu", numbers[i].name,
                   (unsigned long long)numbers[i].value);
    buf_putc(out, '}');
}

struct servers {
    struct buf line;
    uint64_t now_ms;
    bool json;
};

static unsigned long long cache_stats_ago_s(const struct servers *s,
                                            uint64_t at_ms)
{
    return at_ms < s->now_ms ? (s->now_ms - at_ms) / 1000 : 0;
}

static bool cache_stats_add_server(void *ctx, const struct cache_server *server)
{
    struct servers *s = ctx;
    const char *state = probe_server_state(server);
    char address[sizeof(server->address) + 1] = "";

    memcpy(address, server->address, sizeof(server->address));
    if (s->json) {
        buf_putc(&s->line, '{');
        json_add("server", address, &s->line);
        buf_printf(&s->line,
                   ",\"state\":\"%s\",\"since\":%llu,\"opened\":%u,"
                   "\"pid\":%u,\"reported\":%llu}",
                   state, cache_stats_ago_s(s, server->since_ms),
                   server->opened, server->pid,
                   cache_stats_ago_s(s, server->reported_ms));
    } else {
        buf_puts(&s->line, "name server   ");
        buf_puts_printable(&s->line, address);
        buf_printf(&s->line,
                   "  %s for %llu s, opened %u times"
                   "  (process %u, %llu s ago)",
                   state, cache_stats_ago_s(s, server->since_ms),
                   server->opened, server->pid,
                   cache_stats_ago_s(s, server->reported_ms));
    }
    return cli_put_line(&s->line);
}

int show_stats(const struct probe_cache *c, bool json)
{
    struct servers servers = {.now_ms = clock_boot_ms(), .json = json};
    struct cache_stats st = {0};

    cache_stats(c->view, servers.now_ms, &st);
    const struct number numbers[] = {
        {"size", "size", st.live.size_bytes},
        {"file", "file", st.live.file_bytes},
        {"used", "used", st.live.used_bytes},
        {"domains", "domains", st.domains},
        {"fresh", "  fresh", st.fresh},
        {"stale", "  stale", st.stale},
        {"failing", "  failing", st.failing},
        {"negative", "  negative", st.negative},
        {"once", "  asked once", st.once},
        {"sites", "MX sets", st.sites},
        {"routes", "routes", st.routes},
        {"hosts", "hosts", st.hosts},
    };
    (json ? cache_stats_add_json : cache_stats_add_text)(
        c->dir, numbers, sizeof(numbers) / sizeof(numbers[0]), &servers.line);
    (void)cli_put_line(&servers.line);
    cache_list_servers(c->view, cache_stats_add_server, &servers);
    buf_free(&servers.line);
    return 0;
}
