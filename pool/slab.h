/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of equal objects in locked memory: taking and giving back are O(1), no allocation
 * after the start, a slot given back is wiped. Pages that were never needed are never touched.
 */
#ifndef POOL_SLAB_H
#define POOL_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab {
	uint8_t *memory;
	size_t slot_len;
	unsigned max, used;
	unsigned fresh; /* slots from here on were never taken */
	void *free;     /* the others that are free; each begins with the address of the next */
};

/* False when memory cannot be had. */
bool slab_init(struct slab *s, size_t slot_len, unsigned max);
void slab_finish(struct slab *s);

/* All zero; NULL when all are taken. */
void *slab_take(struct slab *s);

/* Wipes it; the caller forgets it. */
void slab_give(struct slab *s, void *slot);

#endif
