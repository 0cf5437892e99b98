/* SPDX-License-Identifier: MIT */
/* What is counted for the hardware report, and what is never kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/frame_stats.h"
#include "backend/ekey/pem64.h"
#include "tests/unit/session_rig.h"

#define WINDOW 4 /* bytes: a secret shorter than this could be chance */

static const struct frame_stats *
frame_stats(void)
{
	return &h.session->frame_stats;
}

/* ---- what is counted ---- */

static void
frames_are_counted_by_type_and_by_whether_they_are_authentic(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	host_key(&h);
	host_feed_entropy(&h);
	host_feed_text(&h, 'Z', "who am I");
	host_feed_text(&h, '\x01', "no letter");
	device_ask(&h.device, frame);
	frame[FRAME_MAC_AT] ^= 1;
	host_feed(&h, frame, sizeof(frame));
	assert_int_equal(frame_stats()->types['S'].authentic, 1);
	assert_int_equal(frame_stats()->types['k'].authentic, 1);
	assert_int_equal(frame_stats()->types['k'].unverified, 1);
	assert_int_equal(frame_stats()->types['K'].authentic, 1);
	assert_int_equal(frame_stats()->types['E'].authentic, 2);
	assert_int_equal(frame_stats()->types['Z'].authentic, 1);
	assert_int_equal(frame_stats()->types[0].authentic, 1);
}

static void
frames_nobody_listens_to_are_counted_too(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	host_feed_ask(&h);
	assert_int_equal(frame_stats()->types['k'].unverified, 1);
	assert_int_equal(frame_stats()->types['k'].authentic, 0);
}

static void
sub_codes_have_their_range(void **unused)
{
	(void)unused;
	host_key(&h);
	h.device.sequence = 700;
	host_feed_entropy(&h);
	assert_true(frame_stats()->types['E'].binary);
	assert_int_equal(frame_stats()->types['E'].subcode_min, 0);
	assert_int_equal(frame_stats()->types['E'].subcode_max, 700);
	assert_int_equal(frame_stats()->types['K'].subcode_min, SESSION_NONCE_LEN);
	assert_int_equal(frame_stats()->types['K'].subcode_max, SESSION_NONCE_LEN);
	assert_false(frame_stats()->types['k'].binary);
}

static void
texts_leave_their_shape(void **unused)
{
	(void)unused;
	host_key(&h);
	host_feed_text(&h, 'I', "T03143 V03254");
	host_feed_text(&h, 'I', "T03150 V03254");
	host_feed_text(&h, 'W', "Unknown Input Character 0x4b");
	assert_string_equal(frame_stats()->shapes[1].text, "T99999 V99999");
	assert_int_equal(frame_stats()->shapes[1].count, 2);
	assert_string_equal(frame_stats()->shapes[2].text, "Uaaaaaa Iaaaa Caaaaaaaa 9a9a");
	assert_int_equal(frame_stats()->shapes[2].type, 'W');
}

static void
shapes_beyond_the_room_are_counted(void **unused)
{
	char text[PACKET_TEXT_LEN] = "";

	(void)unused;
	host_key(&h);
	for (int i = 0; i < FRAME_STATS_SHAPES + 10; i++) {
		text[i] = '1';
		host_feed_text(&h, 'I', text);
	}
	assert_int_equal(frame_stats()->shapes[FRAME_STATS_SHAPES - 1].count, 1);
	assert_int_equal(frame_stats()->shapes_more, 11); /* k has a shape already */
}

/* ---- what is measured ---- */

static void
assert_span(const struct frame_stats_span *s, uint64_t count, uint64_t last, uint64_t min,
	    uint64_t max)
{
	assert_int_equal(s->count, count);
	assert_int_equal(s->last, last);
	assert_int_equal(s->min, min);
	assert_int_equal(s->max, max);
}

static void
times_are_taken_from_what_began_them(void **unused)
{
	(void)unused;
	session_open(h.session, h.now_ms);
	h.now_ms += 12;
	host_feed_serial(&h);
	h.now_ms += 800;
	host_feed_ask(&h);
	h.now_ms += 34;
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_span(&frame_stats()->serial_ms, 1, 12, 12, 12);
	assert_span(&frame_stats()->ask_ms, 1, 812, 812, 812);
	assert_span(&frame_stats()->answer_ms, 1, 34, 34, 34);
	assert_int_equal(frame_stats()->interval_ms.count, 0);
	h.now_ms += 4000;
	host_feed_ask(&h);
	h.now_ms += 6;
	host_feed_answer(&h);
	assert_span(&frame_stats()->answer_ms, 2, 6, 6, 34);
	assert_span(&frame_stats()->interval_ms, 1, 4006, 4006, 4006);
	assert_int_equal(frame_stats()->ask_ms.count, 1);
}

static void
rate_is_that_of_a_second_in_which_we_read(void **unused)
{
	(void)unused;
	host_key(&h);
	session_pause(h.session);
	session_resume(h.session, h.now_ms);
	for (int i = 0; i < 101; i++, h.now_ms += 20)
		host_feed_entropy(&h);
	assert_span(&frame_stats()->blocks_per_s, 2, 50, 50, 50);
	session_pause(h.session);
	h.now_ms += 3000;
	session_resume(h.session, h.now_ms);
	host_feed_entropy(&h);
	assert_int_equal(frame_stats()->blocks_per_s.count, 2);
}

/* ---- what is not kept ---- */

static void
assert_absent(const void *secret, size_t len)
{
	for (size_t i = 0; i + WINDOW <= len; i++)
		if (memmem(frame_stats(), sizeof(*frame_stats()), (const uint8_t *)secret + i,
			   WINDOW))
			fail_msg("bytes %zu to %zu of a secret are kept", i, i + WINDOW);
}

/* No byte that could be found by chance. */
static bool
patterned_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(i * 59 + 131);
	return true;
}

/* As bytes, in PEM and in hexadecimal. */
static void
assert_no_trace(const uint8_t *secret, size_t len)
{
	char pem[PEM64_TEXT_LEN(FRAME_LEN)], hex[2 * FRAME_LEN + 1];

	assert_absent(secret, len);
	pem64_encode(secret, len, pem);
	assert_absent(pem, PEM64_TEXT_LEN(len));
	for (size_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", secret[i]);
	for (size_t i = 0; i + 2 * WINDOW <= 2 * len; i++)
		assert_null(memmem(frame_stats(), sizeof(*frame_stats()), hex + i, 2 * WINDOW));
}

/* Frames that carry a secret where no key would put one. */
static void
say_secret(const uint8_t secret[32])
{
	char text[PACKET_TEXT_LEN + 1] = "";
	uint8_t frame[FRAME_LEN];

	pem64_encode(secret, 32, text);
	for (const char *type = "IkWMlZB"; *type != '\0'; type++) {
		host_feed_text(&h, *type, text);
		h.device.sequence %= 4096;
	}
	host_key(&h);
	device_bytes(&h.device, 'Y', 77, secret, 32, frame);
	host_feed(&h, frame, sizeof(frame));
	device_bytes(&h.device, 'L', 77, secret, 32, frame);
	host_feed(&h, frame, sizeof(frame));
	frame[FRAME_TYPE_AT] = 'I'; /* its MAC is wrong now */
	host_feed(&h, frame, sizeof(frame));
}

static void
no_key_nonce_mac_or_entropy_byte_is_kept(void **unused)
{
	uint8_t secret[32], nonce[SESSION_NONCE_LEN], block[DEVICE_BLOCK_LEN], frame[FRAME_LEN];

	(void)unused;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 73 + 41);
	h.env.random = patterned_random;
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, nonce);
	host_feed_answer(&h);
	host_feed_entropy(&h);
	assert_no_trace(nonce + 4, sizeof(nonce) - 4); /* the first four count from zero */
	device_block(h.device.next_block, block);
	device_entropy(&h.device, frame);
	host_feed(&h, frame, sizeof(frame));
	assert_no_trace(block + 8, sizeof(block) - 8); /* the same */
	assert_absent(frame + FRAME_BYTES_AT, PEM64_TEXT_LEN(DEVICE_BLOCK_LEN));
	assert_absent(frame + FRAME_MAC_AT, PEM64_TEXT_LEN(KEYED_MAC_LEN));
	assert_no_trace(h.device.ltk, sizeof(h.device.ltk));
	say_secret(secret);
	assert_no_trace(secret, sizeof(secret));
	assert_true(frame_stats()->types['Y'].authentic > 0 &&
		    frame_stats()->types['Z'].authentic > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_are_counted_by_type_and_by_whether_they_are_authentic),
		TEST(frames_nobody_listens_to_are_counted_too),
		TEST(sub_codes_have_their_range),
		TEST(texts_leave_their_shape),
		TEST(shapes_beyond_the_room_are_counted),
		TEST(times_are_taken_from_what_began_them),
		TEST(rate_is_that_of_a_second_in_which_we_read),
		TEST(no_key_nonce_mac_or_entropy_byte_is_kept),
	};

	return cmocka_run_group_tests_name("frame_stats", tests, NULL, NULL);
}
