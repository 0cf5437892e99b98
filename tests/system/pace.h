/* SPDX-License-Identifier: MIT */
/*
 * How many times slower than a real machine this one is: what promises.sh of the rigs found when an
 * emulated one booted. Times that are allowed, and none that are waited for, are as many times
 * longer.
 */
#ifndef TESTS_SYSTEM_PACE_H
#define TESTS_SYSTEM_PACE_H

#include <stdlib.h>

static inline int
pace(void)
{
	const char *text = getenv("PACE");
	int times = text != NULL ? atoi(text) : 1;

	return times > 1 ? times : 1;
}

#endif
