/*
 * want - datagrams that name domains
 *
 * An octet for the kind, then the name. The kernel adds who the sender is, for
 * the receiver to judge. The name of the socket is `mxhop-tls:' and the
 * directory of the store, cut to what fits: each store has its own service.
 *
 * The queue between the two is the kernel's, and short: ten datagrams. Any user
 * of the machine can fill it, faster than it is emptied. But the kernel lets
 * those who wait for room in by turns, so where somebody waits for a policy
 * anyway the sender waits, too.
 */

#include "policy/want.h"
#include "model/key.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ROOM_MS 100 /* that a sender waits for room */

static socklen_t want_address(const char *dir, struct sockaddr_un *to_r)
{
    size_t room = sizeof(to_r->sun_path) - 1;
    int n;

    *to_r = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(to_r->sun_path + 1, room, "mxhop-tls:%s", dir);
    if (n >= (int)room)
        n = (int)room - 1;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

int want_open(void)
{
    static const struct timeval room = {.tv_usec = ROOM_MS * 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &room, sizeof(room)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool want_send(int fd, const char *dir, const char *domain, enum want_kind kind)
{
    char text[1 + NAME_MAX_TEXT];
    size_t n = strlen(domain);
    struct sockaddr_un to;
    socklen_t len = want_address(dir, &to);

    if (fd < 0 || n == 0 || n > NAME_MAX_TEXT) {
        errno = EINVAL;
        return false;
    }
    text[0] = (char)kind;
    memcpy(text + 1, domain, n);
    return sendto(fd, text, 1 + n,
                  MSG_NOSIGNAL | (kind == WANT_SOON ? MSG_DONTWAIT : 0),
                  (struct sockaddr *)&to, len) == (ssize_t)(1 + n);
}

bool want_is_heard(const char *dir)
{
    struct sockaddr_un to;
    socklen_t len = want_address(dir, &to);
    int fd = want_open();
    bool heard = fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0;

    if (fd >= 0)
        close(fd);
    return heard;
}

int want_bind(const char *dir)
{
    struct sockaddr_un at;
    socklen_t len = want_address(dir, &at);
    int fd = want_open(), on = 1, saved;

    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
        bind(fd, (struct sockaddr *)&at, len) == 0)
        return fd;
    saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return -1;
}

static bool want_is_kind(char c)
{
    return c == WANT_SOON || c == WANT_URGENT || c == WANT_FETCH ||
           c == WANT_FORGET;
}

/* false: from a stranger, or not what want_send() sends. A name takes up to a
   fifth of a millisecond to look at, and strangers may send many. */
static bool want_read(struct msghdr *m, uid_t mta, const char *text, size_t n,
                      struct want *w_r)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    char name[NAME_MAX_TEXT + 1];
    struct ucred who;

    if (c == NULL || c->cmsg_level != SOL_SOCKET ||
        c->cmsg_type != SCM_CREDENTIALS || n < 2 ||
        (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        !want_is_kind(text[0]) || memchr(text, '\0', n) != NULL)
        return false;
    memcpy(&who, CMSG_DATA(c), sizeof(who));
    if (who.uid != 0 && who.uid != geteuid() && who.uid != mta)
        return false;
    memcpy(name, text + 1, n - 1);
    name[n - 1] = '\0';
    w_r->kind = (enum want_kind)text[0];
    w_r->uid = who.uid;
    return name_normalise(name, w_r->domain) == NULL &&
           strcmp(name, w_r->domain) == 0;
}

bool want_receive(int fd, uid_t mta, struct want *w_r)
{
    char text[1 + NAME_MAX_TEXT];
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec io = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    do
        n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return false;
    *w_r = (struct want){0};
    if (!want_read(&m, mta, text, (size_t)n, w_r))
        w_r->domain[0] = '\0';
    return true;
}
