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
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX ((1u << 20) + 1) /* one more than conf_parse() takes */

void conf_free(struct conf *c)
{
    for (size_t i = 0; i < n_params; i++)
        if (params[i].type == PARAM_TEXT)
            free(*param_text(&params[i], c));
    *c = (struct conf){0};
}

static enum mxhop_status conf_fail(const char *path, const char *what,
                                   struct mxhop_error *err)
{
    return err_set(err, MXHOP_ERR_CONFIG,
                   "%.200s: %s: %m; expected a readable file", path, what);
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

/* What a parameter may ask for in a text that cannot be parsed. */
struct wish {
    const char *name;
    const char *harmless; /* values */
    const char *words[2]; /* that stand in its other values; NULL: none */
};

/* Not the parser: it ends at the fault, and the fault may be in the very line.
   So lines count that begin with the parameter's name and go on, here or in a
   continuation, and all with a word that belongs to its values. Cuts text. */
static bool conf_text_wishes(char *text, const struct wish *wish)
{
    static const char blanks[] = " \t\r\v\f=";
    const size_t len = strlen(wish->name);
    char *line, *rest = text;
    bool of_name = false;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *at = line + strspn(line, " \t\r\v\f");

        if (*at == '\0' || *at == '#')
            continue;
        for (int i = 0; i < 2 && wish->words[i] != NULL; i++)
            if (strcasestr(at, wish->words[i]) != NULL)
                return true;
        if (at == line) {
            of_name = strncasecmp(at, wish->name, len) == 0 &&
                      strchr(blanks, at[len]) != NULL;
            at += of_name ? len : 0;
        }
        at += strspn(at, blanks);
        at[strcspn(at, blanks)] = '\0';
        if (of_name && *at != '\0' && !str_in_list(wish->harmless, at))
            return true;
    }
    return false;
}

/* Of the text of a file; true if it cannot be read. */
static bool conf_wishes(const char *path, const struct wish *wish)
{
    char *text = malloc(READ_MAX + 1);
    struct stat about;
    int fd = text != NULL ? file_open(path, &about) : -1;
    ssize_t n = fd >= 0 ? file_read(fd, text, READ_MAX) : -1;
    bool may = true;

    if (n >= 0 && (size_t)n < READ_MAX) {
        for (ssize_t i = 0; i < n; i++)
            text[i] = text[i] != '\0' ? text[i] : ' ';
        text[n] = '\0';
        may = conf_text_wishes(text, wish);
    }
    if (fd >= 0)
        close(fd);
    free(text);
    return may;
}

bool conf_may_override(const char *path)
{
    return conf_wishes(path, &(struct wish){"overrides", "", {"ldif", "ldap"}});
}

bool conf_may_keep_policies(const char *path)
{
    return conf_wishes(path,
                       &(struct wish){"mta_sts", "off watch", {"enforce"}});
}

enum mxhop_status conf_load(struct conf *c_r, const char *path, int *fd_r,
                            struct stat *seen_r, struct mxhop_error *err)
{
    enum mxhop_status st;
    char *text = NULL;
    size_t room = READ_MAX;
    struct stat about;
    ssize_t n;
    int fd;

    *c_r = (struct conf){0};
    if (fd_r != NULL)
        *fd_r = -1;
    fd = file_open(path, &about);
    if (fd < 0)
        return errno != 0
                   ? conf_fail(path, "cannot be opened", err)
                   : err_set(err, MXHOP_ERR_CONFIG,
                             "%.200s: not a regular file; expected one", path);
    if (seen_r != NULL)
        *seen_r = about;
    if (about.st_size < READ_MAX) /* and if it has grown, the rest is late */
        room = (size_t)about.st_size + 1;
    text = malloc(room);
    if (text == NULL)
        st = err_nomem(err);
    else if ((n = file_read(fd, text, room)) < 0)
        st = conf_fail(path, "cannot be read", err);
    else
        st = conf_parse(c_r, path, text, (size_t)n, err);
    free(text);
    if (st == MXHOP_OK && fd_r != NULL)
        *fd_r = fd;
    else
        close(fd);
    return st;
}
