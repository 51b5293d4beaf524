/*
 * ldap_bound - a handshake that ends
 *
 * libldap with GnuTLS repeats a read that found nothing, at once and without
 * end, so that a server that was stopped during the handshake costs a
 * processor for as long as it is stopped, whatever LDAP_OPT_NETWORK_TIMEOUT
 * says. This layer of liblber's is put below TLS: while a deadline is set, a
 * read waits for data and fails when the deadline comes.
 */

#include "ldap/ldap_bound.h"
#include "util/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>

static int setup(Sockbuf_IO_Desc *d, void *arg)
{
    d->sbiod_pvt = arg;
    return 0;
}

static int control(Sockbuf_IO_Desc *d, int option, void *arg)
{
    return LBER_SBIOD_CTRL_NEXT(d, option, arg);
}

/* false: the deadline has come. */
static bool wait_for_data(const struct ldap_bound *b)
{
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    uint64_t now = clock_boot_ms();

    if (now >= b->deadline_ms)
        return false;
    now = b->deadline_ms - now;
    poll(&p, 1, now < INT_MAX ? (int)now : INT_MAX);
    return clock_boot_ms() < b->deadline_ms;
}

static ber_slen_t read_bounded(Sockbuf_IO_Desc *d, void *to, ber_len_t len)
{
    const struct ldap_bound *b = d->sbiod_pvt;

    for (;;) {
        ber_slen_t n;

        if (b->deadline_ms != 0 && !wait_for_data(b)) {
            errno = ETIMEDOUT;
            return -1;
        }
        n = LBER_SBIOD_READ_NEXT(d, to, len);
        if (n >= 0 || b->deadline_ms == 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return n;
    }
}

static ber_slen_t write_through(Sockbuf_IO_Desc *d, void *from, ber_len_t len)
{
    return LBER_SBIOD_WRITE_NEXT(d, from, len);
}

int ldap_bound_install(LDAP *ld, struct ldap_bound *b)
{
    static Sockbuf_IO io = {
        .sbi_setup = setup,
        .sbi_ctrl = control,
        .sbi_read = read_bounded,
        .sbi_write = write_through,
    };
    Sockbuf *sb = NULL;

    if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
        ldap_get_option(ld, LDAP_OPT_DESC, &b->fd) != LDAP_OPT_SUCCESS ||
        ber_sockbuf_add_io(sb, &io, LBER_SBIOD_LEVEL_TRANSPORT - 1, b) != 0)
        return LDAP_LOCAL_ERROR;
    return LDAP_SUCCESS;
}
