/* SPDX-License-Identifier: MIT */
/* The one place where the time is read. Floors 2 and 3 never do: they are given `now_ms`. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/* Milliseconds of CLOCK_MONOTONIC; never goes back, unrelated to the date. */
uint64_t clock_now_ms(void);

/* The same in microseconds, for those whom we must tell when something was. */
uint64_t clock_now_us(void);

/* A time to wait, as libevent takes it. */
struct timeval clock_timeval(uint64_t ms);

/*
 * Returns the wait after one of `wait_ms` in a series of retries: twice as long, or `min_ms` when
 * that was 0; at most `max_ms`.
 */
uint64_t clock_longer_wait(uint64_t wait_ms, uint64_t min_ms, uint64_t max_ms);

#endif
