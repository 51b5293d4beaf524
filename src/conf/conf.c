/*
 * conf - read the configuration file
 *
 * Only a regular file of reasonable size is read, without ever blocking: the
 * path comes from an administrator, but a mail system opens it, often as
 * root. The descriptor can be kept by the caller, who watches the file that
 * was really read, whatever the path names later.
 *
 * struct conf owns its texts; conf_free() gives them back and leaves it
 * empty, and a struct that a failed call left may be freed as well.
 */

#include "conf/params.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX ((1u << 20) + 1) /* one more than conf_parse() takes */

void conf_free(struct conf *c)
{
    for (size_t i = 0; i < n_params; i++)
        if (params[i].type == PARAM_TEXT)
            free(*param_text(&params[i], c));
    *c = (struct conf){0};
}

static enum mxhop_status fail(const char *path, const char *what,
                              struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_CONFIG,
                   "%.200s: %s: %m; expected a readable file", path, what);
}

static enum mxhop_status open_regular(const char *path, int *fd_r,
                                      struct mxhop_error *err)
{
    struct stat st;
    enum mxhop_status status = MXHOP_OK;
    int fd;

    /* O_NONBLOCK: a FIFO without a writer would hold us up. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(path, "cannot be opened", err);
    if (fstat(fd, &st) < 0)
        status = fail(path, "cannot be examined", err);
    else if (!S_ISREG(st.st_mode))
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "%.200s: not a regular file; expected one", path);
    if (status != MXHOP_OK)
        close(fd);
    else
        *fd_r = fd;
    return status;
}

static enum mxhop_status read_all(int fd, const char *path, struct buf *text,
                                  struct mxhop_error *err)
{
    char chunk[8192];
    ssize_t n;

    while (text->len < READ_MAX) {
        n = read(fd, chunk, sizeof(chunk));
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, "cannot be read", err);
        buf_add(text, chunk, (size_t)n);
        if (text->failed)
            return err_nomem(err);
    }
    return MXHOP_OK;
}

bool conf_cache_dir(const struct conf *c, const char *path, char *out,
                    size_t cap)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t len = strlen(name);
    int n;

    if (strcmp(c->cache, "memory") == 0 || strcmp(c->cache, "none") == 0)
        return false;
    if (len > 3 && strcmp(name + len - 3, ".cf") == 0)
        len -= 3;
    n = c->cache[0] != '\0'
            ? snprintf(out, cap, "%s", c->cache)
            : snprintf(out, cap, "/run/mxhop/%.*s", (int)len, name);
    return n > 0 && (size_t)n < cap;
}

enum mxhop_status conf_load(struct conf *c_r, const char *path, int *fd_r,
                            struct mxhop_error *err)
{
    struct buf text = {0};
    enum mxhop_status st;
    int fd = -1;

    *c_r = (struct conf){0};
    if (fd_r != NULL)
        *fd_r = -1;
    st = open_regular(path, &fd, err);
    if (st != MXHOP_OK)
        return st;
    st = read_all(fd, path, &text, err);
    if (st == MXHOP_OK)
        st =
            conf_parse(c_r, path, text.len > 0 ? text.data : "", text.len, err);
    buf_free(&text);
    if (st == MXHOP_OK && fd_r != NULL)
        *fd_r = fd;
    else
        close(fd);
    return st;
}
