/* SPDX-License-Identifier: MIT */
#include "backend/tls_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/dial.h"
#include "backend/inflow.h"
#include "crypto/tls.h"

#define TLS_IN_LEN 16384    /* bytes of one read: a record */
#define TLS_TURN_LEN 262144 /* bytes read in one wake-up before others have their turn: 2 ms */
#define TLS_OUT_LEN 1024    /* bytes that the server has not accepted; requests are small */
#define TLS_HANDSHAKE_WAIT_S 10

struct tls_transport {
	struct transport transport;
	struct event_base *base;
	struct transport_events events;
	struct tls_context *context;
	struct dial *dial; /* until it is connected */
	int fd;            /* -1 until then */
	struct tls *tls;
	struct inflow in;
	struct event *writable;
	struct event *end; /* tells that it is gone, in a moment, or as the handshake's limit */
	bool open;         /* the handshake is done */
	int error;         /* that `end` will tell */
	uint8_t out[TLS_OUT_LEN];
	size_t out_len;
	char why[TLS_ERROR_MAX];
};

/* ---- the end ---- */

/* The last that is done with `t`. */
static void
tls_gone(struct tls_transport *t, int error)
{
	inflow_stop(&t->in);
	if (t->writable != NULL)
		event_del(t->writable);
	event_del(t->end);
	t->events.gone(t->events.arg, error);
}

static void
tls_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct tls_transport *t = arg;

	(void)fd, (void)what;
	tls_gone(t, t->error);
}

/* While we do not read: what it may have said before it hung up is not wanted. */
static void
tls_on_removal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	tls_gone(arg, 0);
}

/* For those who must not tell it themselves: the loop will. */
static void
tls_end_soon(struct tls_transport *t, int error)
{
	t->error = error;
	event_active(t->end, EV_TIMEOUT, 0);
}

static void
tls_note(struct tls_transport *t, const char *why)
{
	snprintf(t->why, sizeof(t->why), "%s", why);
}

/* ---- what TLS says ---- */

/* True when it is not over; `n` is what a call has returned. */
static bool
tls_goes_on(struct tls_transport *t, ssize_t n)
{
	if (n > 0 || n == TLS_WANT_READ)
		return true;
	if (n == TLS_WANT_WRITE) {
		event_add(t->writable, NULL);
		return true;
	}
	if (n < 0)
		tls_note(t, tls_error_text(t->tls));
	return false;
}

static void
tls_shake_hands(struct tls_transport *t)
{
	int result = tls_handshake(t->tls);

	if (result < 0) {
		if (!tls_goes_on(t, result))
			tls_gone(t, -result);
		return;
	}
	t->open = true;
	t->why[0] = '\0';
	event_del(t->end);
	event_active(t->in.readable, EV_READ, 0); /* what came along with the handshake */
	t->events.opened(t->events.arg);
}

/* 0, or what has ended it. */
static int
tls_flush(struct tls_transport *t)
{
	while (t->out_len > 0) {
		ssize_t n = tls_write(t->tls, t->out, t->out_len);

		if (!tls_goes_on(t, n))
			return (int)-n;
		if (n < 0)
			return 0;
		t->out_len -= (size_t)n;
		memmove(t->out, t->out + n, t->out_len);
	}
	return 0;
}

static void
tls_take_in(struct tls_transport *t)
{
	size_t had = 0;

	while (inflow_offer(&t->in, &t->events)) {
		ssize_t n;

		if (had >= TLS_TURN_LEN) {
			/* More may lie with TLS, where the socket does not show it. */
			event_active(t->in.readable, EV_READ, 0);
			return;
		}
		n = tls_read(t->tls, t->in.bytes, TLS_IN_LEN);
		if (!tls_goes_on(t, n)) {
			tls_gone(t, (int)-n);
			return;
		}
		if (n < 0)
			return;
		inflow_fill(&t->in, (size_t)n);
		had += t->in.len;
	}
}

static void
tls_on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct tls_transport *t = arg;
	int error;

	(void)fd, (void)what;
	if (!t->open) {
		tls_shake_hands(t);
		return;
	}
	error = tls_flush(t);
	if (error != 0)
		tls_gone(t, error);
	else if (t->in.reading)
		tls_take_in(t);
}

/* ---- opening ---- */

/* The socket is `t`'s already. */
static bool
tls_set_up(struct tls_transport *t)
{
	const struct timeval wait = {.tv_sec = TLS_HANDSHAKE_WAIT_S};

	t->tls = tls_new(t->context, t->fd);
	t->writable = event_new(t->base, t->fd, EV_WRITE, tls_on_socket, t);
	if (t->tls == NULL || t->writable == NULL ||
	    !inflow_open(&t->in, t->base, t->fd, TLS_IN_LEN, tls_on_socket, tls_on_removal, t))
		return false;
	t->error = ETIMEDOUT;
	tls_note(t, "it does not finish the TLS handshake");
	return event_add(t->end, &wait) == 0;
}

static void
tls_on_connected(void *arg, int fd)
{
	struct tls_transport *t = arg;

	dial_free(&t->dial);
	t->fd = fd;
	if (!tls_set_up(t))
		tls_gone(t, ENOMEM);
	else
		tls_shake_hands(t);
}

static void
tls_on_failed(void *arg, int error, const char *why)
{
	struct tls_transport *t = arg;

	tls_note(t, why);
	tls_gone(t, error);
}

/* Files are read anew each time: who has changed them need not tell us. */
static bool
tls_prepare(struct tls_transport *t, const struct tls_config *files,
	    const struct address_host *host)
{
	struct tls_config config = files != NULL ? *files : (struct tls_config){0};

	config.server = false;
	if (config.peer_name == NULL)
		config.peer_name = host->host;
	t->context = tls_context_new(&config, t->why, sizeof(t->why));
	return t->context != NULL;
}

static void tls_close_transport(struct transport *transport);

static int
tls_open(const struct transport_env *env, const char *where, const struct transport_events *events,
	 struct transport **ret)
{
	struct tls_transport *t = calloc(1, sizeof(*t));
	const struct dial_events dial_events = {tls_on_connected, tls_on_failed, t};
	struct address_host host;

	if (t == NULL)
		return -ENOMEM;
	*t = (struct tls_transport){
		.transport.kind = &transport_tls, .base = env->base, .events = *events, .fd = -1};
	t->end = evtimer_new(env->base, tls_on_end, t);
	if (t->end == NULL || address_parse_host(where, &host) != NULL) {
		tls_close_transport(&t->transport);
		return t->end == NULL ? -ENOMEM : -EINVAL;
	}
	if (!tls_prepare(t, env->tls, &host)) {
		tls_end_soon(t, EINVAL);
	} else {
		t->dial = dial_host(env->base, &host, &dial_events);
		if (t->dial == NULL)
			tls_end_soon(t, ENOMEM);
	}
	*ret = &t->transport;
	return TRANSPORT_OPENING;
}

/* ---- the interface ---- */

/* Says good-bye if that can be said at once. */
static void
tls_close_transport(struct transport *transport)
{
	struct tls_transport *t = (struct tls_transport *)transport;

	dial_free(&t->dial);
	inflow_close(&t->in);
	if (t->writable != NULL)
		event_free(t->writable);
	if (t->end != NULL)
		event_free(t->end);
	if (t->open && t->out_len == 0)
		(void)tls_close(t->tls);
	tls_free(&t->tls);
	tls_context_free(&t->context);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static void
tls_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct tls_transport *t = (struct tls_transport *)transport;
	int error;

	if (len > TLS_OUT_LEN - t->out_len) {
		tls_end_soon(t, ETIMEDOUT); /* it has accepted nothing for many requests */
		return;
	}
	memcpy(t->out + t->out_len, bytes, len);
	t->out_len += len;
	error = tls_flush(t);
	if (error != 0)
		tls_end_soon(t, error);
}

static void
tls_set_reading(struct transport *transport, bool on)
{
	inflow_set_reading(&((struct tls_transport *)transport)->in, on);
}

static const char *
tls_why(const struct transport *transport)
{
	const struct tls_transport *t = (const struct tls_transport *)transport;

	return t->why[0] != '\0' ? t->why : NULL;
}

static int
tls_fd(const struct transport *transport)
{
	return ((const struct tls_transport *)transport)->fd;
}

static const char *
tls_check(const char *where)
{
	struct address_host host;

	return address_parse_host(where, &host);
}

const struct transport_kind transport_tls = {
	.prefix = "tls:",
	.check = tls_check,
	.open = tls_open,
	.close = tls_close_transport,
	.send = tls_send,
	.set_reading = tls_set_reading,
	.keeps = true,
	.why = tls_why,
	.fd = tls_fd,
};
