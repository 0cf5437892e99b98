/* SPDX-License-Identifier: MIT */
#include "daemon/retry.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/log.h"

#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000

bool
retry_init(struct retry *r, struct event_base *base, event_callback_fn again, void *arg)
{
	r->event = evtimer_new(base, again, arg);
	return r->event != NULL;
}

void
retry_later(struct retry *r)
{
	struct timeval wait;

	r->wait_ms = (unsigned)clock_longer_wait(r->wait_ms, WAIT_MIN_MS, WAIT_MAX_MS);
	wait = clock_timeval(r->wait_ms);
	if (event_add(r->event, &wait) != 0)
		return;
	r->at_ms = clock_now_ms() + r->wait_ms;
	log_warn("parts that could not be started are tried again in %u s", r->wait_ms / 1000);
}

void
retry_reset(struct retry *r)
{
	r->wait_ms = 0;
	event_del(r->event);
}

const char *
retry_text(const struct retry *r, char ret[static RETRY_TEXT_MAX])
{
	uint64_t now_ms = clock_now_ms();

	if (!event_pending(r->event, EV_TIMEOUT, NULL))
		return RETRY_NEVER;
	snprintf(ret, RETRY_TEXT_MAX, "waiting, next try in %u s",
		 r->at_ms > now_ms ? (unsigned)((r->at_ms - now_ms + 999) / 1000) : 0);
	return ret;
}

void
retry_finish(struct retry *r)
{
	if (r->event != NULL)
		event_free(r->event);
	r->event = NULL;
}
