/*
 * census - which functions a cached lookup enters
 *
 * Asks a handle like that of a long-lived host for one domain until the answer
 * is in the cache in full, and once more while every function that the library
 * enters on this thread is written down: an address a line. For
 * tests/support/census.
 */

#include <mxhop/mxhop.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "support/minidns.h"

static __thread FILE *entered; /* NULL: not now */

/* gcc's -finstrument-functions calls these. */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    if (entered != NULL)
        fprintf(entered, "%p\n", function);
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
}

static const struct minidns_row rows[] = {
    {"a.example", 15, "mx 10 mx1.example mx 20 mx2.example"},
    {"mx1.example", 1, "a 192.0.2.1"},
    {"mx2.example", 1, "a 192.0.2.2"},
    {0},
};

static void configure(const char *path, const struct minidns *dns,
                      const char *dir)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        exit(1);
    fprintf(f,
            "dns_servers = 127.0.0.1:%u\naddress_families = ipv4\n"
            "wait_share = 100%%\ncache = %s/cache\n",
            ntohs(dns->addr.sin_port), dir);
    fclose(f);
}

static void ask(struct mxhop *mx)
{
    struct mxhop_error err;
    const char *text;

    if (mxhop_text(mx, "a.example", MXHOP_FORMAT_POSTFIX, &text, &err) !=
            MXHOP_OK ||
        text == NULL)
        exit(1);
}

int main(int argc, char **argv)
{
    static const struct mxhop_host host = {.flags = MXHOP_WORKER,
                                           .own_names = "mta.example"};
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    static struct minidns dns;
    struct mxhop_error err;
    struct mxhop *mx;
    char config[4096];

    if (argc != 2)
        return 1;
    snprintf(config, sizeof(config), "%s/mxhop.cf", argv[1]);
    minidns_start(&dns, rows);
    (void)minidns_servers;
    configure(config, &dns, argv[1]);
    if (mxhop_open(&mx, config, &host, &err) != MXHOP_OK)
        return 1;
    /* The worker writes what an answer was made of some milliseconds later. */
    for (int i = 0; i < 40; i++) {
        ask(mx);
        nanosleep(&pause, NULL);
    }
    entered = stdout;
    ask(mx);
    entered = NULL;
    mxhop_close(&mx);
    minidns_stop(&dns);
    return 0;
}
