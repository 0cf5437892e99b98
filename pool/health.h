/* SPDX-License-Identifier: MIT */
/*
 * The continuous health tests of SP 800-90B 4.4 on one source's bytes: repetition count and
 * adaptive proportion, exact integers. They see conditioned output here: they find faults, not
 * loss of entropy. This module decides nothing, it returns verdicts.
 */
#ifndef POOL_HEALTH_H
#define POOL_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_APT_WINDOW 512 /* samples (bytes); SP 800-90B 4.4.2, non-binary source */
#define HEALTH_H_MIN 1        /* bits of min-entropy per byte that a source may claim */
#define HEALTH_H_MAX 8
#define HEALTH_H_DEFAULT 7

enum health_verdict { HEALTH_OK, HEALTH_REPETITION, HEALTH_PROPORTION };

struct health {
	unsigned rct_cutoff, apt_cutoff;
	unsigned run;       /* equal samples in a row, up to now */
	unsigned apt_count; /* times apt_sample was seen in this window */
	unsigned apt_seen;  /* samples of this window; 0: the next starts one */
	uint8_t last, apt_sample;
	uint64_t repetition_failures, proportion_failures;
};

/*
 * Cutoffs for a false-alarm rate of alpha = 2^-40 and `h` bits of min-entropy per byte,
 * HEALTH_H_MIN..HEALTH_H_MAX: 1 + ceil(40 / h), and the smallest c with
 * P(Binomial(512, 2^-h) >= c) <= alpha. With h = 7: 7 and 26.
 */
void health_init(struct health *t, unsigned h);
unsigned health_rct_cutoff(unsigned h);
unsigned health_apt_cutoff(unsigned h);

/* Restarts both tests, as after a failure or before another stream; the counters stay. */
void health_restart(struct health *t);

/* Tests `len` bytes in order; ends at the first failure and restarts both tests. */
enum health_verdict health_test(struct health *t, const uint8_t *bytes, size_t len);

#endif
