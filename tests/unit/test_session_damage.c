/* SPDX-License-Identifier: MIT */
/*
 * A recorded stream, cut and damaged in every way: how it is split makes no difference, what is
 * whole is given, what is damaged never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/host.h"

#define HANDSHAKE_FRAMES 4 /* S, k, K, and one E so that the key is proven */
#define FRAMES 24          /* after it; every eighth is telemetry */
#define STREAM_LEN ((HANDSHAKE_FRAMES + FRAMES) * FRAME_LEN)
#define BODY (recording + HANDSHAKE_FRAMES * FRAME_LEN)
#define BODY_LEN (FRAMES * FRAME_LEN)
#define DAMAGED_MAX (BODY_LEN + 4 * 256)
#define CORRUPTIONS 10000
#define SEED UINT64_C(0x656b657972616e64)

static uint8_t recording[STREAM_LEN];
static struct host h;
static uint64_t random_state;

static uint64_t
random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

/* Every host makes the same nonce first, so the recording fits each of them. */
static void
record(void)
{
	uint8_t nonce[SESSION_NONCE_LEN], *at = recording;

	host_init(&h);
	session_open(h.session, h.now_ms);
	host_feed_serial(&h);
	host_feed_ask(&h);
	host_last_nonce(&h, nonce);
	device_serial(&h.device, at);
	device_ask(&h.device, at + FRAME_LEN);
	device_answer(&h.device, nonce, sizeof(nonce), at + 2 * FRAME_LEN);
	for (at += 3 * FRAME_LEN; at < recording + STREAM_LEN; at += FRAME_LEN) {
		if ((size_t)(at - recording) / FRAME_LEN % 8 == 7)
			device_text(&h.device, 'I', "T03143 V03254", at);
		else
			device_entropy(&h.device, at);
	}
	host_finish(&h);
}

static int
setup_all(void **unused)
{
	(void)unused;
	random_state = SEED;
	printf("seed 0x%llx\n", (unsigned long long)SEED);
	record();
	return 0;
}

static int
setup(void **unused)
{
	(void)unused;
	host_init(&h);
	session_open(h.session, h.now_ms);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	host_finish(&h);
	return 0;
}

static void
restart(void)
{
	teardown(NULL);
	setup(NULL);
}

/* In pieces of 1 to `max` bytes. */
static void
feed_in_pieces(const uint8_t *bytes, size_t len, size_t max)
{
	while (len > 0) {
		size_t piece = 1 + (size_t)random_below(max);

		piece = piece < len ? piece : len;
		host_feed(&h, bytes, piece);
		bytes += piece;
		len -= piece;
	}
}

static void
how_the_stream_is_split_makes_no_difference(void **unused)
{
	struct host whole;
	struct session_counters counters;

	(void)unused;
	host_feed(&h, recording, STREAM_LEN);
	whole = h;
	counters = h.session->counters;
	assert_int_equal(h.blocks_len, 1 + FRAMES - FRAMES / 8);
	for (int round = 0; round < 1000; round++) {
		restart();
		feed_in_pieces(recording, STREAM_LEN, round == 0 ? 1 : 1 + (size_t)round % 150);
		assert_string_equal(h.events, whole.events);
		assert_int_equal(h.blocks_len, whole.blocks_len);
		assert_memory_equal(h.blocks, whole.blocks, h.blocks_len * sizeof(h.blocks[0]));
		assert_int_equal(h.sent_len, whole.sent_len);
		assert_memory_equal(h.sent, whole.sent, h.sent_len);
		assert_memory_equal(&h.session->counters, &counters, sizeof(counters));
	}
}

static size_t
whole_entropy_frames(size_t len)
{
	size_t count = 0;

	for (size_t i = 3; i < len / FRAME_LEN; i++)
		count += recording[i * FRAME_LEN + FRAME_TYPE_AT] == 'E';
	return count;
}

static void
truncated_anywhere_it_gives_the_whole_frames(void **unused)
{
	(void)unused;
	for (size_t len = 0; len <= STREAM_LEN; len++) {
		restart();
		host_feed(&h, recording, len);
		assert_int_equal(h.blocks_len, whole_entropy_frames(len));
		for (size_t i = 0; i < h.blocks_len; i++)
			assert_int_equal(h.blocks[i], i);
	}
}

/* ---- damage ---- */

static size_t
insert(uint8_t *stream, size_t len, size_t at, const uint8_t *bytes, size_t bytes_len)
{
	memmove(stream + at + bytes_len, stream + at, len - at);
	memcpy(stream + at, bytes, bytes_len);
	return len + bytes_len;
}

/* Flips a bit, drops a byte, inserts a byte, or says up to 200 bytes twice. Returns the length. */
static size_t
damage(uint8_t *stream, size_t len)
{
	size_t at = (size_t)random_below(len), n;
	uint8_t copy[200];

	switch (random_below(4)) {
	case 0:
		stream[at] ^= (uint8_t)(1U << random_below(8));
		return len;
	case 1:
		memmove(stream + at, stream + at + 1, len - at - 1);
		return len - 1;
	case 2:
		copy[0] = (uint8_t) "* \r\nE!A\x80"[random_below(8)];
		return insert(stream, len, at, copy, 1);
	default:
		n = 1 + (size_t)random_below(sizeof(copy));
		n = n < len - at ? n : len - at;
		memcpy(copy, stream + at, n);
		return insert(stream, len, at + n, copy, n);
	}
}

/* Which block an undamaged entropy frame at `at` holds; UINT64_MAX when there is none. */
static uint64_t
intact_block_at(const uint8_t *at)
{
	uint64_t index = 1; /* the first went with the handshake */

	for (size_t i = 0; i < FRAMES; i++) {
		const uint8_t *frame = BODY + i * FRAME_LEN;

		if (frame[FRAME_TYPE_AT] != 'E')
			continue;
		if (memcmp(at, frame, FRAME_LEN) == 0)
			return index;
		index++;
	}
	return UINT64_MAX;
}

/* What must be given: every intact frame of the stream, but none again and none backwards. */
static size_t
intact_blocks(const uint8_t *stream, size_t len, uint64_t *ret)
{
	uint64_t last = 0;
	size_t count = 0;

	for (size_t at = 0; at + FRAME_LEN <= len; at++) {
		uint64_t index = stream[at] == '*' ? intact_block_at(stream + at) : UINT64_MAX;

		if (index == UINT64_MAX || index <= last)
			continue;
		last = index;
		ret[count++] = index;
	}
	return count;
}

static void
damage_costs_the_damaged_frames_only(void **unused)
{
	uint8_t stream[DAMAGED_MAX];
	uint64_t expected[FRAMES];
	uint64_t lost = 0;

	(void)unused;
	for (int round = 0; round < CORRUPTIONS; round++) {
		uint64_t state = random_state;
		size_t len = BODY_LEN, count;

		memcpy(stream, BODY, BODY_LEN);
		for (uint64_t n = 1 + random_below(4); n > 0; n--)
			len = damage(stream, len);
		count = intact_blocks(stream, len, expected);
		restart();
		host_feed(&h, recording, HANDSHAKE_FRAMES * FRAME_LEN);
		host_forget(&h);
		feed_in_pieces(stream, len, 300);
		if (h.blocks_len != count || memcmp(h.blocks, expected, count * sizeof(*expected)))
			fail_msg("round %d, generator 0x%llx: %zu blocks given, %zu expected",
				 round, (unsigned long long)state, h.blocks_len, count);
		assert_int_equal(session_state(h.session), SESSION_KEYED);
		lost += FRAMES - FRAMES / 8 - count;
	}
	assert_true(lost > CORRUPTIONS); /* the damage was real */
	printf("%d corrupted streams, %llu frames lost\n", CORRUPTIONS, (unsigned long long)lost);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(how_the_stream_is_split_makes_no_difference),
		TEST(truncated_anywhere_it_gives_the_whole_frames),
		TEST(damage_costs_the_damaged_frames_only),
	};

	return cmocka_run_group_tests_name("session_damage", tests, setup_all, NULL);
}
