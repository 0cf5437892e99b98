/* SPDX-License-Identifier: MIT */
/* The feed of the kernel, with the test as its helper: it takes the requests and answers them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/kernel_feed.h"
#include "lib/priv/rng_helper.h"
#include "lib/secret.h"
#include "tests/unit/stack_scan.h"
#include "tests/unit/stopped_clock.h"

#define MESSAGE_MAX 2048
#define RESERVE 256

struct rig {
	struct event_base *base;
	struct pool *pool;
	struct helper rng; /* with the feed's end of the socket */
	struct helper none;
	struct helper_role role;
	int helper;      /* its end */
	uint32_t number; /* of the last request */
	unsigned credit;
	struct kernel_feed *feed;
	uint8_t next; /* of the stream: 0, 1, 2... */
	uint8_t message[MESSAGE_MAX];
	ssize_t message_len;
};

static unsigned
rig_credit(void *arg)
{
	return ((struct rig *)arg)->credit;
}

static void
start_as(struct rig *r, bool credit, size_t bytes, uint64_t interval_ms)
{
	struct helper *rng = credit ? &r->rng : &r->none;
	const struct kernel_env env = {
		.base = r->base, .pool = r->pool, .rng = rng, .credit = rig_credit, .arg = r};
	const struct kernel_config config = {
		.bytes = bytes, .interval_ms = interval_ms, .credit = credit};

	r->feed = kernel_feed_new(&env, &config);
	assert_non_null(r->feed);
}

static void
start(struct rig *r, size_t bytes, uint64_t interval_ms)
{
	start_as(r, true, bytes, interval_ms);
}

static int
set_up(void **state)
{
	const struct pool_config config = {.size = POOL_SIZE_MIN + RESERVE,
					   .reserve = RESERVE,
					   .max_handles = 8,
					   .max_waiters = 8};
	struct rig *r = calloc(1, sizeof(*r));
	int ends[2];

	*state = r;
	r->credit = 7;
	r->base = event_base_new();
	r->pool = pool_new(&config);
	if (r->base == NULL || r->pool == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	r->role = rng_helper_role;
	r->none = HELPER_NONE;
	r->rng = (struct helper){.role = &r->role, .fd = ends[0], .pidfd = -1};
	r->helper = ends[1];
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	kernel_feed_free(&r->feed);
	helper_stop(&r->rng);
	if (r->helper >= 0)
		close(r->helper);
	pool_free(&r->pool);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* The next `len` bytes of the stream come into the pool. */
static void
put(struct rig *r, size_t len)
{
	uint8_t bytes[512];

	for (size_t i = 0; i < len; i++)
		bytes[i] = r->next++;
	assert_int_equal(pool_put(r->pool, bytes, len), len);
	secret_wipe(bytes, sizeof(bytes));
}

static bool
ordered(struct rig *r)
{
	r->message_len = recv(r->helper, r->message, sizeof(r->message), 0);
	if (r->message_len > 0)
		memcpy(&r->number, r->message, sizeof(r->number));
	return r->message_len > 0;
}

/* The loop runs until an order has come. */
static void
await_order(struct rig *r)
{
	while (!ordered(r))
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
}

/* The order has these bytes of the stream: from `first` on. */
static void
assert_ordered(const struct rig *r, uint8_t first, size_t len)
{
	uint8_t bytes[256];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
	assert_non_null(memmem(r->message, (size_t)r->message_len, bytes, len));
	bytes[len] = (uint8_t)(first + len);
	assert_null(memmem(r->message, (size_t)r->message_len, bytes, len + 1));
}

static struct kernel_status
status_of(const struct rig *r)
{
	struct kernel_status status;

	kernel_feed_status(r->feed, &status);
	return status;
}

static struct kernel_status
answer(struct rig *r, int32_t result)
{
	const struct {
		uint32_t number;
		int32_t result;
	} message = {r->number, result};

	assert_int_equal(send(r->helper, &message, sizeof(message), 0), sizeof(message));
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	return status_of(r);
}

static void
feeds_at_once_what_the_pool_has(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	put(r, 100);
	start(r, 64, 60000);
	assert_true(ordered(r));
	assert_ordered(r, 0, 64);
	assert_string_equal(status_of(r).state, "handing over");
	status = answer(r, 0);
	assert_int_equal(status.feeds, 1);
	assert_int_equal(status.failures, 0);
	assert_int_equal(status.credited_bits, 64 * 7);
	assert_int_equal(status.account.delivered, 64);
	assert_string_equal(status.state, "fed");
	assert_false(ordered(r));
}

static void
waits_for_bytes_and_takes_them_whole(void **state)
{
	struct rig *r = *state;

	start(r, 64, 60000);
	assert_string_equal(status_of(r).state, "waiting for bytes");
	put(r, 32);
	assert_false(ordered(r));
	put(r, 32);
	assert_true(ordered(r));
	assert_ordered(r, 0, 64);
	assert_int_equal(answer(r, 0).account.delivered, 64);
}

static void
credits_by_the_sources_at_that_time(void **state)
{
	struct rig *r = *state;

	start(r, 64, 60000);
	r->credit = 3;
	put(r, 64);
	assert_true(ordered(r));
	assert_int_equal(answer(r, 0).credited_bits, 64 * 3);
}

static void
refused_bytes_are_counted_as_lost_and_the_feed_is_retried(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	put(r, 128);
	start(r, 64, 1);
	assert_true(ordered(r));
	status = answer(r, -EIO);
	assert_int_equal(status.failures, 1);
	assert_int_equal(status.error, -EIO);
	assert_int_equal(status.account.lost, 64);
	assert_int_equal(status.account.delivered, 0);
	await_order(r);
	assert_ordered(r, 64, 64);
	status = answer(r, 0);
	assert_int_equal(status.feeds, 1);
	assert_int_equal(status.error, 0);
}

/* After a feed without credit only the interval counts, and it is short here. */
static void
a_new_measure_holds_from_the_next_feed_on(void **state)
{
	const struct kernel_config less = {.bytes = 16, .interval_ms = 1, .credit = true};
	struct rig *r = *state;

	r->credit = 0;
	put(r, 128);
	start(r, 64, 1);
	assert_true(ordered(r));
	kernel_feed_configure(r->feed, &less);
	(void)answer(r, 0);
	await_order(r);
	assert_ordered(r, 64, 16);
}

/* Without a wait, and once: one that waits for the pool's next bytes is all that can be done. */
static void
feeds_at_once_on_demand(void **state)
{
	struct rig *r = *state;

	put(r, 128);
	start(r, 64, 3600000);
	assert_true(ordered(r));
	(void)answer(r, 0);
	assert_false(ordered(r));
	kernel_feed_now(r->feed);
	assert_true(ordered(r));
	assert_ordered(r, 64, 64);
	assert_int_equal(answer(r, 0).feeds, 2);
	kernel_feed_now(r->feed);
	kernel_feed_now(r->feed);
	assert_string_equal(status_of(r).state, "waiting for bytes");
	put(r, 64);
	assert_true(ordered(r));
	assert_int_equal(answer(r, 0).feeds, 3);
}

/* What the helper had already may be another clone's, too. */
static void
feeds_again_on_demand_after_a_feed_in_progress(void **state)
{
	struct rig *r = *state;

	put(r, 128);
	start(r, 64, 3600000);
	assert_true(ordered(r));
	kernel_feed_now(r->feed);
	assert_false(ordered(r));
	(void)answer(r, 0);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	assert_true(ordered(r));
	assert_ordered(r, 64, 64);
	assert_int_equal(answer(r, 0).feeds, 2);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	assert_false(ordered(r));
}

/* Runs the loop until that many feeds have succeeded. */
static struct kernel_status
await_feeds(struct rig *r, uint64_t feeds)
{
	while (status_of(r).feeds < feeds)
		assert_int_equal(event_base_loop(r->base, EVLOOP_ONCE), 0);
	return status_of(r);
}

static struct pool_totals
totals_of(const struct rig *r)
{
	struct pool_totals totals;

	pool_totals(r->pool, &totals);
	return totals;
}

/* The helper has ended before the first request. */
static void
a_helper_that_has_gone_costs_the_credit_and_nothing_else(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	put(r, RESERVE + 128);
	start(r, 64, 3600000);
	close(r->helper);
	r->helper = -1;
	status = await_feeds(r, 1);
	assert_int_equal(status.failures, 1);
	assert_int_equal(status.account.lost, 64);
	assert_int_equal(status.account.delivered, 64);
	assert_int_equal(status.credited_bits, 0);
	assert_string_equal(status.credit, "none: its process has ended");
	assert_string_equal(status.state, "fed without credit");
}

/* What was handed over before stays delivered, and nothing more is taken of so little. */
static void
a_helper_that_goes_while_bytes_are_waited_for_loses_none(void **state)
{
	struct rig *r = *state;

	r->credit = 0;
	put(r, 64);
	start(r, 64, 1);
	await_order(r);
	(void)answer(r, 0);
	while (totals_of(r).waiters == 0) /* on a busy machine it is one already */
		event_base_loop(r->base, EVLOOP_ONCE);
	close(r->helper);
	r->helper = -1;
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	put(r, 64);
	assert_int_equal(totals_of(r).delivered, 64);
	assert_int_equal(totals_of(r).lost, 0);
	assert_int_equal(totals_of(r).level, 64);
	assert_int_equal(totals_of(r).waiters, 0);
}

static void
a_helper_that_does_not_answer_costs_the_credit_and_nothing_else(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	r->role.timeout_s = 0;
	put(r, RESERVE + 128);
	start(r, 64, 3600000);
	status = await_feeds(r, 1);
	assert_int_equal(status.account.lost, 64);
	assert_int_equal(status.account.delivered, 64);
	assert_string_equal(status.credit, "none: its process has ended");
	assert_int_equal(r->rng.fd, -1);
}

/* EPERM is the answer to RNDADDENTROPY without the capability; it does not go away. */
static void
without_the_capability_it_asks_once_and_mixes_from_then_on(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	put(r, RESERVE + 256);
	start(r, 64, 1);
	assert_true(ordered(r));
	(void)answer(r, -EPERM);
	status = await_feeds(r, 2);
	assert_false(ordered(r));
	assert_int_equal(status.failures, 1);
	assert_int_equal(status.account.lost, 64);
	assert_int_equal(status.account.delivered, 128);
	assert_int_equal(status.credited_bits, 0);
	assert_string_equal(status.credit, "none: CAP_SYS_ADMIN is missing");
	assert_string_equal(status.state, "fed without credit");
}

/* ---- without credit ---- */

static void
mixes_without_credit_and_without_a_helper(void **state)
{
	struct rig *r = *state;
	struct kernel_status status;

	put(r, RESERVE + 64);
	start_as(r, false, 64, 3600000);
	status = status_of(r);
	assert_int_equal(status.feeds, 1);
	assert_int_equal(status.account.delivered, 64);
	assert_int_equal(status.credited_bits, 0);
	assert_string_equal(status.credit, "not asked for");
	assert_string_equal(status.state, "fed without credit");
}

static void
a_pool_below_its_reserve_feeds_nothing(void **state)
{
	struct rig *r = *state;

	put(r, RESERVE);
	start_as(r, false, 64, 1);
	assert_string_equal(status_of(r).state, "waiting: the pool has no more than its reserve");
	put(r, 63);
	kernel_feed_now(r->feed);
	for (int i = 0; i < 3; i++)
		event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(totals_of(r).level, RESERVE + 63);
	put(r, 1);
	(void)await_feeds(r, 1);
	assert_int_equal(totals_of(r).level, RESERVE);
	assert_int_equal(status_of(r).failures, 0);
}

static void
never_ready(struct pool_waiter *waiter, void *arg)
{
	(void)waiter, (void)arg;
	fail();
}

static void
feeds_nothing_while_a_reader_waits(void **state)
{
	static const struct pool_client client = {.number = 1, .weight = 1, .whole = true};
	struct pool_account account = {0};
	struct pool_handle reader;
	struct rig *r = *state;

	assert_true(pool_handle_open(r->pool, &reader, &account, &client));
	assert_non_null(pool_wait(r->pool, &reader, 256, never_ready, NULL));
	put(r, 250);
	assert_true(pool_level(r->pool) >= 64);
	start_as(r, false, 64, 1);
	for (int i = 0; i < 3; i++)
		event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(totals_of(r).level, 250);
	pool_handle_close(r->pool, &reader);
	put(r, 256);
	assert_int_equal(await_feeds(r, 1).account.delivered, 64);
}

static void
waiting_feed_can_be_stopped(void **state)
{
	struct rig *r = *state;
	struct pool_totals totals;

	start(r, 64, 60000);
	kernel_feed_free(&r->feed);
	put(r, 64);
	pool_totals(r->pool, &totals);
	assert_int_equal(totals.waiters, 0);
	assert_int_equal(totals.handles, 0);
	assert_false(ordered(r));
}

/* Those that the pool had, and those that were waited for. */
static void
fed_bytes_are_nowhere_on_the_stack(void **state)
{
	static const uint8_t had[] = {0, 1, 2, 3, 4, 5, 6, 7};
	static const uint8_t awaited[] = {64, 65, 66, 67, 68, 69, 70, 71};
	struct rig *r = *state;

	stack_scan_clear();
	put(r, 64);
	start(r, 64, 3600000);
	assert_false(stack_scan(had, sizeof(had)));
	assert_true(ordered(r));
	(void)answer(r, 0);
	kernel_feed_now(r->feed);
	put(r, 64);
	assert_false(stack_scan(awaited, sizeof(awaited)));
	stack_scan_leave(awaited, sizeof(awaited));
	assert_true(stack_scan(awaited, sizeof(awaited))); /* it would be found */
}

/* /dev/random takes writes from anybody. */
static void
mixes_at_most_its_limit(void **state)
{
	static const uint8_t bytes[3 * KERNEL_MIX_MAX] = "untrusted";
	struct rig *r = *state;
	struct kernel_status status;

	start(r, 64, 60000);
	kernel_mix(r->feed, bytes, sizeof(bytes));
	status = status_of(r);
	assert_int_equal(status.mixed, KERNEL_MIX_MAX);
	assert_int_equal(status.not_mixed, sizeof(bytes) - KERNEL_MIX_MAX);
	assert_int_equal(status.feeds, 0);
}

static void
mixes_its_limit_once_a_second(void **state)
{
	static const uint8_t bytes[KERNEL_MIX_MAX] = "untrusted";
	struct rig *r = *state;

	stopped_clock_begin(NULL);
	start(r, 64, 60000);
	kernel_mix(r->feed, bytes, sizeof(bytes));
	stopped_clock_advance(999);
	kernel_mix(r->feed, bytes, sizeof(bytes));
	assert_int_equal(status_of(r).mixed, KERNEL_MIX_MAX);
	assert_int_equal(status_of(r).not_mixed, KERNEL_MIX_MAX);
	stopped_clock_advance(1);
	kernel_mix(r->feed, bytes, sizeof(bytes));
	assert_int_equal(status_of(r).mixed, 2 * KERNEL_MIX_MAX);
	assert_int_equal(status_of(r).not_mixed, KERNEL_MIX_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(feeds_at_once_what_the_pool_has),
		TEST(waits_for_bytes_and_takes_them_whole),
		TEST(credits_by_the_sources_at_that_time),
		TEST(refused_bytes_are_counted_as_lost_and_the_feed_is_retried),
		TEST(a_new_measure_holds_from_the_next_feed_on),
		TEST(feeds_at_once_on_demand),
		TEST(feeds_again_on_demand_after_a_feed_in_progress),
		TEST(a_helper_that_has_gone_costs_the_credit_and_nothing_else),
		TEST(a_helper_that_does_not_answer_costs_the_credit_and_nothing_else),
		TEST(a_helper_that_goes_while_bytes_are_waited_for_loses_none),
		TEST(without_the_capability_it_asks_once_and_mixes_from_then_on),
		TEST(mixes_without_credit_and_without_a_helper),
		TEST(a_pool_below_its_reserve_feeds_nothing),
		TEST(feeds_nothing_while_a_reader_waits),
		TEST(waiting_feed_can_be_stopped),
		TEST(fed_bytes_are_nowhere_on_the_stack),
		TEST(mixes_at_most_its_limit),
		TEST(mixes_its_limit_once_a_second),
	};

	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
