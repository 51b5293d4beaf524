/* Questions about the addresses of a candidate. Internal to src/route. */

#ifndef ROUTE_ADDRESS_H
#define ROUTE_ADDRESS_H

#include "route/steps.h"

#define SMTP_PORT 25

/* Whether one of its known addresses, of any family, is our own. */
bool address_any_own(const struct rules *r, const struct candidate *c);

/* Whether it has known addresses in rules->families, all of them bogus. */
bool address_all_bogus(const struct rules *r, const struct candidate *c);

/* Whether it is known to have none in rules->families. */
bool address_none(const struct rules *r, const struct candidate *c);

/* Whether it has an address in `families` now, as far as DNS can tell. */
bool address_sure(const struct candidate *c, unsigned families);

/* Of a host where it matters whether it is this system, because it is a name,
   and on the port of SMTP: whether nothing is known of the addresses of a hop
   of the override's own, and whether the lookup of its addresses failed. */
bool address_is_due(const struct candidate *c, unsigned families);
bool address_failed(const struct candidate *c, unsigned families);

/* Whether anything is known of its addresses in `families`. */
bool address_known(const struct candidate *c, unsigned families);

#endif
