/* SPDX-License-Identifier: MIT */
/* The simulated device, held against doc/protocol.md 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/pem64.h"
#include "tests/unit/simrig.h"

/* ---- long-term key: the lock ---- */

static void
long_term_key_stays_without_a_proven_nonce(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "LAAAA.", ENGINE_PACKET_MAX);
	assert_memory_equal(simrig_next(&rig), "* l>Long-term rekey locked-out ", 31);
	assert_memory_equal(rig.out + 54, "m/wvdw2F", 8);
	simrig_host(&rig, "MAAAAAAAALAAAA.", ENGINE_PACKET_MAX);
	assert_int_equal(simrig_next(&rig)[2], 'M');
	assert_memory_equal(simrig_next(&rig), "* l>Nonce MAC does not match ", 29);
	assert_memory_equal(rig.out + 54, "6l+FxwYn", 8);
	simrig_host(&rig, "LAAAA.", ENGINE_PACKET_MAX);
	assert_memory_equal(simrig_next(&rig), "* l>Long-term rekey locked-out ", 31);
	assert_memory_equal(engine_ltk(&rig.engine), rig.config.identity.ltk, 32);
	assert_int_equal(rig.engine.counters.lt_refused, 3);
}

static void
reset_locks_the_long_term_key_again(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "MAAAAAAAA\003LAAAA.", 1);
	assert_int_equal(simrig_next(&rig)[2], 'S');
	assert_memory_equal(simrig_next(&rig), "* l>Long-term rekey locked-out ", 31);
}

/* ---- what the host may write ---- */

static void
unknown_character_costs_the_rest_of_its_packet(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "eK.", 3);
	assert_memory_equal(simrig_next(&rig), "* W>Unknown Input Character 0x65 ", 33);
	assert_memory_equal(rig.out + 54, "TRNC7UwS", 8);
	assert_int_equal(simrig_next(&rig)[2], 'k');
	simrig_host(&rig, "K.", 2);
	assert_int_equal(simrig_next(&rig)[2], 'K');
	assert_int_equal(rig.engine.counters.unknown, 1);
	assert_int_equal(rig.engine.counters.nonces, 1);
}

static void
reset_is_heard_in_the_middle_of_everything(void **state)
{
	static const char *const begun[] = {"", "K", "KAA", "KAAAA", "LAAAAB", "M", "MAAAAAAA"};

	(void)state;
	simrig_start(&rig);
	for (size_t i = 0; i < sizeof(begun) / sizeof(*begun); i++) {
		simrig_host(&rig, begun[i], ENGINE_PACKET_MAX);
		simrig_host(&rig, "\003", 1);
		assert_int_equal(simrig_next(&rig)[2], 'S');
	}
	assert_int_equal(rig.engine.counters.resets, sizeof(begun) / sizeof(*begun));
	assert_int_equal(rig.engine.counters.unknown, 0);
}

static void
letter_r_resets_only_when_idle(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "R", 1);
	assert_int_equal(simrig_next(&rig)[2], 'S');
	simrig_host(&rig, "r", 1);
	assert_int_equal(simrig_next(&rig)[2], 'S');
	simrig_host(&rig, "kRrRr.", 6);
	assert_int_equal(simrig_next(&rig)[2], 'K');
	assert_int_equal(simrig_subcode(rig.out), 3);
}

static void
many_resets_before_the_answer_are_one(void **state)
{
	(void)state;
	simrig_start(&rig);
	for (int i = 0; i < 100; i++)
		simrig_host(&rig, "\003\003\003", 3);
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(simrig_count(&rig, 'S'), 1);
}

/* "K", the quads of `len` bytes and ".". */
static void
write_nonce(size_t len, uint8_t nonce[static COMMAND_NONCE_MAX + 1])
{
	static char text[PEM64_TEXT_LEN(COMMAND_NONCE_MAX + 1) + 3];

	for (size_t i = 0; i < len; i++)
		nonce[i] = (uint8_t)(i * 7 + len);
	text[0] = 'K';
	pem64_encode(nonce, len, text + 1);
	strcpy(text + 1 + PEM64_TEXT_LEN(len), ".");
	simrig_host(&rig, text, ENGINE_PACKET_MAX);
}

static void
nonces_of_any_length_make_a_session(void **state)
{
	static const size_t lens[] = {0, 1, 2, 3, 12, 64, 4093, 4094, 4095};
	static uint8_t nonce[COMMAND_NONCE_MAX + 1];

	(void)state;
	simrig_start(&rig);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		simrig_host(&rig, "\003", 1);
		assert_int_equal(simrig_next(&rig)[2], 'S');
		write_nonce(lens[i], nonce);
		assert_int_equal(simrig_next(&rig)[2], 'K');
		assert_int_equal(simrig_subcode(rig.out), lens[i]);
		assert_true(simrig_mac_ok(rig.out, NULL));
		simrig_expect_key(&rig, nonce, lens[i]);
		assert_int_equal(simrig_next(&rig)[2], 'E');
		assert_true(simrig_mac_ok(rig.out, rig.key));
	}
}

static void
nonce_that_is_too_long_or_broken_is_refused(void **state)
{
	static uint8_t nonce[COMMAND_NONCE_MAX + 1];
	static const char *const wrong[] = {"K!", "KA.", "KAAA.", "KAA==AAAA.", "K====.", "KA=AA."};

	(void)state;
	simrig_start(&rig);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		simrig_host(&rig, wrong[i], ENGINE_PACKET_MAX);
		assert_int_equal(simrig_next(&rig)[2], 'W');
	}
	write_nonce(COMMAND_NONCE_MAX + 1, nonce);
	assert_int_equal(simrig_next(&rig)[2], 'W');
	assert_int_equal(rig.engine.counters.nonces, 0);
}

static void
commands_may_come_in_any_packets(void **state)
{
	static const char script[] = "\003KAAAAAAECAwQFBgcI.MAAAAAAAALAAAA.KAAAA.";
	static uint8_t want[ENGINE_REPLIES * FRAMES_LEN];
	size_t want_len = 0;

	(void)state;
	simrig_start(&rig);
	for (size_t packet = sizeof(script); packet > 0; packet--) {
		engine_init(&rig.engine, &rig.config, &rig.faults);
		simrig_host(&rig, script, packet);
		simrig_run(&rig, 5 * FRAMES_LEN + FAULTS_ROOM - FRAMES_LEN);
		if (want_len == 0)
			memcpy(want, rig.out, want_len = rig.out_len);
		assert_int_equal(rig.out_len, 5 * FRAMES_LEN);
		assert_memory_equal(rig.out, want, want_len);
	}
}

/* ---- what the device sends by itself ---- */

static void
sequence_ends_with_4095_and_starts_again_with_a_new_key(void **state)
{
	uint8_t want[32], got[32];
	struct stream stream;
	unsigned sequence = 0;

	(void)state;
	simrig_start(&rig);
	assert_true(stream_init(&stream, SIMRIG_SEED, 0));
	for (int session = 0; session < 3; session++) {
		simrig_key(&rig);
		simrig_run(&rig, sizeof(rig.out));
		assert_int_equal(simrig_count(&rig, 'E'), ENGINE_SEQUENCES);
		assert_int_equal(simrig_count(&rig, 'k'), 1);
		sequence = 0;
		for (size_t i = 0; i < simrig_count(&rig, '*'); i++) {
			const uint8_t *frame = simrig_frame(&rig, i);

			assert_true(simrig_mac_ok(frame, rig.key));
			assert_true(frame[2] != 'k' || sequence == ENGINE_SEQUENCES);
			if (frame[2] != 'E')
				continue;
			assert_int_equal(simrig_subcode(frame), sequence++);
			assert_true(stream_next(&stream, want));
			simrig_block(&rig, frame, got);
			assert_memory_equal(got, want, 32);
		}
	}
	stream_finish(&stream);
}

static void
asks_for_a_session_at_a_bearable_pace(void **state)
{
	size_t asks = 0;

	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "\003", 1);
	for (int i = 0; i < 1000; i++, rig.now_ms++) {
		simrig_run(&rig, sizeof(rig.out));
		asks += simrig_count(&rig, 'k');
	}
	assert_int_equal(asks, 1000 / ENGINE_ASK_MS);
}

static void
real_rate_asks_once_a_block_and_soon_after_a_reset(void **state)
{
	(void)state;
	rig.config.rate = 86;
	simrig_start(&rig);
	simrig_host(&rig, "\003", 1);
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(simrig_count(&rig, '*'), 1);
	assert_int_equal(engine_deadline(&rig.engine), rig.now_ms + ENGINE_ASK_MS);
	rig.now_ms += ENGINE_ASK_MS;
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(simrig_count(&rig, 'k'), 1);
	assert_int_equal(engine_deadline(&rig.engine), rig.now_ms + 907); /* 78 frames at 86/s */
}

static void
rate_is_kept_and_the_past_is_not_stored(void **state)
{
	size_t blocks = 0;

	(void)state;
	rig.config.rate = 86;
	simrig_start(&rig);
	simrig_key(&rig);
	for (uint64_t end = rig.now_ms + 10000; rig.now_ms < end; rig.now_ms += 3) {
		simrig_run(&rig, sizeof(rig.out));
		blocks += simrig_count(&rig, 'E');
	}
	assert_in_range(blocks, 859, 861);
	rig.now_ms += 3600000;
	simrig_run(&rig, sizeof(rig.out));
	assert_in_range(simrig_count(&rig, 'E'), ENGINE_BLOCK_FRAMES, ENGINE_BLOCK_FRAMES + 1);
}

static void
measurements_follow_every_block_and_their_counters_restart(void **state)
{
	static const char *const want[] = {
		"T03143 V03254 ",
		"F00001:00000:00000:00000:00000 ",
		"S02684:07917:",
		"T03143 V03254 ",
		"F00002:00000:00000:00000:00000 ",
		"S05368:15834:",
		"T03143 V03254 ",
		"F00003:00000:00000:00000:00000 ",
		"S08052:23751:23792:23584:07112:20876:08063:24150:0",
		"T03143 V03255 ",
		"F00004:00000:00000:00000:00000 ",
		"S02684:07917:",
	};
	size_t at = 0, seen = 0;

	(void)state;
	simrig_start(&rig);
	simrig_key(&rig);
	simrig_run(&rig, 4 * (ENGINE_BLOCK_FRAMES + 3) * FRAMES_LEN + FAULTS_ROOM - FRAMES_LEN);
	for (; at < simrig_count(&rig, '*'); at++) {
		if (simrig_frame(&rig, at)[2] != 'I')
			continue;
		assert_int_equal(at % (ENGINE_BLOCK_FRAMES + 3), ENGINE_BLOCK_FRAMES + seen % 3);
		assert_memory_equal(simrig_frame(&rig, at) + 4, want[seen], strlen(want[seen]));
		seen++;
	}
	assert_int_equal(seen, sizeof(want) / sizeof(*want));
}

static void
fips_counters_tell_failures_by_test_and_restart_at_five_digits(void **state)
{
	char text[INFO_TEXT_LEN];
	struct info info;

	(void)state;
	simrig_start(&rig);
	info_init(&info);
	for (int i = 0; i < 3600; i++)
		info_block(&info);
	info_text(&info, 1, text);
	assert_string_equal(text, "F03600:00003:00001:00001:00001");
	for (int i = 3600; i < 100000; i++)
		info_block(&info);
	info_text(&info, 1, text);
	assert_string_equal(text, "F00001:00000:00000:00000:00000");
}

static void
how_much_is_taken_at_once_makes_no_difference(void **state)
{
	static uint8_t want[300 * FRAMES_LEN];
	size_t len = 0;

	(void)state;
	simrig_start(&rig);
	simrig_key(&rig);
	simrig_run(&rig, sizeof(want) + FAULTS_ROOM - FRAMES_LEN);
	memcpy(want, rig.out, sizeof(want));
	simrig_finish(&rig);
	simrig_start(&rig);
	simrig_key(&rig);
	for (size_t cap = FAULTS_ROOM; len < sizeof(want); cap = FAULTS_ROOM + (cap + 31) % 700) {
		simrig_run(&rig, cap);
		for (size_t i = 0; i < rig.out_len && len < sizeof(want); i++)
			assert_int_equal(rig.out[i], want[len++]);
	}
}

static void
limit_of_blocks_leaves_the_measurements(void **state)
{
	size_t infos = 0;

	(void)state;
	rig.config.blocks_max = 100;
	simrig_start(&rig);
	simrig_key(&rig);
	simrig_run(&rig, sizeof(rig.out));
	assert_int_equal(simrig_count(&rig, 'E'), 100);
	for (int i = 0; i < 1000; i++) {
		rig.now_ms++;
		simrig_run(&rig, sizeof(rig.out));
		infos += simrig_count(&rig, 'I');
		assert_int_equal(simrig_count(&rig, '*'), simrig_count(&rig, 'I'));
	}
	assert_int_equal(infos, 3 * 1000 / ENGINE_ASK_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(long_term_key_stays_without_a_proven_nonce),
		TEST(reset_locks_the_long_term_key_again),
		TEST(unknown_character_costs_the_rest_of_its_packet),
		TEST(reset_is_heard_in_the_middle_of_everything),
		TEST(letter_r_resets_only_when_idle),
		TEST(many_resets_before_the_answer_are_one),
		TEST(nonces_of_any_length_make_a_session),
		TEST(nonce_that_is_too_long_or_broken_is_refused),
		TEST(commands_may_come_in_any_packets),
		TEST(sequence_ends_with_4095_and_starts_again_with_a_new_key),
		TEST(asks_for_a_session_at_a_bearable_pace),
		TEST(real_rate_asks_once_a_block_and_soon_after_a_reset),
		TEST(rate_is_kept_and_the_past_is_not_stored),
		TEST(measurements_follow_every_block_and_their_counters_restart),
		TEST(fips_counters_tell_failures_by_test_and_restart_at_five_digits),
		TEST(how_much_is_taken_at_once_makes_no_difference),
		TEST(limit_of_blocks_leaves_the_measurements),
	};

	return cmocka_run_group_tests_name("sim_engine", tests, NULL, NULL);
}
