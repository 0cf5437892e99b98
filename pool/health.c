/* SPDX-License-Identifier: MIT */
#include "pool/health.h"

#include <assert.h>

#define ALPHA_BITS 40 /* alpha = 2^-40 */

/*
 * For h = 1..8 the smallest c with P(Binomial(512, 2^-h) >= c) <= 2^-40, which is the standard's
 * 1 + CRITBINOM(512, 2^-h, 1 - alpha). Computed exactly, with rational numbers: the terms
 * comb(512, k) * p^k * (1 - p)^(512 - k) were added from k = 512 downwards while the sum was
 * not above 2^-40. The unit test adds them again.
 */
static const unsigned apt_cutoffs[] = {336, 201, 123, 78, 51, 35, 26, 19};

unsigned
health_rct_cutoff(unsigned h)
{
	assert(h >= HEALTH_H_MIN && h <= HEALTH_H_MAX);
	return 1 + (ALPHA_BITS + h - 1) / h;
}

unsigned
health_apt_cutoff(unsigned h)
{
	assert(h >= HEALTH_H_MIN && h <= HEALTH_H_MAX);
	return apt_cutoffs[h - HEALTH_H_MIN];
}

void
health_init(struct health *t, unsigned h)
{
	*t = (struct health){
		.rct_cutoff = health_rct_cutoff(h),
		.apt_cutoff = health_apt_cutoff(h),
	};
}

void
health_restart(struct health *t)
{
	t->last = 0;
	t->run = 0; /* the first byte makes it 1 */
	t->apt_seen = 0;
}

static enum health_verdict
fail(struct health *t, enum health_verdict verdict)
{
	uint64_t *failures =
		verdict == HEALTH_REPETITION ? &t->repetition_failures : &t->proportion_failures;

	(*failures)++;
	health_restart(t);
	return verdict;
}

/* `len` bytes of one window. Every byte of every source goes through here: all in registers. */
static enum health_verdict
window_test(struct health *t, const uint8_t *bytes, size_t len)
{
	const unsigned rct_cutoff = t->rct_cutoff, apt_cutoff = t->apt_cutoff;
	const uint8_t sample = t->apt_sample;
	unsigned run = t->run, count = t->apt_count;
	uint8_t last = t->last;

	for (size_t i = 0; i < len; i++) {
		run = bytes[i] == last ? run + 1 : 1;
		count += bytes[i] == sample;
		last = bytes[i];
		if (run >= rct_cutoff)
			return fail(t, HEALTH_REPETITION);
		if (count >= apt_cutoff)
			return fail(t, HEALTH_PROPORTION);
	}
	t->run = run;
	t->apt_count = count;
	t->last = last;
	return HEALTH_OK;
}

/* A window's first sample is its reference, and is counted like the others: SP 800-90B 4.4.2. */
enum health_verdict
health_test(struct health *t, const uint8_t *bytes, size_t len)
{
	enum health_verdict verdict = HEALTH_OK;

	while (len > 0 && verdict == HEALTH_OK) {
		size_t left = HEALTH_APT_WINDOW - t->apt_seen;
		size_t n = len < left ? len : left;

		if (t->apt_seen == 0) {
			t->apt_sample = bytes[0];
			t->apt_count = 0;
		}
		t->apt_seen = n == left ? 0 : t->apt_seen + (unsigned)n;
		verdict = window_test(t, bytes, n);
		bytes += n;
		len -= n;
	}
	return verdict;
}
