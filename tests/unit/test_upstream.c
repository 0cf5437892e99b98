/* SPDX-License-Identifier: MIT */
/*
 * A source that is an EGD server, with its real link, intake and pool, on a Unix socket whose other
 * end is a server here: it does what the test says. Time passes as the tests say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/sources.h"
#include "backend/transport/self_check.h"
#include "egd/egd_client.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/net.h"
#include "tests/unit/folder.h"

#define LIMIT_S 30 /* a test that waits for what never comes is ended by SIGALRM */
#define SERVERS 2
#define TIMEOUT_MS 20000
#define READ_AHEAD 4096

/* ---- time ---- */

static uint64_t now_ms = 1000000;

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){.tv_sec = (time_t)(now_ms / 1000),
				 .tv_nsec = (long)(now_ms % 1000 * 1000000)};
	return 0;
}

/* ---- who is there: this process is at both ends ---- */

static enum self_check peer = SELF_CHECK_OTHER;

enum self_check
self_check(int fd)
{
	assert_true(fd >= 0);
	return peer;
}

/* ---- servers ---- */

struct server {
	char path[FOLDER_MAX + 4];
	int listener, fd;
	bool silent;    /* answers nothing */
	bool empty;     /* answers what is no request for entropy, and reads when it is refilled */
	bool stuck;     /* its entropy is always the same byte */
	uint32_t level; /* bits, as it says */
	const char *greeting; /* NULL, or what it sends when it is connected to */
	const char *pid;
	uint64_t owed;   /* bytes of entropy that were asked for and are not sent */
	uint64_t asked;  /* ever */
	uint64_t sent;   /* bytes of its stream */
	unsigned levels; /* times it was asked for its level */
	unsigned connections;
	uint64_t accepted_ms[64];
};

/* Byte i of a server's stream: not random, but not to be taken for another. */
static uint8_t
stream_byte(const struct server *s, uint64_t i)
{
	uint64_t x = (i / 4 + 1) * UINT64_C(0x9e3779b97f4a7c15) +
		     (uint64_t)(s->path[strlen(s->path) - 1] == 'b');

	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint8_t)(s->stuck ? 0 : x >> (24 + 8 * (i % 4)));
}

static void
server_send(const struct server *s, const void *bytes, size_t len)
{
	assert_int_equal(send(s->fd, bytes, len, MSG_NOSIGNAL), len);
}

/* So many bytes of what it owes, unless the socket is full. */
static void
server_give(struct server *s, uint64_t len)
{
	uint8_t bytes[512];

	assert_true(len <= s->owed);
	while (len > 0) {
		size_t n = len < sizeof(bytes) ? len : sizeof(bytes);
		ssize_t sent;

		for (size_t i = 0; i < n; i++)
			bytes[i] = stream_byte(s, s->sent + i);
		sent = send(s->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0)
			return;
		s->sent += (uint64_t)sent;
		s->owed -= (uint64_t)sent;
		len -= (uint64_t)sent;
	}
}

static void
server_obey(struct server *s, struct egd_request request)
{
	uint8_t reply[EGD_PID_MAX];

	if (request.op == EGD_GET_COUNT) {
		s->levels++;
		egd_wire_put_level(s->level / 8, reply);
		if (!s->silent)
			server_send(s, reply, EGD_LEVEL_LEN);
	} else if (request.op == EGD_GET_PID) {
		reply[0] = (uint8_t)strlen(s->pid);
		memcpy(reply + 1, s->pid, reply[0]);
		if (!s->silent)
			server_send(s, reply, 1U + reply[0]);
	} else {
		assert_int_equal(request.op, EGD_READ);
		s->owed += request.len;
		s->asked += request.len;
	}
}

static void
server_hang_up(struct server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->owed = 0;
}

static void
server_listen(struct server *s)
{
	s->listener = net_unix_listen(s->path, 0600);
	assert_true(s->listener >= 0);
}

static void
server_close(struct server *s)
{
	server_hang_up(s);
	if (s->listener >= 0)
		close(s->listener);
	s->listener = -1;
	unlink(s->path);
}

static void
server_hear(struct server *s)
{
	uint8_t bytes[4096];
	struct egd_request request;
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	struct cursor in = cursor_over(bytes, n > 0 ? (size_t)n : 0);

	while (egd_wire_request(&in, &request) == EGD_WHOLE)
		server_obey(s, request);
	assert_int_equal(in.left, 0); /* requests come in one piece */
	if (n == 0)
		server_hang_up(s);
}

static void
server_turn(struct server *s)
{
	if (s->fd < 0 && s->listener >= 0) {
		s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (s->fd >= 0 && s->connections < 64)
			s->accepted_ms[s->connections++] = now_ms;
		if (s->fd >= 0 && s->greeting != NULL)
			server_send(s, s->greeting, strlen(s->greeting));
	}
	if (s->fd >= 0)
		server_hear(s);
	if (s->fd >= 0 && !s->silent && !s->empty)
		server_give(s, s->owed);
}

/* ---- the host ---- */

struct bench {
	char dir[FOLDER_MAX];
	struct event_base *base;
	struct pool *pool;
	struct pool_handle handle;
	struct pool_account account;
	struct server servers[SERVERS];
	struct sources *sources;
	struct source_env env;
	struct source_config config;
	unsigned credit;
	uint8_t mixed[4096];
	size_t mixed_len;
	uint64_t taken;
};

static void
turn(struct bench *b)
{
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	for (size_t i = 0; i < SERVERS; i++)
		server_turn(&b->servers[i]);
}

static void
settle(struct bench *b)
{
	for (int i = 0; i < 64; i++)
		turn(b);
}

/* Lets time pass, and everybody act in between. */
static void
wait_ms(struct bench *b, uint64_t ms)
{
	for (uint64_t step; ms > 0; ms -= step) {
		step = ms < 50 ? ms : 50;
		now_ms += step;
		turn(b);
		turn(b);
	}
	settle(b);
}

static struct source_status
status_of(const struct bench *b, size_t i)
{
	struct source_status s;

	source_status(sources_at(b->sources, i), &s);
	return s;
}

static struct source_status
status(const struct bench *b)
{
	return status_of(b, 0);
}

static void
on_room(void *arg)
{
	struct bench *b = arg;

	for (size_t i = 0; sources_at(b->sources, i) != NULL; i++)
		source_room(sources_at(b->sources, i));
}

static void
on_wanted(void *arg)
{
	struct bench *b = arg;

	for (size_t i = 0; sources_at(b->sources, i) != NULL; i++)
		source_wanted(sources_at(b->sources, i));
}

static void
on_mix(void *arg, const uint8_t *bytes, size_t len)
{
	struct bench *b = arg;

	assert_true(b->mixed_len + len <= sizeof(b->mixed));
	memcpy(b->mixed + b->mixed_len, bytes, len);
	b->mixed_len += len;
}

static void
start(struct bench *b)
{
	if (b->config.address[0] == '\0')
		sprintf(b->config.address, "unix:%s", b->servers[0].path);
	b->sources = sources_new(&b->env, &b->config);
	assert_non_null(b->sources);
}

/* A server that is there has proven to be one when this returns. */
static void
start_and_prove(struct bench *b)
{
	start(b);
	settle(b);
	wait_ms(b, EGD_QUIET_MS);
}

static void
start_both(struct bench *b, enum source_policy policy)
{
	sprintf(b->config.address, "unix:%s, unix:%s", b->servers[0].path, b->servers[1].path);
	b->config.policy = policy;
	server_listen(&b->servers[0]);
	server_listen(&b->servers[1]);
	start(b);
}

/* Takes all that is ready: the first server's stream, none missing, none twice. */
static void
take_in_order(struct bench *b)
{
	uint8_t bytes[256];
	size_t n;

	while ((n = pool_take(b->pool, &b->handle, bytes, sizeof(bytes))) > 0)
		for (size_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], stream_byte(&b->servers[0], b->taken++));
	settle(b);
}

static void
take_all(struct bench *b)
{
	uint8_t bytes[256];

	while (pool_take(b->pool, &b->handle, bytes, sizeof(bytes)) > 0)
		;
}

/* Takes so much that more is asked for. */
static void
drain(struct bench *b)
{
	take_all(b);
	settle(b);
}

static void
note_ready(struct pool_waiter *waiter, void *arg)
{
	*(struct pool_waiter **)arg = waiter;
}

/* A reader who waits for `need` bytes. */
static void
want(struct bench *b, size_t need, struct pool_waiter **ready)
{
	*ready = NULL;
	assert_non_null(pool_wait(b->pool, &b->handle, need, note_ready, ready));
}

/* It has the stream's next bytes. */
static void
take_waited_in_order(struct bench *b, struct pool_waiter *ready)
{
	size_t len;
	const uint8_t *bytes = pool_waiter_bytes(ready, &len);

	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], stream_byte(&b->servers[0], b->taken++));
	pool_waiter_done(b->pool, ready, true);
	settle(b);
}

static int
set_up(void **state)
{
	const struct pool_config config = {.size = 65536, .max_handles = 4, .max_waiters = 4};
	const struct pool_client client = {.weight = 1};
	struct bench *b = calloc(1, sizeof(*b));

	alarm(LIMIT_S);
	peer = SELF_CHECK_OTHER;
	if (!folder_make(b->dir))
		return -1;
	for (int i = 0; i < SERVERS; i++) {
		sprintf(b->servers[i].path, "%s/%c", b->dir, 'a' + i);
		b->servers[i].listener = b->servers[i].fd = -1;
		b->servers[i].level = 8000;
		b->servers[i].pid = "-1"; /* as ekeyd says */
	}
	b->base = event_base_new();
	b->pool = pool_new(&config);
	pool_on_room(b->pool, on_room, b);
	pool_on_wanted(b->pool, on_wanted, b);
	pool_handle_open(b->pool, &b->handle, &b->account, &client);
	b->credit = SOURCE_CREDIT_MAX;
	b->env = (struct source_env){.base = b->base, .pool = b->pool, .credit = &b->credit};
	b->config = (struct source_config){.name = "up",
					   .type = SOURCE_EGD,
					   .h = HEALTH_H_DEFAULT,
					   .credit = SOURCE_CREDIT_DEFAULT,
					   .read_ahead = READ_AHEAD,
					   .timeout_ms = TIMEOUT_MS};
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	sources_free(&b->sources);
	pool_handle_close(b->pool, &b->handle);
	pool_free(&b->pool);
	event_base_free(b->base);
	for (int i = 0; i < SERVERS; i++)
		server_close(&b->servers[i]);
	rmdir(b->dir);
	free(b);
	alarm(0);
	return 0;
}

/* ---- promises: bytes ---- */

static void
bytes_arrive_in_the_pool_whole_and_in_order(void **state)
{
	struct bench *b = *state;

	server_listen(&b->servers[0]);
	start_and_prove(b);
	while (b->taken < 100000) {
		turn(b);
		take_in_order(b);
	}
	assert_int_equal(status(b).egd.bytes, b->servers[0].sent);
	assert_int_equal(status(b).intake.rejected, 0);
	assert_string_equal(status(b).state, "serves");
}

static void
nothing_is_hoarded_beyond_the_read_ahead(void **state)
{
	struct bench *b = *state;

	server_listen(&b->servers[0]);
	start(b);
	wait_ms(b, 600000);
	assert_in_range(b->servers[0].asked, READ_AHEAD / 2, READ_AHEAD + INTAKE_STARTUP_LEN);
	assert_int_equal(pool_level(b->pool), b->servers[0].asked);
}

static void
reader_who_does_not_wait_finds_it_refilled(void **state)
{
	struct bench *b = *state;

	server_listen(&b->servers[0]);
	start_and_prove(b);
	for (int i = 0; i < 100; i++) {
		uint8_t bytes[256];

		assert_int_equal(pool_take(b->pool, &b->handle, bytes, 256), 256);
		settle(b);
		assert_true(pool_level(b->pool) >= READ_AHEAD / 2);
		assert_true(pool_level(b->pool) <= READ_AHEAD + INTAKE_STARTUP_LEN);
	}
}

static void
who_waits_is_asked_for_at_once(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	server_listen(&b->servers[0]);
	start_and_prove(b);
	take_in_order(b);
	b->servers[0].empty = true;
	wait_ms(b, 1000);
	take_in_order(b);
	want(b, 32, &ready);
	turn(b);
	assert_true(b->servers[0].owed >= 32);
	assert_null(ready);
	b->servers[0].empty = false;
	settle(b);
	assert_non_null(ready);
	pool_waiter_done(b->pool, ready, true);
}

static void
what_several_were_asked_for_is_not_lost_in_a_full_pool(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[256];
	uint64_t taken = 0;

	b->config.read_ahead = SOURCE_READ_AHEAD_MAX;
	start_both(b, SOURCE_POLICY_ALL);
	settle(b);
	now_ms += EGD_QUIET_MS;
	while (!status_of(b, 0).paused && !status_of(b, 1).paused)
		turn(b);
	settle(b);
	assert_int_equal(status(b).intake.rejected + status_of(b, 1).intake.rejected, 0);
	/* That it is not read is no silence of the server. */
	wait_ms(b, 10 * TIMEOUT_MS);
	for (int i = 0; i < 2000; i++) {
		taken += pool_take(b->pool, &b->handle, bytes, sizeof(bytes));
		turn(b);
	}
	assert_true(taken > 200000);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(status_of(b, i).intake.rejected, 0);
		assert_int_equal(status_of(b, i).connects, 1);
	}
}

/* ---- promises: connections ---- */

static void
absent_server_is_waited_for_and_taken_when_it_comes(void **state)
{
	struct bench *b = *state;

	start_and_prove(b);
	assert_non_null(strstr(status(b).state, "No such file or directory"));
	server_listen(&b->servers[0]);
	wait_ms(b, 1000);
	assert_true(status(b).serves);
}

static void
reader_is_served_when_the_server_comes_back_and_gets_no_wrong_byte(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];
	struct pool_waiter *ready;
	size_t len;

	server_listen(s);
	start_and_prove(b);
	take_in_order(b);
	s->empty = true;
	wait_ms(b, 1000);
	take_in_order(b);
	want(b, 200, &ready);
	settle(b);
	/* It dies in the middle of its reply; what had come is used, and what is owed never comes.
	 */
	server_give(s, 10);
	settle(b);
	server_close(s);
	settle(b);
	assert_false(status(b).connected);
	assert_null(ready);
	s->empty = false;
	server_listen(s);
	wait_ms(b, 1000);
	assert_non_null(ready);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(pool_waiter_bytes(ready, &len)[i], stream_byte(s, b->taken++));
	pool_waiter_done(b->pool, ready, true);
	take_in_order(b);
	assert_int_equal(status(b).egd.answers, 2);
}

static void
reply_that_does_not_come_is_asked_for_on_another_connection(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];
	struct pool_waiter *ready;

	server_listen(s);
	start_and_prove(b);
	take_in_order(b);
	s->empty = true;
	wait_ms(b, 1000);
	take_in_order(b);
	want(b, 32, &ready);
	settle(b);
	assert_true(s->owed > 0);
	wait_ms(b, TIMEOUT_MS - 2000);
	assert_int_equal(s->connections, 1);
	wait_ms(b, 3000);
	assert_int_equal(s->connections, 2);
	assert_int_equal(status(b).egd.late, 1);
	assert_true(s->owed > 0); /* asked again */
	assert_null(ready);
	s->empty = false;
	settle(b);
	assert_non_null(ready);
	pool_waiter_done(b->pool, ready, true);
	assert_true(status(b).serves);
}

static void
server_that_accepts_and_says_nothing_is_left_and_tried_ever_later(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];
	uint64_t wait, longest = 0;

	s->silent = true;
	server_listen(s);
	start(b);
	while (s->connections < 12)
		wait_ms(b, 1000);
	assert_int_equal(s->asked, 0);
	for (unsigned i = 1; i < s->connections; i++) {
		wait = s->accepted_ms[i] - s->accepted_ms[i - 1] - TIMEOUT_MS;
		assert_true(wait <= 31000);
		longest = wait > longest ? wait : longest;
	}
	assert_true(longest >= 15000);
	assert_false(status(b).serves);
}

/* Else it, or whoever is on the way to it, could have us call it and tell of it many times a
 * second. */
static void
server_that_gives_a_little_and_goes_is_tried_ever_later(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];

	server_listen(s);
	start(b);
	for (uint64_t sent = 0, begun_ms = now_ms; now_ms < begun_ms + 120000;) {
		wait_ms(b, 50);
		drain(b);
		if (s->sent > sent)
			server_hang_up(s);
		sent = s->sent;
	}
	assert_true(s->sent > 0);
	assert_in_range(s->connections, 5, 20);
}

static void
idle_server_is_asked_for_its_level_at_a_slow_pace(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];

	server_listen(s);
	start(b);
	wait_ms(b, 1000);
	assert_int_equal(s->levels, 1);
	wait_ms(b, 10 * (EGD_CLIENT_PROBE_MS + 100));
	assert_int_equal(s->levels, 11);
	assert_int_equal(s->connections, 1);
	s->silent = true;
	wait_ms(b, EGD_CLIENT_PROBE_MS + TIMEOUT_MS + 1000);
	assert_int_equal(s->connections, 2);
	assert_int_equal(status(b).egd.late, 1);
}

static void
byte_that_was_not_asked_for_ends_the_connection(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];

	server_listen(s);
	start_and_prove(b);
	take_in_order(b);
	wait_ms(b, 1000);
	take_in_order(b);
	s->empty = true;
	settle(b);
	server_give(s, s->owed);
	settle(b);
	server_give(s, s->owed);
	server_send(s, "?", 1);
	settle(b);
	assert_int_equal(status(b).egd.violations, 1);
	assert_false(status(b).connected);
	s->empty = false;
	wait_ms(b, 1000);
	assert_int_equal(s->connections, 2);
	take_in_order(b); /* nothing wrong has come in */
}

static void
listener_of_our_own_is_refused(void **state)
{
	struct bench *b = *state;
	char ours[32];

	peer = SELF_CHECK_SELF;
	server_listen(&b->servers[0]);
	start(b);
	wait_ms(b, 100);
	assert_non_null(strstr(status(b).state, "of our own"));
	assert_int_equal(b->servers[0].asked, 0);
	peer = SELF_CHECK_NEAR;
	sprintf(ours, "%ld", (long)getpid());
	b->servers[0].pid = ours;
	wait_ms(b, 120000);
	assert_true(b->servers[0].connections > 2);
	assert_int_equal(b->servers[0].levels, 0);
	assert_int_equal(b->servers[0].asked, 0);
	assert_non_null(strstr(status(b).state, "of our own"));
}

static void
neighbour_is_asked_who_it_is_and_taken(void **state)
{
	struct bench *b = *state;

	peer = SELF_CHECK_NEAR;
	server_listen(&b->servers[0]);
	start_and_prove(b);
	assert_true(status(b).serves);
	take_in_order(b);
	assert_true(b->taken > 0);
}

/* ---- promises: it is an EGD server ---- */

/* What the server says when it is connected to, and then in answer to the question. */
static void
expect_refused(struct bench *b, const char *greeting, const char *rest)
{
	struct server *s = &b->servers[0];

	s->silent = s->empty = true;
	s->greeting = greeting;
	server_listen(s);
	start(b);
	settle(b);
	if (rest != NULL) {
		wait_ms(b, EGD_QUIET_MS - 1);
		server_send(s, rest, strlen(rest));
		settle(b);
	}
	assert_int_equal(status(b).egd.violations, 1);
	assert_non_null(strstr(status(b).state, EGD_TEXT_NOT_ASKED));
	assert_int_equal(status(b).egd.answers, 0);
	assert_false(status(b).serves);
	assert_int_equal(s->asked, 0);
	assert_int_equal(status(b).egd.bytes, 0);
}

static void
banner_of_another_service_is_no_entropy(void **state)
{
	expect_refused(*state, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", NULL);
}

static void
banner_whose_first_four_bytes_come_alone_is_no_level(void **state)
{
	expect_refused(*state, "* OK", " [CAPABILITY IMAP4rev1] ready.\r\n");
}

/* Its first byte is taken for the length of a process id. */
static void
banner_is_no_process_id(void **state)
{
	struct bench *b = *state;

	peer = SELF_CHECK_NEAR;
	expect_refused(b, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", NULL);
}

static void
server_is_asked_for_entropy_when_it_was_quiet_for_a_while(void **state)
{
	struct bench *b = *state;

	server_listen(&b->servers[0]);
	start(b);
	settle(b);
	wait_ms(b, EGD_QUIET_MS - 1);
	assert_int_equal(b->servers[0].asked, 0);
	assert_string_equal(status(b).state, "connected, has not answered yet");
	wait_ms(b, 1);
	assert_true(b->servers[0].asked > 0);
	assert_string_equal(status(b).state, "serves");
}

/* They may be text, as what came behind them is no reply. */
static void
bytes_that_are_held_go_when_more_come_than_were_asked_for(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];

	s->empty = true;
	server_listen(s);
	start_and_prove(b);
	server_give(s, s->owed);
	server_send(s, "?", 1);
	settle(b);
	assert_int_equal(status(b).egd.violations, 1);
	assert_int_equal(status(b).intake.held, 0);
	assert_int_equal(pool_level(b->pool), 0);
}

/* ---- promises: trust ---- */

static void
untrusted_bytes_go_to_the_kernel_only_and_few(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	b->env.mix = on_mix;
	b->env.mix_arg = b;
	b->config.trust = SOURCE_TRUST_NO;
	server_listen(&b->servers[0]);
	start_and_prove(b);
	want(b, 1, &ready);
	wait_ms(b, 599000);
	assert_null(ready);
	assert_int_equal(pool_level(b->pool), 0);
	assert_in_range(b->mixed_len, 10 * 32, 10 * 64);
	for (size_t i = 0; i < b->mixed_len; i++)
		assert_int_equal(b->mixed[i], stream_byte(&b->servers[0], i));
	assert_int_equal(status(b).credit, 0);
	assert_string_equal(status(b).use, "kernel");
	assert_false(status(b).serves);
	assert_int_equal(b->credit, SOURCE_CREDIT_MAX);
}

static void
bytes_of_no_use_are_not_asked_for(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	b->config.expanded = true;
	server_listen(&b->servers[0]);
	start_and_prove(b);
	want(b, 1, &ready);
	wait_ms(b, 600000);
	assert_true(status(b).connected);
	assert_int_equal(b->servers[0].asked, 0);
	assert_string_equal(status(b).use, "none");
}

static void
credit_is_the_lowest_of_all_that_fed_the_pool(void **state)
{
	struct bench *b = *state;

	b->config.credit = 3;
	start_and_prove(b);
	assert_int_equal(b->credit, SOURCE_CREDIT_MAX);
	server_listen(&b->servers[0]);
	wait_ms(b, 1000);
	assert_int_equal(b->credit, 3);
}

static void
sick_server_is_quarantined_and_not_asked_until_it_may_be_well(void **state)
{
	struct bench *b = *state;
	struct server *s = &b->servers[0];
	uint64_t asked;

	s->stuck = true;
	server_listen(s);
	start(b);
	wait_ms(b, 1000);
	assert_int_equal(status(b).health, INTAKE_QUARANTINE);
	assert_false(status(b).serves);
	asked = s->asked;
	s->stuck = false;
	wait_ms(b, INTAKE_QUARANTINE_MS - 2000);
	assert_int_equal(s->asked, asked);
	assert_int_equal(pool_level(b->pool), 0);
	wait_ms(b, 60000);
	assert_int_equal(status(b).health, INTAKE_ACTIVE);
	assert_true(pool_level(b->pool) >= READ_AHEAD / 2);
}

static void
quarantine_that_is_over_is_no_reason_to_be_busy(void **state)
{
	struct bench *b = *state;

	b->servers[0].stuck = true;
	start_both(b, SOURCE_POLICY_ALL);
	wait_ms(b, INTAKE_QUARANTINE_MS + 5000); /* the pool is full enough, by the other one */
	assert_int_equal(status(b).health, INTAKE_QUARANTINE);
	assert_true(pool_level(b->pool) >= READ_AHEAD / 2);
	settle(b);
	(void)event_base_get_max_events(b->base, EVENT_BASE_COUNT_ACTIVE, 1);
	settle(b);
	assert_int_equal(event_base_get_max_events(b->base, EVENT_BASE_COUNT_ACTIVE, 0), 0);
}

/* ---- promises: several ---- */

static void
all_are_asked(void **state)
{
	struct bench *b = *state;

	start_both(b, SOURCE_POLICY_ALL);
	wait_ms(b, 1000);
	for (size_t i = 0; i < 2; i++) {
		assert_true(status_of(b, i).serves);
		assert_true(b->servers[i].asked > 0);
	}
	assert_string_equal(status_of(b, 0).name, "up/1");
	assert_string_equal(status_of(b, 1).name, "up/2");
}

static void
second_stands_by_until_the_first_is_gone_and_again_when_it_is_back(void **state)
{
	struct bench *b = *state;
	uint64_t asked;

	start_both(b, SOURCE_POLICY_FAILOVER);
	wait_ms(b, 1000);
	assert_true(status_of(b, 1).connected);
	assert_true(status_of(b, 1).egd.stands_by);
	assert_int_equal(b->servers[1].asked, 0);
	server_close(&b->servers[0]);
	settle(b);
	drain(b);
	assert_true(b->servers[1].asked > 0);
	assert_false(status_of(b, 1).egd.stands_by);
	server_listen(&b->servers[0]);
	wait_ms(b, 1000);
	assert_true(status_of(b, 1).egd.stands_by);
	asked = b->servers[1].asked;
	wait_ms(b, 100000);
	assert_int_equal(b->servers[1].asked, asked);
}

static void
second_helps_out_while_the_first_has_no_entropy(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	b->servers[0].empty = true;
	b->servers[0].level = 0;
	start_both(b, SOURCE_POLICY_FAILOVER);
	want(b, 32, &ready);
	wait_ms(b, TIMEOUT_MS + 1000);
	assert_non_null(ready);
	pool_waiter_done(b->pool, ready, true);
	assert_true(status_of(b, 0).egd.stands_by);
	assert_string_equal(status_of(b, 0).state, "answers, but sends too little entropy");
	b->servers[0].level = 8 * 31; /* less than it could give to anybody who asks for a seed */
	wait_ms(b, EGD_CLIENT_PROBE_MS + 1000);
	assert_true(status_of(b, 0).egd.stands_by);
	b->servers[0].empty = false;
	b->servers[0].level = 8000;
	wait_ms(b, EGD_CLIENT_PROBE_MS + 1000);
	assert_false(status_of(b, 0).egd.stands_by);
	assert_true(status_of(b, 1).egd.stands_by);
}

/* For so long the first server sends a byte a second, and says that it has plenty. */
static unsigned
drip(struct bench *b, unsigned seconds)
{
	unsigned asked_s = 0; /* how long it was the one that is asked */

	b->servers[0].empty = true;
	for (unsigned i = 0; i < seconds; i++) {
		wait_ms(b, 1000);
		if (b->servers[0].fd >= 0 && b->servers[0].owed > 0)
			server_give(&b->servers[0], 1);
		asked_s += !status_of(b, 0).egd.stands_by;
	}
	return asked_s;
}

static void
second_is_asked_when_the_first_drips_while_somebody_waits(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	start_both(b, SOURCE_POLICY_FAILOVER);
	wait_ms(b, 1000);
	b->servers[0].empty = true;
	drain(b);
	want(b, 200, &ready);
	assert_in_range(drip(b, 7), 4, 6);
	assert_non_null(ready);
	pool_waiter_done(b->pool, ready, true);
	assert_int_equal(status_of(b, 0).connects, 1);
	assert_string_equal(status_of(b, 0).state, "answers, but sends too little entropy");
	assert_true(status_of(b, 1).serves);
}

/* Its level is a lie, and each time that it is believed costs those who wait five seconds. */
static void
server_that_drips_is_tried_ever_more_seldom_and_serves_when_it_is_well(void **state)
{
	struct bench *b = *state;
	unsigned asked_s = 0;

	start_both(b, SOURCE_POLICY_FAILOVER);
	wait_ms(b, 1000);
	for (int i = 0; i < 60; i++) {
		struct pool_waiter *ready;

		b->servers[0].empty = true;
		take_all(b);
		want(b, 200, &ready);
		asked_s += drip(b, 30);
		assert_non_null(ready);
		pool_waiter_done(b->pool, ready, true);
	}
	assert_in_range(asked_s, 5, 100); /* of 1,800 */
	b->servers[0].empty = false;
	wait_ms(b, 20 * EGD_CLIENT_PROBE_MS);
	assert_false(status_of(b, 0).egd.stands_by);
	drain(b);
	assert_string_equal(status_of(b, 0).state, "serves");
}

static void
server_that_drips_serves_while_nobody_waits(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	start_both(b, SOURCE_POLICY_FAILOVER);
	wait_ms(b, 1000);
	b->servers[0].empty = true;
	drain(b);
	assert_int_equal(drip(b, 10), 10);
	want(b, 200, &ready);
	wait_ms(b, 1000);
	assert_non_null(ready);
	pool_waiter_done(b->pool, ready, true);
	assert_true(status_of(b, 0).egd.stands_by);
}

static void
server_that_is_slow_and_gives_enough_serves(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	start_both(b, SOURCE_POLICY_FAILOVER);
	wait_ms(b, 1000);
	b->servers[0].empty = true;
	drain(b);
	want(b, 256, &ready);
	for (int i = 0; i < 20; i++) {
		wait_ms(b, EGD_CLIENT_LAG_MS - 500);
		server_give(&b->servers[0], 32);
		settle(b);
		assert_false(status_of(b, 0).egd.stands_by);
		if (ready != NULL) {
			pool_waiter_done(b->pool, ready, true);
			drain(b);
			want(b, 256, &ready);
		}
	}
	if (ready != NULL)
		pool_waiter_done(b->pool, ready, true);
}

/* ---- promises: a clone ---- */

/* What was asked for before is still sent, and part of it has come: none of it is believed. */
static void
clone_uses_nothing_that_was_on_its_way(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;
	uint64_t before;

	server_listen(&b->servers[0]);
	start(b);
	want(b, 32, &ready);
	settle(b);
	wait_ms(b, EGD_QUIET_MS);
	pool_waiter_done(b->pool, ready, true);
	drain(b);
	b->servers[0].empty = true;
	drain(b);
	want(b, 32, &ready);
	settle(b);
	assert_in_range(b->servers[0].owed, 64, UINT64_MAX);
	server_give(&b->servers[0], 16);
	settle(b);
	server_give(&b->servers[0], b->servers[0].owed); /* lies in the socket */
	before = b->servers[0].sent;
	source_renew(sources_at(b->sources, 0));
	pool_wipe(b->pool);
	settle(b);
	assert_int_equal(b->servers[0].fd, -1);
	assert_null(ready);
	b->servers[0].empty = false;
	wait_ms(b, 1000);
	assert_int_equal(b->servers[0].connections, 2);
	assert_non_null(ready);
	b->taken = before;
	take_waited_in_order(b, ready);
	take_in_order(b);
}

static void
clone_wipes_what_the_start_up_test_holds(void **state)
{
	struct bench *b = *state;
	struct pool_waiter *ready;

	b->servers[0].empty = true;
	server_listen(&b->servers[0]);
	start(b);
	want(b, 32, &ready);
	settle(b);
	wait_ms(b, EGD_QUIET_MS);
	server_give(&b->servers[0], 32);
	settle(b);
	assert_int_equal(status(b).intake.held, 32);
	source_renew(sources_at(b->sources, 0));
	assert_int_equal(status(b).intake.held, 0);
	assert_int_equal(status(b).intake.rejected, 32);
	b->servers[0].empty = false;
	wait_ms(b, 1000);
	assert_non_null(ready);
	b->taken = 32;
	take_waited_in_order(b, ready);
	take_in_order(b);
}

static void
server_that_is_not_there_is_waited_for_after_as_before(void **state)
{
	struct bench *b = *state;

	start_and_prove(b);
	source_renew(sources_at(b->sources, 0));
	settle(b);
	server_listen(&b->servers[0]);
	wait_ms(b, 1000);
	assert_string_equal(status(b).state, "serves");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_arrive_in_the_pool_whole_and_in_order),
		TEST(nothing_is_hoarded_beyond_the_read_ahead),
		TEST(reader_who_does_not_wait_finds_it_refilled),
		TEST(who_waits_is_asked_for_at_once),
		TEST(what_several_were_asked_for_is_not_lost_in_a_full_pool),
		TEST(absent_server_is_waited_for_and_taken_when_it_comes),
		TEST(reader_is_served_when_the_server_comes_back_and_gets_no_wrong_byte),
		TEST(reply_that_does_not_come_is_asked_for_on_another_connection),
		TEST(server_that_accepts_and_says_nothing_is_left_and_tried_ever_later),
		TEST(server_that_gives_a_little_and_goes_is_tried_ever_later),
		TEST(idle_server_is_asked_for_its_level_at_a_slow_pace),
		TEST(byte_that_was_not_asked_for_ends_the_connection),
		TEST(listener_of_our_own_is_refused),
		TEST(neighbour_is_asked_who_it_is_and_taken),
		TEST(banner_of_another_service_is_no_entropy),
		TEST(banner_whose_first_four_bytes_come_alone_is_no_level),
		TEST(banner_is_no_process_id),
		TEST(server_is_asked_for_entropy_when_it_was_quiet_for_a_while),
		TEST(bytes_that_are_held_go_when_more_come_than_were_asked_for),
		TEST(untrusted_bytes_go_to_the_kernel_only_and_few),
		TEST(bytes_of_no_use_are_not_asked_for),
		TEST(credit_is_the_lowest_of_all_that_fed_the_pool),
		TEST(sick_server_is_quarantined_and_not_asked_until_it_may_be_well),
		TEST(quarantine_that_is_over_is_no_reason_to_be_busy),
		TEST(all_are_asked),
		TEST(second_stands_by_until_the_first_is_gone_and_again_when_it_is_back),
		TEST(second_helps_out_while_the_first_has_no_entropy),
		TEST(second_is_asked_when_the_first_drips_while_somebody_waits),
		TEST(server_that_drips_is_tried_ever_more_seldom_and_serves_when_it_is_well),
		TEST(server_that_drips_serves_while_nobody_waits),
		TEST(server_that_is_slow_and_gives_enough_serves),
		TEST(clone_uses_nothing_that_was_on_its_way),
		TEST(clone_wipes_what_the_start_up_test_holds),
		TEST(server_that_is_not_there_is_waited_for_after_as_before),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
