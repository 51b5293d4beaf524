/*
 * exim_mxhop - what routers of Exim call
 *
 *     ${dlfunc{/usr/local/lib/mxhop/exim-mxhop.so}{mxhop_route}{$domain}}
 *
 * Each function takes a domain, then, optionally, the configuration file and
 * the recipient, for which overrides are then looked for as well:
 *
 *     ...{mxhop_route}{$domain}{/etc/mxhop/mxhop.cf}{$local_part@$domain}}
 *
 * A fourth argument that is not empty says that Exim delivers the domain
 * itself: only an override for exactly this domain or recipient counts then.
 *
 * mxhop_route      a host list for manualroute. Where there is none the
 *                  expansion fails as by {fail}, and the router declines
 * mxhop_rest       for a redirect router behind it: `:fail: ...' for reject,
 *                  `:defer: ...' for defer, and for a list of an override
 *                  that Exim has passed on; else empty
 * mxhop_transport  the transport that an override or the configuration names,
 *                  or that verifies, of a domain with an MTA-STS policy; else
 *                  empty
 * mxhop_fate       `:fail: ...' or `:defer: ...'; else empty, also where there
 *                  is a list. For ACLs
 * mxhop_trace      every step of the decision, for `exim -be'
 *
 * The last answer is kept for a second, so that the routers that an address
 * passes are told the same, and wait once. Were the process stopped in between,
 * each is told what holds then. Whatever that is, an address under an override
 * does not get past mxhop_rest, unless the override says pass.
 *
 * Handles: most processes of Exim never route anything, so one is opened when
 * it is first needed, for each configuration file, and kept until the process
 * ends. It is used only by the process that opened it, as the same user. After
 * a fork the child opens its own and leaves the inherited one alone: closing it
 * could free what is the parent's. After a change of user the old one is
 * closed: the cache was chosen for the user it was opened as. A configuration
 * that is broken is read again at every call, one that has changed at the next
 * question. No thread is started: the caller runs the DNS itself, for
 * lookup_budget, and within that waits for a policy that is being fetched.
 *
 * Failures: what is wrong with the configuration, a lack of memory, a call with
 * the wrong number of arguments. The expansion then fails with a text, and Exim
 * defers the address. Nothing that happens here gets into the panic log;
 * warnings of the library go to syslog, facility mail.
 *
 * The text returned is in memory of this module and valid until the next call;
 * Exim copies it at once. It is not tainted, as far as Exim can know: so
 * nothing is in it but what the library lets into a host list, a transport's
 * name or a line of text. It is never expanded to a file name.
 */

#include <mxhop/mxhop.h>

#include "exim/exim_abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define EXIM_KEPT_MS 1000

struct exim_handle {
    struct exim_handle *next;
    struct mxhop *mx;
    pid_t pid;
    uid_t euid;
    char config[]; /* as it was asked for */
};

struct exim_question {
    const char *config;
    const char *key; /* domain or recipient */
    unsigned flags;  /* of mxhop_lookup() */
    bool local;      /* Exim delivers the domain itself */
};

/* For the one thread that Exim has. */
static struct exim_handle *exim_handles;
static bool exim_local; /* of the question now asked */

static struct {
    struct mxhop_route *route; /* NULL: nothing is kept */
    const struct exim_handle *handle;
    unsigned flags;
    bool local;
    long long at_ms;
} exim_last;

/* ---- handles ---- */

static void exim_log(void *ctx, enum mxhop_log_level level, const char *line)
{
    (void)ctx;
    if (level == MXHOP_LOG_WARN)
        syslog(LOG_MAIL | LOG_WARNING, "mxhop: %s", line);
}

static enum mxhop_local exim_is_local(void *ctx, const char *domain)
{
    (void)ctx;
    (void)domain;
    return exim_local ? MXHOP_LOCAL_YES : MXHOP_LOCAL_NO;
}

static enum mxhop_status exim_no_memory(struct mxhop_error *err)
{
    err->code = MXHOP_ERR_MEMORY;
    strcpy(err->text, "out of memory");
    return err->code;
}

/* Of this process; what a parent opened stays in the list, and is never
   touched. NULL: out of memory. */
static struct exim_handle *exim_handle_for(const char *config)
{
    size_t n = strlen(config) + 1;
    pid_t pid = getpid();
    struct exim_handle *h;

    for (h = exim_handles; h != NULL; h = h->next)
        if (h->pid == pid && strcmp(h->config, config) == 0)
            return h;
    h = calloc(1, sizeof(*h) + n);
    if (h == NULL)
        return NULL;
    memcpy(h->config, config, n);
    h->pid = pid;
    h->next = exim_handles;
    exim_handles = h;
    return h;
}

/* Open, for the user that we are now. NULL with *err. Routing is done by root,
   unless deliver_drop_privilege is set: so the cache is root's where the
   configuration does not say whose it is, and processes of other users have one
   of their own in memory. */
static struct exim_handle *exim_open(const char *config,
                                     struct mxhop_error *err)
{
    static const struct mxhop_host host = {
        .flags = MXHOP_THIS_MACHINE | MXHOP_FINDS_ITSELF | MXHOP_STS_TRANSPORT,
        .log = exim_log,
        .is_local = exim_is_local,
        .cache_owner = "root",
    };
    struct exim_handle *h = exim_handle_for(config);

    if (h == NULL) {
        exim_no_memory(err);
        return NULL;
    }
    if (h->mx != NULL && (h->euid != geteuid() || mxhop_outdated(h->mx) != 0))
        mxhop_close(&h->mx);
    if (h->mx != NULL)
        return h;
    h->euid = geteuid();
    return mxhop_open(&h->mx, config, &host, err) == MXHOP_OK ? h : NULL;
}

/* ---- answers ---- */

static long long exim_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The last answer is about this, too, and counts still. */
static bool exim_is_kept(const struct exim_question *q)
{
    const struct exim_handle *h = exim_last.handle;

    return exim_last.route != NULL && exim_last.flags == q->flags &&
           exim_last.local == q->local &&
           strcmp(exim_last.route->key, q->key) == 0 &&
           strcmp(h->config, q->config) == 0 && h->pid == getpid() &&
           h->euid == geteuid() &&
           exim_now_ms() - exim_last.at_ms < EXIM_KEPT_MS;
}

/* A domain that Exim delivers itself, although the parameter local_domains
   names others, is left to it. */
static const struct mxhop_route *exim_route(const struct exim_question *q)
{
    static const struct mxhop_route pass = {
        .disposition = MXHOP_PASS,
        .reason = "Exim delivers this domain itself",
        .transport = "",
    };

    return q->local && !exim_last.route->local ? &pass : exim_last.route;
}

/* The route. It belongs to this module and is valid until the next call. NULL
   with *err. */
static const struct mxhop_route *exim_answer(const struct exim_question *q,
                                             struct mxhop_error *err)
{
    struct exim_handle *h;

    if (exim_is_kept(q))
        return exim_route(q);
    mxhop_route_free(&exim_last.route);
    exim_local = q->local;
    h = exim_open(q->config, err);
    if (h == NULL || mxhop_lookup(h->mx, q->key, q->flags, &exim_last.route,
                                  err) != MXHOP_OK)
        return NULL;
    exim_last.handle = h;
    exim_last.flags = q->flags;
    exim_last.local = q->local;
    exim_last.at_ms = exim_now_ms();
    return exim_route(q);
}

/* ---- the functions ---- */

/* Makes the text of an answer; it is free()d at the next call. */
typedef enum exim_result exim_say_fn(const struct exim_question *q,
                                     char **text_r, struct mxhop_error *err);

static enum exim_result exim_copy(const char *text, char **text_r,
                                  struct mxhop_error *err)
{
    *text_r = strdup(text);
    if (*text_r != NULL)
        return EXIM_OK;
    exim_no_memory(err);
    return EXIM_FAIL;
}

static enum exim_result exim_render(const struct mxhop_route *route,
                                    enum mxhop_format format, char **text_r,
                                    struct mxhop_error *err)
{
    if (route == NULL || mxhop_render(exim_last.handle->mx, route, format,
                                      text_r, err) != MXHOP_OK)
        return EXIM_FAIL;
    return EXIM_OK;
}

static enum exim_result exim_say_route(const struct exim_question *q,
                                       char **text_r, struct mxhop_error *err)
{
    const struct mxhop_route *route = exim_answer(q, err);
    enum exim_result result =
        exim_render(route, MXHOP_FORMAT_EXIM, text_r, err);

    if (result != EXIM_OK || *text_r != NULL)
        return result;
    snprintf(err->text, sizeof(err->text), "%s", route->reason);
    return EXIM_FAIL_FORCED;
}

static enum exim_result exim_say_fate(const struct exim_question *q,
                                      char **text_r, struct mxhop_error *err)
{
    return exim_render(exim_answer(q, err), MXHOP_FORMAT_EXIM_FATE, text_r,
                       err);
}

/* Asked about an address with a list, Exim found that the first host is this
   system: for an override that is the end of the search. */
static enum exim_result exim_say_rest(const struct exim_question *q,
                                      char **text_r, struct mxhop_error *err)
{
    const struct mxhop_route *route = exim_answer(q, err);

    if (route == NULL || route->disposition != MXHOP_ROUTE ||
        route->override == NULL)
        return exim_render(route, MXHOP_FORMAT_EXIM_FATE, text_r, err);
    return exim_copy(":defer: 451 4.3.5 The host that the override names is "
                     "this system itself",
                     text_r, err);
}

static enum exim_result exim_say_transport(const struct exim_question *q,
                                           char **text_r,
                                           struct mxhop_error *err)
{
    const struct mxhop_route *route = exim_answer(q, err);

    if (route == NULL)
        return EXIM_FAIL;
    return exim_copy(route->transport, text_r, err);
}

static enum exim_result exim_say_trace(const struct exim_question *q,
                                       char **text_r, struct mxhop_error *err)
{
    const struct exim_handle *h = exim_open(q->config, err);
    struct mxhop_route *route;

    exim_local = q->local;
    if (h == NULL ||
        mxhop_explain(h->mx, q->key, q->flags, &route, text_r, err) != MXHOP_OK)
        return EXIM_FAIL;
    mxhop_route_free(&route);
    return EXIM_OK;
}

/* Run `say`, and tell Exim. */
static int exim_call(exim_say_fn *say, unsigned char **text_r, int argc,
                     unsigned char *argv[])
{
    static char *text; /* of the last answer */
    static struct mxhop_error err;
    static char usage[] = "mxhop: expected {domain}, optionally {configuration "
                          "file}, {recipient}, {local}";
    struct exim_question q;
    enum exim_result result;
    const char *args[4] = {"", "", "", ""};

    free(text);
    text = NULL;
    if (argc < 1 || argc > 4) {
        *text_r = (unsigned char *)usage;
        return EXIM_FAIL;
    }
    for (int i = 0; i < argc; i++)
        args[i] = (const char *)argv[i];
    q.config = args[1][0] != '\0' ? args[1] : MXHOP_DEFAULT_CONFIG;
    q.key = args[2][0] != '\0' ? args[2] : args[0];
    q.flags = args[2][0] != '\0' ? MXHOP_ADDRESS : 0;
    q.local = args[3][0] != '\0';
    err.text[0] = '\0';
    result = say(&q, &text, &err);
    if (result != EXIM_OK && text == NULL)
        *text_r = (unsigned char *)err.text;
    else
        *text_r = (unsigned char *)text; /* NULL is as good as empty */
    return (int)result;
}

MXHOP_API exim_dlfunc mxhop_route, mxhop_rest, mxhop_transport, mxhop_fate,
    mxhop_trace;

int mxhop_route(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return exim_call(exim_say_route, text_r, argc, argv);
}

int mxhop_fate(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return exim_call(exim_say_fate, text_r, argc, argv);
}

int mxhop_rest(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return exim_call(exim_say_rest, text_r, argc, argv);
}

int mxhop_transport(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return exim_call(exim_say_transport, text_r, argc, argv);
}

int mxhop_trace(unsigned char **text_r, int argc, unsigned char *argv[])
{
    return exim_call(exim_say_trace, text_r, argc, argv);
}
