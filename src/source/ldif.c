/*
 * ldif - LDIF files (RFC 2849) as a source of overrides
 *
 * libldap unfolds lines and decodes base64; this module decides what it may
 * see. libldap would read any file for `attr:< URL` and `include:`, and stops
 * silently at a NUL byte: such files are refused before, with the line. A file
 * with one error is no source at all, so that a typing error cannot unroute
 * half of a company.
 *
 * The file is read into memory whole: it is bounded, and an editor may write
 * to it while we read.
 */

#include "source/ldif.h"
#include "util/err.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <ldap.h>
#include <ldif.h>

/* What ldif_getline(3) writes over the line feed and the space where a line was
   folded. No other carriage return gets that far, see find_control(). */
#define FOLD_MARK '\r'

struct reader {
    const char *name; /* for errors */
    char *work;       /* the text, being cut into lines by libldap */
    const char *text; /* the same, untouched: for line numbers */
    char *next;
    const char *counted; /* line numbers are counted up to here, in text */
    size_t line;
    bool (*fn)(void *ctx, const struct raw_entry *e);
    void *ctx;

    /* The record that is being collected. */
    char *dn;
    size_t dn_line;
    struct raw_value *values;
    char **owned; /* what the values point into */
    size_t n, cap;
};

__attribute__((format(printf, 4, 5))) static enum mxhop_status
refuse(struct mxhop_error *err, const char *name, size_t line, const char *fmt,
       ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(err, MXHOP_ERR_SYNTAX, "%s:%zu: %s", name, line, text);
}

static void end_record(struct reader *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->owned[i]);
    free(r->dn);
    r->dn = NULL;
    r->n = 0;
}

static enum mxhop_status deliver(struct reader *r, struct mxhop_error *err)
{
    struct raw_entry e = {r->dn, r->dn_line, r->values, r->n};
    bool go_on = r->dn == NULL || r->fn(r->ctx, &e);

    end_record(r);
    return go_on ? MXHOP_OK : err_nomem(err);
}

static bool grow(struct reader *r)
{
    size_t cap = r->cap != 0 ? r->cap * 2 : 32;
    struct raw_value *values;
    char **owned;

    if (r->n < r->cap)
        return true;
    values = realloc(r->values, cap * sizeof(*values));
    if (values == NULL)
        return false;
    r->values = values;
    owned = realloc(r->owned, cap * sizeof(*owned));
    if (owned == NULL)
        return false;
    r->owned = owned;
    r->cap = cap;
    return true;
}

/* Attribute and value in one allocation: both are needed until the record
   ends, and libldap's value may point into the text. */
static enum mxhop_status keep_value(struct reader *r, const struct berval *type,
                                    const struct berval *value,
                                    struct mxhop_error *err)
{
    size_t name_len = strcspn(type->bv_val, ";"); /* options: ;lang-de */
    char *copy;

    if (!grow(r))
        return err_nomem(err);
    copy = malloc(name_len + 1 + value->bv_len + 1);
    if (copy == NULL)
        return err_nomem(err);
    memcpy(copy, type->bv_val, name_len);
    copy[name_len] = '\0';
    if (value->bv_len > 0)
        memcpy(copy + name_len + 1, value->bv_val, value->bv_len);
    copy[name_len + 1 + value->bv_len] = '\0';
    r->owned[r->n] = copy;
    r->values[r->n++] = (struct raw_value){.attribute = copy,
                                           .bytes = copy + name_len + 1,
                                           .len = value->bv_len,
                                           .line = r->line};
    return MXHOP_OK;
}

static enum mxhop_status take_dn(struct reader *r, const struct berval *value,
                                 struct mxhop_error *err)
{
    LDAPDN dn = NULL;

    if (r->dn != NULL)
        return refuse(err, r->name, r->line,
                      "a second dn: in one record; records are separated by "
                      "an empty line");
    if (value->bv_len == 0 || strlen(value->bv_val) != value->bv_len ||
        ldap_str2dn(value->bv_val, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
        return refuse(err, r->name, r->line,
                      "this is not a distinguished name (RFC 4514)");
    ldap_dnfree(dn);
    r->dn = strdup(value->bv_val);
    r->dn_line = r->line;
    return r->dn != NULL ? MXHOP_OK : err_nomem(err);
}

static enum mxhop_status take_pair(struct reader *r, const struct berval *type,
                                   const struct berval *value,
                                   struct mxhop_error *err)
{
    if (str_ieq(type->bv_val, "dn"))
        return take_dn(r, value, err);
    if (r->dn != NULL)
        return str_ieq(type->bv_val, "changetype") ||
                       str_ieq(type->bv_val, "control")
                   ? refuse(err, r->name, r->line,
                            "change records are not supported: write the "
                            "entry as it shall be")
                   : keep_value(r, type, value, err);
    if (str_ieq(type->bv_val, "version") && value->bv_len == 1 &&
        value->bv_val[0] == '1')
        return MXHOP_OK;
    return refuse(err, r->name, r->line,
                  "expected dn: at the beginning of a record");
}

/* What libldap may not see: it would open the URL. `line` may have been
   folded between the colon and the sign. */
static bool reads_a_file(const char *line)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL)
        return false;
    colon++;
    while (*colon == FOLD_MARK)
        colon++;
    return *colon == '<';
}

/* libldap would refuse it as well, but print to standard error why. */
static bool is_bad_base64(const char *line)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789+/=\r";
    const char *s = strchr(line, ':');

    if (s == NULL)
        return false;
    do {
        s++;
    } while (*s == FOLD_MARK);
    if (*s++ != ':')
        return false;
    s += strspn(s, " \t\r");
    return s[strspn(s, allowed)] != '\0';
}

static enum mxhop_status take_line(struct reader *r, char *line,
                                   struct mxhop_error *err)
{
    struct berval type = {0, NULL}, value = {0, NULL};
    int must_free = 0;
    enum mxhop_status status;

    if (reads_a_file(line))
        return refuse(err, r->name, r->line,
                      "values from a URL (attr:< ...) are refused: write the "
                      "value itself, or its base64 after ::");
    if (is_bad_base64(line) ||
        ldif_parse_line2(line, &type, &value, &must_free) != 0 ||
        type.bv_len == 0)
        return refuse(err, r->name, r->line,
                      "expected \"attribute: value\" or \"attribute:: "
                      "base64\"");
    status = take_pair(r, &type, &value, err);
    if (must_free)
        ber_memfree(value.bv_val);
    return status;
}

static void count_lines(struct reader *r, const char *line)
{
    const char *at = r->text + (line - r->work);

    while (r->counted < at)
        if (*r->counted++ == '\n')
            r->line++;
}

static enum mxhop_status read_records(struct reader *r, struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    char *line;

    while (status == MXHOP_OK && r->next != NULL && *r->next != '\0') {
        if (*r->next == '\n') { /* between records */
            status = deliver(r, err);
            r->next++;
            continue;
        }
        line = ldif_getline(&r->next);
        if (line == NULL)
            continue; /* only comments were left in the record */
        count_lines(r, line);
        status = take_line(r, line, err);
    }
    return status == MXHOP_OK ? deliver(r, err) : status;
}

/* ---- the raw text ---- */

/* Where a byte stands that no LDIF text has; SIZE_MAX: nowhere. */
static size_t find_control(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < ' ' && bytes[i] != '\n' &&
            bytes[i] != '\t' &&
            !(bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n'))
            return i;
    return SIZE_MAX;
}

static size_t line_of(const char *bytes, size_t pos)
{
    size_t line = 1;

    for (size_t i = 0; i < pos; i++)
        if (bytes[i] == '\n')
            line++;
    return line;
}

static bool has_include(const char *text, const char **at_r)
{
    const char *line = text;

    while (line != NULL) {
        if (strncasecmp(line, "include:", 8) == 0) {
            *at_r = line;
            return true;
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return false;
}

/* A copy with CRLF made LF and a final line feed. */
static char *tidy(const char *bytes, size_t len)
{
    char *text = malloc(len + 2);
    size_t n = 0;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != '\r')
            text[n++] = bytes[i];
    text[n++] = '\n';
    text[n] = '\0';
    return text;
}

static enum mxhop_status read_text(struct reader *r, struct mxhop_error *err)
{
    enum mxhop_status status;
    const char *include;

    if (has_include(r->text, &include))
        return refuse(err, r->name,
                      line_of(r->text, (size_t)(include - r->text)),
                      "include: is refused: a route file must not read other "
                      "files");
    r->work = strdup(r->text);
    if (r->work == NULL)
        return err_nomem(err);
    r->next = r->work;
    r->counted = r->text;
    r->line = 1;
    status = read_records(r, err);
    end_record(r);
    free(r->values);
    free(r->owned);
    free(r->work);
    return status;
}

enum mxhop_status
ldif_read_bytes(const char *name, const char *bytes, size_t len,
                bool (*fn)(void *ctx, const struct raw_entry *e), void *ctx,
                struct mxhop_error *err)
{
    struct reader r = {.name = name, .fn = fn, .ctx = ctx};
    size_t bad = find_control(bytes, len);
    enum mxhop_status status;
    char *text;

    if (bad != SIZE_MAX)
        return refuse(err, name, line_of(bytes, bad),
                      "control byte 0x%02x; write the value in base64 after ::",
                      (unsigned char)bytes[bad]);
    text = tidy(bytes, len);
    if (text == NULL)
        return err_nomem(err);
    r.text = text;
    status = read_text(&r, err);
    free(text);
    return status;
}

/* ---- the file ---- */

static enum mxhop_status io_error(struct mxhop_error *err, const char *path)
{
    return err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
}

static enum mxhop_status slurp(int fd, const char *path, char **bytes_r,
                               size_t *len_r, struct mxhop_error *err)
{
    struct stat st;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0)
        return io_error(err, path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, MXHOP_ERR_IO, "%s: not a regular file", path);
    if ((uint64_t)st.st_size > LDIF_BYTES_MAX)
        return err_set(err, MXHOP_ERR_IO, "%s: larger than 256 MiB", path);
    *bytes_r = malloc((size_t)st.st_size + 1);
    if (*bytes_r == NULL)
        return err_nomem(err);
    for (*len_r = 0; n > 0 && *len_r < (size_t)st.st_size;
         *len_r += (size_t)n) {
        n = read(fd, *bytes_r + *len_r, (size_t)st.st_size - *len_r);
        if (n < 0)
            return io_error(err, path);
    }
    return MXHOP_OK;
}

enum mxhop_status ldif_read(const char *path,
                            bool (*fn)(void *ctx, const struct raw_entry *e),
                            void *ctx, struct mxhop_error *err)
{
    /* O_NONBLOCK: a FIFO must not hold us before it is refused. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum mxhop_status status;
    char *bytes = NULL;
    size_t len = 0;

    if (fd < 0)
        return io_error(err, path);
    status = slurp(fd, path, &bytes, &len, err);
    close(fd);
    if (status == MXHOP_OK)
        status = ldif_read_bytes(path, bytes, len, fn, ctx, err);
    free(bytes);
    return status;
}
