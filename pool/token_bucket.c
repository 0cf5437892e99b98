/* SPDX-License-Identifier: MIT */
#include "pool/token_bucket.h"

#include <assert.h>

#define PER_BYTE 1000 /* bytes per second x ms */

void
token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ms)
{
	assert(rate <= TOKEN_BUCKET_RATE_MAX && burst <= TOKEN_BUCKET_BURST_MAX);
	*b = (struct token_bucket){.rate = rate,
				   .full = burst * PER_BYTE,
				   .level = burst * PER_BYTE,
				   .now_ms = now_ms};
}

/* `rate` flows in each ms. Divided, not multiplied: an idle year must not wrap. */
static void
token_bucket_flow(struct token_bucket *b, uint64_t now_ms)
{
	uint64_t ms = now_ms > b->now_ms ? now_ms - b->now_ms : 0;
	uint64_t room = b->full - b->level;

	b->level = ms > room / b->rate ? b->full : b->level + ms * b->rate;
	b->now_ms += ms;
}

bool
token_bucket_take(struct token_bucket *b, size_t len, uint64_t now_ms)
{
	if (b->rate == 0)
		return true;
	token_bucket_flow(b, now_ms);
	if (len > b->level / PER_BYTE)
		return false;
	b->level -= len * PER_BYTE;
	return true;
}

uint64_t
token_bucket_when(struct token_bucket *b, size_t len, uint64_t now_ms)
{
	uint64_t missing;

	assert(b->rate == 0 || len <= b->full / PER_BYTE);
	if (b->rate == 0)
		return now_ms;
	token_bucket_flow(b, now_ms);
	missing = len * PER_BYTE > b->level ? len * PER_BYTE - b->level : 0;
	return now_ms + (missing + b->rate - 1) / b->rate;
}
