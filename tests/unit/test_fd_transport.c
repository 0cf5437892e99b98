/* SPDX-License-Identifier: MIT */
/* A transport over a descriptor: what is sent while the other side does not read, and how it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "backend/transport/fd_transport.h"

#define COMMAND_LEN 16
#define COMMANDS_MAX 16 /* that wait: 256 bytes */

struct rig {
	struct event_base *base;
	struct transport *transport;
	int peer;
	unsigned gone;
	int error;
	char got[64];
	size_t got_len, take_max;
};

static size_t
on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct rig *r = arg;
	size_t take = len < r->take_max ? len : r->take_max;

	assert_in_range(r->got_len + take, 0, sizeof(r->got));
	memcpy(r->got + r->got_len, bytes, take);
	r->got_len += take;
	if (take < len)
		r->transport->kind->set_reading(r->transport, false);
	return take;
}

static void
on_gone(void *arg, int error)
{
	struct rig *r = arg;

	r->gone++;
	r->error = error;
}

static int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	const struct transport_events events = {.bytes = on_bytes, .gone = on_gone, .arg = r};
	int pair[2];

	signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
	if (r == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -1;
	r->base = event_base_new();
	r->peer = pair[1];
	r->take_max = SIZE_MAX;
	*state = r;
	return fd_transport_over(r->base, pair[0], &events, &r->transport);
}

static int
tear_down(void **state)
{
	struct rig *r = *state;

	if (r->transport != NULL)
		r->transport->kind->close(r->transport);
	if (r->peer >= 0)
		close(r->peer);
	event_base_free(r->base);
	free(r);
	return 0;
}

static void
turn(struct rig *r)
{
	event_base_loop(r->base, EVLOOP_NONBLOCK);
}

/* The command of a number, as text. */
static void
send_command(struct rig *r, unsigned number)
{
	char text[COMMAND_LEN + 1];

	snprintf(text, sizeof(text), "command %8u", number);
	r->transport->kind->send(r->transport, (const uint8_t *)text, COMMAND_LEN);
}

/* Until the socket takes no byte any more. Returns how many it took. */
static size_t
fill(struct rig *r)
{
	static const uint8_t zeros[4096];
	int fd = r->transport->kind->fd(r->transport);
	size_t total = 0;

	for (size_t len = sizeof(zeros); len > 0; len = len > 1 ? 1 : 0) {
		ssize_t n;

		while ((n = write(fd, zeros, len)) > 0)
			total += (size_t)n;
		assert_int_equal(errno, EAGAIN);
	}
	return total;
}

/* The peer reads `len` bytes, while the loop turns. */
static void
peer_reads(struct rig *r, size_t len, char *ret)
{
	for (size_t had = 0; had < len;) {
		char bytes[4096];
		ssize_t n = read(r->peer, bytes, len - had < 4096 ? len - had : 4096);

		if (n > 0 && ret != NULL)
			memcpy(ret + had, bytes, (size_t)n);
		had += n > 0 ? (size_t)n : 0;
		turn(r);
	}
}

static void
commands_wait_until_the_peer_reads_and_come_in_order(void **state)
{
	struct rig *r = *state;
	size_t filled = fill(r);
	char got[COMMANDS_MAX * COMMAND_LEN + 1] = "";

	for (unsigned i = 0; i < COMMANDS_MAX; i++)
		send_command(r, i);
	turn(r);
	assert_int_equal(r->gone, 0);
	peer_reads(r, filled, NULL);
	peer_reads(r, sizeof(got) - 1, got);
	for (unsigned i = 0; i < COMMANDS_MAX; i++)
		assert_int_equal(strtoul(got + COMMAND_LEN * i + 8, NULL, 10), i);
	send_command(r, 99);
	peer_reads(r, COMMAND_LEN, got);
	assert_memory_equal(got, "command       99", COMMAND_LEN);
	assert_int_equal(read(r->peer, got, 1), -1);
	assert_int_equal(r->gone, 0);
}

static void
a_peer_that_accepts_nothing_is_given_up_once(void **state)
{
	struct rig *r = *state;

	fill(r);
	for (unsigned i = 0; i <= COMMANDS_MAX; i++)
		send_command(r, i);
	assert_int_equal(r->gone, 0); /* the loop tells it, never a call of ours */
	turn(r);
	assert_int_equal(r->gone, 1);
	assert_int_equal(r->error, ETIMEDOUT);
	send_command(r, 99);
	turn(r);
	assert_int_equal(r->gone, 1);
}

static void
a_peer_that_closes_is_gone_without_an_error(void **state)
{
	struct rig *r = *state;

	close(r->peer);
	r->peer = -1;
	send_command(r, 1);
	assert_int_equal(r->gone, 0);
	turn(r);
	assert_int_equal(r->gone, 1);
	assert_int_equal(r->error, 0);
}

static void
a_peer_that_closes_while_nothing_is_read_is_gone(void **state)
{
	struct rig *r = *state;

	r->transport->kind->set_reading(r->transport, false);
	turn(r);
	close(r->peer);
	r->peer = -1;
	for (int i = 0; i < 10 && r->gone == 0; i++)
		event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(r->gone, 1);
	assert_int_equal(r->error, 0);
}

static void
bytes_that_were_not_taken_come_again(void **state)
{
	struct rig *r = *state;

	r->take_max = 4;
	assert_int_equal(write(r->peer, "0123456789", 10), 10);
	turn(r);
	turn(r);
	assert_int_equal(r->got_len, 4);
	r->take_max = SIZE_MAX;
	r->transport->kind->set_reading(r->transport, true);
	turn(r);
	assert_int_equal(r->got_len, 10);
	assert_memory_equal(r->got, "0123456789", 10);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(commands_wait_until_the_peer_reads_and_come_in_order),
		TEST(a_peer_that_accepts_nothing_is_given_up_once),
		TEST(a_peer_that_closes_is_gone_without_an_error),
		TEST(a_peer_that_closes_while_nothing_is_read_is_gone),
		TEST(bytes_that_were_not_taken_come_again),
	};

	return cmocka_run_group_tests_name("fd_transport", tests, NULL, NULL);
}
