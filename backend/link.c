/* SPDX-License-Identifier: MIT */
#include "backend/link.h"

#include <stdio.h>
#include <string.h>

#include "backend/fd_transport.h"
#include "backend/usb_transport.h"
#include "base/log.h"

#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 30000
#define RETRY_BLIND_MAX_MS 2000 /* where nothing tells us that the path has appeared */

/* ---- kinds ---- */

/* Tried in this order: a bare path comes last. */
static const struct transport_kind *const kinds[] = {&transport_usb, &transport_unix,
						     &transport_tty};

static const struct transport_kind *
link_kind(const char *address)
{
	size_t i = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the last prefix, "", ends it. */
	while (strncmp(address, kinds[i]->prefix, strlen(kinds[i]->prefix)) != 0)
		i++;
	return kinds[i];
}

const char *
link_address_error(const char *address)
{
	const struct transport_kind *kind = link_kind(address);

	return kind->check(address + strlen(kind->prefix));
}

static const char *
link_error_text(const struct link *l, int error)
{
	const char *text = l->kind->error_text != NULL ? l->kind->error_text(error) : NULL;

	if (text != NULL)
		return text;
	return error == 0 ? "closed by the other side" : strerror(error);
}

/* ---- the log: each change once ---- */

/* 0 is "nothing said". */
static int
link_as_said(int error)
{
	return error == 0 ? -1 : error;
}

static void
link_say_waiting(struct link *l, int error)
{
	if (l->said_error == link_as_said(error))
		return;
	l->said_error = link_as_said(error);
	log_info("source %s: waiting for %s: %s", l->name, l->address, link_error_text(l, error));
}

static void
link_say_gone(struct link *l, int error)
{
	l->said_error = link_as_said(error);
	log_warn("source %s: %s is gone: %s", l->name, l->address, link_error_text(l, error));
}

static void
link_say_reset(const struct link *l)
{
	log_warn("source %s: %s does not answer: resetting it", l->name, l->address);
}

/* ---- waiting for it ---- */

static void
link_try_in(struct link *l, uint64_t wait_ms)
{
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	event_add(l->timer, &wait);
}

/* Tries again later, each time later; at once when the path appears. */
static void
link_wait(struct link *l, int error)
{
	uint64_t max_ms = l->watch != NULL ? RETRY_MAX_MS : RETRY_BLIND_MAX_MS;

	if (!l->was_reset)
		link_say_waiting(l, error);
	snprintf(l->waiting, sizeof(l->waiting), "waiting for %s: %s", l->address,
		 link_error_text(l, error));
	link_try_in(l, l->retry_ms);
	l->retry_ms = l->retry_ms * 2 < max_ms ? l->retry_ms * 2 : max_ms;
}

static void
link_on_appear(void *arg)
{
	struct link *l = arg;

	l->retry_ms = RETRY_MIN_MS;
	link_try_in(l, 0);
}

static void
link_watch(struct link *l)
{
	if (l->watch == NULL)
		l->watch = l->kind->watch(&l->env, l->where, link_on_appear, l);
}

static void
link_unwatch(struct link *l)
{
	if (l->watch != NULL)
		l->kind->unwatch(l->watch);
	l->watch = NULL;
}

/* ---- coming and going ---- */

static size_t
link_on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct link *l = arg;

	return l->events.bytes(l->events.arg, bytes, len);
}

static void
link_close(struct link *l)
{
	l->kind->close(l->transport);
	l->transport = NULL;
}

static void
link_on_gone(void *arg, int error)
{
	struct link *l = arg;

	link_close(l);
	if (l->known)
		link_say_gone(l, error);
	l->known = false;
	l->events.gone(l->events.arg, error);
	link_watch(l);
	link_wait(l, error);
}

static void
link_start_anew(struct link *l)
{
	l->reset_due = false;
	l->was_reset = true;
	l->known = false;
	l->retry_ms = RETRY_MIN_MS;
	link_say_reset(l);
	l->kind->reset(l->transport);
}

static void
link_open(struct link *l)
{
	const struct transport_events events = {link_on_bytes, link_on_gone, l};
	int result;

	/* Watched before it is tried: it cannot appear unseen in between. */
	link_watch(l);
	result = l->kind->open(&l->env, l->where, &events, &l->transport);
	if (result < 0) {
		link_wait(l, -result);
		if (l->was_reset && l->events.missing != NULL)
			l->events.missing(l->events.arg);
		return;
	}
	link_unwatch(l);
	l->opens++;
	l->was_reset = false;
	l->events.opened(l->events.arg);
	if (l->reset_due)
		link_start_anew(l);
}

static void
link_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	link_open(arg);
}

/* ---- life ---- */

bool
link_start(struct link *l, const struct transport_env *env, const char *name, const char *address,
	   const struct link_events *events)
{
	*l = (struct link){.env = *env,
			   .events = *events,
			   .name = name,
			   .address = address,
			   .kind = link_kind(address),
			   .retry_ms = RETRY_MIN_MS};
	l->where = address + strlen(l->kind->prefix);
	l->timer = evtimer_new(env->base, link_on_timer, l);
	if (l->timer == NULL)
		return false;
	snprintf(l->waiting, sizeof(l->waiting), "waiting for %s", address);
	link_try_in(l, 0);
	return true;
}

void
link_stop(struct link *l)
{
	if (l->transport != NULL)
		link_close(l);
	link_unwatch(l);
	if (l->timer != NULL)
		event_free(l->timer);
	l->timer = NULL;
}

bool
link_is_open(const struct link *l)
{
	return l->transport != NULL;
}

void
link_send(struct link *l, const uint8_t *bytes, size_t len)
{
	l->kind->send(l->transport, bytes, len);
}

void
link_set_reading(struct link *l, bool on)
{
	l->kind->set_reading(l->transport, on);
}

void
link_describe(const struct link *l, char *ret, size_t cap)
{
	if (l->transport != NULL && l->kind->describe != NULL)
		l->kind->describe(l->transport, ret, cap);
}

void
link_known(struct link *l)
{
	l->known = true;
	l->said_error = 0;
}

void
link_good(struct link *l)
{
	l->retry_ms = RETRY_MIN_MS;
}

bool
link_can_reset(const struct link *l)
{
	return l->kind->reset != NULL;
}

void
link_reset(struct link *l)
{
	if (l->transport != NULL)
		link_start_anew(l);
	else
		l->reset_due = true;
}
