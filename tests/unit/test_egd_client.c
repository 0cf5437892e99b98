/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "egd/egd_client.h"

#define PATIENCE_MS 20000
#define MANY 100000

static struct egd_client client;
static uint8_t requests[EGD_CLIENT_SEND_MAX];
static uint64_t now_ms;

/* A connection on which the server has proven to be one. */
static void
open_proven(void)
{
	static const uint8_t level[EGD_LEVEL_LEN];
	struct cursor in = cursor_over(level, sizeof(level));
	struct egd_reply reply;

	egd_client_open(&client, PATIENCE_MS, now_ms);
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests), 1);
	assert_int_equal(egd_client_next(&client, &in, now_ms, &reply), EGD_CLIENT_LEVEL);
	now_ms += EGD_QUIET_MS;
	assert_true(egd_client_prove(&client, now_ms));
	egd_client_listens(&client, now_ms);
}

static int
set_up(void **state)
{
	(void)state;
	now_ms = 1000;
	open_proven();
	return 0;
}

/* Bytes of entropy that the requests in `requests` ask for. */
static size_t
asked(size_t len)
{
	struct cursor in = cursor_over(requests, len);
	struct egd_request request;
	size_t bytes = 0;

	while (egd_wire_request(&in, &request) == EGD_WHOLE) {
		assert_int_equal(request.op, EGD_READ);
		assert_true(request.len > 0);
		bytes += request.len;
	}
	assert_int_equal(in.left, 0);
	return bytes;
}

static size_t
ask(size_t want)
{
	return asked(egd_client_ask(&client, want, now_ms, requests));
}

/* Gives `len` bytes; returns those that were taken for entropy, all of them in their order. */
static size_t
hear(const uint8_t *bytes, size_t len, enum egd_client_event *ret_last)
{
	struct cursor in = cursor_over(bytes, len);
	enum egd_client_event event;
	struct egd_reply reply;
	size_t taken = 0;

	while ((event = egd_client_next(&client, &in, now_ms, &reply)) == EGD_CLIENT_BYTES) {
		assert_ptr_equal(reply.bytes, bytes + taken);
		assert_in_range(reply.len, 1, EGD_CLIENT_PIECE_MAX);
		taken += reply.len;
	}
	*ret_last = event;
	return taken;
}

static void
answer(size_t len)
{
	static const uint8_t zeros[EGD_CLIENT_ROUND_MAX];
	enum egd_client_event last;

	assert_int_equal(hear(zeros, len, &last), len);
	assert_int_equal(last, EGD_CLIENT_MORE);
}

/* A full round that takes `took_ms`. */
static size_t
round_in(uint64_t took_ms)
{
	size_t bytes = ask(MANY);

	now_ms += took_ms;
	answer(bytes);
	return bytes;
}

static void
requests_at_most_the_wanted_bytes_and_one_round_at_a_time(void **unused)
{
	(void)unused;
	assert_int_equal(ask(0), 0);
	assert_int_equal(ask(7), 7);
	assert_int_equal(ask(MANY), 0);
	answer(6);
	assert_int_equal(ask(MANY), 0);
	answer(1);
	assert_int_equal(ask(MANY), EGD_CLIENT_ROUND_MIN);
}

static void
round_grows_while_answers_are_quick(void **unused)
{
	size_t before = round_in(0), now;

	(void)unused;
	assert_int_equal(before, EGD_CLIENT_ROUND_MIN);
	for (int i = 0; i < 20; i++, before = now) {
		now = round_in(EGD_CLIENT_QUICK_MS);
		assert_true(now == 2 * before || now == EGD_CLIENT_ROUND_MAX);
	}
	assert_int_equal(before, EGD_CLIENT_ROUND_MAX);
}

static void
round_shrinks_while_answers_are_slow_and_stays_in_between(void **unused)
{
	size_t before;

	(void)unused;
	for (int i = 0; i < 5; i++)
		round_in(0);
	before = round_in(EGD_CLIENT_QUICK_MS + 1);
	assert_int_equal(round_in(EGD_CLIENT_SLOW_MS), before);
	assert_int_equal(round_in(EGD_CLIENT_SLOW_MS + 1), before);
	assert_int_equal(round_in(EGD_CLIENT_SLOW_MS + 1), before / 2);
	for (int i = 0; i < 20; i++)
		before = round_in(EGD_CLIENT_SLOW_MS + 1);
	assert_int_equal(before, EGD_CLIENT_ROUND_MIN);
}

static void
round_that_was_not_full_does_not_grow(void **unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ask(EGD_CLIENT_ROUND_MIN - 1), EGD_CLIENT_ROUND_MIN - 1);
		answer(EGD_CLIENT_ROUND_MIN - 1);
	}
	assert_int_equal(ask(MANY), EGD_CLIENT_ROUND_MIN);
}

static void
unrequested_byte_is_bad_and_not_taken(void **unused)
{
	static const uint8_t bytes[EGD_CLIENT_ROUND_MIN + 1];
	enum egd_client_event last;

	(void)unused;
	assert_int_equal(hear(bytes, 1, &last), 0);
	assert_int_equal(last, EGD_CLIENT_BAD);
	ask(MANY);
	assert_int_equal(hear(bytes, sizeof(bytes), &last), EGD_CLIENT_ROUND_MIN);
	assert_int_equal(last, EGD_CLIENT_BAD);
}

static void
level_comes_before_the_entropy_asked_for_behind_it(void **unused)
{
	static const uint8_t bytes[] = {0, 0, 0x80, 0, 'e', 'n', 't'};
	struct egd_reply reply;

	(void)unused;
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests), 1);
	assert_int_equal(requests[0], EGD_GET_COUNT);
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests), 0);
	assert_int_equal(ask(3), 3);
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests), 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		struct cursor in = cursor_over(bytes + i, 1);
		enum egd_client_event event = egd_client_next(&client, &in, now_ms, &reply);

		assert_int_equal(event, i < 3    ? EGD_CLIENT_MORE
					: i == 3 ? EGD_CLIENT_LEVEL
						 : EGD_CLIENT_BYTES);
		if (event == EGD_CLIENT_LEVEL)
			assert_int_equal(reply.bits, 0x8000);
		assert_int_equal(in.left, 0);
	}
	assert_false(egd_client_is_owed(&client));
}

static void
pid_is_given_as_it_was_sent(void **unused)
{
	static const uint8_t bytes[] = {4, '4', '7', '1', '1'};
	struct cursor in = cursor_over(bytes, sizeof(bytes));
	struct egd_reply reply;

	(void)unused;
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_PID, now_ms, requests), 1);
	assert_int_equal(requests[0], EGD_GET_PID);
	assert_int_equal(egd_client_next(&client, &in, now_ms, &reply), EGD_CLIENT_PID);
	assert_int_equal(reply.len, 4);
	assert_memory_equal(reply.bytes, "4711", 4);
}

static void
patience_ends_without_bytes_for_a_seed_and_not_while_they_come(void **unused)
{
	uint64_t end_ms;

	(void)unused;
	assert_int_equal(egd_client_deadline(&client), now_ms + EGD_CLIENT_PROBE_MS);
	for (int i = 0; i < 3; i++)
		round_in(0);
	assert_int_equal(ask(MANY), 8 * EGD_CLIENT_ROUND_MIN);
	for (int i = 0; i < 7; i++) {
		end_ms = now_ms + PATIENCE_MS;
		assert_int_equal(egd_client_deadline(&client), end_ms);
		now_ms += PATIENCE_MS - 1;
		answer(EGD_CLIENT_ROUND_MIN - 1);
		assert_int_equal(egd_client_deadline(&client), end_ms);
		answer(1);
	}
	answer(EGD_CLIENT_ROUND_MIN);
	assert_int_equal(egd_client_deadline(&client), now_ms + EGD_CLIENT_PROBE_MS);
	ask(1);
	now_ms += PATIENCE_MS;
	egd_client_listens(&client, now_ms);
	assert_int_equal(egd_client_deadline(&client), now_ms + PATIENCE_MS);
	egd_client_close(&client);
	assert_int_equal(egd_client_deadline(&client), UINT64_MAX);
}

static void
server_keeps_up_with_bytes_for_a_seed_in_five_seconds(void **unused)
{
	(void)unused;
	assert_int_equal(egd_client_lags_at(&client), UINT64_MAX);
	round_in(0);
	assert_true(client.keeps_up);
	assert_int_equal(ask(MANY), 2 * EGD_CLIENT_ROUND_MIN);
	assert_int_equal(egd_client_lags_at(&client), now_ms + EGD_CLIENT_LAG_MS);
	now_ms += EGD_CLIENT_LAG_MS;
	answer(EGD_CLIENT_ROUND_MIN - 1);
	assert_false(client.keeps_up);
	assert_int_equal(egd_client_lags_at(&client), now_ms);
	answer(1);
	assert_true(client.keeps_up);
	now_ms += EGD_CLIENT_LAG_MS + 1;
	answer(EGD_CLIENT_ROUND_MIN);
	assert_false(client.keeps_up); /* whole, but late */
	assert_int_equal(egd_client_lags_at(&client), UINT64_MAX);
}

static void
closed_connection_owes_and_asks_nothing(void **unused)
{
	(void)unused;
	ask(MANY);
	egd_client_close(&client);
	assert_false(egd_client_is_owed(&client));
	assert_int_equal(ask(MANY), 0);
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests), 0);
	open_proven();
	assert_int_equal(ask(MANY), EGD_CLIENT_ROUND_MIN);
}

/* ---- it is an EGD server ---- */

static enum egd_client_event
hear_one(uint8_t byte)
{
	struct cursor in = cursor_over(&byte, 1);
	struct egd_reply reply;

	return egd_client_next(&client, &in, now_ms, &reply);
}

static void
server_is_proven_by_four_bytes_and_silence_and_by_nothing_less(void **unused)
{
	(void)unused;
	egd_client_open(&client, PATIENCE_MS, now_ms);
	assert_false(egd_client_prove(&client, now_ms + 10 * EGD_CLIENT_PROBE_MS));
	egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests);
	for (int i = 0; i < EGD_LEVEL_LEN; i++) {
		assert_false(egd_client_prove(&client, now_ms + 10 * PATIENCE_MS));
		assert_int_equal(ask(MANY), 0);
		assert_int_equal(hear_one('S'), i < 3 ? EGD_CLIENT_MORE : EGD_CLIENT_LEVEL);
		now_ms += i < 2 ? EGD_QUIET_MS / 2 : 0; /* pieces may be late */
	}
	now_ms += EGD_QUIET_MS - 1;
	assert_int_equal(egd_client_deadline(&client), now_ms + 1);
	assert_false(egd_client_prove(&client, now_ms));
	assert_int_equal(ask(MANY), 0);
	assert_true(egd_client_prove(&client, ++now_ms));
	assert_false(egd_client_prove(&client, now_ms));
	assert_int_equal(ask(MANY), EGD_CLIENT_ROUND_MIN);
}

static void
fifth_byte_is_bad_as_is_one_before_the_question(void **unused)
{
	(void)unused;
	egd_client_open(&client, PATIENCE_MS, now_ms);
	assert_int_equal(hear_one('2'), EGD_CLIENT_BAD);
	egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests);
	for (int i = 0; i < EGD_LEVEL_LEN; i++)
		(void)hear_one('2');
	now_ms += EGD_QUIET_MS - 1;
	assert_int_equal(hear_one('2'), EGD_CLIENT_BAD);
}

static void
text_of_which_a_byte_comes_now_and_then_is_bad(void **unused)
{
	(void)unused;
	egd_client_ask_single(&client, EGD_GET_COUNT, now_ms, requests);
	assert_int_equal(hear_one('S'), EGD_CLIENT_MORE);
	now_ms += EGD_QUIET_MS + 1;
	assert_int_equal(hear_one('S'), EGD_CLIENT_BAD);
}

static void
process_id_has_no_more_digits_than_a_number(void **unused)
{
	(void)unused;
	assert_int_equal(egd_client_ask_single(&client, EGD_GET_PID, now_ms, requests), 1);
	assert_int_equal(hear_one(EGD_PID_MAX), EGD_CLIENT_BAD);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_at_most_the_wanted_bytes_and_one_round_at_a_time),
		TEST(round_grows_while_answers_are_quick),
		TEST(round_shrinks_while_answers_are_slow_and_stays_in_between),
		TEST(round_that_was_not_full_does_not_grow),
		TEST(unrequested_byte_is_bad_and_not_taken),
		TEST(level_comes_before_the_entropy_asked_for_behind_it),
		TEST(pid_is_given_as_it_was_sent),
		TEST(patience_ends_without_bytes_for_a_seed_and_not_while_they_come),
		TEST(server_keeps_up_with_bytes_for_a_seed_in_five_seconds),
		TEST(server_is_proven_by_four_bytes_and_silence_and_by_nothing_less),
		TEST(fifth_byte_is_bad_as_is_one_before_the_question),
		TEST(text_of_which_a_byte_comes_now_and_then_is_bad),
		TEST(process_id_has_no_more_digits_than_a_number),
		TEST(closed_connection_owes_and_asks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
