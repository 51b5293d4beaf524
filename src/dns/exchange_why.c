/*
 * exchange_why - say for people why a query got no answer
 *
 * One phrase a server that was tried, in the order of the list, such as
 * "SERVFAIL from 127.0.0.1:53; no answer from 192.0.2.1:53". One that was not,
 * because its breaker is open, is mentioned too. Printable ASCII, cut to fit.
 */

#include "dns/exchange_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const rcode_names[] = {
    [1] = "FORMERR", [2] = "SERVFAIL", [4] = "NOTIMP", [5] = "REFUSED"};

static const char *const fault_names[] = {
    [FAULT_NONE] = "no answer",
    [FAULT_MALFORMED] = "malformed reply",
    [FAULT_TRUNCATED] = "truncated reply over TCP",
    [FAULT_CLOSED] = "incomplete reply over TCP"};

static const char *why_errno(int error)
{
    const char *text = strerrordesc_np(error); /* strerror() may be a race */

    return text != NULL ? text : "unknown error";
}

__attribute__((format(printf, 2, 3))) static void
why_add(char why[WHY_MAX], const char *format, ...)
{
    size_t len = strlen(why);
    va_list args;

    va_start(args, format);
    vsnprintf(why + len, WHY_MAX - len, format, args);
    va_end(args);
}

static void why_add_fault(char why[WHY_MAX], const struct server *s)
{
    size_t n = sizeof(rcode_names) / sizeof(rcode_names[0]);
    bool named = s->detail > 0 && (size_t)s->detail < n;

    if (s->fault == FAULT_ERRNO)
        why_add(why, "%s", why_errno(s->detail));
    else if (s->fault != FAULT_RCODE)
        why_add(why, "%s", fault_names[s->fault]);
    else if (named && rcode_names[s->detail] != NULL)
        why_add(why, "%s", rcode_names[s->detail]);
    else
        why_add(why, "rcode %d", s->detail);
}

void query_why_down(const struct query *q, char why[WHY_MAX])
{
    char where[64];

    why[0] = '\0';
    why_add(why, "no name server answers (circuit breaker open: ");
    for (size_t i = 0; i < q->n_servers; i++) {
        dns_server_text(&q->server[i].addr.any, where);
        why_add(why, "%s%s", i > 0 ? ", " : "", where);
    }
    why_add(why, ")");
}

void query_why(const struct query *q, char why[WHY_MAX])
{
    char where[64];

    why[0] = '\0';
    for (size_t i = 0; i < q->n_servers; i++) {
        const struct server *s = &q->server[i];
        bool tried = s->asked || s->fault != FAULT_NONE;

        if (!tried && peer_state(q, i) != BREAKER_OPEN)
            continue;
        dns_server_text(&s->addr.any, where);
        if (why[0] != '\0')
            why_add(why, "; ");
        if (tried)
            why_add_fault(why, s);
        why_add(why, "%s %s", tried ? " from" : "circuit breaker open for",
                where);
    }
    if (q->shortage != 0)
        why_add(why, "%sno socket: %s", why[0] != '\0' ? "; " : "",
                why_errno(q->shortage));
    if (why[0] == '\0')
        why_add(why, "%s",
                q->n_servers == 0 ? "no name server configured"
                                  : "no time left to ask");
}
