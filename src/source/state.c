/*
 * state - what a refresh knows beside the table
 *
 * `<override_table>.state` is one JSON object that everybody may read. Each
 * refresh writes it, one that failed as well, and `refresh --follow` each
 * minute. The table says what is in force; nothing is lost with this file.
 *
 * The reader takes the members that it knows and passes over others. The file
 * may be anybody's who can write to the directory: nothing is waited for,
 * lengths are bounded before libjansson sees the text, the depth by libjansson,
 * and a member that has another type than it is written with is damage.
 */

#include "source/state.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/file.h"
#include "util/json.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATE_SUFFIX ".state"
#define STATE_OCTETS (512u * 1024) /* what is written never has so many */
#define STATE_TIME   "%Y-%m-%dT%H:%M:%SZ" /* of clock_text() */

/* ---- reading: a value of a wrong type is told by *bad, and reads as none ----
 */

/* NULL: there is none, or a null. */
static const json_t *state_member(const json_t *o, const char *name,
                                  json_type type, bool *bad)
{
    const json_t *v = json_object_get(o, name);

    if (v == NULL || json_is_null(v))
        return NULL;
    if (json_typeof(v) == type)
        return v;
    *bad = true;
    return NULL;
}

/* What does not fit into out, of `room` octets with the NUL, is cut between two
   characters. */
static void state_cut(const json_t *text, char *out, size_t room)
{
    const char *from = text != NULL ? json_string_value(text) : "";
    size_t n = strnlen(from, room);

    if (n == room)
        for (n--; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80; n--)
            ;
    memcpy(out, from, n);
    out[n] = '\0';
}

static void state_get_text(const json_t *o, const char *name, char *out,
                           size_t room, bool *bad)
{
    state_cut(state_member(o, name, JSON_STRING, bad), out, room);
}

static int64_t state_get_time(const json_t *o, const char *name, bool *bad)
{
    const json_t *text = state_member(o, name, JSON_STRING, bad);
    struct tm tm = {0};
    const char *end;

    if (text == NULL)
        return 0;
    end = strptime(json_string_value(text), STATE_TIME, &tm);
    *bad = *bad || end == NULL || *end != '\0';
    return timegm(&tm);
}

static uint32_t state_get_count(const json_t *o, const char *name, uint32_t max,
                                bool *bad)
{
    const json_t *number = state_member(o, name, JSON_INTEGER, bad);
    json_int_t n = json_integer_value(number); /* 0 of NULL */

    *bad = *bad || n < 0 || n > max;
    return (uint32_t)n;
}

/* At most STATE_LIST members of a list; *n_r: how many. */
static const json_t *state_get_list(const json_t *o, const char *name,
                                    uint32_t *n_r, bool *bad)
{
    const json_t *list = state_member(o, name, JSON_ARRAY, bad);
    size_t n = json_array_size(list); /* 0 of NULL */

    *n_r = n < STATE_LIST ? (uint32_t)n : STATE_LIST;
    return list;
}

static bool state_take(const json_t *o, struct state *s)
{
    bool bad = !json_is_object(o);
    const json_t *list, *v;

    s->read_s = state_get_time(o, "read", &bad);
    s->tried_s = state_get_time(o, "tried", &bad);
    state_get_text(o, "error", s->error, sizeof(s->error), &bad);
    state_get_text(o, "source", s->source, sizeof(s->source), &bad);
    state_get_text(o, "table", s->table, sizeof(s->table), &bad);
    s->entries = state_get_count(o, "entries", UINT32_MAX, &bad);
    s->held_back = state_get_count(o, "held_back", UINT32_MAX, &bad);
    s->kept_count = state_get_count(o, "kept_count", UINT32_MAX, &bad);
    s->left_out = state_get_count(o, "left_out", UINT32_MAX, &bad);
    list = state_get_list(o, "held", &s->n_held, &bad);
    for (uint32_t i = 0; i < s->n_held; i++) {
        v = json_array_get(list, i);
        bad = bad || !json_is_string(v);
        state_cut(json_is_string(v) ? v : NULL, s->held[i], STATE_DN_MAX);
    }
    list = state_get_list(o, "kept", &s->n_kept, &bad);
    for (uint32_t i = 0; i < s->n_kept; i++) {
        struct state_kept *k = &s->kept[i];

        v = json_array_get(list, i);
        bad = bad || !json_is_object(v);
        state_get_text(v, "dn", k->dn, sizeof(k->dn), &bad);
        k->since_s = state_get_time(v, "since", &bad);
        state_get_text(v, "why", k->why, sizeof(k->why), &bad);
    }
    v = state_member(o, "follower", JSON_OBJECT, &bad);
    s->follower_pid = (pid_t)state_get_count(v, "pid", INT_MAX, &bad);
    s->follower_alive_s = state_get_time(v, "alive", &bad);
    return !bad;
}

static enum mxhop_status state_parse(const char *path, const char *text,
                                     size_t len, struct state *s,
                                     struct mxhop_error *err)
{
    json_error_t why;
    json_t *o = json_loadb(text, len, 0, &why);
    bool ok = o != NULL && state_take(o, s);

    if (o == NULL && json_error_code(&why) == json_error_out_of_memory)
        return err_nomem(err);
    json_decref(o);
    if (ok)
        return MXHOP_OK;
    *s = (struct state){0};
    return err_set(err, MXHOP_ERR_IO,
                   "%s: is damaged; the next refresh writes it anew", path);
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
    } else if ((text = malloc(STATE_OCTETS)) == NULL) {
        status = err_nomem(err);
    } else if ((n = file_read(fd, text, STATE_OCTETS)) < 0) {
        status = err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
    } else {
        status = state_parse(path, text, (size_t)n, s_r, err);
    }
    free(text);
    close(fd);
    return status;
}

/* ---- writing: libjansson would refuse text that is not UTF-8 ---- */

static void state_add_time(struct buf *b, const char *name, int64_t at_s)
{
    char text[CLOCK_TEXT_MAX] = "";

    if (at_s != 0)
        (void)clock_text(at_s, text);
    json_add(name, text[0] != '\0' ? text : NULL, b);
}

static void state_print(const struct state *s, struct buf *b)
{
    buf_putc(b, '{');
    state_add_time(b, "read", s->read_s);
    state_add_time(b, "tried", s->tried_s);
    json_add("error", s->error[0] != '\0' ? s->error : NULL, b);
    json_add("source", s->source, b);
    json_add("table", s->table, b);
    buf_printf(b, ",\"entries\":%lu,\"held_back\":%lu,\"held\":[",
               (unsigned long)s->entries, (unsigned long)s->held_back);
    for (uint32_t i = 0; i < s->n_held; i++)
        json_add(NULL, s->held[i], b);
    buf_printf(b, "],\"kept_count\":%lu,\"kept\":[",
               (unsigned long)s->kept_count);
    for (uint32_t i = 0; i < s->n_kept; i++) {
        buf_puts(b, i > 0 ? ",{" : "{");
        json_add("dn", s->kept[i].dn, b);
        state_add_time(b, "since", s->kept[i].since_s);
        json_add("why", s->kept[i].why, b);
        buf_putc(b, '}');
    }
    buf_printf(b,
               "],\"left_out\":%lu,\"follower\":", (unsigned long)s->left_out);
    if (s->follower_pid != 0) {
        buf_printf(b, "{\"pid\":%ld", (long)s->follower_pid);
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
