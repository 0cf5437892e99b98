/* SPDX-License-Identifier: MIT */
/* Who gets how much, of those who gather their bytes turn by turn. */
#include "pool/drr.h"
#include "tests/unit/pool_readers.h"

static void
feed(struct rig *rig, size_t len)
{
	put_zeros(rig, len);
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
		assert_non_null(pool_wait(rig->pool, &a->h, 64, reader_ready, a));
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

/* Who asks again in time goes on with what is left of its turn. */
static void
small_requests_one_by_one_lose_nothing_to_big_ones(void **state)
{
	struct rig *rig = *state;

	reader(rig, 1, 32);
	reader(rig, 2, 32);
	reader(rig, 3, 256);
	reader(rig, 4, 256);
	feed_and_compare(rig, 32 * 3000, 32);
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
who_leaves_and_comes_back_before_its_turn_keeps_its_place(void **state)
{
	struct rig *rig = *state;
	struct reader *a = reader(rig, 1, 256), *b = reader(rig, 2, 256);

	feed(rig, 10);
	pool_waiter_done(rig->pool, a->w, false);
	reader_ask(a);
	feed(rig, 54);
	assert_int_equal(granted(a), 54); /* what was granted to it before was its own loss */
	feed(rig, 64);
	assert_int_equal(granted(b), 64);
}

static void
who_leaves_and_misses_its_turn_goes_last(void **state)
{
	struct rig *rig = *state;
	struct reader *a = reader(rig, 1, 256), *b = reader(rig, 2, 256);

	feed(rig, 10);
	pool_waiter_done(rig->pool, a->w, false);
	feed(rig, 60);
	reader_ask(a);
	feed(rig, 4);
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

/* ---- IPv6: networks, then addresses ---- */

static struct reader *
host(struct rig *rig, uint64_t network, uint64_t number, size_t need, bool whole)
{
	const struct pool_client client = {.kind = IDENTITY_IPV6,
					   .number = network,
					   .host = number,
					   .weight = 1,
					   .whole = whole};

	return reader_as(rig, &client, need);
}

static void
addresses_of_one_network_share_its_share(void **state)
{
	struct rig *rig = *state;
	struct reader *other, *lone = host(rig, 1, 1, 256, false);
	uint64_t many = 0;

	for (unsigned i = 0; i < 50; i++)
		host(rig, 1, 2, 256, false);
	other = host(rig, 2, 1, 256, false);
	for (unsigned i = 0; i < 4000; i++)
		feed(rig, 32);
	for (unsigned i = 1; i <= 50; i++)
		many += granted(&rig->readers[i]);
	assert_within(granted(lone), many, POOL_QUANTUM);
	assert_within(granted(other), many + granted(lone), 2 * POOL_QUANTUM);
}

static void
addresses_of_one_network_however_many_win_nothing_over_another_network(void **state)
{
	struct rig *rig = *state;
	struct reader *lone = host(rig, 2, 1, 256, false);
	uint64_t many = 0;

	for (unsigned i = 0; i < 1000; i++)
		host(rig, 1, i, 256, false);
	for (unsigned i = 0; i < 4000; i++)
		feed(rig, 32);
	for (unsigned i = 1; i <= 1000; i++)
		many += granted(&rig->readers[i]);
	assert_within(granted(lone), many, POOL_QUANTUM);
}

/* Each of its requests leaves a debt, which its neighbour would pay if it were the network's. */
static void
address_that_connects_anew_wins_nothing_over_its_neighbours(void **state)
{
	struct rig *rig = *state;
	struct reader *anew = host(rig, 1, 1, 256, true), *stays = host(rig, 1, 2, 256, true);

	anew->reconnects = true;
	host(rig, 2, 1, 256, true);
	for (unsigned i = 0; i < 10000; i++)
		put_zeros(rig, 32);
	assert_within(granted(anew), granted(stays), 2 * POOL_GATHER_MAX);
}

/* The addresses that the network keeps in its round: for their debts, when they have no handle. */
static unsigned
addresses_kept(const struct pool_identity *network)
{
	const struct pool_flow *f;
	unsigned n = 0;

	TAILQ_FOREACH(f, &network->round, next)
	n++;
	return n;
}

/* They would fill the room for debts, while a neighbour that asks nothing is connected. */
static void
debts_of_addresses_end_when_none_of_their_network_waits(void **state)
{
	struct pool_client neighbour = {.kind = IDENTITY_IPV6, .number = 1, .weight = 1};
	struct rig *rig = *state;
	struct pool_account account = {0};
	struct pool_handle idle;
	struct reader *r;
	unsigned before, after;

	assert_true(pool_handle_open(rig->pool, &idle, &account, &neighbour));
	reader(rig, 2, 256);
	reader(rig, 3, 256);
	for (unsigned i = 0; i < 10; i++) {
		r = host(rig, 1, 1 + i, 256, true);
		while (r->answers == 0)
			put_zeros(rig, 32);
		pool_handle_close(rig->pool, &r->h);
		rig->len--;
	}
	before = addresses_kept(idle.identity->network);
	put_zeros(rig, 4096);
	after = addresses_kept(idle.identity->network);
	pool_handle_close(rig->pool, &idle);
	assert_in_range(before, 1, 10);
	assert_int_equal(after, 0);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, readers_set_up, readers_tear_down)

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
		promise(small_requests_one_by_one_lose_nothing_to_big_ones),
		promise(a_poller_is_not_starved_beside_blocking_readers),
		promise(pollers_share_with_each_other),
		promise(who_leaves_and_comes_back_before_its_turn_keeps_its_place),
		promise(who_leaves_and_misses_its_turn_goes_last),
		promise(a_newcomer_waits_one_round_at_most),
		promise(addresses_of_one_network_share_its_share),
		promise(addresses_of_one_network_however_many_win_nothing_over_another_network),
		promise(address_that_connects_anew_wins_nothing_over_its_neighbours),
		promise(debts_of_addresses_end_when_none_of_their_network_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
