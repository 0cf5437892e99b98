/* SPDX-License-Identifier: MIT */
/*
 * How long to wait before the next try: twice as long after each, and never exactly as long as
 * others do who lost the same server at the same moment. Pure.
 */
#ifndef BACKEND_BACKOFF_H
#define BACKEND_BACKOFF_H

#include <stdint.h>

#define BACKOFF_MIN_MS 250

struct backoff {
	uint64_t next_ms; /* at most; 0: the first */
};

/* From the start again. */
void backoff_reset(struct backoff *b);

/*
 * Milliseconds until the next try, between half and all of what it has grown to, which is at most
 * `max_ms` (>= BACKOFF_MIN_MS); `random` decides.
 */
uint64_t backoff_next(struct backoff *b, uint64_t max_ms, uint32_t random);

#endif
