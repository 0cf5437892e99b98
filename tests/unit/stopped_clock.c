/* SPDX-License-Identifier: MIT */
#include "tests/unit/stopped_clock.h"

#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool stopped;
static uint64_t awake_ms, asleep_ms, look_ms;

/* Any time that is far from 0, in which an uninitialised time would look right. */
#define STOPPED_AT_MS 1000000

int
stopped_clock_begin(void **unused)
{
	(void)unused;
	stopped = true;
	awake_ms = STOPPED_AT_MS;
	asleep_ms = look_ms = 0;
	return 0;
}

void
stopped_clock_advance(uint64_t ms)
{
	awake_ms += ms;
}

void
stopped_clock_sleep(uint64_t ms)
{
	asleep_ms += ms;
}

void
stopped_clock_look(uint64_t ms)
{
	look_ms = ms;
}

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t ms = awake_ms + (clock == CLOCK_BOOTTIME ? asleep_ms : 0);

	if (!stopped || clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	awake_ms += look_ms;
	*ret = (struct timespec){.tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000 * 1000000)};
	return 0;
}
