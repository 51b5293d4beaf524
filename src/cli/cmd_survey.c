/*
 * survey - who receives the mail of a list of domains
 *
 * Counts domains by site (the whole MX set) and by provider: the registrable
 * domain of the best mail host, by the Public Suffix List; and by what they ask
 * of TLS (survey_tls.c). Overrides do not count. Memory grows with the sites
 * that there are, not with the domains.
 */

#include "cli/cli.h"
#include "cli/many.h"
#include "cli/survey_tls.h"
#include "cli/view.h"
#include "model/site.h"
#include "util/json.h"
#include "util/tally.h"

#include <getopt.h>
#include <libpsl.h>
#include <limits.h>
#include <stdio.h>
#include <sysexits.h>

#define LIMIT_DEFAULT 20

struct survey {
    bool json;
    unsigned limit; /* rows of a table; 0: all */
    struct tally sites, suffixes;
    uint64_t outcomes[OUTCOMES];
    struct survey_tls tls;
    struct buf text; /* the site at hand, then a line of output */
    bool failed;     /* out of memory */
};

/* ---- counting ---- */

/* The first line of a site has the best host; the first by name of equals. A
   host that is itself a public suffix, or no name at all, counts as it is. */
static bool survey_count_suffix(struct survey *s, const char *site)
{
    struct buf host = {0};
    const char *name, *suffix = NULL;
    unsigned preference;
    size_t len;
    bool ok;

    if (site_next(site, &preference, &name, &len) == NULL)
        return true;
    buf_add(&host, name, len);
    if (!host.failed)
        suffix = psl_registrable_domain(psl_builtin(), host.data);
    ok = !host.failed &&
         tally_add(&s->suffixes, suffix != NULL ? suffix : host.data);
    buf_free(&host);
    return ok;
}

static void survey_count(void *ctx, const struct bulk_answer *answer)
{
    struct survey *s = ctx;

    s->outcomes[cli_outcome(answer->set)]++;
    if (answer->set->outcome != MX_HOSTS || answer->set->n_mx == 0)
        return;
    survey_tls_count(&s->tls, answer);
    buf_reset(&s->text);
    site_text(answer->set, &s->text);
    if (s->text.failed || !tally_add(&s->sites, s->text.data) ||
        !survey_count_suffix(s, s->text.data))
        s->failed = true;
}

/* ---- printing ---- */

static void survey_add_site(const char *site, bool json, struct buf *out)
{
    const char *host, *sep = "";
    unsigned preference;
    size_t len;

    while ((site = site_next(site, &preference, &host, &len)) != NULL) {
        if (!json) {
            buf_printf(out, "%s%u ", sep, preference);
            buf_add_printable(out, host, len);
        } else {
            struct buf name = {0};

            buf_add(&name, host, len);
            buf_printf(out, "%s{\"host\":", sep);
            json_escape(name.failed ? "" : name.data, out);
            buf_printf(out, ",\"preference\":%u}", preference);
            buf_free(&name);
        }
        sep = json ? "," : ", ";
    }
}

/* Of which the percentages are. */
static uint64_t survey_hosted(const struct survey *s)
{
    return s->outcomes[OUTCOME_HOSTS] + s->outcomes[OUTCOME_IMPLICIT];
}

static bool survey_print_table(struct survey *s, struct tally *t, bool site)
{
    uint64_t hosted = survey_hosted(s);
    size_t n = s->limit == 0 || t->n < s->limit ? t->n : s->limit;
    struct buf *out = &s->text;

    tally_sort(t);
    if (!s->json)
        printf("%s%zu %s", site ? "\n" : "", t->n,
               site ? "sites\n" : "providers\n");
    for (size_t i = 0; i < n; i++) {
        const struct tally_entry *e = t->v[i];

        if (s->json)
            buf_puts(out, site ? "{\"site\":[" : "{\"suffix\":");
        else
            buf_printf(out, "%10llu %5.1f %%  ", (unsigned long long)e->count,
                       100.0 * (double)e->count / (double)hosted);
        if (site)
            survey_add_site(e->text, s->json, out);
        else if (s->json)
            json_escape(e->text, out);
        else
            buf_puts_printable(out, e->text);
        if (s->json)
            buf_printf(out, "%s,\"domains\":%llu}", site ? "]" : "",
                       (unsigned long long)e->count);
        if (!cli_put_line(out))
            return false;
    }
    return true;
}

static void survey_print_total(const struct survey *s, const char *text,
                               const char *word, uint64_t n)
{
    if (s->json)
        printf("{\"outcome\":\"%s\",\"domains\":%llu}\n", word,
               (unsigned long long)n);
    else
        printf("%10llu  %s\n", (unsigned long long)n, text);
}

static int survey_print(struct survey *s, const struct many *m)
{
    if (s->failed)
        return cli_no_memory();
    buf_reset(&s->text);
    if (!survey_print_table(s, &s->suffixes, false) ||
        !survey_print_table(s, &s->sites, true))
        return s->text.failed ? EX_OSERR : 0;
    if (!s->json)
        printf("\n%llu domains%s\n", (unsigned long long)m->done,
               m->signal != 0 ? ", interrupted" : "");
    for (int i = 0; i < OUTCOMES; i++)
        survey_print_total(s, cli_outcomes[i].text, cli_outcomes[i].word,
                           s->outcomes[i]);
    survey_print_total(s, "not a domain", "not-a-domain", m->refused);
    survey_tls_print(&s->tls, survey_hosted(s), s->json);
    return 0;
}

/* ---- the command ---- */

static int survey_run(const char *config, const char *file, unsigned jobs,
                      struct survey *s)
{
    struct many m = {.ctx = s, .answered = survey_count, .jobs = jobs};
    int status = many_open(&m, file), printed;
    struct view view;
    struct mxhop *mx;

    if (status != 0)
        return status;
    /* Whether Postfix sends reports of TLS. */
    status = view_take(&view, config, &(struct view_options){0});
    mx = status == 0 ? cli_open_in_view(config, &view, 0, &status) : NULL;
    if (mx != NULL) {
        survey_tls_open(&s->tls, mx);
        status = many_run(&m, mx);
        mxhop_close(&mx);
        printed = survey_print(s, &m);
        status = status != 0 ? status : printed;
    }
    survey_tls_close(&s->tls);
    view_free(&view);
    tally_free(&s->sites);
    tally_free(&s->suffixes);
    buf_free(&s->text);
    return many_end(&m, status);
}

int cmd_survey(const char *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},
        {"limit", required_argument, NULL, 'l'},
        {0},
    };
    struct survey s = {.limit = LIMIT_DEFAULT};
    unsigned jobs = MANY_JOBS;
    bool ok = true;
    int opt;

    while (ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'f')
            ok = cli_read_format("survey", optarg, &s.json);
        else if (opt == 'j')
            ok = cli_read_number("survey", "jobs", optarg, 1, BULK_JOBS_MAX,
                                 &jobs);
        else if (opt == 'l')
            ok = cli_read_number("survey", "limit", optarg, 0, UINT_MAX,
                                 &s.limit);
        else
            return cli_bad_option("survey", argv[optind - 1]);
    }
    if (!ok)
        return EXIT_USAGE;
    if (optind != argc - 1)
        return cli_usage("survey", "survey needs a file, or - for domains "
                                   "from standard input");
    return survey_run(config, argv[optind], jobs, &s);
}
