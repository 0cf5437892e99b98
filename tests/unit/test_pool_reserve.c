/* SPDX-License-Identifier: MIT */
/* The last bytes of the ring, which are for the kernel's feed and for seeds. */
#include "tests/unit/pool_readers.h"

#define RESERVE 512

static int
set_up(void **state)
{
	return readers_begin(state, RESERVE);
}

static struct reader *
seeder(struct rig *rig, uint64_t identity, size_t need)
{
	const struct pool_client client = {.kind = IDENTITY_KERNEL,
					   .number = identity,
					   .weight = 1,
					   .whole = true,
					   .reserve = true};

	return reader_as(rig, &client, need);
}

/* Two handles that only take: one of anybody, one that may have the reserve. */
struct takers {
	struct pool_account account;
	struct pool_handle common, kernel;
};

static void
takers_open(struct rig *rig, struct takers *t)
{
	const struct pool_client common = {.number = 900, .weight = 1};
	const struct pool_client kernel = {.kind = IDENTITY_KERNEL, .weight = 1, .reserve = true};

	*t = (struct takers){0};
	assert_true(pool_handle_open(rig->pool, &t->common, &t->account, &common));
	assert_true(pool_handle_open(rig->pool, &t->kernel, &t->account, &kernel));
}

static void
takers_close(struct rig *rig, struct takers *t)
{
	pool_handle_close(rig->pool, &t->common);
	pool_handle_close(rig->pool, &t->kernel);
}

static struct pool_totals
totals(const struct rig *rig)
{
	struct pool_totals t;

	pool_totals(rig->pool, &t);
	return t;
}

static void
feed(struct rig *rig, size_t len, size_t piece)
{
	for (size_t fed = 0; fed < len; fed += piece)
		put_zeros(rig, piece);
}

static void
note_room(void *arg)
{
	++*(unsigned *)arg;
}

static void
little_is_left_when_only_the_reserve_is(void **state)
{
	struct rig *rig = *state;
	struct takers t;
	uint8_t bytes[256];
	unsigned rooms = 0;

	takers_open(rig, &t);
	pool_on_room(rig->pool, note_room, &rooms);
	feed(rig, RESERVE + 256, 64);
	assert_false(pool_ask_low(rig->pool, 128));
	assert_int_equal(pool_take(rig->pool, &t.common, bytes, 128), 128);
	assert_int_equal(rooms, 0);
	assert_int_equal(pool_take(rig->pool, &t.common, bytes, 1), 1);
	assert_int_equal(rooms, 1);
	assert_true(pool_ask_low(rig->pool, 128));
	takers_close(rig, &t);
}

static void
the_last_bytes_are_for_those_who_may_have_them(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[2 * RESERVE];
	struct takers t;

	takers_open(rig, &t);
	put_zeros(rig, RESERVE + 100);
	assert_int_equal(pool_level(rig->pool), 100);
	assert_int_equal(pool_ready(rig->pool, &t.common), 100);
	assert_int_equal(pool_ready(rig->pool, &t.kernel), RESERVE + 100);
	assert_int_equal(pool_take(rig->pool, &t.common, bytes, sizeof(bytes)), 100);
	assert_int_equal(pool_take(rig->pool, &t.common, bytes, 1), 0);
	assert_int_equal(totals(rig).level, RESERVE);
	assert_int_equal(totals(rig).reserved, RESERVE);
	assert_int_equal(pool_take(rig->pool, &t.kernel, bytes, sizeof(bytes)), RESERVE);
	takers_close(rig, &t);
}

static void
it_fills_up_first_while_nobody_waits(void **state)
{
	struct rig *rig = *state;
	struct takers t;

	takers_open(rig, &t);
	for (unsigned n = 0; n < RESERVE; n += 32) {
		put_zeros(rig, 32);
		assert_int_equal(pool_level(rig->pool), 0);
		assert_int_equal(pool_ready(rig->pool, &t.common), 0);
	}
	put_zeros(rig, 32);
	assert_int_equal(pool_ready(rig->pool, &t.common), 32);
	takers_close(rig, &t);
}

static void
it_takes_half_of_what_comes_while_others_wait_until_it_is_full(void **state)
{
	static const size_t pieces[] = {1, 7, 32, 128};
	struct rig *rig = *state;
	struct reader *r = reader(rig, 1, 256);
	uint8_t bytes[RESERVE];
	struct takers t;

	takers_open(rig, &t);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = granted(r);

		feed(rig, 7 * 128, pieces[i]);
		assert_within(totals(rig).reserved, 7 * 64, 1);
		assert_within(granted(r) - before, 7 * 64, 1);
		feed(rig, 7 * 128, pieces[i]);
		assert_int_equal(totals(rig).reserved, RESERVE);
		assert_int_equal(granted(r) - before, 14 * 128 - RESERVE);
		/* Past those who wait. */
		assert_int_equal(pool_take(rig->pool, &t.kernel, bytes, RESERVE), RESERVE);
	}
	takers_close(rig, &t);
}

/* Each could ask for more than the source has. */
static void
neither_those_who_seed_nor_the_others_can_starve_each_other(void **state)
{
	struct rig *rig = *state;
	uint64_t seeds = 0, others = 0;

	for (unsigned i = 0; i < 5; i++)
		seeder(rig, i, 256);
	for (unsigned i = 0; i < 2000; i++)
		reader(rig, i, i % 2 ? 256 : 64);
	feed(rig, 1000000, 32);
	for (unsigned i = 0; i < 5; i++)
		seeds += rig->readers[i].got;
	for (unsigned i = 5; i < rig->len; i++)
		others += granted(&rig->readers[i]);
	print_message("seeds: %llu, others: %llu\n", (unsigned long long)seeds,
		      (unsigned long long)others);
	assert_within(seeds, 500000, 256);
	assert_int_equal(others, 500000);
	for (unsigned i = 1; i < 5; i++)
		assert_within(rig->readers[0].got, rig->readers[i].got,
			      POOL_GATHER_MAX + POOL_QUANTUM);
}

static void
who_seeds_has_all_that_is_there_when_nobody_else_waits(void **state)
{
	struct rig *rig = *state;
	struct reader *seeds = seeder(rig, 1, 256);

	put_zeros(rig, 255);
	assert_int_equal(seeds->got, 0);
	assert_int_equal(pool_level(rig->pool), 0); /* and it would be the reserve */
	put_zeros(rig, 1);
	assert_int_equal(seeds->got, 256);
}

/* When the last of the others gives up, what was meant for it is for who seeds. */
static void
who_seeds_gets_what_the_others_gave_up(void **state)
{
	const struct pool_client client = {.number = 1, .weight = 1, .whole = true};
	struct rig *rig = *state;
	struct reader *other = reader_as(rig, &client, 256), *seeds = seeder(rig, 1, 256);

	put_zeros(rig, 300);
	assert_int_equal(other->got + seeds->got, 0); /* 150 for each */
	pool_waiter_done(rig->pool, other->w, false);
	other->w = NULL;
	assert_int_equal(seeds->got, 256);
}

static void
wiping_empties_it_too(void **state)
{
	struct rig *rig = *state;
	struct reader *r = reader(rig, 1, 256);

	put_zeros(rig, 200);
	assert_int_equal(totals(rig).reserved, 100);
	pool_wipe(rig->pool);
	assert_int_equal(totals(rig).reserved, 0);
	assert_int_equal(totals(rig).level, 0);
	put_zeros(rig, 100);
	assert_int_equal(totals(rig).reserved, 50);
	assert_int_equal(granted(r), 50);
}

static void
without_a_reserve_all_are_alike(void **state)
{
	struct rig *rig;
	void *other;

	(void)state;
	assert_int_equal(readers_set_up(&other), 0);
	rig = other;
	seeder(rig, 1, 64);
	reader(rig, 2, 64);
	feed(rig, 64000, 32);
	assert_within(granted(&rig->readers[0]), granted(&rig->readers[1]), POOL_GATHER_MAX);
	readers_tear_down(&other);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, set_up, readers_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		promise(little_is_left_when_only_the_reserve_is),
		promise(the_last_bytes_are_for_those_who_may_have_them),
		promise(it_fills_up_first_while_nobody_waits),
		promise(it_takes_half_of_what_comes_while_others_wait_until_it_is_full),
		promise(neither_those_who_seed_nor_the_others_can_starve_each_other),
		promise(who_seeds_has_all_that_is_there_when_nobody_else_waits),
		promise(who_seeds_gets_what_the_others_gave_up),
		promise(wiping_empties_it_too),
		cmocka_unit_test(without_a_reserve_all_are_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
