/* SPDX-License-Identifier: MIT */
/* ekey-feed, the guest's agent: feeds the kernel's generator with bytes of an EGD server. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "egd/feed/agent.h"
#include "egd/feed/options.h"
#include "egd/feed/report.h"
#include "egd/feed/seed.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/priv/rng_helper.h"
#include "lib/priv/sandbox.h"
#include "lib/secret.h"
#include "lib/tls/memory.h"
#include "lib/version.h"

#define ASK_EVERY_MS 200

/* Opens closed standard fds, so that no other file takes their place and gets the log. */
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

/* Polls, because a blocking read makes some kernels generate entropy from timing. */
static int
wait_seeded(uint64_t patience_ms)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	uint64_t started_ms = clock_now_ms();

	while (!priv_random_ready()) {
		if (clock_now_ms() - started_ms >= patience_ms) {
			fprintf(stderr,
				"ekey-feed: timeout: the kernel's generator is not ready yet\n");
			return FEED_EXIT_TIMED_OUT;
		}
		nanosleep(&pause, NULL);
	}
	return FEED_EXIT_OK;
}

static void
give_up_privileges(void)
{
	int result = capability_keep_only(CAPABILITY_NONE);

	if (result < 0)
		log_warn("cannot give up capabilities: %s: the unit must allow capset",
			 strerror(-result));
}

/* Starts the helper, which keeps the one capability, before it is given up here. */
static bool
start_helper(struct helper *ret)
{
	int result = helper_start(ret, &rng_helper_role, NULL, NULL);

	signal(SIGPIPE, SIG_IGN);
	if (result < 0)
		log_err("cannot start %s: %s", rng_helper_role.name, strerror(-result));
	return result == 0;
}

static int
run_by_the_clock(const struct options *options, struct upstreams *upstreams, struct helper *rng)
{
	struct triggers triggers;
	int result = triggers_open(&triggers);

	if (result < 0) {
		log_err("cannot wait for signals: %s", strerror(-result));
		return FEED_EXIT_KERNEL;
	}
	give_up_privileges();
	result = agent_run(options, upstreams, rng, &triggers);
	triggers_close(&triggers);
	return result;
}

/* Files that only root may read are opened before privileges are given up. */
static int
run_agent(const struct options *options)
{
	struct upstreams upstreams;
	struct helper rng;
	int result;

	log_open();
	if (!start_helper(&rng))
		return FEED_EXIT_KERNEL;
	if (options->mode == MODE_FEED)
		log_info("ekey-feed %s: %u bytes every %" PRIu64 " s; trusted servers get a credit"
			 " of %u bits per byte",
			 VERSION, options->bytes, options->interval_ms / 1000, options->credit);
	if (!upstreams_init(&upstreams, options)) {
		result = FEED_EXIT_USAGE;
	} else if (options->mode == MODE_FEED) {
		result = run_by_the_clock(options, &upstreams, &rng);
	} else {
		give_up_privileges();
		result = agent_run(options, &upstreams, &rng, NULL);
	}
	upstreams_finish(&upstreams);
	return result;
}

/* The device of xenstore is open to root, whose user this still is. */
static int
run_seed(const struct options *options)
{
	struct helper rng;

	if (!start_helper(&rng))
		return FEED_EXIT_KERNEL;
	give_up_privileges();
	return seed_feed(options, &rng);
}

/* Needs no privilege. */
static int
run_check(const struct options *options)
{
	struct upstreams upstreams;
	int result;

	signal(SIGPIPE, SIG_IGN);
	if (!upstreams_init(&upstreams, options))
		return FEED_EXIT_USAGE;
	result = upstreams_check(&upstreams);
	upstreams_finish(&upstreams);
	return result;
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
