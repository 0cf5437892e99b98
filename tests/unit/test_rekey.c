/* SPDX-License-Identifier: MIT */
/* The change of a long-term key: what is said, what is believed, how often it is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/keyring.h"
#include "backend/ekey/pem64.h"
#include "backend/ekey/rekey.h"
#include "tests/unit/device.h"
#include "tests/unit/vectors.h"

#define REFUSED_TEXT "Nonce MAC does not match"
#define LOCKED_TEXT "Long-term rekey locked-out"

static struct rekey rekey;
static struct device device;
static uint64_t now_ms;
static uint8_t mac[KEYED_MAC_LEN], nonce[REKEY_NONCE_LEN], entropy[KEYED_SECRET_LEN];

static int
setup(void **unused)
{
	(void)unused;
	now_ms = 1000;
	device_init(&device);
	memset(mac, 0x5a, sizeof(mac));
	memset(nonce, 0xc3, sizeof(nonce));
	memset(entropy, 0x77, sizeof(entropy));
	rekey_close(&rekey);
	return 0;
}

static void
assert_state(enum rekey_state state)
{
	assert_string_equal(rekey_state_text(rekey.state), rekey_state_text(state));
}

static void
assert_sent(const char *text)
{
	size_t len;
	const uint8_t *sent = rekey_send(&rekey, &len);

	assert_int_equal(len, strlen(text));
	if (len > 0)
		assert_memory_equal(sent, text, len);
}

static void
feed(const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_over(bytes, len);

	while (rekey_take(&rekey, &in, now_ms))
		continue;
	assert_int_equal(in.left, 0);
}

static void
feed_frame(const uint8_t frame[FRAME_LEN])
{
	feed(frame, FRAME_LEN);
}

static void
feed_serial(void)
{
	uint8_t frame[FRAME_LEN];

	device_serial(&device, frame);
	feed_frame(frame);
}

static void
feed_text(char type, const char *text)
{
	uint8_t frame[FRAME_LEN];

	device_text(&device, type, text, frame);
	feed_frame(frame);
}

static void
feed_answer(unsigned nonce_len)
{
	uint8_t frame[FRAME_LEN];

	device_bytes(&device, 'L', nonce_len, entropy, sizeof(entropy), frame);
	feed_frame(frame);
}

static void
pass(uint64_t ms)
{
	now_ms += ms;
	rekey_tick(&rekey, now_ms);
}

static void
begin(void)
{
	rekey_open(&rekey, device.serial, mac, now_ms);
	assert_sent("\003");
	feed_serial();
	assert_state(REKEY_UNLOCKING);
}

/* All the way to the state given. */
static void
go_to(enum rekey_state state)
{
	begin();
	assert_sent("MWlpaWlpa");
	if (state == REKEY_UNLOCKING)
		return;
	feed_text('M', "Long-term rekey unlocked");
	assert_state(REKEY_ACCEPTED);
	if (state == REKEY_ACCEPTED)
		return;
	assert_true(rekey_change(&rekey, nonce, now_ms));
	assert_sent("Lw8PDw8PDw8PDw8PD.");
	if (state == REKEY_CHANGING)
		return;
	feed_answer(REKEY_NONCE_LEN);
	assert_state(REKEY_CHANGED);
}

/* ---- as it should be ---- */

/* What the owner's side makes of the answer: the new key, as a line of the keyring. */
static void
assert_line(const json_t *v, const uint8_t *master)
{
	struct keyring_entry entry;
	struct keyed derivation;
	char line[KEYRING_LINE_LEN + 1] = "";

	memcpy(entry.serial, device.serial, sizeof(entry.serial));
	keyed_prepare(&derivation, KEYED_LONG_TERM_KEY, device.serial, master);
	keyed_derive(&derivation, rekey.answer, KEYED_SECRET_LEN, nonce, sizeof(nonce), entry.ltk);
	keyring_line(&entry, line);
	assert_string_equal(line, vector_string(v, "keyring_line"));
}

static void
known_changes_are_made_to_the_byte(void **unused)
{
	json_t *all = vectors("long_term_rekey"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint8_t master[KEYED_SECRET_LEN], expected[KEYED_MAC_LEN];
		struct keyed key;

		vector_serial(v, "serial", device.serial);
		vector_hex_exact(v, "master_key_hex", sizeof(master), master);
		vector_hex_exact(v, "host_nonce_hex", sizeof(nonce), nonce);
		vector_hex_exact(v, "nonce_mac_hex", sizeof(expected), expected);
		vector_hex_exact(v, "device_entropy_hex", sizeof(entropy), entropy);
		keyed_prepare(&key, KEYED_NONCE_MAC, device.serial, master);
		keyed_mac(&key, nonce, sizeof(nonce), mac);
		assert_memory_equal(mac, expected, sizeof(mac));
		begin();
		assert_sent(vector_string(v, "cmd_M"));
		feed_text('M', "Long-term rekey unlocked");
		assert_true(rekey_change(&rekey, nonce, now_ms));
		assert_sent(vector_string(v, "cmd_L"));
		feed_answer(REKEY_NONCE_LEN);
		assert_state(REKEY_CHANGED);
		assert_line(v, master);
	}
}

static void
nothing_is_sent_twice_and_nothing_unasked(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGED);
	assert_sent("");
	feed_serial();
	feed_answer(REKEY_NONCE_LEN);
	feed_text('l', REFUSED_TEXT);
	assert_state(REKEY_CHANGED);
	assert_sent("");
}

static void
split_in_any_way_it_is_the_same(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	for (size_t piece = 1; piece <= FRAME_LEN; piece++) {
		go_to(REKEY_CHANGING);
		device_bytes(&device, 'L', REKEY_NONCE_LEN, entropy, sizeof(entropy), frame);
		for (size_t at = 0; at < FRAME_LEN; at += piece) {
			assert_state(REKEY_CHANGING);
			feed(frame + at, piece < FRAME_LEN - at ? piece : FRAME_LEN - at);
		}
		assert_state(REKEY_CHANGED);
		assert_memory_equal(rekey.answer, entropy, sizeof(entropy));
	}
}

static void
what_goes_on_all_the_time_does_not_disturb(void **unused)
{
	(void)unused;
	go_to(REKEY_UNLOCKING);
	for (int i = 0; i < 1000; i++) {
		feed_text('k', "Unable to send entropy. Please re-key session.");
		feed_text('I', "T03143 V03254");
		feed_serial(); /* a second reset was on its way */
		feed_text('L', "text");
	}
	assert_state(REKEY_UNLOCKING);
	assert_sent("");
	assert_true(rekey_deadline(&rekey) == now_ms + REKEY_UNLOCK_MS);
}

static void
change_is_ordered_only_when_it_was_accepted(void **unused)
{
	(void)unused;
	assert_false(rekey_change(&rekey, nonce, now_ms));
	go_to(REKEY_UNLOCKING);
	assert_false(rekey_change(&rekey, nonce, now_ms));
	go_to(REKEY_CHANGING);
	assert_false(rekey_change(&rekey, nonce, now_ms));
	assert_sent("");
}

static void
closing_leaves_nothing(void **unused)
{
	static const struct rekey zero;

	(void)unused;
	go_to(REKEY_CHANGED);
	rekey_close(&rekey);
	assert_memory_equal(&rekey, &zero, sizeof(zero));
	assert_true(rekey_deadline(&rekey) == UINT64_MAX);
	pass(1000000);
	feed_serial();
	assert_state(REKEY_CLOSED);
	assert_sent("");
}

/* ---- what is not believed ---- */

static void
frames_before_the_serial_are_of_the_past(void **unused)
{
	(void)unused;
	rekey_open(&rekey, device.serial, mac, now_ms);
	assert_sent("\003");
	feed_text('M', "unlocked");
	feed_text('l', REFUSED_TEXT);
	feed_text('B', "bad");
	feed_answer(REKEY_NONCE_LEN);
	assert_state(REKEY_RESETTING);
	assert_sent("");
}

static void
frames_with_another_mac_mean_nothing(void **unused)
{
	static const char types[] = {'M', 'L', 'l', 'B', 'W', 'S'};
	uint8_t frame[FRAME_LEN];

	(void)unused;
	go_to(REKEY_CHANGING);
	for (size_t i = 0; i < sizeof(types); i++) {
		device_text(&device, types[i], REFUSED_TEXT, frame);
		frame[FRAME_MAC_AT] ^= 1;
		feed_frame(frame);
	}
	device_bytes(&device, 'L', REKEY_NONCE_LEN, entropy, sizeof(entropy), frame);
	for (size_t bit = 0; bit < 8 * (FRAME_MAC_AT - FRAME_CONTENT_AT); bit++) {
		frame[FRAME_CONTENT_AT + bit / 8] ^= (uint8_t)(1 << bit % 8);
		feed_frame(frame);
		frame[FRAME_CONTENT_AT + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_state(REKEY_CHANGING);
	assert_sent("");
	feed_frame(frame);
	assert_state(REKEY_CHANGED);
}

static void
garbage_costs_nothing_but_itself(void **unused)
{
	uint8_t garbage[1000];

	(void)unused;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 7 + i / 13);
	begin();
	assert_sent("MWlpaWlpa");
	feed(garbage, sizeof(garbage));
	feed_text('M', "Long-term rekey unlocked");
	assert_state(REKEY_ACCEPTED);
}

/* ---- refusals ---- */

static void
another_key_is_told_by_its_serial(void **unused)
{
	uint8_t serial[KEYED_SERIAL_LEN];

	(void)unused;
	memcpy(serial, device.serial, sizeof(serial));
	serial[11] ^= 1;
	rekey_open(&rekey, serial, mac, now_ms);
	feed_serial();
	assert_state(REKEY_OTHER);
	assert_true(rekey_failed(&rekey));
	assert_true(rekey_deadline(&rekey) == UINT64_MAX);
}

static void
wrong_master_key_is_refused_once(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	feed_text('l', REFUSED_TEXT);
	assert_state(REKEY_REFUSED);
	assert_sent("");
	pass(1000000);
	assert_state(REKEY_REFUSED);
}

static void
bad_generators_end_it(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	feed_text('B', "Generators have gone bad, rekeying abandoned.");
	assert_state(REKEY_BROKEN);
	assert_sent("");
}

/* From a reset to L again, with nobody asked. */
static void
say_it_all_again(void)
{
	assert_state(REKEY_RESETTING);
	assert_sent("\003");
	feed_serial();
	assert_sent("MWlpaWlpa");
	feed_text('M', "Long-term rekey unlocked");
	assert_state(REKEY_CHANGING);
	assert_sent("Lw8PDw8PDw8PDw8PD.");
}

static void
locked_out_key_is_reset_and_asked_again_but_not_for_ever(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	for (int i = 1; i < REKEY_TRIES; i++) {
		feed_text('l', LOCKED_TEXT);
		say_it_all_again();
	}
	feed_text('l', LOCKED_TEXT);
	assert_state(REKEY_LOCKED);
	assert_sent("");
}

/* ---- lost and damaged ---- */

static void
silent_key_is_reset_three_times_in_all(void **unused)
{
	(void)unused;
	rekey_open(&rekey, device.serial, mac, now_ms);
	for (int i = 0; i < REKEY_TRIES; i++) {
		assert_state(REKEY_RESETTING);
		assert_sent("\003");
		pass(REKEY_SERIAL_MS - 1);
		assert_sent("");
		pass(1);
	}
	assert_state(REKEY_SILENT);
	assert_sent("");
}

static void
lost_answers_are_asked_for_again(void **unused)
{
	(void)unused;
	go_to(REKEY_UNLOCKING);
	pass(REKEY_UNLOCK_MS);
	assert_sent("\003");
	feed_serial();
	assert_sent("MWlpaWlpa");
	feed_text('M', "Long-term rekey unlocked");
	assert_state(REKEY_ACCEPTED);
	go_to(REKEY_CHANGING);
	pass(REKEY_CHANGE_MS);
	say_it_all_again();
	feed_answer(REKEY_NONCE_LEN);
	assert_state(REKEY_CHANGED);
}

static void
answer_that_never_comes_may_have_changed_the_key(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	for (int i = 1; i < REKEY_TRIES; i++) {
		pass(REKEY_CHANGE_MS);
		say_it_all_again();
	}
	pass(REKEY_CHANGE_MS);
	assert_state(REKEY_LOST);
	assert_true(rekey_failed(&rekey));
}

static void
key_that_goes_silent_after_the_order_may_have_changed_too(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	pass(REKEY_CHANGE_MS);
	for (int i = 1; i < REKEY_TRIES; i++)
		pass(REKEY_SERIAL_MS);
	assert_state(REKEY_LOST);
}

static void
command_that_was_not_understood_is_said_again(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	feed_text('W', "Unknown Input Character 0x4b");
	say_it_all_again();
	feed_answer(REKEY_NONCE_LEN);
	assert_state(REKEY_CHANGED);
}

static void
nonce_of_another_length_makes_no_key_that_we_know(void **unused)
{
	(void)unused;
	go_to(REKEY_CHANGING);
	feed_answer(REKEY_NONCE_LEN - 3);
	say_it_all_again();
	feed_answer(REKEY_NONCE_LEN);
	assert_state(REKEY_CHANGED);
}

static void
nobody_who_goes_on_is_waited_for_in_vain(void **unused)
{
	(void)unused;
	go_to(REKEY_ACCEPTED);
	pass(REKEY_HOLD_MS - 1);
	assert_state(REKEY_ACCEPTED);
	pass(1);
	assert_state(REKEY_ABANDONED);
	go_to(REKEY_CHANGED);
	pass(REKEY_HOLD_MS);
	assert_state(REKEY_ABANDONED);
	assert_sent("");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(known_changes_are_made_to_the_byte),
		TEST(nothing_is_sent_twice_and_nothing_unasked),
		TEST(split_in_any_way_it_is_the_same),
		TEST(what_goes_on_all_the_time_does_not_disturb),
		TEST(change_is_ordered_only_when_it_was_accepted),
		TEST(closing_leaves_nothing),
		TEST(frames_before_the_serial_are_of_the_past),
		TEST(frames_with_another_mac_mean_nothing),
		TEST(garbage_costs_nothing_but_itself),
		TEST(another_key_is_told_by_its_serial),
		TEST(wrong_master_key_is_refused_once),
		TEST(bad_generators_end_it),
		TEST(locked_out_key_is_reset_and_asked_again_but_not_for_ever),
		TEST(silent_key_is_reset_three_times_in_all),
		TEST(lost_answers_are_asked_for_again),
		TEST(answer_that_never_comes_may_have_changed_the_key),
		TEST(key_that_goes_silent_after_the_order_may_have_changed_too),
		TEST(command_that_was_not_understood_is_said_again),
		TEST(nonce_of_another_length_makes_no_key_that_we_know),
		TEST(nobody_who_goes_on_is_waited_for_in_vain),
	};

	return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
