/* Queries and the resolver configuration; the only user of <resolv.h>. */

#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <mxhop/error.h>
#include "dns/reply.h"

#define DNS_SERVERS_MAX 8
#define DNS_UDP_SIZE    1232 /* OPT: what fits everywhere (DNS flag day 2020) */
#define DNS_QUERY_MAX   (12 + 255 + 4 + 11) /* header, name, type, OPT */

struct dns_servers {
    size_t n;
    struct sockaddr_storage addr[DNS_SERVERS_MAX];
    bool trust_ad;     /* `options trust-ad`, or every server is on loopback */
    bool ad_by_option; /* the former: for the resolver of the C library, too */
};

/* `list`: "127.0.0.1:5353 [::1]:53 192.0.2.1", comma or space separated; empty
   or NULL: resolv.conf as res_ninit(3) reads it. Errors name the word. */
enum mxhop_status dns_servers_load(struct dns_servers *servers_r,
                                   const char *list, struct mxhop_error *err);
/* "192.0.2.1:53", "[::1]:53" into out[64] */
void dns_server_text(const struct sockaddr *addr, char *out);

/* Build the query for *q into out; returns its length, 0 if the name cannot be
   asked. edns adds an OPT record of DNS_UDP_SIZE; ad sets the AD bit (RFC 6840
   5.7). The name goes out in lower case. */
size_t dns_query_build(const struct question *q, bool edns, bool ad,
                       uint8_t out[DNS_QUERY_MAX]);

#endif
