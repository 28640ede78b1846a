/* What the component does with the host's resources. A handle that is lent must be dropped
 * before the call ends. */
#include "canonical_abi.h"

static option kept;

CLIENT("make")
handle make(const uint8_t *name, size_t length, const uint8_t *data, size_t size) {
    handle made = blob_new(name, length);
    blob_append(made, data, size);
    forget();
    return made;
}

CLIENT("describe")
description *describe(handle blob) {
    static description answer;
    blob_name(blob, &answer.name);
    answer.size = blob_size(blob);
    blob_drop(blob);
    return &answer;
}

EXPORT("cabi_post_" PACKAGE "client" VERSION "#describe")
void describe_done(description *answer) { (void)answer; forget(); }

CLIENT("discard")
void discard(handle blob) { blob_drop(blob); }

CLIENT("open")
result *open_blob(const uint8_t *name, size_t length) {
    static result answer;
    blob_open(name, length, &answer);
    return &answer;
}

EXPORT("cabi_post_" PACKAGE "client" VERSION "#open")
void open_done(result *answer) { (void)answer; forget(); }

CLIENT("halves")
result *halves(handle blob) {
    static result answer;
    static handle both[2];
    blob_split(blob, blob_size(blob) / 2, &answer);
    if (answer.error) {
        blob_drop(blob);
    } else {
        both[0] = blob, both[1] = answer.value;
        answer.values = (handles){both, 2};
    }
    return &answer;
}

EXPORT("cabi_post_" PACKAGE "client" VERSION "#halves")
void halves_done(result *answer) { (void)answer; forget(); }

CLIENT("swap")
variant *client_swap(uint32_t tag, uint32_t a, uint32_t b, uint32_t c) {
    static variant answer;
    if (tag == ONE) {
        option first;
        result second;
        pair third;
        swap_option(1, a, &first);
        swap_result(0, first.value, 0, &second);
        swap_tuple(second.value, 7, &third);
        a = third.value;
    }
    if (tag == MANY) {
        a = blob_join((handle *)a, b);
        tag = ONE;
    }
    swap(tag, a, b, c, &answer);
    return &answer;
}

EXPORT("cabi_post_" PACKAGE "client" VERSION "#swap")
void swap_done(variant *answer) { (void)answer; forget(); }

CLIENT("turn")
variant *client_turn(uint32_t tag, uint32_t a, uint32_t b, uint32_t c) {
    static variant answer;
    answer = (variant){tag, a, b, c};
    return &answer;
}

EXPORT("cabi_post_" PACKAGE "client" VERSION "#turn")
void client_turn_done(variant *answer) { (void)answer; forget(); }

CLIENT("total")
uint32_t client_total(uint32_t tag, uint32_t a, uint32_t b, uint32_t c) {
    uint32_t answer = total(tag, a, b, c);
    if (tag == ONE) {
        answer += total_option(1, a, a, 1);
        blob_drop(a);
    }
    if (tag == MANY)
        for (uint32_t i = 0; i < b; i++) blob_drop(((handle *)a)[i]);
    if (tag == NAMED) blob_drop(c);
    forget();
    return answer;
}

CLIENT("equal")
int equal(handle first, handle second) {
    int answer = blob_same(first, second);
    blob_drop(first);
    blob_drop(second);
    return answer;
}

CLIENT("keep")
void keep_blob(handle blob) {
    if (kept.some) blob_drop(kept.value);
    kept = (option){1, blob};
}

CLIENT("release")
option *release_blob(void) {
    static option answer;
    answer = kept;
    kept.some = 0;
    return &answer;
}
