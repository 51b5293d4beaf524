/*
 * mxhop/mxhop.h - ordered next hops for a recipient domain.
 *
 * A program opens a handle on a configuration file, asks it for routes, and
 * renders a route in the words of its mail transfer agent:
 *
 *     struct mxhop *mx;
 *     struct mxhop_route *route;
 *     struct mxhop_error err;
 *     char *text;
 *
 *     if (mxhop_open(&mx, MXHOP_DEFAULT_CONFIG, NULL, &err) != MXHOP_OK)
 *         die("%s", err.text);
 *     if (mxhop_lookup(mx, "example.com", 0, &route, &err) != MXHOP_OK)
 *         die("%s", err.text);
 *     if (mxhop_render(mx, route, MXHOP_FORMAT_POSTFIX, &text, &err) ==
 * MXHOP_OK) puts(text ? text : "(pass)"); free(text); mxhop_route_free(&route);
 *     mxhop_close(&mx);
 *
 * Threads: a handle is for one thread at a time; several handles may be used
 * by several threads. With MXHOP_WORKER a handle owns one thread of its own,
 * which it ends in mxhop_close().
 *
 * Signals and streams: the library never prints, exits, aborts, changes
 * directory or installs a signal handler. What an administrator should know
 * goes to the host's log function, one line a state change.
 *
 * Fork: a handle must not be used in a child process of the one that opened
 * it.
 */

#ifndef MXHOP_MXHOP_H
#define MXHOP_MXHOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include <mxhop/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MXHOP_API   __attribute__((visibility("default")))
#define MXHOP_CHECK __attribute__((warn_unused_result))
#else
#define MXHOP_API
#define MXHOP_CHECK
#endif

#define MXHOP_DEFAULT_CONFIG "/etc/mxhop/mxhop.cf"

/* An open configuration with its cache, override table and DNS. Opaque. */
struct mxhop;

/* Severity of a log line, in the order of syslog(3). */
enum mxhop_log_level { MXHOP_LOG_WARN, MXHOP_LOG_INFO };

/* What a host's is_local function answers. */
enum mxhop_local {
    MXHOP_LOCAL_NO,
    MXHOP_LOCAL_YES,
    MXHOP_LOCAL_ERROR /* not known now: as YES */
};

/* Flags of struct mxhop_host. */
#define MXHOP_WORKER 0x1u /* DNS runs in a thread; lookups wait little */
#define MXHOP_THIS_MACHINE                                      \
    0x2u /* own_names and own_addresses that are NULL are those \
            of this machine: its host name, all its addresses */
#define MXHOP_FINDS_ITSELF                                         \
    0x4u /* the MTA ends a list at a host that is this machine: of \
            own_addresses only those are needed that overrides may \
            name */
#define MXHOP_STS_TRANSPORT                                         \
    0x10u /* a transport holds hosts to class STS: the one that     \
             exim_sts_transport names, if any. Lookups may wait for \
             a policy */

#define MXHOP_POLICIES                                        \
    0x8u /* only mxhop_tls_text() will be asked, perhaps in a \
            jail that is entered after mxhop_open() */

/* visible_if of struct mxhop_host. */
#define MXHOP_VISIBLE_UNSIGNED 0x1u /* its MX records are not signed */
#define MXHOP_VISIBLE_REPORTED \
    0x2u /* it publishes at _smtp._tls where reports go (TLSRPT) */

/*
 * What the embedding program knows and the library cannot. Every member may
 * be zero. Strings and the struct are copied by mxhop_open(); ctx and the
 * functions must stay valid until mxhop_close(), and are called only on the
 * thread that calls the library.
 */
struct mxhop_host {
    unsigned flags;
    void *ctx;
    void (*log)(void *ctx, enum mxhop_log_level level, const char *line);

    /*
     * Whether the MTA delivers `domain` (normalised, A-label) itself: the
     * answer is then pass, unless an override is for exactly this key. Used
     * where the parameter local_domains is empty.
     */
    enum mxhop_local (*is_local)(void *ctx, const char *domain);

    /*
     * NULL, or why the MTA must see the domain itself: with `answer = auto`
     * only domains that an override changed then get a list. The text goes
     * to the log once.
     */
    const char *visible_reason;

    /*
     * Which classes the MTA holds hosts of a list to: 1 << the value of enum
     * mxhop_tls_class. Those of an MX set are of no other class; without any a
     * domain that has an MTA-STS policy passes.
     */
    unsigned tls_classes;

    /* When the MTA must see a domain although there is no visible_reason:
       always in some states of DNS, and domains of which visible_domain says
       why. Its text is valid until the next call; NULL: it need not. */
    unsigned visible_if;
    const char *(*visible_domain)(void *ctx, const char *domain);
    /* Comma or space separated names, `.parent' among them, with which the MTA
       is less strict about TLS. It must see a domain that is one of them if a
       host of it is not, and the other way round. May be empty. */
    const char *own_domains;

    /* For mxhop_tls_text(): how many processes with this configuration may wait
       for policies at a time, for longer than any other delivery takes. */
    unsigned waiters_max;

    /* Comma or space separated; used where the parameter is empty. */
    const char *own_names;        /* host names of this MTA */
    const char *own_addresses;    /* IP addresses of this MTA */
    const char *address_families; /* "ipv4", "ipv6" or both */

    /*
     * The user that this process runs lookups as, where it is root now and
     * will not be then; used where the parameter cache_owner is empty. NULL:
     * the user that it is. A process that is root at its first lookup does
     * not use a shared cache of another user.
     */
    const char *cache_owner;
};

enum mxhop_disposition {
    MXHOP_PASS,   /* no opinion: the MTA's own routing applies */
    MXHOP_ROUTE,  /* try the hops, in order */
    MXHOP_REJECT, /* permanent failure, with text */
    MXHOP_DEFER   /* temporary failure, with text */
};

/* Where the DNS part of a route came from. */
enum mxhop_cache_state {
    MXHOP_CACHE_NONE, /* no DNS answer was needed, or none was had */
    MXHOP_CACHE_HIT,
    MXHOP_CACHE_MISS, /* asked for now */
    MXHOP_CACHE_STALE /* past its TTL, served under RFC 8767 */
};

/*
 * How a host of the MX set has to prove who it is, whatever the MTA asks of
 * hosts otherwise. Hops of overrides are of no class: what holds for them the
 * administrator says in the MTA's own tables.
 */
enum mxhop_tls_class {
    MXHOP_TLS_NONE, /* as the MTA does by itself */
    MXHOP_TLS_STS,  /* a certificate for the host's name, of a CA that is
                       trusted: an MTA-STS policy (RFC 8461) in mode enforce */
    MXHOP_TLS_DANE  /* as its TLSA records say (RFC 7672) */
};

/* One host to try. */
struct mxhop_hop {
    const char *host;    /* host name, or IP address without brackets */
    const char *source;  /* "dns", or the DN of the override */
    uint16_t port;       /* 1 to 65535, 0: the transport's own (smtp: 25) */
    uint16_t preference; /* lower first, RFC 5321 section 5.1 */
    bool is_address;     /* host is an IP address */
    bool starts_group;   /* less preferred than the hop before it */
    bool unresolved;     /* its address lookup failed: it may have some */
    enum mxhop_tls_class tls_class; /* Postfix: [host]:025 is STS, [host]:0025
                                       DANE, for the table mxhop_tls */
};

/* The decision about one key. Belongs to the caller, who frees it with
   mxhop_route_free(); everything it points to lives as long as it does. */
struct mxhop_route {
    const char *key;    /* as asked */
    const char *domain; /* normal form, "" if the key has none */
    enum mxhop_disposition disposition;
    const char *reason;    /* why; for reject and defer the text for the
                              sender, printable ASCII, without status code */
    const char *status;    /* enhanced status code (RFC 3463) of reject and
                              defer, else "" */
    const char *transport; /* transport to use, "" for the MTA's default; of
                              pass only with an override */
    const struct mxhop_hop *hops; /* in the order to try; MXHOP_ROUTE only */
    size_t n_hops;
    const char *override; /* DN of the override that applied, or NULL. Pass
                             with an override ends the MTA's search */
    enum mxhop_cache_state cache;
    uint32_t ttl_s; /* how long this answer holds, 0: do not keep it */
    bool secure;    /* every DNS answer in it was authenticated (AD) */
    bool by_domain; /* this domain gets a queue of its own (group) */
    bool local;     /* the MTA delivers this domain itself, and an override for
                       exactly this key says otherwise */
    bool stopper;   /* the last hop may turn out to have no address: Postfix
                       would bounce, and gets one more that nobody is at, so
                       that the mail waits */
    bool only_ipv6; /* address_families has no ipv4 */
    const char *defer_service; /* Postfix's, for MXHOP_DEFER */
};

/* Flags of mxhop_lookup() and mxhop_explain(). */
#define MXHOP_ADDRESS                                     \
    0x1u /* a recipient without override of its own falls \
            through to its domain, as an MTA would ask */
#define MXHOP_EXPLAIN_JSON \
    0x2u /* mxhop_explain(): one JSON object on one line */

/*
 * Open the configuration file `config`. `host` may be NULL. On success
 * *mx_r is to be closed with mxhop_close(). Blocks for file input only.
 * Errors: MXHOP_ERR_CONFIG with file, line and what was expected;
 * MXHOP_ERR_MEMORY. A missing override table or name server is not an error
 * here: it is logged, and each lookup says what it means for it.
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_open(struct mxhop **mx_r, const char *config,
           const struct mxhop_host *host, struct mxhop_error *err);

/* Close *mx and set it to NULL; NULL is allowed. Ends the worker thread;
   waits for it at most 50 ms beyond the step it is in. */
MXHOP_API void mxhop_close(struct mxhop **mx);

/*
 * Decide about `key`: a domain, or a recipient address user@domain. A key
 * that is neither (address literal, `.parent`, `*`, empty, malformed) is
 * answered MXHOP_PASS without DNS; it is never an error.
 *
 * Blocking: at most the parameter lookup_budget; with MXHOP_WORKER also at
 * most wait_share of any ten seconds.
 *
 * DNS, cache and directory faults are dispositions, not errors: the only
 * error is MXHOP_ERR_MEMORY, and the MTA should then do what it would do
 * without mxhop.
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_lookup(struct mxhop *mx, const char *key, unsigned flags,
             struct mxhop_route **route_r, struct mxhop_error *err);

/* Free *route and set it to NULL; NULL is allowed. */
MXHOP_API void mxhop_route_free(struct mxhop_route **route);

enum mxhop_format {
    MXHOP_FORMAT_TEXT,     /* for people, several lines */
    MXHOP_FORMAT_JSON,     /* one object, one line */
    MXHOP_FORMAT_POSTFIX,  /* right-hand side of transport(5) */
    MXHOP_FORMAT_EXIM,     /* manualroute host list, `;` separated */
    MXHOP_FORMAT_EXIM_FATE /* redirect data: `:fail: ...`, `:defer: ...` */
};

/*
 * Render `route`. *text_r is the caller's to free(3), without a final
 * newline; NULL where the format has no words for the disposition (the
 * MTA's "not found": pass without override in Postfix; everything but a route
 * in Exim, and a route and pass in EXIM_FATE).
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_render(const struct mxhop *mx, const struct mxhop_route *route,
             enum mxhop_format format, char **text_r, struct mxhop_error *err);

/*
 * mxhop_lookup() and mxhop_render() in one, for hosts that ask often: a cached
 * answer costs no system call, no allocation, and is not rendered again.
 * *text_r is as mxhop_render() says, but belongs to the handle and is valid
 * until its next use.
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_text(struct mxhop *mx, const char *key, enum mxhop_format format,
           const char **text_r, struct mxhop_error *err);

/* Flags of mxhop_tls_text(). */
#define MXHOP_TLS_STS_WORDS                                    \
    0x1u /* Postfix 3.10.5 and later: it is told that a policy \
            is one of MTA-STS, and matches the hosts itself */

/*
 * What holds for a domain that the MTA routes by itself, for a handle with
 * MXHOP_POLICIES: its MTA-STS policy, or DANE, in the words of Postfix's
 * smtp_tls_policy_maps, as far as tls_classes has what they need. *text_r
 * belongs to the handle and is valid until its next use; NULL: nothing holds,
 * which is so for everything that is not a domain, too.
 *
 * Blocking: lookup_budget for DNS, and mta_sts_wait where the domain may have a
 * policy that was not fetched yet. MXHOP_ERR_TIMEOUT: that is so after that
 * time, and mail has to wait (on_sts_unknown = defer).
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_tls_text(struct mxhop *mx, const char *domain, unsigned flags,
               const char **text_r, struct mxhop_error *err);

/* Whether MTA-STS policies are kept to; if not, mxhop_tls_text() finds nothing
   for any domain. */
MXHOP_API int mxhop_keeps_policies(const struct mxhop *mx);

/*
 * mxhop_lookup() that also explains every step, in text of at most 80 columns
 * (single words that are longer excepted). *text_r is the caller's to free(3),
 * *route_r to mxhop_route_free(); both are NULL on error.
 */
MXHOP_API MXHOP_CHECK enum mxhop_status
mxhop_explain(struct mxhop *mx, const char *key, unsigned flags,
              struct mxhop_route **route_r, char **text_r,
              struct mxhop_error *err);

/*
 * Whether a long-lived host should reopen the handle: the configuration file
 * has changed, also where its modification time does not tell, or where its
 * name was a symbolic link, that was, or a link now leads to another directory
 * of the override table or the TLS store. Also in a jail. Costs a few system
 * calls; every few seconds is enough. Another override table is noticed by the
 * handle itself, within a second.
 */
MXHOP_API int mxhop_outdated(const struct mxhop *mx);

/*
 * Whether a configuration file that mxhop_open() refused may ask for overrides.
 * If so, a host that goes on without mxhop sends mail where an override forbids
 * it. 0 only if the file can be read and says plainly that there are none.
 */
MXHOP_API int mxhop_may_override(const char *config);

/*
 * Whether a configuration file that mxhop_open() refused may ask for MTA-STS
 * policies to be kept to. If so, a host that goes on without mxhop delivers
 * without the policy. 0 only if the file can be read and plainly does not.
 */
MXHOP_API int mxhop_may_keep_policies(const char *config);

#ifdef __cplusplus
}
#endif

#endif
