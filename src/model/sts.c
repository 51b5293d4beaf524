/*
 * sts - which TXT record counts, and which hosts a policy allows
 *
 * The text of a policy is read elsewhere (src/policy); here is what a lookup
 * needs to know about it. No memory is used but for the patterns of a policy,
 * which belong to it.
 *
 * A record counts if it begins with `v=STSv1' and a semicolon; others at the
 * name do not matter. Exactly one must count, and it must have an id: else the
 * domain has no policy (RFC 8461 section 3.1).
 */

#include "model/sts.h"
#include "model/key.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

#define TXT_MAX 2048 /* octets of a record that counts */

static bool sts_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

bool sts_is_id(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (!sts_is_alnum(text[i]))
            return false;
    return n >= 1 && n <= STS_ID_MAX;
}

/* ---- TXT ---- */

/* The strings of a record as one; false: not such data, too long, or octets
   that no text has. */
static bool sts_txt_join(const uint8_t *rdata, size_t len,
                         char text_r[TXT_MAX + 1])
{
    size_t at = 0, n = 0;

    while (at < len) {
        size_t part = rdata[at++];

        if (part > len - at || part > TXT_MAX - n)
            return false;
        memcpy(text_r + n, rdata + at, part);
        at += part;
        n += part;
    }
    text_r[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((text_r[i] < ' ' && text_r[i] != '\t') || text_r[i] > '~')
            return false;
    return true;
}

/* Behind `v=STSv1' and its semicolon; NULL: the record says something else. */
static char *sts_txt_fields(char *text)
{
    static const char version[] = "v=STSv1";

    if (strncmp(text, version, strlen(version)) != 0)
        return NULL;
    text += strlen(version);
    text += strspn(text, " \t");
    return *text == ';' ? text + 1 : NULL;
}

/* Of the same name the first counts. */
static void sts_txt_read_id(char *fields, struct sts_record *r)
{
    char *save, *field, *value;

    for (field = strtok_r(fields, ";", &save); field != NULL;
         field = strtok_r(NULL, ";", &save)) {
        field = str_trim(field);
        value = strchr(field, '=');
        if (value == NULL && *field != '\0')
            return;
        if (value == NULL || strncmp(field, "id=", 3) != 0)
            continue;
        if (!sts_is_id(++value))
            return;
        memcpy(r->id, value, strlen(value) + 1);
        r->state = STS_TXT_ID;
        return;
    }
}

void sts_txts_add(struct sts_txts *t, const uint8_t *rdata, size_t len)
{
    static const char begins[] = "v=STSv1;";
    char text[TXT_MAX + 1], *fields;
    bool whole = sts_txt_join(rdata, len, text);

    if (!whole) {
        /* One that would count, but cannot be read, is not none. */
        if (len > strlen(begins) && rdata[0] >= strlen(begins) &&
            memcmp(rdata + 1, begins, strlen(begins)) == 0)
            t->counted++;
        return;
    }
    fields = sts_txt_fields(text);
    if (fields == NULL)
        return;
    if (t->counted++ == 0)
        sts_txt_read_id(fields, &t->it);
}

struct sts_record sts_txts_judge(const struct sts_txts *t)
{
    if (t->counted == 1 && t->it.state == STS_TXT_ID)
        return t->it;
    return (struct sts_record){.state = STS_TXT_NONE};
}

/* ---- policies ---- */

bool sts_is_pattern(const char *text)
{
    char name[NAME_MAX_TEXT + 1];
    const char *host = strncmp(text, "*.", 2) == 0 ? text + 2 : text;

    for (const char *p = host; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            return false;
    return name_normalise(host, name) == NULL && strcmp(name, host) == 0;
}

bool sts_matches(const struct sts_policy *p, const char *host)
{
    const char *dot = strchr(host, '.');

    for (size_t i = 0; i < p->n_mx; i++) {
        const char *mx = p->mx[i];

        if (mx[0] != '*' ? str_ieq(mx, host)
                         : dot != NULL && dot > host && str_ieq(mx + 1, dot))
            return true;
    }
    return false;
}

bool sts_in_force(const struct sts_policy *p, int64_t now_s)
{
    return now_s >= p->fetched_s - STS_CLOCK_SLACK_S && now_s < p->expires_s;
}

const char *sts_mode_word(enum sts_mode mode)
{
    static const char *const words[] = {[STS_MODE_NONE] = "none",
                                        [STS_MODE_TESTING] = "testing",
                                        [STS_MODE_ENFORCE] = "enforce"};

    return words[mode];
}

bool sts_policy_add(struct sts_policy *p, const char *mx)
{
    char **v = realloc(p->mx, (p->n_mx + 1) * sizeof(*v));

    if (v == NULL)
        return false;
    p->mx = v;
    v[p->n_mx] = strdup(mx);
    if (v[p->n_mx] == NULL)
        return false;
    p->n_mx++;
    return true;
}

void sts_policy_free(struct sts_policy *p)
{
    for (size_t i = 0; i < p->n_mx; i++)
        free(p->mx[i]);
    free(p->mx);
    *p = (struct sts_policy){0};
}
