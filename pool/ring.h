/* SPDX-License-Identifier: MIT */
/*
 * Bytes in the order in which they came, in locked memory. Taking copies them out and wipes the
 * place where they were, in the same call: nothing can be taken twice, or found later.
 */
#ifndef POOL_RING_H
#define POOL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *bytes;
	size_t size, at, level; /* `level` bytes, the oldest at `at` */
};

/* False when memory cannot be had. */
bool ring_init(struct ring *r, size_t size);
void ring_finish(struct ring *r);

static inline size_t
ring_room(const struct ring *r)
{
	return r->size - r->level;
}

/* `len` is at most ring_room(). */
void ring_put(struct ring *r, const uint8_t *bytes, size_t len);

/* Moves the oldest bytes, at most `len`, to `ret`; returns how many. */
size_t ring_take(struct ring *r, uint8_t *ret, size_t len);

/* Empties and wipes it; returns how many bytes were lost. */
size_t ring_wipe(struct ring *r);

#endif
