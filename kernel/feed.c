/* SPDX-License-Identifier: MIT */
#include "kernel/feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "pool/client.h"
#include "priv/random.h"
#include "priv/rng_helper.h"

enum step {
	STEP_RESTING,   /* after a feed, or after a failure */
	STEP_LISTENING, /* until the kernel asks, or the interval is over */
	STEP_WAITING,   /* for bytes of the pool */
	STEP_HANDING,   /* the helper has them */
	STEP_SPARING,   /* without credit: until the pool has more than its reserve */
};

struct kernel_feed {
	struct kernel_env env;
	struct kernel_config config;
	int random;       /* to listen and to mix; -errno: neither */
	int credit_error; /* why bytes are mixed without credit: 0 or -errno of the last try */
	enum step step;
	struct event *rested, *asked, *answered;
	struct pool_handle handle;
	struct pool_account account;
	struct pool_waiter *waiter; /* while STEP_WAITING */
	/* The feed that is under way, or was the last. */
	bool reseed;
	bool again; /* another feed follows at once: the last had no effect, or was of before a
		       clone */
	size_t len;
	unsigned bits;
	int error;
	uint64_t spare_ms; /* delay until the level of the pool is looked at again */
	uint64_t feeds, failures, credited_bits, last_ms;
	uint64_t mixed, not_mixed, mix_since_ms;
	size_t mix_left; /* bytes, in the second that began at mix_since_ms */
};

static void
add_for_ms(struct event *event, uint64_t ms)
{
	const struct timeval time = clock_timeval(ms);

	event_add(event, &time);
}

/* Returns whether the next feed is the helper's, with credit. */
static bool
credits(const struct kernel_feed *f)
{
	return f->config.credit && f->env.rng->fd >= 0 && f->credit_error == 0;
}

/* ---- one feed is over ---- */

static const char *
cure(int error)
{
	switch (-error) {
	case ENOENT:
	case ENODEV:
	case EACCES:
		return ": /dev/random is missing here, or is not the kernel's";
	default:
		return "";
	}
}

/* Logs a line when feeds begin to fail, fail otherwise, or work. */
static void
note_result(struct kernel_feed *f, int result)
{
	char credit[48] = "no credit";

	if (f->bits > 0)
		snprintf(credit, sizeof(credit), "a credit of %u bits", f->bits);
	if (result < 0 && result != f->error)
		log_err("kernel: cannot feed the random generator: %s%s", strerror(-result),
			cure(result));
	else if (result == 0 && (f->error < 0 || f->feeds == 1))
		log_info("kernel: fed the random generator with %zu bytes and %s; it is %sready",
			 f->len, credit, priv_random_ready() ? "" : "not ");
	f->error = result;
}

/* From here on bytes are mixed without credit. */
static void
lose_credit(struct kernel_feed *f, int error)
{
	log_warn("kernel: %s; mixing without credit",
		 error == -EPERM       ? "RNDADDENTROPY is not permitted: credit = yes needs"
					 " CAP_SYS_ADMIN outside a container: install what `ekeyctl"
					 " unit` prints"
		 : error == -ETIMEDOUT ? "the process ekey-rng does not answer: restart the daemon"
				       : "the process ekey-rng has ended: restart the daemon");
	f->credit_error = f->error = error;
	f->again = true;
	event_del(f->answered);
	if (error != -EPERM)
		helper_stop(f->env.rng);
	if (f->waiter != NULL)
		pool_waiter_done(f->env.pool, f->waiter, false);
	f->waiter = NULL;
}

/* A kernel that was given no credit goes on asking: it is not listened to. */
static void
rest(struct kernel_feed *f)
{
	bool listen = f->error == 0 && f->bits > 0;

	f->step = STEP_RESTING;
	event_del(f->asked);
	add_for_ms(f->rested, f->again ? 0 : listen ? KERNEL_PACE_MS : f->config.interval_ms);
}

static void
finish(struct kernel_feed *f, int result)
{
	if (result == 0) {
		f->feeds++;
		f->credited_bits += f->bits;
		f->last_ms = clock_now_ms();
	} else {
		f->failures++;
		pool_delivery_failed(f->env.pool, &f->handle, f->len);
	}
	if (credits(f) && (result == -EPERM || result == -EPIPE || result == -ETIMEDOUT))
		lose_credit(f, result);
	else
		note_result(f, result);
	f->len = 0;
	rest(f);
}

static void
on_answered(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_feed *f = arg;
	int result = rng_helper_answer(f->env.rng);

	(void)fd, (void)what;
	if (result == -EAGAIN)
		return;
	if (f->step == STEP_HANDING || result == -EPIPE)
		finish(f, result);
}

/* ---- one feed ---- */

static void
hand_over(struct kernel_feed *f, const uint8_t *bytes, size_t len)
{
	int result;

	f->len = len;
	f->bits = (unsigned)len * f->env.credit(f->env.arg);
	f->step = STEP_HANDING;
	add_for_ms(f->rested, f->env.rng->role->timeout_s * UINT64_C(1000));
	result = rng_helper_feed(f->env.rng, bytes, len, f->bits, f->reseed);
	if (result < 0)
		finish(f, result);
}

static void
on_bytes(struct pool_waiter *waiter, void *arg)
{
	struct kernel_feed *f = arg;
	uint8_t bytes[KERNEL_BYTES_MAX];
	const uint8_t *gathered;
	size_t len;

	gathered = pool_waiter_bytes(waiter, &len);
	memcpy(bytes, gathered, len);
	f->waiter = NULL;
	pool_waiter_done(f->env.pool, waiter, true);
	hand_over(f, bytes, len);
	secret_wipe(bytes, sizeof(bytes));
}

static void
take_now(struct kernel_feed *f)
{
	uint8_t bytes[KERNEL_BYTES_MAX];
	size_t len = pool_take(f->env.pool, &f->handle, bytes, f->config.bytes);

	hand_over(f, bytes, len);
	secret_wipe(bytes, sizeof(bytes));
}

/* Takes only what is above the reserve and what no reader waits for. */
static void
mix_surplus(struct kernel_feed *f)
{
	uint64_t interval_ms = f->config.interval_ms;
	uint8_t bytes[KERNEL_BYTES_MAX];
	int result = f->random;

	if (pool_is_wanted(f->env.pool) || pool_level(f->env.pool) < f->config.bytes) {
		f->step = STEP_SPARING;
		add_for_ms(f->rested, f->spare_ms < interval_ms ? f->spare_ms : interval_ms);
		f->spare_ms += f->spare_ms < interval_ms ? f->spare_ms : 0;
		return;
	}
	f->spare_ms = KERNEL_PACE_MS;
	f->bits = 0;
	if (result >= 0) {
		f->len = pool_take(f->env.pool, &f->handle, bytes, f->config.bytes);
		result = priv_random_mix(f->random, bytes, f->len);
		secret_wipe(bytes, sizeof(bytes));
	}
	finish(f, result);
}

/* A generator that asks takes what it is given by itself: it has to be made to only when not. */
static void
begin(struct kernel_feed *f, bool reseed)
{
	f->reseed = reseed;
	f->again = false;
	if (!credits(f)) {
		mix_surplus(f);
		return;
	}
	if (pool_ready(f->env.pool, &f->handle) >= f->config.bytes) {
		take_now(f);
		return;
	}
	f->step = STEP_WAITING;
	f->waiter = pool_wait(f->env.pool, &f->handle, f->config.bytes, on_bytes, f);
	if (f->waiter == NULL)
		finish(f, -ENOBUFS);
}

static void
on_asked(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	begin(arg, (what & EV_TIMEOUT) != 0);
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_feed *f = arg;

	(void)fd, (void)what;
	if (f->step == STEP_HANDING) {
		finish(f, -ETIMEDOUT);
		return;
	}
	if (!credits(f) || f->error < 0 || f->bits == 0 || f->again) {
		begin(f, true);
		return;
	}
	f->step = STEP_LISTENING;
	add_for_ms(f->asked, f->config.interval_ms - KERNEL_PACE_MS);
}

/* ---- the whole ---- */

static bool
open_parts(struct kernel_feed *f)
{
	static const struct pool_client client = {
		.kind = IDENTITY_KERNEL, .weight = 1, .whole = true, .reserve = true};

	f->random = priv_open_random();
	f->rested = evtimer_new(f->env.base, on_rested, f);
	f->asked = event_new(f->env.base, f->random, f->random >= 0 ? EV_WRITE : 0, on_asked, f);
	f->answered = event_new(f->env.base, f->env.rng->fd, EV_READ | EV_PERSIST, on_answered, f);
	return f->rested != NULL && f->asked != NULL && f->answered != NULL &&
	       (!credits(f) || event_add(f->answered, NULL) == 0) &&
	       pool_handle_open(f->env.pool, &f->handle, &f->account, &client);
}

static void
close_parts(struct kernel_feed *f)
{
	struct event *events[] = {f->rested, f->asked, f->answered};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (f->random >= 0)
		close(f->random);
	free(f);
}

struct kernel_feed *
kernel_feed_new(const struct kernel_env *env, const struct kernel_config *config)
{
	struct kernel_feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->env = *env;
	f->config = *config;
	f->spare_ms = KERNEL_PACE_MS;
	if (!open_parts(f)) {
		close_parts(f);
		return NULL;
	}
	begin(f, true);
	return f;
}

void
kernel_feed_free(struct kernel_feed **feed)
{
	if (*feed == NULL)
		return;
	pool_handle_close((*feed)->env.pool, &(*feed)->handle);
	close_parts(*feed);
	*feed = NULL;
}

void
kernel_feed_now(struct kernel_feed *f)
{
	f->again = f->step == STEP_HANDING;
	f->reseed = f->reseed || f->step == STEP_WAITING;
	if (f->step == STEP_HANDING || f->step == STEP_WAITING)
		return;
	event_del(f->rested);
	event_del(f->asked);
	begin(f, true);
}

/* One that waits for more bytes than are wanted now has the old measure once more. */
void
kernel_feed_configure(struct kernel_feed *feed, const struct kernel_config *config)
{
	feed->config = *config;
}

/* ---- without credit ---- */

void
kernel_mix(struct kernel_feed *f, const uint8_t *bytes, size_t len)
{
	uint64_t now_ms = clock_now_ms();
	size_t n;

	if (now_ms - f->mix_since_ms >= 1000) {
		f->mix_since_ms = now_ms;
		f->mix_left = KERNEL_MIX_MAX;
	}
	n = len < f->mix_left ? len : f->mix_left;
	f->mix_left -= n;
	if (n > 0 && priv_random_mix(f->random, bytes, n) < 0)
		n = 0;
	f->mixed += n;
	f->not_mixed += len - n;
}

/* ---- status ---- */

static const char *
state_text(const struct kernel_feed *f)
{
	switch (f->step) {
	case STEP_WAITING:
		return "waiting for bytes";
	case STEP_HANDING:
		return "handing over";
	case STEP_SPARING:
		return "waiting: the pool has no more than its reserve";
	case STEP_RESTING:
	case STEP_LISTENING:
		break;
	}
	return f->error < 0 ? "failed, will try again" : credits(f) ? "fed" : "fed without credit";
}

static const char *
credit_text(const struct kernel_feed *f)
{
	if (!f->config.credit)
		return "not asked for";
	if (f->credit_error == -EPERM)
		return "none: CAP_SYS_ADMIN is missing";
	if (f->credit_error < 0)
		return "none: its process has ended";
	return f->env.rng->fd < 0 ? "none: needs a restart of the daemon" : "given";
}

void
kernel_feed_status(const struct kernel_feed *f, struct kernel_status *ret)
{
	*ret = (struct kernel_status){.state = state_text(f),
				      .credit = credit_text(f),
				      .account = f->account,
				      .feeds = f->feeds,
				      .failures = f->failures,
				      .credited_bits = f->credited_bits,
				      .last_ms = f->last_ms,
				      .error = f->error,
				      .mixed = f->mixed,
				      .not_mixed = f->not_mixed,
				      .ready = priv_random_ready(),
				      .level_bits = priv_random_level(f->random)};
}
