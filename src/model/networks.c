/*
 * networks - address blocks, as in Postfix's mynetworks
 *
 * For bogus_networks and own_addresses. Bits beyond the prefix length must be
 * zero, as Postfix wants it: they are a sign of a mistyped length.
 *
 * An IPv6 address that maps an IPv4 one (::ffff:192.0.2.1) is also matched
 * against the IPv4 blocks: a socket connects to the same host, and whoever
 * publishes the address chooses how it is spelt.
 *
 * The array belongs to struct networks; the texts are static.
 */

#include "model/rules.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 63 /* an address, brackets and a length */

static bool networks_same_bits(const void *a, const void *b, unsigned bits)
{
    const uint8_t *x = a, *y = b;
    unsigned octets = bits / 8;

    if (memcmp(x, y, octets) != 0)
        return false;
    return bits % 8 == 0 ||
           ((x[octets] ^ y[octets]) & (0xffu << (8 - bits % 8)) & 0xffu) == 0;
}

static bool networks_clear_beyond(const void *addr, unsigned bits,
                                  unsigned width)
{
    uint8_t cleared[sizeof(struct in6_addr)] = {0};

    memcpy(cleared, addr, bits / 8);
    if (bits % 8 != 0)
        cleared[bits / 8] = (uint8_t)(((const uint8_t *)addr)[bits / 8] &
                                      (0xffu << (8 - bits % 8)));
    return memcmp(cleared, addr, width / 8) == 0;
}

/* Decimal digits only; more than 128 for anything else. */
static unsigned networks_parse_bits(const char *s)
{
    unsigned value = 0;
    size_t n = strlen(s);

    if (n == 0 || n > 3 || s[strspn(s, "0123456789")] != '\0')
        return UINT8_MAX;
    for (; *s != '\0'; s++)
        value = value * 10 + (unsigned)(*s - '0');
    return value;
}

/* Take the brackets off; NULL: there is only one of them, or text after. */
static char *networks_unbracket(char *addr)
{
    size_t n = strlen(addr);

    if (*addr != '[')
        return addr;
    if (addr[n - 1] != ']')
        return NULL;
    addr[n - 1] = '\0';
    return addr + 1;
}

static const char *networks_parse_one(char *word, struct network *net)
{
    char *slash = strchr(word, '/');
    unsigned bits, width;
    char *addr;

    *net = (struct network){0};
    if (slash != NULL)
        *slash++ = '\0';
    addr = networks_unbracket(word);
    if (addr == NULL)
        return "`[` without `]` around an address";
    net->is_v6 = inet_pton(AF_INET6, addr, &net->v6) == 1;
    if (!net->is_v6 && inet_pton(AF_INET, addr, &net->v4) != 1)
        return "not an IP address: expected 192.0.2.1, 192.0.2.0/24, "
               "2001:db8::1 or 2001:db8::/32";
    width = net->is_v6 ? 128 : 32;
    bits = slash != NULL ? networks_parse_bits(slash) : width;
    if (bits > width)
        return net->is_v6 ? "the prefix length is a number from 0 to 128"
                          : "the prefix length is a number from 0 to 32";
    net->bits = (uint8_t)bits;
    if (!networks_clear_beyond(net->is_v6 ? (void *)&net->v6 : (void *)&net->v4,
                               bits, width))
        return "address bits beyond the prefix length are set";
    return NULL;
}

static const char *networks_add(struct networks *n, const char *text,
                                size_t len)
{
    char word[WORD_MAX + 1];
    struct network net, *v;
    const char *wrong;

    if (len > WORD_MAX)
        return "too long for an IP address";
    memcpy(word, text, len);
    word[len] = '\0';
    wrong = networks_parse_one(word, &net);
    if (wrong != NULL)
        return wrong;
    v = realloc(n->v, (n->n + 1) * sizeof(*v));
    if (v == NULL)
        return "out of memory";
    n->v = v;
    v[n->n++] = net;
    return NULL;
}

const char *networks_parse(const char *list, struct networks *n_r,
                           const char **bad_r, size_t *bad_len_r)
{
    const char *pos = list, *word, *wrong;
    size_t len;

    *n_r = (struct networks){0};
    while ((word = str_next_word(&pos, &len)) != NULL) {
        wrong = networks_add(n_r, word, len);
        if (wrong != NULL) {
            networks_free(n_r);
            *bad_r = word;
            *bad_len_r = len;
            return wrong;
        }
    }
    return NULL;
}

void networks_free(struct networks *n)
{
    free(n->v);
    *n = (struct networks){0};
}

bool networks_has_v4(const struct networks *n, struct in_addr a)
{
    for (size_t i = 0; i < n->n; i++)
        if (!n->v[i].is_v6 && networks_same_bits(&n->v[i].v4, &a, n->v[i].bits))
            return true;
    return false;
}

bool networks_has_v6(const struct networks *n, struct in6_addr a)
{
    struct in_addr mapped;

    for (size_t i = 0; i < n->n; i++)
        if (n->v[i].is_v6 && networks_same_bits(&n->v[i].v6, &a, n->v[i].bits))
            return true;
    if (!IN6_IS_ADDR_V4MAPPED(&a))
        return false;
    memcpy(&mapped, a.s6_addr + 12, sizeof(mapped));
    return networks_has_v4(n, mapped);
}
