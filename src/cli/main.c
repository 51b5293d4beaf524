/*
 * mxhop - the command
 *
 * One row a subcommand. Each parses its own options, which may stand before and
 * behind its arguments.
 */

#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct command commands[] = {
    {"lookup",
     "[--format text|json|postfix|exim] [--no-main-cf | --instance DIR]\n"
     "         KEY...|-",
     "print the next hops of domains or recipients", cmd_lookup},
    {"trace",
     "[--at TIME] [--format text|json] [--no-main-cf | --instance DIR] KEY",
     "explain every step of one lookup", cmd_trace},
    {"refresh", "[--strict] [[--dry-run] [--force] | --follow]",
     "compile the overrides into the override table", cmd_refresh},
    {"check", "[-v] [--instance DIR | --no-main-cf] [FILE] | --defaults",
     "check configuration and overrides, or a file of overrides", cmd_check},
    {"overrides", "list [--format text|json] [KEY...]",
     "print what is in the override table", cmd_overrides},
    {"overrides", "export [--format ldif|json]",
     "print all of it, to be read again", cmd_overrides},
    {"overrides", "diff FILE", "print what a refresh from FILE would change",
     cmd_overrides},
    {"cache", "stats|list [--format text|json]",
     "print the state of the shared cache, or the domains in it", cmd_cache},
    {"cache", "get [--format text|json] DOMAIN...",
     "print what the shared cache knows of domains", cmd_cache},
    {"cache", "flush [DOMAIN...]", "forget domains, or everything", cmd_cache},
    {"warm", "[--jobs N] FILE|-", "fill the shared cache", cmd_warm},
    {"tls", "list [--format text|json]", "print what is in the TLS store",
     cmd_tls},
    {"tls", "get [--format text|json] DOMAIN...",
     "print what the TLS store knows of domains", cmd_tls},
    {"tls", "fetch|forget DOMAIN...",
     "let mxhop-tls fetch policies now, or forget them", cmd_tls},
    {"survey", "[--format text|json] [--jobs N] [--limit N] FILE|-",
     "count domains by their mail hosts and by provider", cmd_survey},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void main_print_usage(FILE *out)
{
    fputs("usage: mxhop [-c FILE] COMMAND [OPTION...] [ARGUMENT...]\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %s %s\n      %s\n", commands[i].name,
                commands[i].arguments, commands[i].summary);
    fputs("  -c FILE     configuration (" MXHOP_DEFAULT_CONFIG ")\n"
          "  -h, --help  this text; --version: the version\n",
          out);
}

static int main_finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    cli_complain("cannot write to standard output");
    return EX_IOERR;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    const char *config = MXHOP_DEFAULT_CONFIG;
    size_t i = 0;
    int opt;

    while ((opt = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
        if (opt == 'c') {
            config = optarg;
        } else if (opt == 'h') {
            main_print_usage(stdout);
            return main_finish(0);
        } else if (opt == 'V') {
            puts("mxhop " MXHOP_VERSION);
            return main_finish(0);
        } else {
            main_print_usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind >= argc) {
        main_print_usage(stderr);
        return EXIT_USAGE;
    }
    while (i < N_COMMANDS && strcmp(argv[optind], commands[i].name) != 0)
        i++;
    if (i == N_COMMANDS) {
        cli_complain("unknown command \"%s\"; mxhop --help lists them",
                     argv[optind]);
        return EXIT_USAGE;
    }
    argc -= optind;
    argv += optind;
    optind = 0; /* a fresh scan, for the subcommand's own options */
    opterr = 0; /* getopt would name the subcommand as the program */
    return main_finish(commands[i].run(config, argc, argv));
}
