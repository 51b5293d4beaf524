/*
 * hostname - what may stand in a rendered list
 *
 * Exchanges are written by strangers and reach the MTA's parser, in Exim its
 * string expansion too. A host name is labels of letters, digits, `-` and `_`
 * and nothing else; no label begins or ends with `-`, because smtp(8) ends
 * itself over a destination that its own valid_hostname() refuses. What reads
 * as an address to any function of the C library is no name either: an
 * exchange must be a name (RFC 5321 section 5.1).
 */

#include "route/steps.h"

#include <arpa/inet.h>
#include <string.h>

static bool hostname_is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

static bool hostname_is_label(const char *s, size_t n)
{
    if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!hostname_is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
            return false;
    return true;
}

bool clean_is_hostname(const char *host)
{
    const char *label = host, *dot;

    if (strnlen(host, NAME_MAX_TEXT + 1) > NAME_MAX_TEXT)
        return false;
    for (; (dot = strchr(label, '.')) != NULL; label = dot + 1)
        if (!hostname_is_label(label, (size_t)(dot - label)))
            return false;
    return hostname_is_label(label, strlen(label));
}

bool clean_is_address(const char *host)
{
    struct in6_addr a;

    return inet_pton(AF_INET, host, &a) == 1 ||
           inet_pton(AF_INET6, host, &a) == 1;
}

bool clean_looks_like_address(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *last = dot != NULL ? dot + 1 : host;
    struct in_addr a;

    if (*last != '\0' && last[strspn(last, "0123456789")] == '\0')
        return true;
    /* inet_aton(3) also knows the forms 0x7f000001 and 0x7f.0x1, and
       getaddrinfo(3) takes them for addresses. */
    return clean_is_address(host) || inet_aton(host, &a) != 0;
}
