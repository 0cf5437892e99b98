/* SPDX-License-Identifier: MIT */
/* Durations of many like acts, and what they were at the middle and at the end of their range. */
#ifndef TESTS_BENCH_SAMPLES_H
#define TESTS_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint64_t *ns; /* owned */
	size_t len, cap;
};

/* Nanoseconds of CLOCK_MONOTONIC, the clock of every duration here. */
uint64_t samples_now_ns(void);

/* Exits when memory cannot be had: a benchmark has nobody to tell. */
void samples_init(struct samples *s, size_t cap);
void samples_finish(struct samples *s);

/* Samples beyond `cap` are dropped, so that measuring never allocates. */
void samples_add(struct samples *s, uint64_t ns);

/* Sorts. `percent` of the samples are at most this long; 0 when there are none. */
uint64_t samples_percentile(struct samples *s, unsigned percent);

#endif
