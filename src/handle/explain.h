/* What a trace says beyond the answer. */

#ifndef HANDLE_EXPLAIN_H
#define HANDLE_EXPLAIN_H

#include "handle/handle.h"
#include "util/buf.h"

enum entry_state {
    ENTRY_APPLIES,
    ENTRY_DISABLED,
    ENTRY_PENDING,
    ENTRY_PAST,
    ENTRY_BEATEN, /* by the one that applies */
    ENTRY_IDLE,   /* an exclude that excludes nothing of this domain's */
    ENTRY_LOCAL,  /* the MTA delivers the domain; not for exactly this key */
    ENTRY_UNUSED  /* by exchange, where that is not considered */
};

/* An entry in the table that could concern the key. */
struct explained_entry {
    char *dn, *under; /* the first of its keys, or MX hosts, that fits */
    enum override_mode mode;
    bool by_exchange;
    enum entry_state state;
    int64_t not_before_s, not_after_s;
    size_t order; /* the most specific first */
};

struct explained_entries {
    struct explained_entry *v;
    size_t n, cap;
};

/* Reads all of the table. false: out of memory. */
bool explain_entries(const struct lookup *l, struct explained_entries *e_r);
void explain_entries_free(struct explained_entries *e);
extern const char *const entry_state_words[];

#define EXPLAIN_INDENT "              " /* under the text of a step */
/* Broken at spaces, continued under the text of the step. */
void explain_sentence(struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- explain_tls.c ---- */

bool explain_has_tls(const struct lookup *l);
const char *explain_tlsa_word(const struct tlsa *t);
void explain_tls(const struct lookup *l, struct buf *out);
void explain_tls_json(const struct lookup *l, struct buf *out);

/* One object on one line. */
void explain_json(const struct lookup *l, const struct mxhop_route *route,
                  const struct explained_entries *entries, struct buf *out);

#endif
