/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/secret.h"
#include "pool/intake.h"
#include "tests/unit/secret_scan.h"

#define BLOCK 32
#define T0 1000000 /* ms */

struct rig {
	struct pool *pool;
	struct intake *in;
	struct pool_account account;
	struct pool_handle handle;
	uint32_t next;  /* of the harmless stream */
	unsigned rooms; /* calls of on_room */
};

static void
on_room(void *arg)
{
	((struct rig *)arg)->rooms++;
}

static int
set_up(void **state)
{
	static struct rig rig;
	struct pool_config config = {.size = 16384, .max_handles = 4, .max_waiters = 4};
	const struct pool_client client = {.weight = 1};

	memset(&rig, 0, sizeof(rig));
	rig.pool = pool_new(&config);
	rig.in = secret_new(sizeof(*rig.in));
	if (rig.pool == NULL || rig.in == NULL)
		return -1;
	pool_on_room(rig.pool, on_room, &rig);
	intake_init(rig.in, rig.pool, HEALTH_H_DEFAULT);
	if (!pool_handle_open(rig.pool, &rig.handle, &rig.account, &client))
		return -1;
	*state = &rig;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	pool_handle_close(rig->pool, &rig->handle);
	pool_free(&rig->pool);
	secret_free(rig->in, sizeof(*rig->in));
	return 0;
}

static void
assert_balance(const struct rig *rig)
{
	const struct intake_counters *c = &rig->in->counters;
	struct pool_totals totals;

	pool_totals(rig->pool, &totals);
	assert_int_equal(c->in, c->pooled + c->rejected + c->held);
	assert_int_equal(c->pooled, totals.in);
	assert_int_equal(totals.in, totals.delivered + totals.lost + totals.held);
}

/* Bytes that pass: none is there more often than any other. */
static void
harmless(struct rig *rig, uint8_t *ret, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(rig->next++ * 167 + 13);
}

static bool
put(struct rig *rig, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	bool changed = intake_put(rig->in, bytes, len, now_ms);

	assert_balance(rig);
	return changed;
}

/* Puts `len` good bytes in blocks; returns how many times the state changed. */
static unsigned
put_good(struct rig *rig, size_t len, uint64_t now_ms)
{
	uint8_t block[BLOCK];
	unsigned changes = 0;

	for (; len > 0; len -= BLOCK) {
		harmless(rig, block, BLOCK);
		assert_true(intake_has_room(rig->in, BLOCK));
		changes += put(rig, block, BLOCK, now_ms);
	}
	return changes;
}

static bool
put_bad(struct rig *rig, uint64_t now_ms)
{
	static const uint8_t zeros[BLOCK];

	return put(rig, zeros, BLOCK, now_ms);
}

static size_t
drain(struct rig *rig)
{
	uint8_t bytes[16384];

	return pool_take(rig->pool, &rig->handle, bytes, sizeof(bytes));
}

static void
startup_is_held_until_it_passes_then_released_in_order(void **state)
{
	struct rig *rig = *state;
	uint8_t first[INTAKE_STARTUP_LEN], taken[INTAKE_STARTUP_LEN];

	harmless(rig, first, sizeof(first));
	rig->next = 0;
	assert_int_equal(put_good(rig, INTAKE_STARTUP_LEN - BLOCK, T0), 0);
	assert_int_equal(rig->in->state, INTAKE_STARTUP);
	assert_int_equal(rig->in->counters.held, INTAKE_STARTUP_LEN - BLOCK);
	assert_int_equal(pool_level(rig->pool), 0);
	assert_int_equal(put_good(rig, BLOCK, T0), 1);
	assert_int_equal(rig->in->state, INTAKE_ACTIVE);
	assert_int_equal(rig->in->counters.held, 0);
	assert_int_equal(pool_take(rig->pool, &rig->handle, taken, sizeof(taken)), sizeof(taken));
	assert_memory_equal(taken, first, sizeof(first));
	assert_int_equal(secret_scan(first + 64, 8), 0);
}

static void
a_block_across_the_end_of_startup_is_not_split_or_lost(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[INTAKE_BLOCK_MAX + 100], taken[sizeof(bytes)];

	harmless(rig, bytes, sizeof(bytes));
	assert_false(put(rig, bytes, 100, T0));
	assert_true(put(rig, bytes + 100, INTAKE_BLOCK_MAX, T0));
	assert_int_equal(pool_take(rig->pool, &rig->handle, taken, sizeof(taken)), sizeof(taken));
	assert_memory_equal(taken, bytes, sizeof(bytes));
}

static void
startup_that_fails_is_wiped_and_counted(void **state)
{
	struct rig *rig = *state;
	uint8_t held[8];

	put_good(rig, 512, T0);
	memcpy(held, rig->in->held + 100, sizeof(held));
	assert_int_not_equal(secret_scan(held, sizeof(held)), 0);
	assert_true(put_bad(rig, T0));
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_int_equal(rig->in->cause, INTAKE_CAUSE_REPETITION);
	assert_int_equal(rig->in->counters.rejected, 512 + BLOCK);
	assert_int_equal(rig->in->counters.alarms, 1);
	assert_int_equal(pool_level(rig->pool), 0);
	assert_int_equal(secret_scan(held, sizeof(held)), 0);
}

static void
the_block_that_fails_is_rejected_whole(void **state)
{
	struct rig *rig = *state;
	uint8_t block[BLOCK];

	put_good(rig, INTAKE_STARTUP_LEN, T0);
	harmless(rig, block, sizeof(block));
	memset(block + BLOCK - 7, 0, 7); /* fails at its very last byte */
	assert_true(put(rig, block, sizeof(block), T0));
	assert_int_equal(rig->in->counters.rejected, BLOCK);
	assert_int_equal(rig->in->counters.pooled, INTAKE_STARTUP_LEN);
}

static void
too_many_of_one_value_quarantines_with_its_cause(void **state)
{
	struct rig *rig = *state;
	uint8_t block[BLOCK];
	bool changed = false;

	put_good(rig, INTAKE_STARTUP_LEN, T0);
	for (unsigned i = 0; i < HEALTH_APT_WINDOW && !changed; i += BLOCK) {
		harmless(rig, block, sizeof(block));
		for (unsigned k = 0; k < BLOCK; k += 8)
			block[k] = 77;
		changed = put(rig, block, sizeof(block), T0);
	}
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_int_equal(rig->in->cause, INTAKE_CAUSE_PROPORTION);
}

static void
quarantine_rejects_everything_until_its_time(void **state)
{
	struct rig *rig = *state;

	put_bad(rig, T0);
	assert_int_equal(put_good(rig, 8192, T0 + INTAKE_QUARANTINE_MS - 1), 0);
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_int_equal(rig->in->counters.rejected, BLOCK + 8192);
	assert_int_equal(put_good(rig, BLOCK, T0 + INTAKE_QUARANTINE_MS), 1);
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
	assert_int_equal(rig->in->counters.held, BLOCK);
}

/* Its time would never end: a source that is not read says nothing. */
static void
a_quarantined_source_is_read_beside_a_full_pool(void **state)
{
	struct rig *rig = *state;

	put_good(rig, 16384, T0);
	assert_false(intake_has_room(rig->in, BLOCK));
	intake_badness(rig->in, '1', T0);
	assert_true(intake_has_room(rig->in, BLOCK));
	intake_badness(rig->in, '0', T0 + INTAKE_QUARANTINE_MS);
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
}

static void
probation_is_four_times_longer_than_startup(void **state)
{
	struct rig *rig = *state;

	put_bad(rig, T0);
	put_good(rig, INTAKE_PROBATION_LEN - BLOCK, T0 + INTAKE_QUARANTINE_MS);
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
	assert_int_equal(pool_level(rig->pool), 0);
	assert_int_equal(put_good(rig, BLOCK, T0 + INTAKE_QUARANTINE_MS), 1);
	assert_int_equal(rig->in->state, INTAKE_ACTIVE);
	assert_int_equal(pool_level(rig->pool), INTAKE_PROBATION_LEN);
}

static void
probation_that_fails_is_quarantine_again(void **state)
{
	struct rig *rig = *state;
	uint64_t later = T0 + INTAKE_QUARANTINE_MS;

	put_bad(rig, T0);
	put_good(rig, INTAKE_PROBATION_LEN - BLOCK, later);
	assert_true(put_bad(rig, later));
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_int_equal(rig->in->until_ms, later + INTAKE_QUARANTINE_MS);
	assert_int_equal(rig->in->counters.rejected, rig->in->counters.in);
	/* Also when the first block of a probation fails: it began again, and is told. */
	assert_true(put_bad(rig, later + INTAKE_QUARANTINE_MS));
	assert_int_equal(rig->in->counters.alarms, 3);
}

static void
badness_quarantines_until_taken_back(void **state)
{
	struct rig *rig = *state;
	uint64_t later = T0 + INTAKE_QUARANTINE_MS;

	put_good(rig, INTAKE_STARTUP_LEN, T0);
	assert_false(intake_badness(rig->in, '0', T0));
	assert_true(intake_badness(rig->in, '1', T0));
	assert_int_equal(rig->in->cause, INTAKE_CAUSE_BADNESS);
	assert_false(intake_badness(rig->in, '1', T0 + 1));
	assert_int_equal(put_good(rig, 4096, later), 0);
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_true(intake_badness(rig->in, '0', later));
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
	assert_true(intake_badness(rig->in, '4', later));
	assert_false(intake_badness(rig->in, '0', later + 1));
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	assert_int_equal(rig->in->counters.alarms, 2);
}

static void
badness_wipes_what_is_held(void **state)
{
	struct rig *rig = *state;
	uint8_t held[8];

	put_good(rig, 512, T0);
	memcpy(held, rig->in->held, sizeof(held));
	intake_badness(rig->in, '8', T0);
	assert_balance(rig);
	assert_int_equal(rig->in->counters.rejected, 512);
	assert_int_equal(secret_scan(held, sizeof(held)), 0);
}

static void
a_new_connection_starts_up_again(void **state)
{
	struct rig *rig = *state;

	put_good(rig, 512, T0);
	intake_restart(rig->in);
	assert_balance(rig);
	assert_int_equal(rig->in->counters.rejected, 512);
	put_good(rig, INTAKE_STARTUP_LEN, T0);
	assert_int_equal(rig->in->state, INTAKE_ACTIVE);
	intake_restart(rig->in);
	assert_int_equal(rig->in->state, INTAKE_STARTUP);
	put_good(rig, BLOCK, T0);
	assert_int_equal(rig->in->counters.held, BLOCK);
}

static void
reconnecting_does_not_leave_quarantine_or_probation(void **state)
{
	struct rig *rig = *state;
	uint64_t later = T0 + INTAKE_QUARANTINE_MS;

	intake_badness(rig->in, '1', T0);
	intake_restart(rig->in);
	put_good(rig, BLOCK, later - 1);
	assert_int_equal(rig->in->state, INTAKE_QUARANTINE);
	put_good(rig, BLOCK, later); /* the new connection has not complained */
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
	intake_restart(rig->in);
	assert_balance(rig);
	put_good(rig, INTAKE_PROBATION_LEN - BLOCK, later);
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
	assert_int_equal(rig->in->counters.alarms, 1);
}

/* A run that a disconnection cut in two is no run. */
static void
tests_start_afresh_with_each_connection(void **state)
{
	struct rig *rig = *state;
	uint8_t block[BLOCK];

	for (unsigned i = 0; i < 2; i++) {
		harmless(rig, block, sizeof(block));
		memset(i == 0 ? block + BLOCK - 4 : block, 0, 4);
		assert_false(put(rig, block, sizeof(block), T0));
		intake_restart(rig->in);
	}
	assert_int_equal(rig->in->counters.alarms, 0);
}

static void
tests_start_afresh_after_badness(void **state)
{
	struct rig *rig = *state;
	uint64_t later = T0 + INTAKE_QUARANTINE_MS;
	uint8_t block[BLOCK];

	harmless(rig, block, sizeof(block));
	memset(block + BLOCK - 4, 0, 4);
	put(rig, block, sizeof(block), T0);
	intake_badness(rig->in, '1', T0);
	intake_badness(rig->in, '0', later);
	harmless(rig, block, sizeof(block));
	memset(block, 0, 4);
	assert_false(put(rig, block, sizeof(block), later));
	assert_int_equal(rig->in->state, INTAKE_PROBATION);
}

static void
a_full_pool_stops_the_source_and_a_drained_one_calls_it(void **state)
{
	struct rig *rig = *state;

	put_good(rig, 16384, T0);
	assert_int_equal(pool_room(rig->pool), 0);
	assert_false(intake_has_room(rig->in, BLOCK));
	assert_int_equal(rig->rooms, 0);
	assert_int_equal(drain(rig), 16384);
	assert_int_equal(rig->rooms, 1);
	assert_true(intake_has_room(rig->in, BLOCK));
}

/* Held bytes are asked for as a whole: a release is never partial. */
static void
a_release_waits_for_room_for_all_of_it(void **state)
{
	struct rig *rig = *state;
	uint8_t other[16384 - 2048] = {0}, taken[2048];
	uint64_t later = T0 + INTAKE_QUARANTINE_MS;

	put_bad(rig, T0);
	put_good(rig, INTAKE_PROBATION_LEN - BLOCK, later);
	assert_int_equal(pool_put(rig->pool, other, sizeof(other)), sizeof(other));
	assert_false(intake_has_room(rig->in, BLOCK));
	assert_true(intake_has_room(rig->in, BLOCK - 1)); /* still only held */
	pool_take(rig->pool, &rig->handle, taken, 2047);
	assert_int_equal(rig->rooms, 0);
	pool_take(rig->pool, &rig->handle, taken, 1);
	assert_int_equal(rig->rooms, 1);
	assert_true(intake_has_room(rig->in, BLOCK));
	drain(rig);
	rig->in->counters.pooled += sizeof(other); /* as if the other source were this one */
	rig->in->counters.in += sizeof(other);
	put_good(rig, BLOCK, later);
	assert_int_equal(pool_level(rig->pool), INTAKE_PROBATION_LEN);
}

static void
the_smallest_pool_lets_a_probation_end(void **state)
{
	struct rig *rig = *state;
	struct pool_config config = {.size = POOL_SIZE_MIN, .max_handles = 1, .max_waiters = 1};
	struct pool *small = pool_new(&config);
	uint8_t block[INTAKE_BLOCK_MAX];

	intake_init(rig->in, small, HEALTH_H_DEFAULT);
	intake_badness(rig->in, '1', T0);
	intake_badness(rig->in, '0', T0 + INTAKE_QUARANTINE_MS);
	harmless(rig, block, 1);
	intake_put(rig->in, block, 1, T0);
	for (unsigned i = 0; i < 4; i++) { /* the last makes 4097 */
		harmless(rig, block, sizeof(block));
		assert_true(intake_has_room(rig->in, sizeof(block)));
		intake_put(rig->in, block, sizeof(block), T0);
	}
	assert_int_equal(rig->in->state, INTAKE_ACTIVE);
	assert_int_equal(pool_level(small), 4097);
	pool_free(&small);
}

static void
bytes_put_without_room_are_counted_rejected(void **state)
{
	struct rig *rig = *state;
	uint8_t block[BLOCK];

	put_good(rig, 16384, T0);
	harmless(rig, block, sizeof(block));
	put(rig, block, sizeof(block), T0);
	assert_int_equal(rig->in->counters.rejected, BLOCK);
}

static void
states_and_causes_have_words(void **state)
{
	(void)state;
	assert_string_equal(intake_state_text(INTAKE_STARTUP), "start-up test");
	assert_string_equal(intake_state_text(INTAKE_ACTIVE), "healthy");
	assert_string_equal(intake_state_text(INTAKE_QUARANTINE), "quarantined");
	assert_string_equal(intake_state_text(INTAKE_PROBATION), "on probation");
	assert_string_equal(intake_cause_text(INTAKE_CAUSE_NONE), "none");
	assert_string_equal(intake_cause_text(INTAKE_CAUSE_REPETITION), "repetition count test");
	assert_string_equal(intake_cause_text(INTAKE_CAUSE_PROPORTION), "adaptive proportion test");
	assert_string_equal(intake_cause_text(INTAKE_CAUSE_BADNESS), "the source's own report");
}

#define promise(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		promise(startup_is_held_until_it_passes_then_released_in_order),
		promise(a_block_across_the_end_of_startup_is_not_split_or_lost),
		promise(startup_that_fails_is_wiped_and_counted),
		promise(the_block_that_fails_is_rejected_whole),
		promise(too_many_of_one_value_quarantines_with_its_cause),
		promise(quarantine_rejects_everything_until_its_time),
		promise(a_quarantined_source_is_read_beside_a_full_pool),
		promise(probation_is_four_times_longer_than_startup),
		promise(probation_that_fails_is_quarantine_again),
		promise(badness_quarantines_until_taken_back),
		promise(badness_wipes_what_is_held),
		promise(a_new_connection_starts_up_again),
		promise(reconnecting_does_not_leave_quarantine_or_probation),
		promise(tests_start_afresh_with_each_connection),
		promise(tests_start_afresh_after_badness),
		promise(a_full_pool_stops_the_source_and_a_drained_one_calls_it),
		promise(a_release_waits_for_room_for_all_of_it),
		promise(the_smallest_pool_lets_a_probation_end),
		promise(bytes_put_without_room_are_counted_rejected),
		cmocka_unit_test(states_and_causes_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
