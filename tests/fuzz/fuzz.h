/* SPDX-License-Identifier: MIT */
/* What fuzz targets share: a cursor over the fuzzer's bytes, and a promise that must hold. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
promise(int held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

/* The next byte, or 0 at the end. */
static inline uint8_t
fuzz_byte(struct cursor *in)
{
	const uint8_t *at;

	return cursor_take(in, 1, &at) ? *at : 0;
}

/* Up to `len` bytes; *ret_len says how many there were. */
static inline const uint8_t *
fuzz_bytes(struct cursor *in, size_t len, size_t *ret_len)
{
	const uint8_t *at = in->at;

	*ret_len = len < in->left ? len : in->left;
	cursor_take(in, *ret_len, &at);
	return at;
}

#endif
