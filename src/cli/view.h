/* What main.cf has to say: the view of the table inside Postfix. */

#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <mxhop/mxhop.h>
#include "cli/postconf.h"
#include "model/key.h"
#include "util/buf.h"

struct view_options {
    bool plain;           /* --no-main-cf */
    const char *instance; /* --instance, or NULL */
};

/* Rows of a struct option, for getopt_long(3). */
#define CLI_VIEW_OPTIONS                         \
    {"no-main-cf", no_argument, NULL, 'n'},      \
    {                                            \
        "instance", required_argument, NULL, 'i' \
    }
/* Whether opt is one of them; optarg is taken. */
bool view_option(int opt, struct view_options *o);

#define VIEW_WHY   256
#define VIEW_KNOWN 64 /* domains asked about last */

struct view_pattern; /* of a list of domains */

struct view {
    bool taken; /* main.cf asks the table: all below is filled in */
    bool plain; /* nobody wants to know about main.cf */
    struct postconf postfix;
    struct postfix_config config;
    char *table, *ours; /* the file as main.cf names it; the whole word */
    char reason[512];   /* why Postfix must see the domains; or "" */
    struct guard_by_domain by_domain;
    char visible[512]; /* the last domain that it must see: why */
    char *own_addresses;
    const char *families;
    struct view_list {
        struct view_pattern *v;
        size_t n, cap;
        bool parents; /* a name stands for its subdomains, too */
    } lists[N_LISTS];
    char why[VIEW_WHY]; /* the last domain was local: the list that says so */
    struct view_known {
        char domain[NAME_MAX_TEXT + 1]; /* "": free */
        char why[VIEW_WHY];
        enum mxhop_local answer;
    } known[VIEW_KNOWN];
    size_t next_known;
    bool complained;   /* of a table that cannot be asked */
    char skipped[512]; /* why it is not taken; or "" */
};

/*
 * Take the view of main.cf if it asks the table with this configuration. An
 * exit status: 0, or after a complaint about the instance that was asked for.
 * What fails otherwise is a warning, and the view is not taken. To be called as
 * whoever we are, and before there are threads. view_free() in any case.
 */
int view_take(struct view *v, const char *config,
              const struct view_options *options);
void view_free(struct view *v);

/* Open a handle that logs to standard error, with the view where it is taken,
   and deciding as of at_s (0: now); NULL after a complaint, with *status_r the
   exit status. *v must outlive it. The configuration is read here. Where we are
   root, the process is the user whose the shared cache is, if there is one,
   from then on. */
struct mxhop *cli_open_in_view(const char *config, struct view *v, int64_t at_s,
                               int *status_r);

/* As smtp(8) has it for the table mxhop_tls, which asks for domains; but
   without waiting for policies. After one of the above. */
struct mxhop *cli_open_for_policies(const char *config, struct view *v,
                                    int *status_r);

/* The same as whoever we are. */
struct mxhop *cli_open_to_check(const char *config, struct view *v,
                                int *status_r);

/* What the library gets from it, where it is taken. Points into *v. */
void view_host(struct view *v, struct mxhop_host *host);

/* ---- view_local.c ---- */

/* false: out of memory. */
bool view_open_lists(struct view *v);
void view_close_lists(struct view *v);
/* A function of struct mxhop_host, ctx: struct view. */
enum mxhop_local view_is_local(void *ctx, const char *domain);

/* Whether a table compares keys. Tables of patterns see a whole name only. */
bool view_table_is_fixed(const char *table);

/* ---- view_policy.c ---- */

/* How a value of smtp_tls_policy_maps names mxhop_tls. Behind proxy: it answers
   for hosts of lists only. */
enum view_tls { VIEW_TLS_ABSENT, VIEW_TLS_PROXIED, VIEW_TLS_NAMED };
enum view_tls view_names_tls(const struct view *v, const char *policy_maps);

#define VIEW_POLICY_WHY 512
/* What smtp(8) gets from it for a domain that Postfix routes itself: the policy
   (empty: not found), and why. false: it is not asked for any. */
bool view_policy(struct view *v, const char *config, const char *domain,
                 struct buf *policy_r, char why_r[VIEW_POLICY_WHY]);

/* ---- view_tables.c ---- */

/* What our own table says to a key, to be freed, or NULL. */
struct view_asker {
    char *(*ask)(void *ctx, const char *key);
    void *ctx;
};

/*
 * What transport_maps answers for an address or a domain, table by table, in
 * the order in which trivial-rewrite(8) asks. In lines of text, or as the
 * elements of a JSON array. false: out of memory.
 */
bool view_tables(struct view *v, const char *key, struct view_asker ours,
                 bool json, struct buf *out);

#endif
