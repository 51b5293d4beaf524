/* Fetching the text of policies; the only user of libcurl. */

#ifndef FETCH_HTTPS_H
#define FETCH_HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxhop/error.h>
#include "model/mxset.h"
#include "model/rules.h"

struct https;

/*
 * Called once for each https_start() that returned true, from https_run() only.
 * error: NULL, or one line about what went wrong. text: the policy's, valid
 * during the call, which may start other fetches.
 */
typedef void https_fn(void *ctx, const char *error, const char *text,
                      size_t len);

/* Sockets are put into the epoll instance; others may be in it, too. ca_file:
   PEM, "" is the system's. `bogus` and ca_file must last. */
enum mxhop_status https_open(struct https **h_r, int epoll_fd,
                             const char *ca_file, const struct networks *bogus,
                             struct mxhop_error *err);
/* Drops all fetches without calling back. NULL is allowed. */
void https_close(struct https **h);
/* Others from the next fetch on. */
void https_set(struct https *h, const char *ca_file,
               const struct networks *bogus);

/* Fetch the policy of a domain from its policy host, which has these
   addresses, within `within_ms`. false: out of memory. */
bool https_start(struct https *h, const char *domain,
                 const struct hostaddrs *addrs, uint64_t within_ms,
                 https_fn *fn, void *ctx);

/* A socket in the epoll instance is ready; what belongs to others is not
   known here. */
void https_ready(struct https *h, int fd, uint32_t events);
/* Until when https_run() has nothing to do, on clock_boot_ms(). */
uint64_t https_next_ms(const struct https *h);
void https_run(struct https *h);

#endif
