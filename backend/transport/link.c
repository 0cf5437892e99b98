/* SPDX-License-Identifier: MIT */
#include "backend/transport/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/log.h"

#define RETRY_MAX_MS 30000
#define RETRY_FAR_MAX_MS 10000  /* another machine, whose return is not reported */
#define RETRY_BLIND_MAX_MS 2000 /* a path that cannot be watched */
#define STEADY_MS 10000         /* a link that was good for so long is retried soon */

/* Before it is closed: the transport may have the best reason. */
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

/* Logs each change once: the end of a known transport, or that a transport is waited for. */
static void
link_note_absence(struct link *l, int error)
{
	const char *reason = link_reason(l, error);
	bool quiet = l->was_reset || l->mute;

	snprintf(l->waiting, sizeof(l->waiting), "waiting for %s: %s", l->address, reason);
	if (l->known)
		log_warn("source %s: %s is gone: %s", l->name, l->address, reason);
	else if (!quiet && strcmp(l->waiting, l->logged) != 0)
		log_info("source %s: %s", l->name, l->waiting);
	if (l->known || !quiet)
		memcpy(l->logged, l->waiting, sizeof(l->logged));
}

/* ---- retries ---- */

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

/* Retries after a wait, each time a longer one; at once when the path appears. */
static void
link_wait(struct link *l)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_INSECURE);
	link_try_in(l, backoff_next(&l->backoff, link_retry_max_ms(l), random));
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

/* ---- opened and gone ---- */

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
		(void)shutdown(link_fd(l),
			       SHUT_RDWR); /* a tty, which is no socket, does not need it */
	l->mute = false;
	l->kind->close(l->transport);
	l->transport = NULL;
	l->open = false;
	l->dropped = NULL;
}

/* A server that is good for a moment at each connection is not called all the time. */
static void
link_check_good(struct link *l)
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
	link_check_good(l);
	if (was_open)
		l->events.gone(l->events.arg, error);
	link_watch(l);
	link_wait(l);
}

static void
link_do_reset(struct link *l)
{
	l->reset_due = false;
	l->was_reset = true;
	l->known = false;
	backoff_reset(&l->backoff);
	log_warn("source %s: %s does not answer: resetting it", l->name, l->address);
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
		link_do_reset(l);
}

static void
link_open(struct link *l)
{
	const struct transport_events events = {
		.opened = link_on_opened, .bytes = link_on_bytes, .gone = link_on_gone, .arg = l};
	int result;

	/* Watched before it is opened: it cannot appear unseen in between. */
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
	if (l->dropped != NULL || l->transport == NULL)
		return;
	l->dropped = reason;
	if (l->open)
		link_set_reading(l, false);
	link_try_in(l, 0);
}

void
link_renew(struct link *l)
{
	if (l->transport == NULL || l->dropped != NULL)
		return;
	l->mute = true;
	l->known = false;
	backoff_reset(&l->backoff);
	link_drop(l, "closed by order, to start again");
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
	l->logged[0] = '\0';
}

void
link_good(struct link *l)
{
	if (!l->good)
		l->good_ms = clock_now_ms();
	l->good = true;
}

void
link_reset(struct link *l)
{
	if (l->open)
		link_do_reset(l);
	else
		l->reset_due = true;
}
