/*
 * fakeldap - a directory for one unit test
 *
 * One connection after the other, one request after the other. Ends with the
 * test: fakeldap_stop() kills it.
 */

#include "support/fakeldap.h"

#include <ldap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID 16

static char dir[32], uri[64];
static struct sockaddr_un address;
static pid_t pid;

void fakeldap_end(void)
{
    raise(SIGKILL);
    abort();
}

static void die(const char *what)
{
    perror(what);
    fakeldap_end();
}

static void put_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            fakeldap_end(); /* the client has had enough */
        bytes += n;
        len -= (size_t)n;
    }
}

/* Frees it. */
static void put(const struct fakeldap_search *s, BerElement *ber)
{
    struct berval v;

    if (ber_flatten2(ber, &v, 0) < 0)
        die("fakeldap: ber");
    put_bytes(s->fd, v.bv_val, v.bv_len);
    ber_free(ber, 1);
}

static BerElement *begin(const struct fakeldap_search *s, ber_tag_t tag)
{
    BerElement *ber = ber_alloc_t(LBER_USE_DER);

    ber_printf(ber, "{it{", s->msgid, tag);
    return ber;
}

/* The end of a message, after its operation; value NULL: no control. */
static void end(const struct fakeldap_search *s, BerElement *ber,
                const char *oid, const void *value, ber_len_t len)
{
    ber_printf(ber, "}");
    if (oid != NULL)
        ber_printf(ber, "t{{so}}", LDAP_TAG_CONTROLS, oid, value, len);
    ber_printf(ber, "}");
    put(s, ber);
}

/* An optional octet string. */
static void add_cookie(BerElement *ber, const char *cookie)
{
    if (cookie != NULL)
        ber_printf(ber, "s", cookie);
}

void fakeldap_entry(const struct fakeldap_search *s, int id, const char *key,
                    int state, const char *cookie)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_ENTRY),
               *control = ber_alloc_t(LBER_USE_DER);
    char dn[32], text[2 * UUID + 1];
    unsigned char uuid[UUID];
    struct berval v;

    memset(uuid, id, sizeof(uuid));
    for (int i = 0; i < UUID; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)id & 0xffu);
    snprintf(dn, sizeof(dn), "cn=%d,dc=test", id);
    ber_printf(ber, "s{{s[s]}{s[s]}{s[s]}{s[s]}}", dn, "objectClass",
               "mxhopOverride", "mxhopKey", key, "mxhopMode", "pass",
               "entryUUID", text);
    ber_printf(control, "{eo", state, uuid, (ber_len_t)sizeof(uuid));
    add_cookie(control, cookie);
    ber_printf(control, "}");
    ber_flatten2(control, &v, 0);
    end(s, ber, state >= 0 ? LDAP_CONTROL_SYNC_STATE : NULL, v.bv_val,
        v.bv_len);
    ber_free(control, 1);
}

void fakeldap_values(const struct fakeldap_search *s, size_t n)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_ENTRY);

    ber_printf(ber, "s{{s[", "cn=many,dc=test", "description");
    while (n-- > 0)
        ber_printf(ber, "s", "v");
    ber_printf(ber, "]}}");
    end(s, ber, NULL, NULL, 0);
}

void fakeldap_cut_entry(const struct fakeldap_search *s)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_ENTRY);

    ber_printf(ber, "s{{s[s]}{s}}", "cn=cut,dc=test", "objectClass",
               "mxhopOverride", "mxhopKey");
    end(s, ber, NULL, NULL, 0);
}

static BerElement *make_info(const struct fakeldap_search *s, const void *value,
                             ber_len_t len)
{
    BerElement *ber = begin(s, LDAP_RES_INTERMEDIATE);

    ber_printf(ber, "tsto", LDAP_TAG_IM_RES_OID, LDAP_SYNC_INFO,
               LDAP_TAG_IM_RES_VALUE, value, len);
    return ber;
}

void fakeldap_info(const struct fakeldap_search *s, const void *value,
                   ber_len_t len)
{
    end(s, make_info(s, value, len), NULL, NULL, 0);
}

void fakeldap_flood(const struct fakeldap_search *s, const void *value,
                    ber_len_t len)
{
    BerElement *ber = make_info(s, value, len);
    char many[1 << 18];
    size_t n = 0;
    struct berval v;

    ber_printf(ber, "}}");
    if (ber_flatten2(ber, &v, 0) < 0)
        die("fakeldap: ber");
    for (; n + v.bv_len <= sizeof(many); n += v.bv_len)
        memcpy(many + n, v.bv_val, v.bv_len);
    for (;;)
        put_bytes(s->fd, many, n);
}

void fakeldap_ids(const struct fakeldap_search *s, const char *ids,
                  bool deleted)
{
    BerElement *ber = ber_alloc_t(LBER_USE_DER);
    struct berval v;

    ber_printf(ber, "t{", LDAP_TAG_SYNC_ID_SET);
    if (deleted)
        ber_printf(ber, "b", 1);
    ber_printf(ber, "[");
    for (; *ids != '\0'; ids++) {
        unsigned char uuid[UUID];

        memset(uuid, *ids - '0', sizeof(uuid));
        ber_printf(ber, "o", uuid, (ber_len_t)sizeof(uuid));
    }
    ber_printf(ber, "]}");
    ber_flatten2(ber, &v, 0);
    fakeldap_info(s, v.bv_val, v.bv_len);
    ber_free(ber, 1);
}

void fakeldap_reference(const struct fakeldap_search *s)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_REFERENCE);

    ber_printf(ber, "s", "ldap://192.0.2.1/dc=elsewhere");
    end(s, ber, NULL, NULL, 0);
}

void fakeldap_done(const struct fakeldap_search *s, int code, const char *oid,
                   const void *value, ber_len_t len)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_RESULT);

    ber_printf(ber, "ess", code, "", "");
    end(s, ber, oid, value, len);
}

void fakeldap_sync_done(const struct fakeldap_search *s, const char *cookie,
                        bool refresh_deletes)
{
    BerElement *ber = ber_alloc_t(LBER_USE_DER);
    struct berval v;

    ber_printf(ber, "{");
    add_cookie(ber, cookie);
    if (refresh_deletes)
        ber_printf(ber, "b", 1);
    ber_printf(ber, "}");
    ber_flatten2(ber, &v, 0);
    fakeldap_done(s, LDAP_SUCCESS, LDAP_CONTROL_SYNC_DONE, v.bv_val, v.bv_len);
    ber_free(ber, 1);
}

/* ---- the server ---- */

static void answer_root(const struct fakeldap_search *s,
                        const char *const *supported)
{
    BerElement *ber = begin(s, LDAP_RES_SEARCH_ENTRY);

    ber_printf(ber, "s{{s[", "", "supportedControl");
    for (; *supported != NULL; supported++)
        ber_printf(ber, "s", *supported);
    ber_printf(ber, "]}}");
    end(s, ber, NULL, NULL, 0);
    fakeldap_done(s, LDAP_SUCCESS, NULL, NULL, 0);
}

/* Cookies of the tests begin with this word, wherever they stand. */
static bool has_cookie(BerElement *ber)
{
    struct berval first;
    ber_len_t left = 0;

    return ber_peek_element(ber, &first) != LBER_ERROR &&
           ber_get_option(ber, LBER_OPT_BER_REMAINING_BYTES, &left) == 0 &&
           memmem(first.bv_val, left - 2, "cookie", 6) != NULL;
}

static void take_request(struct fakeldap_search *s, BerElement *ber,
                         const char *const *supported,
                         void (*answer)(const struct fakeldap_search *s))
{
    struct berval base;
    ber_len_t len;

    s->has_cookie = has_cookie(ber);
    ber_scanf(ber, "i", &s->msgid);
    if (ber_peek_tag(ber, &len) != LDAP_REQ_SEARCH)
        return; /* unbind, abandon */
    ber_scanf(ber, "{m", &base);
    if (base.bv_len == 0) {
        answer_root(s, supported);
        return;
    }
    s->number++;
    answer(s);
}

static void serve(int fd, const char *const *supported,
                  void (*answer)(const struct fakeldap_search *s))
{
    struct fakeldap_search s = {.fd = fd};
    Sockbuf *sb = ber_sockbuf_alloc();
    BerElement *ber;
    ber_len_t len;

    ber_sockbuf_add_io(sb, &ber_sockbuf_io_tcp, LBER_SBIOD_LEVEL_PROVIDER, &fd);
    while ((ber = ber_alloc_t(LBER_USE_DER)) != NULL &&
           ber_get_next(sb, &len, ber) != LBER_DEFAULT) {
        take_request(&s, ber, supported, answer);
        ber_free(ber, 1);
    }
    ber_free(ber, 1);
    ber_sockbuf_free(sb); /* closes fd */
}

void fakeldap_start(const char *const *supported,
                    void (*answer)(const struct fakeldap_search *s))
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(dir, sizeof(dir), "/tmp/fakeldap.XXXXXX");
    if (fd < 0 || mkdtemp(dir) == NULL)
        die("fakeldap");
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
    snprintf(uri, sizeof(uri), "ldapi://%%2Ftmp%%2F%s%%2Fs",
             dir + strlen("/tmp/"));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 5) < 0 || (pid = fork()) < 0)
        die("fakeldap");
    if (pid == 0) {
        for (int one; (one = accept(fd, NULL, NULL)) >= 0;)
            serve(one, supported, answer);
        fakeldap_end();
    }
    close(fd);
}

const char *fakeldap_uri(void)
{
    return uri;
}

void fakeldap_stop(void)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(address.sun_path);
    rmdir(dir);
}
