/*
 * postfix_abi.h - the part of Postfix that a lookup table type needs.
 *
 * Postfix publishes no headers for table types. These are our own words for
 * what has kept its place from release 3.4 to 3.12: names and argument types of
 * exported functions, and the leading members of four structs. Newer releases
 * append members, so none of these structs may be allocated, copied or
 * measured here: dict_alloc() is asked for DICT_SPARE more bytes than struct
 * postfix_dict has.
 *
 * Strings that Postfix returns live in a buffer of its own that the next call
 * overwrites. Its functions never return NULL for want of memory: they end the
 * process.
 */

#ifndef POSTFIX_POSTFIX_ABI_H
#define POSTFIX_POSTFIX_ABI_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

struct vstring; /* never looked into */

/* ---- lookup tables (libpostfix-util) ---- */

#define DICT_FLAG_FIXED     (1 << 4)  /* keys are compared, not patterns */
#define DICT_FLAG_LOCK      (1 << 6)  /* while a table is read */
#define DICT_FLAG_NO_REGSUB (1 << 11) /* no part of a key in an answer */
#define DICT_FLAG_FOLD_FIX  (1 << 14) /* keys in lower case */
#define DICT_FLAG_UTF8      (1 << 19) /* if smtputf8_enable */
#define DICT_ERR_NONE       0         /* of the last operation */
#define DICT_ERR_RETRY      (-1)
#define DICT_SPARE          512

/* owner.status: whom the table's content is to be blamed on. */
#define DICT_OWNER_TRUSTED   0 /* root */
#define DICT_OWNER_UNTRUSTED 1 /* the user in owner.uid */

struct postfix_dict {
    char *type;
    char *name;
    int flags;
    const char *(*lookup)(struct postfix_dict *, const char *key);
    int (*update)(struct postfix_dict *, const char *, const char *);
    int (*remove)(struct postfix_dict *, const char *);
    int (*sequence)(struct postfix_dict *, int, const char **, const char **);
    int (*lock)(struct postfix_dict *, int);
    void (*close)(struct postfix_dict *);
    int lock_type;
    int lock_fd;
    int stat_fd;  /* -1, or a file whose change restarts the daemon */
    time_t mtime; /* of stat_fd, when the table was opened; not 0 */
    struct vstring *fold_buf;
    struct {
        int status;
        uid_t uid;
    } owner;
    int error;
};

/* Everything above set to "not supported" and "none"; the rest of `size` bytes
   is not initialised. dict_free() does not close stat_fd. */
struct postfix_dict *dict_alloc(const char *type, const char *name,
                                ssize_t size);
void dict_free(struct postfix_dict *);

/* A table that answers every lookup with a temporary error and logs why; in
   commands, the end of the process with that text. */
struct postfix_dict *dict_surrogate(const char *type, const char *name,
                                    int open_flags, int dict_flags,
                                    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Not zero: dict_surrogate() returns, as in daemons (and in them only). */
extern int dict_allow_surrogate;

/* ---- lists of names, files and tables (libpostfix-util) ---- */

#define MATCH_FLAG_RETURN (1 << 1) /* report a table's error, do not exit */

struct postfix_list {
    char *param;
    int flags;
    void *patterns;
    int n_functions;
    void *functions;
    void *arguments;
    struct vstring *fold_buf;
    int error; /* of the last match_list_match(): 0, or not known now */
};

typedef int match_function(struct postfix_list *, const char *, const char *);

match_function match_string;   /* the name itself */
match_function match_hostname; /* the name or, by flag, a parent of it */

/* `n` functions follow, each for one string of match_list_match(). Files and
   tables in `patterns` are opened here, not when first asked. */
struct postfix_list *match_list_init(const char *param, int flags,
                                     const char *patterns, int n, ...);
int match_list_match(struct postfix_list *, ...);
void match_list_free(struct postfix_list *);

/* ---- tables, one after another (libpostfix-global) ---- */

struct postfix_maps {
    char *title;
    void *argv;
    int error; /* of the last maps_find() that found nothing */
};

struct postfix_maps *maps_create(const char *title, const char *tables,
                                 int flags);
const char *maps_find(struct postfix_maps *, const char *key, int flags);
void maps_free(struct postfix_maps *);

/* ---- network (libpostfix-util, libpostfix-global) ---- */

struct postfix_addresses {
    int used;
    int size;
    struct sockaddr_storage *list;
};

struct postfix_addresses *own_inet_addr_list(void);   /* inet_interfaces */
struct postfix_addresses *proxy_inet_addr_list(void); /* proxy_interfaces */

struct postfix_protocols {
    unsigned int family; /* AF_INET, AF_INET6, or AF_UNSPEC: both */
};

/* inet_protocols, less what the kernel lacks; NULL before that is known. */
extern struct postfix_protocols *inet_proto_table;

/* The Unicode form of an A-label domain and back, or NULL. Absent where Postfix
   was built without SMTPUTF8. */
const char *midna_domain_to_utf8(const char *) __attribute__((weak));
const char *midna_domain_to_ascii(const char *) __attribute__((weak));

/* ---- configuration (libpostfix-global) ---- */

/* The value of a parameter: as set in main.cf or with -o, or its default if the
   program has read the parameter; else NULL. _eval: every $name expanded. */
const char *mail_conf_lookup(const char *param);
const char *mail_conf_lookup_eval(const char *param);
const char *mail_conf_eval(const char *text); /* expands $name */

/* Not zero: `param` is in parent_domain_matches_subdomains. The value is the
   flag that match_list_init() takes for it. */
int match_parent_style(const char *param);

/* ---- logging (libpostfix-util) ---- */

void msg_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void msg_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void msg_error(const char *fmt, ...) PRINTF_LIKE(1, 2); /* the 13th is fatal */

#endif
