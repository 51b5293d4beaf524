/*
 * sts - which hosts a policy allows, and for how long
 *
 * The text of a policy is read elsewhere (src/policy); here is what a lookup
 * needs to know about it. No memory is used but for the patterns of a policy,
 * which belong to it.
 */

#include "model/sts.h"
#include "model/key.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

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
