/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv/keeper.h"
#include "priv/random.h"

#define PATIENCE_MS 20000

static const uint8_t bytes[PRIV_RANDOM_BYTES_MAX] = "no secret, and it need not be";

/* A keeper without credit needs no privilege: these tests run as anybody. */
static int
set_up(void **state)
{
	static int fd;

	fd = keeper_start();
	*state = &fd;
	return fd < 0;
}

/* The keeper is our only child. */
static int
tear_down(void **state)
{
	close(*(int *)*state);
	return wait(NULL) < 0;
}

static int
answer_of(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
	return keeper_answer(fd);
}

static void
every_order_has_one_answer(void **state)
{
	int fd = *(int *)*state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(keeper_feed(fd, bytes, 64, 0, false), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(answer_of(fd), 0);
	assert_int_equal(keeper_answer(fd), -EAGAIN);
}

static void
more_than_the_limits_is_refused(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(keeper_feed(fd, bytes, 0, 0, false), -EINVAL);
	assert_int_equal(keeper_feed(fd, bytes, sizeof(bytes) + 1, 0, false), -EINVAL);
	assert_int_equal(keeper_answer(fd), -EAGAIN);
	assert_int_equal(keeper_feed(fd, bytes, 2, 17, false), 0);
	assert_int_equal(answer_of(fd), -EINVAL);
	assert_int_equal(keeper_feed(fd, bytes, 2, 16, false), 0);
	assert_int_not_equal(answer_of(fd), -EINVAL); /* 0, or -EPERM of who is not root */
	assert_int_equal(keeper_feed(fd, bytes, sizeof(bytes), 0, true), 0);
	assert_int_equal(answer_of(fd), 0);
}

static void
a_message_that_is_too_short_ends_it(void **state)
{
	int fd = *(int *)*state;

	assert_int_equal(send(fd, bytes, 1, 0), 1);
	assert_int_equal(answer_of(fd), -EPIPE);
}

static void
a_message_that_is_too_long_ends_it(void **state)
{
	uint8_t message[2 * PRIV_RANDOM_BYTES_MAX] = {0};
	int fd = *(int *)*state;

	assert_int_equal(send(fd, message, sizeof(message), 0), sizeof(message));
	assert_int_equal(answer_of(fd), -EPIPE);
	assert_true(keeper_feed(fd, bytes, 64, 0, false) < 0);
}

/* One below its socket and one above, as a shell or a service manager may leave them. */
static void
it_holds_no_file_of_ours(void **state)
{
	struct pollfd end;
	int ends[2], high, keeper;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	high = fcntl(ends[1], F_DUPFD, 200);
	assert_true(high >= 200);
	keeper = keeper_start();
	assert_true(keeper >= 0);
	assert_int_equal(keeper_feed(keeper, bytes, 64, 0, false), 0);
	assert_int_equal(answer_of(keeper), 0); /* it has begun */
	close(ends[1]);
	close(high);
	end = (struct pollfd){.fd = ends[0]};
	assert_int_equal(poll(&end, 1, 0), 1);
	assert_true((end.revents & POLLHUP) != 0);
	close(ends[0]);
	close(keeper);
	assert_true(wait(NULL) > 0);
}

/* tear_down() waits for it: a keeper that stays would never let this program end. */
static void
it_ends_with_the_other_end_of_its_socket(void **state)
{
	assert_true(*(int *)*state >= 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_order_has_one_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_than_the_limits_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_that_is_too_short_ends_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_message_that_is_too_long_ends_it, set_up,
						tear_down),
		cmocka_unit_test(it_holds_no_file_of_ours),
		cmocka_unit_test_setup_teardown(it_ends_with_the_other_end_of_its_socket, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
