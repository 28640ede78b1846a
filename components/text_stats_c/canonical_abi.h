/* The canonical ABI by hand: how the values of wit/world.wit lie in memory, and under
 * which names the component's functions are found. A generator would write this file. */
#ifndef CANONICAL_ABI_H
#define CANONICAL_ABI_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define STATS(function) EXPORT("demo:text-stats/stats@1.0.0#" function)
/* Called when the host has read the result: the place to free it. */
#define STATS_DONE(function) EXPORT("cabi_post_demo:text-stats/stats@1.0.0#" function)

typedef struct { const uint8_t *data; size_t length; } text;
typedef struct { uint8_t some; text value; } option_text;
typedef struct { text word; uint32_t count; } word_count;
typedef struct { word_count *data; size_t length; } word_counts;
typedef struct { uint8_t error; union { word_counts counts; text message; }; } counts_or_message;
typedef struct { uint32_t *data; size_t length; } numbers;
typedef struct {
    uint32_t lines, words;
    uint64_t characters;
    option_text longest_word;
    double words_per_line;
} report;

_Static_assert(sizeof(report) == 40 && offsetof(report, words_per_line) == 32, "layout of report");
_Static_assert(sizeof(word_count) == 12, "layout of word-count");

enum { BY_COUNT = 0, BY_WORD = 1 };

/* A string argument is two core arguments, a boolean result one core result. */
__attribute__((import_module("$root"), import_name("skip-word")))
int skip_word(const uint8_t *word, size_t length);

/* Memory of the current call; all of it is forgotten by `forget`. */
void *allocate(size_t size, size_t align);
void forget(void);

#endif
