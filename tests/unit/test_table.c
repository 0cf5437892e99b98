/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
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

/* A kill between two instructions leaves chains and counts as they come, but entries as they are.
 */
static void
an_heir_believes_entries_and_nothing_else(void **state)
{
	struct table *t, *heir;
	uint32_t kept, closed;
	int fd;

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
	assert_int_equal(table_adopt(fd, &heir), 0);
	assert_int_equal(heir->files_open, 1);
	assert_int_equal(heir->reads_pending, 1);
	assert_int_equal(heir->files[kept].reads, 1);
	assert_int_equal(table_file_open(heir, 3), closed);
	assert_int_equal(table_read_add(heir, kept, 78, 16), 1);
	table_free(&heir);
	table_free(&t);
	close(fd);
}

static void
a_table_of_another_layout_is_refused(void **state)
{
	struct table *heir;
	int fd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, sizeof(struct table) + 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(table_adopt(fd, &heir), -EPROTO);
	close(fd);
}

static void
what_can_change_its_size_is_no_table(void **state)
{
	struct table *heir;
	int fd = memfd_create("none", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, sizeof(struct table)), 0);
	assert_int_equal(table_adopt(fd, &heir), -EINVAL);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_every_file_once_and_then_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(gives_every_read_once_and_then_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(one_user_cannot_take_the_last_quarter_of_the_files,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_user_cannot_take_the_last_quarter_of_the_reads,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_open_files_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_no_more_of_the_handshake_than_fits, set_up,
						tear_down),
		cmocka_unit_test(an_heir_believes_entries_and_nothing_else),
		cmocka_unit_test(a_table_of_another_layout_is_refused),
		cmocka_unit_test(what_can_change_its_size_is_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
