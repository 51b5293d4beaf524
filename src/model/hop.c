/*
 * hop - one hop as an administrator writes it: [preference ]host[:port]
 *
 * The host is written as in transport(5): in brackets it is taken as it is
 * (a host name or an address), bare it stands for the MX hosts of that name.
 * A bare address is refused instead of guessed at: without brackets an MTA
 * would look for its MX records.
 *
 * Guarantees: the host of a hop that passed is a name in normal form or an
 * address as inet_ntop(3) prints it, the port is 1 to 65535 or absent, and
 * hop_parse(hop_format(hop)) gives the same hop. smtp(8) exits on a port that
 * is out of range, hence no port passes unread.
 *
 * Nothing is allocated (but by libidn2, for names that are not ASCII, see
 * key.c); the texts are static.
 */

#include "model/hop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longest host that can be valid: a U-label name in UTF-8. */
#define HOST_INPUT_MAX (4 * NAME_MAX_TEXT)

static const char bare_address[] =
    "an IP address stands in brackets: [192.0.2.1] or [IPv6:2001:db8::1]";
static const char bad_port[] = "the port is a number from 1 to 65535";
static const char class_port[] =
    "the ports 025 and 0025 stand for TLS classes of MX hosts, which hops of "
    "an override have none of: write [host]:25, and its level in a table of "
    "smtp_tls_policy_maps before mxhop_tls";
static const char has_transport[] =
    "a hop has no transport in front: expected host or [host], and the "
    "transport as mxhopTransport";

/* Decimal digits only, no sign, at most 65535. n octets at s. */
static bool hop_parse_u16(const char *s, size_t n, uint16_t *value_r)
{
    unsigned value = 0;

    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        value = value * 10 + (unsigned)(s[i] - '0');
    }
    *value_r = (uint16_t)value;
    return value <= UINT16_MAX;
}

static const char *hop_parse_port(const char *s, size_t n, struct hopspec *hop)
{
    if (!hop_parse_u16(s, n, &hop->port) || hop->port == 0)
        return bad_port;
    return hop->port == 25 && s[0] == '0' ? class_port : NULL;
}

/* Whether text is an address of the family, and then its one spelling. */
static bool hop_parse_address(int family, const char *text, char *out)
{
    struct in6_addr addr; /* the larger of the two */

    return inet_pton(family, text, &addr) == 1 &&
           inet_ntop(family, &addr, out, NAME_MAX_TEXT + 1) != NULL;
}

static const char *hop_parse_literal(const char *host, struct hopspec *hop)
{
    bool tagged = strncasecmp(host, "ipv6:", 5) == 0;

    hop->kind = HOP_ADDRESS;
    if (hop_parse_address(AF_INET6, tagged ? host + 5 : host, hop->host))
        return NULL;
    if (tagged || strchr(host, ':') != NULL)
        return "not an IPv6 address: expected [IPv6:2001:db8::1]";
    if (hop_parse_address(AF_INET, host, hop->host))
        return NULL;
    hop->kind = HOP_HOST;
    return name_normalise(host, hop->host);
}

/* n octets that begin with `[`. */
static const char *hop_parse_bracketed(const char *s, size_t n,
                                       struct hopspec *hop)
{
    const char *end = memchr(s, ']', n);
    char host[HOST_INPUT_MAX + 1];
    size_t len, rest;

    if (end == NULL)
        return "`[` without `]`: expected [host] or [host]:port";
    len = (size_t)(end - s) - 1;
    rest = n - len - 2;
    if (rest > 0 && end[1] != ':')
        return "text after `]`: expected [host]:port";
    if (len > HOST_INPUT_MAX)
        return "domain name longer than 253 octets";
    memcpy(host, s + 1, len);
    host[len] = '\0';
    if (rest > 0) {
        const char *wrong = hop_parse_port(end + 2, rest - 1, hop);

        if (wrong != NULL)
            return wrong;
    }
    return hop_parse_literal(host, hop);
}

static const char *hop_parse_bare(const char *s, size_t n, struct hopspec *hop)
{
    char host[HOST_INPUT_MAX + 1];
    char *colon;

    if (n > HOST_INPUT_MAX)
        return "domain name longer than 253 octets";
    memcpy(host, s, n);
    host[n] = '\0';
    hop->kind = HOP_MX;
    if (strncasecmp(host, "ipv6:", 5) == 0 ||
        strncasecmp(host, "ipv6.:", 6) == 0 || /* the same without the dot */
        hop_parse_address(AF_INET6, host, hop->host))
        return bare_address;
    colon = strchr(host, ':');
    if (colon != NULL) {
        const char *wrong;

        /* smtp:[gateway], relay:gateway.example.com, smtp: */
        if (memchr(host, '.', (size_t)(colon - host)) == NULL &&
            (colon[1] == '\0' || colon[1] == '[' || strchr(colon, '.') != NULL))
            return has_transport;
        wrong = hop_parse_port(colon + 1, strlen(colon + 1), hop);
        if (wrong != NULL)
            return wrong;
        *colon = '\0';
    }
    if (hop_parse_address(AF_INET, host, hop->host))
        return bare_address;
    return name_normalise(host, hop->host);
}

static const char hop_blanks[] = " \t";

/* Split off the preference: text up to the first white space, if any. */
static const char *hop_parse_preference(const char **pos, size_t *n,
                                        struct hopspec *hop)
{
    const char *s = *pos;
    size_t word = strcspn(s, hop_blanks);

    if (word >= *n)
        return NULL;
    if (!hop_parse_u16(s, word, &hop->preference))
        return "the preference is a number from 0 to 65535, the host follows "
               "it and contains no white space";
    hop->has_preference = true;
    word += strspn(s + word, hop_blanks);
    *pos = s + word;
    *n -= word;
    return NULL;
}

static const char *hop_parse_all(const char *text, struct hopspec *hop)
{
    const char *wrong;
    size_t n;

    text += strspn(text, hop_blanks);
    n = strlen(text);
    while (n > 0 && strchr(hop_blanks, text[n - 1]) != NULL)
        n--;
    wrong = hop_parse_preference(&text, &n, hop);
    if (wrong != NULL)
        return wrong;
    if (n == 0)
        return "empty hop: expected [preference ]host[:port]";
    return *text == '[' ? hop_parse_bracketed(text, n, hop)
                        : hop_parse_bare(text, n, hop);
}

const char *hop_parse(const char *text, struct hopspec *hop_r)
{
    const char *wrong;

    *hop_r = (struct hopspec){0};
    wrong = hop_parse_all(text, hop_r);
    if (wrong != NULL)
        *hop_r = (struct hopspec){0};
    return wrong;
}

void hop_format(const struct hopspec *hop, char *out)
{
    bool is_v6 = hop->kind == HOP_ADDRESS && strchr(hop->host, ':') != NULL;
    bool bare = hop->kind == HOP_MX;
    char preference[7] = "", port[7] = "";

    if (hop->has_preference)
        snprintf(preference, sizeof(preference), "%u ", hop->preference);
    if (hop->port != 0)
        snprintf(port, sizeof(port), ":%u", hop->port);
    snprintf(out, HOP_TEXT_MAX, "%s%s%s%s%s%s", preference, bare ? "" : "[",
             is_v6 ? "IPv6:" : "", hop->host, bare ? "" : "]", port);
}
