/*
 * ldap_postfix - the file of a Postfix ldap: table
 *
 * The format is that of main.cf (util/maincf.c). What a parameter means by
 * itself is in ldap_postfix_param.c; here is what is known only when all of
 * them were read.
 *
 * A password may be among them, so what was read is wiped.
 */

#include "ldap/ldap_error.h"
#include "ldap/ldap_postfix.h"
#include "util/err.h"
#include "util/file.h"
#include "util/maincf.h"
#include "util/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX     65536
#define DEFAULT_PORT "389"

/* A host without a port of its own gets server_port. */
static enum mxhop_status postfix_finish_hosts(struct postfix_reading *r)
{
    const char *pos = r->hosts, *word;
    const char *port = r->port != NULL ? r->port : DEFAULT_PORT;
    struct buf out = {0};
    size_t len;

    if (r->hosts == NULL || ldap_is_set(r->s->servers))
        return MXHOP_OK;
    if (strspn(port, "0123456789") != strlen(port))
        return ldap_postfix_fail(r, ldap_postfix_line(r, "server_host"),
                                 "server_port", "expected a number");
    while ((word = str_next_word(&pos, &len)) != NULL) {
        bool plain = memchr(word, ':', len) == NULL;

        buf_printf(&out, "%s%.*s%s%s", out.len > 0 ? " " : "", (int)len, word,
                   plain ? ":" : "", plain ? port : "");
    }
    free(r->s->servers);
    r->s->servers = buf_detach(&out);
    return r->s->servers != NULL ? MXHOP_OK : err_nomem(r->err);
}

static enum mxhop_status postfix_finish_filter(struct postfix_reading *r)
{
    char *filter, *attribute, text[300];
    enum mxhop_status status;
    const char *why;

    if (r->query_filter == NULL)
        return MXHOP_OK;
    status = ldap_filter_mirror(r->query_filter, &filter, &attribute, &why);
    if (status == MXHOP_ERR_SYNTAX) {
        /* Set already, in mxhop.cf: then this one is not needed. */
        if (ldap_is_set(r->s->filter) && ldap_is_set(r->s->key_attribute))
            return MXHOP_OK;
        snprintf(text, sizeof(text),
                 "cannot be turned into a filter for all entries: %s; set "
                 "ldap_filter and ldap_key_attribute in mxhop.cf",
                 why);
        return ldap_postfix_fail(r, ldap_postfix_line(r, "query_filter"),
                                 "query_filter", text);
    }
    if (status != MXHOP_OK)
        return err_nomem(r->err);
    status = ldap_postfix_put(r, &r->s->filter, filter);
    if (status == MXHOP_OK)
        status = ldap_postfix_put(r, &r->s->key_attribute, attribute);
    free(filter);
    free(attribute);
    return status;
}

static enum mxhop_status postfix_parse(struct postfix_reading *r,
                                       const char *text, size_t len)
{
    struct maincf m = {.at = text, .end = text + len};
    enum mxhop_status status;
    enum maincf_next next;

    while ((next = maincf_next(&m)) == MAINCF_PARAMETER) {
        status = ldap_postfix_set(r, m.line, m.name, m.value);
        if (status != MXHOP_OK)
            goto out;
    }
    if (next == MAINCF_MEMORY) {
        status = err_nomem(r->err);
        goto out;
    }
    if (next != MAINCF_END) {
        status = ldap_postfix_fail(r, m.line, "line",
                                   next == MAINCF_NUL
                                       ? "a NUL octet; expected the text file "
                                         "of an ldap: table"
                                       : "expected name = value");
        goto out;
    }
    status = postfix_finish_hosts(r);
    if (status == MXHOP_OK)
        status = postfix_finish_filter(r);
    /* A table binds unless it says no; with an empty name as nobody. */
    if (ldap_postfix_line(r, "bind") == 0 && r->s->bind == DIR_BIND_NONE &&
        ldap_is_set(r->s->bind_dn))
        r->s->bind = DIR_BIND_SIMPLE;
out:
    maincf_free(&m);
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

    return postfix_parse(&r, text, len);
}

enum mxhop_status ldap_postfix_read(struct ldap_settings *s, const char *path,
                                    struct mxhop_error *err)
{
    struct postfix_reading r = {.s = s, .err = err, .file = path};
    char *text = malloc(FILE_MAX + 1);
    enum mxhop_status status;
    struct stat st;
    ssize_t n = -1;
    int fd;

    if (text == NULL)
        return err_nomem(err);
    fd = file_open(path, &st);
    if (fd >= 0)
        n = file_read(fd, text, FILE_MAX + 1);
    if (n < 0 && errno == 0)
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "ldap_config: %.200s: not a regular file", path);
    else if (n < 0)
        status = ldap_file_error(err, "ldap_config", path);
    else if (n > FILE_MAX)
        status = err_set(err, MXHOP_ERR_CONFIG,
                         "ldap_config: %.200s: larger than 64 KiB; expected "
                         "the file of an ldap: table",
                         path);
    else
        status = postfix_parse(&r, text, (size_t)n);
    if (status == MXHOP_OK && (st.st_mode & S_IRWXO) != 0 &&
        ldap_postfix_line(&r, "bind_pw") != 0)
        status =
            ldap_postfix_fail(&r, ldap_postfix_line(&r, "bind_pw"), "bind_pw",
                              "others have access to this file; take "
                              "that from them (chmod o=)");
    explicit_bzero(text, FILE_MAX + 1);
    free(text);
    if (fd >= 0)
        close(fd);
    return status;
}
