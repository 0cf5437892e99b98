/* SPDX-License-Identifier: MIT */
/* Reads: how much they get, when, and how they end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "tests/unit/fuse_kernel.h"
#include "tests/unit/log_lines.h"
#include "tests/unit/secret_scan.h"

/* ---- how much ---- */

static void
reads_what_is_there_at_once(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	source_put(k, 1024);
	assert_read(k, kernel_read(k, fh, 16, O_RDONLY), 16);
	assert_read(k, kernel_read(k, fh, 4096, O_RDONLY), 1008);
	assert_balanced(k, 1024, 0);
}

static void
reads_of_nothing_are_empty(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_read(k, kernel_read(k, fh, 0, O_RDONLY), 0);
	assert_read(k, kernel_read(k, fh, 0, O_RDONLY | O_NONBLOCK), 0);
}

static void
blocking_reads_of_up_to_256_are_whole(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 256, O_RDONLY);
	for (int i = 0; i < 15; i++) {
		source_put(k, 16);
		assert_silent(k);
	}
	source_put(k, 16);
	assert_read(k, unique, 256);
	assert_balanced(k, 256, 0);
}

static void
longer_blocking_reads_get_at_least_256_and_what_more_there_is(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 1024, O_RDONLY);
	source_put(k, 240);
	assert_silent(k);
	source_put(k, 160);
	assert_read(k, unique, 400);
	unique = kernel_read(k, fh, 272, O_RDONLY);
	source_put(k, 1024);
	assert_read(k, unique, 272);
}

static void
no_answer_is_longer_than_the_limit(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	for (int i = 0; i < 16; i++)
		source_put(k, 4096);
	assert_read(k, kernel_read(k, fh, 131072, O_RDONLY), REQUESTS_REPLY_MAX);
}

static void
nonblocking_reads_get_what_is_there_else_eagain(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_NONBLOCK)), -EAGAIN);
	source_put(k, 32);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 32);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_NONBLOCK)), -EAGAIN);
	assert_int_equal(k->table->reads_pending, 0);
}

static void
nobody_takes_what_another_waits_for(void **state)
{
	struct kernel *k = *state;
	uint64_t first = kernel_open(k, O_RDONLY, 0), second = kernel_open(k, O_RDONLY, 0);
	uint64_t unique = kernel_read(k, first, 64, O_RDONLY);

	source_put(k, 32);
	assert_int_equal(kernel_answer(k, kernel_read(k, second, 16, O_NONBLOCK)), -EAGAIN);
	source_put(k, 32);
	assert_read(k, unique, 64);
}

/* Neither what a long read takes beside what it gathered, nor what was not heard, is one more. */
static void
requests_are_counted_once_and_when_they_were_answered(void **state)
{
	struct kernel *k = *state;
	const struct table *status = k->table;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	assert_read(k, kernel_read(k, fh, 0, O_RDONLY), 0);
	unique = kernel_read(k, fh, 4096, O_RDONLY);
	source_put(k, 1024);
	assert_read(k, unique, 1024);
	assert_int_equal(status->account.requests, 1);
	kernel_read(k, fh, 4096, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 320);
	kernel_deaf(k, false);
	assert_int_equal(status->account.requests, 1);
	assert_balanced(k, 1024, 320);
}

static void
never_called(struct pool_waiter *waiter, void *arg)
{
	(void)arg;
	assert_null(waiter);
	fail();
}

/* Four others have as much as each of them can. */
static void
last_blocked_reads_of_all_are_for_users_without_one(void **state)
{
	struct kernel *k = *state;
	struct pool_account account = {0};
	struct pool_handle others[4];
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	for (unsigned i = 0; i < 4; i++) {
		const struct pool_client client = {.number = i, .weight = 1};

		assert_true(pool_handle_open(k->pool, &others[i], &account, &client));
		for (unsigned n = 0; n < (i < 3 ? 16 : 8); n++)
			assert_non_null(pool_wait(k->pool, &others[i], 8, never_called, NULL));
	}
	kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_RDONLY)), -EAGAIN);
	for (unsigned i = 0; i < 4; i++)
		pool_handle_close(k->pool, &others[i]);
	kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
}

static void
reads_beyond_the_limit_get_eagain(void **state)
{
	struct kernel *k = *state;
	uint64_t unique = 0, fh = kernel_open(k, O_RDONLY, 0);
	int err = log_lines_begin();

	for (int i = 0; i < 16; i++)
		unique = kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 16, O_RDONLY)), -EAGAIN);
	assert_int_equal(log_lines_count("too many blocked reads, one of uid 1000 was refused"), 1);
	log_lines_end(err);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	kernel_read(k, fh, 16, O_RDONLY);
	assert_silent(k);
}

/* ---- how they end ---- */

static void
an_interrupt_without_bytes_is_eintr(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 64, O_RDONLY);
	kernel_interrupt(k, unique);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_silent(k);
	source_put(k, 64);
	assert_silent(k);
	assert_read(k, kernel_read(k, fh, 64, O_RDONLY), 64);
	assert_balanced(k, 64, 0);
}

static void
an_interrupt_with_bytes_delivers_them(void **state)
{
	struct kernel *k = *state;
	const struct table *status = k->table;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	unique = kernel_read(k, fh, 256, O_RDONLY);
	source_put(k, 48);
	kernel_interrupt(k, unique);
	assert_read(k, unique, 48);
	assert_int_equal(status->interrupted, 1);
	assert_balanced(k, 48, 0);
}

static void
an_interrupt_that_overtakes_its_read_is_not_forgotten(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	kernel_interrupt(k, k->unique + 2);
	unique = kernel_read(k, fh, 64, O_RDONLY);
	assert_int_equal(kernel_answer(k, unique), -EINTR);
	assert_int_equal(k->table->reads_pending, 0);
}

static void
an_interrupt_of_an_answered_read_is_put_off(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	source_put(k, 64);
	unique = kernel_read(k, fh, 64, O_RDONLY);
	assert_read(k, unique, 64);
	kernel_interrupt(k, unique);
	/* libfuse gives it back with the next request: the kernel asks again if it still cares */
	kernel_read(k, fh, 16, O_NONBLOCK);
	assert_int_equal(kernel_answer(k, unique | 1), -EAGAIN);
	assert_int_equal(kernel_answer(k, k->unique), -EAGAIN);
	assert_balanced(k, 64, 0);
}

static void
a_release_ends_the_reads_of_its_file(void **state)
{
	struct kernel *k = *state;
	uint64_t other = kernel_open(k, O_RDONLY, 0), fh = kernel_open(k, O_RDONLY, 0);
	uint64_t unique[3];

	for (int i = 0; i < 3; i++)
		unique[i] = kernel_read(k, i == 1 ? other : fh, 64, O_RDONLY);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, unique[0]), -EINTR);
	assert_int_equal(kernel_answer(k, unique[2]), -EINTR);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	source_put(k, 64);
	assert_read(k, unique[1], 64);
	kernel_answer(k, kernel_read(k, fh, 16, O_RDONLY));
	assert_int_equal(k->out->error, -EBADF);
	assert_balanced(k, 64, 0);
}

static void
an_answer_that_fails_is_lost_and_never_served_again(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	kernel_read(k, fh, 64, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 64);
	kernel_deaf(k, false);
	assert_silent(k);
	assert_balanced(k, 0, 64);
	unique = kernel_read(k, fh, 512, O_RDONLY);
	kernel_deaf(k, true);
	source_put(k, 320);
	kernel_deaf(k, false);
	assert_silent(k);
	assert_balanced(k, 0, 64 + 320);
	source_put(k, 256);
	unique = kernel_read(k, fh, 256, O_RDONLY);
	assert_int_equal(kernel_answer(k, unique), 0);
	assert_int_equal(load_le64(k->body), 24); /* the first block after those 384 bytes */
	assert_balanced(k, 256, 384);
}

/* The kernel takes the request's answer no more, as for a reader that was killed: EPIPE here. */
static void
an_immediate_answer_that_fails_is_lost_and_never_served_again(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);
	const struct table *status = k->table;

	source_put(k, 96);
	signal(SIGPIPE, SIG_IGN);
	shutdown(k->fd, SHUT_RD);
	kernel_read(k, fh, 64, O_RDONLY);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(status->account.requests, 0);
	assert_balanced(k, 0, 64);
}

/* Block `number` of the source's, which is in secret memory or not. */
static bool
is_held(uint64_t number)
{
	uint8_t block[16];

	store_le64(block, number);
	store_le64(block + 8, ~number);
	return secret_scan(block, sizeof(block)) > 0;
}

static void
what_was_read_is_nowhere_in_our_memory(void **state)
{
	struct kernel *k = *state;
	uint64_t unique, fh = kernel_open(k, O_RDONLY, 0);

	source_put(k, 64);
	assert_true(is_held(3));
	assert_read(k, kernel_read(k, fh, 64, O_RDONLY), 64);
	for (uint64_t number = 1; number < 4; number++) /* 0 looks like other things */
		assert_false(is_held(number));
	unique = kernel_read(k, fh, 1024, O_RDONLY);
	source_put(k, 512);
	assert_read(k, unique, 512);
	for (uint64_t number = 4; number < 36; number++)
		assert_false(is_held(number));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(reads_what_is_there_at_once),
		BOTH(reads_of_nothing_are_empty),
		BOTH(blocking_reads_of_up_to_256_are_whole),
		BOTH(longer_blocking_reads_get_at_least_256_and_what_more_there_is),
		BOTH(no_answer_is_longer_than_the_limit),
		BOTH(nonblocking_reads_get_what_is_there_else_eagain),
		BOTH(nobody_takes_what_another_waits_for),
		BOTH(an_interrupt_without_bytes_is_eintr),
		BOTH(an_interrupt_with_bytes_delivers_them),
		BOTH(an_interrupt_that_overtakes_its_read_is_not_forgotten),
		BOTH(an_interrupt_of_an_answered_read_is_put_off),
		BOTH(a_release_ends_the_reads_of_its_file),
		BOTH(an_answer_that_fails_is_lost_and_never_served_again),
		BOTH(an_immediate_answer_that_fails_is_lost_and_never_served_again),
		BOTH(what_was_read_is_nowhere_in_our_memory),
		BOTH(requests_are_counted_once_and_when_they_were_answered),
		BOTH(reads_beyond_the_limit_get_eagain),
		BOTH(last_blocked_reads_of_all_are_for_users_without_one),
	};

	return cmocka_run_group_tests_name("device_reads", tests, NULL, NULL);
}
