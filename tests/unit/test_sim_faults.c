/* SPDX-License-Identifier: MIT */
/* Every fault of the simulated device: it happens as often as ordered, is counted, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/simrig.h"

#define FRAMES 1000 /* of the device, under one session key */
#define EVERY 25

/* Starts with `setting` for `kind`, and hears FRAMES frames of a session into out. */
static void
hear(enum fault kind, uint64_t setting)
{
	size_t len = 0;
	uint64_t frames;

	rig.settings[kind] = setting;
	simrig_start(&rig);
	simrig_host(&rig, "\003K.", 3);
	simrig_expect_key(&rig, (const uint8_t *)"", 0);
	for (frames = 0; frames < FRAMES; frames = rig.engine.counters.frames)
		len += engine_produce(&rig.engine, rig.now_ms, rig.out + len, FAULTS_ROOM);
	rig.out_len = len;
	assert_int_equal(frames, FRAMES);
}

/* Whole frames of the session in out, found wherever they start. */
static size_t
good_frames(char type)
{
	size_t count = 0;

	for (size_t at = 0; at + FRAMES_LEN <= rig.out_len; at++)
		count += memcmp(rig.out + at, "* ", 2) == 0 &&
			 (type == '*' || rig.out[at + 2] == (uint8_t)type) &&
			 simrig_mac_ok(rig.out + at, rig.key);
	return count;
}

/* S and K come before the session: they have other keys. */
#define SESSION_FRAMES (FRAMES - 2)

static void
check_damage(enum fault kind, size_t want_len)
{
	hear(kind, EVERY);
	assert_int_equal(rig.faults.done[kind], FRAMES / EVERY);
	assert_int_equal(rig.out_len, want_len);
	assert_int_equal(good_frames('*'), SESSION_FRAMES - FRAMES / EVERY);
	assert_int_equal(good_frames('E'), rig.engine.counters.blocks - rig.faults.blocks_damaged);
}

static void
bad_mac_spoils_every_nth_frame(void **state)
{
	(void)state;
	check_damage(FAULT_BAD_MAC, FRAMES * FRAMES_LEN);
}

static void
flipped_bit_spoils_every_nth_frame(void **state)
{
	(void)state;
	check_damage(FAULT_FLIP, FRAMES * FRAMES_LEN);
}

static void
dropped_byte_spoils_every_nth_frame(void **state)
{
	(void)state;
	check_damage(FAULT_DROP, FRAMES * FRAMES_LEN - FRAMES / EVERY);
}

static void
garbage_comes_between_frames_and_spoils_none(void **state)
{
	size_t count = FRAMES / EVERY;

	(void)state;
	hear(FAULT_GARBAGE, EVERY);
	assert_int_equal(rig.faults.done[FAULT_GARBAGE], count);
	assert_in_range(rig.out_len - FRAMES * FRAMES_LEN, count, count * FAULTS_GARBAGE_MAX);
	assert_int_equal(good_frames('*'), SESSION_FRAMES);
}

/* Sequence numbers that do not go forward, among the entropy frames of out. */
static size_t
backward_frames(void)
{
	size_t count = 0;
	int last = -1;

	for (size_t i = 0; i < simrig_count(&rig, '*'); i++) {
		int sequence;

		if (simrig_frame(&rig, i)[2] != 'E')
			continue;
		sequence = (int)simrig_subcode(simrig_frame(&rig, i));
		count += sequence <= last;
		last = sequence > last ? sequence : last;
	}
	return count;
}

static void
check_repeats(enum fault kind)
{
	hear(kind, EVERY);
	assert_in_range(rig.faults.done[kind], FRAMES / EVERY - 1, FRAMES / EVERY);
	assert_int_equal(rig.out_len, (FRAMES + rig.faults.done[kind]) * FRAMES_LEN);
	assert_int_equal(good_frames('E'), rig.engine.counters.blocks + rig.faults.done[kind]);
	assert_int_equal(backward_frames(), rig.faults.done[kind]);
}

static void
replayed_frames_are_genuine_and_go_backwards(void **state)
{
	(void)state;
	check_repeats(FAULT_REPLAY);
}

static void
duplicated_frames_are_genuine_and_go_backwards(void **state)
{
	(void)state;
	check_repeats(FAULT_DUPLICATE);
}

static void
skipped_numbers_leave_gaps_but_no_block_out(void **state)
{
	size_t gaps = 0, last = 0;

	(void)state;
	hear(FAULT_SKIP, EVERY);
	for (size_t i = 2; i < FRAMES; i++) {
		if (simrig_frame(&rig, i)[2] != 'E')
			continue;
		gaps += simrig_subcode(simrig_frame(&rig, i)) - last;
		last = simrig_subcode(simrig_frame(&rig, i)) + 1;
	}
	assert_int_equal(gaps, rig.faults.done[FAULT_SKIP]);
	assert_int_equal(gaps, rig.engine.counters.blocks / EVERY);
	assert_int_equal(rig.stream.next, rig.engine.counters.blocks);
}

static void
faults_are_the_same_again_from_the_same_seed(void **state)
{
	static uint8_t before[sizeof(rig.out)];
	size_t before_len;

	(void)state;
	rig.settings[FAULT_GARBAGE] = 7;
	rig.settings[FAULT_DROP] = 11;
	hear(FAULT_REPLAY, 13);
	memcpy(before, rig.out, before_len = rig.out_len);
	simrig_finish(&rig);
	hear(FAULT_REPLAY, 13);
	assert_int_equal(rig.out_len, before_len);
	assert_memory_equal(rig.out, before, before_len);
}

static void
all_faults_at_once_still_balance(void **state)
{
	uint64_t unreadable;

	(void)state;
	for (int kind = FAULT_BAD_MAC; kind <= FAULT_DUPLICATE; kind++)
		rig.settings[kind] = 5 + (uint64_t)kind;
	hear(FAULT_SKIP, 9);
	unreadable = rig.faults.blocks_damaged;
	assert_true(unreadable > FRAMES / 10);
	assert_int_equal(good_frames('E'), rig.engine.counters.blocks - unreadable +
						   rig.faults.done[FAULT_REPLAY] +
						   rig.faults.done[FAULT_DUPLICATE]);
}

static void
hanging_device_is_silent_for_ever_and_still_listens(void **state)
{
	(void)state;
	rig.settings[FAULT_HANG] = 10;
	simrig_start(&rig);
	simrig_host(&rig, "\003K.", 3);
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(rig.out_len, 10 * FRAMES_LEN);
	for (int i = 0; i < 1000; i++)
		simrig_host(&rig, "K.", 2);
	simrig_host(&rig, "\003", 1);
	rig.now_ms += 100000;
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(rig.out_len, 0);
	assert_int_equal(engine_deadline(&rig.engine), ENGINE_NO_DEADLINE);
	assert_int_equal(rig.faults.done[FAULT_HANG], 1);
}

static void
closing_device_has_no_session_when_it_comes_back(void **state)
{
	(void)state;
	rig.settings[FAULT_CLOSE] = 10;
	simrig_start(&rig);
	for (uint64_t life = 1; life <= 3; life++) {
		simrig_host(&rig, "\003K.", 3);
		simrig_run(&rig, sizeof(rig.out));
		assert_int_equal(rig.out_len, 10 * FRAMES_LEN);
		assert_true(faults_closing(&rig.faults));
		faults_replug(&rig.faults);
		engine_replug(&rig.engine);
		assert_int_equal(rig.faults.done[FAULT_CLOSE], life);
		simrig_run(&rig, FAULTS_ROOM);
		assert_int_equal(simrig_count(&rig, 'k'), 1);
		assert_true(simrig_mac_ok(rig.out, NULL));
		rig.faults.frames = 0;
		rig.now_ms += ENGINE_ASK_MS;
	}
	assert_int_equal(rig.stream.next, 3 * 8);
}

static void
wrong_serials_come_first_and_then_the_right_one(void **state)
{
	static const char *const want[] = {"NwBvBlg3OTBJORFC", "NwBvBlg3OTBJORFC", SIMRIG_SERIAL};

	(void)state;
	rig.settings[FAULT_WRONG_SERIAL] = 2;
	simrig_start(&rig);
	for (size_t i = 0; i < 3; i++) {
		simrig_host(&rig, "\003", 1);
		simrig_run(&rig, FAULTS_ROOM);
		assert_memory_equal(rig.out + 6, want[i], 16);
	}
	assert_int_equal(rig.faults.done[FAULT_WRONG_SERIAL], 2);
}

static void
unanswered_nonces_change_no_key(void **state)
{
	(void)state;
	rig.settings[FAULT_NO_KEY_ANSWER] = 2;
	simrig_start(&rig);
	simrig_host(&rig, "K.K.", 4);
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(simrig_count(&rig, 'K'), 0);
	assert_int_equal(simrig_count(&rig, 'E'), 0);
	simrig_host(&rig, "K.", 2);
	simrig_run(&rig, FAULTS_ROOM);
	assert_int_equal(simrig_count(&rig, 'K'), 1);
	assert_int_equal(rig.faults.done[FAULT_NO_KEY_ANSWER], 2);
}

static void
bad_key_length_is_a_lie_about_the_nonce(void **state)
{
	(void)state;
	rig.settings[FAULT_BAD_KEY_LENGTH] = 1;
	simrig_start(&rig);
	simrig_host(&rig, "KAAAA.KAAAA.", 12);
	simrig_run(&rig, FAULTS_ROOM + FRAMES_LEN);
	assert_int_equal(simrig_subcode(simrig_frame(&rig, 0)), 2);
	assert_int_equal(simrig_subcode(simrig_frame(&rig, 1)), 3);
	assert_int_equal(rig.faults.done[FAULT_BAD_KEY_LENGTH], 1);
}

static void
stale_frames_of_the_old_session_come_before_the_serial(void **state)
{
	(void)state;
	rig.settings[FAULT_STALE] = 3;
	simrig_start(&rig);
	simrig_key(&rig);
	simrig_run(&rig, 50 * FRAMES_LEN);
	simrig_host(&rig, "\003", 1);
	simrig_run(&rig, FAULTS_ROOM + 3 * FRAMES_LEN);
	assert_int_equal(simrig_count(&rig, '*'), 4);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(simrig_frame(&rig, i)[2], 'E');
		assert_true(simrig_mac_ok(simrig_frame(&rig, i), rig.key));
	}
	assert_int_equal(simrig_frame(&rig, 3)[2], 'S');
	assert_int_equal(rig.faults.done[FAULT_STALE], 3);
}

static void
serial_and_asks_wait_since_power_on_before_the_answer_to_a_reset(void **state)
{
	(void)state;
	rig.settings[FAULT_WAITING] = FAULTS_WAITING_MAX;
	simrig_start(&rig);
	simrig_run(&rig, FAULTS_ROOM + (FAULTS_WAITING_MAX - 1) * FRAMES_LEN);
	simrig_host(&rig, "\003K.", 3);
	assert_int_equal(simrig_count(&rig, 'S'), 1);
	assert_int_equal(simrig_count(&rig, 'k'), FAULTS_WAITING_MAX - 1);
	assert_int_equal(simrig_frame(&rig, 0)[2], 'S');
	assert_true(simrig_mac_ok(simrig_frame(&rig, FAULTS_WAITING_MAX - 1), NULL));
	assert_int_equal(simrig_next(&rig)[2], 'S');
	assert_int_equal(simrig_next(&rig)[2], 'K');
	assert_int_equal(rig.faults.done[FAULT_WAITING], FAULTS_WAITING_MAX);
}

static void
failed_generators_send_measurements_and_no_entropy(void **state)
{
	(void)state;
	rig.config.fail_mode = '8';
	rig.config.fail_after = 20;
	simrig_start(&rig);
	simrig_key(&rig);
	for (int i = 0; i < 5; i++, rig.now_ms += ENGINE_ASK_MS) {
		simrig_run(&rig, sizeof(rig.out));
		assert_int_equal(simrig_count(&rig, 'E'), i == 0 ? 20 : 0);
		assert_int_equal(simrig_count(&rig, 'I'), 3);
		assert_int_equal(simrig_frame(&rig, simrig_count(&rig, '*') - 1)[53], '8');
	}
}

static void
failed_generators_stay_so_and_give_no_key(void **state)
{
	(void)state;
	rig.config.fail_mode = 'A';
	simrig_start(&rig);
	for (int i = 0; i < 3; i++, engine_replug(&rig.engine)) {
		simrig_host(&rig, "\003K.", 3);
		simrig_run(&rig, sizeof(rig.out));
		assert_int_equal(simrig_frame(&rig, 0)[2], 'S');
		assert_memory_equal(simrig_frame(&rig, 1),
				    "* B>Generators have gone bad, rekeying abandoned. ", 50);
		assert_int_equal(simrig_count(&rig, 'k'), 0);
	}
	assert_int_equal(rig.engine.counters.broken, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_mac_spoils_every_nth_frame),
		TEST(flipped_bit_spoils_every_nth_frame),
		TEST(dropped_byte_spoils_every_nth_frame),
		TEST(garbage_comes_between_frames_and_spoils_none),
		TEST(replayed_frames_are_genuine_and_go_backwards),
		TEST(duplicated_frames_are_genuine_and_go_backwards),
		TEST(skipped_numbers_leave_gaps_but_no_block_out),
		TEST(faults_are_the_same_again_from_the_same_seed),
		TEST(all_faults_at_once_still_balance),
		TEST(hanging_device_is_silent_for_ever_and_still_listens),
		TEST(closing_device_has_no_session_when_it_comes_back),
		TEST(wrong_serials_come_first_and_then_the_right_one),
		TEST(unanswered_nonces_change_no_key),
		TEST(bad_key_length_is_a_lie_about_the_nonce),
		TEST(stale_frames_of_the_old_session_come_before_the_serial),
		TEST(serial_and_asks_wait_since_power_on_before_the_answer_to_a_reset),
		TEST(failed_generators_send_measurements_and_no_entropy),
		TEST(failed_generators_stay_so_and_give_no_key),
	};

	return cmocka_run_group_tests_name("sim_faults", tests, NULL, NULL);
}
