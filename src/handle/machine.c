/*
 * machine - what this machine is called, and its addresses
 *
 * For hosts that set MXHOP_THIS_MACHINE: the MTA's own names and addresses are
 * then those of the system it runs on, as Postfix has it with `inet_interfaces
 * = all'. What cannot be found out is left empty: the check whether a mail host
 * is ourselves then finds less, and nothing else suffers.
 *
 * The addresses are read for the first decision about hosts: what passes or is
 * refused needs none.
 */

#include "handle/handle.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

static const void *machine_address(const struct sockaddr *sa)
{
    if (sa == NULL)
        return NULL;
    if (sa->sa_family == AF_INET)
        return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    if (sa->sa_family == AF_INET6)
        return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    return NULL;
}

void machine_name(const struct mxhop_host *host, char name_r[HOST_NAME_MAX + 1])
{
    name_r[0] = name_r[HOST_NAME_MAX] = '\0';
    if ((host->flags & MXHOP_THIS_MACHINE) != 0 &&
        gethostname(name_r, HOST_NAME_MAX) != 0)
        name_r[0] = '\0';
}

void machine_addresses(struct mxhop *mx)
{
    struct buf all = {0};
    struct ifaddrs *list, *i;
    const char *bad;
    size_t bad_len;

    if (!mx->addresses_due)
        return;
    mx->addresses_due = false;
    if (getifaddrs(&list) != 0)
        return;
    for (i = list; i != NULL; i = i->ifa_next) {
        const void *address = machine_address(i->ifa_addr);
        char text[INET6_ADDRSTRLEN];

        if (address != NULL && inet_ntop(i->ifa_addr->sa_family, address, text,
                                         sizeof(text)) != NULL)
            buf_printf(&all, "%s ", text);
    }
    freeifaddrs(list);
    buf_puts(&all, "127.0.0.0/8");
    mx->host_addresses = buf_detach(&all);
    if (mx->host_addresses != NULL)
        (void)networks_parse(mx->host_addresses, &mx->rules.own_addresses, &bad,
                             &bad_len);
}
