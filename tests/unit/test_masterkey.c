/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/masterkey.h"
#include "backend/ekey/pem64.h"
#include "tests/unit/vectors.h"

static void
checksums_match(void **unused)
{
	json_t *all = json_object_get(vectors("crc8"), "cases"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint8_t bytes[64], expected;
		size_t len = vector_hex(v, "hex", sizeof(bytes), bytes);

		vector_hex_exact(v, "crc", 1, &expected);
		assert_int_equal(crc8(bytes, len), expected);
	}
}

static void
printed_keys_are_read_and_bad_ones_refused(void **unused)
{
	json_t *all = vectors("master_key_text"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		bool good = json_is_true(json_object_get(v, "ok"));
		uint8_t key[MASTERKEY_LEN] = {0}, expected[MASTERKEY_LEN] = {0};

		assert_int_equal(masterkey_parse(vector_string(v, "text"), key), good);
		if (good)
			vector_hex_exact(v, "key_hex", sizeof(expected), expected);
		assert_memory_equal(key, expected, sizeof(expected));
	}
}

static void
key_without_checksum_is_accepted(void **unused)
{
	uint8_t key[MASTERKEY_LEN], bytes[MASTERKEY_LEN];
	char text[PEM64_TEXT_LEN(MASTERKEY_LEN) + 1] = "";

	(void)unused;
	memset(bytes, 0x5a, sizeof(bytes));
	pem64_encode(bytes, sizeof(bytes), text);
	assert_true(masterkey_parse(text, key));
	assert_memory_equal(key, bytes, sizeof(key));
}

/* The checksum is there for a person's slips: it must see every single wrong character. */
static void
every_single_wrong_character_is_noticed(void **unused)
{
	const char *good = vector_string(json_array_get(vectors("master_key_text"), 0), "text");
	uint8_t key[MASTERKEY_LEN];
	char text[64];

	(void)unused;
	for (size_t at = 0; at < strlen(good); at++) {
		for (const char *c = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
		     *c != '\0'; c++) {
			strcpy(text, good);
			if (text[at] == *c)
				continue;
			text[at] = *c;
			assert_false(masterkey_parse(text, key));
		}
	}
}

static void
wrong_lengths_are_refused(void **unused)
{
	const char *good = vector_string(json_array_get(vectors("master_key_text"), 0), "text");
	uint8_t key[MASTERKEY_LEN];
	char text[64] = "";

	(void)unused;
	for (size_t len = 0; len < strlen(good); len++) {
		memcpy(text, good, len);
		text[len] = '\0';
		assert_false(masterkey_parse(text, key));
	}
	strcpy(text, good);
	strcat(text, "A");
	assert_false(masterkey_parse(text, key));
	assert_false(masterkey_parse("   ", key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_match),
		cmocka_unit_test(printed_keys_are_read_and_bad_ones_refused),
		cmocka_unit_test(key_without_checksum_is_accepted),
		cmocka_unit_test(every_single_wrong_character_is_noticed),
		cmocka_unit_test(wrong_lengths_are_refused),
	};

	return cmocka_run_group_tests_name("masterkey", tests, NULL, NULL);
}
