/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/packet.h"
#include "tests/unit/device.h"
#include "tests/unit/vectors.h"

static struct device device;

static int
setup(void **unused)
{
	(void)unused;
	device_init(&device);
	return 0;
}

static void
mac_key_of(const json_t *vector, struct keyed *ret)
{
	uint8_t serial[KEYED_SERIAL_LEN], key[KEYED_SECRET_LEN];

	vector_serial(vector, "serial", serial);
	vector_hex_exact(vector, "mac_key_hex", sizeof(key), key);
	keyed_prepare(ret, KEYED_FRAME_MAC, serial, key);
}

static void
valid_frames_are_opened(void **unused)
{
	json_t *all = vectors("frames_valid"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) >= 12);
	json_array_foreach(all, i, v)
	{
		uint8_t frame[FRAME_LEN], payload[PACKET_TEXT_LEN];
		struct keyed mac;
		struct packet p;

		mac_key_of(v, &mac);
		vector_hex_exact(v, "hex", sizeof(frame), frame);
		assert_int_equal(packet_open(frame, &mac, &p), PACKET_OK);
		assert_int_equal(p.type, vector_string(v, "type")[0]);
		assert_int_equal(p.text, vector_string(v, "cls")[0] == '>');
		if (json_object_get(v, "payload_hex") == NULL)
			continue;
		assert_int_equal(p.subcode, vector_number(v, "subcode"));
		assert_int_equal(p.len, vector_hex(v, "payload_hex", sizeof(payload), payload));
		assert_memory_equal(p.payload, payload, p.len);
	}
}

/* Protocol version 1 is well-formed, and an information frame's text is telemetry's business. */
static bool
is_for_others(const char *reason)
{
	return strcmp(reason, "protocol version 1") == 0 || strcmp(reason, "truncated S info") == 0;
}

static void
invalid_frames_are_not_and_say_why(void **unused)
{
	json_t *all = vectors("frames_invalid"), *v;
	unsigned bad_macs = 0, malformed = 0;
	size_t i;

	(void)unused;
	json_array_foreach(all, i, v)
	{
		const char *level = vector_string(v, "level");
		struct packet p = {.type = '?'};
		uint8_t frame[FRAME_LEN];
		struct keyed mac;
		enum packet_verdict verdict;

		if (strcmp(level, "framing") == 0)
			continue; /* the framer never gives such a one: test_frame */
		mac_key_of(v, &mac);
		vector_hex_exact(v, "hex", sizeof(frame), frame);
		verdict = packet_open(frame, &mac, &p);
		if (is_for_others(vector_string(v, "reason"))) {
			assert_int_equal(verdict, PACKET_OK);
			continue;
		}
		assert_int_equal(verdict,
				 strcmp(level, "mac") == 0 ? PACKET_BAD_MAC : PACKET_MALFORMED);
		assert_int_equal(p.type, '?'); /* nothing was written */
		bad_macs += verdict == PACKET_BAD_MAC;
		malformed += verdict == PACKET_MALFORMED;
	}
	assert_int_equal(bad_macs, 5);
	assert_int_equal(malformed, 4);
}

/* The frames that the maker published, all of them from a real device under the zero key. */
static void
published_frames_of_a_real_device_verify(void **unused)
{
	static const char *const frames[] = {
		"* S!AANwBvBlg3OTBJORFD                                Al/Smw1b\r\n",
		"* I>T03143 V03254                                     apKTNVoy\r\n",
		"* I>T03150 V03254                                     6ihYwAqo\r\n",
		"* I>F07342:00000:00000:00000:00000                    1L9eG/G8\r\n",
		"* I>S08052:23751:23792:23584:07112:20876:08063:24150:0Sr3rR9o3\r\n",
		"* k>Unable to send entropy. Please re-key session.    VqrrSb4k\r\n",
		"* K!AA6XxLwelzehWDH8ofVA7moL76KiQj0ruKmqs9T7ygW/Q=    Qkbxfpr4\r\n",
		"* M>Long-term rekey unlocked                          vrHSYIoF\r\n",
		"* l>Long-term rekey locked-out                        m/wvdw2F\r\n",
		"* l>Nonce MAC does not match                          6l+FxwYn\r\n",
		"* W>Unknown Input Character 0x65                      TRNC7UwS\r\n",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		uint8_t frame[FRAME_LEN];
		struct packet p;

		assert_int_equal(strlen(frames[i]), FRAME_LEN);
		memcpy(frame, frames[i], FRAME_LEN);
		assert_int_equal(packet_open(frame, &device.mac, &p), PACKET_OK);
		assert_int_equal(p.type, frames[i][2]);
	}
}

static void
text_loses_its_padding_only(void **unused)
{
	uint8_t frame[FRAME_LEN];
	struct packet p;

	(void)unused;
	device_text(&device, 'W', " two  words ", frame);
	assert_int_equal(packet_open(frame, &device.mac, &p), PACKET_OK);
	assert_int_equal(p.len, 11);
	assert_memory_equal(p.payload, " two  words", 11);
	device_text(&device, 'k', "", frame);
	assert_int_equal(packet_open(frame, &device.mac, &p), PACKET_OK);
	assert_int_equal(p.len, 0);
}

static void
every_changed_bit_is_noticed(void **unused)
{
	uint8_t frame[FRAME_LEN];
	struct packet p;

	(void)unused;
	device_ask(&device, frame);
	for (unsigned bit = FRAME_CONTENT_AT * 8; bit < (FRAME_LEN - 2) * 8; bit++) {
		frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(packet_open(frame, &device.mac, &p), PACKET_BAD_MAC);
		frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_int_equal(packet_open(frame, &device.mac, &p), PACKET_OK);
}

/* Changes one byte of a good frame and seals it again: authentic, but not of the protocol. */
static enum packet_verdict
verdict_with(const uint8_t *good, size_t at, uint8_t byte)
{
	uint8_t frame[FRAME_LEN];
	struct packet p;

	memcpy(frame, good, FRAME_LEN);
	frame[at] = byte;
	device_seal(&device, frame);
	return packet_open(frame, &device.mac, &p);
}

static void
only_known_types_in_their_class_are_opened(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	device_ask(&device, frame);
	for (unsigned type = 0; type < 256; type++) {
		bool text = type != 0 && strchr("IWkMlB", (int)type) != NULL;

		assert_int_equal(verdict_with(frame, FRAME_TYPE_AT, (uint8_t)type),
				 text ? PACKET_OK : PACKET_MALFORMED);
	}
	for (unsigned class = 0; class < 256; class ++)
		assert_int_equal(verdict_with(frame, FRAME_CLASS_AT, (uint8_t) class),
				 class == '>' ? PACKET_OK : PACKET_MALFORMED);
}

static void
text_is_printable_and_of_seven_bits(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	device_ask(&device, frame);
	for (unsigned c = 0; c < 256; c++)
		assert_int_equal(verdict_with(frame, FRAME_TEXT_AT + 49, (uint8_t)c),
				 c >= ' ' && c <= '~' ? PACKET_OK : PACKET_MALFORMED);
}

static void
binary_is_padded_with_spaces_only(void **unused)
{
	uint8_t frame[FRAME_LEN];

	(void)unused;
	device_serial(&device, frame);
	for (size_t at = FRAME_BYTES_AT + 16; at < FRAME_MAC_AT; at++) {
		assert_int_equal(verdict_with(frame, at, 'A'), PACKET_MALFORMED);
		assert_int_equal(verdict_with(frame, at, 0), PACKET_MALFORMED);
	}
	assert_int_equal(verdict_with(frame, FRAME_SUBCODE_AT, '='), PACKET_MALFORMED);
	assert_int_equal(verdict_with(frame, FRAME_SUBCODE_AT + 1, 0xff), PACKET_MALFORMED);
}

static void
binary_has_exactly_the_length_of_its_type(void **unused)
{
	static const struct {
		char type;
		size_t len;
	} forms[] = {{'S', 12}, {'E', 32}, {'K', 32}, {'L', 32}};
	uint8_t bytes[PACKET_BYTES_LEN] = {0}, frame[FRAME_LEN];
	struct packet p;

	(void)unused;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t len = 0; len <= sizeof(bytes); len++) {
			device_bytes(&device, forms[i].type, 12, bytes, len, frame);
			assert_int_equal(packet_open(frame, &device.mac, &p),
					 len == forms[i].len ? PACKET_OK : PACKET_MALFORMED);
		}
	}
}

static void
base64_that_no_encoder_writes_is_malformed(void **unused)
{
	uint8_t bytes[32] = {0}, frame[FRAME_LEN];

	(void)unused;
	device_bytes(&device, 'E', 0, bytes, sizeof(bytes), frame);
	assert_int_equal(verdict_with(frame, FRAME_BYTES_AT + 42, 'B'), PACKET_MALFORMED);
	assert_int_equal(verdict_with(frame, FRAME_BYTES_AT + 43, 'A'), PACKET_MALFORMED);
	assert_int_equal(verdict_with(frame, FRAME_BYTES_AT + 3, '='), PACKET_MALFORMED);
	assert_int_equal(verdict_with(frame, FRAME_BYTES_AT, ' '), PACKET_MALFORMED);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(valid_frames_are_opened),
		TEST(invalid_frames_are_not_and_say_why),
		TEST(published_frames_of_a_real_device_verify),
		TEST(text_loses_its_padding_only),
		TEST(every_changed_bit_is_noticed),
		TEST(only_known_types_in_their_class_are_opened),
		TEST(text_is_printable_and_of_seven_bits),
		TEST(binary_is_padded_with_spaces_only),
		TEST(binary_has_exactly_the_length_of_its_type),
		TEST(base64_that_no_encoder_writes_is_malformed),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
