/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ekeyctl/ekeyd_conf.h"

typedef enum ekeyd_found next_fn(struct ekeyd_reader *r, struct ekeyd_line *ret);

/* The text's only statement. */
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

/* Writes the text's statements as "NAME ARG ARG; ?FIRST-LAST; ...", the strange ones by lines. */
static void
read_all(next_fn *next, const char *text, char *ret, size_t size)
{
	struct ekeyd_reader reader;
	struct ekeyd_line line;
	enum ekeyd_found found;
	size_t len = 0;

	ret[0] = '\0';
	ekeyd_reader_init(&reader, text, strlen(text));
	while ((found = next(&reader, &line)) != EKEYD_END) {
		if (found == EKEYD_STRANGE)
			len += (size_t)snprintf(ret + len, size - len, "?%u-%u", line.number,
						line.last);
		else
			len += (size_t)snprintf(ret + len, size - len, "%s", line.name);
		for (size_t i = 0; found == EKEYD_LINE && i < line.count; i++)
			len += (size_t)snprintf(ret + len, size - len, " %s", line.args[i]);
		len += (size_t)snprintf(ret + len, size - len, "; ");
		assert_true(len < size);
	}
}

struct text {
	const char *text, *read;
};

static void
check_texts(next_fn *next, const struct text *texts, size_t count)
{
	char read[1024];

	for (size_t i = 0; i < count; i++) {
		read_all(next, texts[i].text, read, sizeof(read));
		if (strcmp(read, texts[i].read) != 0)
			print_error("%s\n", texts[i].text);
		assert_string_equal(read, texts[i].read);
	}
}

#define CHECK_TEXTS(next, texts) check_texts(next, texts, sizeof(texts) / sizeof((texts)[0]))

static void
calls_are_read_in_every_form_that_people_write(void **unused)
{
	static const struct text all[] = {
		{"Keyring \"/etc/k\"", "Keyring /etc/k; "},
		{"  Keyring '/etc/k' -- where\n", "Keyring /etc/k; "},
		{"SetOutputToKernel(7)\r\n", "SetOutputToKernel 7; "},
		{"Daemonise ( false ) ;", "Daemonise false; "},
		{"EGDTCPSocket(8888, \"10.0.0.1\")", "EGDTCPSocket 8888 10.0.0.1; "},
		{"EGDTCPSocket(\n\t8888,\n\t'::1'\n)\nA''", "EGDTCPSocket 8888 ::1; A ; "},
		{"EGDTCPSocket(8888, nil)", "EGDTCPSocket 8888 ; "},
		{"EGDUnixSocket(\"/e\",\"0660\",\"\",\"g\")", "EGDUnixSocket /e 0660  g; "},
		{"EGDUnixSocket[[/e f]]", "EGDUnixSocket /e f; "},
		{"EGDUnixSocket([==[/e]]]==], '0660')", "EGDUnixSocket /e]] 0660; "},
		{"AddEntropyKey(\"/a\") AddEntropyKey(\"/b\");A'c';", "AddEntropyKey /a; "
								      "AddEntropyKey /b; A c; "},
		{"Shutdown()", "Shutdown; "},
		{"#!/usr/sbin/ekeyd -f\nA'c'", "A c; "},
	};

	(void)unused;
	CHECK_TEXTS(ekeyd_next_call, all);
}

static void
what_is_no_simple_call_is_told_as_strange(void **unused)
{
	static const char *const all[] = {
		"x = 5",
		"Keyring",
		"Keyring \"/etc/k",
		"Keyring \"a\\\"b\"",
		"Keyring \"a\x7f\"",
		"Keyring(\"/etc/\" .. name)",
		"Keyring(name)",
		"Keyring \"a\" .. \"b\"",
		"Keyring[[\na]]",
		"f(1,2,3,4,5)",
		"f(1",
		"f(,)",
		"f{1}",
		"for i=1,3 do",
		"if (true) then",
		"return \"x\"",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct ekeyd_line line;

		assert_int_equal(read_one(ekeyd_next_call, all[i], &line), EKEYD_STRANGE);
		assert_int_equal(line.number, 1);
	}
}

static void
comments_of_every_kind_are_passed_over_and_their_lines_counted(void **unused)
{
	static const struct text all[] = {
		{"-- a\n\n   \n--b\nKeyring 'k' x", "Keyring k; ?5-5; "},
		{"--[[ A(1)\nA(2)\n]] B(3)", "B 3; "},
		{"--[==[ A(1)\n]] A(2)\n]=] A(3)\n]==]\nB(4)", "B 4; "},
		{"--[=x\nB(4)", "B 4; "},
		{"--[[]]--[[ A ]] B(4)", "B 4; "},
		{"B(1 --[[, 2 ]])", "B 1; "},
		{"B(--[=[\n,]=]1, -- 2\n3)", "B 1 3; "},
		{"B 'a--[[b' C 'd'", "B a--[[b; C d; "},
		{"--[[ not ended\nA(1)\n", "?1-2; "},
		{"--[[ not ended\nA(1)]", "?1-2; "},
	};

	(void)unused;
	CHECK_TEXTS(ekeyd_next_call, all);
}

static void
calls_inside_of_what_is_not_understood_are_left_out(void **unused)
{
	static const struct text all[] = {
		{"if false then\n A(1)\nend\nB(2)", "?1-3; B 2; "},
		{"while x\ndo\n A(1)\nend B(1)\nC(2)", "?1-1; ?2-4; C 2; "},
		{"function f()\n if x then A(1) end\n A(2)\nend\nB(3)", "?1-4; B 3; "},
		{"repeat\n A(1)\nuntil x\nB(2)", "?1-3; B 2; "},
		{"x = {\nA(1)\n}\nB(2)", "?1-3; B 2; "},
		{"x = [[\nA(1)\n]]\nB(2)", "?1-3; B 2; "},
		{"x = 'do' -- do\nB(2)", "?1-1; B 2; "},
		{"x = 'a\\\nA(1)'\nB(2)", "?1-2; B 2; "},
		{"x = y --[[ if\nA(1)\n]]\nB(2)", "?1-1; B 2; "},
	};

	(void)unused;
	CHECK_TEXTS(ekeyd_next_call, all);
}

static void
assignments_are_read_as_the_shell_would(void **unused)
{
	static const struct text all[] = {
		{"HOST=127.0.0.1", "HOST 127.0.0.1; "},
		{"HOST=\"a b\" # there", "HOST a b; "},
		{"HOST=a#b", "HOST a#b; "},
		{"PORT=", "PORT ; "},
		{"PORT=\r\nHOST=a\r\n", "PORT ; HOST a; "},
		{"HOST=a\nPORT=\n", "HOST a; PORT ; "},
		{"  BLOCKS='3'", "BLOCKS 3; "},
		{"export HOST=a; readonly PORT=8", "HOST a; PORT 8; "},
		{"HOST=a PORT=\"8\"'9'1", "HOST a; PORT 891; "},
		{"HOST=a\\ b\\\"c", "HOST a b\"c; "},
		{"HOST=\"a\\\"b\\$c\"'\\d$'", "HOST a\"b$c\\d$; "},
		{"HOST=\\\na \\\n PORT=8", "HOST a; PORT 8; "},
		{"HOST=[::1]:%,@", "HOST [::1]:%,@; "},
		{"# HOST=a\n#HOST=b", ""},
	};

	(void)unused;
	CHECK_TEXTS(ekeyd_next_assignment, all);
}

static void
what_the_shell_would_do_with_a_line_is_not_guessed(void **unused)
{
	static const struct text all[] = {
		{"HOST=$(hostname)\nPORT=1", "?1-1; PORT 1; "},
		{"HOST=$(\nPORT=1\n)\nPORT=2", "?1-3; PORT 2; "},
		{"HOST=`\nPORT=1\n`\nPORT=2", "?1-3; PORT 2; "},
		{"HOST=${H:-a}", "?1-1; "},
		{"HOST=\"$H\"", "?1-1; "},
		{"HOST = a", "?1-1; "},
		{"HOST=a start", "?1-1; "},
		{"HOST=a && PORT=1", "?1-1; "},
		{"HOST=a&", "?1-1; "},
		{"HOST=(a b)", "?1-1; "},
		{"HOST+=a", "?1-1; "},
		{"HOST='a\nPORT=1'\nPORT=2", "?1-2; PORT 2; "},
		{"if x; then\nHOST=a # fi\nfi\nPORT=2", "?1-3; PORT 2; "},
		{"case x in\na) HOST=b;;\nesac\nPORT=2", "?1-3; PORT 2; "},
		{"f() {\nHOST=a\n}\nPORT=2", "?1-3; PORT 2; "},
		{"for x in 1\ndo\nHOST=a\ndone\nPORT=2", "?1-1; ?2-4; PORT 2; "},
		{"cat <<EOF\nHOST=a\nEOF\nPORT=2", "?1-4; "},
		{". /etc/more\nunset HOST", "?1-1; ?2-2; "},
		{"echo a[ {b -if\nPORT=2", "?1-1; PORT 2; "},
	};

	(void)unused;
	CHECK_TEXTS(ekeyd_next_assignment, all);
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
		cmocka_unit_test(comments_of_every_kind_are_passed_over_and_their_lines_counted),
		cmocka_unit_test(calls_inside_of_what_is_not_understood_are_left_out),
		cmocka_unit_test(assignments_are_read_as_the_shell_would),
		cmocka_unit_test(what_the_shell_would_do_with_a_line_is_not_guessed),
		cmocka_unit_test(what_is_too_long_is_strange_and_not_cut),
	};

	return cmocka_run_group_tests_name("ekeyd_conf", tests, NULL, NULL);
}
