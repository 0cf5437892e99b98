/* SPDX-License-Identifier: MIT */
#include "daemon/clones.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/daemon.h"
#include "daemon/status_row.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * The shortest time between two renewals by news, so that news cannot keep the pool empty if
 * another process finds a way to cause it. News that comes before waits.
 */
#define FLOOR_S 2

static void
renew(struct daemon *d, const char *why, struct log_limit *limit)
{
	struct pool_totals before, after;
	unsigned closed;

	pool_totals(d->pool, &before);
	tls_process_renew(d); /* first: the connections that are closed next say no farewell */
	closed = parts_invalidate(d);
	if (d->control != NULL)
		closed += ctl_server_drop_secrets(d->control);
	pool_totals(d->pool, &after);
	d->renewals++;
	log_warn_limited(limit, 0, clock_now_ms(),
			 "%s: wiped %" PRIu64 " bytes, closed %u connections; all sources restart",
			 why, after.lost - before.lost, closed);
}

/* ---- when ---- */

static void
renew_by_news(struct daemon *d)
{
	const struct timeval floor = {.tv_sec = FLOOR_S};
	char why[128];

	snprintf(why, sizeof(why), "this machine %s", d->clone_text);
	d->clone_text = NULL;
	renew(d, why, &d->clone_limit);
	event_add(d->clone_floor, &floor);
}

/* Called at news, and when the shortest time is over. */
static void
on_news(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	const char *news = vm_clone_take(&d->cloned);

	(void)fd, (void)what;
	if (news != NULL)
		d->clone_text = news;
	if (d->clone_text != NULL && !event_pending(d->clone_floor, EV_TIMEOUT, NULL))
		renew_by_news(d);
}

const char *
clones_wipe(void *arg, const struct ctl_request *request)
{
	struct log_limit none = {0};

	(void)request;
	renew(arg, "by order", &none);
	return NULL;
}

/* ---- life ---- */

void
clones_prepare(struct daemon *d)
{
	vm_clone_open(&d->cloned);
}

bool
clones_start(struct daemon *d)
{
	vm_clone_log_lack(&d->cloned);
	if (vm_clone_fd(&d->cloned) < 0)
		return true;
	d->clone_news =
		event_new(d->base, vm_clone_fd(&d->cloned), EV_READ | EV_PERSIST, on_news, d);
	d->clone_floor = evtimer_new(d->base, on_news, d);
	return d->clone_news != NULL && d->clone_floor != NULL &&
	       event_add(d->clone_news, NULL) == 0;
}

void
clones_stop(struct daemon *d)
{
	if (d->clone_news != NULL)
		event_free(d->clone_news);
	if (d->clone_floor != NULL)
		event_free(d->clone_floor);
	d->clone_news = d->clone_floor = NULL;
	vm_clone_close(&d->cloned);
}

void
clones_status(const struct daemon *d, struct evbuffer *out)
{
	const struct status_subject s = {out, "daemon", ROW_ONLY_ONE};
	const char *lack = vm_clone_lack(&d->cloned);

	status_row_text(&s, "clones", lack == NULL ? "are noticed" : lack);
	status_row_number(&s, "renewals", d->renewals);
}
