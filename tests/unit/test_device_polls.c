/* SPDX-License-Identifier: MIT */
/* Polls: answered at once, notified later, and waiters as readers are. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fuse_kernel.h"

static void
poll_is_answered_at_once_and_notified_later(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_poll(k, fh, 77, false), 0);
	source_put(k, 64);
	assert_silent(k); /* nobody sleeps */
	assert_int_equal(kernel_poll(k, fh, 77, true), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 64, O_NONBLOCK), 64);
	assert_int_equal(kernel_poll(k, fh, 77, true), 0);
	source_put(k, 64);
	assert_notified(k, 77);
	assert_int_equal(kernel_poll(k, fh, 77, false), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 64);
}

static void
a_poll_of_a_file_that_is_not_open_is_answered(void **state)
{
	struct kernel *k = *state;
	const struct fuse_poll_in in = {.fh = 3, .kh = 9, .flags = FUSE_POLL_SCHEDULE_NOTIFY};

	assert_int_equal(kernel_answer(k, kernel_ask(k, FUSE_POLL, &in, sizeof(in))), -EBADF);
	source_put(k, 64);
	assert_silent(k);
}

static void
an_edge_triggered_poller_hears_of_every_edge(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	source_put(k, 80);
	assert_int_equal(kernel_poll(k, fh, 5, true), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 256, O_NONBLOCK), 80);
	assert_int_equal(kernel_answer(k, kernel_read(k, fh, 256, O_NONBLOCK)), -EAGAIN);
	source_put(k, 64); /* no other poll in between */
	assert_notified(k, 5);
}

/* As QEMU does: what a turn lacks is waited for, asleep, and is never read in pieces. */
static void
who_polls_is_served_in_whole_turns(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	source_put(k, 32);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(kernel_poll(k, fh, 3, true), 0);
		assert_int_equal(kernel_answer(k, kernel_read(k, fh, 64, O_NONBLOCK)), -EAGAIN);
		source_put(k, 16);
	}
	assert_notified(k, 3);
	assert_int_equal(kernel_poll(k, fh, 3, true), POLLIN | POLLRDNORM);
	assert_read(k, kernel_read(k, fh, 64, O_NONBLOCK), 64);
}

/* As cryptsetup does. What is over of a turn is the beginning of the next. */
static void
who_polls_and_asks_for_less_gets_that(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	source_put(k, 48);
	assert_int_equal(kernel_poll(k, fh, 3, true), 0);
	assert_read(k, kernel_read(k, fh, 16, O_NONBLOCK), 16);
	source_put(k, 32);
	assert_notified(k, 3);
	assert_read(k, kernel_read(k, fh, 16, O_NONBLOCK), 16);
	assert_int_equal(kernel_poll(k, fh, 3, true), 0);
	source_put(k, 16);
	assert_notified(k, 3);
	assert_read(k, kernel_read(k, fh, 64, O_NONBLOCK), 64);
}

static void
an_armed_poll_has_its_bytes_to_itself(void **state)
{
	struct kernel *k = *state;
	uint64_t poller = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);
	uint64_t thief = kernel_open(k, O_RDONLY | O_NONBLOCK, 0);

	assert_int_equal(kernel_poll(k, poller, 1, true), 0);
	source_put(k, 64);
	assert_notified(k, 1);
	assert_int_equal(kernel_answer(k, kernel_read(k, thief, 64, O_NONBLOCK)), -EAGAIN);
	assert_read(k, kernel_read(k, poller, 64, O_NONBLOCK), 64);
}

static void
a_released_poll_is_never_notified(void **state)
{
	struct kernel *k = *state;
	uint64_t fh = kernel_open(k, O_RDONLY, 0);

	assert_int_equal(kernel_poll(k, fh, 9, true), 0);
	kernel_release(k, fh);
	assert_int_equal(kernel_answer(k, k->unique), 0);
	source_put(k, 64);
	assert_silent(k);
}

static void
polls_beyond_the_limit_are_notified_in_their_turn(void **state)
{
	struct kernel *k = *state;
	unsigned heard = 0;

	/* One uid may hold 16 of the 64 waiters: 24 polls want a place. */
	for (uint64_t kh = 0; kh < 24; kh++)
		assert_int_equal(kernel_poll(k, kernel_open(k, O_RDONLY, 0), kh + 1, true), 0);
	for (int i = 0; i < 24; i++)
		source_put(k, 64);
	while (kernel_hear(k))
		heard++;
	assert_int_equal(heard, 24);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(poll_is_answered_at_once_and_notified_later),
		BOTH(a_poll_of_a_file_that_is_not_open_is_answered),
		BOTH(an_edge_triggered_poller_hears_of_every_edge),
		BOTH(who_polls_is_served_in_whole_turns),
		BOTH(who_polls_and_asks_for_less_gets_that),
		BOTH(an_armed_poll_has_its_bytes_to_itself),
		BOTH(a_released_poll_is_never_notified),
		BOTH(polls_beyond_the_limit_are_notified_in_their_turn),
	};

	return cmocka_run_group_tests_name("device_polls", tests, NULL, NULL);
}
