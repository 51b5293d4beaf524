/* The last guard before a list reaches an MTA. Internal to src/route. */

#ifndef ROUTE_GUARD_H
#define ROUTE_GUARD_H

#include <mxhop/mxhop.h>

#define GUARD_TEXT_MAX 200 /* octets of a text for a sender */

/* Whether a hop may be written at all. */
bool guard_hop(const struct mxhop_hop *hop);
/* Whether a transport is a service name of master.cf(5), or empty. */
bool guard_transport(const char *transport);
/* The same for the service that defers, which may have ./ before its name. */
bool guard_defer_service(const char *service);
/* The status code if it is of the class, 4 or 5, else CLASS.0.0. */
const char *guard_status(const char *status, char class_digit);
bool guard_is_v6(const struct mxhop_hop *hop);

#endif
