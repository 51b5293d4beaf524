/*
 * outcome - what became of domains, and how it is printed
 *
 * Shared by the commands that print what DNS says of many domains. Names in
 * it are chosen by strangers, and what a cache holds is not trusted.
 */

#include "cli/cli.h"

#include <stdio.h>

const struct cli_outcome_words cli_outcomes[OUTCOMES] = {
    [OUTCOME_HOSTS] = {"hosts", "hosts"},
    [OUTCOME_IMPLICIT] = {"implicit MX", "implicit"},
    [OUTCOME_NULL] = {"null MX", "null"},
    [OUTCOME_NXDOMAIN] = {"no such domain", "nxdomain"},
    [OUTCOME_FAILURE] = {"failed", "failure"},
};

enum cli_outcome cli_outcome(const struct mxset *set)
{
    switch (set->outcome) {
    case MX_HOSTS:
        return set->implicit ? OUTCOME_IMPLICIT : OUTCOME_HOSTS;
    case MX_NULL:
        return OUTCOME_NULL;
    case MX_NXDOMAIN:
        return OUTCOME_NXDOMAIN;
    case MX_FAILURE:
        break;
    }
    return OUTCOME_FAILURE;
}

bool cli_put_line(struct buf *line)
{
    bool ok = !line->failed && puts(line->data) >= 0;

    if (line->failed)
        cli_no_memory();
    buf_reset(line);
    return ok;
}
