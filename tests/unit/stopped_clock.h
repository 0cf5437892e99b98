/* SPDX-License-Identifier: MIT */
/*
 * A clock that stands until the test moves it. It replaces the C library's clock_gettime() in the
 * whole program, so that libevent's timers follow it too.
 */
#ifndef TESTS_UNIT_STOPPED_CLOCK_H
#define TESTS_UNIT_STOPPED_CLOCK_H

#include <stdint.h>

/* From here on all clocks stand; for cmocka, as a setup of a group or a test. */
int stopped_clock_begin(void **unused);

/* All clocks but those of the time of day advance. */
void stopped_clock_advance(uint64_t ms);

/* The machine was asleep for so long: CLOCK_BOOTTIME alone counts that. */
void stopped_clock_sleep(uint64_t ms);

/* From here on each look at such a clock takes so long. */
void stopped_clock_look(uint64_t ms);

#endif
