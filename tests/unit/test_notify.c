/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "lib/clock.h"

#define PING_LIMIT "4000" /* microseconds: a ping each 2 ms */
#define PINGS 3

/* A service manager: a datagram socket in NOTIFY_SOCKET, and what it was sent last. */
struct manager {
	int fd;
	char said[512];
	unsigned asked; /* how often the status was wanted */
};

static int
set_up(void **state)
{
	struct manager *m = calloc(1, sizeof(*m));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];

	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Of the abstract kind, which leaves nothing behind. */
	snprintf(name, sizeof(name), "@ekey-notify.%d", (int)getpid());
	strcpy(address.sun_path, name);
	address.sun_path[0] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*state = m;
	return bind(m->fd, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
}

static int
tear_down(void **state)
{
	struct manager *m = *state;

	close(m->fd);
	free(m);
	return 0;
}

/* The next datagram, or "" when there is none. */
static const char *
said(struct manager *m)
{
	ssize_t n = recv(m->fd, m->said, sizeof(m->said) - 1, 0);

	m->said[n > 0 ? n : 0] = '\0';
	return m->said;
}

static void
some_status(void *arg, char *ret, size_t size)
{
	struct manager *m = arg;

	snprintf(ret, size, "asked %u", ++m->asked);
}

static void
each_state_is_one_message(void **state)
{
	struct manager *m = *state;
	uint64_t before_us = clock_now_us(), told_us;

	notify_ready("1 key, keyed");
	assert_string_equal(said(m), "READY=1\nSTATUS=1 key, keyed");
	notify_reloading();
	assert_int_equal(sscanf(said(m), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &told_us), 1);
	assert_in_range(told_us, before_us, clock_now_us());
	notify_stopping();
	assert_string_equal(said(m), "STOPPING=1\nSTATUS=stopping");
	assert_string_equal(said(m), "");
}

static void
without_a_manager_nothing_happens(void **state)
{
	struct manager *m = *state;

	unsetenv("NOTIFY_SOCKET");
	notify_ready("ready");
	notify_reloading();
	notify_stopping();
	assert_string_equal(said(m), "");
}

static void
pings_come_from_the_loop_as_it_turns(void **state)
{
	struct manager *m = *state;
	struct event_base *base = event_base_new();
	struct notify_watchdog *w = NULL;

	setenv("WATCHDOG_USEC", PING_LIMIT, 1);
	assert_int_equal(notify_watchdog_start(base, some_status, m, &w), 0);
	assert_non_null(w);
	assert_string_equal(said(m), "");
	for (unsigned i = 1; i <= PINGS; i++) {
		char wanted[64];

		snprintf(wanted, sizeof(wanted), "WATCHDOG=1\nSTATUS=asked %u", i);
		event_base_loop(base, EVLOOP_ONCE);
		assert_string_equal(said(m), wanted);
		assert_string_equal(said(m), "");
	}
	notify_watchdog_stop(&w);
	assert_null(w);
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 1); /* no event is left */
	event_base_free(base);
}

static void
unwatched_there_is_no_timer(void **state)
{
	struct manager *m = *state;
	struct event_base *base = event_base_new();
	struct notify_watchdog *w = (struct notify_watchdog *)m;

	assert_int_equal(notify_watchdog_start(base, some_status, m, &w), 0);
	assert_null(w);
	/* Meant for another process: one that started us, perhaps. */
	setenv("WATCHDOG_USEC", PING_LIMIT, 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_start(base, some_status, m, &w), 0);
	assert_null(w);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	notify_watchdog_stop(&w);
	event_base_free(base);
}

#define WITH_MANAGER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* And the next ping is not late for that: the service manager would end us. */
static void
change_is_told_in_the_next_turn_and_delays_no_ping(void **state)
{
	const struct timeval later = {.tv_usec = 30000}; /* between the second ping and the third */
	struct manager *m = *state;
	struct event_base *base = event_base_new();
	struct notify_watchdog *w = NULL;

	setenv("WATCHDOG_USEC", "40000", 1);
	assert_int_equal(notify_watchdog_start(base, some_status, m, &w), 0);
	notify_changed(w);
	notify_changed(w);
	assert_string_equal(said(m), "");
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_string_equal(said(m), "WATCHDOG=1\nSTATUS=asked 1");
	assert_string_equal(said(m), "");
	event_base_once(base, -1, EV_TIMEOUT, on_later, base, &later);
	event_base_dispatch(base);
	assert_string_equal(said(m), "WATCHDOG=1\nSTATUS=asked 2");
	notify_watchdog_stop(&w);
	notify_changed(w);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MANAGER(each_state_is_one_message),
		WITH_MANAGER(without_a_manager_nothing_happens),
		WITH_MANAGER(pings_come_from_the_loop_as_it_turns),
		WITH_MANAGER(change_is_told_in_the_next_turn_and_delays_no_ping),
		WITH_MANAGER(unwatched_there_is_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
