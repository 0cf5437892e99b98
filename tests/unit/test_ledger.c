/* SPDX-License-Identifier: MIT */
/* What who comes next may count on, wherever the last one was killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egd/ledger_inside.h"

#define MAX 4
#define PID 1234 /* four digits: a reply of five bytes */

/* A daemon's ledger, and a client that it talks to. */
struct rig {
	struct ledger *ledger;
	int fd;
	struct ledger_listener *listener;
	struct ledger_client *client;
	int ours, theirs;
};

static int
begin(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int ends[2];

	rig->ledger = ledger_new(MAX, &rig->fd);
	if (rig->ledger == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	rig->ours = ends[0];
	rig->theirs = ends[1];
	rig->listener = ledger_listen(rig->ledger, "unix:/a");
	rig->client = ledger_join(rig->ledger);
	ledger_keep(rig->ledger, rig->client, rig->listener, rig->ours);
	*state = rig;
	return 0;
}

static int
end(void **state)
{
	struct rig *rig = *state;

	ledger_free(&rig->ledger);
	close(rig->fd);
	close(rig->ours);
	close(rig->theirs);
	free(rig);
	return 0;
}

/* The same ledger, as the next daemon finds it. */
static struct ledger *
reopen(const struct rig *rig)
{
	struct ledger *l = NULL;

	assert_int_equal(ledger_open(rig->fd, &l), 0);
	return l;
}

static void
hear(struct rig *rig, const void *bytes, size_t len)
{
	assert_int_equal(send(rig->theirs, bytes, len, 0), len);
	assert_int_equal(ledger_receive(rig->ledger, rig->client, rig->ours), len);
}

static void
is_state(const struct ledger_client *c, size_t at, size_t len, size_t sent)
{
	const struct ledger_state *s = ledger_state(c);

	assert_int_equal(s->at, at);
	assert_int_equal(s->len, len);
	assert_int_equal(s->sent, sent);
}

/* ---- while it goes well ---- */

static void
requests_stay_until_their_replies_have_left(void **state)
{
	struct rig *rig = *state;
	struct ledger *next;

	hear(rig, "\2\3\2\4", 4);
	is_state(rig->client, 0, 4, 0);
	assert_int_equal(
		ledger_send(rig->ledger, rig->client, rig->ours, (const uint8_t *)"abc", 3, 2, 3),
		3);
	is_state(rig->client, 2, 4, 0);
	next = reopen(rig);
	assert_int_equal(next->clients[0].fd, rig->ours);
	is_state(&next->clients[0], 2, 4, 0);
	ledger_free(&next);
}

/* A kill after the call was counted in, and before it was over: what it says is true no more. */
static void
a_call_that_was_counted_in_is_believed(void **state)
{
	struct rig *rig = *state;
	uint8_t much[LEDGER_IN_LEN - 1] = {0};
	struct ledger *next;

	hear(rig, much, sizeof(much));
	rig->ledger->call.what = LEDGER_RECEIVE;
	assert_int_equal(rig->ledger->call.message.msg_len, sizeof(much));
	next = reopen(rig);
	is_state(&next->clients[0], 0, sizeof(much), 0);
	ledger_free(&next);
}

static void
what_does_not_fit_is_left_to_be_sent(void **state)
{
	static uint8_t much[1 << 20];
	struct rig *rig = *state;
	ssize_t n;

	hear(rig, "\2\3", 2);
	ledger_note_taken(rig->client, 2);
	ledger_note_taken(rig->client, 3);
	assert_int_equal(ledger_state(rig->client)->fresh, 5);
	n = ledger_send(rig->ledger, rig->client, rig->ours, much, sizeof(much), 2, sizeof(much));
	assert_true(n > 0 && n < (ssize_t)sizeof(much));
	is_state(rig->client, 0, 2, (size_t)n);
	assert_int_equal(ledger_state(rig->client)->unsent, sizeof(much) - (size_t)n);
	assert_int_equal(ledger_state(rig->client)->fresh, 0);
	assert_int_equal(ledger_send(rig->ledger, rig->client, rig->ours, much, 1, 2, 1), -EAGAIN);
	is_state(rig->client, 0, 2, (size_t)n);
}

static void
errors_and_ends_are_those_of_the_socket(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(ledger_receive(rig->ledger, rig->client, rig->ours), -EAGAIN);
	assert_int_equal(shutdown(rig->theirs, SHUT_RDWR), 0);
	assert_int_equal(ledger_receive(rig->ledger, rig->client, rig->ours), 0);
	assert_int_equal(
		ledger_send(rig->ledger, rig->client, rig->ours, (const uint8_t *)"a", 1, 0, 1),
		-EPIPE);
	is_state(rig->client, 0, 0, 0);
}

/* Whatever is left, the longest request has room behind it, and no byte of it is lost. */
static void
room_is_made_for_the_longest_request(void **state)
{
	struct rig *rig = *state;
	struct ledger_client *c = rig->client;

	for (size_t answered = 0; answered <= LEDGER_IN_LEN; answered++) {
		for (size_t rest = 0; rest < 259 && answered + rest <= LEDGER_IN_LEN; rest++) {
			size_t at;

			c->states[c->turn] =
				(struct ledger_state){.at = 0, .len = (uint32_t)(answered + rest)};
			for (size_t i = 0; i < sizeof(c->in); i++)
				c->in[i] = (uint8_t)(i * 7);
			at = ledger_make_room(c, answered);
			is_state(c, at, at + rest, 0);
			assert_true(at + 259 <= LEDGER_IN_LEN);
			for (size_t i = 0; i < rest; i++)
				assert_int_equal(c->in[at + i], (uint8_t)((answered + i) * 7));
		}
	}
}

static void
places_are_used_again_and_are_as_many_as_were_asked_for(void **state)
{
	struct rig *rig = *state;
	struct ledger_client *c[MAX];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 1; i < MAX; i++) {
			c[i] = ledger_join(rig->ledger);
			assert_non_null(c[i]);
			assert_int_equal(c[i]->fd, -1);
			is_state(c[i], 0, 0, 0);
		}
		assert_null(ledger_join(rig->ledger));
		for (unsigned i = 1; i < MAX; i++)
			ledger_leave(rig->ledger, c[i]);
	}
}

static void
counters_go_on_and_what_was_granted_is_lost(void **state)
{
	struct rig *rig = *state;
	struct ledger_listener *next = ledger_listen(rig->ledger, "unix:/b");

	rig->listener->account =
		(struct pool_account){.delivered = 100, .lost = 1, .granted = 7, .requests = 3};
	rig->listener->ended[EGD_END_IDLE] = 5;
	ledger_go_on_counting(next, rig->listener);
	assert_int_equal(next->account.delivered, 100);
	assert_int_equal(next->account.lost, 8);
	assert_int_equal(next->account.granted, 0);
	assert_int_equal(next->ended[EGD_END_IDLE], 5);
}

/* ---- who goes on ---- */

/* `asked`, of whose replies `sent` bytes have left, becomes `left`; NULL: it cannot. */
static void
renews(struct rig *rig, const char *asked, size_t asked_len, size_t sent, const char *left,
       size_t left_len)
{
	struct ledger_client former = {.fd = 1};
	struct ledger_client *c = ledger_join(rig->ledger);

	former.states[0] =
		(struct ledger_state){3, 3 + (uint32_t)asked_len, (uint32_t)sent, 0, 0, 9};
	memcpy(former.in + 3, asked, asked_len);
	assert_int_equal(ledger_renew(c, &former, PID), left != NULL);
	if (left != NULL) {
		is_state(c, 0, left_len, 0);
		assert_memory_equal(c->in, left, left_len);
	}
	ledger_leave(rig->ledger, c);
}

#define RENEWS(asked, sent, left) \
	renews(rig, asked, sizeof(asked) - 1, sent, left, sizeof(left) - 1)
#define IS_GIVEN_UP(asked, sent) renews(rig, asked, sizeof(asked) - 1, sent, NULL, 0)

static void
what_was_not_answered_is_asked_again(void **state)
{
	struct rig *rig = *state;

	RENEWS("", 0, "");
	RENEWS("\2\7\0\1\3\4\3\0\0\1x\2", 0, "\2\7\0\1\3\4\3\0\0\1x\2");
	RENEWS("\2\7\0\1\3\4\2", 7, "\0\1\3\4\2");
	RENEWS("\2\7\0\1\3\4\2", 7 + 4, "\1\3\4\2");
	RENEWS("\2\7\0\1\3\4\2", 7 + 4 + 4, "\4\2");
	RENEWS("\2\7\0\1\3\4\2", 7 + 4 + 4 + 5, "\2");
	RENEWS("\3\0\0\1x\2\7", 7, "");
}

static void
a_reply_that_left_in_part_is_owed_in_part(void **state)
{
	struct rig *rig = *state;

	RENEWS("\2\7\0", 3, "\2\4\0");
	RENEWS("\2\xff", 254, "\2\1");
	RENEWS("\1\7\2\5", 1, "\2\7\2\5");
	RENEWS("\1\7\2\5", 7, "\2\1\2\5");
	RENEWS("\1\0\2\5", 1, "\2\5");
	RENEWS("\3\0\0\1x\2\7", 3, "\2\4");
}

/* What a level was has been forgotten, and a mixture of two is none. */
static void
what_cannot_be_gone_on_with_is_given_up(void **state)
{
	struct rig *rig = *state;

	IS_GIVEN_UP("\0\2\7", 1);
	IS_GIVEN_UP("\4", 4);
	IS_GIVEN_UP("\2\7", 8);
	IS_GIVEN_UP("\2", 1);
	IS_GIVEN_UP("", 1);
	IS_GIVEN_UP("\x09", 1);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	struct rig *rig = *state;
	struct ledger *l = NULL, *mine = rig->ledger;
	int unsealed = memfd_create("t", MFD_CLOEXEC);

	assert_int_equal(ledger_open(unsealed, &l), -EINVAL);
	close(unsealed);
	mine->version++;
	assert_int_equal(ledger_open(rig->fd, &l), -EPROTO);
	mine->version--;
	mine->record_len++;
	assert_int_equal(ledger_open(rig->fd, &l), -EPROTO);
	mine->record_len--;
	mine->used = MAX + 1;
	assert_int_equal(ledger_open(rig->fd, &l), -EINVAL);
	mine->used = 1;
	mine->call.what = 1;
	mine->call.client = 1;
	assert_int_equal(ledger_open(rig->fd, &l), -EINVAL);
	mine->call.client = 0;
	mine->call.number = 1;
	mine->call.message.msg_len = LEDGER_IN_LEN + 1;
	assert_int_equal(ledger_open(rig->fd, &l), -EINVAL);
	mine->call.what = 0;
	memset(rig->listener->address, 'a', sizeof(rig->listener->address));
	assert_int_equal(ledger_open(rig->fd, &l), -EINVAL);
	assert_null(l);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_stay_until_their_replies_have_left),
		TEST(a_call_that_was_counted_in_is_believed),
		TEST(what_does_not_fit_is_left_to_be_sent),
		TEST(errors_and_ends_are_those_of_the_socket),
		TEST(room_is_made_for_the_longest_request),
		TEST(places_are_used_again_and_are_as_many_as_were_asked_for),
		TEST(counters_go_on_and_what_was_granted_is_lost),
		TEST(what_was_not_answered_is_asked_again),
		TEST(a_reply_that_left_in_part_is_owed_in_part),
		TEST(what_cannot_be_gone_on_with_is_given_up),
		TEST(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
