/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/num.h"
#include "lib/secret.h"

/* ---- bytes ---- */

static void
a_cursor_never_passes_its_end(void **unused)
{
	uint8_t bytes[10] = {0};
	struct cursor c = cursor_over(bytes, sizeof(bytes));
	const uint8_t *at = NULL;

	(void)unused;
	assert_true(cursor_take(&c, 4, &at));
	assert_ptr_equal(at, bytes);
	assert_int_equal(c.left, 6);
	at = NULL;
	assert_false(cursor_take(&c, 7, &at));
	assert_false(cursor_take(&c, SIZE_MAX, &at));
	assert_null(at);
	assert_int_equal(c.left, 6);
	assert_true(cursor_take(&c, 6, &at));
	assert_ptr_equal(at, bytes + 4);
	assert_true(cursor_take(&c, 0, &at));
	assert_false(cursor_take(&c, 1, &at));
}

static void
words_are_little_endian(void **unused)
{
	static const uint8_t bytes[8] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0xf1};
	uint8_t stored[8];

	(void)unused;
	assert_true(load_le64(bytes) == UINT64_C(0xf102030405060708));
	store_le64(stored, UINT64_C(0xf102030405060708));
	assert_memory_equal(stored, bytes, sizeof(bytes));
}

/* ---- clock ---- */

static void
a_time_to_wait_is_in_seconds_and_microseconds(void **unused)
{
	static const struct {
		uint64_t ms;
		time_t s;
		suseconds_t us;
	} cases[] = {
		{0, 0, 0}, {1, 0, 1000}, {999, 0, 999000}, {1000, 1, 0}, {86400250, 86400, 250000}};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct timeval wait = clock_timeval(cases[i].ms);

		assert_int_equal(wait.tv_sec, cases[i].s);
		assert_int_equal(wait.tv_usec, cases[i].us);
	}
}

/* ---- num ---- */

static void
numbers_are_whole_and_within_bounds(void **unused)
{
	uint64_t n = 77;

	(void)unused;
	assert_true(num_parse("0", 10, &n) && n == 0);
	assert_true(num_parse("10", 10, &n) && n == 10);
	assert_true(num_parse("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
	n = 77;
	assert_false(num_parse("11", 10, &n));
	assert_false(num_parse("18446744073709551616", UINT64_MAX, &n));
	assert_false(num_parse("99999999999999999999999", UINT64_MAX, &n));
	assert_false(num_parse("", 10, &n));
	assert_false(num_parse("-1", 10, &n));
	assert_false(num_parse("+1", 10, &n));
	assert_false(num_parse(" 1", 10, &n));
	assert_false(num_parse("1 ", 10, &n));
	assert_false(num_parse("1x", 10, &n));
	assert_false(num_parse("0x1", 10, &n));
	assert_true(n == 77);
}

static void
sizes_have_binary_units(void **unused)
{
	uint64_t n = 77;

	(void)unused;
	assert_true(num_parse_unit("4096", num_sizes, UINT64_MAX, &n) && n == 4096);
	assert_true(num_parse_unit("5B", num_sizes, UINT64_MAX, &n) && n == 5);
	assert_true(num_parse_unit("64KiB", num_sizes, UINT64_MAX, &n) && n == 65536);
	assert_true(num_parse_unit("2MiB", num_sizes, 2097152, &n) && n == 2097152);
	assert_true(num_parse_unit("1GiB", num_sizes, UINT64_MAX, &n) && n == 1073741824);
	n = 77;
	assert_false(num_parse_unit("2MiB", num_sizes, 2097151, &n));
	assert_false(num_parse_unit("18446744073709551615KiB", num_sizes, UINT64_MAX, &n));
	assert_false(num_parse_unit("1kB", num_sizes, UINT64_MAX, &n));
	assert_false(num_parse_unit("KiB", num_sizes, UINT64_MAX, &n));
	assert_false(num_parse_unit("1 KiB", num_sizes, UINT64_MAX, &n));
	assert_true(n == 77);
}

static void
durations_need_their_unit(void **unused)
{
	uint64_t ms = 77;

	(void)unused;
	assert_true(num_parse_duration("5ms", UINT64_MAX, &ms) && ms == 5);
	assert_true(num_parse_duration("60s", UINT64_MAX, &ms) && ms == 60000);
	assert_true(num_parse_duration("2min", UINT64_MAX, &ms) && ms == 120000);
	assert_true(num_parse_duration("1h", 3600000, &ms) && ms == 3600000);
	ms = 77;
	assert_false(num_parse_duration("60", UINT64_MAX, &ms));
	assert_false(num_parse_duration("1h", 3599999, &ms));
	assert_false(num_parse_duration("1d", UINT64_MAX, &ms));
	assert_true(ms == 77);
}

/* ---- secret ---- */

static void
secret_memory_is_zeroed_and_writable_to_its_end(void **unused)
{
	static const uint8_t zero[5000];
	uint8_t *bytes = secret_new(sizeof(zero));

	(void)unused;
	assert_non_null(bytes);
	assert_memory_equal(bytes, zero, sizeof(zero));
	memset(bytes, 0xff, sizeof(zero));
	secret_free(bytes, sizeof(zero));
	secret_free(NULL, 1);
}

/* What secret_free() leaves cannot be looked at; its wipe can. */
static void
a_wipe_leaves_zeros_and_touches_nothing_else(void **unused)
{
	uint8_t bytes[4] = {1, 2, 3, 4};

	(void)unused;
	secret_wipe(bytes + 1, 2);
	assert_memory_equal(bytes, ((uint8_t[]){1, 0, 0, 4}), sizeof(bytes));
}

static void
a_child_does_not_inherit_secrets(void **unused)
{
	uint8_t *secret = secret_new(1);
	int status;
	pid_t child;

	(void)unused;
	assert_non_null(secret);
	*secret = 42;
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(*secret);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	secret_free(secret, 1);
}

/* The flags of the mapping that `at` is in, as in "rd wr mr mw me ac ": smaps, proc(5). */
static void
flags_of(const void *at, char ret[static 200])
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uintptr_t from = 1, to = 0, start, end;
	char line[512];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			from = start;
			to = end;
		}
		if (from <= (uintptr_t)at && (uintptr_t)at < to &&
		    sscanf(line, "VmFlags: %199[^\n]", ret) == 1)
			break;
	}
	fclose(smaps);
}

static void
secret_memory_is_locked_and_in_no_dump(void **unused)
{
	uint8_t *bytes = secret_new(5000);
	char flags[200] = "";

	(void)unused;
	assert_non_null(bytes);
	flags_of(bytes + 4999, flags);
	assert_non_null(strstr(flags, "lo "));
	assert_non_null(strstr(flags, "dd "));
	assert_int_equal(secret_unlocked_bytes(), 0);
	secret_free(bytes, 5000);
}

/* `act` in a child, which gives its exit status. */
static int
status_of_child(int (*act)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(act());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Root may lock as much as it likes. */
static int
lock_more_than_the_limit(void)
{
	const struct rlimit none = {0, 0};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 1;
	if (secret_new(page + 1) == NULL || secret_new(1) == NULL)
		return 2;
	return secret_unlocked_bytes() == 3 * page ? 0 : 3;
}

static void
memory_that_cannot_be_locked_is_counted(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(lock_more_than_the_limit), 0);
}

static int
shield(void)
{
	struct rlimit core;

	if (prctl(PR_SET_DUMPABLE, 1) != 0)
		return 1;
	secret_shield();
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 2;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

static void
a_shielded_process_leaves_no_core_and_is_nobody_elses_to_trace(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(shield), 0);
}

static void
every_differing_bit_makes_secrets_unequal(void **unused)
{
	uint8_t a[9] = {0}, b[9] = {0};

	(void)unused;
	assert_true(secret_equal(a, b, sizeof(a)));
	assert_true(secret_equal(a, "x", 0));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] = (uint8_t)(1U << bit % 8);
		assert_false(secret_equal(a, b, sizeof(a)));
		b[bit / 8] = 0;
	}
}

static void
a_path_in_the_root_lies_in_the_root(void **unused)
{
	static const char *const paths[][2] = {{"/run/ekey-random/control", "/run/ekey-random"},
					       {"/run/x", "/run"},
					       {"/x", "/"},
					       {"/", "/"}};
	char directory[32];

	(void)unused;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		file_directory(paths[i][0], directory, sizeof(directory));
		assert_string_equal(directory, paths[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cursor_never_passes_its_end),
		cmocka_unit_test(words_are_little_endian),
		cmocka_unit_test(a_time_to_wait_is_in_seconds_and_microseconds),
		cmocka_unit_test(numbers_are_whole_and_within_bounds),
		cmocka_unit_test(sizes_have_binary_units),
		cmocka_unit_test(durations_need_their_unit),
		cmocka_unit_test(a_path_in_the_root_lies_in_the_root),
		cmocka_unit_test(secret_memory_is_zeroed_and_writable_to_its_end),
		cmocka_unit_test(a_wipe_leaves_zeros_and_touches_nothing_else),
		cmocka_unit_test(a_child_does_not_inherit_secrets),
		cmocka_unit_test(secret_memory_is_locked_and_in_no_dump),
		cmocka_unit_test(memory_that_cannot_be_locked_is_counted),
		cmocka_unit_test(a_shielded_process_leaves_no_core_and_is_nobody_elses_to_trace),
		cmocka_unit_test(every_differing_bit_makes_secrets_unequal),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
