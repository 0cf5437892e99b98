/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/transport/backoff.h"

#define MAX_MS 30000

static void
each_wait_is_twice_as_long_up_to_the_longest(void **unused)
{
	struct backoff b = {0};
	uint64_t longest = BACKOFF_MIN_MS;

	(void)unused;
	for (int i = 0; i < 20; i++) {
		uint64_t wait_ms = backoff_next(&b, MAX_MS, (uint32_t)(longest / 2));

		assert_int_equal(wait_ms, longest);
		longest = longest * 2 < MAX_MS ? longest * 2 : MAX_MS;
	}
	backoff_reset(&b);
	assert_in_range(backoff_next(&b, MAX_MS, 4711), BACKOFF_MIN_MS / 2, BACKOFF_MIN_MS);
}

static void
chance_spreads_it_over_the_second_half(void **unused)
{
	(void)unused;
	for (uint64_t random = 0; random < UINT32_MAX; random += 1234567) {
		struct backoff b = {.next_ms = MAX_MS};

		assert_in_range(backoff_next(&b, MAX_MS, (uint32_t)random), MAX_MS / 2, MAX_MS);
	}
	assert_int_equal(backoff_next(&(struct backoff){.next_ms = 1000}, MAX_MS, 0), 500);
	assert_int_equal(backoff_next(&(struct backoff){.next_ms = 1000}, MAX_MS, 500), 1000);
	assert_int_equal(backoff_next(&(struct backoff){.next_ms = 1000}, MAX_MS, 501), 500);
}

static void
longest_that_has_become_shorter_holds_at_once(void **unused)
{
	struct backoff b = {.next_ms = MAX_MS};

	(void)unused;
	assert_in_range(backoff_next(&b, 2000, 999), 1000, 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wait_is_twice_as_long_up_to_the_longest),
		cmocka_unit_test(chance_spreads_it_over_the_second_half),
		cmocka_unit_test(longest_that_has_become_shorter_holds_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
