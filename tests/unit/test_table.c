/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "cuse/table.h"

static int
set_up(void **state)
{
	int fd;

	*state = table_new(&fd);
	close(fd);
	return *state == NULL;
}

static int
tear_down(void **state)
{
	table_free((struct table **)state);
	return 0;
}

static void
gives_every_file_once_and_then_none(void **state)
{
	struct table *t = *state;

	for (uint32_t i = 0; i < TABLE_FILES; i++)
		assert_int_equal(table_file_open(t, i), i);
	assert_int_equal(table_file_open(t, 0), TABLE_NONE);
	table_file_close(t, 17);
	table_file_close(t, 18);
	assert_int_equal(t->files_open, TABLE_FILES - 2);
	assert_int_equal(table_file_open(t, TABLE_FILES), 18);
	assert_int_equal(table_file_open(t, TABLE_FILES + 1), 17);
	assert_int_equal(t->files[17].uid, TABLE_FILES + 1);
	assert_int_equal(table_file_open(t, TABLE_FILES + 2), TABLE_NONE);
}

static void
gives_every_read_once_and_then_none(void **state)
{
	struct table *t = *state;

	assert_int_equal(TABLE_FILES, TABLE_READS);
	for (uint32_t i = 0; i < TABLE_READS; i++)
		assert_int_equal(table_read_add(t, table_file_open(t, i), i + 1, 16), i);
	assert_int_equal(table_read_add(t, 0, 1, 16), TABLE_NONE);
	assert_int_equal(t->files[7].reads, 1);
	table_read_remove(t, 5);
	table_read_remove(t, 3);
	assert_int_equal(t->reads_pending, TABLE_READS - 2);
	assert_int_equal(table_read_add(t, 5, 77, 16), 3);
	assert_int_equal(table_read_add(t, 3, 78, 16), 5);
	assert_int_equal(t->reads[5].unique, 78);
}

static void
one_user_cannot_take_the_last_quarter_of_the_files(void **state)
{
	struct table *t = *state;
	uint32_t other;

	for (uint32_t i = 0; i < TABLE_FILES / 4 * 3; i++)
		assert_int_equal(table_file_open(t, 7), i);
	assert_int_equal(table_file_open(t, 7), TABLE_NONE);
	other = table_file_open(t, 8);
	assert_int_not_equal(other, TABLE_NONE);
	assert_int_equal(table_file_open(t, 8), TABLE_NONE);
	table_file_close(t, other);
	assert_int_equal(table_file_open(t, 7), TABLE_NONE);
	table_file_close(t, 0);
	assert_int_equal(table_file_open(t, 7), 0);
}

/* Of many files, or of one. */
static void
one_user_cannot_take_the_last_quarter_of_the_reads(void **state)
{
	struct table *t = *state;
	uint32_t one = table_file_open(t, 7), two = table_file_open(t, 7);
	uint32_t other = table_file_open(t, 8);

	for (uint32_t i = 0; i < TABLE_READS / 4 * 3; i++)
		assert_int_equal(table_read_add(t, i % 2 == 0 ? one : two, i + 1, 16), i);
	assert_int_equal(table_read_add(t, one, 4000, 16), TABLE_NONE);
	assert_int_equal(table_read_add(t, table_file_open(t, 7), 4000, 16), TABLE_NONE);
	assert_int_not_equal(table_read_add(t, other, 4001, 16), TABLE_NONE);
	assert_int_equal(table_read_add(t, other, 4002, 16), TABLE_NONE);
}

static void
no_table_is_an_error_with_its_cause(void **state)
{
	struct rlimit before, none;
	int fd = 77;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	assert_null(table_new(&fd));
	assert_int_equal(errno, EMFILE);
	assert_int_equal(fd, 77);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
knows_open_files_only(void **state)
{
	struct table *t = *state;
	uint32_t file = table_file_open(t, 7);

	assert_ptr_equal(table_file(t, file), &t->files[file]);
	assert_null(table_file(t, file + 1));
	assert_null(table_file(t, UINT64_MAX));
	table_file_close(t, file);
	assert_null(table_file(t, file));
}

static void
keeps_no_more_of_the_handshake_than_fits(void **state)
{
	struct table *t = *state;
	uint8_t init[TABLE_INIT_MAX + 8];

	memset(init, 0xa5, sizeof(init));
	table_keep_init(t, 26, init, 64);
	assert_int_equal(t->init_len, 64);
	table_keep_init(t, 26, init, sizeof(init));
	assert_int_equal(t->init_len, TABLE_INIT_MAX);
	assert_int_equal(t->files[0].next_free, 0); /* what follows is as it was */
}

/* A kill between two instructions leaves chains and counts in any state, but entries whole. */
static void
resumes_entries_and_recounts_the_rest(void **state)
{
	struct table *t, *next;
	uint32_t kept, closed;
	int fd, next_fd;

	(void)state;
	t = table_new(&fd);
	closed = table_file_open(t, 1);
	kept = table_file_open(t, 2);
	table_read_add(t, kept, 77, 16);
	table_file_close(t, closed);
	table_keep_init(t, 26, "init", 4);
	t->files_free = kept;
	t->files_open = t->reads_pending = t->files[kept].reads = 4711;
	t->reads_free = 0;
	memcpy(t->request, "\x08\0\0\0hand", 8);
	assert_int_equal(table_resume(fd, &next, &next_fd), 0);
	assert_int_equal(next->files_open, 1);
	assert_int_equal(next->reads_pending, 1);
	assert_int_equal(next->files[kept].reads, 1);
	assert_memory_equal(next->request, "\x08\0\0\0hand", 8);
	assert_int_equal(table_file_open(next, 3), closed);
	assert_int_equal(table_read_add(next, kept, 78, 16), 1);
	assert_int_equal(table_generation(next_fd), 1);
	table_free(&next);
	table_free(&t);
	close(fd);
	close(next_fd);
}

/* A process of the previous daemon may have survived it. */
static void
a_process_that_maps_the_previous_table_cannot_change_the_resumed_one(void **state)
{
	struct table *t, *next;
	int fd, next_fd;

	(void)state;
	t = table_new(&fd);
	table_read_add(t, table_file_open(t, 1), 77, 16);
	table_keep_init(t, 26, "init", 4);
	assert_int_equal(table_resume(fd, &next, &next_fd), 0);
	t->reads[0].file = UINT32_MAX;
	t->files_used = UINT32_MAX;
	assert_int_equal(next->reads[0].file, 0);
	assert_int_equal(next->files_used, 1);
	table_free(&next);
	table_free(&t);
	close(fd);
	close(next_fd);
}

static void
refuses_to_resume(const struct table *t, size_t len, int error)
{
	struct table *next = NULL;
	int fd = memfd_create("state", MFD_CLOEXEC), next_fd = -1;

	assert_int_equal(pwrite(fd, t, len, 0), len);
	assert_int_equal(table_resume(fd, &next, &next_fd), error);
	assert_null(next);
	assert_int_equal(next_fd, -1);
	close(fd);
}

static void
refuses_state_that_is_short_or_inconsistent(void **state)
{
	struct table *t = *state;
	const size_t head = offsetof(struct table, files),
		     all = offsetof(struct table, request) + 4;

	refuses_to_resume(t, all, -EINVAL); /* no handshake */
	table_keep_init(t, 26, "init", 4);
	(void)table_file_open(t, 1);
	for (size_t len = 0; len < head; len++)
		refuses_to_resume(t, len, -EPROTO);
	refuses_to_resume(t, all - 1, -EPROTO);
	memset(t->path, 'x', sizeof(t->path));
	refuses_to_resume(t, all, -EINVAL);
	memset(t->path, 0, sizeof(t->path));
	t->files_used = TABLE_FILES + 1;
	refuses_to_resume(t, all, -EINVAL);
	t->files_used = 1;
	t->reads_used = UINT32_MAX;
	refuses_to_resume(t, all, -EINVAL);
	t->reads_used = 0;
	t->files[0].open = 2;
	refuses_to_resume(t, all, -EINVAL);
	t->files[0].open = 1;
	t->files[0].poll_wanted = 255;
	refuses_to_resume(t, all, -EINVAL);
	t->files[0].poll_wanted = 0;
	t->version++;
	refuses_to_resume(t, all, -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_every_file_once_and_then_none, set_up,
						tear_down),
		cmocka_unit_test(no_table_is_an_error_with_its_cause),
		cmocka_unit_test_setup_teardown(gives_every_read_once_and_then_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(one_user_cannot_take_the_last_quarter_of_the_files,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_user_cannot_take_the_last_quarter_of_the_reads,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_open_files_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_no_more_of_the_handshake_than_fits, set_up,
						tear_down),
		cmocka_unit_test(resumes_entries_and_recounts_the_rest),
		cmocka_unit_test(
			a_process_that_maps_the_previous_table_cannot_change_the_resumed_one),
		cmocka_unit_test_setup_teardown(refuses_state_that_is_short_or_inconsistent, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
