/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backend/trust.h"

/* Every case there is; what may enter the pool is said for each. */
static const struct {
	enum source_trust trust;
	bool expanded, exposed;
	bool pooled;
} cases[] = {
	{SOURCE_TRUST_BY_ADDRESS, false, false, true},
	{SOURCE_TRUST_BY_ADDRESS, false, true, false},
	{SOURCE_TRUST_BY_ADDRESS, true, false, false},
	{SOURCE_TRUST_BY_ADDRESS, true, true, false},
	{SOURCE_TRUST_YES, false, false, true},
	{SOURCE_TRUST_YES, false, true, true},
	{SOURCE_TRUST_YES, true, false, false},
	{SOURCE_TRUST_YES, true, true, false},
	{SOURCE_TRUST_NO, false, false, false},
	{SOURCE_TRUST_NO, false, true, false},
	{SOURCE_TRUST_NO, true, false, false},
	{SOURCE_TRUST_NO, true, true, false},
};

static void
only_trusted_and_direct_bytes_enter_the_pool(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct source_config config = {
			.trust = cases[i].trust, .expanded = cases[i].expanded, .credit = 5};

		for (int can_mix = 0; can_mix < 2; can_mix++) {
			const struct trust_doubt *doubt = cases[i].exposed ? &trust_exposed : NULL;
			struct trust t = trust_of(&config, doubt, can_mix);

			assert_int_equal(t.fate, cases[i].pooled ? TRUST_POOL
						 : can_mix       ? TRUST_MIX
								 : TRUST_NONE);
			assert_int_equal(t.credit, cases[i].pooled ? 5 : 0);
			assert_int_equal(t.doubt.why == NULL, cases[i].pooled);
		}
	}
}

static void
cure_is_told_where_there_is_one(void **unused)
{
	struct source_config config = {.trust = SOURCE_TRUST_BY_ADDRESS};

	(void)unused;
	assert_non_null(
		strstr(trust_of(&config, &trust_exposed, false).doubt.cure, "trusted = yes"));
	config.trust = SOURCE_TRUST_NO;
	assert_string_equal(trust_of(&config, &trust_exposed, false).doubt.cure, "");
	config.expanded = true;
	config.trust = SOURCE_TRUST_BY_ADDRESS;
	assert_string_equal(trust_of(&config, &trust_exposed, false).doubt.cure, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_trusted_and_direct_bytes_enter_the_pool),
		cmocka_unit_test(cure_is_told_where_there_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
