/* SPDX-License-Identifier: MIT */
/* The ordinary life of a session: what is said to whom, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/session_rig.h"
#include "tests/unit/vectors.h"

/* ---- the recorded session: every byte both ways ---- */

static uint8_t transcript_nonce[SESSION_NONCE_LEN];

static bool
transcript_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	assert_int_equal(len, 8);
	memcpy(ret, transcript_nonce + 4, 8);
	return true;
}

static void
play_step(const json_t *step, uint64_t *entropy_frames)
{
	uint8_t bytes[128], block[SESSION_BLOCK_LEN];
	size_t len = vector_hex(step, "hex", sizeof(bytes), bytes), sent_len;
	const char *note = vector_string(step, "note");
	struct cursor in = cursor_over(bytes, len);
	const uint8_t *sent;
	enum session_event event;

	if (strcmp(vector_string(step, "dir"), "host") == 0) {
		sent = session_send(h.session, &sent_len);
		assert_int_equal(sent_len, len);
		assert_memory_equal(sent, bytes, len);
		return;
	}
	while ((event = session_next(h.session, &in, 0)) != SESSION_MORE) {
		if (event != SESSION_ENTROPY)
			continue;
		assert_memory_equal(note, "entropy ", strlen("entropy "));
		for (size_t i = 0; i < sizeof(block); i++)
			assert_int_equal(
				sscanf(note + strlen("entropy ") + 2 * i, "%2hhx", &block[i]), 1);
		assert_memory_equal(h.session->block, block, sizeof(block));
		++*entropy_frames;
	}
}

static void
recorded_session_is_played_to_the_byte(void **unused)
{
	json_t *t = vectors("transcript_session"), *step;
	uint64_t entropy_frames = 0;
	size_t i;

	(void)unused;
	vector_serial(t, "serial", h.ring->entries[0].serial);
	vector_hex_exact(t, "ltk_hex", KEYED_SECRET_LEN, h.ring->entries[0].ltk);
	vector_hex_exact(t, "nonce_hex", SESSION_NONCE_LEN, transcript_nonce);
	h.env.random = transcript_random;
	session_open(h.session, 0);
	json_array_foreach(json_object_get(t, "steps"), i, step)
	{
		play_step(step, &entropy_frames);
	}
	assert_int_equal(entropy_frames, 3);
	assert_state(SESSION_KEYED);
}

/* ---- keying ---- */

static void
opening_sends_one_reset_and_waits_for_the_serial(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed(&h, "", 0);
	assert_string_equal(h.events, "C");
	assert_state(SESSION_RESETTING);
	assert_int_equal(h.sent_len, 1);
	assert_int_equal(h.sent[0], 3);
	assert_null(session_serial(h.session));
}

static void
a_key_goes_from_reset_to_entropy(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	assert_state(SESSION_IDENTIFIED);
	assert_memory_equal(session_serial(h.session), h.device.serial, KEYED_SERIAL_LEN);
	host_feed_ask(&h);
	assert_state(SESSION_REKEYING);
	host_feed_answer(&h);
	assert_state(SESSION_REKEYING);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_string_equal(h.events, "CCCEC");
	assert_int_equal(h.blocks[0], 0);
	assert_int_equal(counted()->resets, 1);
	assert_int_equal(counted()->nonces, 1);
	assert_int_equal(counted()->rekeys, 1);
	assert_int_equal(counted()->bytes_in, 4 * FRAME_LEN);
	assert_int_equal(counted()->bytes_out, 1 + 18);
}

static void
nonces_count_up_and_differ(void **unused)
{
	uint8_t first[SESSION_NONCE_LEN], second[SESSION_NONCE_LEN];

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, first);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, second);
	assert_memory_equal(first, ((uint8_t[]){0, 0, 0, 0}), 4);
	assert_memory_equal(second, ((uint8_t[]){1, 0, 0, 0}), 4);
	assert_memory_not_equal(first + 4, second + 4, 8);
}

static void
the_last_sequence_number_asks_for_a_key_at_once(void **unused)
{
	(void)unused;
	host_key(&h);
	while (h.device.sequence < 4095)
		host_feed_entropy(&h);
	assert_int_equal(h.sent_len, 0);
	host_feed_entropy(&h);
	assert_int_equal(h.sent_len, 18);
	assert_state(SESSION_REKEYING);
	assert_string_equal(h.events + h.events_len - 2, "EC"); /* the block, then the change */
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(counted()->blocks, 4097);
	assert_int_equal(counted()->frames_skipped, 0);
}

static void
entropy_under_the_old_key_is_good_until_the_answer(void **unused)
{
	(void)unused;
	host_key(&h);
	host_feed_ask(&h);
	assert_state(SESSION_REKEYING);
	host_feed_entropy(&h);
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 2);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(h.blocks_len, 3);
}

static void
the_last_number_that_comes_while_an_answer_is_due_asks_no_second_time(void **unused)
{
	(void)unused;
	host_key(&h);
	h.device.sequence = 4095;
	host_feed_ask(&h);
	host_feed_entropy(&h);
	assert_int_equal(h.sent_len, 18);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(h.blocks_len, 2);
}

static void
a_change_is_told_between_the_frames_around_it(void **unused)
{
	uint8_t stream[4 * FRAME_LEN];

	(void)unused;
	host_key(&h);
	device_entropy(&h.device, stream);
	device_ask(&h.device, stream + FRAME_LEN);
	device_entropy(&h.device, stream + 2 * FRAME_LEN);
	device_text(&h.device, 'I', "T03143 V03254", stream + 3 * FRAME_LEN);
	host_feed(&h, stream, sizeof(stream));
	assert_string_equal(h.events, "ECET");
}

static void
a_taker_that_is_full_loses_nothing(void **unused)
{
	uint8_t stream[3 * FRAME_LEN] = {0};
	struct cursor in = cursor_over(stream, sizeof(stream));

	(void)unused;
	host_key(&h);
	for (int i = 0; i < 3; i++)
		device_entropy(&h.device, stream + i * FRAME_LEN);
	assert_int_equal(session_next(h.session, &in, h.now_ms), SESSION_ENTROPY);
	assert_int_equal(in.left, 2 * FRAME_LEN);
	host_feed(&h, in.at, in.left);
	assert_int_equal(h.blocks_len, 2);
	assert_int_equal(h.blocks[0], 2);
}

/* The calls that may follow a block, one by one; the taker has copied it before. */
static void
next_call(unsigned call)
{
	struct cursor in = cursor_over("", 0);

	switch (call) {
	case 0:
		assert_int_equal(session_next(h.session, &in, h.now_ms), SESSION_MORE);
		return;
	case 1:
		session_tick(h.session, h.now_ms);
		return;
	case 2:
		session_pause(h.session);
		return;
	case 3:
		session_resume(h.session, h.now_ms);
		return;
	case 4:
		session_keyring_changed(h.session, h.now_ms);
		return;
	case 5:
		session_close(h.session);
		return;
	}
	session_open(h.session, h.now_ms);
}

static void
a_block_is_wiped_by_the_next_call(void **unused)
{
	static const uint8_t zero[SESSION_BLOCK_LEN];
	uint8_t frame[FRAME_LEN];
	struct cursor in;

	(void)unused;
	for (unsigned call = 0; call <= 6; call++) {
		host_key(&h);
		device_entropy(&h.device, frame);
		in = cursor_over(frame, sizeof(frame));
		assert_int_equal(session_next(h.session, &in, h.now_ms), SESSION_ENTROPY);
		assert_memory_not_equal(h.session->block, zero, sizeof(zero));
		next_call(call);
		assert_memory_equal(h.session->block, zero, sizeof(zero));
	}
}

static void
closing_wipes_the_keys_and_keeps_the_counters(void **unused)
{
	static const struct keyed zero;

	(void)unused;
	host_key(&h);
	session_close(h.session);
	host_feed(&h, "", 0);
	assert_string_equal(h.events, "C");
	assert_state(SESSION_CLOSED);
	assert_memory_equal(&h.session->pad_key, &zero, sizeof(zero));
	assert_memory_equal(&h.session->mac_key, &zero, sizeof(zero));
	assert_int_equal(counted()->blocks, 1);
	assert_true(session_deadline(h.session) == UINT64_MAX);
	host_key(&h);
	assert_int_equal(counted()->blocks, 2);
}

static void
what_was_not_sent_is_void_after_a_reset_or_a_close(void **unused)
{
	const uint8_t *sent;
	size_t len;

	(void)unused;
	host_key(&h);
	session_open(h.session, h.now_ms);
	session_tick(h.session, h.now_ms + SESSION_SERIAL_MS);
	sent = session_send(h.session, &len);
	assert_int_equal(len, 1); /* one reset, though two were due */
	assert_int_equal(sent[0], 3);
	assert_null(session_send(h.session, &len));
	session_open(h.session, h.now_ms);
	session_close(h.session);
	assert_null(session_send(h.session, &len));
	assert_int_equal(len, 0);
}

static void
a_new_connection_knows_nothing_of_the_last(void **unused)
{
	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'I', "T03143 V03254");
	assert_non_null(session_serial(h.session));
	session_open(h.session, h.now_ms);
	assert_null(session_serial(h.session));
	assert_false(h.session->telemetry.have_temperature);
	host_pass(&h, 3600000); /* nothing answers: the wait between resets grows */
	session_open(h.session, h.now_ms);
	host_feed(&h, "", 0);
	host_forget(&h);
	host_pass(&h, SESSION_SERIAL_MS);
	assert_int_equal(h.sent_len, 1); /* the second reset does not wait as the last one did */
}

static void
a_new_connection_is_not_paused(void **unused)
{
	(void)unused;
	host_key(&h);
	session_pause(h.session);
	session_open(h.session, h.now_ms);
	assert_true(session_deadline(h.session) == h.now_ms + SESSION_SERIAL_MS);
}

/* ---- telemetry ---- */

static void
telemetry_counts_under_a_session_key_only(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_text(&h, 'I', "T00001");
	assert_false(h.session->telemetry.have_temperature);
	host_key(&h);
	host_feed_text(&h, 'I', "T03143 V03254");
	assert_string_equal(h.events, "T");
	assert_int_equal(h.session->telemetry.temp_decikelvin, 3143);
	assert_int_equal(h.session->telemetry.voltage_mv, 3254);
}

static void
telemetry_that_makes_no_sense_changes_nothing(void **unused)
{
	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'I', "T03143");
	host_feed_text(&h, 'I', "T1 S12:");
	assert_string_equal(h.events, "T");
	assert_int_equal(h.session->telemetry.temp_decikelvin, 3143);
	assert_int_equal(counted()->frames_malformed, 1);
}

/* ---- time ---- */

static void
reading_that_was_paused_is_no_silence(void **unused)
{
	(void)unused;
	host_key(&h);
	session_pause(h.session);
	assert_true(session_deadline(h.session) == UINT64_MAX);
	session_tick(h.session, h.now_ms + 3600000);
	assert_state(SESSION_KEYED);
	h.now_ms += 3600000;
	session_resume(h.session, h.now_ms);
	host_pass(&h, SESSION_SILENCE_MS - 1);
	assert_state(SESSION_KEYED);
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 1);
	host_pass(&h, SESSION_SILENCE_MS);
	assert_state(SESSION_RESETTING);
}

static void
any_authentic_frame_ends_the_silence(void **unused)
{
	(void)unused;
	host_key(&h);
	for (int i = 0; i < 5; i++) {
		host_pass(&h, SESSION_SILENCE_MS - 1);
		host_feed_text(&h, 'W', "Unknown Input Character 0x65");
	}
	assert_state(SESSION_KEYED);
	assert_int_equal(counted()->frames_ignored, 5);
	for (int i = 0; i < 5; i++) {
		host_pass(&h, SESSION_SILENCE_MS - 1);
		host_feed_text(&h, 'Z', "authentic, though of no known type");
	}
	assert_state(SESSION_KEYED);
	assert_int_equal(counted()->frames_malformed, 5);
}

/* ---- in words ---- */

static void
every_state_has_a_phrase_of_its_own(void **unused)
{
	(void)unused;
	for (int a = SESSION_CLOSED; a <= SESSION_GENERATORS_BAD; a++) {
		assert_string_not_equal(session_state_text((enum session_state)a), "unknown");
		for (int b = SESSION_CLOSED; b < a; b++)
			assert_string_not_equal(session_state_text((enum session_state)a),
						session_state_text((enum session_state)b));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recorded_session_is_played_to_the_byte),
		TEST(opening_sends_one_reset_and_waits_for_the_serial),
		TEST(a_key_goes_from_reset_to_entropy),
		TEST(nonces_count_up_and_differ),
		TEST(the_last_sequence_number_asks_for_a_key_at_once),
		TEST(entropy_under_the_old_key_is_good_until_the_answer),
		TEST(the_last_number_that_comes_while_an_answer_is_due_asks_no_second_time),
		TEST(a_change_is_told_between_the_frames_around_it),
		TEST(a_taker_that_is_full_loses_nothing),
		TEST(a_block_is_wiped_by_the_next_call),
		TEST(closing_wipes_the_keys_and_keeps_the_counters),
		TEST(what_was_not_sent_is_void_after_a_reset_or_a_close),
		TEST(a_new_connection_knows_nothing_of_the_last),
		TEST(a_new_connection_is_not_paused),
		TEST(telemetry_counts_under_a_session_key_only),
		TEST(telemetry_that_makes_no_sense_changes_nothing),
		TEST(reading_that_was_paused_is_no_silence),
		TEST(any_authentic_frame_ends_the_silence),
		TEST(every_state_has_a_phrase_of_its_own),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
