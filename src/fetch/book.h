/* All domains of the store in memory, for the process that writes it. */

#ifndef FETCH_BOOK_H
#define FETCH_BOOK_H

#include <stdbool.h>
#include <sys/queue.h>
#include "policy/store.h"

#define BOOK_DOMAINS_MAX 2000000u
#define BOOK_NEW_MAX     10000u  /* of them, domains that were never tried */
#define BOOK_SOON_MAX    8000u   /* of these, while nobody waits for them */
#define BOOK_NONE_MAX    100000u /* that have no policy: others give way */

enum item_queue { ITEM_IDLE, ITEM_SOON, ITEM_URGENT, ITEM_RUNNING };

struct item {
    struct item *chain; /* of its bucket */
    TAILQ_ENTRY(item) link;
    enum item_queue queue;
    bool forget; /* when it no longer runs */
    bool has_policy;
    bool ours; /* its times were set by the clock of this process */
    size_t at; /* in book.v */
    uint64_t hash;
    int64_t next_s;
    size_t len; /* of the entry as the store has it; 0: never tried */
    unsigned char *entry;
    char domain[];
};

TAILQ_HEAD(item_list, item);

/* Start with zeros and a seed. */
struct book {
    struct item **v; /* all, in no order */
    size_t n, cap;
    size_t untried, policies;
    struct item **buckets;
    size_t n_buckets;
    uint64_t seed;                  /* strangers choose the domains */
    bool dirty;                     /* the store is not as the book */
    unsigned char id[FIXED_ID_LEN]; /* of the store as it was read or written */
};

struct item *book_find(const struct book *b, const char *domain);
/* Of a domain that is not in it; NULL: full, or out of memory. */
struct item *book_add(struct book *b, const char *domain);
/* It must be in no queue. */
void book_remove(struct book *b, struct item *i);
/* What is known of it; all zero if it was never tried. false: no memory. */
bool book_get(const struct item *i, struct store_entry *e_r);
bool book_put(struct book *b, struct item *i, const struct store_entry *e);
void book_free(struct book *b);

/* What the store in `dir` has. MXHOP_ERR_TABLE: it cannot be used, and the book
   is empty; *missing_r as store_open(). */
enum mxhop_status book_load(struct book *b, const char *dir, bool *missing_r,
                            struct mxhop_error *err);
/* 0, or an errno value. */
int book_save(struct book *b, int dir_fd);

#endif
