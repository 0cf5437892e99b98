/* SPDX-License-Identifier: MIT */
#include "tests/unit/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ekey/pem64.h"

static void
need(int condition, const char *what, const char *name)
{
	if (condition)
		return;
	fprintf(stderr, VECTORS_PATH ": %s: %s\n", what, name);
	exit(1);
}

json_t *
vectors(const char *name)
{
	static json_t *root;
	json_error_t error;
	json_t *member;

	if (root == NULL)
		root = json_load_file(VECTORS_PATH, 0, &error);
	need(root != NULL, "cannot be read (run from the repository's root)", error.text);
	member = json_object_get(root, name);
	need(member != NULL, "no such member", name);
	return member;
}

const char *
vector_string(const json_t *vector, const char *key)
{
	const char *text = json_string_value(json_object_get(vector, key));

	need(text != NULL, "not a string", key);
	return text;
}

unsigned
vector_number(const json_t *vector, const char *key)
{
	const json_t *number = json_object_get(vector, key);

	need(json_is_integer(number), "not a number", key);
	return (unsigned)json_integer_value(number);
}

size_t
vector_hex(const json_t *vector, const char *key, size_t cap, uint8_t *ret)
{
	const char *text = vector_string(vector, key);
	size_t len = strlen(text) / 2;

	need(strlen(text) % 2 == 0 && len <= cap, "hexadecimal of a wrong length", key);
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		need(sscanf(text + 2 * i, "%2x", &byte) == 1, "not hexadecimal", key);
		ret[i] = (uint8_t)byte;
	}
	return len;
}

void
vector_hex_exact(const json_t *vector, const char *key, size_t len, uint8_t *ret)
{
	need(vector_hex(vector, key, len, ret) == len, "hexadecimal of a wrong length", key);
}

void
vector_serial(const json_t *vector, const char *key, uint8_t ret[12])
{
	const char *text = vector_string(vector, key);
	size_t len = 0;

	need(pem64_decode(text, strlen(text), 12, ret, &len) && len == 12, "not a serial", key);
}

void
vector_words(const json_t *array, size_t count, uint64_t *ret)
{
	need(json_array_size(array) == count, "array of a wrong length", "words");
	for (size_t i = 0; i < count; i++)
		ret[i] = strtoull(json_string_value(json_array_get(array, i)), NULL, 16);
}
