/*
 * ldap_bound - a handshake that ends
 *
 * libldap with GnuTLS repeats a read that found nothing, at once and without
 * end, so that a server that was stopped during the handshake costs a
 * processor for as long as it is stopped, whatever LDAP_OPT_NETWORK_TIMEOUT
 * says. This layer of liblber's is put below TLS: while a deadline is set, a
 * read waits for data and fails when the deadline comes.
 */

#include "ldap/ldap_conn.h"
#include "util/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

static int bound_setup(Sockbuf_IO_Desc *d, void *arg)
{
    d->sbiod_pvt = arg;
    return 0;
}

static int bound_control(Sockbuf_IO_Desc *d, int option, void *arg)
{
    return LBER_SBIOD_CTRL_NEXT(d, option, arg);
}

static ber_slen_t bound_read(Sockbuf_IO_Desc *d, void *to, ber_len_t len)
{
    const struct ldap_bound *b = d->sbiod_pvt;
    struct pollfd p = {.fd = b->fd, .events = POLLIN};

    for (;;) {
        uint64_t now = clock_boot_ms(), left = b->deadline_ms - now;
        ber_slen_t n;

        if (b->deadline_ms == 0)
            return LBER_SBIOD_READ_NEXT(d, to, len);
        if (now < b->deadline_ms)
            poll(&p, 1, left < INT_MAX ? (int)left : INT_MAX);
        if (clock_boot_ms() >= b->deadline_ms) {
            errno = ETIMEDOUT;
            return -1;
        }
        n = LBER_SBIOD_READ_NEXT(d, to, len);
        if (n >= 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return n;
    }
}

static ber_slen_t bound_write(Sockbuf_IO_Desc *d, void *from, ber_len_t len)
{
    return LBER_SBIOD_WRITE_NEXT(d, from, len);
}

int ldap_bound_install(LDAP *ld, struct ldap_bound *b)
{
    static Sockbuf_IO io = {
        .sbi_setup = bound_setup,
        .sbi_ctrl = bound_control,
        .sbi_read = bound_read,
        .sbi_write = bound_write,
    };
    Sockbuf *sb = NULL;

    if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
        ldap_get_option(ld, LDAP_OPT_DESC, &b->fd) != LDAP_OPT_SUCCESS ||
        ber_sockbuf_add_io(sb, &io, LBER_SBIOD_LEVEL_TRANSPORT - 1, b) != 0)
        return LDAP_LOCAL_ERROR;
    return LDAP_SUCCESS;
}
