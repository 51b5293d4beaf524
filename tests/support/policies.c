/*
 * policies - write a store of MTA-STS policies, as mxhop-tls does
 *
 *     policies DIR < LINES
 *
 * A line is `DOMAIN MODE ID AGE LEFT PATTERN...', AGE seconds since the fetch,
 * LEFT seconds to the end, below 0 if it is over and could not be fetched
 * again; or `DOMAIN failed TEXT', of which nothing was had.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/store.h"
#include "util/clock.h"

#define DOMAINS 110000
#define BLANKS  " \n"

static struct store_record records[DOMAINS];
static struct buf entries[DOMAINS];

static void entry_of(char *mode, char **save, struct store_entry *e)
{
    struct sts_policy *p = &e->policy;
    int64_t now_s = clock_wall_s();
    const char *word;

    e->tried_s = now_s;
    e->next_s = now_s + 300;
    if (strcmp(mode, "failed") == 0) {
        e->failures = 1;
        snprintf(e->error, sizeof(e->error), "%s", strtok_r(NULL, "\n", save));
        return;
    }
    e->has_policy = true;
    p->mode = strcmp(mode, "enforce") == 0   ? STS_MODE_ENFORCE
              : strcmp(mode, "testing") == 0 ? STS_MODE_TESTING
                                             : STS_MODE_NONE;
    snprintf(p->id, sizeof(p->id), "%s", strtok_r(NULL, BLANKS, save));
    e->tried_s = p->fetched_s = now_s - atoll(strtok_r(NULL, BLANKS, save));
    p->expires_s = now_s + atoll(strtok_r(NULL, BLANKS, save));
    p->max_age_s = (uint32_t)(p->expires_s - p->fetched_s);
    e->tried_s = p->fetched_s;
    if (p->expires_s < now_s)
        e->failures = 1;
    while ((word = strtok_r(NULL, BLANKS, save)) != NULL)
        if (!sts_policy_add(p, word))
            exit(1);
}

int main(int argc, char **argv)
{
    int dir = open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY), error;
    unsigned char id[FIXED_ID_LEN];
    char line[4096], *save;
    size_t n = 0;

    while (n < DOMAINS && fgets(line, sizeof(line), stdin) != NULL) {
        struct store_entry e = {0};
        char *domain = strtok_r(line, BLANKS, &save);

        if (domain == NULL)
            continue;
        records[n].domain = strdup(domain);
        entry_of(strtok_r(NULL, BLANKS, &save), &save, &e);
        store_encode(&entries[n], &e);
        store_entry_free(&e);
        records[n].entry =
            (struct fixed_bytes){(const unsigned char *)entries[n].data,
                                 entries[n].len};
        n++;
    }
    error = store_write(dir, records, n, clock_wall_s(), id);
    if (error != 0)
        fprintf(stderr, "policies: %s\n", strerror(error));
    return error != 0;
}
