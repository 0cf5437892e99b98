/* SPDX-License-Identifier: MIT */
/*
 * A device and a pool without any source, for tests of the device: device_server PATH
 * auto|cuse|fuse [MODE]. The pool is fed on order, with a stream of 64-bit little-endian counters,
 * so that a reader can tell which byte it got. The end of stdin, SIGTERM and SIGINT stop it.
 *
 * Orders come on stdin, one a line, each is answered by a line:
 *
 * put N: N bytes (of those that fit) into the pool
 *
 * feed N MS: the same every MS milliseconds; "feed 0 0" ends it
 *
 * status: opens interrupted delivered lost waited in held waiters
 *
 * hang MS: the loop does not turn for so long
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuse/device.h"
#include "lib/bytes.h"
#include "lib/log.h"

#define SERVER_POOL_SIZE 65536

struct server {
	struct event_base *base;
	struct pool *pool;
	struct device *device;
	struct event *feed;
	size_t feed_len;
	uint64_t position; /* of the stream, bytes put so far */
	size_t line_len;
	char line[128];
};

static size_t
server_put(struct server *s, size_t len)
{
	uint8_t bytes[4096], word[8];
	size_t put = 0;

	while (put < len) {
		size_t room = pool_room(s->pool), n = len - put;

		n = n < room ? n : room;
		n = n < sizeof(bytes) ? n : sizeof(bytes);
		if (n == 0)
			break;
		for (size_t i = 0; i < n; i++, s->position++) {
			store_le64(word, s->position / 8);
			bytes[i] = word[s->position % 8];
		}
		put += pool_put(s->pool, bytes, n);
	}
	return put;
}

static void
server_feed(evutil_socket_t fd, short events, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)events;
	server_put(s, s->feed_len);
}

static void
server_set_feed(struct server *s, unsigned long len, unsigned long ms)
{
	struct timeval every = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	event_del(s->feed);
	s->feed_len = len;
	if (len > 0)
		event_add(s->feed, &every);
	puts("feeding");
}

static void
server_tell_status(const struct server *s)
{
	struct device_status d;
	struct pool_totals p;

	device_status(s->device, &d);
	pool_totals(s->pool, &p);
	printf("via=%s opens=%llu interrupted=%llu delivered=%llu lost=%llu waited=%llu in=%llu "
	       "held=%llu "
	       "waiters=%llu\n",
	       d.via, (unsigned long long)d.opens, (unsigned long long)d.interrupted,
	       (unsigned long long)d.account.delivered, (unsigned long long)d.account.lost,
	       (unsigned long long)d.account.waited, (unsigned long long)p.in,
	       (unsigned long long)p.held, (unsigned long long)p.waiters);
}

static void
server_hang(unsigned long ms)
{
	struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	puts("hanging");
	fflush(stdout);
	while (nanosleep(&left, &left) != 0)
		;
}

static void
server_order(struct server *s, const char *line)
{
	unsigned long a = 0, b = 0;

	if (sscanf(line, "put %lu", &a) == 1)
		printf("put %zu\n", server_put(s, a));
	else if (sscanf(line, "feed %lu %lu", &a, &b) == 2)
		server_set_feed(s, a, b);
	else if (sscanf(line, "hang %lu", &a) == 1)
		server_hang(a);
	else if (strcmp(line, "status") == 0)
		server_tell_status(s);
	else
		printf("unknown order: %s\n", line);
	fflush(stdout);
}

static void
server_stdin(evutil_socket_t fd, short events, void *arg)
{
	struct server *s = arg;
	char bytes[256];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n <= 0)
		event_base_loopbreak(s->base);
	for (ssize_t i = 0; i < n; i++) {
		s->line[s->line_len++] = bytes[i];
		if (bytes[i] != '\n' && s->line_len < sizeof(s->line))
			continue;
		s->line[s->line_len - 1] = '\0';
		s->line_len = 0;
		server_order(s, s->line);
	}
}

static void
server_signal(evutil_socket_t number, short events, void *arg)
{
	struct server *s = arg;

	(void)number, (void)events;
	event_base_loopbreak(s->base);
}

static int
server_run(struct server *s, const struct device_config *config)
{
	const struct pool_config pool = {
		.size = SERVER_POOL_SIZE, .max_handles = 4096, .max_waiters = 2048};
	struct event *in, *term, *interrupt;

	s->base = event_base_new();
	s->pool = pool_new(&pool);
	if (device_start(s->base, s->pool, fd_store_new(), config, &s->device) < 0)
		return 1;
	in = event_new(s->base, STDIN_FILENO, EV_READ | EV_PERSIST, server_stdin, s);
	term = evsignal_new(s->base, SIGTERM, server_signal, s);
	interrupt = evsignal_new(s->base, SIGINT, server_signal, s);
	s->feed = event_new(s->base, -1, EV_PERSIST, server_feed, s);
	event_add(in, NULL);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	puts("ready");
	fflush(stdout);
	event_base_dispatch(s->base);
	device_stop(&s->device);
	event_free(s->feed);
	event_free(interrupt);
	event_free(term);
	event_free(in);
	pool_free(&s->pool);
	event_base_free(s->base);
	puts("stopped");
	return 0;
}

int
main(int argc, char **argv)
{
	struct device_config config = {.name = "test", .mode = 0444};
	static struct server server;

	if (argc < 3)
		return 2;
	snprintf(config.path, sizeof(config.path), "%s", argv[1]);
	if (strcmp(argv[2], "cuse") == 0)
		config.via = DEVICE_VIA_CUSE;
	else if (strcmp(argv[2], "fuse") == 0)
		config.via = DEVICE_VIA_FUSE;
	if (argc > 3)
		config.mode = (mode_t)strtoul(argv[3], NULL, 8);
	log_set_level(LOG_LEVEL_DEBUG);
	return server_run(&server, &config);
}
