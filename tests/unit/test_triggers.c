/* SPDX-License-Identifier: MIT */
/*
 * What makes ekey-feed feed before its time, and how often. The kernel's log is a socket, time
 * passes as the tests say, and waiting takes none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "egd/feed/agent.h"
#include "egd/feed/report.h"
#include "egd/feed/seed.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/rng_helper.h"

#define CLONED "5,365,9587907,-;random: crng reseeded due to virtual machine fork\n"
#define OTHER "6,364,9587000,-;e1000: link is up\n"
#define FLOOR_MS 2000
#define FEEDS_MAX 100

static uint64_t now_ms;
static int kernel;        /* the end at which the log is written */
static const char *flood; /* a record that is written as often as the log is looked at */
static struct triggers triggers;

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){.tv_sec = (time_t)(now_ms / 1000),
				 .tv_nsec = (long)(now_ms % 1000 * 1000000)};
	return 0;
}

static void
say(const char *record)
{
	(void)send(kernel, record, strlen(record), MSG_DONTWAIT);
}

int
poll(struct pollfd *fds, nfds_t count, int ms)
{
	const struct timespec none = {0};
	int result;

	if (flood != NULL) {
		now_ms++;
		say(flood);
	}
	result = (int)syscall(SYS_ppoll, fds, count, &none, NULL, 0);
	if (result == 0 && ms > 0)
		now_ms += (uint64_t)ms;
	return result;
}

static unsigned reseeds; /* of TLS's generators */

/* In place of OpenSSL's. */
int
RAND_poll(void)
{
	reseeds++;
	return 1;
}

/* ---- the agent's world: each fetch and each feed is noted ---- */

static struct {
	unsigned fetches, feeds;
	uint64_t fetch_ms; /* how long one takes */
	uint64_t end_ms;   /* when the helper ends, and with it the agent */
	uint64_t fed_ms[FEEDS_MAX];
} world;

const struct channel_to *
upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len)
{
	static const struct channel_to from = {.address = "unix:/server"};

	(void)u;
	memset(ret, 'x', len);
	assert_in_range(++world.fetches, 1, 2 * FEEDS_MAX);
	now_ms += world.fetch_ms;
	if (flood != NULL)
		say(flood);
	return &from;
}

int
rng_helper_feed_and_wait(struct helper *helper, const uint8_t *bytes, size_t len,
			 unsigned credit_bits, bool reseed)
{
	(void)helper, (void)bytes, (void)len, (void)credit_bits, (void)reseed;
	if (now_ms >= world.end_ms)
		return -EPIPE;
	assert_in_range(world.feeds, 0, FEEDS_MAX - 1);
	world.fed_ms[world.feeds++] = now_ms;
	return 0;
}

int
report_write(const struct report *report, const char *path)
{
	(void)report, (void)path;
	return 0;
}

int
seed_feed(const struct options *options, struct helper *helper)
{
	(void)options, (void)helper;
	return 0;
}

static void
run_until(uint64_t ms, uint64_t interval_ms)
{
	const struct options options = {.mode = MODE_FEED, .bytes = 64, .interval_ms = interval_ms};
	struct upstreams upstreams = {0};

	world.end_ms = ms;
	(void)agent_run(&options, &upstreams, NULL, &triggers);
}

static int
set_up(void **state)
{
	int ends[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	now_ms = 1000000;
	kernel = ends[1];
	flood = NULL;
	reseeds = 0;
	memset(&world, 0, sizeof(world));
	triggers = (struct triggers){.random = -1, .orders = -1, .store = -1};
	vm_clone_open_log(&triggers.cloned, ends[0]);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vm_clone_close(&triggers.cloned);
	return close(kernel);
}

/* ---- promises ---- */

static void
clone_is_fed_at_once_and_bytes_on_their_way_are_replaced(void **state)
{
	uint64_t begun_ms = now_ms;

	(void)state;
	say(CLONED);
	run_until(begun_ms + 1, 60000);
	assert_int_equal(world.feeds, 1);
	assert_int_equal(world.fetches,
			 3); /* two for this feed, and one when the helper has ended */
	assert_int_equal(world.fed_ms[0], begun_ms);
	assert_int_equal(reseeds, 1);
}

static void
second_news_within_two_seconds_waits_for_their_end(void **state)
{
	uint64_t begun_ms = now_ms;

	(void)state;
	say(CLONED);
	assert_true(triggers_cloned(&triggers));
	now_ms += 500;
	say(CLONED);
	assert_false(triggers_cloned(&triggers));
	assert_int_equal(triggers_wait(&triggers, 60000, false), TRIGGER_CLONED);
	assert_int_equal(now_ms, begun_ms + FLOOR_MS);
	assert_int_equal(triggers_wait(&triggers, 60000, false), TRIGGER_NONE);
	assert_int_equal(now_ms, begun_ms + FLOOR_MS + 60000);
}

static void
flood_of_news_causes_a_feed_every_two_seconds_and_no_more(void **state)
{
	uint64_t begun_ms = now_ms;

	(void)state;
	flood = CLONED;
	world.fetch_ms = 100;
	run_until(begun_ms + 20000, 60000);
	assert_in_range(world.feeds, 5, 20000 / FLOOR_MS + 1);
	assert_in_range(world.fetches, world.feeds, 2 * world.feeds + 2);
}

/* Each fetch takes longer than news keeps away. */
static void
flood_of_news_cannot_keep_a_slow_server_from_feeding(void **state)
{
	uint64_t begun_ms = now_ms;

	(void)state;
	flood = CLONED;
	world.fetch_ms = 10000;
	run_until(begun_ms + 100000, 60000);
	assert_in_range(world.feeds, 4, 10);
}

static void
flood_of_other_lines_neither_feeds_nor_holds(void **state)
{
	uint64_t begun_ms = now_ms;

	(void)state;
	flood = OTHER;
	assert_false(triggers_cloned(&triggers));
	world.fetch_ms = 1;
	flood = NULL;
	run_until(begun_ms + 100000, 60000);
	assert_int_equal(world.feeds, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clone_is_fed_at_once_and_bytes_on_their_way_are_replaced),
		TEST(second_news_within_two_seconds_waits_for_their_end),
		TEST(flood_of_news_causes_a_feed_every_two_seconds_and_no_more),
		TEST(flood_of_news_cannot_keep_a_slow_server_from_feeding),
		TEST(flood_of_other_lines_neither_feeds_nor_holds),
	};

	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
