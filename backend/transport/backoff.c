/* SPDX-License-Identifier: MIT */
#include "backend/transport/backoff.h"

void
backoff_reset(struct backoff *b)
{
	b->next_ms = BACKOFF_MIN_MS;
}

uint64_t
backoff_next(struct backoff *b, uint64_t max_ms, uint32_t random)
{
	uint64_t wait_ms = b->next_ms < BACKOFF_MIN_MS ? BACKOFF_MIN_MS : b->next_ms;

	if (wait_ms > max_ms)
		wait_ms = max_ms;
	b->next_ms = wait_ms * 2;
	return wait_ms / 2 + random % (wait_ms / 2 + 1);
}
