/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool/ekeyd_conf.h"

typedef enum ekeyd_found next_fn(struct ekeyd_reader *r, struct ekeyd_line *ret);

/* The text's only line. */
static enum ekeyd_found
read_one(next_fn *next, const char *text, struct ekeyd_line *ret)
{
	struct ekeyd_reader reader;
	struct ekeyd_line after;
	enum ekeyd_found found;

	ekeyd_reader_init(&reader, text, strlen(text));
	found = next(&reader, ret);
	if (found != EKEYD_END)
		assert_int_equal(next(&reader, &after), EKEYD_END);
	return found;
}

static void
calls_are_read_in_every_form_that_people_write(void **unused)
{
	static const struct {
		const char *text, *name;
		size_t count;
		const char *args[EKEYD_ARGS_MAX];
	} all[] = {
		{"Keyring \"/etc/k\"", "Keyring", 1, {"/etc/k"}},
		{"  Keyring '/etc/k' -- where\n", "Keyring", 1, {"/etc/k"}},
		{"SetOutputToKernel(7)\r\n", "SetOutputToKernel", 1, {"7"}},
		{"Daemonise ( false ) ;", "Daemonise", 1, {"false"}},
		{"EGDTCPSocket(8888, \"10.0.0.1\")", "EGDTCPSocket", 2, {"8888", "10.0.0.1"}},
		{"EGDUnixSocket(\"/e\",\"0660\",\"\",\"g\")",
		 "EGDUnixSocket",
		 4,
		 {"/e", "0660", "", "g"}},
		{"Shutdown()", "Shutdown", 0, {NULL}},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct ekeyd_line line;

		assert_int_equal(read_one(ekeyd_next_call, all[i].text, &line), EKEYD_LINE);
		assert_string_equal(line.name, all[i].name);
		assert_int_equal(line.count, all[i].count);
		for (size_t j = 0; j < line.count; j++)
			assert_string_equal(line.args[j], all[i].args[j]);
	}
}

static void
what_is_no_simple_call_is_told_as_strange(void **unused)
{
	static const char *const all[] = {
		"x = 5",
		"Keyring",
		"Keyring \"/etc/k",
		"Keyring \"a\\\"b\"",
		"Keyring(\"/etc/\" .. name)",
		"AddEntropyKey(\"/a\") AddEntropyKey(\"/b\")",
		"f(1,2,3,4,5)",
		"f(1",
		"f(,)",
		"for i=1,3 do",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct ekeyd_line line;

		assert_int_equal(read_one(ekeyd_next_call, all[i], &line), EKEYD_STRANGE);
		assert_int_equal(line.number, 1);
	}
}

static void
comments_and_empty_lines_are_passed_over_and_counted(void **unused)
{
	static const char text[] = "-- a\n\n   \n--b\nKeyring 'k'";
	struct ekeyd_reader reader;
	struct ekeyd_line line;

	(void)unused;
	ekeyd_reader_init(&reader, text, sizeof(text) - 1);
	assert_int_equal(ekeyd_next_call(&reader, &line), EKEYD_LINE);
	assert_int_equal(line.number, 5);
	assert_int_equal(ekeyd_next_call(&reader, &line), EKEYD_END);
}

static void
assignments_are_read_as_the_shell_would(void **unused)
{
	static const struct {
		const char *text, *name, *value;
	} all[] = {
		{"HOST=127.0.0.1", "HOST", "127.0.0.1"},
		{"HOST=\"a b\" # there", "HOST", "a b"},
		{"PORT=", "PORT", ""},
		{"  BLOCKS='3'", "BLOCKS", "3"},
	};
	struct ekeyd_line line;

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(read_one(ekeyd_next_assignment, all[i].text, &line), EKEYD_LINE);
		assert_string_equal(line.name, all[i].name);
		assert_string_equal(line.args[0], all[i].value);
	}
	assert_int_equal(read_one(ekeyd_next_assignment, "HOST=$(hostname)", &line), EKEYD_STRANGE);
	assert_int_equal(read_one(ekeyd_next_assignment, "HOST = a", &line), EKEYD_STRANGE);
	assert_int_equal(read_one(ekeyd_next_assignment, "export HOST=a", &line), EKEYD_STRANGE);
	assert_int_equal(read_one(ekeyd_next_assignment, "# HOST=a", &line), EKEYD_END);
}

static void
what_is_too_long_is_strange_and_not_cut(void **unused)
{
	char text[2 * EKEYD_ARG_MAX] = "Keyring '";
	struct ekeyd_line line;

	(void)unused;
	memset(text + 9, 'a', EKEYD_ARG_MAX - 1);
	strcpy(text + 9 + EKEYD_ARG_MAX - 1, "'");
	assert_int_equal(read_one(ekeyd_next_call, text, &line), EKEYD_LINE);
	assert_int_equal(strlen(line.args[0]), EKEYD_ARG_MAX - 1);
	strcpy(text + 9 + EKEYD_ARG_MAX - 1, "a'");
	assert_int_equal(read_one(ekeyd_next_call, text, &line), EKEYD_STRANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_read_in_every_form_that_people_write),
		cmocka_unit_test(what_is_no_simple_call_is_told_as_strange),
		cmocka_unit_test(comments_and_empty_lines_are_passed_over_and_counted),
		cmocka_unit_test(assignments_are_read_as_the_shell_would),
		cmocka_unit_test(what_is_too_long_is_strange_and_not_cut),
	};

	return cmocka_run_group_tests_name("ekeyd_conf", tests, NULL, NULL);
}
