/* Runs a fuzz target over saved inputs as an ordinary test: every file in the folders (or of the names) given. No file
   at all is a failure, so that a lost corpus does not look like success. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    /* exactly as large as the input, so that sanitizers see one byte too far; malloc(0) may give NULL */
    uint8_t *data = malloc(size > 0 ? size : 1);
    int result = -1;
    if (file == NULL || data == NULL || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    } else {
        printf("%s\n", path);
        fflush(stdout); /* so that the last line names the input that crashed */
        (void)LLVMFuzzerTestOneInput(data, size);
        result = 0;
    }
    free(data);
    if (file != NULL) fclose(file);
    return result;
}

static int replay_path(const char *path, unsigned long *count);

static int replay_folder(const char *path, unsigned long *count)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    int result = 0;
    const struct dirent *item;
    while (result == 0 && (item = readdir(folder)) != NULL) {
        if (item->d_name[0] == '.') continue;
        char name[4096];
        int length = snprintf(name, sizeof name, "%s/%s", path, item->d_name);
        result = length > 0 && (size_t)length < sizeof name ? replay_path(name, count) : -1;
    }
    closedir(folder);
    return result;
}

static int replay_path(const char *path, unsigned long *count)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (S_ISDIR(info.st_mode)) return replay_folder(path, count);
    ++*count;
    return replay_file(path, (size_t)info.st_size);
}

int main(int argument_count, char **arguments)
{
    unsigned long count = 0;
    for (int i = 1; i < argument_count; i++)
        if (replay_path(arguments[i], &count) != 0) return 1;
    if (count == 0) {
        fprintf(stderr, "no saved input found\n");
        return 1;
    }
    printf("%lu inputs\n", count);
    return 0;
}
