/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/ekey/keyring.h"
#include "backend/ekey/pem64.h"
#include "lib/secret.h"
#include "tests/unit/vectors.h"

#define SERIAL "NwBvBlg3OTBJORFD"
#define LTK "YhBxVfw80BE6VXU9tWd9Shi0VGmj7kAlsCJ5j2hFjYU="
#define SERIAL2 "AAECAxAREhOrrK2u"

static struct keyring *ring;
static struct keyring_errors errors;

static int
setup(void **unused)
{
	(void)unused;
	ring = secret_new(sizeof(*ring));
	return ring == NULL;
}

static int
teardown(void **unused)
{
	(void)unused;
	secret_free(ring, sizeof(*ring));
	return 0;
}

static void
assert_keys(const char *text, size_t count)
{
	if (!keyring_parse(text, strlen(text), ring, &errors))
		fail_msg("line %u: %s: \"%s\"", errors.at[0].line, errors.at[0].why, text);
	assert_int_equal(ring->len, count);
}

/* One bad line, which costs its key; the others are as many as `count`. */
static void
assert_ignored(const char *text, unsigned line, const char *why, size_t count)
{
	static const struct keyring_entry none;

	assert_false(keyring_parse(text, strlen(text), ring, &errors));
	assert_int_equal(errors.count, 1);
	assert_int_equal(errors.at[0].line, line);
	assert_true(errors.at[0].ignored);
	assert_non_null(strstr(errors.at[0].why, why));
	assert_int_equal(ring->len, count);
	assert_memory_equal(&ring->entries[count], &none, sizeof(none)); /* wiped */
}

/* The line that is not in order has a key all the same, which is LTK. */
static void
assert_used(const char *text, unsigned line, const char *why)
{
	uint8_t serial[12], ltk[32];
	size_t len;

	assert_false(keyring_parse(text, strlen(text), ring, &errors));
	assert_int_equal(errors.count, 1);
	assert_int_equal(errors.at[0].line, line);
	assert_false(errors.at[0].ignored);
	assert_non_null(strstr(errors.at[0].why, why));
	assert_int_equal(ring->len, 1);
	assert_true(keyring_serial_parse(SERIAL, serial));
	assert_true(pem64_decode(LTK, strlen(LTK), sizeof(ltk), ltk, &len));
	assert_memory_equal(keyring_find(ring, serial), ltk, sizeof(ltk));
}

static void
lines_of_ekeyd_are_read(void **unused)
{
	json_t *all = vectors("keyring"), *v;
	unsigned read = 0;
	size_t i;

	(void)unused;
	json_array_foreach(all, i, v)
	{
		const char *line = vector_string(v, "line");
		uint8_t serial[12], ltk[32];

		if (!json_is_true(json_object_get(v, "ok")) || strchr(line, ' ') == NULL)
			continue; /* without a space between the fields we refuse it, on purpose */
		assert_keys(line, 1);
		vector_hex_exact(v, "serial_hex", sizeof(serial), serial);
		vector_hex_exact(v, "ltk_hex", sizeof(ltk), ltk);
		assert_memory_equal(keyring_find(ring, serial), ltk, sizeof(ltk));
		read++;
	}
	assert_true(read > 0);
}

static void
blanks_comments_and_crlf_are_fine(void **unused)
{
	(void)unused;
	assert_keys("", 0);
	assert_keys("\n\n", 0);
	assert_keys("# comment\n", 0);
	assert_keys("   # indented comment", 0);
	assert_keys(SERIAL " " LTK, 1);
	assert_keys(SERIAL " " LTK "\n", 1);
	assert_keys("\t " SERIAL " \t " LTK " \t\r\n\r\n", 1);
	assert_keys("# two\n" SERIAL " " LTK "\n \n" SERIAL2 " " LTK "\n", 2);
}

static void
bad_line_is_named_with_the_reason_and_costs_its_key_only(void **unused)
{
	static const struct {
		const char *line, *why;
	} bad[] = {
		{SERIAL, "expected a key after"},
		{SERIAL LTK, "serial number must have 16"},
		{"NwBvBlg3OTBJORF= " LTK, "serial number must be base64 of 12"},
		{"NwBvBlg3OTBJOR%D " LTK, "serial number must be base64 of 12"},
		{SERIAL " YhBx", "key must have 44"},
		{SERIAL " " LTK "=", "key must have 44"},
		{SERIAL " YhBxVfw80BE6VXU9tWd9Shi0VGmj7kAlsCJ5j2hFjQ==", "must have 32 bytes"},
		{SERIAL " YhBxVfw80BE6VXU9tWd9Shi0VGmj7kAlsCJ5j2hFjYV=", "must be base64"},
		{SERIAL " 6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m", "master key"},
		{"<html>", "serial number"},
		{"not a key line", "serial number"},
	};
	char text[512];

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_ignored(bad[i].line, 1, bad[i].why, 0);
		sprintf(text, "# ok\n%s\n" SERIAL2 " " LTK "\n", bad[i].line);
		assert_ignored(text, 2, bad[i].why, 1);
		sprintf(text, SERIAL2 " " LTK "\r\n\n%s", bad[i].line);
		assert_ignored(text, 3, bad[i].why, 1);
	}
}

static void
text_behind_a_key_and_an_older_line_are_ignored_and_named(void **unused)
{
	static const char older[] = SERIAL " rFFnqnezAb3uFSx8QXx3WQL+SNyvPKMKzFQcFByeskU=\n";
	char text[512];

	(void)unused;
	assert_used(SERIAL " " LTK " # mine", 1, "unexpected text");
	assert_used("\n" SERIAL " " LTK "#mine\n", 2, "unexpected text");
	sprintf(text, "%s\n" SERIAL " " LTK "\n", older);
	assert_used(text, 3, "the last one is used");
}

static void
as_many_bad_lines_as_there_is_room_for_are_named_and_all_are_counted(void **unused)
{
	(void)unused;
	assert_false(keyring_parse("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", 20, ring, &errors));
	assert_int_equal(errors.count, 10);
	for (unsigned i = 0; i < KEYRING_ERRORS_MAX; i++)
		assert_int_equal(errors.at[i].line, i + 1);
}

static void
bytes_that_are_no_text_are_errors(void **unused)
{
	char text[] = SERIAL " " LTK "\n";

	(void)unused;
	for (size_t at = 0; at + 1 < strlen(text); at++) {
		char was = text[at];

		text[at] = '\0';
		assert_false(keyring_parse(text, sizeof(text) - 1, ring, &errors));
		text[at] = '\xff';
		assert_false(keyring_parse(text, sizeof(text) - 1, ring, &errors));
		text[at] = was;
	}
	assert_keys(text, 1);
}

static void
truncated_at_every_length_it_is_an_error_or_empty(void **unused)
{
	static const char text[] = SERIAL " " LTK;

	(void)unused;
	for (size_t len = 0; len < strlen(text); len++) {
		assert_int_equal(keyring_parse(text, len, ring, &errors), len == 0);
		assert_int_equal(ring->len, 0);
	}
}

static size_t
write_keys(unsigned count, char *ret)
{
	size_t len = 0;

	for (unsigned i = 0; i < count; i++) {
		uint8_t serial[12] = {(uint8_t)i, (uint8_t)(i >> 8)};

		pem64_encode(serial, sizeof(serial), ret + len);
		len += KEYRING_SERIAL_TEXT_LEN;
		len += (size_t)sprintf(ret + len, " %s\n", LTK);
	}
	return len;
}

static void
a_full_keyring_is_read_and_one_key_more_is_refused(void **unused)
{
	static char text[(KEYRING_MAX + 1) * 64];
	uint8_t last[12] = {KEYRING_MAX - 1};

	(void)unused;
	assert_true(keyring_parse(text, write_keys(KEYRING_MAX, text), ring, &errors));
	assert_int_equal(ring->len, KEYRING_MAX);
	assert_non_null(keyring_find(ring, last));
	assert_false(keyring_parse(text, write_keys(KEYRING_MAX + 1, text), ring, &errors));
	assert_int_equal(errors.at[0].line, KEYRING_MAX + 1);
	assert_true(errors.at[0].ignored);
	assert_int_equal(ring->len, KEYRING_MAX);
	assert_non_null(keyring_find(ring, last));
}

static void
unknown_serials_have_no_key(void **unused)
{
	uint8_t serial[12];

	(void)unused;
	assert_keys(SERIAL " " LTK, 1);
	assert_true(keyring_serial_parse(SERIAL2, serial));
	assert_null(keyring_find(ring, serial));
	assert_true(keyring_serial_parse(SERIAL, serial));
	assert_non_null(keyring_find(ring, serial));
}

static void
serials_survive_the_round_trip_and_bad_ones_are_refused(void **unused)
{
	char text[KEYRING_SERIAL_TEXT_LEN + 1];
	uint8_t serial[12] = {0};

	(void)unused;
	assert_true(keyring_serial_parse(SERIAL, serial));
	keyring_serial_text(serial, text);
	assert_string_equal(text, SERIAL);
	assert_false(keyring_serial_parse("", serial));
	assert_false(keyring_serial_parse(SERIAL "A", serial));
	assert_false(keyring_serial_parse("NwBvBlg3OTBJORF", serial));
	assert_false(keyring_serial_parse("NwBvBlg3OTBJOR==", serial));
	keyring_serial_text(serial, text);
	assert_string_equal(text, SERIAL); /* untouched */
}

/* ---- writing ---- */

#define NEW_LTK "rFFnqnezAb3uFSx8QXx3WQL+SNyvPKMKzFQcFByeskU="

static void
assert_edited(const char *before, const char *after)
{
	size_t len = strlen(before), got, ltk_len;
	char text[1024];
	struct keyring_entry entry;

	assert_true(keyring_serial_parse(SERIAL, entry.serial));
	assert_true(pem64_decode(NEW_LTK, strlen(NEW_LTK), 32, entry.ltk, &ltk_len));
	assert_true(KEYRING_EDITED_LEN(len) < sizeof(text));
	memset(text, '!', sizeof(text));
	got = keyring_edit(before, len, &entry, text);
	assert_true(got <= KEYRING_EDITED_LEN(len));
	assert_int_equal(text[got], '!');
	text[got] = '\0';
	assert_string_equal(text, after);
	assert_true(keyring_parse(text, got, ring, &errors));
	assert_memory_equal(keyring_find(ring, entry.serial), entry.ltk, 32);
}

static void
old_key_makes_room_for_the_new_and_all_else_stays(void **unused)
{
	(void)unused;
	assert_edited(SERIAL " " LTK "\n", SERIAL " " NEW_LTK "\n");
	assert_edited(SERIAL " " LTK, SERIAL " " NEW_LTK);
	assert_edited("\t" SERIAL "  " LTK " \r\n", SERIAL " " NEW_LTK "\r\n");
	assert_edited("# a\n\n" SERIAL2 " " LTK "\n" SERIAL " " LTK "\n  # b\n",
		      "# a\n\n" SERIAL2 " " LTK "\n" SERIAL " " NEW_LTK "\n  # b\n");
	assert_edited("#" SERIAL " " LTK "\n" SERIAL " " LTK "\n#" SERIAL,
		      "#" SERIAL " " LTK "\n" SERIAL " " NEW_LTK "\n#" SERIAL);
}

static void
key_that_is_new_comes_last(void **unused)
{
	(void)unused;
	assert_edited("", SERIAL " " NEW_LTK "\n");
	assert_edited("# none yet", "# none yet\n" SERIAL " " NEW_LTK "\n");
	assert_edited(SERIAL2 " " LTK "\n", SERIAL2 " " LTK "\n" SERIAL " " NEW_LTK "\n");
	assert_edited("#" SERIAL " " LTK "\n", "#" SERIAL " " LTK "\n" SERIAL " " NEW_LTK "\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(lines_of_ekeyd_are_read),
		TEST(blanks_comments_and_crlf_are_fine),
		TEST(bad_line_is_named_with_the_reason_and_costs_its_key_only),
		TEST(text_behind_a_key_and_an_older_line_are_ignored_and_named),
		TEST(as_many_bad_lines_as_there_is_room_for_are_named_and_all_are_counted),
		TEST(bytes_that_are_no_text_are_errors),
		TEST(truncated_at_every_length_it_is_an_error_or_empty),
		TEST(a_full_keyring_is_read_and_one_key_more_is_refused),
		TEST(unknown_serials_have_no_key),
		TEST(old_key_makes_room_for_the_new_and_all_else_stays),
		TEST(key_that_is_new_comes_last),
		TEST(serials_survive_the_round_trip_and_bad_ones_are_refused),
	};

	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
