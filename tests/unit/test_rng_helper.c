/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>

#include "lib/priv/random.h"
#include "lib/priv/rng_helper.h"

#define PATIENCE_MS 20000

static const uint8_t bytes[PRIV_RANDOM_BYTES_MAX] = "no secret, and it need not be";

/* Without credit it needs no privilege: these tests run as any user. */
static int
set_up(void **state)
{
	static struct helper helper;

	*state = &helper;
	return helper_start(&helper, &rng_helper_role, NULL, NULL);
}

static int
tear_down(void **state)
{
	helper_stop(*state);
	return 0;
}

static int
answer_of(struct helper *helper)
{
	struct pollfd one = {.fd = helper->fd, .events = POLLIN};

	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
	return rng_helper_answer(helper);
}

static void
every_request_has_one_answer(void **state)
{
	struct helper *helper = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rng_helper_feed(helper, bytes, 64, 0, false), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(answer_of(helper), 0);
	assert_int_equal(rng_helper_answer(helper), -EAGAIN);
	assert_int_equal(rng_helper_feed_and_wait(helper, bytes, 64, 0, false), 0);
}

static void
more_than_the_limits_is_refused(void **state)
{
	struct helper *helper = *state;

	assert_int_equal(rng_helper_feed(helper, bytes, 0, 0, false), -EINVAL);
	assert_int_equal(rng_helper_feed(helper, bytes, sizeof(bytes) + 1, 0, false), -EINVAL);
	assert_int_equal(rng_helper_answer(helper), -EAGAIN);
	assert_int_equal(rng_helper_feed(helper, bytes, 2, 17, false), 0);
	assert_int_equal(answer_of(helper), -EINVAL);
	assert_int_equal(rng_helper_feed(helper, bytes, 2, 16, false), 0);
	assert_int_not_equal(answer_of(helper), -EINVAL); /* 0, or -EPERM of who is not root */
	assert_int_equal(rng_helper_feed(helper, bytes, sizeof(bytes), 0, true), 0);
	assert_int_equal(answer_of(helper), 0);
}

/* The limits are the helper's, whatever its user sends. */
static void
a_length_beyond_its_bytes_is_refused(void **state)
{
	struct helper *helper = *state;
	uint32_t request[(12 + PRIV_RANDOM_BYTES_MAX) / 4] = {PRIV_RANDOM_BYTES_MAX + 1};

	assert_int_equal(helper_send(helper, request, -1), 0);
	assert_int_equal(answer_of(helper), -EINVAL);
	request[1] = 8;
	assert_int_equal(helper_send(helper, request, -1), 0);
	assert_int_equal(answer_of(helper), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(int argc, char **argv)
{
	static const struct helper_role *const roles[] = {&rng_helper_role, NULL};
	const struct CMUnitTest tests[] = {
		TEST(every_request_has_one_answer),
		TEST(more_than_the_limits_is_refused),
		TEST(a_length_beyond_its_bytes_is_refused),
	};

	(void)argc;
	helper_main(roles, argv);
	return cmocka_run_group_tests_name("rng helper", tests, NULL, NULL);
}
