/* The least that a Python list can cost: CPython's own API reads each element into flat memory,
 * and makes as many again. hlwasm does not work in this way; this is what no codec is faster than.
 *
 * Declared by hand, so that no headers of Python's are needed. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    intptr_t references;
    const void *type;
} Object;

extern char PyLong_Type, PyFloat_Type;
extern Object *PyList_New(intptr_t length);
extern Object *PyList_GetItem(Object *list, intptr_t index);
extern intptr_t PyList_Size(Object *list);
extern int PyList_SetItem(Object *list, intptr_t index, Object *item);
extern long PyLong_AsLongAndOverflow(Object *value, int *overflow);
extern Object *PyLong_FromLong(long value);
extern double PyFloat_AsDouble(Object *value);
extern Object *PyFloat_FromDouble(double value);
extern const char *PyUnicode_AsUTF8AndSize(Object *text, intptr_t *bytes);
extern Object *PyUnicode_DecodeUTF8(const char *text, intptr_t bytes, const char *errors);

Object *echo_s32(Object *list, int32_t *memory) {
    intptr_t length = PyList_Size(list);
    for (intptr_t i = 0; i < length; i++) {
        Object *item = PyList_GetItem(list, i);
        int overflow = 0;
        long value = PyLong_AsLongAndOverflow(item, &overflow);
        if (item->type != &PyLong_Type || overflow || value != (int32_t)value) return NULL;
        memory[i] = (int32_t)value;
    }
    Object *made = PyList_New(length);
    for (intptr_t i = 0; i < length; i++) PyList_SetItem(made, i, PyLong_FromLong(memory[i]));
    return made;
}

Object *echo_f64(Object *list, double *memory) {
    intptr_t length = PyList_Size(list);
    for (intptr_t i = 0; i < length; i++) {
        Object *item = PyList_GetItem(list, i);
        if (item->type != &PyFloat_Type) return NULL;
        memory[i] = PyFloat_AsDouble(item);
    }
    Object *made = PyList_New(length);
    for (intptr_t i = 0; i < length; i++) PyList_SetItem(made, i, PyFloat_FromDouble(memory[i]));
    return made;
}

/* Pairs of offset and length first, then all text. */
Object *echo_string(Object *list, char *memory) {
    intptr_t length = PyList_Size(list);
    uint32_t *pairs = (uint32_t *)memory;
    intptr_t at = 8 * length;
    for (intptr_t i = 0; i < length; i++) {
        intptr_t bytes = 0;
        const char *text = PyUnicode_AsUTF8AndSize(PyList_GetItem(list, i), &bytes);
        if (text == NULL) return NULL;
        memcpy(memory + at, text, (size_t)bytes);
        pairs[2 * i] = (uint32_t)at;
        pairs[2 * i + 1] = (uint32_t)bytes;
        at += bytes;
    }
    Object *made = PyList_New(length);
    for (intptr_t i = 0; i < length; i++) {
        const char *text = memory + pairs[2 * i];
        PyList_SetItem(made, i, PyUnicode_DecodeUTF8(text, pairs[2 * i + 1], NULL));
    }
    return made;
}
