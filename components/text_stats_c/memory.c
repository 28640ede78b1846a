/* Memory for one call at a time: a bump allocator above the program's data. */
#include "canonical_abi.h"

extern uint8_t __heap_base; /* the linker's */
static uintptr_t next;

void *allocate(size_t size, size_t align) {
    const uintptr_t page = 65536;
    if (next == 0) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + align - 1) & ~(uintptr_t)(align - 1);
    uint64_t end = (uint64_t)start + size;
    uint64_t pages = (end + page - 1) / page;
    size_t now = __builtin_wasm_memory_size(0);
    if (pages > 65536) __builtin_trap();
    if (pages > now && __builtin_wasm_memory_grow(0, (size_t)pages - now) == SIZE_MAX) __builtin_trap();
    next = (uintptr_t)end;
    return (void *)start;
}

void forget(void) { next = 0; }

/* Where the host puts arguments. */
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    uint8_t *fresh = allocate(size, align);
    if (old_size > 0) __builtin_memcpy(fresh, old, old_size < size ? old_size : size);
    return fresh;
}

/* What the compiler calls, and no library is linked. */
void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t i = 0; i < length; i++) out[i] = in[i];
    return to;
}

void *memset(void *to, int value, size_t length) {
    uint8_t *out = to;
    for (size_t i = 0; i < length; i++) out[i] = (uint8_t)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t length) {
    const uint8_t *a = left, *b = right;
    for (size_t i = 0; i < length; i++)
        if (a[i] != b[i]) return a[i] - b[i];
    return 0;
}
