/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/token_bucket.h"

static void
it_starts_full_and_then_gives_its_rate(void **state)
{
	struct token_bucket b;
	uint64_t taken = 0;

	(void)state;
	token_bucket_init(&b, 100, 500, 1000);
	assert_true(token_bucket_take(&b, 500, 1000));
	assert_false(token_bucket_take(&b, 1, 1000));
	for (uint64_t ms = 1000; ms < 61000; ms += 7)
		taken += token_bucket_take(&b, 3, ms) ? 3 : 0;
	assert_in_range(taken, 6000 - 6, 6000);
}

static void
no_part_of_a_byte_is_lost_however_often_it_is_asked(void **state)
{
	struct token_bucket b;
	uint64_t taken = 0;

	(void)state;
	token_bucket_init(&b, 7, 100, 0);
	assert_true(token_bucket_take(&b, 100, 0));
	for (uint64_t ms = 1; ms <= 1000; ms++)
		taken += token_bucket_take(&b, 1, ms);
	assert_int_equal(taken, 7);
}

static void
it_says_to_the_ms_when_there_will_be_enough(void **state)
{
	static const uint64_t rates[] = {1, 3, 999, 1000, 1001, 123456789};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct token_bucket b;
		uint64_t when;

		token_bucket_init(&b, rates[i], 1000, 50);
		assert_int_equal(token_bucket_when(&b, 1000, 50), 50);
		assert_true(token_bucket_take(&b, 1000, 50));
		when = token_bucket_when(&b, 255, 60);
		assert_true(when > 60 || rates[i] > 25500);
		if (when > 60)
			assert_false(token_bucket_take(&b, 255, when - 1));
		assert_true(token_bucket_take(&b, 255, when));
	}
}

static void
idle_time_fills_it_up_to_its_burst_and_never_wraps(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, TOKEN_BUCKET_RATE_MAX, TOKEN_BUCKET_BURST_MAX, 0);
	assert_true(token_bucket_take(&b, TOKEN_BUCKET_BURST_MAX, 0));
	assert_true(token_bucket_take(&b, TOKEN_BUCKET_BURST_MAX, UINT64_MAX - 1));
	assert_false(token_bucket_take(&b, TOKEN_BUCKET_RATE_MAX / 1000 + 1, UINT64_MAX));
	token_bucket_init(&b, 1, 300, 0);
	assert_true(token_bucket_take(&b, 300, 0));
	assert_true(token_bucket_take(&b, 300, UINT64_MAX));
	assert_false(token_bucket_take(&b, 1, UINT64_MAX));
}

static void
a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 1000, 10, 5000);
	assert_true(token_bucket_take(&b, 10, 5000));
	assert_false(token_bucket_take(&b, 1, 4000));
	assert_true(token_bucket_take(&b, 1, 5001));
}

static void
without_a_rate_there_is_no_limit(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 0, 0, 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(token_bucket_take(&b, SIZE_MAX, 0));
	assert_int_equal(token_bucket_when(&b, SIZE_MAX, 77), 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts_full_and_then_gives_its_rate),
		cmocka_unit_test(no_part_of_a_byte_is_lost_however_often_it_is_asked),
		cmocka_unit_test(it_says_to_the_ms_when_there_will_be_enough),
		cmocka_unit_test(idle_time_fills_it_up_to_its_burst_and_never_wraps),
		cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
		cmocka_unit_test(without_a_rate_there_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
