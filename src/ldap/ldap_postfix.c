/*
 * ldap_postfix - the file of a Postfix ldap: table
 *
 * The format is that of main.cf: `name = value`, lines that begin with white
 * space go on, # begins a comment line. Any octets may come in. What the
 * parameters mean is in ldap_postfix_param.c.
 *
 * A password may be among them, so what was read is wiped.
 */

#include "ldap/ldap_error.h"
#include "ldap/ldap_postfix.h"
#include "util/buf.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 65536

/* ---- lines ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *trim(char *text)
{
    size_t n;

    while (is_space(*text))
        text++;
    n = strlen(text);
    while (n > 0 && is_space(text[n - 1]))
        text[--n] = '\0';
    return text;
}

static enum mxhop_status take_logical(struct postfix_reading *r,
                                      struct buf *line)
{
    char *equals = line->len > 0 ? strchr(line->data, '=') : NULL;
    enum mxhop_status status;

    if (line->failed)
        return err_nomem(r->err);
    if (line->len == 0)
        return MXHOP_OK;
    if (equals == NULL)
        return ldap_postfix_fail(r, "line", "expected name = value");
    *equals = '\0';
    status = ldap_postfix_set(r, trim(line->data), trim(equals + 1));
    explicit_bzero(line->data, line->len); /* it may be the password */
    buf_reset(line);
    return status;
}

static enum mxhop_status take_lines(struct postfix_reading *r, const char *text,
                                    size_t len, struct buf *line)
{
    enum mxhop_status status = MXHOP_OK;
    size_t number = 0;

    for (size_t at = 0, n; status == MXHOP_OK && at < len; at += n + 1) {
        const char *start = text + at, *visible = start;
        const char *end = memchr(start, '\n', len - at);

        number++;
        n = end != NULL ? (size_t)(end - start) : len - at;
        while (visible < start + n && is_space(*visible))
            visible++;
        if (visible == start + n || *visible == '#')
            continue;
        if (!is_space(*start))
            status = take_logical(r, line);
        if (line->len == 0)
            r->line = number;
        buf_add(line, start, n);
    }
    return status == MXHOP_OK ? take_logical(r, line) : status;
}

static enum mxhop_status parse(struct postfix_reading *r, const char *text,
                               size_t len)
{
    struct buf line = {0};
    enum mxhop_status status;

    if (memchr(text, '\0', len) != NULL)
        return err_set(r->err, MXHOP_ERR_CONFIG,
                       "%.200s: a NUL octet; expected the text file of an "
                       "ldap: table",
                       r->file);
    status = take_lines(r, text, len, &line);
    if (status == MXHOP_OK)
        status = ldap_postfix_finish(r);
    if (line.data != NULL)
        explicit_bzero(line.data, line.cap);
    buf_free(&line);
    free(r->hosts);
    free(r->port);
    free(r->query_filter);
    return status;
}

enum mxhop_status ldap_postfix_parse(struct ldap_settings *s, const char *name,
                                     const char *text, size_t len,
                                     struct mxhop_error *err)
{
    struct postfix_reading r = {.s = s, .err = err, .file = name};

    return parse(&r, text, len);
}

/* ---- the file ---- */

static enum mxhop_status file_error(struct mxhop_error *err, const char *path,
                                    const char *why)
{
    return err_set(err, MXHOP_ERR_CONFIG, "ldap_config: %.200s: %s", path, why);
}

static enum mxhop_status read_all(int fd, const char *path, char *text,
                                  size_t *len_r, struct stat *st,
                                  struct mxhop_error *err)
{
    ssize_t n;

    *len_r = 0;
    if (fstat(fd, st) != 0)
        return file_error(err, path, strerror(errno));
    if (!S_ISREG(st->st_mode))
        return file_error(err, path, "not a regular file");
    while ((n = read(fd, text + *len_r, FILE_MAX + 1 - *len_r)) > 0)
        *len_r += (size_t)n;
    if (n < 0)
        return file_error(err, path, strerror(errno));
    if (*len_r > FILE_MAX)
        return file_error(err, path,
                          "larger than 64 KiB; expected the file of an ldap: "
                          "table");
    return MXHOP_OK;
}

static enum mxhop_status use_file(struct postfix_reading *r, int fd, char *text)
{
    struct stat st;
    size_t len;
    enum mxhop_status status = read_all(fd, r->file, text, &len, &st, r->err);

    if (status == MXHOP_OK)
        status = parse(r, text, len);
    explicit_bzero(text, FILE_MAX + 1);
    if (status != MXHOP_OK || r->password_line == 0 ||
        (st.st_mode & S_IRWXO) == 0)
        return status;
    r->line = r->password_line;
    return ldap_postfix_fail(
        r, "bind_pw",
        "others have access to this file; take that from them "
        "(chmod o=)");
}

enum mxhop_status ldap_postfix_read(struct ldap_settings *s, const char *path,
                                    struct mxhop_error *err)
{
    struct postfix_reading r = {.s = s, .err = err, .file = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text;
    enum mxhop_status status;

    if (fd < 0)
        return ldap_file_error(err, "ldap_config", path);
    text = malloc(FILE_MAX + 1);
    status = text != NULL ? use_file(&r, fd, text) : err_nomem(err);
    free(text);
    close(fd);
    return status;
}
