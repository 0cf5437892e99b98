/* SPDX-License-Identifier: MIT */
/* Whose key it is: what the keyring knows, what it does not, and what it has wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/secret.h"
#include "tests/unit/session_rig.h"

#define HOUR_MS 3600000

/* ---- which keys ---- */

static void
a_key_that_is_added_to_the_keyring_starts_without_a_reset(void **unused)
{
	struct keyring *empty = secret_new(sizeof(*empty));

	(void)unused;
	h.current_ring = empty;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	assert_state(SESSION_UNKNOWN_KEY);
	host_forget(&h);
	for (int i = 0; i < 100; i++) {
		host_feed_ask(&h);
		host_pass(&h, 60000);
	}
	assert_int_equal(h.sent_len, 0);
	h.current_ring = h.ring;
	session_keyring_changed(h.session, h.now_ms);
	host_feed_ask(&h);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(counted()->resets, 1);
	secret_free(empty, sizeof(*empty));
}

static void
an_unknown_key_that_names_another_serial_is_looked_up_again(void **unused)
{
	static const uint8_t other[KEYED_SERIAL_LEN] = {1};
	struct device known = h.device;

	(void)unused;
	session_open(h.session, h.now_ms);
	memcpy(h.device.serial, other, sizeof(other));
	device_reset(&h.device);
	host_feed_serial(&h);
	assert_state(SESSION_UNKNOWN_KEY);
	h.device = known;
	host_feed_serial(&h);
	assert_state(SESSION_IDENTIFIED);
}

static void
a_key_that_is_taken_from_the_keyring_gets_no_new_session(void **unused)
{
	struct keyring *empty = secret_new(sizeof(*empty));

	(void)unused;
	host_key(&h);
	h.current_ring = empty;
	session_keyring_changed(h.session, h.now_ms);
	host_feed_ask(&h);
	host_feed_answer(&h);
	assert_state(SESSION_UNKNOWN_KEY);
	host_feed_entropy(&h);
	assert_int_equal(h.blocks_len, 0);
	secret_free(empty, sizeof(*empty));
}

static void
another_serial_than_the_wanted_one_is_refused(void **unused)
{
	static const uint8_t other[KEYED_SERIAL_LEN] = {1};

	(void)unused;
	h.env.want_serial = other;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	assert_state(SESSION_UNSUPPORTED);
	host_forget(&h);
	host_feed_ask(&h);
	assert_int_equal(h.sent_len, 0);
	h.env.want_serial = h.device.serial;
	host_feed_serial(&h);
	assert_state(SESSION_IDENTIFIED);
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
	host_feed_handshake(&h);
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
	host_feed_handshake(&h);
	for (int i = 0; i < SESSION_WRONG_KEY_FRAMES; i++)
		host_feed_entropy(&h);
	assert_state(SESSION_WRONG_KEY);
	memcpy(h.ring->entries[0].ltk, h.device.ltk, KEYED_SECRET_LEN);
	session_keyring_changed(h.session, h.now_ms);
	host_pass(&h, SESSION_RETRY_MIN_MS);
	device_reset(&h.device);
	host_feed_handshake(&h);
	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
}

static void
damage_right_after_the_answer_is_no_wrong_key(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_handshake(&h);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_that_is_added_to_the_keyring_starts_without_a_reset),
		TEST(an_unknown_key_that_names_another_serial_is_looked_up_again),
		TEST(a_key_that_is_taken_from_the_keyring_gets_no_new_session),
		TEST(another_serial_than_the_wanted_one_is_refused),
		TEST(an_unknown_protocol_version_is_told),
		TEST(a_wrong_long_term_key_is_told_once_and_never_called_keyed),
		TEST(a_wrong_long_term_key_is_retried_slowly_or_on_a_new_keyring),
		TEST(damage_right_after_the_answer_is_no_wrong_key),
		TEST(a_session_that_is_given_up_leaves_no_key),
	};

	return cmocka_run_group_tests_name("session_keyring", tests, NULL, NULL);
}
