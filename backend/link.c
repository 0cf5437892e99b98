/* SPDX-License-Identifier: MIT */
#include "backend/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define RETRY_MAX_MS 30000
#define RETRY_FAR_MAX_MS 10000  /* another machine: nothing tells us that it is back */
#define RETRY_BLIND_MAX_MS 2000 /* a path that cannot be watched */
#define STEADY_MS 10000         /* who was good for so long may be tried soon again */

const char *
link_address_error(const char *address)
{
	const char *where;
	const struct transport_kind *kind = transport_find(address, &where);

	return kind->check(where);
}

/* Before it is closed: the transport itself may know best. */
static const char *
link_reason(const struct link *l, int error)
{
	const char *text = l->dropped;

	if (text == NULL && l->transport != NULL && l->kind->why != NULL)
		text = l->kind->why(l->transport);
	if (text == NULL && l->kind->error_text != NULL)
		text = l->kind->error_text(error);
	if (text == NULL)
		text = error == 0 ? "closed by the other side" : strerror(error);
	return text;
}

/* ---- the log: each change once ---- */

/* 0 is "nothing said". */
static int
link_as_said(int error)
{
	return error == 0 ? -1 : error;
}

static bool
link_is_said(const struct link *l, int error)
{
	return l->said_error == link_as_said(error) && l->said_reason == l->dropped;
}

/* That it went, when it was known; else that it is waited for. */
static void
link_say(struct link *l, int error)
{
	const char *reason = link_reason(l, error);

	if (l->known)
		log_warn("source %s: %s is gone: %s", l->name, l->address, reason);
	else if (!l->was_reset && !link_is_said(l, error))
		log_info("source %s: waiting for %s: %s", l->name, l->address, reason);
	else
		return;
	l->said_error = link_as_said(error);
	l->said_reason = l->dropped;
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
	const struct timeval wait = clock_timeval(wait_ms);

	event_add(l->timer, &wait);
}

static uint64_t
link_retry_max_ms(const struct link *l)
{
	if (l->watch != NULL)
		return RETRY_MAX_MS;
	return l->kind->watch != NULL ? RETRY_BLIND_MAX_MS : RETRY_FAR_MAX_MS;
}

/* Tries again later, each time later; at once when the path appears. */
static void
link_wait(struct link *l)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_INSECURE);
	link_try_in(l, backoff_next(&l->backoff, link_retry_max_ms(l), random));
}

static void
link_note_absence(struct link *l, int error)
{
	link_say(l, error);
	snprintf(l->waiting, sizeof(l->waiting), "waiting for %s: %s", l->address,
		 link_reason(l, error));
}

static void
link_on_appear(void *arg)
{
	struct link *l = arg;

	backoff_reset(&l->backoff);
	link_try_in(l, 0);
}

static void
link_watch(struct link *l)
{
	if (l->watch == NULL && l->kind->watch != NULL)
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
	if (l->mute)
		(void)shutdown(link_fd(l), SHUT_RDWR); /* a tty is no socket, and needs it not */
	l->mute = false;
	l->kind->close(l->transport);
	l->transport = NULL;
	l->open = false;
	l->dropped = NULL;
}

/* One that is good for a moment, again and again, would else have us call it all the time. */
static void
link_judge(struct link *l)
{
	if (l->good && clock_now_ms() - l->good_ms >= STEADY_MS)
		backoff_reset(&l->backoff);
	l->good = false;
}

static void
link_on_gone(void *arg, int error)
{
	struct link *l = arg;
	bool was_open = l->open;

	link_note_absence(l, error);
	link_close(l);
	l->known = false;
	link_judge(l);
	if (was_open)
		l->events.gone(l->events.arg, error);
	link_watch(l);
	link_wait(l);
}

static void
link_start_anew(struct link *l)
{
	l->reset_due = false;
	l->was_reset = true;
	l->known = false;
	backoff_reset(&l->backoff);
	link_say_reset(l);
	l->kind->reset(l->transport);
}

static void
link_on_opened(void *arg)
{
	struct link *l = arg;

	link_unwatch(l);
	l->open = true;
	l->opens++;
	l->was_reset = false;
	l->events.opened(l->events.arg);
	if (l->reset_due)
		link_start_anew(l);
}

static void
link_open(struct link *l)
{
	const struct transport_events events = {
		.opened = link_on_opened, .bytes = link_on_bytes, .gone = link_on_gone, .arg = l};
	int result;

	/* Watched before it is tried: it cannot appear unseen in between. */
	link_watch(l);
	result = l->kind->open(&l->env, l->where, &events, &l->transport);
	if (result < 0) {
		link_note_absence(l, -result);
		link_wait(l);
		if (l->was_reset && l->events.missing != NULL)
			l->events.missing(l->events.arg);
	} else if (result != TRANSPORT_OPENING) {
		link_on_opened(l);
	}
}

static void
link_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd, (void)what;
	if (l->dropped != NULL)
		link_on_gone(l, ECONNABORTED);
	else if (l->transport == NULL)
		link_open(l);
}

void
link_drop(struct link *l, const char *reason)
{
	if (l->dropped != NULL)
		return;
	l->dropped = reason;
	link_set_reading(l, false);
	link_try_in(l, 0);
}

void
link_renew(struct link *l)
{
	if (l->transport == NULL || l->dropped != NULL)
		return;
	l->mute = true;
	l->dropped = "it begins anew";
	l->known = false;
	l->said_error = link_as_said(ECONNABORTED);
	l->said_reason = l->dropped;
	backoff_reset(&l->backoff);
	if (l->open)
		link_set_reading(l, false);
	link_try_in(l, 0);
}

/* ---- life ---- */

bool
link_start(struct link *l, const struct transport_env *env, const char *name, const char *address,
	   const struct link_events *events)
{
	*l = (struct link){.env = *env, .events = *events, .name = name, .address = address};
	l->kind = transport_find(address, &l->where);
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
	return l->open;
}

int
link_fd(const struct link *l)
{
	return l->open && l->kind->fd != NULL ? l->kind->fd(l->transport) : -1;
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
	if (l->open && l->kind->describe != NULL)
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
	if (!l->good)
		l->good_ms = clock_now_ms();
	l->good = true;
}

bool
link_can_reset(const struct link *l)
{
	return l->kind->reset != NULL;
}

void
link_reset(struct link *l)
{
	if (l->open)
		link_start_anew(l);
	else
		l->reset_due = true;
}
