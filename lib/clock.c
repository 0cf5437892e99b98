/* SPDX-License-Identifier: MIT */
#include "lib/clock.h"

#include <time.h>

uint64_t
clock_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

struct timeval
clock_timeval(uint64_t ms)
{
	return (struct timeval){.tv_sec = (time_t)(ms / 1000),
				.tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

uint64_t
clock_longer_wait(uint64_t wait_ms, uint64_t min_ms, uint64_t max_ms)
{
	uint64_t longer_ms = wait_ms == 0 ? min_ms : wait_ms * 2;

	return longer_ms < max_ms ? longer_ms : max_ms;
}
