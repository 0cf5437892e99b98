/* SPDX-License-Identifier: MIT */
/* The file that the device is, and what it says to all but reads and polls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuse_kernel.h"

static void
keeps_the_handshake_for_a_next_generation(void **state)
{
	struct kernel *k = *state;
	const struct table *t = k->table;
	bool fuse = strcmp(k->kind.name, "fuse") == 0;

	assert_int_equal(t->init_opcode, fuse ? FUSE_INIT : CUSE_INIT);
	assert_int_equal(t->init_len,
			 fuse ? sizeof(struct fuse_init_in) : sizeof(struct cuse_init_in));
	assert_int_equal(t->init[0], 7);
}

static void
refuses_every_kind_of_writing(void **state)
{
	struct kernel *k = *state;

	kernel_open(k, O_WRONLY, -EACCES);
	kernel_open(k, O_RDWR, -EACCES);
	kernel_open(k, O_RDONLY, 0);
}

static void
says_enfile_when_no_more_files_can_be_open(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = 0;

	for (int i = 0; i < 64; i++)
		fh = kernel_open(k, O_RDONLY, 0);
	kernel_open(k, O_RDONLY, -ENFILE);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	kernel_open(k, O_RDONLY, 0);
}

static void
fuse_opens_are_streams_that_never_flush(void **state)
{
	struct kernel *k = *state;
	struct fuse_open_out out;

	kernel_open(k, O_RDONLY, 0);
	memcpy(&out, k->body, sizeof(out));
	if (strcmp(k->kind.name, "fuse") == 0)
		assert_int_equal(out.open_flags, FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NOFLUSH);
	else
		assert_int_equal(out.open_flags, FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE);
}

static void
flush_is_unknown_so_that_closing_never_waits(void **state)
{
	struct kernel *k = *state;
	struct fuse_flush_in in = {.fh = kernel_open(k, O_RDONLY, 0)};

	assert_int_equal(kernel_answer(k, kernel_ask(k, FUSE_FLUSH, &in, sizeof(in))), -ENOSYS);
}

static void
the_pool_is_counted_in_bits(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);
	int bits;

	source_put(k, 4096);
	assert_int_equal(kernel_ioctl(k, fh, RNDGETENTCNT, sizeof(bits)), 0);
	assert_int_equal(k->body_len, sizeof(struct fuse_ioctl_out) + sizeof(bits));
	memcpy(&bits, k->body + sizeof(struct fuse_ioctl_out), sizeof(bits));
	assert_int_equal(bits, 32768);
	assert_int_equal(kernel_ioctl(k, fh, RNDGETENTCNT, 0), -EINVAL);
}

static void
nobody_adds_or_discards_entropy(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_int_equal(kernel_ioctl(k, fh, RNDADDENTROPY, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDADDTOENTCNT, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDZAPENTCNT, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDCLEARPOOL, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, RNDRESEEDCRNG, 0), -EPERM);
	assert_int_equal(kernel_ioctl(k, fh, 0x5401, 0), -EINVAL);
}

static void
the_table_says_all_that_is_pending(void **state)
{
	struct kernel *k = *state;
	const struct table *t = k->table;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 200, O_RDONLY);
	kernel_poll(k, fh, 4711, true);
	assert_int_equal(t->reads_pending, 1);
	assert_int_equal(t->reads[0].unique, unique);
	assert_int_equal(t->reads[0].file, fh);
	assert_int_equal(t->reads[0].asked, 200);
	assert_int_equal(t->files[fh].uid, 1000);
	assert_true(t->files[fh].poll_wanted);
	assert_int_equal(t->files[fh].poll_handle, 4711);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_int_equal(t->reads_pending, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(keeps_the_handshake_for_a_next_generation),
		BOTH(refuses_every_kind_of_writing),
		BOTH(says_enfile_when_no_more_files_can_be_open),
		BOTH(fuse_opens_are_streams_that_never_flush),
		BOTH(flush_is_unknown_so_that_closing_never_waits),
		BOTH(the_pool_is_counted_in_bits),
		BOTH(nobody_adds_or_discards_entropy),
		BOTH(the_table_says_all_that_is_pending),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
