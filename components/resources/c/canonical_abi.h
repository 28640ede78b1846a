/* The canonical ABI by hand: how the values of wit/world.wit lie in memory, and under which
 * names functions are found. Handles are numbers; a resource that is the component's own is
 * stood for by a pointer, which comes instead of the handle where it is borrowed. */
#ifndef CANONICAL_ABI_H
#define CANONICAL_ABI_H

#include <stddef.h>
#include <stdint.h>

#define PACKAGE "demo:resources/"
#define VERSION "@1.0.3"
#define EXPORT(name) __attribute__((export_name(name)))
#define COUNTERS(function) EXPORT(PACKAGE "counters" VERSION "#" function)
#define CLIENT(function) EXPORT(PACKAGE "client" VERSION "#" function)
#define MISUSE(function) EXPORT(PACKAGE "misuse" VERSION "#" function)
#define IMPORT(module, function) __attribute__((import_module(module), import_name(function)))
#define STORE(function) IMPORT(PACKAGE "store" VERSION, function)
#define OWN(function) IMPORT("[export]" PACKAGE "counters" VERSION, function)

typedef uint32_t handle;
typedef struct { const uint8_t *data; size_t length; } text;
typedef struct { handle *data; size_t length; } handles;

/* held, seen and group: all cases are some of these three words. */
enum { NOTHING, ONE, MANY, NAMED };
typedef struct { uint8_t tag; uint32_t a, b, c; } variant;
typedef struct { uint8_t some; handle value; } option;
typedef struct { uint8_t error; union { handle value; handles values; text message; }; } result;
typedef struct { handle value; uint32_t number; } pair;
typedef struct { text name; uint32_t size; } description;

_Static_assert(sizeof(variant) == 16 && sizeof(result) == 12 && sizeof(pair) == 8, "layout");

/* The host's blobs. */
STORE("[constructor]blob") handle blob_new(const uint8_t *name, size_t length);
STORE("[method]blob.name") void blob_name(handle blob, text *name);
STORE("[method]blob.size") uint32_t blob_size(handle blob);
STORE("[method]blob.append") uint32_t blob_append(handle blob, const uint8_t *data, size_t length);
STORE("[method]blob.split") void blob_split(handle blob, uint32_t at, result *tail);
STORE("[method]blob.same") int blob_same(handle blob, handle other);
STORE("[method]blob.absorb") uint32_t blob_absorb(handle blob, handle other);
STORE("[static]blob.open") void blob_open(const uint8_t *name, size_t length, result *opened);
STORE("[static]blob.join") handle blob_join(const handle *blobs, size_t count);
STORE("[resource-drop]blob") void blob_drop(handle blob);
STORE("swap") void swap(uint32_t tag, uint32_t a, uint32_t b, uint32_t c, variant *swapped);
STORE("swap-option") void swap_option(uint32_t some, handle blob, option *swapped);
STORE("swap-result") void swap_result(uint32_t error, uint32_t a, uint32_t b, result *swapped);
STORE("swap-tuple") void swap_tuple(handle blob, uint32_t number, pair *swapped);
STORE("total") uint32_t total(uint32_t tag, uint32_t a, uint32_t b, uint32_t c);
STORE("total-option") uint32_t total_option(uint32_t some, handle blob, handle other, uint32_t number);

/* The component's counters. */
typedef struct counter counter;
OWN("[resource-new]counter") handle counter_new(counter *counter);
OWN("[resource-rep]counter") counter *counter_of(handle handle);
OWN("[resource-drop]counter") void counter_drop(handle handle);

/* Of memory.c: what lasts for one call, and its end. */
void *allocate(size_t size, size_t align);
void forget(void);

#endif
