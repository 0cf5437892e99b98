/* SPDX-License-Identifier: MIT */
#include "backend/net_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/dial.h"
#include "backend/fd_transport.h"

struct net_transport {
	struct transport transport;
	struct event_base *base;
	struct transport_events events;
	struct dial *dial;      /* its words live on after it has failed */
	struct transport *open; /* over the socket, once there is one */
	const char *why;        /* it could not be opened */
};

/* ---- opening ---- */

static void
net_on_failed(void *arg, int error, const char *why)
{
	struct net_transport *t = arg;

	t->why = why;
	t->events.gone(t->events.arg, error);
}

/* From now on the open one tells the same events to the same receiver. */
static void
net_on_connected(void *arg, int fd)
{
	struct net_transport *t = arg;
	int result = fd_transport_over(t->base, fd, &t->events, &t->open);

	if (result < 0) {
		close(fd);
		t->events.gone(t->events.arg, -result);
		return;
	}
	dial_free(&t->dial);
	t->events.opened(t->events.arg);
}

static struct net_transport *
net_new(const struct transport_env *env, const struct transport_kind *kind,
	const struct transport_events *events)
{
	struct net_transport *t = calloc(1, sizeof(*t));

	if (t != NULL)
		*t = (struct net_transport){
			.transport.kind = kind, .base = env->base, .events = *events};
	return t;
}

static int
net_opening(struct net_transport *t, struct transport **ret)
{
	if (t->dial == NULL) {
		free(t);
		return -ENOMEM;
	}
	*ret = &t->transport;
	return TRANSPORT_OPENING;
}

static int
net_open_tcp(const struct transport_env *env, const char *where,
	     const struct transport_events *events, struct transport **ret)
{
	struct net_transport *t = net_new(env, &transport_tcp, events);
	const struct dial_events dial_events = {net_on_connected, net_on_failed, t};
	struct address_host host;

	if (t == NULL)
		return -ENOMEM;
	if (address_parse_host(where, &host) == NULL)
		t->dial = dial_host(env->base, &host, &dial_events);
	return net_opening(t, ret);
}

static int
net_open_vsock(const struct transport_env *env, const char *where,
	       const struct transport_events *events, struct transport **ret)
{
	struct net_transport *t = net_new(env, &transport_vsock, events);
	const struct dial_events dial_events = {net_on_connected, net_on_failed, t};
	struct address address;

	if (t == NULL)
		return -ENOMEM;
	if (address_parse_vsock(where, &address) == NULL)
		t->dial = dial_address(env->base, &address, &dial_events);
	return net_opening(t, ret);
}

/* ---- the interface ---- */

static void
net_close(struct transport *transport)
{
	struct net_transport *t = (struct net_transport *)transport;

	dial_free(&t->dial);
	if (t->open != NULL)
		t->open->kind->close(t->open);
	free(t);
}

static void
net_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct net_transport *t = (struct net_transport *)transport;

	t->open->kind->send(t->open, bytes, len);
}

static void
net_set_reading(struct transport *transport, bool on)
{
	struct net_transport *t = (struct net_transport *)transport;

	t->open->kind->set_reading(t->open, on);
}

static const char *
net_why(const struct transport *transport)
{
	return ((const struct net_transport *)transport)->why;
}

static int
net_fd(const struct transport *transport)
{
	const struct net_transport *t = (const struct net_transport *)transport;

	return t->open->kind->fd(t->open);
}

static const char *
net_check_tcp(const char *where)
{
	struct address_host host;

	return address_parse_host(where, &host);
}

static const char *
net_check_vsock(const char *where)
{
	struct address address;

	return address_parse_vsock(where, &address);
}

const struct transport_kind transport_tcp = {
	.prefix = "tcp:",
	.check = net_check_tcp,
	.open = net_open_tcp,
	.close = net_close,
	.send = net_send,
	.set_reading = net_set_reading,
	.keeps = true,
	.exposed = true,
	.why = net_why,
	.fd = net_fd,
};

const struct transport_kind transport_vsock = {
	.prefix = "vsock:",
	.check = net_check_vsock,
	.open = net_open_vsock,
	.close = net_close,
	.send = net_send,
	.set_reading = net_set_reading,
	.keeps = true,
	.why = net_why,
	.fd = net_fd,
};
