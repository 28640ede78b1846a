/* Handles used against the rules: each of these must end the call. */
#include "canonical_abi.h"

static handle borrowed;

MISUSE("keep-borrow")
void keep_borrow(handle blob) { borrowed = blob; }

MISUSE("use-kept")
uint32_t use_kept(void) { return blob_size(borrowed); }

MISUSE("give-borrowed")
void give_borrowed(handle blob) {
    option answer;
    swap_option(1, blob, &answer);
}

MISUSE("drop-twice")
void drop_twice(handle blob) {
    blob_drop(blob);
    blob_drop(blob);
}

MISUSE("use-dropped")
uint32_t use_dropped(handle blob) {
    blob_drop(blob);
    return blob_size(blob);
}

MISUSE("use-any")
uint32_t use_any(handle number) { return blob_size(number); }

MISUSE("use-other-type")
uint32_t use_other_type(handle counter) { return blob_size(counter); }

MISUSE("return-any")
handle return_any(handle number) { return number; }

MISUSE("return-dropped")
handle return_dropped(handle counter) {
    counter_drop(counter);
    return counter;
}

MISUSE("lend-and-give")
void lend_and_give(handle blob) { blob_absorb(blob, blob); }
