/* SPDX-License-Identifier: MIT */
/* The known answers of tests/vectors/ekey.json. Tests run from the repository's root. */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define VECTORS_PATH "tests/vectors/ekey.json"

/* A member of the file, by name. These all end the program with a message when it is not there. */
json_t *vectors(const char *name);

/* Members of one vector. */
const char *vector_string(const json_t *vector, const char *key);
unsigned vector_number(const json_t *vector, const char *key);
size_t vector_hex(const json_t *vector, const char *key, size_t cap, uint8_t *ret);
void vector_hex_exact(const json_t *vector, const char *key, size_t len, uint8_t *ret);

/* A serial written as 16 characters. */
void vector_serial(const json_t *vector, const char *key, uint8_t ret[12]);

/* An array of four 64-bit words in hexadecimal. */
void vector_words(const json_t *array, size_t count, uint64_t *ret);

#endif
