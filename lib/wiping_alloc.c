/* SPDX-License-Identifier: MIT */
#include "lib/wiping_alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"

/* The length goes before the bytes: what malloc() knows of it is not for others to rely upon. */
struct wiping_block {
	size_t len;
	_Alignas(max_align_t) unsigned char bytes[];
};

static struct wiping_block *
wiping_block_of(void *bytes)
{
	return (struct wiping_block *)((unsigned char *)bytes -
				       offsetof(struct wiping_block, bytes));
}

void *
wiping_alloc(size_t len)
{
	struct wiping_block *block;

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
wiping_realloc(void *bytes, size_t len)
{
	size_t had = bytes != NULL ? wiping_block_of(bytes)->len : 0;
	void *resized = wiping_alloc(len);

	if (resized == NULL || bytes == NULL)
		return resized;
	memcpy(resized, bytes, had < len ? had : len);
	wiping_free(bytes);
	return resized;
}

void
wiping_free(void *bytes)
{
	struct wiping_block *block;

	if (bytes == NULL)
		return;
	block = wiping_block_of(bytes);
	secret_wipe(block->bytes, block->len);
	free(block);
}
