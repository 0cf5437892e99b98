/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* The length goes before the bytes: what malloc() knows of it is not for others to rely upon. */
struct heap_block {
	size_t len;
	_Alignas(max_align_t) unsigned char bytes[];
};

static struct heap_block *
heap_block_of(void *bytes)
{
	return (struct heap_block *)((unsigned char *)bytes - offsetof(struct heap_block, bytes));
}

void *
heap_alloc(size_t len)
{
	struct heap_block *block;

	if (len > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + len);
	if (block == NULL)
		return NULL;
	block->len = len;
	return block->bytes;
}

/* Always a new place: realloc() would leave the old one as it was. */
void *
heap_resize(void *bytes, size_t len)
{
	size_t had = bytes != NULL ? heap_block_of(bytes)->len : 0;
	void *resized = heap_alloc(len);

	if (resized == NULL || bytes == NULL)
		return resized;
	memcpy(resized, bytes, had < len ? had : len);
	heap_free(bytes);
	return resized;
}

void
heap_free(void *bytes)
{
	struct heap_block *block;

	if (bytes == NULL)
		return;
	block = heap_block_of(bytes);
	secret_wipe(block->bytes, block->len);
	free(block);
}
