/* SPDX-License-Identifier: MIT */
/* The recovery ladder: in order, paced, and down again by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/recovery.h"

#define USB true
#define NOT_USB false

/* A key that stays silent: the session resets it every `pace_ms`, from *now_ms to `until_ms`. */
struct seen {
	unsigned resets, alarms;
	uint64_t first_reset_ms, first_alarm_ms, last_reset_ms, shortest_ms;
};

static struct seen
silence(struct recovery *l, bool can_reset, uint64_t *now_ms, uint64_t until_ms, uint64_t pace_ms)
{
	struct seen seen = {.shortest_ms = UINT64_MAX};

	for (; *now_ms < until_ms; *now_ms += pace_ms) {
		enum recovery_step step = recovery_in_vain(l, can_reset, *now_ms);

		if (step == RECOVERY_ALARM && seen.alarms++ == 0)
			seen.first_alarm_ms = *now_ms;
		if (step != RECOVERY_RESET_DEVICE)
			continue;
		if (seen.resets++ == 0)
			seen.first_reset_ms = *now_ms;
		else if (*now_ms - seen.last_reset_ms < seen.shortest_ms)
			seen.shortest_ms = *now_ms - seen.last_reset_ms;
		seen.last_reset_ms = *now_ms;
	}
	return seen;
}

static void
the_device_is_reset_before_anybody_is_called(void **state)
{
	struct recovery l;
	uint64_t now_ms = 1000000;
	struct seen seen;

	(void)state;
	recovery_init(&l);
	seen = silence(&l, USB, &now_ms, 1000000 + 20000, 1500);
	assert_int_equal(seen.resets, 1);
	assert_int_equal(seen.first_reset_ms, 1000000 + 1500 * (RECOVERY_RESETS - 1));
	assert_int_equal(seen.alarms, 1);
	assert_int_equal(seen.first_alarm_ms, 1000000 + 1500 * (2 * RECOVERY_RESETS - 1));
	assert_true(l.alarm);
}

static void
where_nothing_can_be_reset_somebody_is_called(void **state)
{
	struct recovery l;
	uint64_t now_ms = 5;
	struct seen seen;

	(void)state;
	recovery_init(&l);
	seen = silence(&l, NOT_USB, &now_ms, 3600000, 1500);
	assert_int_equal(seen.resets, 0);
	assert_int_equal(seen.alarms, 1);
	assert_int_equal(seen.first_alarm_ms, 5 + 1500 * (RECOVERY_RESETS - 1));
}

/* Even when sessions fail as fast as they can. */
static void
a_day_of_silence_is_one_alarm_and_few_resets(void **state)
{
	const uint64_t day_ms = 24 * 3600000;

	(void)state;
	for (uint64_t pace_ms = 10; pace_ms <= 60000; pace_ms *= 3) {
		struct recovery l;
		uint64_t now_ms = 0;
		struct seen seen;

		recovery_init(&l);
		seen = silence(&l, USB, &now_ms, day_ms, pace_ms);
		assert_int_equal(seen.alarms, 1);
		assert_in_range(seen.resets, 20, 30); /* doubling to an hour */
		assert_true(seen.shortest_ms >= RECOVERY_DEVICE_MIN_MS);
	}
}

/* A key that wakes up for a moment, again and again, is not reset all the time. */
static void
resets_are_a_minute_apart_whatever_the_key_does(void **state)
{
	struct recovery l;
	uint64_t last_ms = 0;
	unsigned resets = 0;

	(void)state;
	recovery_init(&l);
	for (uint64_t now_ms = 0; now_ms < 24 * 3600000; now_ms += 100) {
		if (now_ms % 700 == 0)
			recovery_answered(&l, now_ms);
		if (now_ms % 1100 == 0)
			recovery_unplugged(&l);
		if (recovery_in_vain(&l, USB, now_ms) != RECOVERY_RESET_DEVICE)
			continue;
		assert_true(resets++ == 0 || now_ms - last_ms >= RECOVERY_DEVICE_MIN_MS);
		last_ms = now_ms;
	}
	assert_in_range(resets, 20, 24 * 60);
}

static void
an_answer_ends_the_alarm(void **state)
{
	struct recovery l;
	uint64_t now_ms = 0;

	(void)state;
	recovery_init(&l);
	assert_false(recovery_answered(&l, 0));
	silence(&l, USB, &now_ms, 600000, 1500);
	assert_true(l.alarm);
	assert_true(recovery_answered(&l, now_ms));
	assert_false(l.alarm);
	assert_false(recovery_answered(&l, now_ms));
}

/* Said to be past help, it is reset all the same, as soon as it may be. */
static void
key_that_falls_mute_again_soon_is_reset_when_the_pace_allows(void **state)
{
	const uint64_t mute_ms = 20000;
	struct recovery l;
	uint64_t now_ms = 0;
	struct seen seen;

	(void)state;
	recovery_init(&l);
	assert_int_equal(recovery_fault(&l, USB, 0), RECOVERY_RESET_DEVICE);
	recovery_answered(&l, 2000);
	now_ms = mute_ms;
	seen = silence(&l, USB, &now_ms, RECOVERY_DEVICE_MIN_MS + 1500, 1500);
	assert_int_equal(seen.alarms, 1);
	assert_in_range(seen.first_alarm_ms, mute_ms, mute_ms + RECOVERY_RESETS * 1500);
	assert_int_equal(seen.resets, 1);
	assert_in_range(seen.first_reset_ms, RECOVERY_DEVICE_MIN_MS, RECOVERY_DEVICE_MIN_MS + 1499);
}

/* It answers after each reset, and falls mute a while later: for a day. */
static void
key_that_lives_by_its_resets_gets_them_at_growing_intervals(void **state)
{
	struct recovery l;
	struct seen seen;
	uint64_t now_ms = 0, last_ms = 0, wait_ms = RECOVERY_DEVICE_MIN_MS;

	(void)state;
	recovery_init(&l);
	assert_int_equal(recovery_fault(&l, USB, 0), RECOVERY_RESET_DEVICE);
	for (unsigned resets = 1; resets < 20; resets++, last_ms = now_ms) {
		recovery_answered(&l, now_ms + 2000);
		now_ms += 12000;
		seen = silence(&l, USB, &now_ms, last_ms + wait_ms, 1500);
		assert_int_equal(seen.resets, 0);
		assert_int_equal(seen.alarms, 1);
		assert_int_equal(recovery_in_vain(&l, USB, now_ms), RECOVERY_RESET_DEVICE);
		wait_ms =
			wait_ms < RECOVERY_DEVICE_MAX_MS / 2 ? wait_ms * 2 : RECOVERY_DEVICE_MAX_MS;
	}
}

static void
key_that_is_well_for_longer_starts_from_the_bottom(void **state)
{
	struct recovery l;
	uint64_t now_ms = 0;
	struct seen seen;

	(void)state;
	recovery_init(&l);
	silence(&l, USB, &now_ms, 24 * 3600000, 1500);
	recovery_answered(&l, now_ms);
	now_ms += RECOVERY_DEVICE_MAX_MS; /* a session key each 48 seconds is an answer, too */
	recovery_answered(&l, now_ms);
	for (unsigned i = 0; i < 2; i++, now_ms += RECOVERY_DEVICE_MIN_MS) {
		uint64_t until_ms = now_ms + 1500 * RECOVERY_RESETS;

		seen = silence(&l, USB, &now_ms, until_ms, 1500);
		assert_int_equal(seen.resets, 1);
		assert_int_equal(seen.alarms, 0);
	}
}

static void
unplugging_ends_the_alarm_but_not_the_pace(void **state)
{
	struct recovery l;
	uint64_t now_ms = 0;
	struct seen seen;

	(void)state;
	recovery_init(&l);
	silence(&l, USB, &now_ms, 20000, 1500);
	assert_true(l.alarm);
	recovery_unplugged(&l);
	assert_false(l.alarm);
	seen = silence(&l, USB, &now_ms, 40000, 1500);
	assert_int_equal(seen.resets, 0);
	assert_int_equal(seen.alarms, 1);
}

static void
a_fault_is_worth_as_many_resets_in_vain(void **state)
{
	struct recovery l;

	(void)state;
	recovery_init(&l);
	assert_int_equal(recovery_fault(&l, USB, 100), RECOVERY_RESET_DEVICE);
	assert_int_equal(recovery_fault(&l, USB, 200), RECOVERY_ALARM);
	assert_int_equal(recovery_fault(&l, USB, 300), RECOVERY_WAIT);
	assert_int_equal(recovery_fault(&l, USB, 99 + RECOVERY_DEVICE_MIN_MS), RECOVERY_WAIT);
	assert_int_equal(recovery_fault(&l, USB, 100 + RECOVERY_DEVICE_MIN_MS),
			 RECOVERY_RESET_DEVICE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_is_reset_before_anybody_is_called),
		cmocka_unit_test(where_nothing_can_be_reset_somebody_is_called),
		cmocka_unit_test(a_day_of_silence_is_one_alarm_and_few_resets),
		cmocka_unit_test(resets_are_a_minute_apart_whatever_the_key_does),
		cmocka_unit_test(an_answer_ends_the_alarm),
		cmocka_unit_test(key_that_falls_mute_again_soon_is_reset_when_the_pace_allows),
		cmocka_unit_test(key_that_lives_by_its_resets_gets_them_at_growing_intervals),
		cmocka_unit_test(key_that_is_well_for_longer_starts_from_the_bottom),
		cmocka_unit_test(unplugging_ends_the_alarm_but_not_the_pace),
		cmocka_unit_test(a_fault_is_worth_as_many_resets_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
