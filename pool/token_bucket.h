/* SPDX-License-Identifier: MIT */
/*
 * A token bucket: `rate` bytes per second flow in, at most `burst` stay; an outlet takes from it
 * before it takes from the pool. The caller gives the time, in ms; it never goes backwards.
 */
#ifndef POOL_TOKEN_BUCKET_H
#define POOL_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_BUCKET_RATE_MAX (UINT64_C(1) << 40)  /* bytes per second */
#define TOKEN_BUCKET_BURST_MAX (UINT64_C(1) << 40) /* bytes */

struct token_bucket {
	uint64_t rate;  /* bytes per second; 0: no limit, and nothing is counted */
	uint64_t full;  /* thousandths of a byte: a ms at any rate is a whole number of them */
	uint64_t level; /* the same */
	uint64_t now_ms;
};

/* Starts full. More than `burst` bytes at once are never available. */
void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ms);

/* Takes `len` bytes; false, and nothing is taken, when there are less. */
bool token_bucket_take(struct token_bucket *b, size_t len, uint64_t now_ms);

/* The time at which `len` bytes are there, in ms of the same clock: now_ms if they are now. */
uint64_t token_bucket_when(struct token_bucket *b, size_t len, uint64_t now_ms);

#endif
