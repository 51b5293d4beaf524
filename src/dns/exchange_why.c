/*
 * exchange_why - say for people why a query got no answer
 *
 * One phrase a server that was tried, in the order of the list, such as
 * "SERVFAIL from 127.0.0.1:53; no answer from 192.0.2.1:53". One that was not,
 * because its breaker is open, is mentioned too. Printable ASCII, cut to fit.
 */

#include "dns/exchange_int.h"

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

static void why_fault(const struct server *s, char *out, size_t size)
{
    size_t n = sizeof(rcode_names) / sizeof(rcode_names[0]);
    const char *name = NULL;

    if (s->fault == FAULT_ERRNO)
        name = why_errno(s->detail);
    else if (s->fault != FAULT_RCODE)
        name = fault_names[s->fault];
    else if (s->detail > 0 && (size_t)s->detail < n)
        name = rcode_names[s->detail];
    if (name != NULL)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "rcode %d", s->detail);
}

static void why_add(char why[WHY_MAX], const char *text)
{
    size_t len = strlen(why);

    snprintf(why + len, WHY_MAX - len, "%s%s", len > 0 ? "; " : "", text);
}

static void why_server(const struct server *s, char where[64])
{
    struct sockaddr_storage addr = {0};

    memcpy(&addr, &s->addr, sizeof(s->addr));
    dns_server_text(&addr, where);
}

static void why_add_server(char why[WHY_MAX], const struct query *q, size_t i)
{
    const struct server *s = &q->server[i];
    char what[64], where[64], text[sizeof(what) + sizeof(where) + 32];

    why_server(s, where);
    if (s->asked || s->fault != FAULT_NONE) {
        why_fault(s, what, sizeof(what));
        snprintf(text, sizeof(text), "%s from %s", what, where);
    } else if (peer_state(q, i) == BREAKER_OPEN) {
        snprintf(text, sizeof(text), "circuit breaker open for %s", where);
    } else {
        return;
    }
    why_add(why, text);
}

void query_why_down(const struct query *q, char why[WHY_MAX])
{
    char where[64];
    size_t len;

    snprintf(why, WHY_MAX, "no name server answers (circuit breaker open: ");
    for (size_t i = 0; i < q->n_servers; i++) {
        why_server(&q->server[i], where);
        len = strlen(why);
        snprintf(why + len, WHY_MAX - len, "%s%s", i > 0 ? ", " : "", where);
    }
    len = strlen(why);
    snprintf(why + len, WHY_MAX - len, ")");
}

void query_why(const struct query *q, char why[WHY_MAX])
{
    char text[96];

    why[0] = '\0';
    for (size_t i = 0; i < q->n_servers; i++)
        why_add_server(why, q, i);
    if (q->shortage != 0) {
        snprintf(text, sizeof(text), "no socket: %s", why_errno(q->shortage));
        why_add(why, text);
    }
    if (why[0] == '\0')
        why_add(why, q->n_servers == 0 ? "no name server configured"
                                       : "no time left to ask");
}
