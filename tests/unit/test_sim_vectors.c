/* SPDX-License-Identifier: MIT */
/* The simulated device, held against the known answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "tests/sim/identity.h"
#include "tests/unit/simrig.h"
#include "tests/unit/vectors.h"

static void
entropy_blocks_follow_the_published_rule(void **state)
{
	const json_t *stream = vectors("entropy_stream"), *text;
	uint8_t want[32], got[32];
	size_t index;

	(void)state;
	assert_string_equal(vector_string(stream, "seed"), SIMRIG_SEED);
	simrig_start(&rig);
	json_array_foreach(json_object_get(stream, "blocks"), index, text)
	{
		assert_int_equal(
			OPENSSL_hexstr2buf_ex(want, 32, NULL, json_string_value(text), '\0'), 1);
		assert_true(stream_next(&rig.stream, got));
		assert_memory_equal(got, want, 32);
	}
	assert_int_equal(index, 4);
}

/* Builds the frame of a vector again from its text and its binary payload. */
static void
build_frame(const json_t *vector, uint8_t ret[static FRAMES_LEN])
{
	const char *text = vector_string(vector, "text");
	uint8_t serial[KEYED_SERIAL_LEN], key[32], bytes[36];
	char payload[FRAMES_TEXT_MAX + 1];
	size_t len = KEYED_SERIAL_LEN;
	struct keyed mac;

	vector_serial(vector, "serial", serial);
	vector_hex_exact(vector, "mac_key_hex", sizeof(key), key);
	keyed_prepare(&mac, KEYED_FRAME_MAC, serial, key);
	if (text[3] == '>') {
		snprintf(payload, sizeof(payload), "%.50s", text + 4);
		frames_text(&mac, text[2], payload, ret);
		return;
	}
	memcpy(bytes, serial, sizeof(serial));
	if (json_object_get(vector, "payload_hex") != NULL)
		len = vector_hex(vector, "payload_hex", sizeof(bytes), bytes);
	frames_binary(&mac, text[2], simrig_subcode((const uint8_t *)text), bytes, len, ret);
}

static void
frames_are_those_of_the_real_device(void **state)
{
	const json_t *vector;
	uint8_t want[FRAMES_LEN], got[FRAMES_LEN];
	size_t index;

	(void)state;
	json_array_foreach(vectors("frames_valid"), index, vector)
	{
		vector_hex_exact(vector, "hex", sizeof(want), want);
		build_frame(vector, got);
		assert_memory_equal(got, want, FRAMES_LEN);
	}
	assert_true(index >= 12);
	simrig_start(&rig);
}

/* The transcript's three blocks. */
static bool
transcript_entropy(void *arg, uint8_t ret[static 32])
{
	static const char blocks[][65] = {
		"581821dc888cdb05ab84155bb752462b3afcc76f04a4f46a35c13fdb9848f8b9",
		"1f10668b5f1cb897d57faf08cfe58c668060f14ce32077c43011c862fea5f5c7",
		"81a43b8822c3f60070d8203e2f1ebfdcf2c4e83b5c6a323c9769af4793286bbc",
	};
	size_t *next = arg;

	return OPENSSL_hexstr2buf_ex(ret, 32, NULL, blocks[(*next)++ % 3], '\0') == 1;
}

static bool
transcript_random(void *arg, uint8_t *ret, size_t len)
{
	(void)arg;
	return OPENSSL_hexstr2buf_ex(
		       ret, len, NULL,
		       "00872a1964b50f1bd983b5e0a4771b272d43c351b667bb1adcb81f5288c7b808",
		       '\0') == 1;
}

static void
session_runs_as_in_the_transcript(void **state)
{
	const json_t *transcript = vectors("transcript_session"), *step;
	uint8_t bytes[FRAMES_LEN];
	size_t index, next_block = 0;

	(void)state;
	vector_hex_exact(transcript, "ltk_hex", 32, rig.config.identity.ltk);
	rig.config.random = transcript_random;
	rig.config.entropy = transcript_entropy;
	rig.config.arg = &next_block;
	simrig_start(&rig);
	json_array_foreach(json_object_get(transcript, "steps"), index, step)
	{
		size_t len = vector_hex(step, "hex", sizeof(bytes), bytes);

		if (strcmp(vector_string(step, "dir"), "host") == 0)
			engine_feed(&rig.engine, rig.now_ms, bytes, len);
		else
			assert_memory_equal(simrig_next(&rig), bytes, FRAMES_LEN);
	}
	assert_int_equal(next_block, 3);
}

static void
long_term_rekey_gives_the_known_keys(void **state)
{
	const json_t *vector;
	uint8_t want[32];
	size_t index;

	(void)state;
	json_array_foreach(vectors("long_term_rekey"), index, vector)
	{
		char line[IDENTITY_LINE_LEN];

		simrig_init(&rig);
		vector_hex_exact(vector, "master_key_hex", 32, rig.config.identity.master);
		vector_hex_exact(vector, "device_entropy_hex", 32, rig.device);
		vector_hex_exact(vector, "new_ltk_hex", 32, want);
		simrig_start(&rig);
		simrig_host(&rig, vector_string(vector, "cmd_M"), ENGINE_PACKET_MAX);
		assert_memory_equal(simrig_next(&rig), "* M>Long-term rekey unlocked ", 29);
		simrig_host(&rig, vector_string(vector, "cmd_L"), 5);
		assert_memory_equal(simrig_next(&rig), "* L!MA", 6);
		assert_memory_equal(engine_ltk(&rig.engine), want, 32);
		identity_line(rig.config.identity.serial, engine_ltk(&rig.engine), line);
		assert_string_equal(line, vector_string(vector, "keyring_line"));
		simrig_finish(&rig);
	}
	assert_int_equal(index, 3);
	simrig_start(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entropy_blocks_follow_the_published_rule),
		TEST(frames_are_those_of_the_real_device),
		TEST(session_runs_as_in_the_transcript),
		TEST(long_term_rekey_gives_the_known_keys),
	};

	return cmocka_run_group_tests_name("sim_vectors", tests, NULL, NULL);
}
