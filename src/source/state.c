/*
 * state - what a refresh knows beside the table
 *
 * `<override_table>.state` is one JSON object that everybody may read. Each
 * refresh writes it, one that failed as well, and `refresh --follow` each
 * minute. The table says what is in force; nothing is lost with this file.
 *
 * The reader takes the members that it knows and passes over others. The file
 * may be anybody's who can write to the directory: nothing is waited for, and
 * every length is bounded.
 */

#include "source/state.h"
#include "util/err.h"
#include "util/file.h"
#include "util/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATE_SUFFIX ".state"
#define STATE_OCTETS (256u * 1024)
#define STATE_DEPTH  8
#define STATE_TIME   "%Y-%m-%dT%H:%M:%SZ"

/* ---- reading: a cursor whose failure sticks ---- */

struct cursor {
    const char *at; /* ends with a NUL */
    bool bad;
};

/* Whether c comes next; then it is passed. */
static bool cursor_has(struct cursor *r, char c)
{
    r->at += strspn(r->at, " \t\r\n");
    if (r->bad || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void cursor_expect(struct cursor *r, char c)
{
    r->bad = !cursor_has(r, c) || r->bad;
}

static unsigned cursor_hex4(struct cursor *r)
{
    char digits[5] = "", *end;
    unsigned long v;

    strncpy(digits, r->at, 4);
    v = strtoul(digits, &end, 16);
    r->bad = r->bad || end != digits + 4 || digits[0] == '+' ||
             digits[0] == '-' || digits[0] == ' ';
    r->at += strlen(digits);
    return (unsigned)v;
}

/* One \uXXXX, or two of them that are one character, as UTF-8. */
static size_t cursor_unicode(struct cursor *r, char out[4])
{
    unsigned c = cursor_hex4(r);

    if (c >= 0xd800 && c < 0xdc00 && strncmp(r->at, "\\u", 2) == 0) {
        r->at += 2;
        c = 0x10000 + ((c - 0xd800) << 10) + ((cursor_hex4(r) - 0xdc00) & 1023);
    }
    r->bad = r->bad || c == 0;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Into out of `room` octets with the NUL. */
static void cursor_text(struct cursor *r, char *out, size_t room)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    size_t n = 0;

    cursor_expect(r, '"');
    while (!r->bad && *r->at != '"' && *r->at != '\0') {
        char c[4] = {*r->at++};
        size_t len = 1;

        if (c[0] == '\\' && *r->at == 'u') {
            r->at++;
            len = cursor_unicode(r, c);
        } else if (c[0] == '\\') {
            size_t i = 0;

            while (escapes[i] != '\0' && escapes[i] != *r->at)
                i += 2;
            r->bad = escapes[i] == '\0';
            c[0] = r->bad ? '?' : escapes[i + 1];
            r->at += *r->at != '\0';
        }
        if (n + len < room) {
            memcpy(out + n, c, len);
            n += len;
        }
    }
    out[n] = '\0';
    cursor_expect(r, '"');
}

static int64_t cursor_number(struct cursor *r)
{
    char *end;
    long long v = strtoll(r->at, &end, 10);

    r->bad = r->bad || end == r->at;
    r->at = end;
    return v;
}

static uint32_t cursor_count(struct cursor *r)
{
    int64_t n = cursor_number(r);

    r->bad = r->bad || n < 0 || n > UINT32_MAX;
    return (uint32_t)n;
}

static bool cursor_null(struct cursor *r)
{
    r->at += strspn(r->at, " \t\r\n");
    if (strncmp(r->at, "null", 4) != 0)
        return false;
    r->at += 4;
    return true;
}

static int64_t cursor_time(struct cursor *r)
{
    struct tm tm = {0};
    const char *end;
    char text[32];

    if (cursor_null(r))
        return 0;
    cursor_text(r, text, sizeof(text));
    end = strptime(text, STATE_TIME, &tm);
    r->bad = r->bad || end == NULL || *end != '\0';
    return timegm(&tm);
}

/* Whatever comes next. */
static void cursor_skip(struct cursor *r, int depth)
{
    char ignored[2], close = '}';

    r->at += strspn(r->at, " \t\r\n");
    if (*r->at == '"') {
        cursor_text(r, ignored, sizeof(ignored));
        return;
    }
    if (*r->at != '{' && *r->at != '[') {
        size_t n = strcspn(r->at, ",]} \t\r\n");

        r->bad = r->bad || n == 0;
        r->at += n;
        return;
    }
    r->bad = r->bad || depth == STATE_DEPTH;
    close = *r->at++ == '{' ? '}' : ']';
    for (bool first = true; !r->bad && !cursor_has(r, close); first = false) {
        if (!first)
            cursor_expect(r, ',');
        if (close == '}') {
            cursor_text(r, ignored, sizeof(ignored));
            cursor_expect(r, ':');
        }
        cursor_skip(r, depth + 1);
    }
}

/* Of an object that was begun: the next member's name; false: there is none. */
static bool cursor_member(struct cursor *r, bool *first, char name[32])
{
    if (r->bad || cursor_has(r, '}'))
        return false;
    if (!*first)
        cursor_expect(r, ',');
    *first = false;
    cursor_text(r, name, 32);
    cursor_expect(r, ':');
    r->at += strspn(r->at, " \t\r\n");
    return !r->bad;
}

static void state_parse_kept(struct cursor *r, struct state_kept *k)
{
    bool first = true;
    char name[32];

    cursor_expect(r, '{');
    while (cursor_member(r, &first, name)) {
        if (strcmp(name, "dn") == 0)
            cursor_text(r, k->dn, sizeof(k->dn));
        else if (strcmp(name, "since") == 0)
            k->since_s = cursor_time(r);
        else if (strcmp(name, "why") == 0)
            cursor_text(r, k->why, sizeof(k->why));
        else
            cursor_skip(r, 2);
    }
}

static void state_parse_follower(struct cursor *r, struct state *s)
{
    bool first = true;
    char name[32];

    if (cursor_null(r))
        return;
    cursor_expect(r, '{');
    while (cursor_member(r, &first, name)) {
        if (strcmp(name, "pid") == 0)
            s->follower_pid = (pid_t)cursor_number(r);
        else if (strcmp(name, "alive") == 0)
            s->follower_alive_s = cursor_time(r);
        else
            cursor_skip(r, 2);
    }
}

static void state_parse_lists(struct cursor *r, struct state *s, bool kept)
{
    uint32_t *n = kept ? &s->n_kept : &s->n_held;

    cursor_expect(r, '[');
    for (bool first = true; !r->bad && !cursor_has(r, ']'); first = false) {
        if (!first)
            cursor_expect(r, ',');
        if (*n == STATE_LIST)
            cursor_skip(r, 2);
        else if (kept)
            state_parse_kept(r, &s->kept[(*n)++]);
        else
            cursor_text(r, s->held[(*n)++], STATE_DN_MAX);
    }
}

static bool state_parse(const char *text, struct state *s)
{
    struct cursor r = {.at = text};
    bool first = true;
    char name[32];

    cursor_expect(&r, '{');
    while (cursor_member(&r, &first, name)) {
        if (strcmp(name, "read") == 0)
            s->read_s = cursor_time(&r);
        else if (strcmp(name, "tried") == 0)
            s->tried_s = cursor_time(&r);
        else if (strcmp(name, "error") == 0 && !cursor_null(&r))
            cursor_text(&r, s->error, sizeof(s->error));
        else if (strcmp(name, "source") == 0)
            cursor_text(&r, s->source, sizeof(s->source));
        else if (strcmp(name, "table") == 0)
            cursor_text(&r, s->table, sizeof(s->table));
        else if (strcmp(name, "entries") == 0)
            s->entries = cursor_count(&r);
        else if (strcmp(name, "held_back") == 0)
            s->held_back = cursor_count(&r);
        else if (strcmp(name, "kept_count") == 0)
            s->kept_count = cursor_count(&r);
        else if (strcmp(name, "left_out") == 0)
            s->left_out = cursor_count(&r);
        else if (strcmp(name, "held") == 0 || strcmp(name, "kept") == 0)
            state_parse_lists(&r, s, name[0] == 'k');
        else if (strcmp(name, "follower") == 0)
            state_parse_follower(&r, s);
        else if (strcmp(name, "error") != 0)
            cursor_skip(&r, 1);
    }
    return !r.bad;
}

enum mxhop_status state_read(const char *table, struct state *s_r,
                             struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    char path[PATH_MAX], *text = NULL;
    struct stat st;
    ssize_t n = -1;
    int fd;

    *s_r = (struct state){0};
    if (snprintf(path, sizeof(path), "%s%s", table, STATE_SUFFIX) >=
        (int)sizeof(path))
        return err_set(err, MXHOP_ERR_IO, "%s: path is too long", table);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? MXHOP_OK
                               : err_set(err, MXHOP_ERR_IO, "%s: %s", path,
                                         strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_size > (off_t)STATE_OCTETS) {
        status = err_set(err, MXHOP_ERR_IO,
                         "%s: is not what a refresh writes; remove it", path);
    } else if ((text = malloc(STATE_OCTETS + 1)) == NULL) {
        status = err_nomem(err);
    } else if ((n = file_read(fd, text, STATE_OCTETS)) < 0) {
        status = err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
    } else {
        text[n] = '\0';
        if (!state_parse(text, s_r)) {
            *s_r = (struct state){0};
            status = err_set(err, MXHOP_ERR_IO,
                             "%s: is damaged; the next refresh writes it anew",
                             path);
        }
    }
    free(text);
    close(fd);
    return status;
}

/* ---- writing ---- */

static void state_add_time(struct buf *b, const char *name, int64_t at_s)
{
    char text[32];
    time_t at = (time_t)at_s;
    struct tm tm;

    if (at_s == 0 || gmtime_r(&at, &tm) == NULL ||
        strftime(text, sizeof(text), STATE_TIME, &tm) == 0)
        buf_printf(b, "\"%s\":null", name);
    else
        buf_printf(b, "\"%s\":\"%s\"", name, text);
}

static void state_add_text(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, "\"%s\":", name);
    json_string(text, b);
}

static void state_print(const struct state *s, struct buf *b)
{
    buf_putc(b, '{');
    state_add_time(b, "read", s->read_s);
    buf_putc(b, ',');
    state_add_time(b, "tried", s->tried_s);
    buf_puts(b, ",\"error\":");
    if (s->error[0] != '\0')
        json_string(s->error, b);
    else
        buf_puts(b, "null");
    buf_putc(b, ',');
    state_add_text(b, "source", s->source);
    buf_putc(b, ',');
    state_add_text(b, "table", s->table);
    buf_printf(b, ",\"entries\":%lu,\"held_back\":%lu,\"held\":[",
               (unsigned long)s->entries, (unsigned long)s->held_back);
    for (uint32_t i = 0; i < s->n_held; i++) {
        buf_puts(b, i > 0 ? "," : "");
        json_string(s->held[i], b);
    }
    buf_printf(b, "],\"kept_count\":%lu,\"kept\":[",
               (unsigned long)s->kept_count);
    for (uint32_t i = 0; i < s->n_kept; i++) {
        buf_puts(b, i > 0 ? ",{" : "{");
        state_add_text(b, "dn", s->kept[i].dn);
        buf_putc(b, ',');
        state_add_time(b, "since", s->kept[i].since_s);
        buf_putc(b, ',');
        state_add_text(b, "why", s->kept[i].why);
        buf_putc(b, '}');
    }
    buf_printf(b,
               "],\"left_out\":%lu,\"follower\":", (unsigned long)s->left_out);
    if (s->follower_pid != 0) {
        buf_printf(b, "{\"pid\":%ld,", (long)s->follower_pid);
        state_add_time(b, "alive", s->follower_alive_s);
        buf_puts(b, "}}\n");
    } else {
        buf_puts(b, "null}\n");
    }
}

enum mxhop_status state_write(const char *table, const struct state *s,
                              struct mxhop_error *err)
{
    enum mxhop_status status;
    struct buf b = {0};

    state_print(s, &b);
    status = b.failed
                 ? err_nomem(err)
                 : ovtable_put_beside(table, STATE_SUFFIX, b.data, b.len, err);
    buf_free(&b);
    return status;
}
