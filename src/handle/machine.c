/*
 * machine - what this machine is called, and its addresses
 *
 * For hosts that set MXHOP_THIS_MACHINE: the MTA's own names and addresses are
 * then those of the system it runs on, as Postfix has it with `inet_interfaces
 * = all'. What cannot be found out is left empty: the check whether a mail host
 * is ourselves then finds less, and nothing else suffers.
 *
 * The addresses are read for the first decision about hosts: what passes or is
 * refused needs none. The kernel is asked for nothing else (rtnetlink(7)):
 * getifaddrs(3) reads all links with their statistics too, and took 240 of the
 * 700 us that the first lookup of an Exim process costs, this takes 50.
 */

#include "handle/handle.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define DUMP_MAX \
    8192 /* the kernel sends no more at once to who reads so much */

/* An address of an interface: where there is a peer, ours is IFA_LOCAL. */
static void machine_add(const struct nlmsghdr *h, struct buf *all)
{
    const struct ifaddrmsg *about = NLMSG_DATA(h);
    size_t size = about->ifa_family == AF_INET ? sizeof(struct in_addr)
                                               : sizeof(struct in6_addr);
    const struct rtattr *a = IFA_RTA(about);
    size_t left = IFA_PAYLOAD(h), step;
    const void *address = NULL;
    char text[INET6_ADDRSTRLEN];

    while (left >= sizeof(*a) && a->rta_len >= sizeof(*a) &&
           a->rta_len <= left) {
        if (RTA_PAYLOAD(a) == size &&
            (a->rta_type == IFA_LOCAL ||
             (a->rta_type == IFA_ADDRESS && address == NULL)))
            address = RTA_DATA(a);
        step = RTA_ALIGN(a->rta_len);
        left -= step < left ? step : left;
        a = (const void *)((const char *)a + step);
    }
    if (address != NULL &&
        inet_ntop(about->ifa_family, address, text, sizeof(text)) != NULL)
        buf_printf(all, "%s ", text);
}

/* What was heard counts, also where it ends early. */
static void machine_dump(int fd, struct buf *all)
{
    const struct {
        struct nlmsghdr head;
        struct ifaddrmsg about;
    } ask = {{.nlmsg_len = sizeof(ask),
              .nlmsg_type = RTM_GETADDR,
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
             {.ifa_family = AF_UNSPEC}};
    _Alignas(struct nlmsghdr) unsigned char answer[DUMP_MAX];

    if (send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
        return;
    for (;;) {
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        unsigned left = n > 0 ? (unsigned)n : 0;

        if (n <= 0)
            return;
        for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return;
            if (h->nlmsg_type == RTM_NEWADDR)
                machine_add(h, all);
        }
    }
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
    const char *bad;
    size_t bad_len;
    int fd;

    if (!mx->addresses_due)
        return;
    mx->addresses_due = false;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return;
    machine_dump(fd, &all);
    close(fd);
    mx->host_addresses = buf_detach(&all);
    if (mx->host_addresses != NULL)
        (void)networks_parse(mx->host_addresses, &mx->rules.own_addresses, &bad,
                             &bad_len);
}
