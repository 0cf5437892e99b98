/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/keyed.h"
#include "backend/ekey/pem64.h"
#include "backend/ekey/skein.h"
#include "tests/unit/vectors.h"

#define MESSAGE_MAX 4096

/* Both finals of one message must be what the vector says. */
static void
assert_finals(const json_t *vector, const struct skein_state *state)
{
	uint8_t message[MESSAGE_MAX], expected[SKEIN_LEN], got[SKEIN_LEN];
	size_t len = vector_hex(vector, "msg_hex", sizeof(message), message);
	struct skein s;

	skein_begin(&s, state);
	skein_update(&s, message, len);
	skein_final(&s, got);
	vector_hex_exact(vector, "final_hex", SKEIN_LEN, expected);
	assert_memory_equal(got, expected, SKEIN_LEN);

	skein_begin(&s, state);
	skein_update(&s, message, len);
	skein_final_pad(&s, got);
	vector_hex_exact(vector, "final_pad_hex", SKEIN_LEN, expected);
	assert_memory_equal(got, expected, SKEIN_LEN);
}

static void
threefish_matches_published_blocks(void **unused)
{
	json_t *all = vectors("threefish256_v11_block"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint64_t key[4], tweak[2], block[4], cipher[4];

		vector_words(json_object_get(v, "key"), 4, key);
		vector_words(json_object_get(v, "tweak"), 2, tweak);
		vector_words(json_object_get(v, "plain"), 4, block);
		vector_words(json_object_get(v, "cipher"), 4, cipher);
		threefish256_encrypt(key, tweak, block);
		assert_memory_equal(block, cipher, sizeof(block));
	}
}

static void
initial_value_is_that_of_version_1_1(void **unused)
{
	struct skein_state state;
	uint64_t expected[4];

	(void)unused;
	vector_words(vectors("skein256_iv_256"), 4, expected);
	skein_state_mac(NULL, 0, &state);
	assert_memory_equal(state.chain, expected, sizeof(expected));
}

static void
raw_hashes_match(void **unused)
{
	json_t *all = vectors("skein256_raw"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) >= 33);
	json_array_foreach(all, i, v)
	{
		uint8_t key[128];
		size_t key_len = vector_hex(v, "key_hex", sizeof(key), key);
		struct skein_state state;

		skein_state_mac(key, key_len, &state);
		assert_finals(v, &state);
	}
}

static enum keyed_purpose
purpose_of(const char *name)
{
	static const struct {
		const char *name;
		enum keyed_purpose purpose;
	} all[] = {{"RS", KEYED_SESSION_KEY},
		   {"PMS", KEYED_FRAME_MAC},
		   {"EES", KEYED_ENTROPY_PAD},
		   {"LRS", KEYED_LONG_TERM_KEY},
		   {"LKMS", KEYED_NONCE_MAC}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].purpose;
	fail_msg("no purpose is called %s", name);
	return KEYED_SESSION_KEY;
}

static void
prepared_states_match_the_device(void **unused)
{
	json_t *all = vectors("prepared_state"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) >= 20);
	json_array_foreach(all, i, v)
	{
		uint8_t serial[KEYED_SERIAL_LEN], secret[KEYED_SECRET_LEN];
		struct keyed k;

		vector_hex_exact(v, "serial_hex", sizeof(serial), serial);
		vector_hex_exact(v, "secret_hex", sizeof(secret), secret);
		keyed_prepare(&k, purpose_of(vector_string(v, "personalisation")), serial, secret);
		assert_finals(v, &k.state);
	}
}

static void
session_keys_match(void **unused)
{
	json_t *all = vectors("session_keys"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint8_t serial[12], ltk[32], device[32], nonce[64], expected[32], got[32];
		size_t nonce_len;
		struct keyed k;

		vector_serial(v, "serial", serial);
		vector_hex_exact(v, "ltk_hex", sizeof(ltk), ltk);
		vector_hex_exact(v, "device_entropy_hex", sizeof(device), device);
		nonce_len = vector_hex(v, "host_nonce_hex", sizeof(nonce), nonce);
		vector_hex_exact(v, "session_key_hex", sizeof(expected), expected);
		keyed_prepare(&k, KEYED_SESSION_KEY, serial, ltk);
		keyed_derive(&k, device, sizeof(device), nonce, nonce_len, got);
		assert_memory_equal(got, expected, sizeof(expected));
	}
}

static void
long_term_rekeys_match(void **unused)
{
	json_t *all = vectors("long_term_rekey"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint8_t serial[12], master[32], device[32], nonce[12], expected[32], got[32];
		struct keyed k;

		vector_serial(v, "serial", serial);
		vector_hex_exact(v, "master_key_hex", sizeof(master), master);
		vector_hex_exact(v, "device_entropy_hex", sizeof(device), device);
		vector_hex_exact(v, "host_nonce_hex", sizeof(nonce), nonce);

		vector_hex_exact(v, "nonce_mac_hex", KEYED_MAC_LEN, expected);
		keyed_prepare(&k, KEYED_NONCE_MAC, serial, master);
		keyed_mac(&k, nonce, sizeof(nonce), got);
		assert_memory_equal(got, expected, KEYED_MAC_LEN);

		vector_hex_exact(v, "new_ltk_hex", sizeof(expected), expected);
		keyed_prepare(&k, KEYED_LONG_TERM_KEY, serial, master);
		keyed_derive(&k, device, sizeof(device), nonce, sizeof(nonce), got);
		assert_memory_equal(got, expected, sizeof(expected));
	}
}

static void
entropy_pads_match(void **unused)
{
	json_t *all = vectors("entropy_pads"), *v;
	size_t i;

	(void)unused;
	assert_true(json_array_size(all) > 0);
	json_array_foreach(all, i, v)
	{
		uint8_t serial[12], key[32], expected[32], got[32];
		char subcode[2];
		struct keyed k;

		vector_serial(v, "serial", serial);
		vector_hex_exact(v, "session_key_hex", sizeof(key), key);
		vector_hex_exact(v, "pad_hex", sizeof(expected), expected);
		pem64_subcode_encode(vector_number(v, "seq"), subcode);
		assert_memory_equal(subcode, vector_string(v, "subcode"), sizeof(subcode));
		keyed_prepare(&k, KEYED_ENTROPY_PAD, serial, key);
		keyed_pad(&k, subcode, got);
		assert_memory_equal(got, expected, sizeof(expected));
	}
}

static void
hash_of(const uint8_t *message, size_t len, size_t first, size_t second, uint8_t ret[SKEIN_LEN])
{
	struct skein_state state;
	struct skein s;

	skein_state_mac(NULL, 0, &state);
	skein_begin(&s, &state);
	skein_update(&s, message, first);
	skein_update(&s, message + first, second - first);
	skein_update(&s, message + second, len - second);
	skein_final(&s, ret);
}

static void
streaming_is_one_shot_at_every_split(void **unused)
{
	uint8_t message[131], whole[SKEIN_LEN], split[SKEIN_LEN];

	(void)unused;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 5 + 1);
	for (size_t len = 0; len <= sizeof(message); len++) {
		hash_of(message, len, len, len, whole);
		for (size_t first = 0; first <= len; first++) {
			size_t second = first + (len - first) / 2;

			hash_of(message, len, first, second, split);
			assert_memory_equal(split, whole, SKEIN_LEN);
		}
	}
}

static void
one_byte_at_a_time_is_one_shot(void **unused)
{
	uint8_t message[100] = {1, 2, 3}, whole[SKEIN_LEN], bytewise[SKEIN_LEN];
	struct skein_state state;
	struct skein s;

	(void)unused;
	hash_of(message, sizeof(message), 0, 0, whole);
	skein_state_mac(NULL, 0, &state);
	skein_begin(&s, &state);
	for (size_t i = 0; i < sizeof(message); i++)
		skein_update(&s, message + i, 1);
	skein_final(&s, bytewise);
	assert_memory_equal(bytewise, whole, SKEIN_LEN);
}

static void
finals_wipe_the_hash(void **unused)
{
	static const struct skein zero;
	struct skein_state state;
	struct skein s;
	uint8_t hash[SKEIN_LEN];

	(void)unused;
	skein_state_mac(NULL, 0, &state);
	skein_begin(&s, &state);
	skein_update(&s, "secret", 6);
	skein_final(&s, hash);
	assert_memory_equal(&s, &zero, sizeof(s));
	skein_begin(&s, &state);
	skein_update(&s, "secret", 6);
	skein_final_pad(&s, hash);
	assert_memory_equal(&s, &zero, sizeof(s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threefish_matches_published_blocks),
		cmocka_unit_test(initial_value_is_that_of_version_1_1),
		cmocka_unit_test(raw_hashes_match),
		cmocka_unit_test(prepared_states_match_the_device),
		cmocka_unit_test(session_keys_match),
		cmocka_unit_test(long_term_rekeys_match),
		cmocka_unit_test(entropy_pads_match),
		cmocka_unit_test(streaming_is_one_shot_at_every_split),
		cmocka_unit_test(one_byte_at_a_time_is_one_shot),
		cmocka_unit_test(finals_wipe_the_hash),
	};

	return cmocka_run_group_tests_name("skein", tests, NULL, NULL);
}
