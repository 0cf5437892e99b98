/* SPDX-License-Identifier: MIT */
#include "daemon/parts.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/devices.h"
#include "daemon/haproxy.h"
#include "daemon/listens.h"

#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	parts_start(arg);
}

void
parts_start_later(struct daemon *d)
{
	struct timeval wait;

	if (d->retry == NULL)
		d->retry = evtimer_new(d->base, on_retry, d);
	d->retry_wait_ms = d->retry_wait_ms == 0 ? WAIT_MIN_MS : d->retry_wait_ms * 2;
	if (d->retry_wait_ms > WAIT_MAX_MS)
		d->retry_wait_ms = WAIT_MAX_MS;
	wait = (struct timeval){.tv_sec = d->retry_wait_ms / 1000};
	if (d->retry == NULL || event_add(d->retry, &wait) != 0)
		return;
	d->retry_at_ms = clock_now_ms() + d->retry_wait_ms;
	log_warn("what could not be started is tried again in %u s", d->retry_wait_ms / 1000);
}

void
parts_start(struct daemon *d)
{
	bool devices = devices_start(d), tls = tls_process_start(d);
	bool listens = listens_start(d), agent = haproxy_start(d);

	if (!devices || !tls || !listens || !agent) {
		parts_start_later(d);
		return;
	}
	d->retry_wait_ms = 0;
	if (d->retry != NULL)
		event_del(d->retry);
}

const char *
parts_waiting_text(const struct daemon *d, char ret[static PARTS_TEXT_MAX])
{
	uint64_t now_ms = clock_now_ms();
	bool pending = d->retry != NULL && event_pending(d->retry, EV_TIMEOUT, NULL);

	if (!pending)
		return "not tried again before a reload or restart";
	snprintf(ret, PARTS_TEXT_MAX, "waiting, next try in %u s",
		 d->retry_at_ms > now_ms ? (unsigned)((d->retry_at_ms - now_ms + 999) / 1000) : 0);
	return ret;
}

void
parts_stop(struct daemon *d)
{
	if (d->retry != NULL)
		event_free(d->retry);
	d->retry = NULL;
}
