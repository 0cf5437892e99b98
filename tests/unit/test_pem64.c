/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/pem64.h"
#include "tests/unit/vectors.h"

static bool
decodes(const char *text)
{
	uint8_t bytes[64];
	size_t len;

	return pem64_decode(text, strlen(text), sizeof(bytes), bytes, &len);
}

static void
known_texts_match_both_ways(void **unused)
{
	json_t *all = vectors("pem"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		const char *text = vector_string(v, "text");
		uint8_t bytes[64], decoded[64];
		char encoded[PEM64_TEXT_LEN(64)];
		size_t len = vector_hex(v, "hex", sizeof(bytes), bytes), decoded_len = 0;

		assert_int_equal(PEM64_TEXT_LEN(len), strlen(text));
		pem64_encode(bytes, len, encoded);
		assert_memory_equal(encoded, text, strlen(text));
		assert_true(pem64_decode(text, strlen(text), len, decoded, &decoded_len));
		assert_int_equal(decoded_len, len);
		assert_memory_equal(decoded, bytes, len);
	}
}

/* What ekeyd's decoder lets through and ours must not: all but the first, which is good text. */
static void
only_canonical_text_is_decoded(void **unused)
{
	json_t *all = vectors("pem_c_quirks"), *v;
	size_t i;

	(void)unused;
	json_array_foreach(all, i, v)
	{
		const char *text = vector_string(v, "text");

		assert_int_equal(decodes(text), strcmp(text, "AA==") == 0);
	}
	assert_false(decodes("AB=="));
	assert_false(decodes("A==="));
	assert_false(decodes("A=AA"));
	assert_false(decodes("AA=A"));
	assert_false(decodes("A"));
	assert_false(decodes("AA"));
	assert_false(decodes("AAA"));
	assert_true(decodes(""));
}

static void
every_byte_outside_the_alphabet_is_refused(void **unused)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	uint8_t bytes[3];
	size_t len;
	unsigned subcode;

	(void)unused;
	for (int c = 0; c < 256; c++) {
		bool good = c != 0 && strchr(alphabet, c) != NULL;

		for (int at = 0; at < 4; at++) {
			char quad[4] = {'A', 'A', 'A', 'A'};

			quad[at] = (char)c;
			if (c != '=')
				assert_int_equal(pem64_decode(quad, 4, 3, bytes, &len), good);
		}
		assert_int_equal(pem64_subcode_decode((char[2]){(char)c, 'A'}, &subcode), good);
		assert_int_equal(pem64_subcode_decode((char[2]){'A', (char)c}, &subcode), good);
	}
}

static void
never_more_bytes_than_there_is_room_for(void **unused)
{
	uint8_t bytes[4] = {0xee, 0xee, 0xee, 0xee};
	size_t len = 99;

	(void)unused;
	assert_false(pem64_decode("AAAA", 4, 2, bytes, &len));
	assert_false(pem64_decode("AAAAAA==", 8, 3, bytes, &len));
	assert_int_equal(bytes[3], 0xee);
	assert_int_equal(len, 99);
	assert_true(pem64_decode("AAA=", 4, 2, bytes, &len));
	assert_int_equal(len, 2);
}

static void
every_length_survives_the_round_trip(void **unused)
{
	uint8_t bytes[40], decoded[40];
	char text[PEM64_TEXT_LEN(40)];
	size_t got;

	(void)unused;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(0xf0 ^ (i * 37) ^ len);
		pem64_encode(bytes, len, text);
		assert_true(pem64_decode(text, PEM64_TEXT_LEN(len), len, decoded, &got));
		assert_int_equal(got, len);
		assert_memory_equal(decoded, bytes, len);
	}
}

static void
subcodes_match_low_bits_first(void **unused)
{
	json_t *all = vectors("subcodes"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		char text[2];

		pem64_subcode_encode(vector_number(v, "value"), text);
		assert_memory_equal(text, vector_string(v, "text"), 2);
	}
	for (unsigned value = 0; value <= PEM64_SUBCODE_MAX; value++) {
		char text[2];
		unsigned back = 9999;

		pem64_subcode_encode(value, text);
		assert_true(pem64_subcode_decode(text, &back));
		assert_int_equal(back, value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_texts_match_both_ways),
		cmocka_unit_test(only_canonical_text_is_decoded),
		cmocka_unit_test(every_byte_outside_the_alphabet_is_refused),
		cmocka_unit_test(never_more_bytes_than_there_is_room_for),
		cmocka_unit_test(every_length_survives_the_round_trip),
		cmocka_unit_test(subcodes_match_low_bits_first),
	};

	return cmocka_run_group_tests_name("pem64", tests, NULL, NULL);
}
