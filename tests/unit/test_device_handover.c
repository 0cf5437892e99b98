/* SPDX-License-Identifier: MIT */
/* A daemon is killed at any point and the next one resumes its device: the kernel sees a delay
 * only. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fuse_kernel.h"

/* The request that was taken last is not yet answered, as far as the table knows. */
static void
leave_in_hand(struct kernel *k, uint32_t opcode, uint64_t unique, const void *body, size_t len)
{
	struct fuse_in_header in = {.len = (uint32_t)(sizeof(in) + len),
				    .opcode = opcode,
				    .unique = unique,
				    .nodeid = FUSE_ROOT_ID,
				    .uid = 1000};

	memcpy(k->table->request, &in, sizeof(in));
	memcpy(k->table->request + sizeof(in), body, len);
}

static void
leave_read_in_hand(struct kernel *k, uint64_t unique, uint64_t fh, uint32_t size)
{
	const struct fuse_read_in in = {.fh = fh, .size = size};

	leave_in_hand(k, FUSE_READ, unique, &in, sizeof(in));
}

static void
sends_nothing_when_nothing_is_pending(void **state)
{
	struct kernel *k = *state;

	assert_int_equal(kernel_succeed(k), 0);
	assert_silent(k);
	assert_int_equal(kernel_succeed(k), 0);
	assert_silent(k);
}

static void
resumes_open_files(void **state)
{
	struct kernel *k = *state;
	uint64_t first = kernel_open(k, O_RDONLY, 0), second = kernel_open(k, O_RDONLY, 0);

	kernel_release(k, first);
	kernel_answer(k, k->unique);
	assert_int_equal(kernel_succeed(k), 0);
	source_put(k, 64);
	assert_read(k, kernel_read(k, second, 64, O_RDONLY), 64);
	assert_int_equal(kernel_answer(k, kernel_read(k, first, 64, O_RDONLY)), -EBADF);
	assert_int_equal(kernel_open(k, O_RDONLY, 0), first);
}

static void
answers_blocked_reads_of_the_previous_daemon(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);
	uint64_t first = kernel_read(k, fh, 64, O_RDONLY);
	uint64_t second = kernel_read(k, fh, 4096, O_RDONLY);

	assert_int_equal(kernel_succeed(k), 0);
	assert_silent(k);
	source_put(k, 64 + 256);
	assert_read(k, first, 64);
	assert_read(k, second, 256);
	assert_int_equal(k->table->reads_pending, 0);
}

static void
counts_bytes_granted_before_the_crash_as_lost(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0), unique = kernel_read(k, fh, 256, O_RDONLY);
	const struct table *status = k->table;

	source_put(k, 240);
	memset(k->seen, 1, k->position / 16); /* to see one of these would be twice */
	assert_int_equal(kernel_succeed(k), 0);
	assert_int_equal(status->account.lost, 240);
	source_put(k, 256);
	assert_read(k, unique, 256);
}

static void
interrupts_reads_of_the_previous_daemon(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0), unique = kernel_read(k, fh, 64, O_RDONLY);

	assert_int_equal(kernel_succeed(k), 0);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_silent(k);
}

static void
answers_a_read_that_was_taken_and_not_noted(void **state)
{
	struct kernel *k = *state;

	leave_read_in_hand(k, 4712, kernel_open(k, O_RDONLY, 0), 64);
	assert_int_equal(kernel_succeed(k), 0);
	source_put(k, 64);
	assert_read(k, 4712, 64);
}

static void
answers_a_noted_read_once(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0), unique = kernel_read(k, fh, 64, O_RDONLY);

	leave_read_in_hand(k, unique, fh, 64);
	assert_int_equal(kernel_succeed(k), 0);
	source_put(k, 128);
	assert_read(k, unique, 64);
	assert_silent(k);
}

static void
answers_an_open_that_was_taken(void **state)
{
	struct kernel *k = *state;
	const struct fuse_open_in in = {.flags = O_RDONLY};

	leave_in_hand(k, FUSE_OPEN, 4712, &in, sizeof(in));
	assert_int_equal(kernel_succeed(k), 0);
	assert_int_equal(kernel_answer(k, 4712), 0);
	assert_int_equal(k->table->files_open, 1);
}

static void
answers_no_finished_request_again(void **state)
{
	struct kernel *k = *state;

	kernel_open(k, O_RDONLY, 0);
	assert_int_equal(kernel_succeed(k), 0);
	assert_silent(k);
	assert_int_equal(k->table->files_open, 1);
}

static void
cuts_a_read_longer_than_the_largest_reply(void **state)
{
	struct kernel *k = *state;
	uint64_t unique = kernel_read(k, kernel_open(k, O_RDONLY, 0), 4096, O_RDONLY);

	k->table->reads[0].asked = 2 * REQUESTS_REPLY_MAX;
	assert_int_equal(kernel_succeed(k), 0);
	assert_int_equal(k->table->reads[0].asked, REQUESTS_REPLY_MAX);
	source_put(k, 256);
	assert_read(k, unique, 256);
}

static void
wakes_armed_polls_which_can_be_armed_again(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_poll(k, fh, 4711, true), 0);
	assert_int_equal(kernel_succeed(k), 0);
	assert_notified(k, 4711);
	assert_int_equal(kernel_poll(k, fh, 4711, true), 0);
	source_put(k, 64);
	assert_notified(k, 4711);
	assert_read(k, kernel_read(k, fh, 64, O_RDONLY | O_NONBLOCK), 64);
}

static void
counts_deliveries_over_all_daemons(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);
	const struct table *status = k->table;

	for (int i = 0; i < 3; i++) {
		source_put(k, 64);
		assert_read(k, kernel_read(k, fh, 64, O_RDONLY), 64);
		assert_int_equal(kernel_succeed(k), 0);
	}
	assert_int_equal(status->account.delivered, 192);
	assert_int_equal(status->account.requests, 3);
	assert_int_equal(status->files_open, 1);
}

static void
refuses_state_of_another_version(void **state)
{
	struct kernel *k = *state;

	k->table->version++;
	assert_int_equal(kernel_succeed(k), -EPROTO);
}

static void
refuses_inconsistent_state(void **state)
{
	struct kernel *k = *state;

	kernel_read(k, kernel_open(k, O_RDONLY, 0), 64, O_RDONLY);
	k->table->reads[0].asked = 0;
	assert_int_equal(kernel_succeed(k), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(sends_nothing_when_nothing_is_pending),
		BOTH(resumes_open_files),
		BOTH(answers_blocked_reads_of_the_previous_daemon),
		BOTH(counts_bytes_granted_before_the_crash_as_lost),
		BOTH(interrupts_reads_of_the_previous_daemon),
		BOTH(answers_a_read_that_was_taken_and_not_noted),
		BOTH(answers_a_noted_read_once),
		BOTH(answers_an_open_that_was_taken),
		BOTH(answers_no_finished_request_again),
		BOTH(cuts_a_read_longer_than_the_largest_reply),
		BOTH(wakes_armed_polls_which_can_be_armed_again),
		BOTH(counts_deliveries_over_all_daemons),
		BOTH(refuses_state_of_another_version),
		BOTH(refuses_inconsistent_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
