/* SPDX-License-Identifier: MIT */
#include "backend/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/net.h"
#include "priv/resolver.h"

struct dial {
	struct event_base *base;
	struct dial_events events;
	struct address_host host;
	struct resolved found;
	struct helper lookup;
	size_t next;         /* of found.at: to be tried */
	int fd;              /* of a connection that we wait for; -1: none */
	struct event *event; /* on it */
	int error;           /* of the last try */
	char why[ADDRESS_HOST_MAX + 128];
};

static void dial_next(struct dial *d);

/* Waits for `fd`, or, without one, for the loop's next turn. */
static bool
dial_wait(struct dial *d, int fd, short what, event_callback_fn fn, time_t wait_s)
{
	const struct timeval wait = {.tv_sec = wait_s};

	d->event = event_new(d->base, fd, what, fn, d);
	return d->event != NULL && event_add(d->event, &wait) == 0;
}

static void
dial_unwait(struct dial *d)
{
	if (d->event != NULL)
		event_free(d->event);
	d->event = NULL;
}

static void
dial_hang_up(struct dial *d)
{
	dial_unwait(d);
	helper_stop(&d->lookup);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* ---- connecting ---- */

static void
dial_note(struct dial *d, int error)
{
	char text[ADDRESS_TEXT_MAX];

	address_text(&d->found.at[d->next - 1], text);
	d->error = error;
	snprintf(d->why, sizeof(d->why), "%s: %s", text, strerror(error));
}

static void
dial_on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	int error = (what & EV_TIMEOUT) != 0 ? ETIMEDOUT : -net_connected(fd);

	if (error != 0) {
		dial_note(d, error);
		dial_hang_up(d);
		dial_next(d);
		return;
	}
	dial_unwait(d);
	d->fd = -1;
	d->events.connected(d->events.arg, fd);
}

/* An address that the kernel refuses at once, of a family that it has not, is only passed over. */
static void
dial_next(struct dial *d)
{
	while (d->next < d->found.count) {
		d->fd = net_connect(&d->found.at[d->next++]);
		if (d->fd >= 0 && dial_wait(d, d->fd, EV_WRITE, dial_on_connected, DIAL_WAIT_S))
			return;
		dial_note(d, d->fd >= 0 ? ENOMEM : -d->fd);
		dial_hang_up(d);
	}
	d->events.failed(d->events.arg, d->error, d->why);
}

/* ---- the address ---- */

static void
dial_fail(struct dial *d, int error, const char *why)
{
	snprintf(d->why, sizeof(d->why), "%s: %s", d->host.host, why);
	d->events.failed(d->events.arg, error, d->why);
}

static void
dial_on_resolved(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	const char *why = resolver_result(&d->lookup, &d->found);

	(void)fd, (void)what;
	dial_unwait(d);
	if (why != NULL)
		dial_fail(d, EHOSTUNREACH, why);
	else
		dial_next(d);
}

static void
dial_on_start(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	int result;

	(void)fd, (void)what;
	dial_unwait(d);
	if (d->found.count > 0) {
		dial_next(d);
		return;
	}
	result = resolver_start(&d->lookup, &d->host);
	if (result == 0 &&
	    !dial_wait(d, d->lookup.fd, EV_READ, dial_on_resolved, resolver_role.timeout_s))
		result = -ENOMEM;
	if (result < 0)
		dial_fail(d, -result, strerror(-result));
}

/* ---- life ---- */

static struct dial *
dial_new(struct event_base *base, const struct dial_events *events)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->base = base;
	d->events = *events;
	d->fd = -1;
	d->lookup = HELPER_NONE;
	if (!dial_wait(d, -1, 0, dial_on_start, 0))
		dial_free(&d);
	return d;
}

struct dial *
dial_host(struct event_base *base, const struct address_host *host,
	  const struct dial_events *events)
{
	struct dial *d = dial_new(base, events);

	if (d == NULL)
		return NULL;
	d->host = *host;
	d->found.count = address_from_ip(host->host, host->port, &d->found.at[0]);
	return d;
}

struct dial *
dial_address(struct event_base *base, const struct address *address,
	     const struct dial_events *events)
{
	struct dial *d = dial_new(base, events);

	if (d == NULL)
		return NULL;
	d->found.at[0] = *address;
	d->found.count = 1;
	return d;
}

void
dial_free(struct dial **dial)
{
	struct dial *d = *dial;

	if (d == NULL)
		return;
	dial_hang_up(d);
	free(d);
	*dial = NULL;
}
