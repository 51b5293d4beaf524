/*
 * ldap_error - the one place that turns results of LDAP into our errors
 *
 * An administrator reads them in a log at night: which server, what was asked,
 * what it said, and for those that people meet, what to do.
 */

#include "ldap/ldap_error.h"
#include "util/err.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include <ldap.h>

/* libldap refuses a certificate with a code that GnuTLS has no words for. */
static const char no_words[] = "(unknown error code)";

static const struct hint {
    int code;
    enum mxhop_status status;
    const char *text;
} hints[] = {
    {LDAP_SIZELIMIT_EXCEEDED, MXHOP_ERR_CONFIG,
     "the set was cut; give the reader unlimited size in the server's limits "
     "(olcLimits)"},
    {LDAP_TIMELIMIT_EXCEEDED, MXHOP_ERR_CONFIG,
     "the set was cut; give the reader unlimited time in the server's limits "
     "(olcLimits), or index what ldap_filter asks for"},
    {LDAP_ADMINLIMIT_EXCEEDED, MXHOP_ERR_CONFIG,
     "the set was cut; raise the server's limits for the reader (olcLimits, "
     "size.unchecked and size.prtotal too)"},
    {LDAP_INVALID_CREDENTIALS, MXHOP_ERR_CONFIG,
     "see ldap_bind_dn and ldap_bind_pw_file"},
    {LDAP_INAPPROPRIATE_AUTH, MXHOP_ERR_CONFIG, "see ldap_bind"},
    {LDAP_STRONG_AUTH_NOT_SUPPORTED, MXHOP_ERR_CONFIG, "see ldap_bind"},
    {LDAP_STRONG_AUTH_REQUIRED, MXHOP_ERR_CONFIG,
     "see ldap_bind and ldap_start_tls"},
    {LDAP_CONFIDENTIALITY_REQUIRED, MXHOP_ERR_CONFIG, "see ldap_start_tls"},
    {LDAP_NO_SUCH_OBJECT, MXHOP_ERR_CONFIG,
     "see ldap_search_base, and whether the reader may see it"},
    {LDAP_INVALID_DN_SYNTAX, MXHOP_ERR_CONFIG,
     "see ldap_search_base and ldap_bind_dn"},
    {LDAP_INSUFFICIENT_ACCESS, MXHOP_ERR_CONFIG,
     "see ldap_bind_dn and the server's access rules"},
    {LDAP_FILTER_ERROR, MXHOP_ERR_CONFIG, "see ldap_filter"},
    {LDAP_REFERRAL, MXHOP_ERR_CONFIG,
     "the entries are elsewhere; name that server in ldap_server_host"},
    {LDAP_UNWILLING_TO_PERFORM, MXHOP_ERR_IO,
     "if it says that we know more than it does, it is behind, or was put "
     "back to an older state: then `mxhop refresh --force' reads all anew"},
    {LDAP_PROTOCOL_ERROR, MXHOP_ERR_IO,
     "for StartTLS the server needs a certificate (olcTLSCertificateFile)"},
    {LDAP_CONNECT_ERROR, MXHOP_ERR_IO,
     "a certificate must be in date, for the name in ldap_server_host, and of "
     "an authority in ldap_tls_ca_cert_file"},
    {LDAP_SERVER_DOWN, MXHOP_ERR_IO,
     "no connection, or it broke; see ldap_server_host, and whether a server "
     "listens there"},
    {LDAP_TIMEOUT, MXHOP_ERR_TIMEOUT, NULL},
    {LDAP_NO_MEMORY, MXHOP_ERR_MEMORY, NULL},
};

enum mxhop_status ldap_error(struct mxhop_error *err, const char *uri,
                             const char *operation, int code, const char *words)
{
    const struct hint *h = NULL;

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]) && h == NULL; i++)
        if (hints[i].code == code)
            h = &hints[i];
    if (words == NULL)
        words = "";
    if (code == LDAP_CONNECT_ERROR && strcmp(words, no_words) == 0)
        words = "the server's certificate is refused";
    return err_set(err, h != NULL ? h->status : MXHOP_ERR_IO,
                   "%.120s: %s: %s (%d)%s%.120s%s%s", uri, operation,
                   ldap_err2string(code), code, *words != '\0' ? ", " : "",
                   words, h != NULL && h->text != NULL ? "; " : "",
                   h != NULL && h->text != NULL ? h->text : "");
}

enum mxhop_status ldap_error_reference(struct mxhop_error *err, const char *uri,
                                       const char *operation)
{
    return err_set(err, MXHOP_ERR_SYNTAX,
                   "%.120s: %s: some entries are on another server, to which "
                   "it refers; narrow ldap_search_base, or name a server in "
                   "ldap_server_host that has them all",
                   uri, operation);
}

enum mxhop_status ldap_file_error(struct mxhop_error *err, const char *name,
                                  const char *path)
{
    int why = errno;
    const struct passwd *pw = getpwuid(geteuid());

    return err_set(err, MXHOP_ERR_CONFIG,
                   "%s: %.200s: %s; expected a file that user %.40s can read",
                   name, path, strerror(why),
                   pw != NULL ? pw->pw_name : "of this process");
}
