/*
 * ldap_password - the password in its file
 *
 * Read for each connection, so that one that was changed needs no restart of
 * what follows the directory. It is in no message; whoever asked wipes it.
 */

#include "ldap/ldap_error.h"
#include "ldap/ldap_password.h"
#include "util/err.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum mxhop_status file_error(struct mxhop_error *err, const char *path)
{
    return ldap_file_error(err, "ldap_bind_pw_file", path);
}

/* The first line of the file. */
static enum mxhop_status first_line(int fd, const char *path, char *to,
                                    struct mxhop_error *err)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0)
        return file_error(err, path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_pw_file: %.200s: not a regular file", path);
    if ((st.st_mode & S_IRWXO) != 0)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_pw_file: %.200s: others have access to it; "
                       "chmod o= %.200s",
                       path, path);
    n = read(fd, to, LDAP_PASSWORD_SIZE - 1);
    if (n < 0)
        return file_error(err, path);
    if (n == LDAP_PASSWORD_SIZE - 1)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_pw_file: %.200s: larger than 1024 octets",
                       path);
    to[n] = '\0';
    to[strcspn(to, "\r\n")] = '\0';
    if (*to == '\0')
        return err_set(err, MXHOP_ERR_CONFIG,
                       "ldap_bind_pw_file: %.200s: its first line is empty; "
                       "expected the password there",
                       path);
    return MXHOP_OK;
}

enum mxhop_status ldap_password_read(const char *path,
                                     char text_r[LDAP_PASSWORD_SIZE],
                                     struct mxhop_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum mxhop_status status;

    text_r[0] = '\0';
    if (fd < 0)
        return file_error(err, path);
    status = first_line(fd, path, text_r, err);
    close(fd);
    return status;
}
