/* Shared by the files of this room, the only one that sees all siblings. */

#ifndef HANDLE_H
#define HANDLE_H

#include <limits.h>
#include <sys/stat.h>
#include <mxhop/mxhop.h>
#include "conf/conf.h"
#include "handle/probe.h"
#include "dns/ration.h"
#include "dns/worker.h"
#include "model/key.h"
#include "model/rules.h"
#include "route/decide.h"
#include "cache/cache.h"
#include "cache/cache_file.h"
#include "overrides/ovtable.h"
#include "policy/store.h"
#include "util/log.h"

/* What is open to notice that it changes, or is removed (placed.c). */
struct watched {
    int fd; /* -1: nothing */
    struct stat seen;
};

/* A file that others replace, and whoever uses it has open (placed.c). */
struct placed {
    int above_fd;        /* of a directory above the file's, O_PATH; or -1 */
    char *name;          /* the file's path from there */
    struct stat seen;    /* the file in use, or that cannot be; or zero */
    struct watched link; /* in the place of the file's directory */
    uint64_t looked_ms, tried_ms;
};

/* By who uses it. */
struct mxhop {
    /* From configuration and host; nobody changes it after mxhop_open(), but
       for machine.c. */
    struct conf conf;
    struct rules rules; /* points into conf and the host_* copies */
    struct mxhop_host host;
    char *host_names, *host_addresses, *host_reason, *host_cache_owner;
    char *host_own_domains;
    bool addresses_due; /* own addresses are this machine's, not yet read */
    struct log log;
    enum answer_mode answer; /* with auto resolved */
    bool answer_auto;        /* it was auto */
    uint32_t budget_ms;
    unsigned tls_wanted; /* TLS_WANT_...: to be known beside MX set and hosts */

    struct { /* mxhop.c: the configuration, as it was read */
        struct watched file;
        struct watched link; /* the symbolic link in its place */
    } config;

    struct probe_as as; /* lookup.c; zero but in the command */

    struct {                 /* text.c */
        uint64_t rules_hash; /* of all that routes are made from; 0: not yet */
        struct buf last;     /* the last answer of mxhop_text() */
    } text;

    struct {                            /* cachefile.c, facts.c, learn.c */
        struct cache *cache;            /* from the first lookup on; or NULL */
        struct cache_view *view;        /* of the thread that calls us */
        struct cache_view *worker_view; /* of the worker's, or NULL */
        struct cache_place place; /* of the shared cache, if there is one */
        bool opened;              /* or tried to */
        const char *dir; /* NULL: cache = memory or none, or it failed */
        _Atomic uint64_t unwritten_ms; /* nothing was written since; or 0 */
        bool unwritten_said;
        uint64_t touched_ms; /* the first touch since the last writing; 0 */
    } store;

    struct { /* ask.c, servers.c */
        struct worker *worker;
        struct engine *engine; /* without worker: handle_resolver() */
        struct resolver *resolver;
        bool heard_out; /* without worker: a server that others found gone */
        struct ration ration;
        struct stat resolv_conf, root; /* to notice a change, and a jail */
        uint64_t resolv_checked_ms;
    } dns;

    struct { /* table.c; unused where the parameter overrides is empty */
        struct ovtable *table; /* NULL: not opened yet, or it cannot be used */
        struct placed placed;
        bool bad; /* said so in the log */
        struct mxhop_error err;
    } overrides;

    struct {                 /* tls.c; unused where mta_sts = off */
        struct store *store; /* NULL: not opened yet, or it cannot be used */
        struct placed placed;
        bool bad;     /* said so in the log */
        bool unheard; /* mxhop-tls does not listen: said so in the log */
        int want_fd;  /* to tell it; or -1 */
        struct {
            uint64_t hash, at_ms;
        } wanted[64]; /* what it was told of lately */
    } tls;
};

enum sts_stored {
    STS_OFF,      /* not looked for: mta_sts = off, or exempt */
    STS_NO_STORE, /* nothing is known of any domain */
    STS_ABSENT,   /* the service has not answered for it yet */
    STS_STORED
};

/* What TLS makes of one domain. */
struct tls_facts {
    const char *visible; /* why the MTA must see it; or NULL. The host's */
    enum sts_stored stored;
    struct store_entry entry; /* STS_STORED */
    uint64_t made_of; /* of all above, what a finished answer depends on */
    /* With mta_sts = enforce and what DNS says: */
    const struct sts_policy *policy; /* in force, of mode enforce; or NULL */
    bool open;                       /* there may be one */
};

/* Everything that one lookup found out, for the route and for the trace. */
struct lookup {
    struct mxhop *mx;
    const char *asked;
    struct key key;
    bool fell_through; /* recipient without override: now its domain */
    int64_t now_s;
    uint64_t deadline_ms;

    enum mxhop_local local;
    enum { TABLE_UNUSED, TABLE_OK, TABLE_BAD } table;
    struct mxhop_error table_err;
    struct ovtable_info info;
    struct override override; /* dn NULL: none */
    char *matched;            /* the key or exchange it was found under */
    bool by_exchange;
    struct override *also; /* by exchange, of mode exclude: beside override */
    size_t n_also;
    char *idle;     /* DN of an exclude that excludes nothing here, or NULL */
    int64_t edge_s; /* wall time from which on another override may apply, by
                       key or by exchange */

    struct tls_facts tls;

    bool asked_dns; /* the MX set was needed */
    bool cold;      /* and not known in time: `set` does not count */
    bool vague;     /* it is known, but of some host nothing in time */
    enum mxhop_cache_state cache_state;
    struct cache_entry_state entry;
    struct mxset set;
    struct hop_facts *facts; /* override.n_hops */

    struct decision decision;

    /* The result. */
    enum mxhop_disposition disposition;
    const char *status;
    char reason[256];
    uint32_t ttl_s;
};

/* ---- machine.c: what this machine is called, and its addresses ---- */

/* "" where the host does not have MXHOP_THIS_MACHINE. */
void machine_name(const struct mxhop_host *host,
                  char name_r[HOST_NAME_MAX + 1]);
/* Before own addresses count: read them if they are this machine's. */
void machine_addresses(struct mxhop *mx);

/* ---- mxhop.c ---- */

/* Without worker: have mx->engine and mx->resolver, opened for the first name
   that the cache does not know. Not before handle_open_cache(). */
enum mxhop_status handle_resolver(struct mxhop *mx, struct mxhop_error *err);

/* ---- cachefile.c: which cache a handle has ---- */

/* Before a jail: where the shared cache is. Nothing in it is opened. What is
   wrong is logged, and the cache will be in memory. */
void handle_find_cache(struct mxhop *mx, const char *config);
/* Before the first lookup: fills mx->store, and tells the worker
   what others saw of the name servers. What is wrong with a shared cache is
   logged, and the cache is in memory; without memory for it there is none. */
void handle_open_cache(struct mxhop *mx);
void handle_close_cache(struct mxhop *mx);

/* ---- servers.c: name servers, as this process and others see them ---- */

size_t servers_here(const struct mxhop *mx,
                    struct engine_server servers_r[DNS_SERVERS_MAX]);
/* Another process, or this one, has lately found it open. */
bool servers_seen_open(const struct mxhop *mx, const char *address,
                       struct cache_server *s_r);
/* It says "open", and nobody has repeated that for too long. */
bool servers_report_is_old(const struct cache_server *s);
/* Take over what others see, before the first name is asked for. */
void servers_assume(struct mxhop *mx);
/* For engine_watch_servers(): tell the others, at the next flush. */
void servers_report(void *mx, const struct engine_server *s);

/* ---- learn.c: what the thread that runs the resolver tells the cache ---- */

extern const struct resolver_owner facts_owner_functions;
struct worker_store learn_store(struct mxhop *mx);
/* Something was put off: have it written, by the worker soon, or here. */
void learn_flush(struct mxhop *mx);
/* Say in the log, once, that the cache has not taken anything for some time,
   or that it does again. On the host's thread. */
void learn_report(struct mxhop *mx);

/* ---- ask.c: what the cache does not know ---- */

/* A question to the DNS: about a name, or (known) its hosts' addresses. */
struct ask {
    const char *name;
    const struct mxset *known; /* NULL: the MX set is asked for */
    unsigned flags;            /* of worker_domain() */
    bool wait;                 /* as the ration allows, */
    bool strange; /* that for names that strangers choose, known or not */
};

/* false: not known (now); *set_r is then empty. */
bool ask_dns(struct lookup *l, const struct ask *q, struct mxset *set_r);
/* Ask anew for a name that the cache has, in the background. Does nothing in a
   process without worker. */
void ask_refresh(struct mxhop *mx, const char *name);

/* ---- facts.c: what the cache and DNS say ---- */

/* Fill l->set, cold, cache_state, entry, once. `wait': as the ration allows. */
void facts_domain(struct lookup *l, bool wait);
/* Fill l->facts for the hops of l->override, once. Waits as the ration allows.
   false: out of memory. */
bool facts_hops(struct lookup *l);
/* Of a set the first hosts are examined. Where an override drops them, the
   decision has others, which are examined here; *again_r: there were some.
   Waits as the ration allows, and l->vague if that is too short. false: out of
   memory.
 */
bool facts_kept(struct lookup *l, bool *again_r);
/* Fill in what the cache knows of the hosts worth examining. What there is to
   be done, 0 if nothing: */
#define FACTS_DUE 0x1u /* something is to be asked for, */
#define FACTS_VAGUE                                        \
    0x2u /* without which a host is not known: none of its \
            families has an address, and not all have none; */
#define FACTS_TLS                                              \
    0x4u /* what is wanted about TLS is not known, or was true \
            too long ago */
unsigned facts_missing(const struct mxhop *mx, struct cache_view *view,
                       struct mxset *set);
/* A domain was answered from the cache: what that leaves to be done. */
#define FACTS_PENDING_MAX 256  /* touches are written when more wait, */
#define FACTS_PENDING_MS  2000 /* or one that has waited for so long */
void facts_used(struct mxhop *mx, const char *domain, bool refresh_due,
                bool once);

/* ---- placed.c: files that others replace ---- */

/* Between two looks at one that can be used; and so often at least one is tried
   that cannot. With a refresh before it, a change is in force in a second. */
#define PLACED_LOOK_MS 600

/* Before a jail is entered: note where `file`, the value of `param`, is. */
enum mxhop_status placed_find(struct placed *p, const char *param,
                              const char *file, struct mxhop_error *err);
void placed_leave(struct placed *p);
/* Look for it. true: it is to be opened anew (in_use NULL: none is); p->seen is
   then what was seen. */
bool placed_look(struct placed *p, const struct fixed *in_use, uint64_t now_ms);
bool placed_is_same(const struct stat *a, const struct stat *b);
/* A link is watched itself: what it leads to may be out of a jail's reach. To
   be called before it is followed, or one that is turned meanwhile goes unseen.
   Nothing is watched where there is no link. */
void watched_link(struct watched *w, const char *path);
void watched_leave(struct watched *w);
bool watched_has_changed(const struct watched *w);
/* Whether its name leads elsewhere by now, to where a jail has no way: only who
   opens it anew gets there. */
bool placed_is_led_away(const struct placed *p);

/* ---- table.c: the override table ---- */

/* Before a jail is entered: note where it is. */
enum mxhop_status table_place(struct mxhop *mx, struct mxhop_error *err);
void table_leave(struct mxhop *mx);
/* What lies under its name now; NULL with the reason in mx->overrides.err. One
   system call a second, and one a call while it cannot be used. */
struct ovtable *table_now(struct mxhop *mx, uint64_t now_ms);
/* It gave a record that is damaged: whether that is because another file has
   taken its place meanwhile, which is to be asked then. */
bool table_is_another(struct mxhop *mx);
/* Say in the log that it cannot be used, for mx->overrides.err, or that it can
   be again: one line a change. */
void table_say(struct mxhop *mx, bool bad);

/* ---- tls.c: MTA-STS, and domains that the host must see ---- */

/* Before a jail is entered: note where the store is, and have a socket. */
enum mxhop_status tls_place(struct mxhop *mx, struct mxhop_error *err);
void tls_leave(struct mxhop *mx);
/* All that does not depend on DNS. To be followed by tls_forget(). */
void tls_look(struct mxhop *mx, const char *domain, bool local, uint64_t now_ms,
              struct tls_facts *t_r);
/* The same for who wants to know made_of: without the policy's patterns, and
   there is nothing to forget. */
void tls_glance(struct mxhop *mx, const char *domain, bool local,
                uint64_t now_ms, struct tls_facts *t_r);
void tls_forget(struct tls_facts *t);
/* Once the MX set is known: policy, open; asks for a policy to be fetched. */
void tls_judge(struct lookup *l);
/* The same, also while it is not. */
void tls_weigh(struct lookup *l);
/* Tell the service, but not of one domain all the time. */
void tls_want(struct mxhop *mx, const char *domain);
/* After the decision: no host is in the policy, so perhaps it has changed. */
void tls_mismatch(struct lookup *l);
/* How long what it was decided from holds, of the rest nothing. */
uint32_t tls_ttl_s(const struct lookup *l);
/* Nothing that may be known any moment made the decision. */
bool tls_is_settled(const struct lookup *l);

/* ---- ststransport.c: Exim, where a transport verifies ---- */

/* Once the configuration is read: which classes there are. */
void ststransport_begin(struct mxhop *mx);
/* After tls_judge(): for a policy, if there may be one. */
void ststransport_wait(struct lookup *l);
/* After the decision: there may still be one, and mail is not to go without. */
bool ststransport_defers(const struct lookup *l);
/* The transport of a domain with a policy; NULL: any. */
const char *ststransport_name(const struct lookup *l);
/* ---- waiters.c: who waits for policies ---- */

/* -1: this process must not wait for the domain's policy. Else a descriptor for
   the other two. Not before handle_open_cache(). */
int waiters_enter(const struct mxhop *mx, const char *domain);
/* false: its time is over, or others are to wait in its place. */
bool waiters_may_stay(const struct mxhop *mx, int fd, const char *domain);
/* In vain: it is not waited for again soon. */
void waiters_leave(const struct mxhop *mx, int fd, const char *domain,
                   bool in_vain);

/* ---- find.c: which overrides apply ---- */

enum mxhop_status find_by_key(struct lookup *l, struct ovtable *table);
/* Not while the MX set is cold. What stands under its exchanges takes the place
   of what stands under `*`, or of nothing; excludes hold beside it. */
enum mxhop_status find_by_exchange(struct lookup *l, struct ovtable *table);
/* After the MX set was asked for: an exclude of hosts that this domain does not
   have changes nothing. */
void find_forget_idle(struct lookup *l);
void find_forget(struct lookup *l); /* the override, and what goes with it */

/* ---- lookup.c ---- */

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* false: out of memory. Always to be followed by lookup_free(). */
bool lookup_run(struct lookup *l, struct mxhop *mx, const char *key,
                unsigned flags);
void lookup_free(struct lookup *l);
/* The route as the caller gets it (answer.c); NULL: out of memory. */
struct mxhop_route *route_from_lookup(const struct lookup *l);
/* Whether local_domains, or else the host, says that the MTA delivers it. */
enum mxhop_local lookup_is_local(const struct mxhop *mx, const char *domain);
/* The MTA must see the domain unless an override applies; without overrides by
   MX host that needs no DNS query, but for MTA-STS to be learnt. */
bool lookup_only_overrides(const struct mxhop *mx, const struct tls_facts *t);

/* ---- text.c: the hot path ---- */

enum keep {
    KEEP_NOT,
    KEEP_BY_DOMAIN, /* no override stands under the key */
    KEEP_BY_KEY,    /* some do, active or not */
    KEEP_BY_STAR,   /* only those do that stand under `*` */
    KEEP_BY_LOCAL   /* of a local domain: some stand under exactly this key */
};

/* Of what finished answers in a format are made, besides rules that
   text_rules_hash() knows: the set of overrides, or where none stands under
   the key, what of it may concern any domain; and tls_facts.made_of. */
uint64_t text_made_of(const struct mxhop *mx, const struct ovtable_info *info,
                      enum mxhop_format format, enum keep by, uint64_t tls);

/* ---- keep.c: what a lookup leaves behind ---- */

/* Keep the text (NULL: the format has no words) if a later lookup may get it.
 */
void keep_text(const struct lookup *l, enum mxhop_format format, enum keep by,
               const char *text);

#endif
