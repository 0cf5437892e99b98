/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of equal objects in locked memory: taking and giving back are O(1), no allocation
 * after the start, a slot given back is wiped. Pages that were never needed are never touched.
 */
#ifndef POOL_SLOTS_H
#define POOL_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
	uint8_t *memory;
	size_t slot_len;
	unsigned max, used;
	unsigned fresh; /* slots from here on were never taken */
	void *free;     /* the others that are free; each begins with the address of the next */
};

/* False when memory cannot be had. */
bool slots_init(struct slots *s, size_t slot_len, unsigned max);
void slots_finish(struct slots *s);

/* All zero; NULL when all are taken. */
void *slots_take(struct slots *s);

/* Wipes it; the caller forgets it. */
void slots_give(struct slots *s, void *slot);

#endif
