/* SPDX-License-Identifier: MIT */
#include "daemon/kernel_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/priv/rng_helper.h"
#include "lib/secret.h"
#include "pool/client.h"

enum step {
	STEP_RESTING,   /* after a feed, or after a failure */
	STEP_LISTENING, /* until the kernel asks, or the interval is over */
	STEP_WAITING,   /* for bytes of the pool */
	STEP_HANDING,   /* the helper has the bytes */
	STEP_SPARING,   /* without credit: until the pool has more than its reserve */
};

struct kernel_feed {
	struct kernel_env env;
	struct kernel_config config;
	struct kernel_status status; /* its counters, account and error */
	int random;                  /* /dev/random, to poll and to mix, or -errno */
	int credit_error;            /* -errno: bytes are mixed without credit since this error */
	enum step step;
	struct event *rested, *asked, *answered;
	struct pool_handle handle;
	struct pool_waiter *waiter; /* while STEP_WAITING */
	/* The current feed, or the last one. */
	bool reseed;
	bool again; /* feed again at once: the last had no effect, or its bytes are a clone's too */
	size_t len;
	unsigned bits;
	uint64_t spare_ms; /* delay until the level of the pool is looked at again */
	uint64_t mix_since_ms;
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

/* ---- the end of a feed ---- */

/* Logs a line when feeds begin to fail, fail otherwise, or work. */
static void
note_result(struct kernel_feed *f, int result)
{
	char credit[48] = "no credit";

	if (f->bits > 0)
		snprintf(credit, sizeof(credit), "a credit of %u bits", f->bits);
	if (result < 0 && result != f->status.error)
		log_err("kernel: cannot feed the random generator: %s%s", strerror(-result),
			result == -ENOENT || result == -ENODEV || result == -EACCES
				? ": /dev/random is missing here, or is not the kernel's"
				: "");
	else if (result == 0 && (f->status.error < 0 || f->status.feeds == 1))
		log_info("kernel: fed the random generator with %zu bytes and %s; it is %sready",
			 f->len, credit, priv_random_ready() ? "" : "not ");
	f->status.error = result;
}

/* Bytes are mixed without credit from now on. */
static void
lose_credit(struct kernel_feed *f, int error)
{
	log_warn("kernel: %s; mixing without credit",
		 error == -EPERM       ? "RNDADDENTROPY is not permitted: credit = yes needs"
					 " CAP_SYS_ADMIN outside a container: install what `ekeyctl"
					 " unit` prints"
		 : error == -ETIMEDOUT ? "the process ekey-rng does not answer: restart the daemon"
				       : "the process ekey-rng has ended: restart the daemon");
	f->credit_error = f->status.error = error;
	f->again = true;
	event_del(f->answered);
	if (error != -EPERM)
		helper_stop(f->env.rng);
	if (f->waiter != NULL)
		pool_waiter_done(f->env.pool, f->waiter, false);
	f->waiter = NULL;
}

/* A kernel that was given no credit asks without end, so that only the clock counts then. */
static void
finish(struct kernel_feed *f, int result)
{
	bool listen = result == 0 && f->bits > 0;

	if (result == 0) {
		f->status.feeds++;
		f->status.credited_bits += f->bits;
		f->status.last_ms = clock_now_ms();
	} else {
		f->status.failures++;
		pool_delivery_failed(f->env.pool, &f->handle, f->len);
	}
	if (credits(f) && (result == -EPERM || result == -EPIPE || result == -ETIMEDOUT))
		lose_credit(f, result);
	else
		note_result(f, result);
	f->len = 0;
	f->step = STEP_RESTING;
	event_del(f->asked);
	add_for_ms(f->rested, f->again ? 0 : listen ? KERNEL_PACE_MS : f->config.interval_ms);
}

static void
on_answered(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_feed *f = arg;
	int result = rng_helper_answer(f->env.rng);

	(void)fd, (void)what;
	if (result != -EAGAIN && (f->step == STEP_HANDING || result == -EPIPE))
		finish(f, result);
}

/* ---- a feed ---- */

/* Gives the bytes to the helper, or mixes them without credit. */
static void
feed(struct kernel_feed *f, const uint8_t *bytes, size_t len)
{
	bool credit = credits(f);
	int result;

	f->len = len;
	f->bits = credit ? (unsigned)len * f->env.credit(f->env.arg) : 0;
	if (credit) {
		f->step = STEP_HANDING;
		add_for_ms(f->rested, f->env.rng->role->timeout_s * UINT64_C(1000));
		result = rng_helper_feed(f->env.rng, bytes, len, f->bits, f->reseed);
	} else {
		result = priv_random_mix(f->random, bytes, len);
	}
	if (!credit || result < 0)
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
	pool_waiter_done(f->env.pool, waiter, true); /* counts them, before they can be lost */
	feed(f, bytes, len);
	secret_wipe(bytes, sizeof(bytes));
}

/* Looks at the pool's level again later. */
static void
spare(struct kernel_feed *f)
{
	uint64_t interval_ms = f->config.interval_ms;

	f->step = STEP_SPARING;
	add_for_ms(f->rested, f->spare_ms < interval_ms ? f->spare_ms : interval_ms);
	f->spare_ms += f->spare_ms < interval_ms ? f->spare_ms : 0;
}

/*
 * With credit waits for bytes; without takes only bytes above the reserve that no reader waits for.
 * `reseed`: the kernel did not ask, so that its generator takes the bytes only when ordered to.
 */
static void
begin(struct kernel_feed *f, bool reseed)
{
	struct pool *pool = f->env.pool;
	uint8_t bytes[KERNEL_BYTES_MAX];
	size_t wanted = f->config.bytes;

	f->reseed = reseed;
	f->again = false;
	if (credits(f) && pool_ready(pool, &f->handle) < wanted) {
		f->step = STEP_WAITING;
		f->waiter = pool_wait(pool, &f->handle, wanted, on_bytes, f);
		if (f->waiter == NULL)
			finish(f, -ENOBUFS);
	} else if (!credits(f) && (pool_is_wanted(pool) || pool_level(pool) < wanted)) {
		spare(f);
	} else if (!credits(f) && f->random < 0) {
		finish(f, f->random);
	} else {
		f->spare_ms = KERNEL_PACE_MS;
		feed(f, bytes, pool_take(pool, &f->handle, bytes, wanted));
		secret_wipe(bytes, sizeof(bytes));
	}
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
	} else if (!credits(f) || f->status.error < 0 || f->bits == 0 || f->again) {
		begin(f, true);
	} else {
		f->step = STEP_LISTENING;
		add_for_ms(f->asked, f->config.interval_ms - KERNEL_PACE_MS);
	}
}

/* ---- life ---- */

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
	       pool_handle_open(f->env.pool, &f->handle, &f->status.account, &client);
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

/* A feed that waits for bytes keeps its size. */
void
kernel_feed_configure(struct kernel_feed *feed, const struct kernel_config *config)
{
	feed->config = *config;
}

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
	f->status.mixed += n;
	f->status.not_mixed += len - n;
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
	return f->status.error < 0 ? "failed, will try again"
	       : credits(f)        ? "fed"
				   : "fed without credit";
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
	*ret = f->status;
	ret->state = state_text(f);
	ret->credit = credit_text(f);
	ret->ready = priv_random_ready();
	ret->level_bits = priv_random_level(f->random);
}
