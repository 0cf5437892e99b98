/* SPDX-License-Identifier: MIT */
#include "backend/net_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/dial.h"
#include "backend/fd_transport.h"
#include "egd/proxy.h"
#include "priv/tls_channel.h"

#define NET_HANDSHAKE_WAIT_S 10

struct net_transport {
	struct transport transport;
	struct event_base *base;
	struct transport_events events;
	struct dial *dial;      /* its words live on after it has failed */
	struct transport *open; /* over the socket, once there is one */
	const char *why;        /* it could not be opened */
	/* Of TLS: */
	const int *channel; /* to ekey-tls */
	char section[TLS_SECTION_MAX];
	char peer_name[TLS_PEER_NAME_MAX];
	int socket, plain;   /* that ekey-tls has, and our end of what it carries; -1: none */
	struct event *proof; /* the server proves itself */
	char refusal[EGD_PROXY_WORDS_MAX];
};

/* ---- opening ---- */

static void
net_on_failed(void *arg, int error, const char *why)
{
	struct net_transport *t = arg;

	t->why = why;
	t->events.gone(t->events.arg, error);
}

/* From now on the open one tells the same events to the same receiver. Takes over `fd`. */
static void
net_go_on_over(struct net_transport *t, int fd)
{
	int result = fd_transport_over(t->base, fd, &t->events, &t->open);

	if (result < 0) {
		close(fd);
		t->events.gone(t->events.arg, -result);
		return;
	}
	t->events.opened(t->events.arg);
}

static void
net_on_connected(void *arg, int fd)
{
	struct net_transport *t = arg;

	dial_free(&t->dial);
	net_go_on_over(t, fd);
}

/* ---- TLS ---- */

/* 0 when the server has proven itself, -EAGAIN, or -errno, perhaps with t->why. */
static int
net_take_proof(struct net_transport *t)
{
	uint8_t bytes[EGD_PROXY_MAX];
	ssize_t n = recv(t->plain, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct cursor in = cursor_over(bytes, n > 0 ? (size_t)n : 0);
	struct egd_proxy proxy;
	enum egd_proxy_found found;

	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	found = egd_proxy_parse(&in, &proxy);
	if (found != EGD_PROXY_WHOLE)
		return found == EGD_PROXY_PARTIAL ? -EAGAIN : -EPROTO;
	if (proxy.refusal[0] != '\0') {
		memcpy(t->refusal, proxy.refusal, sizeof(t->refusal));
		t->why = t->refusal;
		return -EPROTO;
	}
	return recv(t->plain, bytes, (size_t)n - in.left, MSG_DONTWAIT) > 0 ? 0 : -ECONNRESET;
}

static void
net_on_proof(evutil_socket_t fd, short what, void *arg)
{
	struct net_transport *t = arg;
	int result = (what & EV_TIMEOUT) != 0 ? -ETIMEDOUT : net_take_proof(t);

	if (result == -EAGAIN)
		return;
	event_del(t->proof);
	if (result == -ETIMEDOUT)
		t->why = "it does not finish the TLS handshake";
	if (result < 0) {
		t->events.gone(t->events.arg, -result);
		return;
	}
	t->plain = -1;
	net_go_on_over(t, fd);
}

static void
net_on_tls_connected(void *arg, int fd)
{
	const struct timeval wait = {.tv_sec = NET_HANDSHAKE_WAIT_S};
	struct net_transport *t = arg;
	int error = ENOTCONN;

	dial_free(&t->dial);
	t->socket = fd;
	if (t->channel != NULL && *t->channel >= 0) {
		t->plain = tls_channel_connect_as(*t->channel, t->section, t->peer_name, fd);
		error = -t->plain;
	}
	if (t->plain >= 0) {
		t->proof = event_new(t->base, t->plain, EV_READ | EV_PERSIST, net_on_proof, t);
		if (t->proof != NULL && event_add(t->proof, &wait) == 0)
			return;
		error = ENOMEM;
	}
	t->why = error == ENOMEM ? NULL : "ekey-tls is not there";
	t->events.gone(t->events.arg, error);
}

static struct net_transport *
net_new(const struct transport_env *env, const struct transport_kind *kind,
	const struct transport_events *events)
{
	struct net_transport *t = calloc(1, sizeof(*t));

	if (t != NULL)
		*t = (struct net_transport){.transport.kind = kind,
					    .base = env->base,
					    .events = *events,
					    .socket = -1,
					    .plain = -1};
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

/* All addresses of a source, "NAME/1" and on, have the keys of its section. */
static int
net_open_tls(const struct transport_env *env, const char *where,
	     const struct transport_events *events, struct transport **ret)
{
	struct net_transport *t = net_new(env, &transport_tls, events);
	const struct dial_events dial_events = {net_on_tls_connected, net_on_failed, t};
	struct address_host host;

	if (t == NULL)
		return -ENOMEM;
	if (address_parse_host(where, &host) == NULL) {
		t->channel = env->tls;
		snprintf(t->section, sizeof(t->section), "source %.*s",
			 (int)strcspn(env->name, "/"), env->name);
		snprintf(t->peer_name, sizeof(t->peer_name), "%s", host.host);
		t->dial = dial_host(env->base, &host, &dial_events);
	}
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
	if (t->proof != NULL)
		event_free(t->proof);
	if (t->plain >= 0)
		close(t->plain);
	if (t->socket >= 0)
		close(t->socket);
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

	return t->socket >= 0 ? t->socket : t->open->kind->fd(t->open);
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

const struct transport_kind transport_tls = {
	.prefix = "tls:",
	.check = net_check_tcp,
	.open = net_open_tls,
	.close = net_close,
	.send = net_send,
	.set_reading = net_set_reading,
	.keeps = true,
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
