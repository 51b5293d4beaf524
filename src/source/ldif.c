/*
 * ldif - LDIF files (RFC 2849) as a source of overrides
 *
 * libldap unfolds lines and decodes base64; this module decides what it may
 * see. libldap would read any file for `attr:< URL` and `include:`, and stops
 * silently at a NUL byte: such files are refused before, with the line. A file
 * with one error is no source at all, so that a typing error cannot unroute
 * half of a company. An attribute with white space in front is such an error:
 * it would continue the line before, and be no attribute.
 *
 * The file is read into memory whole: it is bounded, and an editor may write
 * to it while we read.
 */

#include "source/ldif.h"
#include "util/err.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ldap.h>
#include <ldif.h>

/* What ldif_getline(3) writes over the line feed and the space where a line was
   folded. No other carriage return gets that far, see ldif_find_control(). */
#define FOLD_MARK '\r'

struct ldif {
    const char *name; /* for errors */
    char *work;       /* the text, being cut into lines by libldap */
    char *text;       /* the same, untouched: for line numbers */
    char *next;
    const char *counted; /* line numbers are counted up to here, in text */
    size_t line;
    ldif_fn *fn;
    void *ctx;

    /* The record that is being collected. */
    char *dn;
    size_t dn_line;
    struct entry_values values;
};

__attribute__((format(printf, 4, 5))) static enum mxhop_status
ldif_refuse(struct mxhop_error *err, const char *name, size_t line,
            const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(err, MXHOP_ERR_SYNTAX, "%s:%zu: %s", name, line, text);
}

/* The record is complete: hand it over, and forget it. */
static enum mxhop_status ldif_deliver(struct ldif *r, struct mxhop_error *err)
{
    struct raw_entry e = {r->dn, r->dn_line, r->values.v, r->values.n};
    enum mxhop_status status =
        r->dn == NULL ? MXHOP_OK : r->fn(r->ctx, &e, err);

    entry_values_reset(&r->values);
    free(r->dn);
    r->dn = NULL;
    return status;
}

static enum mxhop_status ldif_take_dn(struct ldif *r,
                                      const struct berval *value,
                                      struct mxhop_error *err)
{
    LDAPDN dn = NULL;

    if (r->dn != NULL)
        return ldif_refuse(err, r->name, r->line,
                           "a second dn: in one record; records are separated "
                           "by an empty line");
    if (value->bv_len == 0 || strlen(value->bv_val) != value->bv_len ||
        ldap_str2dn(value->bv_val, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
        return ldif_refuse(err, r->name, r->line,
                           "this is not a distinguished name (RFC 4514)");
    ldap_dnfree(dn);
    r->dn = strdup(value->bv_val);
    r->dn_line = r->line;
    return r->dn != NULL ? MXHOP_OK : err_nomem(err);
}

static enum mxhop_status ldif_take_pair(struct ldif *r,
                                        const struct berval *type,
                                        const struct berval *value,
                                        struct mxhop_error *err)
{
    struct raw_value *v;

    if (str_ieq(type->bv_val, "dn"))
        return ldif_take_dn(r, value, err);
    if (r->dn == NULL) {
        if (str_ieq(type->bv_val, "version") && value->bv_len == 1 &&
            value->bv_val[0] == '1')
            return MXHOP_OK;
        return ldif_refuse(err, r->name, r->line,
                           "expected dn: at the beginning of a record");
    }
    if (str_ieq(type->bv_val, "changetype") || str_ieq(type->bv_val, "control"))
        return ldif_refuse(err, r->name, r->line,
                           "change records are not supported: write the "
                           "entry as it shall be");
    v = entry_values_add(&r->values, type->bv_val,
                         strcspn(type->bv_val, ";"), /* options: ;lang-de */
                         value->bv_val, value->bv_len);
    if (v == NULL)
        return err_nomem(err);
    v->line = r->line;
    return MXHOP_OK;
}

static enum mxhop_status ldif_take_line(struct ldif *r, char *line,
                                        struct mxhop_error *err)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/=\r";
    struct berval type = {0, NULL}, value = {0, NULL};
    const char *sign = strchr(line, ':');
    int must_free = 0;
    bool bad = sign == NULL;
    enum mxhop_status status;

    if (sign != NULL)
        do {
            sign++; /* the line may have been folded there */
        } while (*sign == FOLD_MARK);
    /* What libldap may not see: it would open the URL. */
    if (sign != NULL && *sign == '<')
        return ldif_refuse(err, r->name, r->line,
                           "values from a URL (attr:< ...) are refused: write "
                           "the value itself, or its base64 after ::");
    /* It would refuse this as well, but print to standard error why. */
    if (sign != NULL && *sign == ':') {
        sign += 1 + strspn(sign + 1, " \t\r");
        bad = sign[strspn(sign, base64)] != '\0';
    }
    if (bad || ldif_parse_line2(line, &type, &value, &must_free) != 0 ||
        type.bv_len == 0)
        return ldif_refuse(err, r->name, r->line,
                           "expected \"attribute: value\" or \"attribute:: "
                           "base64\"");
    status = ldif_take_pair(r, &type, &value, err);
    if (must_free)
        ber_memfree(value.bv_val);
    return status;
}

static enum mxhop_status ldif_read_records(struct ldif *r,
                                           struct mxhop_error *err)
{
    enum mxhop_status status = MXHOP_OK;
    const char *at;
    char *line;

    while (status == MXHOP_OK && r->next != NULL && *r->next != '\0') {
        if (*r->next == '\n') { /* between records */
            status = ldif_deliver(r, err);
            r->next++;
            continue;
        }
        line = ldif_getline(&r->next);
        if (line == NULL)
            continue; /* only comments were left in the record */
        for (at = r->text + (line - r->work); r->counted < at; r->counted++)
            r->line += *r->counted == '\n';
        status = ldif_take_line(r, line, err);
    }
    return status == MXHOP_OK ? ldif_deliver(r, err) : status;
}

/* ---- the raw text ---- */

/* Where a byte stands that no LDIF text has; SIZE_MAX: nowhere. */
static size_t ldif_find_control(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)bytes[i] < ' ' && bytes[i] != '\n' &&
            bytes[i] != '\t' &&
            !(bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n'))
            return i;
    return SIZE_MAX;
}

static size_t ldif_line_of(const char *bytes, size_t pos)
{
    size_t line = 1;

    for (size_t i = 0; i < pos; i++)
        line += bytes[i] == '\n';
    return line;
}

/* A copy with CRLF made LF and a final line feed, without byte order mark. */
static char *ldif_tidy(const char *bytes, size_t len)
{
    char *text = malloc(len + 2);
    size_t n = 0;

    if (text == NULL)
        return NULL;
    for (size_t i = str_bom(bytes, len); i < len; i++)
        if (bytes[i] != '\r')
            text[n++] = bytes[i];
    text[n++] = '\n';
    text[n] = '\0';
    return text;
}

/* Whether a line is an attribute with white space in front. A long line may
   have been folded anywhere (RFC 2849), before such a word, too; then one space
   continues it. */
static bool ldif_is_indented(const char *line, size_t before)
{
    static const char *const names[] = {"dn", "objectClass", "cn"};
    size_t blanks = strspn(line, " \t");
    const char *name = line + blanks;
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    bool ours = strncasecmp(name, "mxhop", 5) == 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !ours; i++)
        ours = n == strlen(names[i]) && strncasecmp(name, names[i], n) == 0;
    return blanks > 0 && ours && name[n] == ':' && (blanks > 1 || before < 60);
}

/* What libldap would take otherwise than it was meant. */
static enum mxhop_status ldif_check_lines(const char *name, const char *text,
                                          struct mxhop_error *err)
{
    size_t line = 1, len, before = 0;

    for (; *text != '\0'; text += len + 1, line++, before = len) {
        len = strcspn(text, "\n");
        if (strncasecmp(text, "include:", 8) == 0)
            return ldif_refuse(err, name, line,
                               "include: is refused: a route file must not "
                               "read other files");
        if (ldif_is_indented(text, before))
            return ldif_refuse(err, name, line,
                               "an attribute with white space in front would "
                               "continue the line before; write it at the "
                               "beginning of the line");
    }
    return MXHOP_OK;
}

enum mxhop_status ldif_read_bytes(const char *name, const char *bytes,
                                  size_t len, ldif_fn *fn, void *ctx,
                                  struct mxhop_error *err)
{
    struct ldif r = {.name = name, .fn = fn, .ctx = ctx, .line = 1};
    size_t bad = ldif_find_control(bytes, len);
    enum mxhop_status status = MXHOP_ERR_MEMORY;

    if (bad != SIZE_MAX)
        return ldif_refuse(err, name, ldif_line_of(bytes, bad),
                           "control byte 0x%02x; write the value in base64 "
                           "after ::",
                           (unsigned char)bytes[bad]);
    r.text = ldif_tidy(bytes, len);
    if (r.text == NULL || (r.work = strdup(r.text)) == NULL) {
        err_nomem(err);
        goto out;
    }
    status = ldif_check_lines(name, r.text, err);
    if (status != MXHOP_OK)
        goto out;
    r.next = r.work;
    r.counted = r.text;
    status = ldif_read_records(&r, err);
out:
    entry_values_free(&r.values);
    free(r.dn);
    free(r.work);
    free(r.text);
    return status;
}

/* ---- the file ---- */

enum mxhop_status ldif_read(const char *path, ldif_fn *fn, void *ctx,
                            struct mxhop_error *err)
{
    enum mxhop_status status;
    char *bytes = NULL;
    struct stat st;
    ssize_t n;
    int fd = file_open(path, &st);

    if (fd < 0)
        return err_set(err, MXHOP_ERR_IO, "%s: %s", path,
                       errno != 0 ? strerror(errno) : "not a regular file");
    if ((uint64_t)st.st_size > LDIF_BYTES_MAX)
        status = err_set(err, MXHOP_ERR_IO, "%s: larger than 256 MiB", path);
    else if ((bytes = malloc((size_t)st.st_size + 1)) == NULL)
        status = err_nomem(err);
    else if ((n = file_read(fd, bytes, (size_t)st.st_size)) < 0)
        status = err_set(err, MXHOP_ERR_IO, "%s: %s", path, strerror(errno));
    else
        status = ldif_read_bytes(path, bytes, (size_t)n, fn, ctx, err);
    free(bytes);
    close(fd);
    return status;
}
