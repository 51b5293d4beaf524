/*
 * service - wait for everything, and write the store
 *
 * One thread waits for name servers, web servers, datagrams and the clock.
 *
 * The store is written whole. A small one follows each result at once, a large
 * one often enough that writing takes a tenth of the time at most. Its
 * directory has one writer, who holds a lock on a file there.
 */

#include "fetch/service_int.h"
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
#include <sys/stat.h>
#include <unistd.h>

#define REST_FACTOR   9u /* of the time that writing took */
#define REST_MAX_MS   30000u
#define FULL_RETRY_MS 5000u /* the store cannot be written */

void service_say(struct service *s, const char *fmt, ...)
{
    char line[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    str_printable(line);
    s->say(line);
}

uint32_t service_random(uint32_t below)
{
    uint32_t r = 0;

    if (getrandom(&r, sizeof(r), 0) != sizeof(r))
        r = (uint32_t)clock_boot_ms();
    return below > 0 ? r % below : 0;
}

/* ---- the store ---- */

void service_save_soon(struct service *s)
{
    if (s->save_ms == 0)
        s->save_ms = clock_boot_ms() + SETTLE_MS;
}

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
    if (geteuid() == 0) /* towards the web servers of strangers */
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%s: belongs to root, and so would mxhop-tls; `chown "
                       "mxhop-tls %s`",
                       dir, dir);
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

/* The directory was moved aside, or removed, and perhaps made anew: lookups go
   by its name. */
static bool service_follow_directory(struct service *s)
{
    const int dir_fd = s->dir_fd, lock_fd = s->lock_fd;
    struct mxhop_error err;
    struct stat ours, there;

    if (fstat(dir_fd, &ours) == 0 && stat(s->conf.tls_store, &there) == 0 &&
        ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
        return true;
    s->dir_fd = s->lock_fd = -1;
    if (service_enter(s, &err) != MXHOP_OK) {
        if (!s->astray)
            service_say(s, "%s", err.text);
        s->astray = true;
        if (s->dir_fd >= 0)
            close(s->dir_fd);
        if (s->lock_fd >= 0)
            close(s->lock_fd);
        s->dir_fd = dir_fd;
        s->lock_fd = lock_fd;
        return false;
    }
    close(dir_fd);
    close(lock_fd);
    s->astray = false;
    return true;
}

/* Somebody removed the store, or put another one in its place: what this
   process knows is what counts. */
static void service_check_store(struct service *s)
{
    struct mxhop_error err;
    struct store *there;

    if (!service_follow_directory(s) || s->book.dirty || s->save_failed)
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

/*
 * Any user of the machine can take the socket's name while we are not there.
 * Policies that are known must be fetched again even so. The name is asked for
 * until it is free.
 */
static void service_listen(struct service *s)
{
    struct epoll_event e = {.events = EPOLLIN};

    if (s->want_fd >= 0)
        return;
    s->want_fd = e.data.fd = want_bind(s->conf.tls_store);
    if (s->want_fd >= 0 &&
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->want_fd, &e) != 0) {
        close(s->want_fd);
        s->want_fd = -1;
    }
    if (s->want_fd < 0 && !s->deaf)
        service_say(s,
                    "the socket @mxhop-tls:%s: %s; what lookups ask for is not "
                    "heard. `ss -xlp` tells who has it",
                    s->conf.tls_store, strerror(errno));
    if (s->want_fd >= 0 && s->deaf)
        service_say(s, "the socket @mxhop-tls:%s is ours now",
                    s->conf.tls_store);
    s->deaf = s->want_fd < 0;
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
            service_listen(s);
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

    if (status != MXHOP_OK)
        return status;
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0)
        return err_set(err, MXHOP_ERR_IO, "epoll: %s", strerror(errno));
    service_listen(s);
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
