/* SPDX-License-Identifier: MIT */
/* What a guest of Xen may count on; the sockets of its QEMU are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/clock.h"
#include "lib/net.h"
#include "lib/priv/connect_helper.h"
#include "tests/unit/egd_rig.h"

#define SAY(rig, fd, literal) egd_rig_say(rig, fd, literal, sizeof(literal) - 1)
#define HEARS(rig, fd, literal) egd_rig_hears(rig, fd, literal, sizeof(literal) - 1)

/* One channel as QEMU offers it. */
struct channel {
	char path[128];
	int listener, fd;
};

static int
begin(void **state)
{
	static struct helper connector;
	struct egd_rig *rig;

	if (egd_rig_begin(state) != 0)
		return -1;
	rig = *state;
	sprintf(rig->config.address, "xen:%s", rig->dir);
	rig->connector = &connector;
	return chmod(rig->dir, 0755) != 0 || connect_helper_start(&connector, NULL, rig->dir) != 0;
}

static int
end(void **state)
{
	struct helper *connector = ((struct egd_rig *)*state)->connector;

	helper_stop(connector);
	while (waitpid(-1, NULL, 0) > 0)
		;
	helper_stop(connector); /* the rest of a helper that was killed at work */
	return egd_rig_end(state);
}

static void
offer(struct egd_rig *rig, const char *name, struct channel *ret)
{
	snprintf(ret->path, sizeof(ret->path), "%s/%s", rig->dir, name);
	ret->listener = net_unix_listen(ret->path, 0600);
	ret->fd = -1;
	assert_true(ret->listener >= 0);
}

static bool
is_taken(void *arg)
{
	struct channel *channel = arg;
	struct address peer;

	channel->fd = net_accept(channel->listener, &peer);
	return channel->fd >= 0;
}

static void
expect(struct egd_rig *rig, struct channel *channel)
{
	egd_rig_until(rig, is_taken, channel);
}

/* The helper closes its copy of the connection a moment after it has sent it. */
static bool
has_ended(void *arg)
{
	const struct channel *channel = arg;
	char byte;

	return recv(channel->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
withdraw(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	close(channel->listener);
	unlink(channel->path);
}

static void
guests_are_connected_whenever_they_start(void **state)
{
	struct egd_rig *rig = *state;
	struct channel early, late;

	offer(rig, "ekey-early", &early);
	egd_rig_start(rig);
	egd_rig_put(rig, 8);
	expect(rig, &early);
	SAY(rig, early.fd, "\2\4");
	HEARS(rig, early.fd, "\0\0\0\0");
	offer(rig, "ekey-late", &late);
	expect(rig, &late);
	SAY(rig, late.fd, "\2\4");
	HEARS(rig, late.fd, "\0\0\0\1");
	assert_int_equal(egd_rig_status(rig).clients, 2);
	withdraw(&early);
	withdraw(&late);
}

static void
restarted_guest_is_connected_again(void **state)
{
	struct egd_rig *rig = *state;
	struct channel guest;

	offer(rig, "ekey-guest", &guest);
	egd_rig_start(rig);
	egd_rig_put(rig, 4);
	for (int life = 0; life < 3; life++) {
		expect(rig, &guest);
		withdraw(&guest);
		offer(rig, "ekey-guest", &guest);
	}
	expect(rig, &guest);
	SAY(rig, guest.fd, "\2\4");
	HEARS(rig, guest.fd, "\0\0\0\0");
	withdraw(&guest);
}

static void
other_sockets_are_left_alone(void **state)
{
	struct egd_rig *rig = *state;
	struct channel monitor, unnamed, guest;
	struct address peer;

	offer(rig, "qmp-libxl-1", &monitor);
	offer(rig, "ekey-", &unnamed);
	offer(rig, "ekey-guest", &guest);
	egd_rig_start(rig);
	expect(rig, &guest);
	assert_true(net_accept(monitor.listener, &peer) < 0);
	assert_true(net_accept(unnamed.listener, &peer) < 0);
	withdraw(&monitor);
	withdraw(&unnamed);
	withdraw(&guest);
}

/* The test touches the socket, because the delay runs in real time. */
static void
guest_without_egd_is_disconnected_and_retried(void **state)
{
	struct egd_rig *rig = *state;
	struct channel guest;

	offer(rig, "ekey-guest", &guest);
	egd_rig_start(rig);
	egd_rig_put(rig, 4);
	expect(rig, &guest);
	SAY(rig, guest.fd, "login: ");
	egd_rig_until(rig, has_ended, &guest);
	close(guest.fd);
	assert_int_equal(egd_rig_status(rig).ended[EGD_END_UNKNOWN], 1);
	assert_int_equal(chmod(guest.path, 0640), 0);
	expect(rig, &guest);
	SAY(rig, guest.fd, "\2\4");
	HEARS(rig, guest.fd, "\0\0\0\0");
	withdraw(&guest);
}

static void
each_guest_has_a_rate_of_its_own(void **state)
{
	struct egd_rig *rig = *state;
	struct channel greedy, modest;

	offer(rig, "ekey-greedy", &greedy);
	offer(rig, "ekey-modest", &modest);
	rig->config.rate = 1;
	rig->config.burst = EGD_BURST_MIN;
	egd_rig_start(rig);
	egd_rig_put(rig, 1024);
	expect(rig, &greedy);
	expect(rig, &modest);
	SAY(rig, greedy.fd, "\2\xfc\2\4");
	egd_rig_turn(rig);
	assert_int_equal(egd_rig_status(rig).throttled, 1);
	assert_int_equal(egd_rig_totals(rig).delivered, 252);
	SAY(rig, modest.fd, "\2\4");
	HEARS(rig, modest.fd, "\0\0\0\x3f");
	withdraw(&greedy);
	withdraw(&modest);
}

/* A channel takes no other client's place. */
static void
a_guest_may_be_silent_for_as_long_as_it_likes(void **state)
{
	struct egd_rig *rig = *state;
	struct channel guest;

	offer(rig, "ekey-guest", &guest);
	rig->config.idle_ms = 1;
	egd_rig_start(rig);
	egd_rig_put(rig, 4);
	expect(rig, &guest);
	for (uint64_t end_ms = clock_now_ms() + 20; clock_now_ms() < end_ms;)
		egd_rig_turn(rig);
	SAY(rig, guest.fd, "\2\4");
	HEARS(rig, guest.fd, "\0\0\0\0");
	withdraw(&guest);
}

/* As a reload does with a section that has changed, in the midst of it. */
static void
answers_to_a_listener_that_was_ended_do_no_harm(void **state)
{
	struct egd_rig *rig = *state;
	struct channel guest;

	offer(rig, "ekey-guest", &guest);
	for (int i = 0; i < 3; i++) {
		egd_rig_start(rig);
		egd_rig_turn(rig);
		egd_server_stop(&rig->server, false);
	}
	egd_rig_start(rig);
	egd_rig_put(rig, 4);
	expect(rig, &guest);
	withdraw(&guest);
}

static void
it_does_not_start_without_a_connector(void **state)
{
	struct egd_rig *rig = *state;

	assert_true(egd_server_start(rig->base, rig->pool, &rig->config, -1, NULL, -1,
				     &rig->server) < 0);
	assert_null(rig->server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(int argc, char **argv)
{
	static const struct helper_role *const roles[] = {&connect_helper_role, NULL};
	const struct CMUnitTest tests[] = {
		TEST(guests_are_connected_whenever_they_start),
		TEST(restarted_guest_is_connected_again),
		TEST(other_sockets_are_left_alone),
		TEST(guest_without_egd_is_disconnected_and_retried),
		TEST(each_guest_has_a_rate_of_its_own),
		TEST(a_guest_may_be_silent_for_as_long_as_it_likes),
		TEST(answers_to_a_listener_that_was_ended_do_no_harm),
		TEST(it_does_not_start_without_a_connector),
	};

	(void)argc;
	helper_main(roles, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
