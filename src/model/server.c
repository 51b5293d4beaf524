/*
 * server - the address of a name server, as administrators write it
 *
 * One reader for the configuration, which is checked with it, and for the DNS,
 * which uses it.
 */

#include "model/server.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DNS_PORT "53"
#define WORD_MAX 63 /* "[address]:port" is shorter */

bool server_parse(const char *word, size_t len, struct sockaddr_storage *addr_r)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)addr_r;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr_r;
    char text[WORD_MAX + 1], *host = text, *end;
    const char *port = DNS_PORT;
    unsigned long n;

    memset(addr_r, 0, sizeof(*addr_r));
    if (len > WORD_MAX)
        return false;
    memcpy(text, word, len);
    text[len] = '\0';
    end = strchr(text, ':');
    if (text[0] == '[') {
        host++;
        end = strchr(host, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        *end++ = '\0';
    } else if (end != NULL && strchr(end + 1, ':') != NULL) {
        end = NULL; /* IPv6 */
    }
    if (end != NULL && *end == ':') {
        *end = '\0';
        port = end + 1;
    }
    if (*port == '\0' || strlen(port) > 5 ||
        port[strspn(port, "0123456789")] != '\0')
        return false;
    n = strtoul(port, NULL, 10);
    if (n < 1 || n > UINT16_MAX)
        return false;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)n);
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)n);
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}
