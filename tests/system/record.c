/* SPDX-License-Identifier: MIT */
#include "tests/system/record.h"

#include <string.h>
#include <sys/mman.h>

/* Pieces of one byte take five each. */
struct record *
record_new(size_t quota)
{
	size_t len = sizeof(struct record) + quota * 5 + 2 * RECORD_PIECE_MAX;
	struct record *r = mmap(NULL, len, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	r->quota = quota;
	return r;
}

void
record_keep(struct record *r, size_t len)
{
	size_t used = atomic_load(&r->used);
	uint32_t head = (uint32_t)len;

	memcpy(r->bytes + used, &head, sizeof(head));
	atomic_store(&r->used, used + sizeof(head) + len);
}

uint64_t
record_account(const struct record *r, struct stream *s)
{
	uint64_t pieces = 0;
	uint32_t len;

	for (size_t at = 0; at < r->used; at += sizeof(len) + len, pieces++) {
		memcpy(&len, r->bytes + at, sizeof(len));
		stream_account(s, r->bytes + at + sizeof(len), len);
	}
	return pieces;
}
