/* The address of a name server, as administrators write it. */

#ifndef MODEL_SERVER_H
#define MODEL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* 192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53, of len octets.
   false: none of these. */
bool server_parse(const char *word, size_t len,
                  struct sockaddr_storage *addr_r);

#endif
