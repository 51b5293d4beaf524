/*
 * lines - keys from a file or standard input, one a line
 *
 * For bulk_run(), which must not be kept waiting by whoever writes into a
 * pipe: names in work would run out of time. So a descriptor is asked by
 * poll(2) before it is read, and stdio, which would hide what it has read
 * already, is not used. The buffer is fixed: a line that does not fit into
 * half of it is no domain name anyway.
 */

#include "cli/lines.h"
#include "cli/cli.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_TEXT (LINES_BUFFER / 2)

static bool lines_refuse(const char *name, int error)
{
    cli_complain("%s: %s", name, strerror(error));
    return false;
}

bool lines_open(struct lines *l, const char *name)
{
    bool is_stdin = strcmp(name, "-") == 0;
    struct stat st;

    *l = (struct lines){.name = is_stdin ? "standard input" : name};
    l->fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0)
        return lines_refuse(name, errno);
    if (fstat(l->fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        lines_close(l);
        return lines_refuse(l->name, EISDIR);
    }
    l->regular = !is_stdin && S_ISREG(st.st_mode);
    return true;
}

void lines_close(struct lines *l)
{
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    l->fd = -1;
}

/* BULK_KEY: there is more in the buffer, or the end was reached. */
static enum bulk_input lines_read_more(struct lines *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    ssize_t n;

    if (!l->regular && poll(&p, 1, 0) <= 0)
        return BULK_LATER;
    memmove(l->data, l->data + l->at, l->len);
    l->at = 0;
    n = read(l->fd, l->data + l->len, LINES_BUFFER - l->len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return BULK_LATER;
    if (n < 0)
        l->error = errno;
    if (n <= 0)
        l->ended = true;
    else
        l->len += (size_t)n;
    return BULK_KEY;
}

/* A whole line from the buffer, or what is left at the end; NULL: none. Of
   what is too long the first piece counts, and the rest comes out empty. The
   octet behind a line is free to be overwritten. */
static char *lines_cut_line(struct lines *l)
{
    char *text = l->data + l->at;
    const char *end = memchr(text, '\n', l->len);
    size_t n = end != NULL ? (size_t)(end - text) : l->len;
    char *nul;

    if (end == NULL && (!l->ended || n == 0) && n < LINE_MAX_TEXT)
        return NULL;
    l->at += n + (end != NULL);
    l->len -= n + (end != NULL);
    if (l->cut)
        n = 0;
    l->cut = end == NULL;
    nul = memchr(text, '\0', n);
    if (nul != NULL)
        *nul = '?'; /* one is enough to make it no domain */
    text[n] = '\0';
    return str_trim(text);
}

enum bulk_input lines_next(struct lines *l, const char **line_r)
{
    for (;;) {
        const char *line = lines_cut_line(l);

        if (line != NULL && *line != '\0' && *line != '#') {
            *line_r = line;
            return BULK_KEY;
        }
        if (line != NULL)
            continue;
        if (l->ended)
            return BULK_END;
        if (lines_read_more(l) == BULK_LATER)
            return BULK_LATER;
    }
}

uint64_t lines_count(struct lines *l)
{
    const char *line;
    uint64_t n = 0;

    if (!l->regular)
        return 0;
    while (lines_next(l, &line) == BULK_KEY)
        n++;
    if (lseek(l->fd, 0, SEEK_SET) != 0)
        return 0;
    l->ended = l->cut = false;
    l->at = l->len = 0;
    l->error = 0;
    return n;
}
