/* SPDX-License-Identifier: MIT */
#include "egd/feed/agent.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "egd/egd_wire.h"
#include "egd/feed/report.h"
#include "egd/feed/seed.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/priv/rng_helper.h"
#include "lib/secret.h"

/*
 * The shortest time between two feeds: before Linux 5.18 a threshold near the size of the kernel's
 * pool makes it ask without end. Also the first pause after a failure; each next one is doubled.
 */
#define PACE_MS 1000

struct agent {
	const struct options *options;
	struct upstreams *upstreams;
	struct helper *rng;
	struct triggers *triggers;
	uint8_t *bytes;
	unsigned bits; /* credit of the last feed */
	int error;     /* of the kernel, at the last feed */
	int textfile_error;
	struct report report;
};

/* ---- one feed ---- */

/* Returns the cause of an error of the helper, beyond strerror(). */
static const char *
cause(int error)
{
	if (error == -EPERM)
		return ": CAP_SYS_ADMIN is needed, outside of a container";
	if (error == -EPIPE)
		return ": the helper ekey-rng has ended, and ekey-feed ends too";
	return "";
}

/* Logs a line when feeding begins to fail, fails otherwise, or works again. */
static void
note_kernel(struct agent *a, int result)
{
	if (result < 0 && result != a->error)
		log_err("cannot feed the kernel's random generator: %s%s", strerror(-result),
			cause(result));
	else if (result == 0 && (a->error < 0 || a->report.feeds == 1))
		log_info("fed the kernel's random generator with %u bytes and a credit of %u bits;"
			 " it is %sready",
			 a->options->bytes, a->bits, a->report.ready ? "" : "not ");
	a->error = result;
}

static void
count(struct agent *a, const struct channel_to *from, int result)
{
	struct report *r = &a->report;

	r->ready = priv_random_ready();
	if (result < 0) {
		r->failures++;
		return;
	}
	r->feeds++;
	r->fed_bytes += a->options->bytes;
	r->credited_bits += a->bits;
	r->last_feed_s = (uint64_t)time(NULL);
	r->upstream = from->address;
}

/*
 * Fetches once more when this machine was cloned meanwhile, because the clones may have received
 * the same bytes. Only once more: a feed must end, whatever the kernel logs.
 */
static const struct channel_to *
fetch(struct agent *a)
{
	const struct channel_to *from = upstreams_fetch(a->upstreams, a->bytes, a->options->bytes);

	if (a->triggers != NULL && triggers_cloned(a->triggers))
		from = upstreams_fetch(a->upstreams, a->bytes, a->options->bytes);
	return from;
}

static int
feed(struct agent *a, bool reseed)
{
	const struct channel_to *from = fetch(a);
	int result;

	if (from == NULL) {
		count(a, NULL, -EAGAIN);
		return a->upstreams->refused ? FEED_EXIT_REFUSED : FEED_EXIT_UPSTREAM;
	}
	a->bits = from->trusted ? a->options->bytes * a->options->credit : 0;
	result = rng_helper_feed_and_wait(a->rng, a->bytes, a->options->bytes, a->bits, reseed);
	secret_wipe(a->bytes, EGD_LEN_MAX);
	count(a, from, result);
	note_kernel(a, result);
	return result < 0 ? FEED_EXIT_KERNEL : FEED_EXIT_OK;
}

static void
write_report(struct agent *a)
{
	int result;

	if (a->options->textfile == NULL)
		return;
	result = report_write(&a->report, a->options->textfile);
	if (result < 0 && result != a->textfile_error)
		log_warn("%s: %s", a->options->textfile, strerror(-result));
	a->textfile_error = result;
}

/* ---- the clock ---- */

/*
 * Returns up to a tenth more or less, so that machines that started together do not stay in step.
 * The time is random enough for that, and the generator may not be ready.
 */
static uint64_t
spread(uint64_t ms)
{
	uint64_t chance = (clock_now_us() * 2654435761U + (uint64_t)getpid()) >> 8;

	return ms - ms / 10 + chance % (ms / 5 + 1);
}

/*
 * Waits, after a feed with credit also for the kernel to ask. Without credit it would ask all the
 * time.
 */
static enum trigger
wait_after_feed(struct agent *a)
{
	uint64_t ms = spread(a->options->interval_ms);
	enum trigger trigger;

	if (a->bits == 0 || ms <= PACE_MS)
		return triggers_wait(a->triggers, ms, false);
	trigger = triggers_wait(a->triggers, PACE_MS, false);
	return trigger != TRIGGER_NONE ? trigger : triggers_wait(a->triggers, ms - PACE_MS, true);
}

/*
 * Feeds until the helper has ended. A generator that has asked takes its bytes without a reseed.
 * The host's seed is fed in addition, for the servers may have no bytes now.
 */
static int
feed_by_the_clock(struct agent *a)
{
	uint64_t backoff_ms = PACE_MS;
	enum trigger trigger = TRIGGER_NONE;

	while (a->error != -EPIPE) {
		int result;

		if (trigger == TRIGGER_SEED)
			(void)seed_feed(a->options, a->rng);
		result = feed(a, trigger != TRIGGER_KERNEL);
		write_report(a);
		if (result == FEED_EXIT_OK) {
			backoff_ms = PACE_MS;
			trigger = wait_after_feed(a);
			continue;
		}
		trigger = triggers_wait(a->triggers, spread(backoff_ms), false);
		backoff_ms = clock_longer_wait(trigger != TRIGGER_NONE ? 0 : backoff_ms, PACE_MS,
					       a->options->interval_ms);
	}
	return FEED_EXIT_KERNEL;
}

int
agent_run(const struct options *options, struct upstreams *upstreams, struct helper *rng,
	  struct triggers *triggers)
{
	struct agent a = {.options = options,
			  .upstreams = upstreams,
			  .rng = rng,
			  .triggers = triggers,
			  .bytes = secret_new(EGD_LEN_MAX),
			  .report.interval_ms = options->interval_ms};
	int result;

	if (a.bytes == NULL) {
		log_err("no memory");
		return FEED_EXIT_KERNEL;
	}
	if (options->mode == MODE_FEED) {
		result = feed_by_the_clock(&a);
	} else {
		result = feed(&a, true);
		write_report(&a);
	}
	secret_free(a.bytes, EGD_LEN_MAX);
	return result;
}
