/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "priv/mountinfo.h"

static bool
parse(const char *text, char *line, struct mountinfo *ret)
{
	strcpy(line, text);
	return mountinfo_parse(line, ret);
}

static void
reads_a_line_of_ours(void **state)
{
	char line[256];
	struct mountinfo m;

	(void)state;
	assert_true(parse("42 27 0:39 / /dev/ekey-random rw,nosuid,nodev,noexec,relatime - "
			  "fuse.ekey-random ekey-random rw,user_id=0,group_id=0,allow_other\n",
			  line, &m));
	assert_int_equal(m.major, 0);
	assert_int_equal(m.minor, 39);
	assert_string_equal(m.point, "/dev/ekey-random");
	assert_string_equal(m.type, "fuse.ekey-random");
	assert_string_equal(m.source, "ekey-random");
}

static void
skips_any_number_of_optional_fields(void **state)
{
	char line[256];
	struct mountinfo m;

	(void)state;
	assert_true(parse("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw",
			  line, &m));
	assert_int_equal(m.major, 98);
	assert_string_equal(m.point, "/mnt2");
	assert_string_equal(m.type, "ext3");
	assert_string_equal(m.source, "/dev/root");
}

static void
undoes_the_kernels_escapes(void **state)
{
	char line[256];
	struct mountinfo m;

	(void)state;
	assert_true(parse("1 2 0:3 / /a\\040b\\011c\\134\\012d rw - fuse.x y rw", line, &m));
	assert_string_equal(m.point, "/a b\tc\\\nd");
	assert_true(parse("1 2 0:3 / /a\\04 rw - fuse.x y rw", line, &m));
	assert_string_equal(m.point, "/a\\04");
}

static void
refuses_every_line_that_is_cut(void **state)
{
	static const char whole[] = "42 27 0:39 / /a rw shared:1 - fuse.x source rw";
	size_t needed = strlen(whole) - strlen("ource rw");
	char line[256], cut[256];
	struct mountinfo m;

	(void)state;
	for (size_t len = 0; len < needed; len++) {
		memcpy(cut, whole, len);
		cut[len] = '\0';
		if (parse(cut, line, &m))
			fail_msg("parsed \"%s\"", cut);
	}
	assert_true(parse(whole, line, &m));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_line_of_ours),
		cmocka_unit_test(skips_any_number_of_optional_fields),
		cmocka_unit_test(undoes_the_kernels_escapes),
		cmocka_unit_test(refuses_every_line_that_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
