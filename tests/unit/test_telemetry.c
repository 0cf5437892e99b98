/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/telemetry.h"

static struct telemetry t;

static int
setup(void **unused)
{
	(void)unused;
	t = (struct telemetry){0};
	return 0;
}

static bool
parse(const char *text)
{
	return telemetry_parse(&t, (const uint8_t *)text, strlen(text));
}

static void
assert_refused(const char *text)
{
	struct telemetry before = t;

	if (parse(text))
		fail_msg("\"%s\" was accepted", text);
	assert_memory_equal(&t, &before, sizeof(t));
}

static void
temperature_and_voltage_of_the_published_frame(void **unused)
{
	(void)unused;
	assert_true(parse("T03143 V03254"));
	assert_true(t.have_temperature && t.have_voltage);
	assert_false(t.have_fips || t.have_raw);
	assert_int_equal(t.temp_decikelvin, 3143);
	assert_int_equal(t.voltage_mv, 3254);
}

static void
fips_counters_of_the_published_frame(void **unused)
{
	(void)unused;
	assert_true(parse("F07342:00005:00004:00003:00002"));
	assert_true(t.have_fips);
	assert_int_equal(t.fips_blocks, 7342);
	assert_int_equal(t.fips_fails, 5);
	assert_int_equal(t.fips_monobit, 4);
	assert_int_equal(t.fips_poker, 3);
	assert_int_equal(t.fips_runs, 2);
}

static void
raw_figures_of_the_published_frame(void **unused)
{
	(void)unused;
	assert_true(parse("S08052:23751:23792:23584:07112:20876:08063:24150:0"));
	assert_true(t.have_raw);
	assert_int_equal(t.raw_bytes, 8052);
	assert_int_equal(t.shannon_left_centi, 294);
	assert_int_equal(t.shannon_right_centi, 295);
	assert_int_equal(t.shannon_xor_centi, 292);
	assert_int_equal(t.debiased_left_bytes, 7112);
	assert_int_equal(t.debiased_left_shannon_centi, 293);
	assert_int_equal(t.debiased_right_bytes, 8063);
	assert_int_equal(t.debiased_right_shannon_centi, 299);
	assert_int_equal(t.badness, TELEMETRY_BADNESS_OK);
}

static void
too_few_raw_bytes_leave_the_last_figures(void **unused)
{
	(void)unused;
	assert_true(parse("S1000:2500:2600:2700:1000:2800:1000:2900:0"));
	assert_true(parse("S100:1:1:1:100:1:0:0:3"));
	assert_int_equal(t.shannon_left_centi, 250);
	assert_int_equal(t.debiased_right_shannon_centi, 290);
	assert_int_equal(t.raw_bytes, 100);
	assert_int_equal(t.badness, '3');
}

static void
truncated_at_every_length_nothing_is_stored(void **unused)
{
	static const char *const blocks[] = {
		"S8052:23751:23792:23584:7112:20876:8063:24150:0",
		"F7342:0:0:0:0",
		"T3",
		"V3",
	};
	char text[64];

	(void)unused;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		for (size_t len = 1; len < strlen(blocks[i]); len++) {
			memcpy(text, blocks[i], len);
			text[len] = '\0';
			assert_refused(text);
		}
		assert_true(parse(blocks[i]));
	}
	assert_refused("S12:"); /* the published broken frame */
}

static void
numbers_are_strict(void **unused)
{
	(void)unused;
	assert_true(parse("T4294967295"));
	assert_int_equal(t.temp_decikelvin, UINT32_MAX);
	assert_refused("T4294967296");
	assert_refused("T99999999999999999999999999999999999999999999999");
	assert_refused("T-1");
	assert_refused("T+1");
	assert_refused("T 1");
	assert_refused("T0x1");
	assert_refused("T1.5");
	assert_refused("T1:2");
	assert_refused("F1:2:3:4:5:6");
	assert_refused("F1:2::4:5");
	assert_refused("S1:2:3:4:5:6:7:8:00");
	assert_refused("S1:2:3:4:5:6:7:8: ");
}

static void
one_bad_block_undoes_the_good_ones_before_it(void **unused)
{
	(void)unused;
	assert_refused("T3143 V3254 Vx");
	assert_false(t.have_temperature);
}

static void
unknown_blocks_and_spaces_are_skipped(void **unused)
{
	(void)unused;
	assert_true(parse(""));
	assert_true(parse("   "));
	assert_true(parse("X1:2:anything  T5 Q"));
	assert_int_equal(t.temp_decikelvin, 5);
}

static void
every_badness_has_its_name(void **unused)
{
	static const char *const texts[] = {
		"0no failure",
		"1left generator not random",
		"2right generator not random",
		"3generators are correlated",
		"4left generator biased",
		"5right generator biased",
		"6unknown failure",
		"7temperature too low",
		"8temperature too high",
		"9too many FIPS 140-2 failures",
		"Avoltage too low",
		"Bvoltage too high",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(telemetry_badness_text(texts[i][0]), texts[i] + 1);
	assert_string_equal(telemetry_badness_text('\0'), "unknown failure");
	for (int c = -128; c < 128; c++)
		assert_true(strlen(telemetry_badness_text((char)c)) > 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(temperature_and_voltage_of_the_published_frame),
		TEST(fips_counters_of_the_published_frame),
		TEST(raw_figures_of_the_published_frame),
		TEST(too_few_raw_bytes_leave_the_last_figures),
		TEST(truncated_at_every_length_nothing_is_stored),
		TEST(numbers_are_strict),
		TEST(one_bad_block_undoes_the_good_ones_before_it),
		TEST(unknown_blocks_and_spaces_are_skipped),
		TEST(every_badness_has_its_name),
	};

	return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
