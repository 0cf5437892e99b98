/* SPDX-License-Identifier: MIT */
/* What a client of the EGD server may count on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clones.h"
#include "daemon/daemon.h"
#include "tests/unit/egd_rig.h"
#include "tests/unit/secret_scan.h"

#define SAY(rig, fd, literal) egd_rig_say(rig, fd, literal, sizeof(literal) - 1)
#define HEARS(rig, fd, literal) egd_rig_hears(rig, fd, literal, sizeof(literal) - 1)
#define DEPTH 1000

static void
each_command_has_its_reply(void **state)
{
	struct egd_rig *rig = *state;
	char pid[32];
	int fd, len = sprintf(pid + 1, "%d", (int)getpid());

	pid[0] = (char)len;
	egd_rig_start(rig);
	egd_rig_put(rig, 16);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\0");
	HEARS(rig, fd, "\0\0\0\x80");
	SAY(rig, fd, "\1\4");
	HEARS(rig, fd, "\4\0\0\0\0");
	SAY(rig, fd, "\2\4");
	HEARS(rig, fd, "\0\0\0\1");
	SAY(rig, fd, "\3\0\x20\4seed");
	HEARS(rig, fd, "");
	SAY(rig, fd, "\4");
	egd_rig_hears(rig, fd, pid, (size_t)len + 1);
	SAY(rig, fd, "\1\xff\1\xff\2\0\0");
	HEARS(rig, fd, "\x08\0\0\0\2\0\0\0\3\0\0\0\0\0");
	assert_int_equal(egd_rig_totals(rig).delivered, 16);
	assert_int_equal(egd_rig_status(rig).account.requests, 3);
	close(fd);
}

static void
a_request_that_is_cut_behind_others_is_answered_when_it_is_whole(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start(rig);
	egd_rig_put(rig, 16);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\0\2\4\2");
	HEARS(rig, fd, "\0\0\0\x80\0\0\0\0");
	SAY(rig, fd, "\4\3\0\x20\4se");
	HEARS(rig, fd, "\0\0\0\1");
	SAY(rig, fd, "ed\1");
	HEARS(rig, fd, "");
	SAY(rig, fd, "\xff");
	HEARS(rig, fd, "\x08\0\0\0\2\0\0\0\3");
	close(fd);
}

static void
added_bytes_never_enter_the_pool(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\3\xff\xff\x10sixteen bytes it\1\xff\0");
	HEARS(rig, fd, "\0\0\0\0\0");
	assert_int_equal(egd_rig_totals(rig).in, 0);
	close(fd);
}

/* A client that waits for the answer of a previous daemon sends nothing: QEMU's rng-egd. */
static void
greets_each_client_as_if_it_had_asked(void **state)
{
	struct egd_rig *rig = *state;
	int fd, next;

	rig->config.greet = 6;
	egd_rig_start(rig);
	egd_rig_put(rig, 8);
	fd = egd_rig_join(rig);
	HEARS(rig, fd, "\0\0\0\0\0\0");
	next = egd_rig_join(rig); /* its greeting waits in the queue like any read */
	HEARS(rig, next, "");
	SAY(rig, next, "\2\2");
	egd_rig_put(rig, 8);
	HEARS(rig, next, "\0\1\0\0\0\2\0\0");
	HEARS(rig, fd, "");
	assert_int_equal(egd_rig_totals(rig).delivered, 14);
	assert_int_equal(egd_rig_status(rig).account.requests, 3);
	close(fd);
	close(next);
}

/* The client sends all at once and gets all, however much the socket and the server hold. */
static void
replies_keep_their_order_at_any_depth(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t asked[2 * DEPTH], heard[255 * DEPTH], wanted[255 * DEPTH];
	size_t len = 0, all = 0;
	bool ended;
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	for (size_t i = 0; i < DEPTH; i++) {
		asked[2 * i] = 2;
		asked[2 * i + 1] = (uint8_t)(1 + i * 7 % 255);
		all += asked[2 * i + 1];
	}
	egd_rig_stream(0, all, wanted);
	egd_rig_say(rig, fd, asked, sizeof(asked));
	while (rig->put < all) {
		egd_rig_put(rig, 32 < all - rig->put ? 32 : all - rig->put);
		len += egd_rig_hear(rig, fd, heard + len, all - len + 1, &ended);
		assert_false(ended);
	}
	assert_int_equal(len, all);
	assert_memory_equal(heard, wanted, all);
	assert_int_equal(egd_rig_totals(rig).delivered, all);
	close(fd);
}

static void
a_full_pool_is_served_at_once(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t asked[2 * DEPTH], heard[255 * DEPTH], wanted[255 * DEPTH];
	bool ended;
	int fd;

	egd_rig_start(rig);
	egd_rig_put(rig, 255 * DEPTH);
	fd = egd_rig_join(rig);
	for (size_t i = 0; i < sizeof(asked); i++)
		asked[i] = i % 2 == 0 ? 2 : 255;
	egd_rig_stream(0, sizeof(wanted), wanted);
	egd_rig_say(rig, fd, asked, sizeof(asked));
	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), sizeof(heard));
	assert_memory_equal(heard, wanted, sizeof(heard));
	assert_int_equal(egd_rig_status(rig).account.waited, 0);
	close(fd);
}

static void
a_read_is_whole_or_waits(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\x08\0\1\4");
	egd_rig_put(rig, 4);
	HEARS(rig, fd, "");
	egd_rig_put(rig, 4);
	HEARS(rig, fd, "\0\0\0\0\0\0\0\1\0\0\0\0\0"); /* and the replies behind it */
	assert_int_equal(egd_rig_status(rig).account.waited, 1);
	close(fd);
}

static void
waiting_client_does_not_hold_up_another(void **state)
{
	struct egd_rig *rig = *state;
	int waits, asks;

	egd_rig_start(rig);
	waits = egd_rig_join(rig);
	asks = egd_rig_join(rig);
	SAY(rig, waits, "\2\xff");
	SAY(rig, asks, "\0\2\4\0");
	HEARS(rig, asks, "\0\0\0\0");
	egd_rig_put(rig, 255 + 4 + 8);
	HEARS(rig, asks, "\x3f\0\0\0\0\0\0\x40");
	close(waits);
	close(asks);
}

/* ---- ends ---- */

static void
half_closed_client_gets_all_its_replies(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\4\0\2\4");
	shutdown(fd, SHUT_WR);
	egd_rig_put(rig, 4);
	HEARS(rig, fd, "\0\0\0\0\0\0\0\0");
	egd_rig_put(rig, 4);
	egd_rig_turn(rig);
	assert_int_equal(recv(fd, (char[8]){0}, 8, MSG_DONTWAIT), 4);
	egd_rig_hears_the_end(rig, fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_DONE], 1);
}

static void
over_tcp_too(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\4");
	shutdown(fd, SHUT_WR);
	egd_rig_turn(rig);
	assert_int_equal(egd_rig_status(rig).clients, 1);
	egd_rig_put(rig, 4);
	assert_int_equal(recv(fd, (char[8]){0}, 8, 0), 4);
	egd_rig_hears_the_end(rig, fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_DONE], 1);
}

/* Its requests may even be unread: that must not hide that it is gone. */
static void
a_client_that_dies_while_it_waits_leaves_at_once(void **state)
{
	struct egd_rig *rig = *state;
	char many[4096];
	int fd;

	memset(many, 2, sizeof(many));
	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, many, sizeof(many));
	assert_int_equal(egd_rig_totals(rig).waiters, 1);
	close(fd);
	egd_rig_turn(rig);
	assert_int_equal(egd_rig_totals(rig).waiters, 0);
	assert_int_equal(egd_rig_totals(rig).handles, 0);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_LOST], 1);
	egd_rig_put(rig, 64);
	assert_int_equal(egd_rig_totals(rig).lost, 0);
}

static void
a_reset_while_it_waits_is_noticed(void **state)
{
	const struct linger abort = {.l_onoff = 1};
	struct egd_rig *rig = *state;
	int fd;

	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\x08");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(fd);
	egd_rig_turn(rig);
	assert_int_equal(egd_rig_totals(rig).waiters, 0);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_LOST], 1);
}

static void
unknown_request_ends_the_connection_after_earlier_replies(void **state)
{
	struct egd_rig *rig = *state;
	bool ended;
	uint8_t heard[16];
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\0GET / HTTP/1.1\r\n");
	assert_int_equal(recv(fd, heard, sizeof(heard), 0), 4);
	egd_rig_hear(rig, fd, heard, sizeof(heard), &ended);
	assert_true(ended);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_UNKNOWN], 1);
	close(fd);
}

static bool
nobody_is_there(void *arg)
{
	return egd_rig_status(arg).clients == 0;
}

static void
client_without_requests_is_closed_after_its_idle_time(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	rig->config.idle_ms = 1;
	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	egd_rig_until(rig, nobody_is_there, rig);
	egd_rig_hears_the_end(rig, fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_IDLE], 1);
}

/* A silent client that waits for its bytes is not idle. */
static void
waiting_client_is_not_idle(void **state)
{
	struct egd_rig *rig = *state;
	int waits, idle;

	rig->config.idle_ms = 20;
	egd_rig_start(rig);
	waits = egd_rig_join(rig);
	SAY(rig, waits, "\2\4");
	idle = egd_rig_join(rig);
	while (egd_rig_status(rig).ended[EGD_END_IDLE] == 0)
		event_base_loop(rig->base, EVLOOP_ONCE);
	egd_rig_hears_the_end(rig, idle);
	egd_rig_put(rig, 4);
	assert_int_equal(recv(waits, (char[8]){0}, 8, MSG_DONTWAIT), 4);
	close(waits);
}

/* ---- memory and rate ---- */

/* A client that does not read gets as much as its socket holds, and one batch. */
static void
slow_reader_is_given_at_most_a_full_socket_and_a_batch(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t asked[2 * DEPTH];
	uint64_t taken = 0;
	int fd, room = 4096;

	egd_rig_start_tcp(rig);
	egd_rig_put(rig, 1 << 18);
	fd = egd_rig_join(rig);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (size_t i = 0; i < sizeof(asked); i++)
		asked[i] = i % 2 == 0 ? 2 : 255;
	for (int i = 0; i < 100; i++) {
		(void)!send(fd, asked, sizeof(asked), MSG_DONTWAIT | MSG_NOSIGNAL);
		egd_rig_turn(rig);
		egd_rig_put(rig, pool_room(rig->pool));
		if (egd_rig_totals(rig).delivered == taken)
			break;
		taken = egd_rig_totals(rig).delivered;
	}
	assert_int_equal(egd_rig_totals(rig).delivered, taken);
	assert_in_range(taken, 4096, 1 << 18); /* bytes; the kernel alone would take megabytes */
	egd_server_stop(&rig->server, false);
	assert_in_range(egd_rig_totals(rig).lost, 1, 3072);
	close(fd);
}

/* Bytes that a slow reader has not taken yet are other clones' too; other connections stay. */
static void
clone_closes_only_connections_that_hold_bytes(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t asked[2 * DEPTH], level[4];
	int fd, slow, waiting, room = 4096;
	uint64_t taken;

	egd_rig_start_tcp(rig);
	egd_rig_put(rig, 1 << 18);
	slow = egd_rig_join(rig);
	setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (size_t i = 0; i < sizeof(asked); i++)
		asked[i] = i % 2 == 0 ? 2 : 255;
	do {
		taken = egd_rig_totals(rig).delivered;
		(void)!send(slow, asked, sizeof(asked), MSG_DONTWAIT | MSG_NOSIGNAL);
		egd_rig_turn(rig);
		egd_rig_put(rig, pool_room(rig->pool));
	} while (egd_rig_totals(rig).delivered > taken);
	pool_wipe(rig->pool);
	fd = egd_rig_join(rig);
	waiting = egd_rig_join(rig);
	SAY(rig, waiting, "\2\4");
	assert_int_equal(egd_server_renew(rig->server), 1);
	assert_int_equal(egd_rig_status(rig).clients, 2);
	assert_in_range(egd_rig_status(rig).account.lost, 255, 3072);
	SAY(rig, fd, "\0");
	memset(level, 0, sizeof(level));
	egd_rig_hears(rig, fd, level, sizeof(level));
	egd_rig_stream(rig->put, 4, level);
	egd_rig_put(rig, 4);
	egd_rig_hears(rig, waiting, level, 4);
	close(slow);
	close(fd);
	close(waiting);
}

/* The first in turn holds bytes and waits for more than there is: it is closed, the next served. */
static void
bytes_from_before_a_clone_are_never_served(void **state)
{
	const struct ctl_request order = {.words = ""};
	struct daemon *d = calloc(1, sizeof(*d));
	struct egd_rig *rig = *state;
	uint8_t bytes[4 + 150] = {0};
	int first, second;

	egd_rig_start(rig);
	first = egd_rig_join(rig);
	SAY(rig, first, "\2\4\2\377");
	second = egd_rig_join(rig);
	SAY(rig, second, "\2\120");
	assert_int_equal(pool_put(rig->pool, bytes, sizeof(bytes)), sizeof(bytes));
	rig->put += sizeof(bytes);
	assert_int_equal(egd_rig_totals(rig).level, 150);
	d->pool = rig->pool;
	d->parts[PART_LISTEN][0].running = rig->server;
	assert_null(clones_wipe(d, &order));
	assert_int_equal(egd_rig_totals(rig).lost, sizeof(bytes));
	egd_rig_hears_the_end(rig, first);
	HEARS(rig, second, "");
	egd_rig_stream(rig->put, 80, bytes);
	egd_rig_put(rig, 80);
	egd_rig_hears(rig, second, bytes, 80);
	close(second);
	free(d);
}

static void
sent_bytes_are_nowhere_in_memory(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t number[8], heard[256];
	bool ended;
	int fd;

	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\x40\2\x40\1\x40");
	egd_rig_put(rig, 4000);
	egd_rig_stream(64, sizeof(number), number);
	assert_int_equal(secret_scan(number, sizeof(number)), 0);
	egd_rig_stream(2000, sizeof(number), number);
	assert_int_equal(secret_scan(number, sizeof(number)), 1); /* it would be found */
	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), 129 + 64);
	close(fd);
}

static void
a_rate_holds_back_reads_and_empties_tries(void **state)
{
	struct egd_rig *rig = *state;
	uint8_t heard[1024];
	bool ended;
	int fd, other;

	rig->config.rate = 1;
	rig->config.burst = 300;
	egd_rig_start(rig);
	egd_rig_put(rig, 4096);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\xff\2\xff");
	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), 255);
	assert_int_equal(egd_rig_status(rig).throttled, 1);
	other = egd_rig_join(rig); /* the same user: no way to a new burst */
	SAY(rig, other, "\0\1\xff\2\x08");
	assert_int_equal(egd_rig_hear(rig, other, heard, sizeof(heard), &ended), 4 + 1 + 8);
	assert_int_equal(heard[4], 0);
	close(fd);
	close(other);
	egd_rig_turn(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\xff");
	assert_int_equal(egd_rig_hear(rig, fd, heard, sizeof(heard), &ended), 0);
	close(fd);
}

/* ---- how many ---- */

static void
last_places_are_for_identities_without_a_connection(void **state)
{
	struct egd_rig *rig = *state;
	int fds[8];

	egd_rig_start(rig);
	for (size_t i = 0; i < 8; i++)
		fds[i] = egd_rig_join(rig);
	assert_int_equal(egd_rig_status(rig).clients, 6);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_REFUSED], 2);
	egd_rig_hears_the_end(rig, fds[6]);
	egd_rig_hears_the_end(rig, fds[7]);
	SAY(rig, fds[5], "\0");
	HEARS(rig, fds[5], "\0\0\0\0");
	for (size_t i = 0; i < 6; i++)
		close(fds[i]);
	egd_rig_turn(rig);
	assert_int_equal(egd_rig_totals(rig).handles, 0);
}

/* A client of this address, as a proxy says; whether it is served. */
static int
join_as(struct egd_rig *rig, const char *ip, bool served)
{
	char header[128];
	int fd = egd_rig_join(rig);

	snprintf(header, sizeof(header), "PROXY TCP6 %s ::1 4000 8888\r\n", ip);
	egd_rig_say(rig, fd, header, strlen(header));
	if (!served) {
		egd_rig_hears_the_end(rig, fd);
		return -1;
	}
	SAY(rig, fd, "\0");
	HEARS(rig, fd, "\0\0\0\0");
	return fd;
}

/* Of eight places: its seventh neighbour and another network have none yet. */
static void
last_places_are_for_other_addresses_then_for_other_networks(void **state)
{
	struct egd_rig *rig = *state;
	int fds[8];

	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	for (size_t i = 0; i < 6; i++)
		fds[i] = join_as(rig, "2001:db8::1", true);
	join_as(rig, "2001:db8::1", false);
	fds[6] = join_as(rig, "2001:db8::2", true);
	join_as(rig, "2001:db8::3", false);
	fds[7] = join_as(rig, "2001:db8:0:1::1", true);
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
}

static void
more_than_max_clients_are_closed_at_once(void **state)
{
	struct egd_rig *rig = *state;
	int fds[4];

	rig->config.max_clients = 3;
	egd_rig_start(rig);
	for (size_t i = 0; i < 4; i++)
		fds[i] = egd_rig_join(rig);
	assert_int_equal(egd_rig_status(rig).clients, 3);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_REFUSED], 1);
	egd_rig_hears_the_end(rig, fds[3]);
	close(fds[0]);
	egd_rig_turn(rig);
	fds[0] = egd_rig_join(rig);
	assert_int_equal(egd_rig_status(rig).clients, 3);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
}

/* Here they owe a proxy's header; TLS's handshake is the same to the server. */
static void
evicts_the_oldest_unfinished_handshake(void **state)
{
	struct egd_rig *rig = *state;
	int fds[5];

	rig->config.max_clients = 3;
	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	for (size_t i = 0; i < 5; i++) {
		fds[i] = egd_rig_join(rig);
		if (i == 0)
			SAY(rig, fds[0], "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n");
	}
	egd_rig_hears_the_end(rig, fds[1]);
	egd_rig_hears_the_end(rig, fds[2]);
	for (size_t i = 3; i < 5; i++) {
		SAY(rig, fds[i], "PROXY TCP4 192.0.2.8 192.0.2.1 1 2\r\n\0");
		HEARS(rig, fds[i], "\0\0\0\0");
	}
	SAY(rig, fds[0], "\0");
	HEARS(rig, fds[0], "\0\0\0\0");
	assert_int_equal(egd_rig_status(rig).clients, 3);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_START], 2);
	egd_rig_hears_the_end(rig, egd_rig_join(rig));
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_REFUSED], 1);
	close(fds[0]);
	close(fds[3]);
	close(fds[4]);
}

/* ---- allow and proxy-from ---- */

static void
only_allowed_networks_may_connect(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	strcpy(rig->config.allow, "10.0.0.0/8, 2001:db8::/32");
	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	egd_rig_hears_the_end(rig, fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_REFUSED], 1);
}

static void
a_proxy_speaks_for_its_client(void **state)
{
	static const char v1[] = "PROXY TCP4 10.1.2.3 10.9.9.9 4000 8888\r\n";
	static const char stranger[] = "PROXY TCP4 11.1.2.3 10.9.9.9 4000 8888\r\n";
	struct egd_rig *rig = *state;
	int fd;

	strcpy(rig->config.allow, "10.0.0.0/8");
	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	egd_rig_put(rig, 8);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, v1, 20);
	HEARS(rig, fd, "");
	egd_rig_say(rig, fd, v1 + 20, sizeof(v1) - 1 - 20);
	SAY(rig, fd, "\2\4");
	HEARS(rig, fd, "\0\0\0\0");
	close(fd);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, stranger, sizeof(stranger) - 1);
	egd_rig_hears_the_end(rig, fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_REFUSED], 1);
}

/* Any user of this machine could come from an address of its loopback. */
static void
a_proxy_over_a_unix_socket_is_known_by_its_user(void **state)
{
	static const char v1[] = "PROXY TCP4 10.1.2.3 10.9.9.9 4000 8888\r\n";
	static const char stranger[] = "PROXY TCP4 11.1.2.3 10.9.9.9 4000 8888\r\n";
	struct egd_rig *rig = *state;
	int fd;

	sprintf(rig->config.proxy_from, "4711 %u", (unsigned)geteuid());
	strcpy(rig->config.allow, "10.0.0.0/8");
	egd_rig_start(rig);
	egd_rig_put(rig, 8);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, v1, sizeof(v1) - 1);
	SAY(rig, fd, "\2\4");
	HEARS(rig, fd, "\0\0\0\0");
	close(fd);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, stranger, sizeof(stranger) - 1);
	egd_rig_hears_the_end(rig, fd);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\2\4");
	egd_rig_hears_the_end(rig, fd);
	egd_server_stop(&rig->server, false);
	strcpy(rig->config.proxy_from, "4711");
	egd_rig_start(rig);
	fd = egd_rig_join(rig);
	egd_rig_say(rig, fd, v1, sizeof(v1) - 1);
	egd_rig_hears_the_end(rig, fd);
}

/* A proxy that asks for itself, as for a health check, is served as itself: allow is not for it. */
static void
a_proxy_that_checks_is_served(void **state)
{
	struct egd_rig *rig = *state;
	int fd;

	strcpy(rig->config.allow, "10.0.0.0/8");
	strcpy(rig->config.proxy_from, "127.0.0.1");
	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0\0");
	HEARS(rig, fd, "\0\0\0\0");
	close(fd);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "\0");
	egd_rig_hears_the_end(rig, fd); /* no header: the proxy may be misconfigured */
}

static void
a_proxy_header_is_not_believed_of_others(void **state)
{
	struct egd_rig *rig = *state;
	bool ended;
	int fd;

	egd_rig_start_tcp(rig);
	fd = egd_rig_join(rig);
	SAY(rig, fd, "PROXY TCP4 10.1.2.3 10.9.9.9 4000 8888\r\n");
	egd_rig_hear(rig, fd, (uint8_t[8]){0}, 8, &ended);
	assert_true(ended);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_UNKNOWN], 1);
	close(fd);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, egd_rig_begin, egd_rig_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROMISE(each_command_has_its_reply),
		PROMISE(a_request_that_is_cut_behind_others_is_answered_when_it_is_whole),
		PROMISE(added_bytes_never_enter_the_pool),
		PROMISE(greets_each_client_as_if_it_had_asked),
		PROMISE(replies_keep_their_order_at_any_depth),
		PROMISE(a_full_pool_is_served_at_once),
		PROMISE(a_read_is_whole_or_waits),
		PROMISE(waiting_client_does_not_hold_up_another),
		PROMISE(half_closed_client_gets_all_its_replies),
		PROMISE(over_tcp_too),
		PROMISE(a_client_that_dies_while_it_waits_leaves_at_once),
		PROMISE(a_reset_while_it_waits_is_noticed),
		PROMISE(unknown_request_ends_the_connection_after_earlier_replies),
		PROMISE(client_without_requests_is_closed_after_its_idle_time),
		PROMISE(waiting_client_is_not_idle),
		PROMISE(slow_reader_is_given_at_most_a_full_socket_and_a_batch),
		PROMISE(clone_closes_only_connections_that_hold_bytes),
		PROMISE(bytes_from_before_a_clone_are_never_served),
		PROMISE(sent_bytes_are_nowhere_in_memory),
		PROMISE(a_rate_holds_back_reads_and_empties_tries),
		PROMISE(last_places_are_for_identities_without_a_connection),
		PROMISE(last_places_are_for_other_addresses_then_for_other_networks),
		PROMISE(more_than_max_clients_are_closed_at_once),
		PROMISE(evicts_the_oldest_unfinished_handshake),
		PROMISE(only_allowed_networks_may_connect),
		PROMISE(a_proxy_speaks_for_its_client),
		PROMISE(a_proxy_over_a_unix_socket_is_known_by_its_user),
		PROMISE(a_proxy_that_checks_is_served),
		PROMISE(a_proxy_header_is_not_believed_of_others),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("egd_server", tests, NULL, NULL);
}
