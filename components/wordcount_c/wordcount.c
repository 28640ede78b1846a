/* A command-line program for WASI preview 1: counts lines, words and bytes.
 *
 *   wordcount [--max WORDS] [FILE …]     without files: standard input
 *
 * WORDCOUNT_FORMAT=json in the environment changes the output.
 * Exit codes: 0 done, 1 a file cannot be read, 2 wrong arguments, 3 more words than WORDS. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    unsigned long lines, words, bytes;
} counts;

static bool count(FILE *file, counts *sum) {
    char buffer[4096];
    size_t length;
    bool in_word = false;
    while ((length = fread(buffer, 1, sizeof buffer, file)) > 0) {
        sum->bytes += length;
        for (size_t i = 0; i < length; i++) {
            bool space = isspace((unsigned char)buffer[i]);
            sum->lines += buffer[i] == '\n';
            sum->words += !space && !in_word;
            in_word = !space;
        }
    }
    return !ferror(file);
}

static void print(const counts *sum, const char *name) {
    const char *format = getenv("WORDCOUNT_FORMAT");
    if (format != NULL && strcmp(format, "json") == 0)
        printf("{\"name\": \"%s\", \"lines\": %lu, \"words\": %lu, \"bytes\": %lu}\n", name, sum->lines,
               sum->words, sum->bytes);
    else
        printf("%7lu %7lu %7lu %s\n", sum->lines, sum->words, sum->bytes, name);
}

int main(int argc, char **argv) {
    unsigned long max = 0, words = 0;
    bool limited = false, failed = false;
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "--max") == 0) {
        char *end = NULL;
        if (argc > 2) max = strtoul(argv[2], &end, 10);
        if (argc < 3 || end == argv[2] || *end != '\0') {
            fprintf(stderr, "usage: %s [--max WORDS] [FILE ...]\n", argv[0]);
            return 2;
        }
        limited = true;
        first = 3;
    }
    for (int i = first; i < argc || i == first; i++) {
        const char *name = i < argc ? argv[i] : "-";
        bool is_stdin = strcmp(name, "-") == 0;
        FILE *file = is_stdin ? stdin : fopen(name, "rb");
        counts sum = {0};
        if (file == NULL || !count(file, &sum)) {
            fprintf(stderr, "%s: %s: %s\n", argv[0], name, strerror(errno));
            failed = true;
        } else {
            print(&sum, name);
            words += sum.words;
        }
        if (file != NULL && !is_stdin) fclose(file);
    }
    if (failed) return 1;
    return limited && words > max ? 3 : 0;
}
