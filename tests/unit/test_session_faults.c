/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong with a frame, and what it costs: doc/protocol.md 4, "Observed outcomes", row by
 * row, where ekeyd lost the session, the key or the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/session_rig.h"

/* ---- one frame costs that frame ---- */

static void
a_bad_mac_costs_that_frame(void **unused)
{
	(void)unused;
	host_key(&h);
	for (int i = 0; i < 100; i++)
		feed_damaged();
	assert_string_equal(h.events, "");
	assert_int_equal(counted()->frames_bad_mac, 100);
	assert_still_keyed();
	assert_int_equal(counted()->frames_skipped, 100);
}

static void
a_replayed_frame_is_never_given_twice(void **unused)
{
	uint8_t frames[3][FRAME_LEN];

	(void)unused;
	host_key(&h);
	for (int i = 0; i < 3; i++) {
		device_entropy(&h.device, frames[i]);
		host_feed(&h, frames[i], FRAME_LEN);
	}
	assert_int_equal(h.blocks_len, 3);
	for (int i = 2; i >= 0; i--)
		host_feed(&h, frames[i], FRAME_LEN);
	assert_int_equal(h.blocks_len, 3);
	assert_int_equal(counted()->frames_replayed, 3);
	assert_still_keyed();
}

static void
a_replayed_frame_is_no_sign_of_life(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	device_entropy(&h.device, frame);
	for (int i = 0; i < SESSION_SILENCE_MS / 100; i++) {
		host_feed(&h, frame, sizeof(frame));
		host_pass(&h, 100);
	}
	assert_state(SESSION_RESETTING);
}

static void
sequence_going_backwards_is_refused(void **unused)
{
	(void)unused;
	host_key(&h);
	h.device.sequence = 100;
	host_feed_entropy(&h);
	h.device.sequence = 99;
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 1);
	assert_int_equal(counted()->frames_replayed, 1);
	h.device.sequence = 101;
	assert_still_keyed();
}

static void
sequence_gaps_are_counted_and_accepted(void **unused)
{
	(void)unused;
	host_key(&h); /* number 0 */
	h.device.sequence = 10;
	host_feed_entropy(&h);
	assert_int_equal(counted()->frames_skipped, 9);
	assert_still_keyed();
}

static void
frames_of_no_known_form_cost_themselves(void **unused)
{
	uint8_t frame[FRAME_LEN], payload[36] = {0};

	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'Z', "hello"); /* unknown type */
	host_feed_text(&h, 'E', "text");  /* wrong class */
	host_feed_text(&h, 'k', "");      /* only spaces: asks for a key, as any k */
	host_feed_answer(&h);
	host_feed_entropy(&h);
	device_bytes(&h.device, 'E', 40, payload, 24, frame); /* too short, too long */
	host_feed(&h, frame, sizeof(frame));
	device_bytes(&h.device, 'E', 41, payload, 36, frame);
	host_feed(&h, frame, sizeof(frame));
	assert_int_equal(counted()->frames_malformed, 4);
	assert_int_equal(h.blocks_len, 1);
	assert_still_keyed();
}

static void
a_payload_that_is_not_pem_costs_that_frame(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	device_entropy(&h.device, frame);
	frame[FRAME_BYTES_AT] = '%';
	device_seal(&h.device, frame);
	host_feed(&h, frame, sizeof(frame));
	assert_int_equal(counted()->frames_malformed, 1);
	assert_still_keyed();
}

static void
answers_to_what_we_never_asked_are_ignored(void **unused)
{
	uint8_t frame[FRAME_LEN], bytes[32] = {0};

	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'W', "Unknown Input Character 0x65");
	host_feed_text(&h, 'M', "Long-term rekey unlocked");
	host_feed_text(&h, 'l', "Nonce MAC does not match");
	device_bytes(&h.device, 'L', 12, bytes, sizeof(bytes), frame);
	host_feed(&h, frame, sizeof(frame));
	device_bytes(&h.device, 'K', 12, bytes, sizeof(bytes), frame);
	host_feed(&h, frame, sizeof(frame));
	assert_int_equal(counted()->frames_ignored, 5);
	assert_still_keyed();
}

static void
entropy_under_the_zero_key_is_none(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_entropy(&h);
	host_feed_ask(&h);
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 0);
	assert_int_equal(counted()->blocks, 0);
}

/* ---- randomness ---- */

static void
without_randomness_no_nonce_is_sent(void **unused)
{
	(void)unused;
	h.random_fails = true;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_forget(&h);
	host_feed_ask(&h);
	host_feed_ask(&h);
	assert_state(SESSION_IDENTIFIED);
	assert_int_equal(h.sent_len, 0);
	assert_int_equal(counted()->nonces, 0);
	h.random_fails = false;
	host_feed_ask(&h);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_still_keyed();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bad_mac_costs_that_frame),
		TEST(a_replayed_frame_is_never_given_twice),
		TEST(a_replayed_frame_is_no_sign_of_life),
		TEST(sequence_going_backwards_is_refused),
		TEST(sequence_gaps_are_counted_and_accepted),
		TEST(frames_of_no_known_form_cost_themselves),
		TEST(a_payload_that_is_not_pem_costs_that_frame),
		TEST(answers_to_what_we_never_asked_are_ignored),
		TEST(entropy_under_the_zero_key_is_none),
		TEST(without_randomness_no_nonce_is_sent),
	};

	return cmocka_run_group_tests_name("session_faults", tests, NULL, NULL);
}
