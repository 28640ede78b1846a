/* What WASI programs do with their arguments, streams, clocks and exit codes; the first
 * argument says which. Built for WASI preview 1 by test_wasi_programs.py. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int arguments(int count, char **values) {
    for (int i = 0; i < count; i++) printf("%d:%s\n", i, values[i]);
    for (char **each = environ; *each != NULL; each++) printf("%s\n", *each);
    return 0;
}

/* Copies standard input to standard output by plain reads and writes. */
static int copy(void) {
    static char buffer[100000];
    ssize_t length;
    unsigned long total = 0;
    while ((length = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t done = 0; done < length;) {
            ssize_t written = write(1, buffer + done, length - done);
            if (written < 0) {
                fprintf(stderr, "write: %s\n", strerror(errno));
                return 1;
            }
            done += written;
        }
        total += length;
    }
    if (length < 0) {
        fprintf(stderr, "read: %s\n", strerror(errno));
        return 1;
    }
    fprintf(stderr, "%lu bytes\n", total);
    return 0;
}

/* Numbered lines, through stdio. */
static int lines(long count) {
    for (long i = 0; i < count; i++) printf("line %ld\n", i);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* One write of the whole, as unbuffered programs make it. */
static int block(size_t size) {
    char *data = malloc(size);
    if (data == NULL) return 2;
    for (size_t i = 0; i < size; i++) data[i] = 'a' + i % 26;
    return fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0 ? 0 : 1;
}

static int clocks(long milliseconds) {
    struct timespec wall, before, after, pause = {milliseconds / 1000,
                                                  milliseconds % 1000 * 1000000};
    if (clock_gettime(CLOCK_REALTIME, &wall) != 0) return 1;
    if (clock_gettime(CLOCK_MONOTONIC, &before) != 0) return 1;
    if (nanosleep(&pause, NULL) != 0) return 1;
    if (clock_gettime(CLOCK_MONOTONIC, &after) != 0) return 1;
    long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("%lld.%09ld %lld\n", (long long)wall.tv_sec, wall.tv_nsec, slept);
    return 0;
}

static int random_bytes(size_t size) {
    unsigned char data[256];
    if (size > sizeof data || getentropy(data, size) != 0) return 1;
    for (size_t i = 0; i < size; i++) printf("%02x", data[i]);
    putchar('\n');
    return 0;
}

/* Whether input comes within a time. */
static int wait_for_input(int milliseconds) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    int ready = poll(&input, 1, milliseconds);
    printf("%d %s\n", ready, ready == 1 && (input.revents & (POLLIN | POLLHUP)) ? "input" : "none");
    return 0;
}

static int files(void) {
    const char *paths[] = {"/etc/passwd", "secret.txt", "/", "../x"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        FILE *file = fopen(paths[i], "r");
        printf("%s %s\n", paths[i], file == NULL ? "denied" : "opened");
    }
    return 0;
}

static int terminals(void) {
    printf("%d %d %d\n", isatty(0), isatty(1), isatty(2));
    return 0;
}

int main(int argc, char **argv) {
    const char *task = argc > 1 ? argv[1] : "";
    long number = argc > 2 ? atol(argv[2]) : 0;
    if (strcmp(task, "arguments") == 0) return arguments(argc, argv);
    if (strcmp(task, "copy") == 0) return copy();
    if (strcmp(task, "lines") == 0) return lines(number);
    if (strcmp(task, "block") == 0) return block(number);
    if (strcmp(task, "clocks") == 0) return clocks(number);
    if (strcmp(task, "random") == 0) return random_bytes(number);
    if (strcmp(task, "input") == 0) return wait_for_input(number);
    if (strcmp(task, "files") == 0) return files();
    if (strcmp(task, "terminals") == 0) return terminals();
    if (strcmp(task, "return") == 0) return number;
    if (strcmp(task, "exit") == 0) exit(number);
    if (strcmp(task, "quick-exit") == 0) _Exit(number);
    if (strcmp(task, "abort") == 0) abort();
    fprintf(stderr, "unknown task: %s\n", task);
    return 99;
}
