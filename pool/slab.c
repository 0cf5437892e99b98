/* SPDX-License-Identifier: MIT */
#include "pool/slab.h"

#include <assert.h>
#include <string.h>

#include "lib/secret.h"

#define SLOT_ALIGN 16

bool
slab_init(struct slab *s, size_t slot_len, unsigned max)
{
	size_t len = (slot_len + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;

	*s = (struct slab){.memory = secret_new(len * max), .slot_len = len, .max = max};
	return s->memory != NULL;
}

void
slab_finish(struct slab *s)
{
	secret_free(s->memory, s->slot_len * s->max);
	*s = (struct slab){0};
}

void *
slab_take(struct slab *s)
{
	void *slot = s->free;

	if (slot != NULL) {
		memcpy(&s->free, slot, sizeof(s->free));
		memset(slot, 0, sizeof(s->free));
	} else if (s->fresh < s->max) {
		slot = s->memory + s->slot_len * s->fresh++;
	} else {
		return NULL;
	}
	s->used++;
	return slot;
}

void
slab_give(struct slab *s, void *slot)
{
	assert(s->used > 0);
	secret_wipe(slot, s->slot_len);
	memcpy(slot, &s->free, sizeof(s->free));
	s->free = slot;
	s->used--;
}
