/* SPDX-License-Identifier: MIT */
/* A device that says nothing or not what we wait for: when it is reset, and how seldom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/session_rig.h"

/* Resets that a simulated hour may see at most: 8 while the wait doubles, then one a minute. */
#define RESETS_PER_HOUR 70
#define HOUR_MS 3600000

/* The device as another program or a power glitch leaves it: a frame under the zero key. */
static struct device
device_behind_our_back(void)
{
	struct device d = h.device;

	device_reset(&d);
	return d;
}

/* ---- the device says nothing, or not what we wait for ---- */

static void
a_lost_nonce_or_answer_restarts_after_the_deadline(void **unused)
{
	struct device other;
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	host_feed_ask(&h);
	host_forget(&h);
	for (int i = 0; i < 6; i++)
		host_feed_ask(&h); /* ekeyd resets at the sixth */
	assert_int_equal(h.sent_len, 0);
	host_pass(&h, SESSION_ANSWER_MS - 1);
	other = device_behind_our_back();
	device_serial(&other, frame);
	host_feed(&h, frame, sizeof(frame)); /* anybody's: puts nothing off */
	assert_state(SESSION_REKEYING);
	host_pass(&h, 1);
	assert_state(SESSION_RESETTING);
	assert_int_equal(h.sent_len, 1);
	assert_int_equal(h.sent[0], 3);
}

static void
an_answer_of_a_wrong_length_gives_no_key(void **unused)
{
	uint8_t frame[FRAME_LEN], bytes[32] = {0};

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	device_bytes(&h.device, 'K', 12, bytes, 16, frame); /* malformed */
	host_feed(&h, frame, sizeof(frame));
	assert_state(SESSION_REKEYING);
	assert_int_equal(counted()->rekeys, 0);
	host_pass(&h, SESSION_ANSWER_MS);
	assert_state(SESSION_RESETTING);
}

static void
a_nonce_that_was_heard_in_part_starts_the_session_again_at_once(void **unused)
{
	uint8_t frame[FRAME_LEN], bytes[32] = {0};

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_forget(&h);
	device_bytes(&h.device, 'K', 11, bytes, 32, frame); /* it heard 11 of our 12 bytes */
	host_feed(&h, frame, sizeof(frame));
	assert_state(SESSION_RESETTING);
	assert_int_equal(counted()->rekeys, 0);
	host_pass(&h, SESSION_RETRY_MIN_MS); /* at its pace */
	assert_int_equal(h.sent_len, 1);
	assert_int_equal(h.sent[0], 3);
}

static void
an_answer_counts_once_and_when_asked_for_only(void **unused)
{
	uint8_t nonce[SESSION_NONCE_LEN], answer[FRAME_LEN];

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, nonce);
	device_answer(&h.device, nonce, sizeof(nonce), answer);
	host_feed(&h, answer, sizeof(answer));
	host_feed(&h, answer, sizeof(answer));
	host_feed(&h, answer, sizeof(answer));
	assert_int_equal(counted()->rekeys, 1);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	host_feed(&h, answer, sizeof(answer));
	assert_int_equal(counted()->rekeys, 1);
	assert_still_keyed();
}

static void
a_key_that_falls_silent_is_reset(void **unused)
{
	(void)unused;
	host_key(&h);
	host_pass(&h, SESSION_SILENCE_MS - 1);
	assert_state(SESSION_KEYED);
	host_pass(&h, 1);
	assert_state(SESSION_RESETTING);
	assert_int_equal(h.sent_len, 1);
}

static void
damaged_frames_are_no_sign_of_life(void **unused)
{
	(void)unused;
	host_key(&h);
	for (int i = 0; i < 50; i++) {
		feed_damaged();
		host_pass(&h, SESSION_SILENCE_MS / 50);
	}
	assert_state(SESSION_RESETTING);
}

static void
stale_frames_after_a_reset_cause_nothing(void **unused)
{
	struct device before;
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	before = h.device;
	session_open(h.session, h.now_ms);
	host_feed(&h, "", 0);
	host_forget(&h);
	for (int i = 0; i < 1000; i++) {
		device_entropy(&before, frame);
		host_feed(&h, frame, sizeof(frame));
	}
	assert_int_equal(h.sent_len, 0);
	assert_int_equal(h.blocks_len, 0);
	device_reset(&h.device);
	host_feed_serial(&h);
	assert_state(SESSION_IDENTIFIED);
}

/* ---- resets behind our back, real or pretended ---- */

static void
frames_under_the_zero_key_alone_end_nothing(void **unused)
{
	struct device other;
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	other = device_behind_our_back();
	for (int i = 0; i < 1000; i++) {
		device_serial(&other, frame);
		host_feed(&h, frame, sizeof(frame));
		device_ask(&other, frame);
		host_feed(&h, frame, sizeof(frame));
		host_feed_entropy(&h);
		host_pass(&h, SESSION_SUSPECT_MS - 1);
	}
	assert_int_equal(h.blocks_len, 1000);
	assert_int_equal(counted()->resets, 1);
	assert_still_keyed();
	host_pass(&h, SESSION_SILENCE_MS - 1); /* the suspicion is gone, too */
	assert_still_keyed();
}

static void
a_device_that_was_reset_is_noticed_soon(void **unused)
{
	(void)unused;
	host_key(&h);
	device_reset(&h.device);
	host_feed_serial(&h);
	host_pass(&h, SESSION_SUSPECT_MS / 2);
	host_feed_ask(&h); /* does not put it off */
	assert_state(SESSION_KEYED);
	host_pass(&h, SESSION_SUSPECT_MS / 2);
	assert_state(SESSION_RESETTING);
	host_feed_handshake(&h);
	assert_still_keyed();
}

static void
a_device_reset_while_it_owes_an_answer_starts_afresh_after_the_deadline(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_pass(&h, SESSION_ANSWER_MS - 1);
	host_feed_serial(&h); /* puts nothing off */
	host_feed_ask(&h);
	assert_state(SESSION_REKEYING);
	host_pass(&h, 1);
	assert_state(SESSION_RESETTING);
	host_feed_handshake(&h);
	assert_still_keyed();
}

/* ---- frames that had waited before we came ---- */

static void
the_answer_to_our_reset_keeps_the_nonce_that_older_frames_had_asked_for(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	for (int times = 0; times < 3; times++) { /* powered, and reset by others since then */
		host_feed_serial(&h);
		for (int i = 0; i < 1000; i++)
			host_feed_ask(&h);
	}
	host_feed_serial(&h);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_still_keyed();
	assert_int_equal(counted()->nonces, 1);
	assert_int_equal(counted()->resets, 1);
}

static void
the_nonce_is_void_when_another_device_is_there(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	assert_state(SESSION_REKEYING);
	h.device.serial[0] ^= 1;
	device_reset(&h.device);
	host_feed_serial(&h);
	assert_state(SESSION_UNKNOWN_KEY);
}

static void
entropy_of_a_session_that_is_not_ours_resets_the_device_soon(void **unused)
{
	struct device other;
	uint8_t frame[FRAME_LEN], nonce[SESSION_NONCE_LEN] = {0};

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	other = h.device;
	device_answer(&other, nonce, sizeof(nonce), frame); /* to another program */
	for (int i = 0; i < 50; i++) {
		assert_state(SESSION_IDENTIFIED);
		device_entropy(&other, frame);
		host_feed(&h, frame, sizeof(frame)); /* the first counts */
		host_pass(&h, SESSION_SUSPECT_MS / 50);
	}
	assert_state(SESSION_RESETTING);
	host_feed_handshake(&h);
	assert_still_keyed();
}

static void
entropy_after_an_answer_that_was_lost_resets_the_device_soon(void **unused)
{
	uint8_t frame[FRAME_LEN], nonce[SESSION_NONCE_LEN];

	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, nonce);
	device_answer(&h.device, nonce, sizeof(nonce), frame);
	host_feed_entropy(&h);
	host_pass(&h, SESSION_SUSPECT_MS - 1);
	assert_state(SESSION_REKEYING);
	host_pass(&h, 1);
	assert_state(SESSION_RESETTING);
}

static void
a_device_that_asks_again_is_in_no_other_session(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	feed_damaged(); /* stale */
	host_feed_ask(&h);
	host_pass(&h, SESSION_ANSWER_MS - 1);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_still_keyed();
	assert_int_equal(counted()->resets, 1);
}

static void
bad_generators_are_told_and_retried_slowly(void **unused)
{
	(void)unused;
	host_key(&h);
	host_feed_ask(&h);
	host_feed_text(&h, 'B', "Generators have gone bad, rekeying abandoned.");
	assert_state(SESSION_GENERATORS_BAD);
	host_forget(&h);
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 0);
	host_pass(&h, SESSION_RETRY_MAX_MS - 1);
	assert_int_equal(h.sent_len, 0);
	host_pass(&h, 1);
	assert_int_equal(h.sent_len, 1);
}

/* ---- no storms ---- */

static void
a_dead_key_is_reset_ever_more_seldom(void **unused)
{
	uint64_t first_minute;

	(void)unused;
	session_open(h.session, h.now_ms);
	host_pass(&h, 60000);
	first_minute = counted()->resets;
	assert_in_range(first_minute, 4, 10);
	host_pass(&h, HOUR_MS);
	assert_in_range(counted()->resets, 30, RESETS_PER_HOUR);
}

static void
keep_last_command(void)
{
	size_t old = h.sent_len > 64 ? h.sent_len - 64 : 0;

	h.sent_len -= old;
	memmove(h.sent, h.sent + old, h.sent_len);
}

/* Runs `device` against the session for an hour, in steps of 100 ms. */
static void
run_hour(void (*device_step)(void))
{
	session_open(h.session, h.now_ms);
	for (int i = 0; i < HOUR_MS / 100; i++) {
		device_step();
		host_pass(&h, 100);
		if (h.sent_len > 0 && h.sent[h.sent_len - 1] == 3)
			device_reset(&h.device);
		h.events_len = h.blocks_len = 0;
		keep_last_command();
	}
}

/* As resets_for_ever(), but of a device that has given entropy before. */
static void
a_device_that_gave_entropy_and_resets_for_ever_gets_no_more_nonces(void **unused)
{
	uint64_t before;

	(void)unused;
	host_key(&h);
	device_reset(&h.device);
	host_feed_serial(&h);
	host_pass(&h, SESSION_SUSPECT_MS);
	before = counted()->nonces;
	for (int i = 0; i < 100; i++) {
		host_feed_serial(&h);
		host_feed_ask(&h);
	}
	assert_int_equal(counted()->nonces, before + 1);
}

static void
resets_for_ever(void)
{
	host_feed_serial(&h);
	host_feed_ask(&h);
}

static void
sends_garbage(void)
{
	uint8_t frame[FRAME_LEN] = "* E!AAgarbage";

	frame[FRAME_LEN - 2] = '\r';
	frame[FRAME_LEN - 1] = '\n';
	for (int i = 0; i < 10; i++)
		host_feed(&h, frame, sizeof(frame));
}

static void
asks_for_ever(void)
{
	if (session_state(h.session) == SESSION_RESETTING)
		host_feed_serial(&h);
	if (counted()->nonces > counted()->rekeys)
		host_feed_answer(&h);
	host_feed_ask(&h);
}

static void
no_fault_causes_a_storm_of_resets(void **unused)
{
	(void)unused;
	run_hour(resets_for_ever);
	assert_in_range(counted()->resets, 1, RESETS_PER_HOUR);
	assert_in_range(counted()->nonces, 1, HOUR_MS / SESSION_ASK_MS + 1);
	session_init(h.session, &h.env);
	run_hour(sends_garbage);
	assert_in_range(counted()->resets, 1, RESETS_PER_HOUR);
	session_init(h.session, &h.env);
	run_hour(asks_for_ever);
	assert_in_range(counted()->resets, 1, RESETS_PER_HOUR);
	assert_in_range(counted()->nonces, 1, HOUR_MS / SESSION_ASK_MS + 1);
}

static void
a_session_that_gave_entropy_is_restarted_without_a_wait(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_pass(&h, HOUR_MS);
	host_feed_handshake(&h);
	assert_still_keyed();
	host_pass(&h, SESSION_SILENCE_MS);
	assert_int_equal(h.sent_len, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lost_nonce_or_answer_restarts_after_the_deadline),
		TEST(an_answer_of_a_wrong_length_gives_no_key),
		TEST(a_nonce_that_was_heard_in_part_starts_the_session_again_at_once),
		TEST(an_answer_counts_once_and_when_asked_for_only),
		TEST(a_key_that_falls_silent_is_reset),
		TEST(damaged_frames_are_no_sign_of_life),
		TEST(stale_frames_after_a_reset_cause_nothing),
		TEST(frames_under_the_zero_key_alone_end_nothing),
		TEST(a_device_that_was_reset_is_noticed_soon),
		TEST(a_device_reset_while_it_owes_an_answer_starts_afresh_after_the_deadline),
		TEST(the_answer_to_our_reset_keeps_the_nonce_that_older_frames_had_asked_for),
		TEST(the_nonce_is_void_when_another_device_is_there),
		TEST(entropy_of_a_session_that_is_not_ours_resets_the_device_soon),
		TEST(entropy_after_an_answer_that_was_lost_resets_the_device_soon),
		TEST(a_device_that_asks_again_is_in_no_other_session),
		TEST(bad_generators_are_told_and_retried_slowly),
		TEST(a_dead_key_is_reset_ever_more_seldom),
		TEST(a_device_that_gave_entropy_and_resets_for_ever_gets_no_more_nonces),
		TEST(no_fault_causes_a_storm_of_resets),
		TEST(a_session_that_gave_entropy_is_restarted_without_a_wait),
	};

	return cmocka_run_group_tests_name("session_resets", tests, NULL, NULL);
}
