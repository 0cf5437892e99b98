/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong with a key, and what it costs: PROTOCOL 4, "Observed outcomes", row by row, where
 * ekeyd lost the session, the key or the truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/host.h"

/* Resets that a simulated hour may see at most: 8 while the wait doubles, then one a minute. */
#define RESETS_PER_HOUR 70
#define HOUR_MS 3600000

static struct host h;

static int
setup(void **unused)
{
	(void)unused;
	host_init(&h);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	host_finish(&h);
	return 0;
}

static const struct session_counters *
counted(void)
{
	return session_counters(h.session);
}

static void
assert_state(enum session_state state)
{
	assert_string_equal(session_state_text(session_state(h.session)),
			    session_state_text(state));
}

/* The session stands, and the next block comes through. */
static void
assert_still_keyed(void)
{
	uint64_t resets = counted()->resets, index = h.device.next_block;

	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(h.blocks[h.blocks_len - 1], index);
	assert_int_equal(counted()->resets, resets);
	host_forget(&h);
}

/* An entropy frame that was damaged on the way. */
static void
feed_damaged(void)
{
	uint8_t frame[FRAME_LEN];

	device_entropy(&h.device, frame);
	frame[20] ^= 1;
	host_feed(&h, frame, sizeof(frame));
}

/* The device as another program or a power glitch leaves it: a frame under the zero key. */
static struct device
device_behind_our_back(void)
{
	struct device d = h.device;

	device_reset(&d);
	return d;
}

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

/* ---- the wrong device, the wrong key ---- */

static void
an_unknown_protocol_version_is_told(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	session_open(h.session, h.now_ms);
	device_bytes(&h.device, 'S', 1, h.device.serial, KEYED_SERIAL_LEN, frame);
	host_feed(&h, frame, sizeof(frame));
	assert_state(SESSION_UNSUPPORTED);
	host_forget(&h);
	host_feed_ask(&h);
	host_pass(&h, HOUR_MS);
	assert_int_equal(h.sent_len, 0);
}

/* The host's long-term key differs from the device's: up to the moment when that is told. */
static void
meet_wrong_key(void)
{
	h.device.ltk[5] ^= 1;
	session_open(h.session, h.now_ms);
	device_reset(&h.device);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	for (int i = 0; i < SESSION_WRONG_KEY_FRAMES; i++)
		host_feed_entropy(&h);
}

static void
a_wrong_long_term_key_is_told_once_and_never_called_keyed(void **unused)
{
	(void)unused;
	meet_wrong_key();
	assert_state(SESSION_WRONG_KEY);
	assert_string_equal(h.events, "CCCC"); /* resetting, identified, rekeying, wrong */
	host_forget(&h);
	for (int i = 0; i < 1000; i++)
		host_feed_entropy(&h);
	assert_string_equal(h.events, "");
	assert_int_equal(h.sent_len, 0);
	assert_int_equal(counted()->blocks, 0);
}

static void
a_wrong_long_term_key_is_retried_slowly_or_on_a_new_keyring(void **unused)
{
	(void)unused;
	meet_wrong_key();
	host_forget(&h);
	host_pass(&h, SESSION_RETRY_MAX_MS - 1);
	assert_int_equal(h.sent_len, 0);
	host_pass(&h, 1);
	assert_int_equal(h.sent_len, 1);

	meet_wrong_key(); /* the device's key is now as it was: right */
	assert_state(SESSION_KEYED);
	meet_wrong_key();
	host_pass(&h, HOUR_MS); /* silent: the wait between resets grows */
	device_reset(&h.device);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	for (int i = 0; i < SESSION_WRONG_KEY_FRAMES; i++)
		host_feed_entropy(&h);
	assert_state(SESSION_WRONG_KEY);
	memcpy(h.ring->entries[0].ltk, h.device.ltk, KEYED_SECRET_LEN);
	session_keyring_changed(h.session, h.now_ms);
	host_pass(&h, SESSION_RETRY_MIN_MS);
	device_reset(&h.device);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
}

static void
damage_right_after_the_answer_is_no_wrong_key(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	for (int i = 0; i < SESSION_WRONG_KEY_FRAMES - 1; i++)
		feed_damaged();
	host_feed_entropy(&h);
	for (int i = 0; i < SESSION_WRONG_KEY_FRAMES; i++)
		feed_damaged();
	assert_still_keyed();
	host_feed_ask(&h);
	host_feed_answer(&h);
	feed_damaged(); /* what came before the new key does not count against it */
	assert_still_keyed();
}

static void
a_session_that_is_given_up_leaves_no_key(void **unused)
{
	static const struct keyed zero;

	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'B', "Generators have gone bad, rekeying abandoned.");
	assert_state(SESSION_GENERATORS_BAD);
	assert_memory_equal(&h.session->pad_key, &zero, sizeof(zero));
	assert_memory_equal(&h.session->mac_key, &h.session->zero_mac_key, sizeof(zero));
	host_key(&h);
	host_pass(&h, SESSION_SILENCE_MS);
	assert_state(SESSION_RESETTING);
	assert_memory_equal(&h.session->pad_key, &zero, sizeof(zero));
	assert_memory_equal(&h.session->mac_key, &h.session->zero_mac_key, sizeof(zero));
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
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	assert_still_keyed();
}

static void
a_device_reset_while_it_owes_an_answer_starts_afresh(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	assert_state(SESSION_REKEYING);
	host_feed_serial(&h);
	assert_state(SESSION_IDENTIFIED);
	host_feed_ask(&h);
	assert_state(SESSION_IDENTIFIED); /* not at once: it might do so for ever */
	host_pass(&h, SESSION_ASK_MS);
	host_feed_ask(&h);
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
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_feed_answer(&h);
	assert_still_keyed();
	host_pass(&h, SESSION_SILENCE_MS);
	assert_int_equal(h.sent_len, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
		TEST(an_unknown_protocol_version_is_told),
		TEST(a_wrong_long_term_key_is_told_once_and_never_called_keyed),
		TEST(a_wrong_long_term_key_is_retried_slowly_or_on_a_new_keyring),
		TEST(damage_right_after_the_answer_is_no_wrong_key),
		TEST(a_session_that_is_given_up_leaves_no_key),
		TEST(a_lost_nonce_or_answer_restarts_after_the_deadline),
		TEST(an_answer_of_a_wrong_length_gives_no_key),
		TEST(a_nonce_that_was_heard_in_part_starts_the_session_again_at_once),
		TEST(an_answer_counts_once_and_when_asked_for_only),
		TEST(a_key_that_falls_silent_is_reset),
		TEST(damaged_frames_are_no_sign_of_life),
		TEST(stale_frames_after_a_reset_cause_nothing),
		TEST(frames_under_the_zero_key_alone_end_nothing),
		TEST(a_device_that_was_reset_is_noticed_soon),
		TEST(a_device_reset_while_it_owes_an_answer_starts_afresh),
		TEST(bad_generators_are_told_and_retried_slowly),
		TEST(without_randomness_no_nonce_is_sent),
		TEST(a_dead_key_is_reset_ever_more_seldom),
		TEST(a_device_that_gave_entropy_and_resets_for_ever_gets_no_more_nonces),
		TEST(no_fault_causes_a_storm_of_resets),
		TEST(a_session_that_gave_entropy_is_restarted_without_a_wait),
	};

	return cmocka_run_group_tests_name("session_faults", tests, NULL, NULL);
}
