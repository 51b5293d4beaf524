/*
 * machine - what this machine is called, and its addresses
 *
 * For hosts that set MXHOP_THIS_MACHINE: the MTA's own names and addresses are
 * then those of the system it runs on, as Postfix has it with `inet_interfaces
 * = all'. What cannot be found out is left empty: the check whether a mail host
 * is ourselves then finds less, and nothing else suffers.
 */

#include "handle/handle.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

static const void *address_of(const struct sockaddr *sa)
{
    if (sa == NULL)
        return NULL;
    if (sa->sa_family == AF_INET)
        return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    if (sa->sa_family == AF_INET6)
        return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    return NULL;
}

static void add_addresses(struct buf *out)
{
    struct ifaddrs *list, *i;
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&list) != 0)
        return;
    for (i = list; i != NULL; i = i->ifa_next) {
        const void *address = address_of(i->ifa_addr);

        if (address != NULL && inet_ntop(i->ifa_addr->sa_family, address, text,
                                         sizeof(text)) != NULL)
            buf_printf(out, "%s ", text);
    }
    freeifaddrs(list);
}

void machine_describe(struct machine *m_r, struct mxhop_host *host)
{
    *m_r = (struct machine){.name = ""};
    if ((host->flags & MXHOP_THIS_MACHINE) == 0)
        return;
    if (gethostname(m_r->name, sizeof(m_r->name) - 1) == 0 &&
        host->own_names == NULL)
        host->own_names = m_r->name;
    add_addresses(&m_r->addresses);
    if (host->own_addresses == NULL)
        host->own_addresses = m_r->addresses.data;
}

void machine_free(struct machine *m)
{
    buf_free(&m->addresses);
}
