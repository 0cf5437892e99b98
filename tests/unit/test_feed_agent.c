/* SPDX-License-Identifier: MIT */
/* ekey-feed's loop, with the test as its servers, its helper and all that can make a feed due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "egd/feed/agent.h"
#include "egd/feed/report.h"
#include "egd/feed/seed.h"
#include "lib/priv/rng_helper.h"
#include "tests/unit/log_lines.h"
#include "tests/unit/stopped_clock.h"

#define BYTES 64
#define CREDIT 7
#define INTERVAL_MS 10000
#define WAITS_MAX 64

static struct rig {
	struct channel_to server;
	struct upstreams upstreams;
	struct triggers triggers;
	struct options options;
	struct helper helper;
	/* What happens. */
	unsigned fetches_failing;  /* the first ones */
	unsigned clones;           /* noticed at the end of so many fetches, from the first on */
	int results[8];            /* of the kernel, in turn; -EPIPE behind them */
	enum trigger wait_ends[8]; /* why each wait ends, in turn; TRIGGER_NONE behind them */
	/* What was done. */
	unsigned fetches, feeds, waits, seeds, reports;
	struct feed {
		uint8_t first; /* byte: the number of the fetch */
		unsigned bits;
		bool reseed;
	} fed[8];
	struct wait {
		uint64_t ms;
		bool kernel;
	} waited[WAITS_MAX];
	struct report report;
	int report_result;
	const uint8_t *bytes; /* of the agent's */
} rig;

const struct channel_to *
upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len)
{
	assert_ptr_equal(u, &rig.upstreams);
	rig.bytes = ret;
	rig.fetches++;
	if (rig.fetches <= rig.fetches_failing)
		return NULL;
	memset(ret, (int)rig.fetches, len);
	return &rig.server;
}

bool
triggers_cloned(struct triggers *u)
{
	assert_ptr_equal(u, &rig.triggers);
	return rig.clones > 0 && rig.clones-- > 0;
}

enum trigger
triggers_wait(struct triggers *u, uint64_t ms, bool kernel)
{
	static const uint8_t zeros[BYTES];

	assert_ptr_equal(u, &rig.triggers);
	assert_true(rig.fetches <= rig.fetches_failing ||
		    memcmp(rig.bytes, zeros, sizeof(zeros)) == 0); /* nothing is kept meanwhile */
	assert_in_range(rig.waits, 0, WAITS_MAX - 1);
	rig.waited[rig.waits] = (struct wait){ms, kernel};
	return rig.waits++ < 8 ? rig.wait_ends[rig.waits - 1] : TRIGGER_NONE;
}

int
rng_helper_feed_and_wait(struct helper *helper, const uint8_t *bytes, size_t len, unsigned bits,
			 bool reseed)
{
	int result = rig.results[rig.feeds];

	assert_ptr_equal(helper, &rig.helper);
	assert_int_equal(len, BYTES);
	assert_in_range(rig.feeds, 0, 7);
	rig.fed[rig.feeds++] = (struct feed){bytes[0], bits, reseed};
	return result;
}

int
seed_feed(const struct options *options, struct helper *helper)
{
	assert_ptr_equal(options, &rig.options);
	assert_ptr_equal(helper, &rig.helper);
	rig.seeds++;
	return FEED_EXIT_OK;
}

int
report_write(const struct report *report, const char *path)
{
	assert_string_equal(path, "figures");
	rig.report = *report;
	rig.reports++;
	return rig.report_result;
}

static int
set_up(void **unused)
{
	(void)unused;
	stopped_clock_begin(NULL);
	rig = (struct rig){.server = {.address = "unix:/egd", .trusted = true},
			   .options = {.mode = MODE_FEED,
				       .bytes = BYTES,
				       .credit = CREDIT,
				       .interval_ms = INTERVAL_MS,
				       .textfile = "figures"}};
	for (size_t i = 0; i < sizeof(rig.results) / sizeof(rig.results[0]); i++)
		rig.results[i] = -EPIPE;
	return 0;
}

static int
run_agent(void)
{
	return agent_run(&rig.options, &rig.upstreams, &rig.helper,
			 rig.options.mode == MODE_FEED ? &rig.triggers : NULL);
}

static void
assert_about(uint64_t ms, uint64_t about_ms)
{
	assert_in_range(ms, about_ms - about_ms / 10, about_ms + about_ms / 10);
}

/* ---- what is fed ---- */

static void
one_feed_has_what_the_server_gave_and_its_credit(void **unused)
{
	(void)unused;
	rig.options.mode = MODE_ONCE;
	rig.results[0] = 0;
	assert_int_equal(run_agent(), FEED_EXIT_OK);
	assert_int_equal(rig.feeds, 1);
	assert_int_equal(rig.fed[0].first, 1);
	assert_int_equal(rig.fed[0].bits, BYTES * CREDIT);
	assert_true(rig.fed[0].reseed);
	assert_int_equal(rig.report.feeds, 1);
	assert_int_equal(rig.report.failures, 0);
	assert_int_equal(rig.report.fed_bytes, BYTES);
	assert_int_equal(rig.report.credited_bits, BYTES * CREDIT);
	assert_string_equal(rig.report.upstream, "unix:/egd");
	assert_true(rig.report.last_feed_s > 0);
	assert_true(rig.report.ready); /* as on every machine that is up */
}

static void
bytes_of_a_server_that_is_not_trusted_get_no_credit(void **unused)
{
	(void)unused;
	rig.options.mode = MODE_ONCE;
	rig.server.trusted = false;
	rig.results[0] = 0;
	assert_int_equal(run_agent(), FEED_EXIT_OK);
	assert_int_equal(rig.fed[0].bits, 0);
	assert_int_equal(rig.report.credited_bits, 0);
}

static void
one_feed_that_fails_says_at_which_end(void **unused)
{
	(void)unused;
	rig.options.mode = MODE_ONCE;
	rig.fetches_failing = 1;
	assert_int_equal(run_agent(), FEED_EXIT_UPSTREAM);
	assert_int_equal(rig.feeds, 0);
	assert_int_equal(rig.report.failures, 1);
	rig.upstreams.refused = true;
	rig.fetches_failing = 2;
	assert_int_equal(run_agent(), FEED_EXIT_REFUSED);
	rig.results[0] = -EPERM;
	assert_int_equal(run_agent(), FEED_EXIT_KERNEL);
	assert_int_equal(rig.report.failures, 1);
	assert_int_equal(rig.report.feeds, 0);
}

/* They may have come to all clones. */
static void
bytes_that_were_under_way_to_a_clone_are_neither_fed_nor_credited(void **unused)
{
	(void)unused;
	rig.clones = 1;
	assert_int_equal(run_agent(), FEED_EXIT_KERNEL);
	assert_int_equal(rig.fetches, 2);
	assert_int_equal(rig.feeds, 1);
	assert_int_equal(rig.fed[0].first, 2);
}

/* ---- when ---- */

/* Before Linux 5.18 one whose threshold is near the size of its pool asks for ever. */
static void
kernel_is_listened_to_a_second_after_a_feed_with_credit(void **unused)
{
	(void)unused;
	rig.results[0] = rig.results[1] = 0;
	rig.wait_ends[1] = TRIGGER_KERNEL;
	assert_int_equal(run_agent(), FEED_EXIT_KERNEL);
	assert_int_equal(rig.feeds, 3);
	assert_int_equal(rig.waited[0].ms, 1000);
	assert_false(rig.waited[0].kernel);
	assert_about(rig.waited[0].ms + rig.waited[1].ms, INTERVAL_MS);
	assert_true(rig.waited[1].kernel);
	assert_true(rig.fed[0].reseed);
	assert_false(rig.fed[1].reseed); /* one that asks takes it by itself */
	assert_true(rig.fed[2].reseed);
}

static void
kernel_that_got_no_credit_is_not_listened_to(void **unused)
{
	(void)unused;
	rig.server.trusted = false;
	rig.results[0] = 0;
	run_agent();
	assert_about(rig.waited[0].ms, INTERVAL_MS);
	assert_false(rig.waited[0].kernel);
	assert_int_equal(rig.feeds, 2);
}

static void
an_order_in_the_first_second_feeds_at_once(void **unused)
{
	(void)unused;
	rig.results[0] = 0;
	rig.wait_ends[0] = TRIGGER_ORDER;
	run_agent();
	assert_int_equal(rig.seeds, 0);
	assert_int_equal(rig.waits, 2); /* and the one after the failure that ends it */
	assert_int_equal(rig.feeds, 2);
	assert_true(rig.fed[1].reseed);
}

static void
a_seed_of_the_hosts_is_fed_beside_what_the_servers_give(void **unused)
{
	(void)unused;
	rig.results[0] = 0;
	rig.wait_ends[0] = TRIGGER_SEED;
	run_agent();
	assert_int_equal(rig.seeds, 1);
	assert_int_equal(rig.feeds, 2);
}

static void
pauses_after_failures_double_up_to_the_interval_and_begin_anew(void **unused)
{
	static const uint64_t pauses_ms[] = {1000, 2000, 4000, 8000, INTERVAL_MS, INTERVAL_MS};

	(void)unused;
	rig.fetches_failing = 6;
	rig.results[0] = 0;
	rig.results[1] = -EPERM;
	run_agent();
	for (size_t i = 0; i < 6; i++) {
		assert_about(rig.waited[i].ms, pauses_ms[i]);
		assert_false(rig.waited[i].kernel);
	}
	assert_int_equal(rig.fed[0].first, 7);
	assert_about(rig.waited[8].ms, 1000); /* 6 and 7 were of the feed between */
	assert_int_equal(rig.report.failures, 8);
	assert_int_equal(rig.report.feeds, 1);
	assert_int_equal(rig.reports, 9);
}

static void
an_urge_after_a_failure_begins_the_pauses_anew(void **unused)
{
	(void)unused;
	rig.fetches_failing = 5;
	rig.wait_ends[2] = TRIGGER_CLONED;
	run_agent();
	assert_about(rig.waited[2].ms, 4000);
	assert_about(rig.waited[3].ms, 1000);
	assert_about(rig.waited[4].ms, 2000);
}

/* ---- what is said ---- */

static void
a_change_of_what_the_kernel_answers_is_said_once(void **unused)
{
	static const int results[] = {0, 0, -EPERM, -EPERM, -ENODEV, 0, 0};
	int before = log_lines_begin();

	(void)unused;
	memcpy(rig.results, results, sizeof(results));
	run_agent();
	assert_int_equal(log_lines_count("with 64 bytes and a credit of 448 bits; it is ready"), 2);
	assert_int_equal(log_lines_count("Operation not permitted: CAP_SYS_ADMIN is needed"), 1);
	assert_int_equal(log_lines_count("CAP_SYS_ADMIN"), 1);
	assert_int_equal(log_lines_count("No such device"), 1);
	log_lines_end(before);
}

static void
a_file_of_figures_that_cannot_be_written_is_said_once(void **unused)
{
	int before = log_lines_begin();

	(void)unused;
	rig.results[0] = rig.results[1] = 0;
	run_agent();
	assert_int_equal(log_lines_count("figures: "), 0);
	set_up(NULL);
	rig.results[0] = rig.results[1] = 0;
	rig.report_result = -ENOSPC;
	run_agent();
	assert_int_equal(rig.reports, 3);
	assert_int_equal(log_lines_count("figures: No space left on device"), 1);
	log_lines_end(before);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_feed_has_what_the_server_gave_and_its_credit),
		TEST(bytes_of_a_server_that_is_not_trusted_get_no_credit),
		TEST(one_feed_that_fails_says_at_which_end),
		TEST(bytes_that_were_under_way_to_a_clone_are_neither_fed_nor_credited),
		TEST(kernel_is_listened_to_a_second_after_a_feed_with_credit),
		TEST(kernel_that_got_no_credit_is_not_listened_to),
		TEST(an_order_in_the_first_second_feeds_at_once),
		TEST(a_seed_of_the_hosts_is_fed_beside_what_the_servers_give),
		TEST(pauses_after_failures_double_up_to_the_interval_and_begin_anew),
		TEST(an_urge_after_a_failure_begins_the_pauses_anew),
		TEST(a_change_of_what_the_kernel_answers_is_said_once),
		TEST(a_file_of_figures_that_cannot_be_written_is_said_once),
	};

	return cmocka_run_group_tests_name("feed_agent", tests, NULL, NULL);
}
