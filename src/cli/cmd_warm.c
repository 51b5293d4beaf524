/*
 * warm - fill the shared cache with the domains of a list
 *
 * For a mail system that was just set up or started, so that its first lookups
 * wait for nobody. What main.cf makes the table inside Postfix ask about TLS is
 * asked for, too, or a domain would be left to Postfix until it is known. What
 * is fresh in the cache is not asked for again, so it can be run by a timer as
 * well.
 */

#include "cli/cli.h"
#include "cli/many.h"
#include "cli/view.h"

#include <getopt.h>
#include <stdio.h>

struct warming {
    uint64_t outcomes[OUTCOMES];
    uint64_t cached;
};

static void warm_count(void *ctx, const struct bulk_answer *answer)
{
    struct warming *w = ctx;

    if (answer->cached)
        w->cached++;
    else
        w->outcomes[cli_outcome(answer->set)]++;
}

static void warm_print_count(const char *what, uint64_t n)
{
    printf("%-15s %10llu\n", what, (unsigned long long)n);
}

static void warm_print_summary(const struct warming *w, const struct many *m)
{
    uint64_t per_s = m->took_ms > 0 ? m->done * 1000 / m->took_ms : m->done;

    for (int i = 0; i < OUTCOMES; i++)
        warm_print_count(cli_outcomes[i].text, w->outcomes[i]);
    warm_print_count("not a domain", m->refused);
    warm_print_count("already cached", w->cached);
    printf("%llu domains in %llu.%llu s, %llu/s%s\n",
           (unsigned long long)m->done, (unsigned long long)(m->took_ms / 1000),
           (unsigned long long)(m->took_ms % 1000 / 100),
           (unsigned long long)per_s, m->signal != 0 ? ", interrupted" : "");
}

static int warm_run(const char *config, const char *file, unsigned jobs)
{
    struct warming w = {.cached = 0};
    struct many m = {.ctx = &w, .answered = warm_count, .jobs = jobs};
    int status = many_open(&m, file);
    struct probe_cache cache;
    struct view view;
    struct mxhop *mx;

    if (status != 0)
        return status;
    status = view_take(&view, config, &(struct view_options){0});
    mx = status == 0 ? cli_open_cache(config, &view, "warm", &cache, &status)
                     : NULL;
    if (mx != NULL) {
        status = many_run(&m, mx);
        mxhop_close(&mx);
        warm_print_summary(&w, &m);
    }
    view_free(&view);
    return many_end(&m, status);
}

int cmd_warm(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"jobs", required_argument, NULL, 'j'},
        {0},
    };
    unsigned jobs = MANY_JOBS;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt != 'j')
            return cli_bad_option("warm", argv[optind - 1]);
        if (!cli_read_number("warm", "jobs", optarg, 1, BULK_JOBS_MAX, &jobs))
            return EXIT_USAGE;
    }
    if (optind != argc - 1)
        return cli_usage("warm", "warm needs a file, or - for domains from "
                                 "standard input");
    return warm_run(config, argv[optind], jobs);
}
