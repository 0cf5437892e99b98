/* SPDX-License-Identifier: MIT */
#include "pool/ring.h"

#include <assert.h>
#include <string.h>

#include "lib/secret.h"

bool
ring_init(struct ring *r, size_t size)
{
	*r = (struct ring){.bytes = secret_new(size), .size = size};
	return r->bytes != NULL;
}

void
ring_finish(struct ring *r)
{
	secret_free(r->bytes, r->size);
	*r = (struct ring){0};
}

/* The place `n` bytes after the oldest one. */
static size_t
ring_after(const struct ring *r, size_t n)
{
	size_t to_end = r->size - r->at;

	return n < to_end ? r->at + n : n - to_end;
}

/* How many of `len` bytes from `at` lie before the end of the memory. */
static size_t
ring_straight(const struct ring *r, size_t at, size_t len)
{
	return len < r->size - at ? len : r->size - at;
}

void
ring_put(struct ring *r, const uint8_t *bytes, size_t len)
{
	size_t at = ring_after(r, r->level);
	size_t n = ring_straight(r, at, len);

	assert(len <= ring_room(r));
	memcpy(r->bytes + at, bytes, n);
	memcpy(r->bytes, bytes + n, len - n);
	r->level += len;
}

static void
ring_move(struct ring *r, uint8_t *ret, size_t len)
{
	memcpy(ret, r->bytes + r->at, len);
	secret_wipe(r->bytes + r->at, len);
	r->at = ring_after(r, len);
	r->level -= len;
}

size_t
ring_take(struct ring *r, uint8_t *ret, size_t len)
{
	size_t n = len < r->level ? len : r->level;
	size_t straight = ring_straight(r, r->at, n);

	ring_move(r, ret, straight);
	if (straight < n)
		ring_move(r, ret + straight, n - straight);
	return n;
}

size_t
ring_wipe(struct ring *r)
{
	size_t lost = r->level;

	secret_wipe(r->bytes, r->size);
	r->at = 0;
	r->level = 0;
	return lost;
}
