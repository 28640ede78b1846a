/* Resources of the component's own. */
#include "canonical_abi.h"

struct counter { int32_t value; counter *next_free; };

static counter pool[1024], *free_ones;
static size_t used;
static struct { uint32_t count; int32_t sum; } destroyed;
static option kept;

COUNTERS("[constructor]counter")
handle construct(int32_t start) {
    counter *made = free_ones;
    if (made) free_ones = made->next_free;
    else if (used < sizeof pool / sizeof *pool) made = &pool[used++];
    else __builtin_trap();
    made->value = start;
    return counter_new(made);
}

COUNTERS("[dtor]counter")
void destroy(counter *self) {
    destroyed.count++;
    destroyed.sum += self->value;
    self->next_free = free_ones;
    free_ones = self;
}

COUNTERS("[method]counter.value")
int32_t value(counter *self) { return self->value; }

COUNTERS("[method]counter.add")
int32_t add(counter *self, int32_t amount) { return self->value += amount; }

COUNTERS("[method]counter.above")
int above(counter *self, counter *other) { return self->value > other->value; }

COUNTERS("[method]counter.absorb")
void absorb(counter *self, handle other) {
    self->value += counter_of(other)->value;
    counter_drop(other);
}

COUNTERS("[method]counter.halve")
handle halve(counter *self) {
    int32_t half = self->value / 2;
    self->value -= half;
    return construct(half);
}

COUNTERS("[static]counter.checked")
result *checked(int32_t start) {
    static result answer;
    static uint8_t message[] = "negative: -0000000000";
    if (start >= 0) {
        answer = (result){.error = 0, .value = construct(start)};
        return &answer;
    }
    uint32_t digits = 0, rest = -(uint32_t)start;
    uint8_t reversed[10];
    do reversed[digits++] = '0' + rest % 10; while (rest /= 10);
    for (uint32_t i = 0; i < digits; i++) message[11 + i] = reversed[digits - 1 - i];
    answer = (result){.error = 1, .message = {message, 11 + digits}};
    return &answer;
}

COUNTERS("turn")
variant *turn(uint32_t tag, uint32_t a, uint32_t b, uint32_t c) {
    static variant answer;
    answer = (variant){tag, a, b, c};
    return &answer;
}

COUNTERS("turn-option")
option *turn_option(uint32_t some, handle counter) {
    static option answer;
    answer = (option){some, counter};
    return &answer;
}

COUNTERS("turn-result")
result *turn_result(uint32_t error, uint32_t a, uint32_t b) {
    static result answer;
    answer = (result){.error = error, .message = {(const uint8_t *)a, b}};
    return &answer;
}

COUNTERS("turn-tuple")
pair *turn_tuple(handle counter, uint32_t number) {
    static pair answer;
    answer = (pair){counter, number};
    return &answer;
}

/* The text of a call's parameters is in memory of the call. */
EXPORT("cabi_post_" PACKAGE "counters" VERSION "#turn")
void turn_done(variant *answer) { (void)answer; forget(); }

EXPORT("cabi_post_" PACKAGE "counters" VERSION "#turn-result")
void turn_result_done(result *answer) { (void)answer; forget(); }

COUNTERS("sum")
int32_t sum(uint32_t tag, uint32_t a, uint32_t b, uint32_t c) {
    int32_t answer = 0;
    if (tag == ONE) answer = ((counter *)a)->value;
    if (tag == NAMED) answer = ((counter *)c)->value;
    if (tag == MANY)
        for (uint32_t i = 0; i < b; i++) answer += ((counter **)a)[i]->value;
    forget();
    return answer;
}

COUNTERS("sum-option")
int32_t sum_option(uint32_t some, counter *first, counter *second, int32_t number) {
    return (some ? first->value : 0) + second->value * number;
}

COUNTERS("keep")
void keep(handle counter) {
    if (kept.some) counter_drop(kept.value);
    kept = (option){1, counter};
}

COUNTERS("release")
option *release(void) {
    static option answer;
    answer = kept;
    kept.some = 0;
    return &answer;
}

COUNTERS("destroyed")
void *tell_destroyed(void) { return &destroyed; }
