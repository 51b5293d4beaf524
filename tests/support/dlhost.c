/*
 * dlhost: calls a plugin as Exim does, without Exim, so that valgrind and the
 * sanitizers see the plugin only.
 *
 *     dlhost PLUGIN < COMMANDS
 *
 * A command a line, words separated by blanks:
 *
 *     FUNCTION [ARGUMENT...]   call it; print `status text'
 *     fork                     go on in a child; the parent waits, and goes on
 *                              with the same commands when it has ended
 *     user UID                 give root up for that user
 *     mapped FILE              print `yes' if a file of that name is mapped
 *     run COMMAND              have the shell run the rest of the line
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 16

typedef int function(unsigned char **, int, unsigned char *[]);

static void die(const char *what)
{
    fprintf(stderr, "dlhost: %s\n", what);
    exit(2);
}

static void call(void *plugin, int n, char *words[])
{
    unsigned char *args[ARGS_MAX + 1] = {NULL}, *text = NULL;
    void *symbol = dlsym(plugin, words[0]);
    function *f;
    int status;

    if (symbol == NULL)
        die(dlerror());
    memcpy(&f, &symbol, sizeof(f));
    for (int i = 1; i < n; i++)
        args[i - 1] = (unsigned char *)words[i];
    status = f(&text, n - 1, args);
    printf("%d %s\n", status, text != NULL ? (char *)text : "");
    fflush(stdout);
}

static void split_process(void)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        return;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("the child failed");
}

static void say_mapped(const char *name)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    const char *answer = "no";
    char line[4096];

    if (maps == NULL)
        die("/proc/self/maps");
    while (fgets(line, sizeof(line), maps) != NULL)
        if (strstr(line, name) != NULL)
            answer = "yes";
    fclose(maps);
    puts(answer);
}

static void become(const char *uid)
{
    if (setuid((uid_t)strtoul(uid, NULL, 10)) != 0)
        die("setuid");
}

static void run(void *plugin, char *line)
{
    char *words[ARGS_MAX + 1], *word;
    int n = 0;

    if (strncmp(line, "run ", 4) == 0) {
        if (system(line + 4) != 0)
            die(line);
        return;
    }
    word = strtok(line, " \n");
    while (word != NULL && n < ARGS_MAX) {
        words[n++] = word;
        word = strtok(NULL, " \n");
    }
    if (n == 0)
        return;
    if (strcmp(words[0], "fork") == 0)
        split_process();
    else if (strcmp(words[0], "user") == 0 && n == 2)
        become(words[1]);
    else if (strcmp(words[0], "mapped") == 0 && n == 2)
        say_mapped(words[1]);
    else
        call(plugin, n, words);
}

int main(int argc, char *argv[])
{
    static char commands[65536];
    void *plugin;
    char *next, *line;
    size_t n;

    if (argc != 2)
        die("usage: dlhost PLUGIN < COMMANDS");
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (plugin == NULL)
        die(dlerror());
    n = fread(commands, 1, sizeof(commands) - 1, stdin);
    commands[n] = '\0';
    for (line = strtok_r(commands, "\n", &next); line != NULL;
         line = strtok_r(NULL, "\n", &next))
        run(plugin, line);
    return 0;
}
