/* SPDX-License-Identifier: MIT */
/* The simulated device, held against the known answers and against PROTOCOL 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/crypto.h>

#include "crypto/pem64.h"
#include "sim/identity.h"
#include "tests/unit/simrig.h"

#define VECTORS "tests/vectors/ekey.json"

static struct simrig rig;
static json_t *vectors;

/* ---- the known answers ---- */

static int
load_vectors(void **state)
{
	json_error_t error;

	(void)state;
	vectors = json_load_file(VECTORS, 0, &error);
	if (vectors == NULL)
		print_error("%s:%d: %s (run from the top folder)\n", VECTORS, error.line,
			    error.text);
	return vectors == NULL;
}

static int
drop_vectors(void **state)
{
	(void)state;
	json_decref(vectors);
	return 0;
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_non_null(text);
	return text;
}

static size_t
hex_of(const json_t *object, const char *name, size_t cap, uint8_t *ret)
{
	size_t len = 0;
	const char *text = text_of(object, name);

	if (text[0] != '\0')
		assert_int_equal(OPENSSL_hexstr2buf_ex(ret, cap, &len, text, '\0'), 1);
	return len;
}

static int
fresh_rig(void **state)
{
	(void)state;
	simrig_init(&rig);
	return 0;
}

static int
finish_rig(void **state)
{
	(void)state;
	simrig_finish(&rig);
	return 0;
}

static void
entropy_blocks_follow_the_published_rule(void **state)
{
	const json_t *stream = json_object_get(vectors, "entropy_stream"), *text;
	uint8_t want[32], got[32];
	size_t index;

	(void)state;
	assert_string_equal(text_of(stream, "seed"), SIMRIG_SEED);
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
	const char *text = text_of(vector, "text");
	uint8_t serial[KEYED_SERIAL_LEN], key[32], bytes[36];
	char payload[FRAMES_TEXT_MAX + 1];
	size_t len = KEYED_SERIAL_LEN;
	struct keyed mac;

	assert_true(identity_parse_serial(text_of(vector, "serial"), serial));
	hex_of(vector, "mac_key_hex", sizeof(key), key);
	keyed_prepare(&mac, KEYED_FRAME_MAC, serial, key);
	if (text[3] == '>') {
		snprintf(payload, sizeof(payload), "%.50s", text + 4);
		frames_text(&mac, text[2], payload, ret);
		return;
	}
	memcpy(bytes, serial, sizeof(serial));
	if (json_object_get(vector, "payload_hex") != NULL)
		len = hex_of(vector, "payload_hex", sizeof(bytes), bytes);
	frames_binary(&mac, text[2], simrig_subcode((const uint8_t *)text), bytes, len, ret);
}

static void
frames_are_those_of_the_real_device(void **state)
{
	const json_t *vector;
	uint8_t want[FRAMES_LEN], got[FRAMES_LEN];
	size_t index;

	(void)state;
	json_array_foreach(json_object_get(vectors, "frames_valid"), index, vector)
	{
		hex_of(vector, "hex", sizeof(want), want);
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

/* The next frame that is not an information frame. */
static const uint8_t *
next_frame(void)
{
	do
		rig.out_len = engine_produce(&rig.engine, rig.now_ms, rig.out, FAULTS_ROOM);
	while (rig.out_len == FRAMES_LEN && rig.out[2] == 'I');
	assert_int_equal(rig.out_len, FRAMES_LEN);
	return rig.out;
}

static void
session_runs_as_in_the_transcript(void **state)
{
	const json_t *transcript = json_object_get(vectors, "transcript_session"), *step;
	uint8_t bytes[FRAMES_LEN];
	size_t index, next_block = 0;

	(void)state;
	hex_of(transcript, "ltk_hex", 32, rig.config.identity.ltk);
	rig.config.random = transcript_random;
	rig.config.entropy = transcript_entropy;
	rig.config.arg = &next_block;
	simrig_start(&rig);
	json_array_foreach(json_object_get(transcript, "steps"), index, step)
	{
		size_t len = hex_of(step, "hex", sizeof(bytes), bytes);

		if (strcmp(text_of(step, "dir"), "host") == 0)
			engine_feed(&rig.engine, rig.now_ms, bytes, len);
		else
			assert_memory_equal(next_frame(), bytes, FRAMES_LEN);
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
	json_array_foreach(json_object_get(vectors, "long_term_rekey"), index, vector)
	{
		char line[IDENTITY_LINE_LEN];

		simrig_init(&rig);
		hex_of(vector, "master_key_hex", 32, rig.config.identity.master);
		hex_of(vector, "device_entropy_hex", 32, rig.device);
		hex_of(vector, "new_ltk_hex", 32, want);
		simrig_start(&rig);
		simrig_host(&rig, text_of(vector, "cmd_M"), ENGINE_PACKET_MAX);
		assert_memory_equal(next_frame(), "* M>Long-term rekey unlocked ", 29);
		simrig_host(&rig, text_of(vector, "cmd_L"), 5);
		assert_memory_equal(next_frame(), "* L!MA", 6);
		assert_memory_equal(engine_ltk(&rig.engine), want, 32);
		identity_line(rig.config.identity.serial, engine_ltk(&rig.engine), line);
		assert_string_equal(line, text_of(vector, "keyring_line"));
		simrig_finish(&rig);
	}
	assert_int_equal(index, 3);
	simrig_start(&rig);
}

/* ---- long-term key: the lock ---- */

static void
long_term_key_stays_without_a_proven_nonce(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "LAAAA.", ENGINE_PACKET_MAX);
	assert_memory_equal(next_frame(), "* l>Long-term rekey locked-out ", 31);
	assert_memory_equal(rig.out + 54, "m/wvdw2F", 8);
	simrig_host(&rig, "MAAAAAAAALAAAA.", ENGINE_PACKET_MAX);
	assert_int_equal(next_frame()[2], 'M');
	assert_memory_equal(next_frame(), "* l>Nonce MAC does not match ", 29);
	assert_memory_equal(rig.out + 54, "6l+FxwYn", 8);
	simrig_host(&rig, "LAAAA.", ENGINE_PACKET_MAX);
	assert_memory_equal(next_frame(), "* l>Long-term rekey locked-out ", 31);
	assert_memory_equal(engine_ltk(&rig.engine), rig.config.identity.ltk, 32);
	assert_int_equal(rig.engine.counters.lt_refused, 3);
}

static void
reset_locks_the_long_term_key_again(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "MAAAAAAAA\003LAAAA.", 1);
	assert_int_equal(next_frame()[2], 'S');
	assert_memory_equal(next_frame(), "* l>Long-term rekey locked-out ", 31);
}

/* ---- what the host may write ---- */

static void
unknown_character_costs_the_rest_of_its_packet(void **state)
{
	(void)state;
	simrig_start(&rig);
	simrig_host(&rig, "eK.", 3);
	assert_memory_equal(next_frame(), "* W>Unknown Input Character 0x65 ", 33);
	assert_memory_equal(rig.out + 54, "TRNC7UwS", 8);
	assert_int_equal(next_frame()[2], 'k');
	simrig_host(&rig, "K.", 2);
	assert_int_equal(next_frame()[2], 'K');
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
		assert_int_equal(next_frame()[2], 'S');
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
	assert_int_equal(next_frame()[2], 'S');
	simrig_host(&rig, "r", 1);
	assert_int_equal(next_frame()[2], 'S');
	simrig_host(&rig, "kRrRr.", 6);
	assert_int_equal(next_frame()[2], 'K');
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
		assert_int_equal(next_frame()[2], 'S');
		write_nonce(lens[i], nonce);
		assert_int_equal(next_frame()[2], 'K');
		assert_int_equal(simrig_subcode(rig.out), lens[i]);
		assert_true(simrig_mac_ok(rig.out, NULL));
		simrig_expect_key(&rig, nonce, lens[i]);
		assert_int_equal(next_frame()[2], 'E');
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
		assert_int_equal(next_frame()[2], 'W');
	}
	write_nonce(COMMAND_NONCE_MAX + 1, nonce);
	assert_int_equal(next_frame()[2], 'W');
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

#define ENGINE_TEST(name) cmocka_unit_test_setup_teardown(name, fresh_rig, finish_rig)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ENGINE_TEST(entropy_blocks_follow_the_published_rule),
		ENGINE_TEST(frames_are_those_of_the_real_device),
		ENGINE_TEST(session_runs_as_in_the_transcript),
		ENGINE_TEST(long_term_rekey_gives_the_known_keys),
		ENGINE_TEST(long_term_key_stays_without_a_proven_nonce),
		ENGINE_TEST(reset_locks_the_long_term_key_again),
		ENGINE_TEST(unknown_character_costs_the_rest_of_its_packet),
		ENGINE_TEST(reset_is_heard_in_the_middle_of_everything),
		ENGINE_TEST(letter_r_resets_only_when_idle),
		ENGINE_TEST(many_resets_before_the_answer_are_one),
		ENGINE_TEST(nonces_of_any_length_make_a_session),
		ENGINE_TEST(nonce_that_is_too_long_or_broken_is_refused),
		ENGINE_TEST(commands_may_come_in_any_packets),
		ENGINE_TEST(sequence_ends_with_4095_and_starts_again_with_a_new_key),
		ENGINE_TEST(asks_for_a_session_at_a_bearable_pace),
		ENGINE_TEST(real_rate_asks_once_a_block_and_soon_after_a_reset),
		ENGINE_TEST(rate_is_kept_and_the_past_is_not_stored),
		ENGINE_TEST(measurements_follow_every_block_and_their_counters_restart),
		ENGINE_TEST(fips_counters_tell_failures_by_test_and_restart_at_five_digits),
		ENGINE_TEST(how_much_is_taken_at_once_makes_no_difference),
		ENGINE_TEST(limit_of_blocks_leaves_the_measurements),
	};

	return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
