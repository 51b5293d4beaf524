/*
 * sts - read the text of a policy
 *
 * The text comes from a stranger's web server. Lines end with LF or CRLF; a
 * field is `name: value'. Fields that nobody knows are ignored, and of the same
 * name the first counts, but for mx. A pattern that cannot be the name of a
 * host (an address, for instance) is ignored: the others may be good. A policy
 * that leaves no pattern to allow any host is no policy.
 *
 * Non-ASCII text may stand in fields that are ignored, and must be UTF-8. Other
 * octets that no text has refuse the whole.
 */

#include "policy/sts.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

static const char sts_no_memory[] = "out of memory";

struct sts_reading {
    struct sts_policy *p;
    bool version, mode, max_age; /* seen */
};

static bool sts_is_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = 1;

        if ((unsigned char)text[i] >= 0x80)
            n = str_utf8(text + i, &code);
        else if (text[i] == '\r'
                     ? text[i + 1] != '\n'
                     : (text[i] < ' ' && text[i] != '\t' && text[i] != '\n') ||
                           text[i] == 0x7f)
            return false;
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static const char *sts_read_mode(struct sts_reading *r, const char *value)
{
    for (int m = STS_MODE_NONE; m <= STS_MODE_ENFORCE; m++)
        if (str_ieq(value, sts_mode_word((enum sts_mode)m))) {
            r->p->mode = (enum sts_mode)m;
            return NULL;
        }
    return "mode is not enforce, testing or none";
}

static const char *sts_read_max_age(struct sts_reading *r, const char *value)
{
    size_t n = strspn(value, "0123456789");
    unsigned long long s;

    if (n == 0 || n > 10 || value[n] != '\0')
        return "max_age is not a number of at most ten digits";
    s = strtoull(value, NULL, 10);
    r->p->max_age_s = s > STS_MAX_AGE_S   ? STS_MAX_AGE_S
                      : s < STS_MIN_AGE_S ? STS_MIN_AGE_S
                                          : (uint32_t)s;
    return NULL;
}

static const char *sts_read_mx(struct sts_reading *r, char *value)
{
    size_t n = strlen(value);

    if (n > 0 && value[n - 1] == '.')
        value[n - 1] = '\0';
    str_lower(value);
    if (r->p->n_mx == STS_MX_MAX || !sts_is_pattern(value))
        return NULL;
    for (size_t i = 0; i < r->p->n_mx; i++)
        if (strcmp(r->p->mx[i], value) == 0)
            return NULL;
    return sts_policy_add(r->p, value) ? NULL : sts_no_memory;
}

static bool sts_first(bool *seen)
{
    bool first = !*seen;

    *seen = true;
    return first;
}

static const char *sts_read_line(struct sts_reading *r, char *line)
{
    char *value = strchr(line, ':');

    if (line[strspn(line, " \t")] == '\0')
        return NULL;
    if (value == NULL)
        return "a line is not `name: value'";
    *value++ = '\0';
    line = str_trim(line);
    value = str_trim(value);
    if (str_ieq(line, "mx"))
        return sts_read_mx(r, value);
    if (str_ieq(line, "version"))
        return !sts_first(&r->version) || strcmp(value, "STSv1") == 0
                   ? NULL
                   : "version is not STSv1";
    if (str_ieq(line, "mode") && sts_first(&r->mode))
        return sts_read_mode(r, value);
    if (str_ieq(line, "max_age") && sts_first(&r->max_age))
        return sts_read_max_age(r, value);
    return NULL;
}

static const char *sts_read_lines(struct sts_reading *r, char *text)
{
    const char *wrong = NULL;
    char *next;

    for (char *line = text; line != NULL && wrong == NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        wrong = sts_read_line(r, line);
    }
    if (wrong != NULL)
        return wrong;
    if (!r->version)
        return "there is no version";
    if (!r->mode)
        return "there is no mode";
    if (!r->max_age)
        return "there is no max_age";
    if (r->p->mode != STS_MODE_NONE && r->p->n_mx == 0)
        return "there is no mx that can be the name of a host";
    return NULL;
}

const char *sts_parse(const char *text, size_t len, struct sts_policy *p_r)
{
    struct sts_reading r = {.p = p_r};
    const char *wrong;
    char *copy;

    *p_r = (struct sts_policy){0};
    if (len > STS_TEXT_MAX)
        return "is longer than 65536 octets";
    copy = strndup(text, len);
    if (copy == NULL)
        return sts_no_memory;
    wrong = strlen(copy) < len || !sts_is_text(copy, len)
                ? "has octets that no text has"
                : sts_read_lines(&r, copy);
    free(copy);
    if (wrong != NULL)
        sts_policy_free(p_r);
    return wrong;
}
