/*
 * replay - run a fuzz target over files, without a fuzzer
 *
 * The ordinary tests replay every seed corpus, so that what fuzzing once
 * found stays found. Arguments are files or directories of files.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *bytes;
    size_t n;

    if (f == NULL || fstat(fileno(f), &st) != 0) {
        perror(path);
        return 1;
    }
    /* Exactly as large as the input: a sanitizer then sees every overrun. */
    bytes = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    if (bytes == NULL)
        return 1;
    n = fread(bytes, 1, (size_t)st.st_size, f);
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    replayed++;
    return 0;
}

static int replay_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[4096];
    int status = 0;

    if (dir == NULL) {
        perror(path);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        status |= replay_file(name);
    }
    closedir(dir);
    return status;
}

int main(int argc, char **argv)
{
    struct stat st;
    int status = 0;

    for (int i = 1; i < argc; i++)
        status |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)
                      ? replay_directory(argv[i])
                      : replay_file(argv[i]);
    printf("%s: %u inputs replayed\n", argv[0], replayed);
    return status != 0 || replayed == 0;
}
