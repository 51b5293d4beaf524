/* What the steps of decide() share, and those that write what comes of it.
   Internal to src/route. */

#ifndef ROUTE_STEPS_H
#define ROUTE_STEPS_H

#include "route/decide.h"
#include "util/buf.h"

/* A time slot in which the order of equals does not change. */
struct slot {
    uint64_t number;
    uint32_t left_s; /* at least 1; UINT32_MAX: the order never turns */
};

struct slot order_slot(const struct decide_input *in,
                       const struct candidates *list);

/* The position in the list to try, for hosts of any state; as strcmp(3). Zero
   only for candidates that cannot be told apart. */
int order_compare(const struct candidate *a, const struct candidate *b);

/* A literal in the text form of inet_pton(3), either family. */
bool clean_is_address(const char *host);

/* A DNS host that is not of the domain's policy. */
bool tlsclass_outside(const struct decide_input *in, const struct candidate *c);
/* Give the first `kept` their class, or drop them; returns how many are left,
   which stand first again. */
size_t tlsclass_assign(const struct decide_input *in, struct candidates *list,
                       size_t kept);
/* Why the MTA is to see the domain itself, although there is a list for it;
   NULL: it need not. */
const char *tlsclass_why_pass(const struct decide_input *in,
                              const struct decision *d);

/* Whether the override has the last word where no host is left. */
bool outcome_is_overridden(const struct decide_input *in);

/* No usable answer: fill disposition, status and reason of *d_r. */
void outcome_of_override(const struct decide_input *in, struct decision *d_r);
void outcome_of_nothing(const struct decide_input *in, struct decision *d_r);

/* Fill reason: printable, cut to fit. */
void outcome_reason(struct decision *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What became of the MX set, as words for people ("DNS failed: ..."). */
const char *outcome_set_text(const struct decide_input *in);

/* ---- render.c: the last guard before a list reaches an MTA ---- */

/* Whether a hop may be written at all. */
bool guard_hop(const struct mxhop_hop *hop);
/* Whether a transport is a service name of master.cf(5), or empty. */
bool guard_transport(const char *transport);
/* The same for the service that defers, which may have ./ before its name. */
bool guard_defer_service(const char *service);
/* The status code if it is of the class, 4 or 5, else CLASS.0.0. */
const char *guard_status(const char *status, char class_digit);
bool guard_is_v6(const struct mxhop_hop *hop);
/* Host and port as people and Exim write them; the length. */
#define PLACE_MAX 300 /* host, brackets, port */
size_t guard_place(const struct mxhop_hop *hop, char place[PLACE_MAX]);
/* A text for a sender: the beginning of it, one line of printable ASCII without
   these characters. */
void guard_text(const char *text, const char *without, struct buf *out);

#endif
