/*
 * text - parameters that are kept as text: words, paths, lists
 *
 * Each kind is checked when the file is read, so that a mistake is found by
 * `mxhop check` with its line, and not at some later lookup. Lists are kept
 * with single spaces between the words, domain names in normal form, so that
 * what the other modules compare needs no further treatment.
 *
 * Errors say what was found and what was expected; a failed allocation shows
 * in the caller's buffer.
 */

#include "conf/params.h"
#include "model/key.h"
#include "model/rules.h"
#include "model/server.h"
#include "util/err.h"
#include "util/str.h"

#include <limits.h>
#include <string.h>

#define WORD_MAX    (4 * NAME_MAX_TEXT + 1) /* the longest: a U-label name */
#define SERVERS_MAX 8 /* what the DNS engine takes: DNS_SERVERS_MAX */

/* Returns NULL, or what was expected; adds the word to out. */
typedef const char *read_word(char *word, struct buf *out);

static enum mxhop_status text_bad(struct mxhop_error *err, const char *word,
                                  size_t len, const char *expected)
{
    return err_set(err, MXHOP_ERR_CONFIG, "\"%.*s\"; expected %s",
                   len < 80 ? (int)len : 80, word, expected);
}

static enum mxhop_status text_read_list(const char *text, struct buf *out,
                                        struct mxhop_error *err,
                                        read_word *read)
{
    const char *pos = text, *item, *expected;
    char word[WORD_MAX + 1];
    size_t len;

    while ((item = str_next_word(&pos, &len)) != NULL) {
        if (len > WORD_MAX)
            return text_bad(err, item, len, "shorter words");
        memcpy(word, item, len);
        word[len] = '\0';
        if (out->len > 0)
            buf_putc(out, ' ');
        expected = read(word, out);
        if (expected != NULL)
            return text_bad(err, item, len, expected);
    }
    return MXHOP_OK;
}

enum mxhop_status text_read_printable(const char *text, struct buf *out,
                                      struct mxhop_error *err)
{
    for (const char *s = text; *s != '\0'; s++)
        if (*s < ' ' || *s > '~')
            return text_bad(err, text, strlen(text), "printable ASCII text");
    buf_puts(out, text);
    return MXHOP_OK;
}

/* As DNs and filters are, which may be UTF-8. Quotes around them would be part
   of the name. */
enum mxhop_status text_read_line(const char *text, struct buf *out,
                                 struct mxhop_error *err)
{
    size_t n = strlen(text);

    if (n > 1 && (*text == '"' || *text == '\'') && text[n - 1] == *text)
        return text_bad(err, text, n, "the text itself");
    for (const char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return text_bad(err, text, strlen(text),
                            "text without control bytes");
    buf_puts(out, text);
    return MXHOP_OK;
}

enum mxhop_status text_read_attribute(const char *text, struct buf *out,
                                      struct mxhop_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;";

    if (text[strspn(text, allowed)] != '\0' || strlen(text) > 100)
        return text_bad(err, text, strlen(text),
                        "the name of one LDAP attribute, or nothing");
    buf_puts(out, text);
    return MXHOP_OK;
}

static bool text_is_label(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";

    return text[strspn(text, allowed)] == '\0' && strlen(text) <= 100;
}

enum mxhop_status text_read_label(const char *text, struct buf *out,
                                  struct mxhop_error *err)
{
    if (!text_is_label(text))
        return text_bad(
            err, text, strlen(text),
            "a name of letters, digits, '-', '_' and '.', or nothing");
    buf_puts(out, text);
    return MXHOP_OK;
}

enum mxhop_status text_read_service(const char *text, struct buf *out,
                                    struct mxhop_error *err)
{
    const char *name = strncmp(text, "./", 2) == 0 ? text + 2 : text;

    if (*name == '\0' || !text_is_label(name))
        return text_bad(err, text, strlen(text),
                        "the name of a service, such as retry or ./retry");
    buf_puts(out, text);
    return MXHOP_OK;
}

static bool text_is_path(const char *text)
{
    size_t n = strlen(text);

    if (*text != '/' || n < 2 || n >= PATH_MAX || text[n - 1] == '/')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f ||
            (*text == '#' && text[-1] == ' '))
            return false;
    return true;
}

enum mxhop_status text_read_path(const char *text, struct buf *out,
                                 struct mxhop_error *err)
{
    if (!text_is_path(text))
        return text_bad(err, text, strlen(text),
                        "the absolute path name of a file");
    buf_puts(out, text);
    return MXHOP_OK;
}

enum mxhop_status text_read_file(const char *text, struct buf *out,
                                 struct mxhop_error *err)
{
    if (*text != '\0' && !text_is_path(text))
        return text_bad(err, text, strlen(text),
                        "the absolute path name of a file, or nothing");
    buf_puts(out, text);
    return MXHOP_OK;
}

/* Somebody may have put there what should be in the file, and an error of the
   configuration goes to the mail log: the text is not shown. */
enum mxhop_status text_read_secret_file(const char *text, struct buf *out,
                                        struct mxhop_error *err)
{
    if (*text != '\0' && !text_is_path(text))
        return err_set(err, MXHOP_ERR_CONFIG,
                       "no path; expected the absolute path name of a file "
                       "that holds the secret, or nothing");
    buf_puts(out, text);
    return MXHOP_OK;
}

enum mxhop_status text_read_cache(const char *text, struct buf *out,
                                  struct mxhop_error *err)
{
    if (*text != '\0' && strcmp(text, "memory") != 0 &&
        strcmp(text, "none") != 0 && !text_is_path(text))
        return text_bad(
            err, text, strlen(text),
            "the absolute path name of a directory, memory, none, or "
            "nothing");
    buf_puts(out, text);
    return MXHOP_OK;
}

enum mxhop_status text_read_overrides(const char *text, struct buf *out,
                                      struct mxhop_error *err)
{
    if (*text != '\0' && strcmp(text, "ldap") != 0 &&
        (strncmp(text, "ldif:", 5) != 0 || !text_is_path(text + 5)))
        return text_bad(err, text, strlen(text),
                        "ldap (the server is ldap_server_host), "
                        "ldif:/absolute/path, or nothing for no overrides");
    buf_puts(out, text);
    return MXHOP_OK;
}

static const char *text_read_family(char *word, struct buf *out)
{
    str_lower(word);
    if (strcmp(word, "ipv4") != 0 && strcmp(word, "ipv6") != 0)
        return "ipv4, ipv6 or both";
    buf_puts(out, word);
    return NULL;
}

enum mxhop_status text_read_families(const char *text, struct buf *out,
                                     struct mxhop_error *err)
{
    return text_read_list(text, out, err, text_read_family);
}

static const char *text_read_server(char *word, struct buf *out)
{
    struct sockaddr_storage addr;

    buf_puts(out, word);
    return server_parse(word, strlen(word), &addr)
               ? NULL
               : "an IP address of a name server, as 192.0.2.1, "
                 "192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53";
}

enum mxhop_status text_read_servers(const char *text, struct buf *out,
                                    struct mxhop_error *err)
{
    enum mxhop_status st = text_read_list(text, out, err, text_read_server);
    size_t n = 1;

    for (size_t i = 0; st == MXHOP_OK && i < out->len; i++)
        n += out->data[i] == ' ';
    if (n > SERVERS_MAX)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "%zu name servers; expected at most %d", n, SERVERS_MAX);
    return st;
}

static const char *text_copy_word(char *word, struct buf *out)
{
    buf_puts(out, word);
    return NULL;
}

enum mxhop_status text_read_networks(const char *text, struct buf *out,
                                     struct mxhop_error *err)
{
    struct networks networks;
    const char *wrong, *word;
    size_t len;

    wrong = networks_parse(text, &networks, &word, &len);
    if (wrong != NULL && strcmp(wrong, "out of memory") == 0)
        return err_nomem(err);
    if (wrong != NULL)
        return err_set(err, MXHOP_ERR_CONFIG,
                       "\"%.*s\"; expected addresses or networks: %s",
                       len < 80 ? (int)len : 80, word, wrong);
    networks_free(&networks);
    return text_read_list(text, out, err, text_copy_word);
}

static const char *text_read_name(char *word, struct buf *out)
{
    char name[NAME_MAX_TEXT + 1];
    const char *wrong = name_normalise(word, name);

    if (wrong != NULL)
        return "a domain name";
    buf_puts(out, name);
    return NULL;
}

static const char *text_read_pattern(char *word, struct buf *out)
{
    bool suffix = *word == '.';

    if (suffix)
        buf_putc(out, '.');
    return text_read_name(word + suffix, out) == NULL
               ? NULL
               : "a domain name, or .domain for everything below it";
}

enum mxhop_status text_read_names(const char *text, struct buf *out,
                                  struct mxhop_error *err)
{
    return text_read_list(text, out, err, text_read_name);
}

enum mxhop_status text_read_patterns(const char *text, struct buf *out,
                                     struct mxhop_error *err)
{
    return text_read_list(text, out, err, text_read_pattern);
}
