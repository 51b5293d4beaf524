/*
 * https - fetch the text of a policy as RFC 8461 section 3.3 wants it
 *
 * The web server is a stranger's, and so is the network. It gets one connection
 * to the policy host's port 443, ten seconds in all, and must have a
 * certificate for that name. 200 and text/plain are an answer, everything else
 * is none: redirects are not followed, nothing is unpacked, no proxy, cookie or
 * .netrc has a say, and what is longer than a policy may be ends the transfer.
 *
 * Names are not looked up here: the addresses come from the caller. Before a
 * socket is made, its address is judged: who publishes an address of ours must
 * not make us knock there.
 *
 * libcurl says which sockets to wait for, in the caller's epoll instance. Each
 * fetch has its own handle and its own cache of names, which end with it.
 */

#include "fetch/https.h"
#include "policy/sts.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/str.h"
#include <mxhop/version.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define HTTPS_HEADERS_MAX 32768u
#define HTTPS_CA_S        300L /* until the authorities are read again */
#define HTTPS_NEVER       UINT64_MAX

/* Loopback, private, shared, link-local, benchmarks, multicast, reserved. */
static const char https_ours[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 "
    "172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 "
    "240.0.0.0/4 ::/127 64:ff9b:1::/48 fc00::/7 fe80::/10 fec0::/10 ff00::/8";

struct fetch {
    TAILQ_ENTRY(fetch) link;
    struct https *h;
    https_fn *fn;
    void *ctx;
    CURL *easy;
    CURLSH *names;
    struct curl_slist *resolve;
    struct buf text;
    size_t headers;
    bool too_long;
    char refused[INET6_ADDRSTRLEN]; /* an address; "" if none was */
    char why[CURL_ERROR_SIZE];
};

struct https {
    CURLM *multi;
    int epoll_fd;
    const char *ca_file;
    const struct networks *bogus;
    struct networks ours;
    uint64_t timer_ms; /* when libcurl wants to be called */
    TAILQ_HEAD(, fetch) fetches;
};

/* ---- what libcurl asks for ---- */

static int https_watch(CURL *easy, curl_socket_t fd, int what, void *ctx,
                       void *socket)
{
    struct https *h = ctx;
    struct epoll_event e = {.data.fd = fd};

    (void)easy;
    (void)socket;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        e.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        e.events |= EPOLLOUT;
    if (epoll_ctl(h->epoll_fd, EPOLL_CTL_MOD, fd, &e) != 0 && errno == ENOENT)
        (void)epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &e);
    return 0;
}

static int https_set_timer(CURLM *multi, long ms, void *ctx)
{
    struct https *h = ctx;

    (void)multi;
    h->timer_ms = ms < 0 ? HTTPS_NEVER : clock_boot_ms() + (uint64_t)ms;
    return 0;
}

/* A gateway may lead from an IPv6 address to the IPv4 address that is in it:
   64:ff9b::/96 (NAT64), 2002::/16 (6to4). */
static bool https_in(const struct networks *n, const struct sockaddr *a)
{
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b},
                               to4[2] = {0x20, 0x02};
    struct in6_addr v6;
    struct in_addr v4;
    size_t at = 0;

    if (a->sa_family == AF_INET)
        return networks_has_v4(n, ((const struct sockaddr_in *)a)->sin_addr);
    v6 = ((const struct sockaddr_in6 *)a)->sin6_addr;
    if (memcmp(&v6, nat64, sizeof(nat64)) == 0)
        at = sizeof(nat64);
    else if (memcmp(&v6, to4, sizeof(to4)) == 0)
        at = sizeof(to4);
    memcpy(&v4, v6.s6_addr + at, sizeof(v4));
    return networks_has_v6(n, v6) || (at > 0 && networks_has_v4(n, v4));
}

static curl_socket_t https_socket(void *ctx, curlsocktype purpose,
                                  struct curl_sockaddr *a)
{
    struct fetch *f = ctx;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->addr;

    (void)purpose;
    if (a->family != AF_INET && a->family != AF_INET6)
        return CURL_SOCKET_BAD;
    if (https_in(&f->h->ours, &a->addr) || https_in(f->h->bogus, &a->addr)) {
        inet_ntop(a->family,
                  a->family == AF_INET ? (const void *)&v4->sin_addr
                                       : &v6->sin6_addr,
                  f->refused, sizeof(f->refused));
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t https_take_text(char *bytes, size_t one, size_t n, void *ctx)
{
    struct fetch *f = ctx;

    if (f->text.len + n > STS_TEXT_MAX)
        f->too_long = true;
    else
        buf_add(&f->text, bytes, n);
    return f->too_long || f->text.failed ? 0 : n * one;
}

static size_t https_take_header(char *bytes, size_t one, size_t n, void *ctx)
{
    struct fetch *f = ctx;

    (void)bytes;
    f->headers += n;
    return f->headers > HTTPS_HEADERS_MAX ? 0 : n * one;
}

/* ---- one fetch ---- */

static void https_end(struct fetch *f)
{
    TAILQ_REMOVE(&f->h->fetches, f, link);
    if (f->easy != NULL) {
        curl_multi_remove_handle(f->h->multi, f->easy);
        curl_easy_cleanup(f->easy);
    }
    if (f->names != NULL)
        curl_share_cleanup(f->names);
    curl_slist_free_all(f->resolve);
    buf_free(&f->text);
    free(f);
}

/* "mta-sts.a.test:443:192.0.2.1,[2001:db8::1]", and `+': for a while. */
static bool https_put_addresses(struct fetch *f, const char *domain,
                                const struct hostaddrs *a)
{
    char ip[INET6_ADDRSTRLEN];
    struct buf b = {0};
    char comma = ':';

    buf_printf(&b, "mta-sts.%s:443", domain);
    for (uint8_t i = 0; i < a->n[FAMILY_V6]; i++, comma = ',')
        buf_printf(&b, "%c[%s]", comma,
                   inet_ntop(AF_INET6, &a->v6[i], ip, sizeof(ip)));
    for (uint8_t i = 0; i < a->n[FAMILY_V4]; i++, comma = ',')
        buf_printf(&b, "%c%s", comma,
                   inet_ntop(AF_INET, &a->v4[i], ip, sizeof(ip)));
    if (!b.failed)
        f->resolve = curl_slist_append(NULL, b.data);
    buf_free(&b);
    return f->resolve != NULL;
}

static bool https_set_up(struct fetch *f, const char *domain,
                         uint64_t within_ms)
{
    CURL *c = f->easy;
    char url[512];
    bool ok = true;

    snprintf(url, sizeof(url), "https://mta-sts.%s/.well-known/mta-sts.txt",
             domain);
#define SET(option, value) \
    ok = ok && curl_easy_setopt(c, (option), (value)) == CURLE_OK
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_SHARE, f->names);
    SET(CURLOPT_RESOLVE, f->resolve);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (f->h->ca_file[0] != '\0') {
        SET(CURLOPT_CAINFO, f->h->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_CA_CACHE_TIMEOUT, HTTPS_CA_S);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "mxhop-tls/" MXHOP_VERSION);
    SET(CURLOPT_TIMEOUT_MS, (long)within_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)within_ms);
    SET(CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 200L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_WRITEFUNCTION, https_take_text);
    SET(CURLOPT_WRITEDATA, f);
    SET(CURLOPT_HEADERFUNCTION, https_take_header);
    SET(CURLOPT_HEADERDATA, f);
    SET(CURLOPT_OPENSOCKETFUNCTION, https_socket);
    SET(CURLOPT_OPENSOCKETDATA, f);
    SET(CURLOPT_ERRORBUFFER, f->why);
    SET(CURLOPT_PRIVATE, f);
#undef SET
    return ok;
}

bool https_start(struct https *h, const char *domain,
                 const struct hostaddrs *addrs, uint64_t within_ms,
                 https_fn *fn, void *ctx)
{
    struct fetch *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return false;
    f->h = h;
    f->fn = fn;
    f->ctx = ctx;
    f->easy = curl_easy_init();
    f->names = curl_share_init();
    TAILQ_INSERT_TAIL(&h->fetches, f, link);
    if (f->easy != NULL && f->names != NULL &&
        curl_share_setopt(f->names, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) ==
            CURLSHE_OK &&
        https_put_addresses(f, domain, addrs) &&
        https_set_up(f, domain, within_ms) &&
        curl_multi_add_handle(h->multi, f->easy) == CURLM_OK)
        return true;
    https_end(f);
    return false;
}

static bool https_is_plain_text(const char *type)
{
    static const char plain[] = "text/plain";

    if (type == NULL || strncasecmp(type, plain, strlen(plain)) != 0)
        return false;
    type += strlen(plain);
    type += strspn(type, " \t");
    return *type == '\0' || *type == ';';
}

/* NULL: it is an answer. */
static const char *https_judge(struct fetch *f, CURLcode code, char *room,
                               size_t size)
{
    const char *type = NULL;
    long status = 0;

    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
    if (f->text.failed || code == CURLE_OUT_OF_MEMORY)
        return "out of memory";
    if (status != 0 && status != 200)
        snprintf(room, size, "the web server says %ld; expected 200", status);
    else if (f->too_long)
        return "the policy is longer than 65536 octets";
    else if (f->headers > HTTPS_HEADERS_MAX)
        return "the web server's headers are longer than 32768 octets";
    else if (code == CURLE_OPERATION_TIMEDOUT)
        return "the web server did not answer in time";
    else if (code != CURLE_OK && f->refused[0] != '\0')
        snprintf(room, size, "%s is not a public address", f->refused);
    else if (code == CURLE_COULDNT_CONNECT) {
        curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &status);
        snprintf(room, size, "the web server cannot be reached: %s",
                 strerror((int)status));
    } else if (code != CURLE_OK)
        snprintf(room, size, "%s",
                 f->why[0] != '\0' ? f->why : curl_easy_strerror(code));
    else if (!https_is_plain_text(type))
        snprintf(room, size, "the policy is %.60s; expected text/plain",
                 type != NULL ? type : "of no type");
    else
        return NULL;
    str_printable(room);
    return room;
}

static void https_finish(struct fetch *f, CURLcode code)
{
    char room[CURL_ERROR_SIZE + 80];
    const char *error = https_judge(f, code, room, sizeof(room));

    f->fn(f->ctx, error, f->text.data != NULL ? f->text.data : "", f->text.len);
    https_end(f);
}

/* ---- all of them ---- */

enum mxhop_status https_open(struct https **h_r, int epoll_fd,
                             const char *ca_file, const struct networks *bogus,
                             struct mxhop_error *err)
{
    struct https *h = calloc(1, sizeof(*h));
    const char *wrong;
    size_t len;

    *h_r = NULL;
    if (h == NULL)
        return err_nomem(err);
    TAILQ_INIT(&h->fetches);
    h->epoll_fd = epoll_fd;
    h->timer_ms = HTTPS_NEVER;
    https_set(h, ca_file, bogus);
    h->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
                   ? curl_multi_init()
                   : NULL;
    if (h->multi == NULL ||
        networks_parse(https_ours, &h->ours, &wrong, &len) != NULL ||
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, https_watch) !=
            CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, https_set_timer) !=
            CURLM_OK ||
        curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) != CURLM_OK) {
        https_close(&h);
        return err_set(err, MXHOP_ERR_MEMORY, "libcurl cannot be used");
    }
    *h_r = h;
    return MXHOP_OK;
}

void https_close(struct https **hp)
{
    struct https *h = *hp;
    struct fetch *f;

    if (h == NULL)
        return;
    *hp = NULL;
    while ((f = TAILQ_FIRST(&h->fetches)) != NULL)
        https_end(f);
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    networks_free(&h->ours);
    free(h);
}

void https_set(struct https *h, const char *ca_file,
               const struct networks *bogus)
{
    h->ca_file = ca_file;
    h->bogus = bogus;
}

void https_ready(struct https *h, int fd, uint32_t events)
{
    int running, what = 0;

    if ((events & EPOLLIN) != 0)
        what |= CURL_CSELECT_IN;
    if ((events & EPOLLOUT) != 0)
        what |= CURL_CSELECT_OUT;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(h->multi, fd, what, &running);
}

uint64_t https_next_ms(const struct https *h)
{
    return h->timer_ms;
}

void https_run(struct https *h)
{
    int running, left;
    CURLMsg *m;

    if (clock_boot_ms() >= h->timer_ms) {
        h->timer_ms = HTTPS_NEVER;
        curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct fetch *f = NULL;
        CURLcode code = m->data.result;

        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        if (f != NULL)
            https_finish(f, code);
    }
}
