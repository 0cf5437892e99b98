/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pool/pool.h"
#include "tests/unit/pool_world.h"
#include "tests/unit/secret_scan.h"

#define SIZE 20480 /* more than four times POOL_ROOM_AGAIN */
#define WAITERS 16 /* four for each identity */

/* One outlet with three open files of three users, and a note of what it was told. */
struct rig {
	struct pool *pool;
	struct pool_account account;
	struct pool_handle a, b, c;
	unsigned told; /* calls of ready */
	unsigned rooms;
	unsigned wants;
	struct pool_waiter *last; /* of the last call */
};

static void
on_room(void *arg)
{
	((struct rig *)arg)->rooms++;
}

static void
on_wanted(void *arg)
{
	((struct rig *)arg)->wants++;
}

static bool
open_as(struct pool *pool, struct pool_handle *h, struct pool_account *account,
	enum identity_kind kind, uint64_t number)
{
	const struct pool_client client = {.kind = kind, .number = number, .weight = 1};

	return pool_handle_open(pool, h, account, &client);
}

static int
set_up(void **state)
{
	static const struct pool_config config = {SIZE, 8, WAITERS, 0};
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	rig.pool = pool_new(&config);
	if (rig.pool == NULL)
		return -1;
	pool_on_room(rig.pool, on_room, &rig);
	pool_on_wanted(rig.pool, on_wanted, &rig);
	*state = &rig;
	return open_as(rig.pool, &rig.a, &rig.account, 0, 1000) &&
			       open_as(rig.pool, &rig.b, &rig.account, 0, 1001) &&
			       open_as(rig.pool, &rig.c, &rig.account, 1, 1000)
		       ? 0
		       : -1;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	if (rig->a.identity != NULL)
		pool_handle_close(rig->pool, &rig->a);
	if (rig->b.identity != NULL)
		pool_handle_close(rig->pool, &rig->b);
	if (rig->c.identity != NULL)
		pool_handle_close(rig->pool, &rig->c);
	pool_free(&rig->pool);
	return 0;
}

static struct pool_totals
totals(const struct rig *rig)
{
	struct pool_totals t;

	pool_totals(rig->pool, &t);
	assert_int_equal(t.in, t.delivered + t.lost + t.held);
	assert_int_equal(t.delivered, rig->account.delivered);
	assert_int_equal(t.lost, rig->account.lost + t.wiped);
	return t;
}

/* Puts `len` bytes that count up from `first`. */
static void
put(struct rig *rig, uint8_t first, size_t len)
{
	uint8_t bytes[SIZE];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
	assert_int_equal(pool_put(rig->pool, bytes, len), len);
}

static void
assert_counts_up(const uint8_t *bytes, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], (uint8_t)(first + i));
}

static void
note(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;

	rig->told++;
	rig->last = w;
}

/* ---- bytes ---- */

static void
what_is_put_is_taken_in_order_across_the_end_of_the_ring(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[SIZE];

	for (size_t n = 1; n <= SIZE; n += 4093) {
		for (unsigned i = 0; i < 9; i++) {
			put(rig, (uint8_t)i, n);
			assert_int_equal(pool_level(rig->pool), n);
			assert_int_equal(pool_room(rig->pool), SIZE - n);
			assert_int_equal(pool_take(rig->pool, &rig->a, bytes, sizeof(bytes)), n);
			assert_counts_up(bytes, n, (uint8_t)i);
			totals(rig);
		}
	}
	assert_int_equal(pool_take(rig->pool, &rig->a, bytes, 1), 0);
}

static void
what_is_taken_is_wiped_in_the_same_call(void **state)
{
	struct rig *rig = *state;
	uint8_t filler[SIZE - 10] = {0}, mark[16] = "take me away now", taken[sizeof(mark)];

	for (unsigned i = 0; i < 3; i++) { /* the second lies across the end of the ring */
		assert_int_equal(pool_put(rig->pool, mark, sizeof(mark)), sizeof(mark));
		assert_int_equal(secret_scan(mark, 5) + secret_scan(mark + 11, 5), 2);
		assert_int_equal(pool_take(rig->pool, &rig->a, taken, sizeof(taken)),
				 sizeof(taken));
		assert_memory_equal(taken, mark, sizeof(mark));
		assert_int_equal(secret_scan(mark, 5) + secret_scan(mark + 11, 5), 0);
		pool_put(rig->pool, filler, sizeof(filler) - 16);
		pool_take(rig->pool, &rig->a, filler, sizeof(filler) - 16);
	}
}

static void
a_full_pool_takes_what_fits_and_says_so(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[100] = {0};

	put(rig, 0, SIZE - 60);
	assert_int_equal(pool_put(rig->pool, bytes, sizeof(bytes)), 60);
	assert_int_equal(pool_put(rig->pool, bytes, sizeof(bytes)), 0);
	assert_int_equal(totals(rig).in, SIZE);
}

static void
nobody_passes_those_who_wait(void **state)
{
	struct rig *rig = *state;
	uint8_t byte;

	pool_wait(rig->pool, &rig->a, 64, note, rig);
	put(rig, 0, 32);
	assert_int_equal(pool_ready(rig->pool, &rig->b), 0);
	assert_int_equal(pool_take(rig->pool, &rig->b, &byte, 1), 0);
	assert_int_equal(pool_level(rig->pool), 0);
}

static void
a_failed_delivery_is_lost_and_never_comes_again(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[64];

	put(rig, 0, 64);
	pool_take(rig->pool, &rig->a, bytes, 40);
	pool_delivery_failed(rig->pool, &rig->a, 40);
	assert_int_equal(totals(rig).lost, 40);
	assert_int_equal(totals(rig).delivered, 0);
	assert_int_equal(pool_take(rig->pool, &rig->a, bytes, 64), 24);
	assert_counts_up(bytes, 24, 40);
}

/* ---- waiters ---- */

static void
a_waiter_gets_all_it_needs_then_is_told_once(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w = pool_wait(rig->pool, &rig->a, 256, note, rig);
	const uint8_t *bytes;
	size_t len;

	for (unsigned i = 0; i < 255; i++) {
		put(rig, (uint8_t)i, 1);
		assert_int_equal(rig->told, 0);
	}
	put(rig, 255, 20);
	assert_int_equal(rig->told, 1);
	assert_ptr_equal(rig->last, w);
	bytes = pool_waiter_bytes(w, &len);
	assert_int_equal(len, 256);
	assert_counts_up(bytes, len, 0);
	assert_int_equal(totals(rig).delivered, 0);
	assert_int_equal(totals(rig).waiters, 1);
	pool_waiter_done(rig->pool, w, true);
	assert_int_equal(totals(rig).delivered, 256);
	assert_int_equal(totals(rig).waiters, 0);
	assert_int_equal(pool_level(rig->pool), 19);
	assert_int_equal(rig->account.waited, 1);
}

static void
a_waiter_begins_with_what_is_there(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w;
	size_t len;

	put(rig, 0, 10);
	w = pool_wait(rig->pool, &rig->a, 32, note, rig);
	pool_waiter_bytes(w, &len);
	assert_int_equal(len, 10);
	put(rig, 10, 22);
	assert_int_equal(rig->told, 1);
	assert_counts_up(pool_waiter_bytes(w, &len), 32, 0);
}

static void
an_interrupted_waiter_may_deliver_what_it_had(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w = pool_wait(rig->pool, &rig->a, 64, note, rig);

	put(rig, 0, 24);
	pool_waiter_done(rig->pool, w, true);
	assert_int_equal(totals(rig).delivered, 24);
	assert_int_equal(rig->told, 0);
}

static void
a_vanished_waiter_costs_its_bytes_and_they_are_wiped(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w = pool_wait(rig->pool, &rig->a, 64, note, rig);
	uint8_t mark[16] = "nobody is here !", next[64];

	pool_put(rig->pool, mark, sizeof(mark));
	assert_int_equal(secret_scan(mark, sizeof(mark)), 1);
	pool_waiter_done(rig->pool, w, false);
	assert_int_equal(secret_scan(mark, sizeof(mark)), 0);
	assert_int_equal(totals(rig).lost, sizeof(mark));
	assert_int_equal(pool_take(rig->pool, &rig->b, next, sizeof(next)), 0);
	assert_int_equal(rig->told, 0);
}

static void
closing_cancels_waiters_answered_or_not(void **state)
{
	struct rig *rig = *state;

	assert_non_null(pool_wait(rig->pool, &rig->a, 32, note, rig));
	assert_non_null(pool_wait(rig->pool, &rig->a, 64, note, rig));
	assert_true(pool_poll_arm(rig->pool, &rig->a, note, rig));
	put(rig, 0, 40);
	assert_int_equal(rig->told, 1); /* the first, never ended by its outlet */
	pool_handle_close(rig->pool, &rig->a);
	assert_int_equal(totals(rig).lost, 40);
	assert_int_equal(totals(rig).waiters, 0);
	assert_int_equal(totals(rig).handles, 2);
	put(rig, 40, 1000);
	assert_int_equal(rig->told, 1);
	assert_int_equal(pool_level(rig->pool), 1000);
}

static void
requests_of_one_handle_are_served_in_order(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w[4];
	size_t len;

	for (unsigned i = 0; i < 4; i++)
		w[i] = pool_wait(rig->pool, &rig->a, 50, note, rig);
	for (unsigned i = 0; i < 4; i++) {
		put(rig, (uint8_t)(50 * i), 50);
		assert_int_equal(rig->told, i + 1);
		assert_ptr_equal(rig->last, w[i]);
		assert_counts_up(pool_waiter_bytes(w[i], &len), 50, (uint8_t)(50 * i));
	}
}

/* ---- polls ---- */

static void
an_armed_poll_is_told_once_when_its_stash_is_full(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[100];

	assert_true(pool_poll_arm(rig->pool, &rig->a, note, rig));
	put(rig, 0, 63);
	assert_int_equal(rig->told, 0);
	put(rig, 63, 37);
	assert_int_equal(rig->told, 1);
	assert_null(rig->last);
	assert_int_equal(totals(rig).waiters, 0);
	assert_int_equal(pool_ready(rig->pool, &rig->a), 100);
	assert_int_equal(pool_ready(rig->pool, &rig->b), 36);
	assert_int_equal(pool_take(rig->pool, &rig->a, bytes, sizeof(bytes)), 100);
	assert_counts_up(bytes, sizeof(bytes), 0);
	totals(rig);
}

static void
a_stash_is_its_handles_alone(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[64];

	pool_poll_arm(rig->pool, &rig->a, note, rig);
	put(rig, 0, 64);
	assert_int_equal(pool_take(rig->pool, &rig->b, bytes, sizeof(bytes)), 0);
	for (unsigned i = 0; i < 64; i++) { /* bit by bit, oldest first */
		assert_int_equal(pool_take(rig->pool, &rig->a, bytes, 1), 1);
		assert_int_equal(bytes[0], i);
	}
}

static void
what_leaves_the_stash_is_wiped(void **state)
{
	struct rig *rig = *state;
	uint8_t mark[POOL_QUANTUM], taken[32];

	for (unsigned i = 0; i < sizeof(mark); i++)
		mark[i] = (uint8_t)(200 - i);
	pool_poll_arm(rig->pool, &rig->a, note, rig);
	pool_put(rig->pool, mark, sizeof(mark));
	assert_int_equal(secret_scan(mark + 20, 8), 1);
	pool_take(rig->pool, &rig->a, taken, sizeof(taken));
	assert_int_equal(secret_scan(mark + 20, 8), 0);
	assert_int_equal(secret_scan(mark + 40, 8), 1);
	pool_handle_close(rig->pool, &rig->a);
	assert_int_equal(secret_scan(mark + 40, 8), 0);
	assert_int_equal(totals(rig).lost, 32);
}

static void
a_stash_is_used_first_by_a_blocking_read(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w;
	size_t len;

	pool_poll_arm(rig->pool, &rig->a, note, rig);
	put(rig, 0, 40);
	assert_int_equal(pool_ready(rig->pool, &rig->a), 40);
	w = pool_wait(rig->pool, &rig->a, 64, note, rig);
	assert_int_equal(pool_ready(rig->pool, &rig->a), 0);
	put(rig, 40, 24);
	assert_counts_up(pool_waiter_bytes(w, &len), 64, 0);
	assert_int_equal(rig->told, 1);
}

static void
a_poll_beside_a_blocked_read_gets_its_share_after_it(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *w;
	size_t len;

	assert_true(pool_poll_arm(rig->pool, &rig->a, note, rig));
	put(rig, 0, 20);
	w = pool_wait(rig->pool, &rig->a, 100, note, rig); /* passes the poll, with its bytes */
	put(rig, 20, 80);
	assert_counts_up(pool_waiter_bytes(w, &len), 100, 0);
	assert_int_equal(rig->told, 1);
	assert_ptr_equal(rig->last, w);
	pool_waiter_done(rig->pool, w, true);
	put(rig, 100, 64);
	assert_int_equal(rig->told, 2);
	assert_int_equal(pool_ready(rig->pool, &rig->a), 64);
}

static void
other(struct pool_waiter *w, void *arg)
{
	note(w, arg);
	((struct rig *)arg)->told += 100;
}

static void
arming_again_replaces_whom_to_tell(void **state)
{
	struct rig *rig = *state;

	assert_true(pool_poll_arm(rig->pool, &rig->a, note, rig));
	assert_true(pool_poll_arm(rig->pool, &rig->a, other, rig));
	assert_int_equal(totals(rig).waiters, 1);
	assert_int_equal(rig->account.waited, 1);
	put(rig, 0, 64);
	assert_int_equal(rig->told, 101);
	assert_false(pool_poll_arm(rig->pool, &rig->a, note, rig)); /* 64 bytes are ready */
}

/* ---- limits ---- */

static void
one_identity_holds_a_quarter_of_the_waiters(void **state)
{
	struct rig *rig = *state;
	struct pool_handle same;

	assert_true(open_as(rig->pool, &same, &rig->account, 0, 1000));
	for (unsigned i = 0; i < WAITERS / 4; i++)
		assert_non_null(pool_wait(rig->pool, i % 2 ? &same : &rig->a, 8, note, rig));
	assert_null(pool_wait(rig->pool, &rig->a, 8, note, rig));
	assert_null(pool_wait(rig->pool, &same, 8, note, rig));
	assert_false(pool_poll_arm(rig->pool, &same, note, rig));
	/* The same number of another kind, and another number, are others. */
	assert_non_null(pool_wait(rig->pool, &rig->b, 8, note, rig));
	assert_non_null(pool_wait(rig->pool, &rig->c, 8, note, rig));
	pool_handle_close(rig->pool, &same);
	assert_non_null(pool_wait(rig->pool, &rig->a, 8, note, rig));
	assert_int_equal(rig->account.waited, 7);
}

static void
handles_are_limited_and_given_back(void **state)
{
	struct rig *rig = *state;
	struct pool_handle rest[4], last, more;

	for (unsigned i = 0; i < 4; i++)
		assert_true(open_as(rig->pool, &rest[i], &rig->account, 3, i));
	for (unsigned i = 0; i < 100; i++) { /* always another identity */
		assert_true(open_as(rig->pool, &last, &rig->account, 2, i));
		assert_false(open_as(rig->pool, &more, &rig->account, 2, 1000));
		pool_handle_close(rig->pool, &last);
	}
	for (unsigned i = 0; i < 4; i++)
		pool_handle_close(rig->pool, &rest[i]);
	assert_int_equal(totals(rig).handles, 3);
}

/* Or one user with many descriptors would keep all others from opening the device. */
static void
one_identity_holds_a_quarter_of_the_handles(void **state)
{
	const struct pool_config config = {POOL_SIZE_MIN, 16, 16, 0};
	struct pool *pool = pool_new(&config);
	struct pool_account account = {0};
	struct pool_handle mine[5], other;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_true(open_as(pool, &mine[i], &account, 0, 1000));
	assert_false(open_as(pool, &mine[4], &account, 0, 1000));
	assert_true(open_as(pool, &other, &account, 1, 1000));
	pool_handle_close(pool, &mine[0]);
	assert_true(open_as(pool, &mine[4], &account, 0, 1000));
	for (unsigned i = 1; i < 5; i++)
		pool_handle_close(pool, &mine[i]);
	pool_handle_close(pool, &other);
	pool_free(&pool);
}

static void
a_pool_of_one_waiter_has_one(void **state)
{
	const struct pool_config config = {POOL_SIZE_MIN, 1, 1, 0};
	struct pool *pool = pool_new(&config);
	struct pool_account account = {0};
	struct pool_handle h;

	(void)state;
	assert_true(open_as(pool, &h, &account, 0, 0));
	assert_non_null(pool_wait(pool, &h, 1, note, NULL));
	assert_null(pool_wait(pool, &h, 1, note, NULL));
	pool_handle_close(pool, &h);
	pool_free(&pool);
	assert_null(pool);
	pool_free(&pool);
}

/* ---- room ---- */

static void
on_room_comes_once_and_not_for_every_block(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[POOL_ROOM_AGAIN];

	put(rig, 0, SIZE);
	pool_take(rig->pool, &rig->a, bytes, 31);
	assert_true(pool_ask_room(rig->pool, 31));
	assert_false(pool_ask_room(rig->pool, 32));
	pool_take(rig->pool, &rig->a, bytes, POOL_ROOM_AGAIN - 32);
	assert_int_equal(rig->rooms, 0);
	pool_take(rig->pool, &rig->a, bytes, 1);
	assert_int_equal(rig->rooms, 1);
	pool_take(rig->pool, &rig->a, bytes, sizeof(bytes));
	put(rig, 0, POOL_ROOM_AGAIN);
	pool_take(rig->pool, &rig->a, bytes, sizeof(bytes));
	assert_int_equal(rig->rooms, 1); /* nobody was refused again */
}

static void
on_room_waits_for_what_was_asked(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[SIZE];

	put(rig, 0, SIZE);
	assert_false(pool_ask_room(rig->pool, POOL_ASK_MAX));
	pool_take(rig->pool, &rig->a, bytes, POOL_ASK_MAX - 1);
	assert_int_equal(rig->rooms, 0);
	pool_take(rig->pool, &rig->a, bytes, 1);
	assert_int_equal(rig->rooms, 1);
	assert_true(pool_ask_room(rig->pool, POOL_ASK_MAX));
}

static void
on_room_comes_for_the_smallest_who_was_refused(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[POOL_ROOM_AGAIN];

	put(rig, 0, SIZE);
	assert_false(pool_ask_room(rig->pool, 32));
	assert_false(pool_ask_room(rig->pool, POOL_ASK_MAX));
	pool_take(rig->pool, &rig->a, bytes, sizeof(bytes));
	assert_int_equal(rig->rooms, 1);
}

static void
on_room_comes_when_little_is_left_for_who_asked_for_that(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[SIZE];

	put(rig, 0, 200);
	assert_true(pool_ask_low(rig->pool, 201));
	assert_false(pool_ask_low(rig->pool, 100));
	pool_take(rig->pool, &rig->a, bytes, 100);
	assert_int_equal(rig->rooms, 0);
	pool_take(rig->pool, &rig->a, bytes, 1);
	assert_int_equal(rig->rooms, 1);
	assert_true(pool_ask_low(rig->pool, 100));
}

/* Taken inside the ready function, as a reader does who wants more than it waited for. */
static void
take_all(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;
	uint8_t bytes[SIZE];

	pool_waiter_done(rig->pool, w, true);
	rig->told += pool_take(rig->pool, &rig->a, bytes, sizeof(bytes)) > 0;
}

static void
ask(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;

	pool_waiter_done(rig->pool, w, true);
	assert_false(pool_ask_room(rig->pool, POOL_ASK_MAX));
}

static void
on_room_comes_when_waiters_made_the_room(void **state)
{
	struct rig *rig = *state;

	pool_wait(rig->pool, &rig->b, 1, ask, rig); /* asks while the ring is full */
	pool_wait(rig->pool, &rig->a, 1, take_all, rig);
	put(rig, 0, SIZE);
	assert_int_equal(rig->told, 1);
	assert_int_equal(pool_level(rig->pool), 0);
	assert_int_equal(rig->rooms, 1);
}

static void
on_wanted_comes_when_the_first_begins_to_wait(void **state)
{
	struct rig *rig = *state;

	assert_false(pool_is_wanted(rig->pool));
	pool_wait(rig->pool, &rig->a, 8, note, rig);
	assert_int_equal(rig->wants, 1);
	pool_poll_arm(rig->pool, &rig->b, note, rig);
	assert_int_equal(rig->wants, 1);
	assert_true(pool_is_wanted(rig->pool));
	put(rig, 0, 8 + POOL_QUANTUM);
	assert_false(pool_is_wanted(rig->pool));
	pool_poll_arm(rig->pool, &rig->a, note, rig);
	assert_int_equal(rig->wants, 2);
}

static void
wiping_leaves_nothing_and_makes_room(void **state)
{
	struct rig *rig = *state;
	struct pool_waiter *answered, *gathering;
	uint8_t mark[POOL_QUANTUM + 8];
	size_t len;

	memset(mark, 0xa7, sizeof(mark));
	answered = pool_wait(rig->pool, &rig->c, 4, note, rig);
	pool_put(rig->pool, (const uint8_t *)"sent", 4);
	pool_poll_arm(rig->pool, &rig->a, note, rig);
	pool_put(rig->pool, mark, POOL_QUANTUM); /* in a stash */
	gathering = pool_wait(rig->pool, &rig->b, 100, note, rig);
	pool_put(rig->pool, mark, 30);
	pool_wipe(rig->pool);
	assert_int_equal(secret_scan(mark, 8), 0);
	assert_memory_equal(pool_waiter_bytes(answered, &len), "sent", 4);
	assert_int_equal(pool_ready(rig->pool, &rig->a), 0);
	assert_int_equal(totals(rig).lost, POOL_QUANTUM + 30);
	put(rig, 0, 100);
	assert_counts_up(pool_waiter_bytes(gathering, &len), 100, 0);
	assert_int_equal(rig->told, 3);
	put(rig, 0, SIZE);
	assert_false(pool_ask_room(rig->pool, 1));
	pool_wipe(rig->pool);
	assert_int_equal(rig->rooms, 1);
	assert_int_equal(totals(rig).wiped, SIZE);
}

/* ---- ready functions that call the pool ---- */

static void
close_all(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;

	note(w, arg);
	pool_handle_close(rig->pool, &rig->a);
	pool_handle_close(rig->pool, &rig->b);
}

static void
ready_may_close_its_own_handle_and_the_next_in_turn(void **state)
{
	struct rig *rig = *state;

	pool_wait(rig->pool, &rig->a, 64, close_all, rig);
	pool_wait(rig->pool, &rig->b, 64, close_all, rig);
	pool_wait(rig->pool, &rig->c, 64, note, rig);
	put(rig, 0, 256);
	assert_int_equal(rig->told, 2); /* a's, then c's: b's is gone */
	assert_int_equal(totals(rig).lost, 64);
	assert_int_equal(pool_level(rig->pool), 128);
}

static void
poll_closes(struct pool_waiter *w, void *arg)
{
	close_all(w, arg);
}

static void
a_polls_ready_may_close_its_handle(void **state)
{
	struct rig *rig = *state;

	pool_poll_arm(rig->pool, &rig->a, poll_closes, rig);
	put(rig, 0, 100);
	assert_int_equal(rig->told, 1);
	assert_int_equal(totals(rig).lost, 64);
}

/* As a file with one read after the other: what is ready is taken, else it waits. */
static void
read_again(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;
	uint8_t bytes[64];

	note(w, arg);
	pool_waiter_done(rig->pool, w, true);
	while (pool_ready(rig->pool, &rig->a) >= sizeof(bytes))
		pool_take(rig->pool, &rig->a, bytes, sizeof(bytes));
	rig->last = pool_wait(rig->pool, &rig->a, sizeof(bytes), read_again, rig);
}

static void
ready_may_take_and_wait_again_and_is_served_from_the_same_bytes(void **state)
{
	struct rig *rig = *state;
	size_t len;

	pool_wait(rig->pool, &rig->a, 64, read_again, rig);
	put(rig, 0, 64 * 100 + 7);
	assert_int_equal(rig->told, 1);
	assert_int_equal(totals(rig).delivered, 6400);
	assert_counts_up(pool_waiter_bytes(rig->last, &len), 7, 0);
	assert_int_equal(len, 7);
	/* Beside another one who waits they take turns, and all goes through the queue. */
	assert_non_null(pool_wait(rig->pool, &rig->b, 256, note, rig));
	put(rig, 7, 57 + 3 * 128);
	assert_int_equal(rig->told, 5);
	assert_int_equal(pool_level(rig->pool), 0);
}

static void
put_more(struct pool_waiter *w, void *arg)
{
	struct rig *rig = arg;

	note(w, arg);
	pool_waiter_done(rig->pool, w, true);
	if (rig->told < 4)
		put(rig, 0, 16);
}

static void
ready_may_put_and_is_not_called_from_within(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 4; i++)
		pool_wait(rig->pool, i % 2 ? &rig->a : &rig->b, 16, put_more, rig);
	put(rig, 0, 16);
	assert_int_equal(rig->told, 4);
	assert_int_equal(totals(rig).delivered, 64);
}

/* ---- anything at any time ---- */

static unsigned
pick(void *arg, unsigned below)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (unsigned)(*x >> 33) % below;
}

static void
never_twice_always_in_order_in_balance_and_wiped(void **state)
{
	static struct world world;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		uint64_t x = seed * 0x9e3779b97f4a7c15;

		print_message("seed %u: ", (unsigned)seed);
		fflush(stdout);
		world_begin(&world, pick, &x);
		for (unsigned i = 0; i < 20000; i++) {
			world_step(&world);
			if (i % 100 == 0)
				world_check_wiped(&world);
		}
		print_message("%u answered, %u polls, %u rooms, %u nested steps\n", world.answered,
			      world.polled, world.rooms, world.nested);
		assert_true(world.delivered > 300000 && world.answered > 200);
		assert_true(world.polled > 50 && world.rooms > 50 && world.nested > 200);
		world_end(&world);
	}
}

/* 256 bytes, all different, cut in odd pieces between three who wait, poll and take. */
struct odd {
	struct pool *pool;
	struct pool_handle h;
	struct pool_account account;
	struct pool_waiter *w;
	unsigned seen[256], taken;
	int last;
};

static void
odd_see(struct odd *o, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(o->seen[bytes[i]]++, 0);
		assert_true(bytes[i] > o->last);
		o->last = bytes[i];
		o->taken++;
	}
}

static void
odd_ready(struct pool_waiter *w, void *arg)
{
	struct odd *o = arg;
	const uint8_t *bytes;
	size_t len;

	if (w == NULL)
		return;
	bytes = pool_waiter_bytes(w, &len);
	odd_see(o, bytes, len);
	pool_waiter_done(o->pool, w, true);
	o->w = NULL;
}

static void
odd_step(struct odd *o, uint64_t *x)
{
	uint8_t bytes[16];
	size_t n = 1 + pick(x, 15);

	if (o->w != NULL) /* a file is read by one at a time */
		return;
	if (pick(x, 4) == 0)
		pool_poll_arm(o->pool, &o->h, odd_ready, o);
	else if (pool_ready(o->pool, &o->h) < n)
		o->w = pool_wait(o->pool, &o->h, n, odd_ready, o);
	else
		odd_see(o, bytes, pool_take(o->pool, &o->h, bytes, n));
}

static void
odd_episode(struct pool *pool, uint64_t seed)
{
	struct odd odd[3] = {0};
	unsigned taken = 0, held = 0;

	for (unsigned i = 0; i < 3; i++) {
		odd[i].pool = pool;
		odd[i].last = -1;
		assert_true(open_as(pool, &odd[i].h, &odd[i].account, 0, i / 2));
	}
	for (unsigned next = 0; next < 256; next++) {
		uint8_t byte = (uint8_t)next;

		odd_step(&odd[pick(&seed, 3)], &seed);
		pool_put(pool, &byte, 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		taken += odd[i].taken;
		pool_handle_close(pool, &odd[i].h);
		held += (unsigned)odd[i].account.lost;
	}
	assert_int_equal(taken + held + pool_level(pool), 256);
	pool_wipe(pool);
}

static void
each_byte_once_and_rising_for_each_reader_in_odd_pieces(void **state)
{
	const struct pool_config config = {POOL_SIZE_MIN, 8, 16, 0};
	struct pool *pool = pool_new(&config);

	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++)
		odd_episode(pool, seed * 0x9e3779b97f4a7c15);
	pool_free(&pool);
}

#define promise(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		promise(what_is_put_is_taken_in_order_across_the_end_of_the_ring),
		promise(what_is_taken_is_wiped_in_the_same_call),
		promise(a_full_pool_takes_what_fits_and_says_so),
		promise(nobody_passes_those_who_wait),
		promise(a_failed_delivery_is_lost_and_never_comes_again),
		promise(a_waiter_gets_all_it_needs_then_is_told_once),
		promise(a_waiter_begins_with_what_is_there),
		promise(an_interrupted_waiter_may_deliver_what_it_had),
		promise(a_vanished_waiter_costs_its_bytes_and_they_are_wiped),
		promise(closing_cancels_waiters_answered_or_not),
		promise(requests_of_one_handle_are_served_in_order),
		promise(an_armed_poll_is_told_once_when_its_stash_is_full),
		promise(a_stash_is_its_handles_alone),
		promise(what_leaves_the_stash_is_wiped),
		promise(a_stash_is_used_first_by_a_blocking_read),
		promise(a_poll_beside_a_blocked_read_gets_its_share_after_it),
		promise(arming_again_replaces_whom_to_tell),
		promise(one_identity_holds_a_quarter_of_the_waiters),
		promise(handles_are_limited_and_given_back),
		cmocka_unit_test(one_identity_holds_a_quarter_of_the_handles),
		promise(on_room_comes_once_and_not_for_every_block),
		promise(on_room_waits_for_what_was_asked),
		promise(on_room_comes_for_the_smallest_who_was_refused),
		promise(on_room_comes_when_little_is_left_for_who_asked_for_that),
		promise(on_room_comes_when_waiters_made_the_room),
		promise(on_wanted_comes_when_the_first_begins_to_wait),
		promise(wiping_leaves_nothing_and_makes_room),
		promise(ready_may_close_its_own_handle_and_the_next_in_turn),
		promise(a_polls_ready_may_close_its_handle),
		promise(ready_may_take_and_wait_again_and_is_served_from_the_same_bytes),
		promise(ready_may_put_and_is_not_called_from_within),
		cmocka_unit_test(a_pool_of_one_waiter_has_one),
		cmocka_unit_test(never_twice_always_in_order_in_balance_and_wiped),
		cmocka_unit_test(each_byte_once_and_rising_for_each_reader_in_odd_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
