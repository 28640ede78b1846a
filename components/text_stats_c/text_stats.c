/* Facts about texts and bytes: the C side of wit/world.wit. */
#include "canonical_abi.h"

int memcmp(const void *left, const void *right, size_t length);

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* Cuts the next word off the front of `rest`; its length is 0 at the end. */
static text next_word(text *rest) {
    while (rest->length > 0 && is_space(*rest->data)) rest->data++, rest->length--;
    text word = {rest->data, 0};
    while (rest->length > 0 && !is_space(*rest->data)) rest->data++, rest->length--, word.length++;
    return word;
}

/* Of each UTF-8 sequence only the first byte counts. */
static uint64_t characters_in(text part) {
    uint64_t count = 0;
    for (size_t i = 0; i < part.length; i++) count += (part.data[i] & 0xc0) != 0x80;
    return count;
}

STATS("describe")
report *describe(const uint8_t *data, size_t length) {
    static report result;
    text all = {data, length};
    result = (report){.characters = characters_in(all)};
    for (size_t i = 0; i < length; i++) result.lines += data[i] == '\n';
    if (length > 0 && data[length - 1] != '\n') result.lines++;
    uint64_t longest = 0;
    text rest = all, word;
    while ((word = next_word(&rest)).length > 0) {
        result.words++;
        if (characters_in(word) > longest) {
            longest = characters_in(word);
            result.longest_word = (option_text){1, word};
        }
    }
    if (result.lines > 0) result.words_per_line = (double)result.words / result.lines;
    return &result;
}

STATS_DONE("describe")
void describe_done(report *result) { (void)result; forget(); }

static int compare_words(text a, text b) {
    int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int comes_before(const word_count *a, const word_count *b, int order) {
    if (order == BY_COUNT && a->count != b->count) return a->count > b->count;
    return compare_words(a->word, b->word) < 0;
}

/* Heap sort: no recursion, no memory, and never quadratic on hostile input. */
static void sort(word_count *items, size_t count, int order) {
    for (size_t start = count / 2, end = count; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            word_count last = items[--end];
            items[end] = items[0];
            items[0] = last;
        }
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && comes_before(&items[child], &items[child + 1], order)) child++;
            if (!comes_before(&items[root], &items[child], order)) break;
            word_count above = items[root];
            items[root] = items[child];
            items[child] = above;
        }
    }
}

STATS("frequencies")
counts_or_message *frequencies(const uint8_t *data, size_t length, int order, int limited, uint32_t limit) {
    static counts_or_message result;
    static const char nothing[] = "the text has no words";
    text rest = {data, length}, word;
    size_t words = 0;
    while (next_word(&rest).length > 0) words++;
    if (words == 0) {
        result = (counts_or_message){.error = 1, .message = {(const uint8_t *)nothing, sizeof nothing - 1}};
        return &result;
    }
    word_count *items = allocate(words * sizeof *items, _Alignof(word_count));
    rest = (text){data, length};
    for (size_t i = 0; (word = next_word(&rest)).length > 0; i++) items[i] = (word_count){word, 1};
    sort(items, words, BY_WORD);
    size_t kept = 0;
    for (size_t i = 0, next; i < words; i = next) {
        for (next = i + 1; next < words && compare_words(items[i].word, items[next].word) == 0;) next++;
        if (skip_word(items[i].word.data, items[i].word.length)) continue;
        items[kept++] = (word_count){items[i].word, (uint32_t)(next - i)};
    }
    if (order == BY_COUNT) sort(items, kept, BY_COUNT);
    if (limited && limit < kept) kept = limit;
    result = (counts_or_message){.error = 0, .counts = {items, kept}};
    return &result;
}

STATS_DONE("frequencies")
void frequencies_done(counts_or_message *result) { (void)result; forget(); }

static void count_bytes(uint32_t counts[256], const uint8_t *data, size_t length) {
    for (size_t i = 0; i < 256; i++) counts[i] = 0;
    for (size_t i = 0; i < length; i++) counts[data[i]]++;
}

/* Logarithm to base 2 of a number in (0, 1]. */
static double binary_logarithm(double x) {
    double whole = 0;
    while (x < 1) x *= 2, whole--;
    /* ln x = 2 artanh((x - 1) / (x + 1)), x in [1, 2). */
    double y = (x - 1) / (x + 1), power = y, sum = 0;
    for (int i = 1; i < 40; i += 2, power *= y * y) sum += power / i;
    return whole + 2 * sum / 0.69314718055994530942;
}

STATS("entropy")
double entropy(const uint8_t *data, size_t length) {
    uint32_t counts[256];
    double bits = 0;
    count_bytes(counts, data, length);
    for (int i = 0; i < 256; i++) {
        if (counts[i] == 0) continue;
        double share = (double)counts[i] / (double)length;
        bits -= share * binary_logarithm(share);
    }
    return bits;
}

STATS_DONE("entropy")
void entropy_done(double result) { (void)result; forget(); }

STATS("histogram")
numbers *histogram(const uint8_t *data, size_t length) {
    static numbers result;
    static uint32_t counts[256];
    count_bytes(counts, data, length);
    result = (numbers){counts, 256};
    return &result;
}

STATS_DONE("histogram")
void histogram_done(numbers *result) { (void)result; forget(); }
