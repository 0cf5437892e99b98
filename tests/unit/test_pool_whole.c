/* SPDX-License-Identifier: MIT */
/* Requests that are granted whole or not at all: who gets how much, and what giving up costs. */
#include "tests/unit/pool_readers.h"

/* Most that one may be ahead of another: a request, and a turn of weight 1. */
#define AHEAD (POOL_GATHER_MAX + POOL_QUANTUM)

static struct reader *
whole_reader(struct rig *rig, uint64_t identity, size_t need)
{
	const struct pool_client client = {.number = identity, .weight = 1, .whole = true};

	return reader_as(rig, &client, need);
}

static void
feed(struct rig *rig, size_t len, size_t piece)
{
	for (size_t fed = 0; fed < len; fed += piece)
		put_zeros(rig, piece);
}

static uint64_t
lost(const struct rig *rig)
{
	struct pool_totals totals;

	pool_totals(rig->pool, &totals);
	return totals.lost;
}

/* ---- one request ---- */

static void
it_gathers_nothing_and_is_granted_with_its_last_byte(void **state)
{
	struct rig *rig = *state;
	struct reader *r = whole_reader(rig, 1, 200);

	for (unsigned i = 0; i < 199; i++)
		put_zeros(rig, 1);
	assert_int_equal(granted(r), 0);
	assert_int_equal(pool_level(rig->pool), 199);
	put_zeros(rig, 1);
	assert_int_equal(r->got, 200);
	assert_int_equal(pool_level(rig->pool), 0);
}

static void
it_is_taken_whole_or_not_at_all_without_waiting(void **state)
{
	const struct pool_client client = {.weight = 1, .whole = true};
	struct pool_account account = {0};
	struct rig *rig = *state;
	struct pool_handle h;
	uint8_t bytes[256];

	assert_true(pool_handle_open(rig->pool, &h, &account, &client));
	put_zeros(rig, 255);
	assert_int_equal(pool_ready(rig->pool, &h), 255);
	assert_int_equal(pool_take(rig->pool, &h, bytes, 256), 0);
	assert_int_equal(account.delivered, 0);
	assert_int_equal(pool_take(rig->pool, &h, bytes, 255), 255);
	assert_int_equal(account.delivered, 255);
	pool_handle_close(rig->pool, &h);
}

static void
those_behind_it_wait_and_nobody_passes(void **state)
{
	struct rig *rig = *state;
	struct reader *first = whole_reader(rig, 1, 200), *small = whole_reader(rig, 2, 8);
	struct reader *gathers = reader(rig, 3, 64);
	uint8_t byte;

	put_zeros(rig, 199);
	assert_int_equal(granted(small) + granted(gathers), 0);
	assert_int_equal(pool_ready(rig->pool, &small->h), 0);
	assert_int_equal(pool_take(rig->pool, &small->h, &byte, 1), 0);
	put_zeros(rig, 1 + 8);
	assert_int_equal(first->got, 200);
	assert_int_equal(small->got, 8);
}

/* ---- giving up ---- */

/* The source may be gone for good: what is there must not wait for its next byte. */
static void
when_the_first_gives_up_those_behind_get_what_is_there(void **state)
{
	struct rig *rig = *state;
	struct reader *first = whole_reader(rig, 1, 200), *small = whole_reader(rig, 2, 40);
	struct reader *polls = reader(rig, 3, POLLS);

	put_zeros(rig, 110);
	pool_waiter_done(rig->pool, first->w, false);
	first->w = NULL;
	assert_int_equal(small->got, 80); /* a request more than its turn had: 16 in debt */
	assert_int_equal(granted(polls), 30);
	assert_int_equal(lost(rig), 0);
}

static void
when_the_first_closes_those_behind_get_what_is_there(void **state)
{
	struct rig *rig = *state;
	struct reader *first = whole_reader(rig, 1, 200), *small = whole_reader(rig, 2, 100);

	put_zeros(rig, 150);
	pool_handle_close(rig->pool, &first->h);
	rig->len = 1; /* tear_down closes what is open */
	assert_int_equal(small->got, 100);
	assert_int_equal(lost(rig), 0);
	pool_handle_close(rig->pool, &small->h);
	rig->len = 0;
}

/* ---- shares ---- */

static void
whole_requests_and_gatherers_share_by_bytes(void **state)
{
	static const size_t needs[] = {1, 8, 32, 63, 64, 65, 128, 255, 256};
	struct rig *rig = *state;

	for (unsigned i = 0; i < 9; i++) {
		whole_reader(rig, i, needs[i]);
		reader(rig, 100 + i, needs[i]);
	}
	reader(rig, 200, POLLS);
	for (unsigned n = 0; n < 300; n++) {
		feed(rig, 1024, n % 2 ? 32 : 1024);
		for (unsigned i = 1; i < rig->len; i++)
			assert_within(granted(&rig->readers[0]), granted(&rig->readers[i]), AHEAD);
	}
	assert_int_equal(lost(rig), 0);
}

static void
weights_shift_shares_exactly(void **state)
{
	struct rig *rig = *state;
	uint64_t one;

	for (unsigned i = 0; i < 40; i++) {
		const struct pool_client client = {
			.number = i, .weight = 1 + i % 10, .whole = i % 3 != 0};

		reader_as(rig, &client, 255);
	}
	feed(rig, 220 * 64 * 500, 1024); /* 500 rounds */
	one = granted(&rig->readers[0]);
	assert_within(one, 500 * 64, AHEAD);
	for (unsigned i = 1; i < 40; i++)
		assert_within(granted(&rig->readers[i]), 500 * 64 * (1 + i % 10),
			      (uint64_t)POOL_GATHER_MAX + (1 + i % 10) * POOL_QUANTUM);
}

static void
an_identity_weighs_as_its_heaviest_handle(void **state)
{
	const struct pool_client light = {.number = 1, .weight = 1, .whole = true};
	const struct pool_client heavy = {.number = 1, .weight = 3, .whole = true};
	struct rig *rig = *state;
	struct reader *a = reader_as(rig, &heavy, 128), *b = reader_as(rig, &light, 128);
	struct reader *other = whole_reader(rig, 2, 128);

	feed(rig, 128000, 32);
	assert_within(granted(a) + granted(b), 96000, 4 * AHEAD);
	assert_within(granted(a), granted(b), 4 * AHEAD);
	assert_within(granted(other), 32000, AHEAD);
}

static void
note(struct pool_waiter *w, void *arg)
{
	(void)w;
	++*(unsigned *)arg;
}

static void
a_debt_is_paid_by_turns_that_pass_with_and_without_waiting(void **state)
{
	const struct pool_client client = {.number = 1, .weight = 1, .whole = true};
	struct pool_account account = {0};
	struct rig *rig = *state;
	struct pool_handle h;
	unsigned answered = 0;

	assert_true(pool_handle_open(rig->pool, &h, &account, &client));
	pool_wait(rig->pool, &h, 256, note, &answered);
	reader(rig, 2, 64);
	reader(rig, 3, 64);
	put_zeros(rig, 256); /* four turns of it, in one */
	assert_int_equal(answered, 1);
	put_zeros(rig, 3 * 64);
	pool_wait(rig->pool, &h, 256, note, &answered);
	put_zeros(rig, 5 * 64); /* four turns of each of the others, then it is the first again */
	assert_int_equal(rig->readers[0].got, 256);
	assert_int_equal(rig->readers[1].got, 256);
	put_zeros(rig, 255);
	assert_int_equal(answered, 1);
	assert_int_equal(pool_level(rig->pool), 255);
	put_zeros(rig, 1);
	assert_int_equal(answered, 2);
	pool_handle_close(rig->pool, &h);
}

/* Many clients of EGD do: one connection for each request. */
static void
connecting_anew_for_each_request_wins_nothing(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 20; i++)
		whole_reader(rig, i, 255)->reconnects = i % 2;
	for (unsigned n = 0; n < 1000; n++) {
		feed(rig, 320, 32);
		for (unsigned i = 1; i < 20; i++)
			assert_within(granted(&rig->readers[0]), granted(&rig->readers[i]), AHEAD);
	}
}

static void
a_greedy_one_with_a_thousand_requests_costs_the_others_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t greedy = 0, before;

	for (unsigned i = 0; i < 10; i++)
		whole_reader(rig, i, 128);
	feed(rig, 110000, 32); /* alone among themselves: 11,000 each */
	before = granted(&rig->readers[0]);
	assert_within(before, 11000, AHEAD);
	for (unsigned i = 0; i < 500; i++) { /* 500 connections, two in flight on each */
		struct reader *r = whole_reader(rig, 99, 255);

		assert_non_null(pool_wait(rig->pool, &r->h, 255, reader_ready, r));
	}
	feed(rig, 110000, 32); /* as with an eleventh like them: 10,000 */
	for (unsigned i = 0; i < 10; i++)
		assert_within(granted(&rig->readers[i]), before + 10000, AHEAD);
	for (unsigned i = 10; i < rig->len; i++)
		greedy += rig->readers[i].got;
	print_message("others: %llu each, greedy: %llu\n",
		      (unsigned long long)(granted(&rig->readers[0]) - before),
		      (unsigned long long)greedy);
	assert_within(greedy, 10000, AHEAD);
}

/* Jain's index, (sum x)^2 / (n sum x^2), in hundredths of a percent. */
static unsigned
jain(const struct rig *rig)
{
	uint64_t sum = 0, squares = 0;

	for (unsigned i = 0; i < rig->len; i++) {
		sum += rig->readers[i].got;
		squares += rig->readers[i].got * rig->readers[i].got;
	}
	return (unsigned)(10000 * sum / rig->len * sum / squares);
}

static void
two_thousand_identities_of_equal_demand_have_equal_shares(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 2000; i++)
		whole_reader(rig, i, 128);
	feed(rig, 2000 * 128 * 21 / 2, 32); /* in the middle of a round */
	print_message("Jain %u/10000\n", jain(rig));
	assert_in_range(jain(rig), 9900, 10000);
}

/* ---- impatience: 86 frames of 32 bytes per second, as one key ---- */

#define FRAMES_PER_S 86
#define PATIENCE_S 10
#define WANT 128

enum client_kind { KEEP_CONNECTION, NEW_CLIENT, GATHER }; /* what comes after giving up */

/* Gives up in time, and asks again. */
static void
impatient_again(struct reader *r, enum client_kind kind)
{
	pool_waiter_done(r->pool, r->w, false);
	if (kind == NEW_CLIENT) {
		r->client.number += READERS;
		pool_handle_close(r->pool, &r->h);
		assert_true(pool_handle_open(r->pool, &r->h, &r->account, &r->client));
	}
	reader_ask(r);
}

/* Bytes answered in the last `measure_s` seconds, in percent of what came. */
static unsigned
goodput(struct rig *rig, unsigned clients, enum client_kind kind, unsigned measure_s)
{
	static unsigned deadline[READERS];
	static uint64_t answers[READERS];
	const unsigned frames = (4 * PATIENCE_S + measure_s) * FRAMES_PER_S;
	uint64_t good = 0;

	for (unsigned f = 0; f < frames; f++) {
		if (f == 4 * PATIENCE_S * FRAMES_PER_S)
			for (unsigned i = 0; i < rig->len; i++)
				good -= rig->readers[i].got;
		if (rig->len < clients) { /* they come within seconds, not all at once */
			for (unsigned i = 0; i < 5 && rig->len < clients; i++) {
				deadline[rig->len] = f + PATIENCE_S * FRAMES_PER_S;
				answers[rig->len] = 0;
				kind == GATHER ? reader(rig, rig->len, WANT)
					       : whole_reader(rig, rig->len, WANT);
			}
		}
		put_zeros(rig, 32);
		for (unsigned i = 0; i < rig->len; i++) {
			struct reader *r = &rig->readers[i];

			if (r->answers == answers[i] && f < deadline[i])
				continue;
			if (r->answers == answers[i])
				impatient_again(r, kind);
			answers[i] = r->answers;
			deadline[i] = f + PATIENCE_S * FRAMES_PER_S;
		}
	}
	for (unsigned i = 0; i < rig->len; i++)
		good += rig->readers[i].got;
	return (unsigned)(100 * good / (32 * FRAMES_PER_S * measure_s));
}

static unsigned
goodput_of(unsigned clients, enum client_kind kind)
{
	void *state;
	unsigned percent;

	assert_int_equal(readers_set_up(&state), 0);
	percent = goodput(state, clients, kind, 30);
	if (kind != GATHER)
		assert_int_equal(lost(state), 0);
	readers_tear_down(&state);
	return percent;
}

static void
impatient_clients_do_not_cost_the_sources_rate_however_many(void **state)
{
	static const unsigned clients[] = {10, 300, 500, 2000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		unsigned keep = goodput_of(clients[i], KEEP_CONNECTION);
		unsigned new = goodput_of(clients[i], NEW_CLIENT);

		print_message("%u clients: %u %%, always new ones: %u %%\n", clients[i], keep, new);
		assert_in_range(keep, 98, 101);
		assert_in_range(new, 98, 101);
	}
}

static void
who_gives_up_in_time_and_asks_again_is_served_in_the_end(void **state)
{
	unsigned percent = goodput(*state, 2000, KEEP_CONNECTION, 300); /* a round: 93 s */
	const struct rig *rig = *state;

	assert_in_range(percent, 98, 101);
	for (unsigned i = 0; i < rig->len; i++)
		assert_in_range(rig->readers[i].answers, 2, 5);
}

/* What a device's reader does, who is patient, would be the ruin of a server. */
static void
gathering_turn_by_turn_would_cost_nearly_all_of_it(void **state)
{
	unsigned patient = goodput_of(10, GATHER), ruin = goodput_of(2000, GATHER);

	(void)state;
	print_message("10 who gather: %u %%, 500: %u %%, 2000: %u %%\n", patient,
		      goodput_of(500, GATHER), ruin);
	assert_in_range(patient, 98, 101);
	assert_in_range(ruin, 0, 50);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, readers_set_up, readers_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		promise(it_gathers_nothing_and_is_granted_with_its_last_byte),
		promise(it_is_taken_whole_or_not_at_all_without_waiting),
		promise(those_behind_it_wait_and_nobody_passes),
		promise(when_the_first_gives_up_those_behind_get_what_is_there),
		promise(when_the_first_closes_those_behind_get_what_is_there),
		promise(whole_requests_and_gatherers_share_by_bytes),
		promise(weights_shift_shares_exactly),
		promise(an_identity_weighs_as_its_heaviest_handle),
		promise(a_debt_is_paid_by_turns_that_pass_with_and_without_waiting),
		promise(connecting_anew_for_each_request_wins_nothing),
		promise(a_greedy_one_with_a_thousand_requests_costs_the_others_nothing),
		promise(two_thousand_identities_of_equal_demand_have_equal_shares),
		cmocka_unit_test(impatient_clients_do_not_cost_the_sources_rate_however_many),
		promise(who_gives_up_in_time_and_asks_again_is_served_in_the_end),
		cmocka_unit_test(gathering_turn_by_turn_would_cost_nearly_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
