/*
 * tls - look into the TLS store, or tell the service that fills it what to do
 *
 * `list' and `get' read the file, as lookups do. The file has one writer,
 * mxhop-tls: `fetch' and `forget' send it a datagram, which it takes from root
 * and from its own user, and wait until the store shows what came of it.
 */

#include "cli/cli.h"
#include "model/key.h"
#include "policy/store.h"
#include "policy/want.h"
#include "util/clock.h"
#include "util/json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS      75000u /* the service writes within a minute */
#define WAIT_STEP_MS 50

/* ---- showing ---- */

static const char *cmd_tls_state(const struct sts_policy *p)
{
    int64_t now_s = clock_wall_s();

    return sts_in_force(p, now_s) ? "in force"
           : now_s < p->expires_s
               ? "not in force: the clock is before the time "
                 "when it was fetched"
               : "ended";
}

static void cmd_tls_json(const char *domain, const struct store_entry *e,
                         struct buf *out)
{
    const struct sts_policy *p = &e->policy;
    char a[CLOCK_TEXT_MAX], b[CLOCK_TEXT_MAX];

    buf_putc(out, '{');
    json_add("domain", domain, out);
    buf_puts(out, ",\"policy\":");
    if (e->has_policy) {
        buf_printf(out,
                   "{\"mode\":\"%s\",\"id\":\"%s\",\"in_force\":%s,"
                   "\"max_age\":%u,\"fetched\":\"%s\",\"expires\":\"%s\"",
                   sts_mode_word(p->mode), p->id,
                   sts_in_force(p, clock_wall_s()) ? "true" : "false",
                   p->max_age_s, clock_text(p->fetched_s, a),
                   clock_text(p->expires_s, b));
        json_add_list("mx", p->mx, p->n_mx, out);
        buf_putc(out, '}');
    } else {
        buf_puts(out, "null");
    }
    buf_printf(out, ",\"last_try\":\"%s\",\"next_try\":\"%s\",\"failures\":%u",
               clock_text(e->tried_s, a), clock_text(e->next_s, b),
               e->failures);
    json_add("error", e->error, out);
    buf_putc(out, '}');
}

static void cmd_tls_line(const char *domain, const struct store_entry *e,
                         struct buf *out)
{
    const struct sts_policy *p = &e->policy;
    char text[CLOCK_TEXT_MAX];

    if (e->has_policy)
        buf_printf(out, "%s %s, id %s, until %s%s", domain,
                   sts_mode_word(p->mode), p->id,
                   clock_text(p->expires_s, text),
                   sts_in_force(p, clock_wall_s()) ? "" : ", not in force");
    else
        buf_printf(out, "%s without a policy", domain);
    if (e->error[0] != '\0')
        buf_printf(out, ": %s", e->error);
}

static void cmd_tls_all(const char *domain, const struct store_entry *e,
                        struct buf *out)
{
    const struct sts_policy *p = &e->policy;
    char a[CLOCK_TEXT_MAX], b[CLOCK_TEXT_MAX];

    buf_printf(out, "%s\n", domain);
    if (e->has_policy) {
        buf_printf(out,
                   "  policy %s, mode %s, max_age %us\n  fetched %s, ends %s: "
                   "%s\n",
                   p->id, sts_mode_word(p->mode), p->max_age_s,
                   clock_text(p->fetched_s, a), clock_text(p->expires_s, b),
                   cmd_tls_state(p));
        for (size_t i = 0; i < p->n_mx; i++)
            buf_printf(out, "  mx %s\n", p->mx[i]);
    } else {
        buf_puts(out, "  no policy\n");
    }
    buf_printf(out, "  last try %s", clock_text(e->tried_s, a));
    if (e->error[0] != '\0')
        buf_printf(out, ", failed (%u in a row): %s", e->failures, e->error);
    buf_printf(out, "\n  next try %s", clock_text(e->next_s, b));
}

/* ---- list, get ---- */

struct listing {
    struct buf line;
    bool json;
};

static bool cmd_tls_list_one(void *ctx, const char *domain,
                             struct store_entry *e)
{
    struct listing *l = ctx;

    if (l->json)
        cmd_tls_json(domain, e, &l->line);
    else
        cmd_tls_line(domain, e, &l->line);
    return cli_put_line(&l->line);
}

static int cmd_tls_damaged(const struct conf *conf, enum fixed_found found)
{
    if (found == FIXED_MEMORY)
        return cli_no_memory();
    cli_complain("%s/" STORE_FILE ": is damaged; remove it, and mxhop-tls "
                 "makes a new one",
                 conf->tls_store);
    return EX_IOERR;
}

static int cmd_tls_list(const struct conf *conf, struct store *s, bool json)
{
    struct listing l = {.json = json};
    enum fixed_found found = store_walk(s, cmd_tls_list_one, &l);

    buf_free(&l.line);
    return found == FIXED_DAMAGED || found == FIXED_MEMORY
               ? cmd_tls_damaged(conf, found)
               : 0;
}

static int cmd_tls_get(const struct conf *conf, struct store *s,
                       const char *domain, bool json)
{
    struct store_entry e;
    struct buf out = {0};
    enum fixed_found found = store_get(s, domain, &e);

    if (found == FIXED_ABSENT) {
        cli_complain("%s: not in the TLS store", domain);
        return EXIT_NOT_THERE;
    }
    if (found != FIXED_FOUND)
        return cmd_tls_damaged(conf, found);
    if (json)
        cmd_tls_json(domain, &e, &out);
    else
        cmd_tls_all(domain, &e, &out);
    (void)cli_put_line(&out);
    buf_free(&out);
    store_entry_free(&e);
    return 0;
}

/* ---- fetch, forget ---- */

/* Whether the service would take a datagram of ours; false after a complaint.
 */
static bool cmd_tls_may_tell(const struct conf *conf)
{
    struct stat st;

    if (geteuid() == 0 ||
        (stat(conf->tls_store, &st) == 0 && st.st_uid == geteuid()))
        return true;
    cli_complain("mxhop-tls takes orders from root and from its own user only");
    return false;
}

/* Whether the store has what was asked for: a domain that was tried since then,
   or that is gone, in a file that was not there then. */
static bool cmd_tls_is_done(const struct conf *conf, const char *domain,
                            bool forget, const unsigned char *old,
                            int64_t since_s, struct store_entry *e_r)
{
    enum fixed_found found = FIXED_DAMAGED;
    struct store *s;

    *e_r = (struct store_entry){0};
    if (store_open(&s, conf->tls_store, false, NULL, NULL) != MXHOP_OK)
        return false;
    if (memcmp(store_id(s), old, FIXED_ID_LEN) != 0 || forget)
        found = store_get(s, domain, e_r);
    store_close(&s);
    if (forget)
        return found == FIXED_ABSENT;
    return found == FIXED_FOUND && e_r->tried_s >= since_s;
}

static int cmd_tls_told(const char *domain, bool forget,
                        const struct store_entry *e)
{
    struct buf line = {0};
    int status = 0;

    if (forget)
        return 0;
    if (!e->has_policy || e->error[0] != '\0')
        status = EXIT_DEFER;
    cmd_tls_line(domain, e, &line);
    (void)cli_put_line(&line);
    buf_free(&line);
    return status;
}

static int cmd_tls_tell(const struct conf *conf, const char *domain,
                        bool forget)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    uint64_t until_ms = clock_boot_ms() + WAIT_MS;
    unsigned char old[FIXED_ID_LEN] = {0};
    int64_t since_s = clock_wall_s();
    int fd = want_open(), status;
    struct store_entry e;
    struct store *s;
    bool sent;

    if (store_open(&s, conf->tls_store, false, NULL, NULL) == MXHOP_OK)
        memcpy(old, store_id(s), sizeof(old));
    store_close(&s);
    do {
        sent = want_send(fd, conf->tls_store, domain,
                         forget ? WANT_FORGET : WANT_FETCH);
    } while (!sent && errno == EAGAIN && clock_boot_ms() < until_ms);
    if (fd >= 0)
        close(fd);
    if (!sent) {
        cli_complain("%s: mxhop-tls does not listen (%s); start it, or run "
                     "`mxhop-tls --once DOMAIN...' to fetch policies",
                     domain, strerror(errno));
        return EX_UNAVAILABLE;
    }
    while (!cmd_tls_is_done(conf, domain, forget, old, since_s, &e)) {
        store_entry_free(&e);
        if (clock_boot_ms() >= until_ms) {
            cli_complain("%s: mxhop-tls was told, but the store does not show "
                         "it after %u s; its log may say why",
                         domain, WAIT_MS / 1000);
            return EXIT_DEFER;
        }
        nanosleep(&step, NULL);
    }
    status = cmd_tls_told(domain, forget, &e);
    store_entry_free(&e);
    return status;
}

/* ---- arguments ---- */

enum { TLS_LIST, TLS_GET, TLS_FETCH, TLS_FORGET };

static const struct cli_action actions[] = {
    [TLS_LIST] = {"list", FORMAT_TEXT, "text json", 0, 0, "no arguments"},
    [TLS_GET] = {"get", FORMAT_TEXT, "text json", 1, INT_MAX, "domains"},
    [TLS_FETCH] = {"fetch", FORMAT_TEXT, "", 1, INT_MAX, "domains"},
    [TLS_FORGET] = {"forget", FORMAT_TEXT, "", 1, INT_MAX, "domains"},
    {.usage = "list, get, fetch or forget"},
};

static int cmd_tls_domain(const struct cli_call *call, const struct conf *conf,
                          struct store *s, const char *text)
{
    char domain[NAME_MAX_TEXT + 1];
    const char *wrong = name_normalise(text, domain);

    if (wrong != NULL) {
        cli_complain("%s: %s", text, wrong);
        return EXIT_NOT_THERE;
    }
    return call->action == TLS_GET
               ? cmd_tls_get(conf, s, domain, call->format == FORMAT_JSON)
               : cmd_tls_tell(conf, domain, call->action == TLS_FORGET);
}

static int cmd_tls_run(const struct cli_call *call, const struct conf *conf)
{
    struct store *s = NULL;
    struct mxhop_error err;
    int status = 0, one;

    if (call->action == TLS_LIST || call->action == TLS_GET) {
        if (store_open(&s, conf->tls_store, false, NULL, &err) != MXHOP_OK)
            return cli_fail(&err);
    } else if (!cmd_tls_may_tell(conf)) {
        return EX_NOPERM;
    }
    if (call->action == TLS_LIST)
        status = cmd_tls_list(conf, s, call->format == FORMAT_JSON);
    for (int i = 0; i < call->n; i++) {
        one = cmd_tls_domain(call, conf, s, call->arguments[i]);
        if (one != 0)
            status = one;
    }
    store_close(&s);
    return status;
}

int cmd_tls(const char *config, int argc, char **argv)
{
    struct mxhop_error err;
    struct cli_call call;
    struct conf conf;
    int status;

    if (!cli_read_action("tls", actions, argc, argv, &call))
        return EXIT_USAGE;
    if (conf_load(&conf, config, NULL, NULL, &err) != MXHOP_OK)
        return cli_fail(&err);
    status = cmd_tls_run(&call, &conf);
    conf_free(&conf);
    return status;
}
