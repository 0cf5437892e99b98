/* SPDX-License-Identifier: MIT */
#include "backend/transport/net_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/transport/fd_transport.h"
#include "egd/proxy.h"
#include "lib/net.h"
#include "lib/priv/resolver.h"
#include "lib/priv/tls_channel.h"

#define CONNECT_WAIT_S 10 /* for each address of a name */
#define HANDSHAKE_WAIT_S 10

struct net_transport {
	struct transport transport;
	struct event_base *base;
	struct transport_events events;
	struct transport *open;   /* over the socket; NULL: it is not open yet */
	struct event *step;       /* pending while it opens */
	struct address_host host; /* of tcp: and tls: */
	struct helper lookup;
	struct resolved found;
	size_t next; /* of found.at: the address that is tried next */
	int fd;      /* connecting, or of ekey-tls's connection; -1: none */
	int plain;   /* the plaintext's end of a connection that ekey-tls has; -1: none */
	int error;   /* of the last address that was tried */
	char why[ADDRESS_HOST_MAX + EGD_PROXY_WORDS_MAX]; /* it could not be opened; "": no text */
	/* Of tls: */
	const int *channel; /* to ekey-tls */
	struct tls_order order;
};

/* ---- steps ---- */

/* Waits for `fd`, or, with -1, for the next turn of the loop. False: no memory. */
static bool
net_await(struct net_transport *t, int fd, short what, event_callback_fn fn, time_t wait_s)
{
	const struct timeval wait = {.tv_sec = wait_s};

	if (t->step != NULL)
		event_free(t->step);
	t->step = event_new(t->base, fd, what, fn, t);
	return t->step != NULL && event_add(t->step, &wait) == 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
net_stop(struct net_transport *t)
{
	if (t->step != NULL)
		event_free(t->step);
	t->step = NULL;
	helper_stop(&t->lookup);
	close_fd(&t->plain);
	close_fd(&t->fd);
}

/* Ends an attempt to open it; t->why has the text, if there is one. */
static void
net_fail(struct net_transport *t, int error)
{
	net_stop(t);
	t->events.gone(t->events.arg, error);
}

/* The open transport reports to the same receiver. Takes over `fd`. */
static void
net_go_on_over(struct net_transport *t, int fd)
{
	int result = fd_transport_over(t->base, fd, &t->events, &t->open);

	t->why[0] = '\0';
	if (result < 0) {
		close(fd);
		net_fail(t, -result);
		return;
	}
	t->events.opened(t->events.arg);
}

/* ---- TLS ---- */

/* 0 when the server is authenticated, -EAGAIN, or -errno. */
static int
net_take_header(struct net_transport *t)
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
	snprintf(t->why, sizeof(t->why), "%s", proxy.refusal);
	if (t->why[0] != '\0')
		return -EPROTO;
	return recv(t->plain, bytes, (size_t)n - in.left, MSG_DONTWAIT) > 0 ? 0 : -ECONNRESET;
}

static void
net_on_header(evutil_socket_t fd, short what, void *arg)
{
	struct net_transport *t = arg;
	int result = (what & EV_TIMEOUT) != 0 ? -ETIMEDOUT : net_take_header(t);

	if (result == -EAGAIN && net_await(t, fd, EV_READ, net_on_header, HANDSHAKE_WAIT_S))
		return;
	if (result == -ETIMEDOUT)
		snprintf(t->why, sizeof(t->why), "it did not finish the TLS handshake in time");
	if (result < 0) {
		net_fail(t, -result);
		return;
	}
	t->plain = -1;
	net_go_on_over(t, fd);
}

/* Passes the connected socket to ekey-tls, and keeps a copy. */
static void
net_begin_tls(struct net_transport *t)
{
	int error = ENOTCONN;

	snprintf(t->order.peer_name, sizeof(t->order.peer_name), "%s", t->host.host);
	if (t->channel != NULL && *t->channel >= 0) {
		t->plain = tls_channel_pass(*t->channel, &t->order, t->fd);
		error = -t->plain;
	}
	if (t->plain >= 0 && net_await(t, t->plain, EV_READ, net_on_header, HANDSHAKE_WAIT_S))
		return;
	snprintf(t->why, sizeof(t->why), "%s", t->plain < 0 ? "ekey-tls is not running" : "");
	net_fail(t, t->plain < 0 ? error : ENOMEM);
}

/* ---- connecting ---- */

static void net_try_next(struct net_transport *t);

static void
net_on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct net_transport *t = arg;

	t->error = (what & EV_TIMEOUT) != 0 ? ETIMEDOUT : -net_connected(fd);
	if (t->error != 0) {
		net_try_next(t);
	} else if (t->transport.kind == &transport_tls) {
		net_begin_tls(t);
	} else {
		t->fd = -1;
		net_go_on_over(t, fd);
	}
}

/* Tries the next address. One of a family that the kernel does not have fails at once. */
static void
net_try_next(struct net_transport *t)
{
	char text[ADDRESS_TEXT_MAX];

	for (net_stop(t); t->next < t->found.count; net_stop(t)) {
		t->fd = net_connect(&t->found.at[t->next++]);
		if (t->fd >= 0 && net_await(t, t->fd, EV_WRITE, net_on_connected, CONNECT_WAIT_S))
			return;
		t->error = t->fd >= 0 ? ENOMEM : -t->fd;
	}
	address_text(&t->found.at[t->next - 1], text);
	snprintf(t->why, sizeof(t->why), "%s: %s", text, strerror(t->error));
	net_fail(t, t->error);
}

static void
net_fail_lookup(struct net_transport *t, int error, const char *why)
{
	snprintf(t->why, sizeof(t->why), "%s: %s", t->host.host, why);
	net_fail(t, error);
}

static void
net_on_resolved(evutil_socket_t fd, short what, void *arg)
{
	struct net_transport *t = arg;
	const char *why = resolver_result(&t->lookup, &t->found);

	(void)fd, (void)what;
	if (why != NULL)
		net_fail_lookup(t, EHOSTUNREACH, why);
	else
		net_try_next(t);
}

static void
net_on_start(evutil_socket_t fd, short what, void *arg)
{
	struct net_transport *t = arg;
	int result;

	(void)fd, (void)what;
	if (t->found.count > 0) {
		net_try_next(t);
		return;
	}
	result = resolver_start(&t->lookup, &t->host);
	if (result == 0 &&
	    !net_await(t, t->lookup.fd, EV_READ, net_on_resolved, resolver_role.timeout_s))
		result = -ENOMEM;
	if (result < 0)
		net_fail_lookup(t, -result, strerror(-result));
}

/* ---- the interface ---- */

static const char *
net_check_host(const char *where)
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

static void
net_close(struct transport *transport)
{
	struct net_transport *t = (struct net_transport *)transport;

	if (t->open != NULL)
		t->open->kind->close(t->open);
	net_stop(t);
	free(t);
}

/* All addresses of a source, "NAME/1" and on, have the keys of its section. */
static int
net_open(const struct transport_kind *kind, const struct transport_env *env, const char *where,
	 const struct transport_events *events, struct transport **ret)
{
	struct net_transport *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	*t = (struct net_transport){.transport.kind = kind,
				    .base = env->base,
				    .events = *events,
				    .lookup = HELPER_NONE,
				    .fd = -1,
				    .plain = -1,
				    .channel = env->tls,
				    .order.kind = TLS_CONNECT};
	snprintf(t->order.section, sizeof(t->order.section), "source %.*s",
		 (int)strcspn(env->name, "/"), env->name);
	if (kind == &transport_vsock)
		t->found.count = address_parse_vsock(where, &t->found.at[0]) == NULL;
	else if (address_parse_host(where, &t->host) == NULL)
		t->found.count = address_from_ip(t->host.host, t->host.port, &t->found.at[0]);
	*ret = &t->transport;
	if (net_await(t, -1, 0, net_on_start, 0))
		return TRANSPORT_OPENING;
	net_close(&t->transport);
	return -ENOMEM;
}

static int
net_open_tcp(const struct transport_env *env, const char *where,
	     const struct transport_events *events, struct transport **ret)
{
	return net_open(&transport_tcp, env, where, events, ret);
}

static int
net_open_tls(const struct transport_env *env, const char *where,
	     const struct transport_events *events, struct transport **ret)
{
	return net_open(&transport_tls, env, where, events, ret);
}

static int
net_open_vsock(const struct transport_env *env, const char *where,
	       const struct transport_events *events, struct transport **ret)
{
	return net_open(&transport_vsock, env, where, events, ret);
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
	const char *why = ((const struct net_transport *)transport)->why;

	return why[0] != '\0' ? why : NULL;
}

/* The socket to the other machine, also where ekey-tls carries its bytes. */
static int
net_fd(const struct transport *transport)
{
	const struct net_transport *t = (const struct net_transport *)transport;

	return t->fd >= 0 ? t->fd : t->open->kind->fd(t->open);
}

#define NET_COMMON \
	.close = net_close, .send = net_send, .set_reading = net_set_reading, .keeps = true, \
	.why = net_why, .fd = net_fd

const struct transport_kind transport_tcp = {.prefix = "tcp:",
					     .check = net_check_host,
					     .open = net_open_tcp,
					     .exposed = true,
					     NET_COMMON};

const struct transport_kind transport_tls = {
	.prefix = "tls:", .check = net_check_host, .open = net_open_tls, NET_COMMON};

const struct transport_kind transport_vsock = {
	.prefix = "vsock:", .check = net_check_vsock, .open = net_open_vsock, NET_COMMON};
