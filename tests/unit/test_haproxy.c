/* SPDX-License-Identifier: MIT */
/* The line for HAProxy's agent-check, and its way to HAProxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/haproxy.h"
#include "lib/net.h"

static void
expect_line(struct haproxy_load load, const char *expected)
{
	char line[HAPROXY_LINE_MAX];

	haproxy_line(&load, line);
	assert_string_equal(line, expected);
}

static void
weight_follows_the_level(void **state)
{
	(void)state;
	expect_line((struct haproxy_load){.level = 620, .size = 1000, .filled = true},
		    "up ready 62%\n");
	expect_line((struct haproxy_load){.level = 1000, .size = 1000}, "up ready 100%\n");
}

static void
empty_pool_that_is_filled_keeps_the_least_weight(void **state)
{
	(void)state;
	expect_line((struct haproxy_load){.size = 1000, .filled = true}, "up ready 1%\n");
	expect_line((struct haproxy_load){.level = 255, .size = 100000}, "up ready 1%\n");
}

static void
down_when_empty_and_nothing_fills_it(void **state)
{
	(void)state;
	expect_line((struct haproxy_load){.size = 1000},
		    "down#the pool is empty and nothing fills it\n");
	expect_line((struct haproxy_load){.level = 254, .size = 1000},
		    "down#the pool is empty and nothing fills it\n");
}

static void
drain_comes_before_all_else(void **state)
{
	(void)state;
	expect_line((struct haproxy_load){.drained = true}, "drain\n");
	expect_line((struct haproxy_load){.level = 5, .size = 5, .filled = true, .drained = true},
		    "drain\n");
}

/* ---- over the loopback ---- */

#define POOL_SIZE ((size_t)POOL_SIZE_MIN)

/* A daemon whose pool is half full; listens at any free port, the first of these that it gets. */
static void *
start_somewhere(struct daemon *d, const char *allow, struct address *ret)
{
	const struct pool_config config = {.size = POOL_SIZE, .max_handles = 8, .max_waiters = 8};
	static const uint8_t bytes[POOL_SIZE / 2] = {0};
	void *agent = NULL;

	d->base = event_base_new();
	d->pool = pool_new(&config);
	d->pool_size = POOL_SIZE;
	assert_int_equal(pool_put(d->pool, bytes, sizeof(bytes)), sizeof(bytes));
	strcpy(d->config.agent_allow, allow);
	for (uint16_t port = 20000; agent == NULL && port < 20100; port++) {
		assert_true(address_from_ip("127.0.0.1", port, ret));
		sprintf(d->config.agent, "tcp:127.0.0.1:%u", port);
		(void)haproxy_part.start(d, 0, &agent);
	}
	assert_non_null(agent);
	return agent;
}

static void
stop(struct daemon *d, void *agent)
{
	haproxy_part.stop(d, 0, agent);
	pool_free(&d->pool);
	event_base_free(d->base);
	free(d);
}

static void
each_connection_gets_the_line_and_is_closed(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct address address;
	void *agent = start_somewhere(d, "", &address);
	char line[HAPROXY_LINE_MAX] = "";

	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, &address.any, address.len), 0);
		event_base_loop(d->base, EVLOOP_ONCE);
		assert_int_equal(recv(fd, line, sizeof(line), MSG_WAITALL), 13);
		assert_memory_equal(line, "up ready 50%\n", 13);
		close(fd);
	}
	stop(d, agent);
}

static void
client_that_is_not_allowed_gets_no_byte(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct address address;
	void *agent = start_somewhere(d, "192.0.2.0/24", &address);
	char byte;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(connect(fd, &address.any, address.len), 0);
	event_base_loop(d->base, EVLOOP_ONCE);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	stop(d, agent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weight_follows_the_level),
		cmocka_unit_test(empty_pool_that_is_filled_keeps_the_least_weight),
		cmocka_unit_test(down_when_empty_and_nothing_fills_it),
		cmocka_unit_test(drain_comes_before_all_else),
		cmocka_unit_test(each_connection_gets_the_line_and_is_closed),
		cmocka_unit_test(client_that_is_not_allowed_gets_no_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
