/*
 * ldap_password - the password in its file
 *
 * Read for each connection, so that one that was changed needs no restart of
 * what follows the directory. It is in no message; whoever asked wipes it.
 */

#include "ldap/ldap_error.h"
#include "ldap/ldap_settings.h"
#include "util/err.h"
#include "util/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum mxhop_status ldap_password_read(const char *path,
                                     char text_r[LDAP_PASSWORD_SIZE],
                                     struct mxhop_error *err)
{
    static const char name[] = "ldap_bind_pw_file";
    struct stat st;
    int fd = file_open(path, &st);
    ssize_t n = fd >= 0 ? file_read(fd, text_r, LDAP_PASSWORD_SIZE - 1) : -1;
    int why = errno;

    if (fd >= 0)
        close(fd);
    text_r[n > 0 ? n : 0] = '\0';
    text_r[strcspn(text_r, "\r\n")] = '\0';
    errno = why;
    if (n < 0 && errno == 0)
        return err_set(err, MXHOP_ERR_CONFIG, "%s: %.200s: not a regular file",
                       name, path);
    if (n < 0)
        return ldap_file_error(err, name, path);
    if ((st.st_mode & S_IRWXO) != 0)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%s: %.200s: others have access to it; chmod o= %.200s",
                       name, path, path);
    if (n == LDAP_PASSWORD_SIZE - 1)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%s: %.200s: larger than 1024 octets", name, path);
    if (*text_r == '\0')
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%s: %.200s: its first line is empty; expected the "
                       "password there",
                       name, path);
    return MXHOP_OK;
}
