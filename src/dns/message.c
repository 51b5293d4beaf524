/*
 * message - queries and the resolver configuration
 *
 * The only user of <resolv.h>: the list of name servers comes from the
 * configuration's own list or from resolv.conf as the C library reads it. A
 * query is a header, a name as octets, and OPT.
 *
 * dns_servers_load() does file input for resolv.conf and is to be called
 * before any jail; dns_query_build() needs no file. Nothing is kept between
 * calls, so any thread may call any function.
 *
 * Diagnostics: MXHOP_ERR_CONFIG names the word of the list that is wrong,
 * MXHOP_ERR_DNS says that resolv.conf gave no usable server.
 */

#include "dns/message.h"

#include <arpa/inet.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "model/server.h"
#include "util/err.h"
#include "util/str.h"
#include "dns/name.h"

#define HEADER_RD 0x01 /* in octet 2 */
#define HEADER_AD 0x20 /* in octet 3 */

static bool dns_on_loopback(const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

    if (addr->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool dns_all_on_loopback(const struct dns_servers *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!dns_on_loopback(&s->addr[i]))
            return false;
    return s->n > 0;
}

static enum mxhop_status dns_load_list(struct dns_servers *s, const char *list,
                                       struct mxhop_error *err)
{
    const char *word;
    size_t len;

    while ((word = str_next_word(&list, &len)) != NULL) {
        int shown = len < 63 ? (int)len : 63;

        if (s->n == DNS_SERVERS_MAX)
            return err_set(err, MXHOP_ERR_CONFIG,
                           "name server \"%.*s\": at most %d can be listed",
                           shown, word, DNS_SERVERS_MAX);
        if (!server_parse(word, len, &s->addr[s->n]))
            return err_set(err, MXHOP_ERR_CONFIG,
                           "name server \"%.*s\": expected an IP address "
                           "and perhaps a port, such as 127.0.0.1:53 or "
                           "[::1]:53",
                           shown, word);
        s->n++;
    }
    s->trust_ad = dns_all_on_loopback(s);
    return MXHOP_OK;
}

/* glibc keeps IPv6 servers apart; a zero family in nsaddr_list tells. */
static void dns_take_state(struct dns_servers *s,
                           const struct __res_state *state)
{
    const struct sockaddr_in6 *v6;

    for (int i = 0; i < state->nscount && i < MAXNS; i++) {
        v6 = state->_u._ext.nsaddrs[i];
        if (state->nsaddr_list[i].sin_family == AF_INET)
            memcpy(&s->addr[s->n++], &state->nsaddr_list[i],
                   sizeof(state->nsaddr_list[i]));
        else if (v6 != NULL && v6->sin6_family == AF_INET6)
            memcpy(&s->addr[s->n++], v6, sizeof(*v6));
    }
    s->ad_by_option = (state->options & RES_TRUSTAD) != 0;
    s->trust_ad = s->ad_by_option || dns_all_on_loopback(s);
}

static enum mxhop_status dns_load_resolv_conf(struct dns_servers *s,
                                              struct mxhop_error *err)
{
    struct __res_state state;

    memset(&state, 0, sizeof(state));
    if (res_ninit(&state) != 0)
        return err_set(err, MXHOP_ERR_DNS, "%s cannot be read", _PATH_RESCONF);
    dns_take_state(s, &state);
    res_nclose(&state);
    if (s->n == 0)
        return err_set(err, MXHOP_ERR_DNS, "%s: no usable name server",
                       _PATH_RESCONF);
    return MXHOP_OK;
}

enum mxhop_status dns_servers_load(struct dns_servers *servers_r,
                                   const char *list, struct mxhop_error *err)
{
    const char *pos = list;
    size_t len;

    memset(servers_r, 0, sizeof(*servers_r));
    if (list != NULL && str_next_word(&pos, &len) != NULL)
        return dns_load_list(servers_r, list, err);
    return dns_load_resolv_conf(servers_r, err);
}

void dns_server_text(const struct sockaddr *addr, char *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
    char ip[INET6_ADDRSTRLEN] = "?", scope[1 + 10 + 1] = "";

    if (addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
        snprintf(out, 64, "%s:%u", ip, ntohs(v4->sin_port));
        return;
    }
    inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
    if (v6->sin6_scope_id != 0)
        snprintf(scope, sizeof(scope), "%%%u", v6->sin6_scope_id);
    /* 39: eight groups of four; 46 is for a form inet_ntop() never prints */
    snprintf(out, 64, "[%.39s%s]:%u", ip, scope, ntohs(v6->sin6_port));
}

size_t dns_query_build(const struct question *q, bool edns, bool ad,
                       uint8_t out[DNS_QUERY_MAX])
{
    static const uint8_t opt[] = {
        0, 0, ns_t_opt, DNS_UDP_SIZE >> 8, DNS_UDP_SIZE & 0xff, 0, 0, 0,
        0, 0, 0};
    const uint8_t header[] = {(uint8_t)(q->id >> 8),
                              (uint8_t)q->id,
                              HEADER_RD,
                              ad ? HEADER_AD : 0,
                              0,
                              1, /* question */
                              0,
                              0,
                              0,
                              0,
                              0,
                              edns};
    const uint8_t tail[] = {(uint8_t)(q->type >> 8), (uint8_t)q->type, 0,
                            ns_c_in};
    struct wire_name name;
    uint8_t *end = out;

    if (!wire_name_parse(q->name, &name))
        return 0;
    end = mempcpy(end, header, sizeof(header));
    end = mempcpy(end, name.octets, name.len);
    end = mempcpy(end, tail, sizeof(tail));
    if (edns)
        end = mempcpy(end, opt, sizeof(opt));
    return (size_t)(end - out);
}
