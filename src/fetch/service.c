/*
 * service - what is wanted, what is due, and writing down what came of it
 *
 * One thread waits for name servers, web servers, datagrams and the clock. What
 * somebody waits for comes first; then what lookups named, and what is due
 * again. Silent web servers hold places for ten seconds, so there are far more
 * places for those that somebody waits for than for the rest.
 *
 * A policy is fetched again once a day at a random time, whatever its id says.
 * After a failure the next try is five minutes later, then ten, up to a day;
 * what was stored stays until it ends. A domain without a policy is given up
 * after the tenth failure, and forgotten: who wants it then begins anew.
 *
 * The store is written whole. A small one follows each result at once, a large
 * one often enough that writing takes a tenth of the time at most.
 *
 * Times in the store are wall time. If the clock is set while the service runs,
 * those that it has set are moved with it. What was stored before, and lies in
 * the future now, is fetched at once, and is not in force until then
 * (sts_in_force()).
 */

#include "fetch/service.h"
#include "fetch/book.h"
#include "fetch/job.h"
#include "policy/want.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define MINUTE_S           60
#define DAY_S              86400

#define FIRST_RETRY_S      300 /* doubles up to a day */
#define TRIES_MAX          10  /* in a row, of a domain without a policy */
#define REFRESH_MIN_S      300 /* of a policy that ends soon */
#define AGAIN_S            60  /* between two fetches that lookups ask for */
#define UNASKED_S          60  /* while no name server can be asked */
#define CLOCK_SET_S        60  /* a jump that is none of ntpd's */

#define RUNNING_URGENT_MAX 512u
#define RUNNING_SOON_MAX   128u
#define WANTS_AT_ONCE      256
#define SCAN_ITEMS         100000u /* per second of waiting */
#define SETTLE_MS          50u     /* results that come together */
#define REST_FACTOR        9u      /* of the time that writing took */
#define REST_MAX_MS        30000u
#define FULL_RETRY_MS      5000u /* the store cannot be written */

struct service {
    struct conf conf;
    struct networks bogus;
    void (*say)(const char *line);
    struct book book;
    struct job_tools tools;
    int epoll_fd, want_fd, dir_fd, lock_fd;
    uid_t owner; /* of the MTA's processes */
    struct item_list soon, urgent;
    unsigned running;
    int64_t clock_s; /* wall time when the other clock began */
    uint64_t scan_ms, save_ms;
    bool save_failed, full_told;
};

struct running { /* of a job */
    struct service *s;
    struct item *i;
};

static void service_say(struct service *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void service_say(struct service *s, const char *fmt, ...)
{
    char line[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    str_printable(line);
    s->say(line);
}

static uint32_t service_random(uint32_t below)
{
    uint32_t r = 0;

    if (getrandom(&r, sizeof(r), 0) != sizeof(r))
        r = (uint32_t)clock_boot_ms();
    return below > 0 ? r % below : 0;
}

/* ---- queues ---- */

static void service_unqueue(struct service *s, struct item *i)
{
    if (i->queue == ITEM_SOON)
        TAILQ_REMOVE(&s->soon, i, link);
    else if (i->queue == ITEM_URGENT)
        TAILQ_REMOVE(&s->urgent, i, link);
    else
        return;
    i->queue = ITEM_IDLE;
}

static void service_queue(struct service *s, struct item *i,
                          enum item_queue queue)
{
    if (i->queue >= queue)
        return;
    service_unqueue(s, i);
    i->queue = queue;
    if (queue == ITEM_URGENT)
        TAILQ_INSERT_TAIL(&s->urgent, i, link);
    else
        TAILQ_INSERT_TAIL(&s->soon, i, link);
}

static void service_remove(struct service *s, struct item *i)
{
    service_unqueue(s, i);
    book_remove(&s->book, i);
}

/* ---- what came of a try ---- */

static int64_t service_next_s(const struct store_entry *e, int64_t now_s)
{
    int64_t wait_s = FIRST_RETRY_S;
    uint32_t period = DAY_S;

    if (e->failures > 0) {
        for (uint32_t i = 1; i < e->failures && wait_s < DAY_S; i++)
            wait_s *= 2;
        return now_s + (wait_s < DAY_S ? wait_s : DAY_S);
    }
    if (e->policy.max_age_s / 2 < period)
        period = e->policy.max_age_s / 2;
    if (period < REFRESH_MIN_S)
        period = REFRESH_MIN_S;
    return now_s + period / 2 + service_random(period / 2 + 1);
}

static bool service_same(const struct sts_policy *a, const struct sts_policy *b)
{
    if (a->mode != b->mode || strcmp(a->id, b->id) != 0 ||
        a->max_age_s != b->max_age_s || a->n_mx != b->n_mx)
        return false;
    for (size_t i = 0; i < a->n_mx; i++)
        if (strcmp(a->mx[i], b->mx[i]) != 0)
            return false;
    return true;
}

static void service_take_policy(struct service *s, const struct item *i,
                                struct store_entry *e, struct sts_policy *p)
{
    if (!e->has_policy || e->failures > 0 || !service_same(&e->policy, p))
        service_say(s, "%s: policy %s, mode %s, %zu mx, max_age %us", i->domain,
                    p->id, sts_mode_word(p->mode), p->n_mx, p->max_age_s);
    p->fetched_s = e->tried_s;
    p->expires_s = e->tried_s + p->max_age_s;
    sts_policy_free(&e->policy);
    e->policy = *p;
    *p = (struct sts_policy){0};
    e->has_policy = true;
    e->failures = 0;
    e->error[0] = '\0';
}

static void service_take_failure(struct service *s, const struct item *i,
                                 struct store_entry *e,
                                 enum job_outcome outcome, const char *why)
{
    char until[CLOCK_TEXT_MAX], error[sizeof(e->error)];
    bool ended = e->has_policy && e->tried_s >= e->policy.expires_s;

    snprintf(error, sizeof(error), "%s", why);
    str_printable(error);
    if (outcome != JOB_UNASKED || e->failures == 0)
        e->failures++;
    if (ended)
        service_say(s, "%s: %s; the policy that was stored has ended",
                    i->domain, error);
    else if (strcmp(error, e->error) != 0 && e->has_policy)
        service_say(s, "%s: %s; the policy that is stored stays until %s",
                    i->domain, error, clock_text(e->policy.expires_s, until));
    else if (strcmp(error, e->error) != 0)
        service_say(s, "%s: %s; it has no policy", i->domain, error);
    if (ended) {
        sts_policy_free(&e->policy);
        e->has_policy = false;
    }
    memcpy(e->error, error, sizeof(error));
}

static void service_done(void *ctx, enum job_outcome outcome, const char *why,
                         struct sts_policy *p)
{
    struct running *r = ctx;
    struct service *s = r->s;
    struct item *i = r->i;
    struct store_entry e;
    bool kept;

    free(r);
    s->running--;
    i->queue = ITEM_IDLE;
    if (i->forget) {
        service_remove(s, i);
        return;
    }
    kept = book_get(i, &e);
    e.tried_s = clock_wall_s();
    if (outcome == JOB_POLICY)
        service_take_policy(s, i, &e, p);
    else
        service_take_failure(s, i, &e, outcome, why);
    e.next_s = service_next_s(&e, e.tried_s);
    if (outcome == JOB_UNASKED)
        e.next_s = e.tried_s + UNASKED_S;
    if (outcome == JOB_NONE && !e.has_policy)
        e.failures = TRIES_MAX; /* an answer: nothing to hope for */
    i->ours = true;
    if (!kept || !book_put(&s->book, i, &e))
        i->next_s = e.tried_s + UNASKED_S; /* no memory: as if not tried */
    store_entry_free(&e);
    if (s->save_ms == 0)
        s->save_ms = clock_boot_ms() + SETTLE_MS;
}

static void service_start(struct service *s, struct item *i)
{
    struct running *r = malloc(sizeof(*r));

    service_unqueue(s, i);
    if (r != NULL) {
        *r = (struct running){s, i};
        i->queue = ITEM_RUNNING;
        s->running++;
        if (job_start(&s->tools, i->domain, service_done, r))
            return;
        /* Too long a name, or no memory. */
        service_done(r, JOB_FAILED, "the TXT record cannot be asked for", NULL);
        return;
    }
    i->next_s = clock_wall_s() + UNASKED_S;
}

static void service_start_some(struct service *s)
{
    struct item *i;

    while (s->running < RUNNING_URGENT_MAX &&
           (i = TAILQ_FIRST(&s->urgent)) != NULL)
        service_start(s, i);
    while (s->running < RUNNING_SOON_MAX && (i = TAILQ_FIRST(&s->soon)) != NULL)
        service_start(s, i);
}

/* ---- what is wanted ---- */

static void service_forget(struct service *s, const char *domain)
{
    struct item *i = book_find(&s->book, domain);

    if (i == NULL)
        return;
    service_say(s, "%s: forgotten", domain);
    if (i->queue == ITEM_RUNNING)
        i->forget = true;
    else
        service_remove(s, i);
    if (s->save_ms == 0)
        s->save_ms = clock_boot_ms() + SETTLE_MS;
}

static bool service_fetch(struct service *s, const char *domain,
                          enum want_kind kind)
{
    struct item *i = book_find(&s->book, domain);
    int64_t now_s = clock_wall_s();
    struct store_entry e;

    if (i == NULL && (i = book_add(&s->book, domain)) == NULL) {
        if (!s->full_told)
            service_say(s, "too many domains: %s and others are left out",
                        domain);
        s->full_told = true;
        return false;
    }
    if (kind != WANT_FETCH && i->len > 0) {
        /* Lookups of strangers must not make us knock at will. */
        bool again;

        if (!book_get(i, &e))
            return false;
        again = e.failures > 0
                    ? now_s >= e.next_s
                    : now_s >= e.tried_s + AGAIN_S || now_s < e.tried_s;
        store_entry_free(&e);
        if (!again)
            return true;
    }
    service_queue(s, i, kind == WANT_SOON ? ITEM_SOON : ITEM_URGENT);
    return true;
}

bool service_want(struct service *s, const char *domain)
{
    return service_fetch(s, domain, WANT_FETCH);
}

static void service_take_wants(struct service *s)
{
    struct want w;

    for (int n = 0; n < WANTS_AT_ONCE && want_receive(s->want_fd, &w); n++) {
        bool admin = w.uid == 0 || w.uid == geteuid();

        if (!admin && (w.uid != s->owner || w.kind == WANT_FETCH ||
                       w.kind == WANT_FORGET))
            continue;
        if (w.kind == WANT_FORGET)
            service_forget(s, w.domain);
        else
            (void)service_fetch(s, w.domain, w.kind);
    }
}

/* ---- what is due ---- */

/* One try after another has failed, or nothing can be hoped for. */
static bool service_is_hopeless(const struct item *i)
{
    struct store_entry e;
    bool hopeless;

    if (i->has_policy || !book_get(i, &e))
        return false;
    hopeless = e.failures >= TRIES_MAX;
    store_entry_free(&e);
    return hopeless;
}

static void service_scan(struct service *s)
{
    int64_t now_s = clock_wall_s();

    for (size_t k = s->book.n; k > 0; k--) {
        struct item *i = s->book.v[k - 1];

        /* No next try is set for later than in a day. */
        if (i->queue != ITEM_IDLE || i->len == 0 ||
            (i->next_s > now_s &&
             i->next_s <= now_s + DAY_S + STS_CLOCK_SLACK_S))
            continue;
        if (service_is_hopeless(i))
            service_remove(s, i);
        else
            service_queue(s, i, ITEM_SOON);
    }
    if (s->book.dirty && s->save_ms == 0)
        s->save_ms = clock_boot_ms() + SETTLE_MS;
    s->full_told = false;
    s->scan_ms = clock_boot_ms() + 1000 * (1 + s->book.n / SCAN_ITEMS);
}

static void service_move_times(struct service *s)
{
    int64_t clock_s = clock_wall_s() - (int64_t)(clock_boot_ms() / 1000);
    int64_t by_s = clock_s - s->clock_s;

    s->clock_s = clock_s;
    if (by_s > -CLOCK_SET_S && by_s < CLOCK_SET_S)
        return;
    service_say(s, "the clock was set by %lld s: times are moved with it",
                (long long)by_s);
    for (size_t k = 0; k < s->book.n; k++) {
        struct item *i = s->book.v[k];
        struct store_entry e;

        if (!i->ours || !book_get(i, &e))
            continue;
        e.tried_s += by_s;
        e.next_s += by_s;
        e.policy.fetched_s += by_s;
        e.policy.expires_s += by_s;
        if (!e.has_policy || e.policy.fetched_s >= 0)
            (void)book_put(&s->book, i, &e);
        store_entry_free(&e);
    }
    s->save_ms = clock_boot_ms();
}

/* ---- the store ---- */

static void service_save(struct service *s)
{
    uint64_t from_ms = clock_boot_ms(), took_ms, now_ms;
    int rc = s->book.dirty ? book_save(&s->book, s->dir_fd) : 0;

    now_ms = clock_boot_ms();
    took_ms = (now_ms - from_ms) * REST_FACTOR;
    s->save_ms = 0;
    if (rc != 0) {
        if (!s->save_failed)
            service_say(s,
                        "%s/" STORE_FILE ": %s; what is stored stays in force",
                        s->conf.tls_store, strerror(rc));
        s->save_failed = true;
        s->save_ms = now_ms + FULL_RETRY_MS;
        return;
    }
    if (s->save_failed)
        service_say(s, "%s/" STORE_FILE ": written again", s->conf.tls_store);
    s->save_failed = false;
    if (took_ms > SETTLE_MS)
        s->save_ms = now_ms + (took_ms < REST_MAX_MS ? took_ms : REST_MAX_MS);
}

/* Somebody removed the store, or put another one in its place: what this
   process knows is what counts. */
static void service_check_store(struct service *s)
{
    struct mxhop_error err;
    struct store *there;

    if (s->book.dirty || s->save_failed)
        return;
    if (store_open(&there, s->conf.tls_store, false, NULL, &err) == MXHOP_OK &&
        memcmp(store_id(there), s->book.id, sizeof(s->book.id)) != 0)
        (void)err_set(&err, MXHOP_ERR_TABLE, "%s/" STORE_FILE ": is not ours",
                      s->conf.tls_store);
    else if (there != NULL)
        err.text[0] = '\0';
    store_close(&there);
    if (err.text[0] == '\0')
        return;
    service_say(s, "%s: it is written anew", err.text);
    s->book.dirty = true;
    s->save_ms = clock_boot_ms();
}

/* ---- the loop ---- */

static void service_wait(struct service *s, int wake_fd)
{
    uint64_t until_ms = https_next_ms(s->tools.https);
    struct epoll_event events[64];
    int n;

    if (s->scan_ms < until_ms)
        until_ms = s->scan_ms;
    if (s->save_ms != 0 && s->save_ms < until_ms)
        until_ms = s->save_ms;
    engine_step(s->tools.engine, until_ms, s->epoll_fd);
    n = epoll_wait(s->epoll_fd, events, 64, 0);
    for (int k = 0; k < n; k++) {
        int fd = events[k].data.fd;

        if (fd == s->want_fd)
            service_take_wants(s);
        else if (fd != wake_fd)
            https_ready(s->tools.https, fd, events[k].events);
    }
    https_run(s->tools.https);
}

static bool service_is_woken(int wake_fd)
{
    struct pollfd p = {.fd = wake_fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

void service_run(struct service *s, int wake_fd, bool once)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = wake_fd};

    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, wake_fd, &e);
    do {
        service_move_times(s);
        if (clock_boot_ms() >= s->scan_ms) {
            service_scan(s);
            service_check_store(s);
        }
        service_start_some(s);
        if (s->save_ms != 0 && clock_boot_ms() >= s->save_ms)
            service_save(s);
        if (once && s->running == 0 && TAILQ_EMPTY(&s->soon) &&
            TAILQ_EMPTY(&s->urgent))
            break;
        service_wait(s, wake_fd);
    } while (!service_is_woken(wake_fd));
    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, wake_fd, NULL);
}

/* ---- opening ---- */

static enum mxhop_status service_apply(struct service *s,
                                       struct mxhop_error *err)
{
    const struct conf *c = &s->conf;
    const char *wrong;
    struct passwd *pw;
    size_t len;

    s->tools.dns_timeout_ms = c->dns_timeout_ms;
    s->tools.families = 0;
    if (str_in_list(c->address_families, "ipv4"))
        s->tools.families |= FAMILY_BIT(FAMILY_V4);
    if (str_in_list(c->address_families, "ipv6"))
        s->tools.families |= FAMILY_BIT(FAMILY_V6);
    if (s->tools.families == 0)
        s->tools.families = FAMILY_BIT(FAMILY_V4) | FAMILY_BIT(FAMILY_V6);
    networks_free(&s->bogus);
    if (networks_parse(c->bogus_networks, &s->bogus, &wrong, &len) != NULL)
        return err_nomem(err); /* it was checked */
    if (s->tools.https != NULL)
        https_set(s->tools.https, c->tls_ca_file, &s->bogus);
    pw = getpwnam(c->cache_owner[0] != '\0' ? c->cache_owner : "postfix");
    s->owner = pw != NULL ? pw->pw_uid : 0;
    if (c->tls_ca_file[0] != '\0' && access(c->tls_ca_file, R_OK) != 0)
        return err_set(err, MXHOP_ERR_CONFIG, "tls_ca_file = %s: %s",
                       c->tls_ca_file, strerror(errno));
    return MXHOP_OK;
}

enum mxhop_status service_set(struct service *s, struct conf *conf,
                              struct mxhop_error *err)
{
    struct dns_servers servers;
    enum mxhop_status status;

    status = dns_servers_load(&servers, conf->dns_servers, err);
    if (status != MXHOP_OK)
        return status;
    if (strcmp(conf->tls_store, s->conf.tls_store) != 0)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "tls_store was changed: restart mxhop-tls");
    conf_free(&s->conf);
    s->conf = *conf;
    *conf = (struct conf){0};
    engine_set_servers(s->tools.engine, &servers);
    return service_apply(s, err);
}

/* The lock is the process's: the store has one writer. */
static enum mxhop_status service_enter(struct service *s,
                                       struct mxhop_error *err)
{
    const char *dir = s->conf.tls_store;

    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->dir_fd < 0)
        return err_set(err, MXHOP_ERR_IO,
                       "%s: %s; `install -d -m 0755 -o mxhop-tls %s`", dir,
                       strerror(errno), dir);
    s->lock_fd = openat(s->dir_fd, STORE_FILE ".lock",
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return err_set(err, MXHOP_ERR_IO, "%s/" STORE_FILE ".lock: %s", dir,
                       strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, MXHOP_ERR_IO, "%s: another mxhop-tls is at work",
                       dir);
    return MXHOP_OK;
}

static enum mxhop_status service_listen(struct service *s,
                                        struct mxhop_error *err)
{
    struct epoll_event e = {.events = EPOLLIN};

    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->want_fd = want_bind(s->conf.tls_store);
    if (s->epoll_fd < 0 || s->want_fd < 0)
        return err_set(err, MXHOP_ERR_IO, "the socket mxhop-tls:%s: %s",
                       s->conf.tls_store, strerror(errno));
    e.data.fd = s->want_fd;
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->want_fd, &e) != 0)
        return err_set(err, MXHOP_ERR_IO, "epoll: %s", strerror(errno));
    return MXHOP_OK;
}

/* A damaged store is begun anew: policies are fetched when they are wanted. */
static enum mxhop_status service_load(struct service *s,
                                      struct mxhop_error *err)
{
    bool missing = false;
    enum mxhop_status status =
        book_load(&s->book, s->conf.tls_store, &missing, err);

    if (status != MXHOP_ERR_TABLE)
        return status;
    if (!missing)
        service_say(s, "%s", err->text);
    s->book.dirty = true;
    s->save_ms = clock_boot_ms();
    return MXHOP_OK;
}

static enum mxhop_status service_begin(struct service *s,
                                       struct mxhop_error *err)
{
    struct dns_servers servers;
    enum mxhop_status status = service_enter(s, err);

    if (status == MXHOP_OK)
        status = service_listen(s, err);
    if (status == MXHOP_OK)
        status = dns_servers_load(&servers, s->conf.dns_servers, err);
    if (status == MXHOP_OK)
        status = engine_open(&s->tools.engine, &servers, err);
    if (status == MXHOP_OK)
        status = service_apply(s, err);
    if (status == MXHOP_OK)
        status = https_open(&s->tools.https, s->epoll_fd, s->conf.tls_ca_file,
                            &s->bogus, err);
    return status == MXHOP_OK ? service_load(s, err) : status;
}

enum mxhop_status service_open(struct service **s_r, struct conf *conf,
                               void (*say)(const char *line),
                               struct mxhop_error *err)
{
    struct service *s = calloc(1, sizeof(*s));
    enum mxhop_status status;

    *s_r = NULL;
    if (s == NULL)
        return err_nomem(err);
    s->conf = *conf;
    *conf = (struct conf){0};
    s->say = say;
    s->epoll_fd = s->want_fd = s->dir_fd = s->lock_fd = -1;
    s->book.seed =
        (uint64_t)service_random(UINT32_MAX) << 32 | service_random(UINT32_MAX);
    TAILQ_INIT(&s->soon);
    TAILQ_INIT(&s->urgent);
    s->clock_s = clock_wall_s() - (int64_t)(clock_boot_ms() / 1000);
    status = service_begin(s, err);
    if (status == MXHOP_OK)
        *s_r = s;
    else
        (void)service_close(&s);
    return status;
}

int service_close(struct service **sp)
{
    struct service *s = *sp;
    const int *const fds[] = {&s->want_fd, &s->epoll_fd, &s->lock_fd,
                              &s->dir_fd};
    int rc = 0;

    *sp = NULL;
    if (s->book.dirty && s->dir_fd >= 0)
        rc = book_save(&s->book, s->dir_fd);
    https_close(&s->tools.https);
    engine_close(&s->tools.engine);
    for (size_t k = 0; k < sizeof(fds) / sizeof(fds[0]); k++)
        if (*fds[k] >= 0)
            close(*fds[k]);
    book_free(&s->book);
    networks_free(&s->bogus);
    conf_free(&s->conf);
    free(s);
    return rc;
}
