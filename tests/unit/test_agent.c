/* SPDX-License-Identifier: MIT */
/* What HAProxy's agent-check is told, and that it is told it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net.h"
#include "egd/agent.h"

static void
expect_line(struct agent_facts facts, const char *expected)
{
	char line[AGENT_LINE_MAX];

	agent_line(&facts, line);
	assert_string_equal(line, expected);
}

static void
weight_follows_the_level(void **state)
{
	(void)state;
	expect_line((struct agent_facts){.level = 620, .size = 1000, .filled = true},
		    "up ready 62%\n");
	expect_line((struct agent_facts){.level = 1000, .size = 1000}, "up ready 100%\n");
}

static void
empty_pool_that_is_filled_keeps_the_least_weight(void **state)
{
	(void)state;
	expect_line((struct agent_facts){.size = 1000, .filled = true}, "up ready 1%\n");
	expect_line((struct agent_facts){.level = 255, .size = 100000}, "up ready 1%\n");
}

static void
down_when_empty_and_nothing_fills_it(void **state)
{
	(void)state;
	expect_line((struct agent_facts){.size = 1000},
		    "down#the pool is empty and nothing fills it\n");
	expect_line((struct agent_facts){.level = 254, .size = 1000},
		    "down#the pool is empty and nothing fills it\n");
}

static void
drain_is_said_before_all_else(void **state)
{
	(void)state;
	expect_line((struct agent_facts){.drained = true}, "drain\n");
	expect_line((struct agent_facts){.level = 5, .size = 5, .filled = true, .drained = true},
		    "drain\n");
}

/* ---- over the loopback ---- */

static struct agent_facts
half_full(void *arg)
{
	(void)arg;
	return (struct agent_facts){.level = 50, .size = 100, .filled = true};
}

/* Any free port: the first of these that can be had. */
static struct agent *
listen_somewhere(struct event_base *base, struct address *ret)
{
	struct agent *agent = NULL;

	for (uint16_t port = 20000; agent == NULL && port < 20100; port++) {
		assert_true(address_from_ip("127.0.0.1", port, ret));
		(void)agent_new(base, ret, half_full, NULL, &agent);
	}
	assert_non_null(agent);
	return agent;
}

static void
whoever_connects_is_told_and_let_go(void **state)
{
	struct event_base *base = event_base_new();
	struct address address;
	struct agent *agent = listen_somewhere(base, &address);
	char line[AGENT_LINE_MAX] = "";

	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, &address.any, address.len), 0);
		event_base_loop(base, EVLOOP_ONCE);
		assert_int_equal(recv(fd, line, sizeof(line), MSG_WAITALL), 13);
		assert_memory_equal(line, "up ready 50%\n", 13);
		close(fd);
	}
	assert_int_equal(agent_asked(agent), 3);
	agent_free(&agent);
	assert_null(agent);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weight_follows_the_level),
		cmocka_unit_test(empty_pool_that_is_filled_keeps_the_least_weight),
		cmocka_unit_test(down_when_empty_and_nothing_fills_it),
		cmocka_unit_test(drain_is_said_before_all_else),
		cmocka_unit_test(whoever_connects_is_told_and_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
