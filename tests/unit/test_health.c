/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pool/health.h"

#define WINDOW HEALTH_APT_WINDOW

/* 2^-n; no smaller than a long double can be for 512 samples of 8 bits. */
static long double
power(unsigned n)
{
	return n == 0 ? 1 : power(n - 1) / 2;
}

/* P(Binomial(512, 2^-h) >= c), added up from the small end. */
static long double
tail(unsigned h, unsigned c)
{
	long double p = power(h), term = power(h * WINDOW), sum = term;

	for (unsigned k = WINDOW; k > c; k--) {
		term *= k * (1 - p) / ((WINDOW - k + 1) * p);
		sum += term;
	}
	return sum;
}

static void
apt_cutoffs_are_the_smallest_within_alpha(void **state)
{
	const long double alpha = power(40);

	(void)state;
	for (unsigned h = HEALTH_H_MIN; h <= HEALTH_H_MAX; h++) {
		unsigned c = health_apt_cutoff(h);

		print_message("h %u: RCT %u, APT %u, %.3Lf alpha\n", h, health_rct_cutoff(h), c,
			      tail(h, c) / alpha);
		assert_true(tail(h, c) <= alpha);
		assert_true(tail(h, c - 1) > alpha);
	}
	assert_int_equal(health_apt_cutoff(7), 26);
}

static void
rct_cutoffs_are_one_and_forty_bits_worth_of_samples(void **state)
{
	static const unsigned expected[] = {41, 21, 15, 11, 9, 8, 7, 6};

	(void)state;
	for (unsigned h = HEALTH_H_MIN; h <= HEALTH_H_MAX; h++)
		assert_int_equal(health_rct_cutoff(h), expected[h - 1]);
}

/* Bytes that neither repeat nor are ever 0 or 255: what else is in a window does not matter. */
static void
fill_harmless(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(1 + i % 254);
}

/* How many bytes pass before the verdict comes; fed one at a time. */
static size_t
fails_at(struct health *t, const uint8_t *bytes, size_t len, enum health_verdict *ret)
{
	for (size_t i = 0; i < len; i++) {
		*ret = health_test(t, bytes + i, 1);
		if (*ret != HEALTH_OK)
			return i;
	}
	return len;
}

static void
repetition_fails_exactly_at_its_cutoff(void **state)
{
	uint8_t bytes[WINDOW];
	enum health_verdict verdict;
	struct health t;

	(void)state;
	for (unsigned h = HEALTH_H_MIN; h <= HEALTH_H_MAX; h++) {
		unsigned cutoff = health_rct_cutoff(h);

		for (unsigned at = 0; at < 100; at += 9) {
			fill_harmless(bytes, sizeof(bytes));
			for (unsigned i = 0; i + 1 < cutoff; i++)
				bytes[at + i] = 0;
			health_init(&t, h);
			assert_int_equal(health_test(&t, bytes, sizeof(bytes)), HEALTH_OK);
			bytes[at + cutoff - 1] = 0;
			health_init(&t, h);
			assert_int_equal(fails_at(&t, bytes, sizeof(bytes), &verdict),
					 at + cutoff - 1);
			assert_int_equal(verdict, HEALTH_REPETITION);
			assert_int_equal(t.repetition_failures, 1);
			assert_int_equal(t.proportion_failures, 0);
		}
	}
}

/* A window whose first byte, 0, is there `count` times, never twice in a row; the last is at *end.
 */
static void
fill_proportion(uint8_t *bytes, unsigned count, size_t *ret_end)
{
	size_t gap = count > WINDOW / 2 ? 1 : 2; /* for h = 1 some must stand together */

	fill_harmless(bytes, WINDOW);
	for (size_t at = 0; count > 0; at += gap) {
		if (gap == 1 && at % 8 == 7)
			continue;
		bytes[at] = 0;
		*ret_end = at;
		count--;
	}
}

static void
proportion_fails_exactly_at_its_cutoff(void **state)
{
	uint8_t bytes[WINDOW];
	enum health_verdict verdict;
	struct health t;
	size_t end;

	(void)state;
	for (unsigned h = HEALTH_H_MIN; h <= HEALTH_H_MAX; h++) {
		fill_proportion(bytes, health_apt_cutoff(h) - 1, &end);
		health_init(&t, h);
		assert_int_equal(health_test(&t, bytes, WINDOW), HEALTH_OK);
		fill_proportion(bytes, health_apt_cutoff(h), &end);
		health_init(&t, h);
		assert_int_equal(fails_at(&t, bytes, WINDOW, &verdict), end);
		assert_int_equal(verdict, HEALTH_PROPORTION);
		assert_int_equal(t.proportion_failures, 1);
		assert_int_equal(t.repetition_failures, 0);
	}
}

/* 25 zeros in each of two windows, 50 in a row of 512 that lies across them. */
static void
windows_tile_and_do_not_slide(void **state)
{
	uint8_t bytes[2 * WINDOW];
	struct health t;

	(void)state;
	fill_harmless(bytes, sizeof(bytes));
	bytes[0] = 0;
	for (unsigned i = 1; i < 25; i++)
		bytes[WINDOW - 2 * i] = 0;
	for (unsigned i = 0; i < 25; i++)
		bytes[WINDOW + 2 * i] = 0;
	health_init(&t, 7);
	assert_int_equal(health_test(&t, bytes, sizeof(bytes)), HEALTH_OK);
	bytes[WINDOW + 100] = 0; /* the 26th of the second window */
	health_init(&t, 7);
	assert_int_equal(health_test(&t, bytes, sizeof(bytes)), HEALTH_PROPORTION);
}

/* The 513th byte is the reference of the second window, however the first one was fed. */
static void
second_window_has_a_reference_of_its_own(void **state)
{
	uint8_t bytes[2 * WINDOW];
	enum health_verdict verdict;
	struct health t;

	(void)state;
	fill_harmless(bytes, sizeof(bytes));
	for (unsigned i = 0; i < 26; i++)
		bytes[WINDOW + 3 * i] = 255;
	health_init(&t, 7);
	assert_int_equal(fails_at(&t, bytes, sizeof(bytes), &verdict), WINDOW + 3 * 25);
	assert_int_equal(verdict, HEALTH_PROPORTION);
	bytes[WINDOW] = 254; /* then 255 is nobody's reference */
	health_init(&t, 7);
	assert_int_equal(health_test(&t, bytes, sizeof(bytes)), HEALTH_OK);
}

static void
a_run_counts_across_windows_and_calls(void **state)
{
	uint8_t bytes[2 * WINDOW];
	enum health_verdict verdict;
	struct health t;

	(void)state;
	fill_harmless(bytes, sizeof(bytes));
	for (unsigned i = 0; i < 7; i++)
		bytes[WINDOW - 3 + i] = 0;
	for (size_t split = 1; split < sizeof(bytes); split++) {
		health_init(&t, 7);
		verdict = health_test(&t, bytes, split);
		if (verdict == HEALTH_OK)
			verdict = health_test(&t, bytes + split, sizeof(bytes) - split);
		assert_int_equal(verdict, HEALTH_REPETITION);
		assert_int_equal(t.repetition_failures, 1);
	}
}

static void
both_tests_start_afresh_after_a_failure(void **state)
{
	uint8_t bytes[WINDOW];
	enum health_verdict verdict;
	struct health t;
	size_t end;

	(void)state;
	health_init(&t, 7);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(fails_at(&t, bytes, sizeof(bytes), &verdict), 6);
	assert_int_equal(fails_at(&t, bytes, sizeof(bytes), &verdict), 6);
	fill_proportion(bytes, 25, &end);
	assert_int_equal(health_test(&t, bytes, WINDOW), HEALTH_OK);
	assert_int_equal(t.repetition_failures, 2);
	assert_int_equal(health_test(&t, bytes, 100), HEALTH_OK);
	health_restart(&t);
	assert_int_equal(health_test(&t, bytes, WINDOW), HEALTH_OK);
	assert_int_equal(t.repetition_failures, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apt_cutoffs_are_the_smallest_within_alpha),
		cmocka_unit_test(rct_cutoffs_are_one_and_forty_bits_worth_of_samples),
		cmocka_unit_test(repetition_fails_exactly_at_its_cutoff),
		cmocka_unit_test(proportion_fails_exactly_at_its_cutoff),
		cmocka_unit_test(windows_tile_and_do_not_slide),
		cmocka_unit_test(second_window_has_a_reference_of_its_own),
		cmocka_unit_test(a_run_counts_across_windows_and_calls),
		cmocka_unit_test(both_tests_start_afresh_after_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
