/*
 * mxhop/postfix.h - what main.cf and master.cf mean for mxhop
 *
 * For our own programs, which link the library statically and must not differ:
 * the table inside Postfix, and the command that says what it answers. Not
 * installed, and not exported from the shared library.
 */

#ifndef MXHOP_POSTFIX_H
#define MXHOP_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>

#define TABLE_TYPE     "mxhop"
#define TLS_TABLE_TYPE "mxhop_tls" /* for smtp_tls_policy_maps */

/* How a program finds out about a Postfix instance. Texts that a function
   returns are valid until its next call. */
struct postfix_config {
    void *ctx;
    const char *table; /* FILE, where main.cf says mxhop:FILE */

    /*
     * A parameter, every $name in it expanded. Where main.cf does not set it:
     * its default, or NULL. A parameter of smtp(8) is never given by default,
     * for Postfix's own defaults are no reason to do anything.
     */
    const char *(*param)(void *ctx, const char *name);
    const char *(*expand)(void *ctx, const char *text); /* $name in it */
    /* As main.cf sets it, NULL: it does not. Valid as long as ctx. */
    const char *(*raw)(void *ctx, const char *name);
};

/* ---- guards.c ---- */

/* What remains to be looked at domain by domain. */
struct guard_by_domain {
    unsigned classes; /* POSTFIX_CLASS_...: hosts of a list can have them */
    bool unsigned_mx; /* it must see domains whose MX records are not signed, */
    bool reports;     /* those that publish where reports of TLS go */
    char tables[2048];     /* and the domains that one of these has, or has a
                              .parent of; may be empty */
    char own_domains[600]; /* as in struct mxhop_host */
};

/* Why Postfix must see the domains that the table is asked about (answer =
   auto). False if there is no reason; else it is in `text`, for people. */
bool guard_reason(const struct postfix_config *pf, struct guard_by_domain *d_r,
                  char *text, size_t size);

/* ---- classes.c: policy classes of hosts in a list ---- */

/* `[h]:025' is verified by the name of the host, `[h]:0025' is dane-only. */
#define POSTFIX_CLASS_STS  1U
#define POSTFIX_CLASS_DANE 2U

/*
 * Which classes every smtp(8) of this Postfix can honour, as a set in
 * *classes_r; DANE only together with STS. True: both. Else `why` names the
 * parameter (and the service) that rules out the first that is missing.
 */
bool postfix_tls_classes(const struct postfix_config *pf, unsigned *classes_r,
                         char *why, size_t size);
/* Which of them this process can honour, where Postfix finds the hosts itself:
   what other services are like does not matter then. */
unsigned postfix_own_tls_classes(const struct postfix_config *pf);

/* ---- lists.c: the domains that Postfix delivers itself ---- */

enum postfix_list_id {
    LIST_MYDESTINATION,
    LIST_VIRTUAL_ALIAS,
    LIST_VIRTUAL_MAILBOX,
    LIST_RELAY, /* empty if the hosts of a list may replace relay_transport */
    N_LISTS
};

extern const char *const postfix_list_names[N_LISTS];
/* Its value, "" if it is empty or not known; valid until the next call. */
const char *postfix_list_value(const struct postfix_config *pf,
                               enum postfix_list_id id);
/* Whether parameter `name` is among parent_domain_matches_subdomains: a domain
   in it then stands for its subdomains, too. */
bool postfix_parent_style(const struct postfix_config *pf, const char *name);

/* ---- address.c ---- */

/* Without the extension that recipient_delimiter divides; false: it has none.
 */
bool postfix_strip(const struct postfix_config *pf, const char *address,
                   char *out, size_t size);

/* ---- master_cf.c ---- */

struct master_option {
    const char *name, *value; /* of -o name=value; $name not expanded */
};

struct master_service {
    const char *name, *type; /* such as "smtp", "unix" */
    const char *limit;       /* of processes: a number, or `-' */
    const char *command;     /* the program */
    const struct master_option *options;
    size_t n_options;
};

/* True to go on. */
typedef bool master_service_fn(void *ctx, const struct master_service *s);

/* Calls fn for every service of a master.cf. 0, or the errno of what went
   wrong. */
int master_services(const char *path, master_service_fn *fn, void *ctx);

/* ---- limit.c ---- */

/* How many processes of smtp(8) there may be: the least of its services in
   master.cf. 0: not known. */
unsigned postfix_smtp_limit(const struct postfix_config *pf);

/* Whether a release of Postfix, such as "3.10.5" or "3.11-20250101", takes what
   is told of an MTA-STS policy beside the hosts. */
bool postfix_knows_sts(const char *mail_version);
/* And REQUIRETLS (RFC 8689), for which it has smtp_requiretls_policy. */
bool postfix_knows_requiretls(const char *mail_version);

/* Whether main.cf never lets mail go in the clear, or by DANE alone: level dane
   would be less. */
bool postfix_level_is_strict(const struct postfix_config *pf);

/* ---- words.c ---- */

#define WORDS_IN_LIST " ,\t\r\n" /* main.cf lists */
#define WORDS_IN_LINE " \t\r\n"  /* master.cf */

/*
 * Cut the next word off a text, as Postfix does in main.cf and master.cf:
 * blanks within braces belong to the word. NULL at the end.
 */
char *word_next(char **cursor, const char *blanks);

/* The next of $name, ${name...} and $(name...) in a text, without what is
   around it; returns what is behind it, or NULL. */
const char *word_parameter(const char *text, char *name_r, size_t size);

/* The table behind any number of `proxy:`. */
const char *word_unproxy(const char *table);

/* Whether a word names a table of our type, alone or inside another: the file
   of the first, of *len_r octets, else NULL. */
const char *word_our_table(const char *word, size_t *len_r);

#endif
