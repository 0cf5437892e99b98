/* SPDX-License-Identifier: MIT */
/* ekey-feed: the guest's agent. Asks an EGD server for entropy and feeds the kernel's generator. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "crypto/memory.h"
#include "guest/agent.h"
#include "guest/check.h"
#include "guest/exit.h"
#include "guest/options.h"
#include "guest/report.h"
#include "guest/seed.h"
#include "priv/capability.h"
#include "priv/random.h"
#include "priv/rng_helper.h"

#define ASK_EVERY_MS 200

/* Else what we open first takes the place of a closed stderr, and the log is written into it. */
static void
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Asked again and again: a read that waits makes some kernels look for entropy elsewhere. */
static int
wait_seeded(uint64_t patience_ms)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	uint64_t started_ms = clock_now_ms();

	while (!priv_random_ready()) {
		if (clock_now_ms() - started_ms >= patience_ms) {
			fprintf(stderr, "ekey-feed: the kernel's generator is not ready yet\n");
			return FEED_EXIT_TIMED_OUT;
		}
		nanosleep(&pause, NULL);
	}
	return FEED_EXIT_OK;
}

static void
say_start(const struct options *options)
{
	log_info("ekey-feed %s: %zu bytes every %" PRIu64 " s, credit %u bits per byte of those who"
		 " are trusted",
		 VERSION, options->bytes, options->interval_ms / 1000, options->credit);
}

static void
give_up_privileges(void)
{
	int result = capability_keep_only(CAPABILITY_NONE);

	if (result < 0)
		log_warn("cannot give up capabilities: %s: the unit must allow capset",
			 strerror(-result));
}

static int
feed_for_ever(const struct options *options, struct upstreams *upstreams, struct helper *rng)
{
	struct urges urges;
	int result = urges_open(&urges);

	if (result < 0) {
		log_err("cannot listen to signals: %s", strerror(-result));
		return FEED_EXIT_KERNEL;
	}
	give_up_privileges();
	result = agent_run(options, upstreams, rng, &urges);
	urges_close(&urges);
	return result;
}

static int
feed_once(const struct options *options, struct upstreams *upstreams, struct helper *rng)
{
	give_up_privileges();
	return agent_run(options, upstreams, rng, NULL);
}

/* Starts the helper before our capabilities are given up. */
static bool
start_helper(struct helper *ret)
{
	int result = helper_start(ret, &rng_helper_role, NULL, NULL);

	if (result < 0)
		log_err("cannot start %s: %s", rng_helper_role.name, strerror(-result));
	return result == 0;
}

/*
 * The helper has our one privilege from then on: what talks to the network needs none. What only
 * root may read is opened before it is given up.
 */
static int
run_agent(const struct options *options)
{
	struct upstreams upstreams;
	int result = FEED_EXIT_USAGE;
	struct helper rng;

	log_open();
	if (!start_helper(&rng))
		return FEED_EXIT_KERNEL;
	signal(SIGPIPE, SIG_IGN);
	if (options->mode == MODE_FEED)
		say_start(options);
	if (upstreams_init(&upstreams, options))
		result = options->mode == MODE_FEED ? feed_for_ever(options, &upstreams, &rng)
						    : feed_once(options, &upstreams, &rng);
	upstreams_finish(&upstreams);
	return result;
}

/* The store's device is root's, whose we still are. */
static int
run_seed(const struct options *options)
{
	struct helper rng;

	if (!start_helper(&rng))
		return FEED_EXIT_KERNEL;
	signal(SIGPIPE, SIG_IGN);
	give_up_privileges();
	return seed_feed(options, &rng);
}

/* Without a privilege, and whoever asks. */
static int
run_check(const struct options *options)
{
	struct upstreams upstreams;

	signal(SIGPIPE, SIG_IGN);
	if (!upstreams_init(&upstreams, options))
		return FEED_EXIT_USAGE;
	return check_run(&upstreams);
}

int
main(int argc, char **argv)
{
	struct options options;
	static const struct helper_role *const roles[] = {&rng_helper_role, NULL};
	int result;

	helper_main(roles, argv);
	(void)crypto_wipe_memory();
	open_standard_fds();
	secret_shield();
	if (!options_parse(argc, argv, &options, &result))
		return result;
	switch (options.mode) {
	case MODE_WAIT_SEEDED:
		return wait_seeded(options.patience_ms);
	case MODE_XEN_SEED:
		return run_seed(&options);
	case MODE_CHECK:
		return run_check(&options);
	case MODE_STATUS:
		return report_show(options.textfile != NULL ? options.textfile : FEED_TEXTFILE);
	case MODE_FEED:
	case MODE_ONCE:
		break;
	}
	return run_agent(&options);
}
