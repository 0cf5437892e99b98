/* SPDX-License-Identifier: MIT */
/*
 * Who gets how much. A reader here asks again as soon as it was answered, so that it always waits,
 * and what it has been granted is known to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pool/pool.h"

#define READERS 1100
#define POLLS 0 /* "need" of one who polls, then takes what is there */

struct reader {
	struct pool *pool;
	struct pool_handle h;
	struct pool_account account;
	struct pool_waiter *w;
	size_t need; /* bytes of each request */
	uint64_t got;
};

struct rig {
	struct pool *pool;
	struct reader readers[READERS];
	unsigned len;
};

static int
set_up(void **state)
{
	static const struct pool_config config = {65536, 4 * READERS, 4 * READERS, 0};
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig.pool = pool_new(&config);
	*state = &rig;
	return rig.pool != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < rig->len; i++)
		pool_handle_close(rig->pool, &rig->readers[i].h);
	pool_free(&rig->pool);
	return 0;
}

static void ready(struct pool_waiter *w, void *arg);

/* Never the only one who waits: nothing but the queue gives it bytes. */
static void
ask(struct reader *r)
{
	if (r->need == POLLS) {
		assert_true(pool_poll_arm(r->pool, &r->h, ready, r));
		return;
	}
	r->w = pool_wait(r->pool, &r->h, r->need, ready, r);
	assert_non_null(r->w);
}

static void
ready(struct pool_waiter *w, void *arg)
{
	struct reader *r = arg;
	uint8_t bytes[POOL_QUANTUM];
	size_t len = r->need;

	if (w == NULL)
		len = pool_take(r->pool, &r->h, bytes, sizeof(bytes));
	else
		pool_waiter_done(r->pool, w, true);
	r->got += len;
	ask(r);
}

static struct reader *
reader(struct rig *rig, uint64_t identity, size_t need)
{
	const struct pool_client client = {.number = identity, .weight = 1};
	struct reader *r = &rig->readers[rig->len++];

	r->pool = rig->pool;
	r->need = need;
	assert_true(pool_handle_open(rig->pool, &r->h, &r->account, &client));
	ask(r);
	return r;
}

/* Bytes that it was given, answered or not. */
static uint64_t
granted(const struct reader *r)
{
	size_t len = r->h.stash_len;

	if (r->w != NULL)
		pool_waiter_bytes(r->w, &len);
	return r->got + len;
}

static void
assert_within(uint64_t a, uint64_t b, uint64_t most)
{
	if ((a < b ? b - a : a - b) > most)
		fail_msg("%llu and %llu bytes", (unsigned long long)a, (unsigned long long)b);
}

static void
feed(struct rig *rig, size_t len)
{
	static const uint8_t bytes[4096];

	assert_int_equal(pool_put(rig->pool, bytes, len), len);
	assert_int_equal(pool_level(rig->pool), 0);
}

/* Feeds piece by piece; after each one all readers have the same, up to a turn. */
static void
feed_and_compare(struct rig *rig, size_t len, size_t piece)
{
	for (size_t fed = 0; fed < len; fed += piece) {
		feed(rig, piece);
		for (unsigned i = 1; i < rig->len; i++)
			assert_within(granted(&rig->readers[0]), granted(&rig->readers[i]),
				      POOL_QUANTUM);
	}
}

static void
a_thousand_requests_win_nothing_over_one(void **state)
{
	struct rig *rig = *state;
	uint64_t many = 0, one;

	for (unsigned i = 0; i < 1000; i++)
		reader(rig, 1, 256);
	reader(rig, 2, 256);
	for (unsigned i = 0; i < 5000; i++)
		feed(rig, 32);
	for (unsigned i = 0; i < 1000; i++)
		many += granted(&rig->readers[i]);
	one = granted(&rig->readers[1000]);
	print_message("1000 requests: %llu, one: %llu\n", (unsigned long long)many,
		      (unsigned long long)one);
	assert_int_equal(many + one, 5000 * 32);
	assert_within(many, one, POOL_QUANTUM);
}

static void
big_requests_win_nothing_over_small(void **state)
{
	struct rig *rig = *state;

	reader(rig, 1, 64);
	reader(rig, 2, 256);
	reader(rig, 3, 128);
	feed_and_compare(rig, 100000, 100);
}

static void
handles_of_one_identity_share_its_share(void **state)
{
	struct rig *rig = *state;
	uint64_t sum = 0;

	for (unsigned i = 0; i < 3; i++)
		reader(rig, 1, 64U << i);
	feed_and_compare(rig, 32 * 1000, 32);
	reader(rig, 2, 256); /* another gets as much as the three */
	for (unsigned i = 0; i < 3; i++)
		sum -= granted(&rig->readers[i]);
	for (unsigned i = 0; i < 1000; i++)
		feed(rig, 32);
	for (unsigned i = 0; i < 3; i++)
		sum += granted(&rig->readers[i]);
	assert_within(sum, granted(&rig->readers[3]), POOL_QUANTUM);
	for (unsigned i = 1; i < 3; i++)
		assert_within(granted(&rig->readers[0]), granted(&rig->readers[i]), POOL_QUANTUM);
}

static void
a_queue_in_one_handle_wins_nothing_over_one_request_in_another(void **state)
{
	struct rig *rig = *state;
	struct reader *a = reader(rig, 1, 64), *b = reader(rig, 1, 256);

	for (unsigned i = 0; i < 100; i++)
		assert_non_null(pool_wait(rig->pool, &a->h, 64, ready, a));
	feed(rig, 8 * POOL_QUANTUM);
	assert_int_equal(b->got, 256);
	assert_int_equal(a->got, 256);
}

static void
turns_are_kept_across_refills_of_any_size(void **state)
{
	static const size_t pieces[] = {1, 7, 32, 63, 65, 1000};
	struct rig *rig = *state;

	reader(rig, 1, 64);
	reader(rig, 2, 256);
	reader(rig, 3, POLLS);
	reader(rig, 4, 192);
	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		feed_and_compare(rig, 20000, pieces[i]);
}

static void
what_is_left_of_a_turn_comes_with_the_next_refill(void **state)
{
	struct rig *rig = *state;
	struct reader *a = reader(rig, 1, 256), *b = reader(rig, 2, 256);

	feed(rig, 40);
	assert_int_equal(granted(a), 40);
	feed(rig, 40);
	assert_int_equal(granted(a), 64);
	assert_int_equal(granted(b), 16);
	feed(rig, 49);
	assert_int_equal(granted(b), 64);
	assert_int_equal(granted(a), 65);
}

/* The first daemon-to-be restarted at the head with each refill: 64 bytes in two seconds. */
static void
a_small_reader_is_not_starved_by_big_ones(void **state)
{
	struct rig *rig = *state;
	uint64_t small;

	reader(rig, 1, 32);
	reader(rig, 2, 32);
	reader(rig, 3, 256);
	reader(rig, 4, 256);
	for (unsigned i = 0; i < 282; i++)
		feed(rig, 32);
	for (unsigned i = 0; i < 4; i++)
		print_message("%llu%s", (unsigned long long)granted(&rig->readers[i]),
			      i < 3 ? "/" : "\n");
	small = granted(&rig->readers[0]);
	assert_within(small, granted(&rig->readers[1]), 32);
	/* 32 bytes in each round, in which the others have a turn of 64. */
	for (unsigned i = 2; i < 4; i++)
		assert_within(2 * small, granted(&rig->readers[i]), POOL_QUANTUM);
}

static void
a_poller_is_not_starved_beside_blocking_readers(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 5; i++)
		reader(rig, i, 256);
	reader(rig, 5, POLLS);
	feed_and_compare(rig, 32 * 3000, 32);
	assert_true(rig->readers[5].got > 0);
}

static void
pollers_share_with_each_other(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 300; i++)
		reader(rig, i, POLLS);
	feed_and_compare(rig, 32 * 2000, 32);
}

static void
who_leaves_and_comes_back_goes_last(void **state)
{
	struct rig *rig = *state;
	struct reader *a = reader(rig, 1, 256), *b = reader(rig, 2, 256);

	feed(rig, 10);
	pool_waiter_done(rig->pool, a->w, false);
	ask(a);
	feed(rig, 64);
	assert_int_equal(granted(b), 64);
	assert_int_equal(granted(a), 0);
	feed(rig, 1);
	assert_int_equal(granted(a), 1);
}

static void
a_newcomer_waits_one_round_at_most(void **state)
{
	struct rig *rig = *state;
	struct reader *last;

	for (unsigned i = 0; i < 10; i++)
		reader(rig, i, 256);
	feed(rig, 15 * POOL_QUANTUM + 40); /* in the middle of a turn */
	last = reader(rig, 10, 32);
	feed(rig, 10 * POOL_QUANTUM - 40);
	assert_int_equal(granted(last), 0);
	feed(rig, 32);
	assert_int_equal(last->got, 32);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		promise(a_thousand_requests_win_nothing_over_one),
		promise(big_requests_win_nothing_over_small),
		promise(handles_of_one_identity_share_its_share),
		promise(a_queue_in_one_handle_wins_nothing_over_one_request_in_another),
		promise(turns_are_kept_across_refills_of_any_size),
		promise(what_is_left_of_a_turn_comes_with_the_next_refill),
		promise(a_small_reader_is_not_starved_by_big_ones),
		promise(a_poller_is_not_starved_beside_blocking_readers),
		promise(pollers_share_with_each_other),
		promise(who_leaves_and_comes_back_goes_last),
		promise(a_newcomer_waits_one_round_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
