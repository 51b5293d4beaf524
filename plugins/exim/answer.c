/*
 * answer - handles of this process, and the last answer
 *
 * Exim forks, and executes itself anew, for nearly everything it does; most of
 * its processes never route anything. So a handle is opened when it is first
 * needed, once for each configuration file, and then kept until the process
 * ends.
 *
 * A handle is used only by the process that opened it, as the same user. After
 * a fork the child opens its own and leaves the inherited one alone: closing it
 * could free what is the parent's. After a change of user (a daemon that gives
 * up root) the old one is closed: the cache was chosen for the user it was
 * opened as.
 *
 * A broken configuration is read again at every call: mail goes on as soon as
 * it is mended. The same goes for one that has changed since; a process of Exim
 * seldom lives to see that, but one that delivers a big queue may.
 *
 * No thread is started: the caller runs the DNS itself, for lookup_budget.
 *
 * Routing is done by root, unless deliver_drop_privilege is set. So the cache
 * is root's where the configuration does not say whose it is, and processes of
 * other users (recipients verified in an SMTP session) have one of their own
 * in memory.
 *
 * Warnings of the library go to syslog, facility mail: the panic log is for
 * what needs somebody to come at night.
 */

#include "exim/answer.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_KEPT_MS 1000

struct handle {
    struct handle *next;
    struct mxhop *mx;
    pid_t pid;
    uid_t euid;
    char config[]; /* as it was asked for */
};

/* For the one thread that Exim has. */
static struct handle *handles;

static struct {
    struct mxhop *mx; /* NULL: nothing is kept */
    struct mxhop_route *route;
    unsigned flags;
    long long at_ms;
} last;

static void forget_last(void)
{
    last.mx = NULL;
    mxhop_route_free(&last.route);
}

static void log_line(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    if (level == MXHOP_LOG_WARN)
        syslog(LOG_MAIL | LOG_WARNING, "mxhop: %s", line);
}

static enum mxhop_status open_handle(struct handle *h, struct mxhop_error *err)
{
    const struct mxhop_host host = {
        .flags = MXHOP_THIS_MACHINE,
        .log = log_line,
        .cache_owner = "root",
    };

    h->euid = geteuid();
    return mxhop_open(&h->mx, h->config, &host, err);
}

static void close_handle(struct handle *h)
{
    forget_last();
    mxhop_close(&h->mx);
}

/* What a parent process opened stays in the list, and is never touched. */
static struct handle *find(const char *config)
{
    struct handle *h = handles;
    pid_t pid = getpid();

    while (h != NULL && (h->pid != pid || strcmp(h->config, config) != 0))
        h = h->next;
    return h;
}

static struct handle *add(const char *config)
{
    size_t n = strlen(config) + 1;
    struct handle *h = calloc(1, sizeof(*h) + n);

    if (h == NULL)
        return NULL;
    memcpy(h->config, config, n);
    h->pid = getpid();
    h->next = handles;
    handles = h;
    return h;
}

struct mxhop *answer_handle(const struct question *q, struct mxhop_error *err)
{
    struct handle *h = find(q->config);

    if (h == NULL)
        h = add(q->config);
    if (h == NULL) {
        err->code = MXHOP_ERR_MEMORY;
        strcpy(err->text, "out of memory");
        return NULL;
    }
    if (h->mx != NULL && (h->euid != geteuid() || mxhop_outdated(h->mx) != 0))
        close_handle(h);
    if (h->mx == NULL && open_handle(h, err) != MXHOP_OK)
        return NULL;
    return h->mx;
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_last(const struct mxhop *mx, const struct question *q)
{
    return last.mx == mx && last.flags == q->flags &&
           strcmp(last.route->key, q->key) == 0 &&
           now_ms() - last.at_ms < ANSWER_KEPT_MS;
}

const struct mxhop_route *answer_route(const struct question *q,
                                       struct mxhop **mx_r,
                                       struct mxhop_error *err)
{
    *mx_r = answer_handle(q, err);
    if (*mx_r == NULL)
        return NULL;
    if (is_last(*mx_r, q))
        return last.route;
    forget_last();
    if (mxhop_lookup(*mx_r, q->key, q->flags, &last.route, err) != MXHOP_OK)
        return NULL;
    last.mx = *mx_r;
    last.flags = q->flags;
    last.at_ms = now_ms();
    return last.route;
}
