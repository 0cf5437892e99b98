/* SPDX-License-Identifier: MIT */
/*
 * The wait before the next try: twice as long after each, with a random part, so that the clients
 * of a lost server do not retry all at once. Pure.
 */
#ifndef BACKEND_TRANSPORT_BACKOFF_H
#define BACKEND_TRANSPORT_BACKOFF_H

#include <stdint.h>

#define BACKOFF_MIN_MS 250

struct backoff {
	uint64_t next_ms; /* at most; 0: of the first try */
};

/* Starts again with the shortest wait. */
void backoff_reset(struct backoff *b);

/*
 * Returns the milliseconds until the next try: `random` chooses between half and all of the wait,
 * which has grown to at most `max_ms` (>= BACKOFF_MIN_MS).
 */
uint64_t backoff_next(struct backoff *b, uint64_t max_ms, uint32_t random);

#endif
