/* SPDX-License-Identifier: MIT */
/*
 * What one reader got, in memory that outlives it: a length, then that many bytes, and so on. The
 * reader may be killed at any instruction, and what it had kept is whole.
 */
#ifndef TESTS_SYSTEM_RECORD_H
#define TESTS_SYSTEM_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

#include "tests/system/stream.h"

#define RECORD_PIECE_MAX 4096
/* Bytes that a reader may have been granted at most when it goes, and never see. */
#define RECORD_LOST_MAX 8192

struct record {
	atomic_size_t used;
	atomic_uint interrupted; /* calls that a signal ended */
	atomic_uint left;        /* times it went by itself with bytes still owed to it */
	size_t quota;
	uint8_t bytes[];
};

/* Shared with children; NULL when there is no memory. */
struct record *record_new(size_t quota);

static inline bool
record_is_full(const struct record *r)
{
	return atomic_load(&r->used) >= r->quota;
}

/* Where the next piece goes, of at most RECORD_PIECE_MAX bytes; only while it is not full. */
static inline uint8_t *
record_room(struct record *r)
{
	return r->bytes + atomic_load(&r->used) + sizeof(uint32_t);
}

/* `len` bytes have been put there. */
void record_keep(struct record *r, size_t len);

/* Accounts for each piece; returns how many there are. */
uint64_t record_account(const struct record *r, struct stream *s);

#endif
