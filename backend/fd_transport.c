/* SPDX-License-Identifier: MIT */
#include "backend/fd_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/appear.h"
#include "backend/inflow.h"
#include "backend/tty.h"
#include "base/net.h"

#define FD_IN_LEN 65536    /* bytes of one read: as much as a Unix socket's sender can queue */
#define FD_TURN_LEN 262144 /* bytes read in one wake-up before others have their turn: 2 ms */
#define FD_SHORT_LEN 2048  /* a read of less has emptied the queue: another would say EAGAIN */
#define FD_OUT_LEN 256     /* bytes that the device has not accepted; it is sent 18 at a time */
#define FD_UNIX_PATH_MAX 107

struct fd_transport {
	struct transport transport;
	struct transport_events events;
	struct tty tty; /* .fd is the fd of either kind */
	struct inflow in;
	struct event *writable;
	int error; /* found while sending; told by the loop, as its removal */
	uint8_t out[FD_OUT_LEN];
	size_t out_len;
};

/* ---- reading ---- */

/* How a socket's other side has closed it depends on who was writing: to the source it is one. */
static void
fd_gone(struct fd_transport *t, int error)
{
	if (error == EPIPE || error == ECONNRESET)
		error = 0;
	inflow_stop(&t->in);
	event_del(t->writable);
	t->events.gone(t->events.arg, error);
}

static void
fd_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fd_transport *t = arg;

	(void)what;
	for (size_t had = 0; inflow_offer(&t->in, &t->events) && had < FD_TURN_LEN;) {
		ssize_t n = read(fd, t->in.bytes, FD_IN_LEN);

		if (n <= 0) {
			/* EIO: a tty whose device, or a pty whose other end, has vanished. */
			if (n == 0 || (errno != EAGAIN && errno != EINTR))
				fd_gone(t, n == 0 ? 0 : errno);
			return;
		}
		inflow_fill(&t->in, (size_t)n);
		had += t->in.len < FD_SHORT_LEN ? FD_TURN_LEN : t->in.len;
	}
}

static void
fd_set_reading(struct transport *transport, bool on)
{
	inflow_set_reading(&((struct fd_transport *)transport)->in, on);
}

/* ---- sending ---- */

static void
fd_flush(struct fd_transport *t)
{
	while (t->out_len > 0) {
		ssize_t n = write(t->tty.fd, t->out, t->out_len);

		if (n >= 0) {
			t->out_len -= (size_t)n;
			memmove(t->out, t->out + n, t->out_len);
		} else if (errno == EAGAIN) {
			event_add(t->writable, NULL);
			return;
		} else if (errno != EINTR) {
			t->error = errno;
			event_active(t->in.removal, EV_READ, 0);
			return;
		}
	}
}

static void
fd_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	struct fd_transport *t = (struct fd_transport *)transport;

	if (t->error != 0)
		return;
	if (len > FD_OUT_LEN - t->out_len) {
		t->error = ETIMEDOUT; /* it has accepted nothing for many commands */
		event_active(t->in.removal, EV_READ, 0);
		return;
	}
	memcpy(t->out + t->out_len, bytes, len);
	t->out_len += len;
	fd_flush(t);
}

static void
fd_on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	fd_flush(arg);
}

/* ---- removal while we do not read ---- */

static void
fd_on_removal(evutil_socket_t fd, short what, void *arg)
{
	struct fd_transport *t = arg;

	(void)fd, (void)what;
	fd_gone(t, t->error);
}

/* ---- life ---- */

/* Everything but the fd itself. */
static void
fd_free(struct fd_transport *t)
{
	inflow_close(&t->in);
	if (t->writable != NULL)
		event_free(t->writable);
	free(t);
}

/* Takes over tty->fd, unless it returns -errno. */
static int
fd_transport_new(struct event_base *base, const struct transport_kind *kind, const struct tty *tty,
		 const struct transport_events *events, struct transport **ret)
{
	struct fd_transport *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	*t = (struct fd_transport){.transport.kind = kind, .events = *events, .tty = *tty};
	t->writable = event_new(base, tty->fd, EV_WRITE, fd_on_writable, t);
	if (t->writable == NULL ||
	    !inflow_open(&t->in, base, tty->fd, FD_IN_LEN, fd_on_readable, fd_on_removal, t)) {
		fd_free(t);
		return -ENOMEM;
	}
	*ret = &t->transport;
	return 0;
}

int
fd_transport_over(struct event_base *base, int fd, const struct transport_events *events,
		  struct transport **ret)
{
	const struct tty socket = {.fd = fd};

	return fd_transport_new(base, &transport_unix, &socket, events, ret);
}

static int
fd_open_unix(const struct transport_env *env, const char *where,
	     const struct transport_events *events, struct transport **ret)
{
	int fd = net_unix_connect(where);
	int result = fd;

	if (result >= 0)
		result = fd_transport_over(env->base, fd, events, ret);
	if (result < 0 && fd >= 0)
		close(fd);
	return result;
}

static int
fd_open_tty(const struct transport_env *env, const char *where,
	    const struct transport_events *events, struct transport **ret)
{
	struct tty tty;
	int result = tty_open(where, &tty);

	if (result < 0)
		return result;
	result = fd_transport_new(env->base, &transport_tty, &tty, events, ret);
	if (result < 0)
		tty_close(&tty);
	return result;
}

static void
fd_close_unix(struct transport *transport)
{
	struct fd_transport *t = (struct fd_transport *)transport;
	int fd = t->tty.fd;

	fd_free(t);
	close(fd);
}

static void
fd_close_tty(struct transport *transport)
{
	struct fd_transport *t = (struct fd_transport *)transport;
	struct tty tty = t->tty;

	fd_free(t);
	tty_close(&tty);
}

static int
fd_of(const struct transport *transport)
{
	return ((const struct fd_transport *)transport)->tty.fd;
}

static const char *
fd_check_unix(const char *where)
{
	if (where[0] != '/')
		return "an absolute path is needed after unix:";
	return strlen(where) <= FD_UNIX_PATH_MAX ? NULL : "the socket's path is too long";
}

static const char *
fd_check_tty(const char *where)
{
	return where[0] == '/' ? NULL : "/dev/... of a tty, or unix:/PATH of a socket, is needed";
}

static void *
fd_watch(const struct transport_env *env, const char *where, void (*fn)(void *arg), void *arg)
{
	return appear_new(env->base, where, fn, arg);
}

static void
fd_unwatch(void *watch)
{
	struct appear *appear = watch;

	appear_free(&appear);
}

const struct transport_kind transport_unix = {
	.prefix = "unix:",
	.check = fd_check_unix,
	.open = fd_open_unix,
	.close = fd_close_unix,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.watch = fd_watch,
	.unwatch = fd_unwatch,
	.fd = fd_of,
};

const struct transport_kind transport_tty = {
	.prefix = "",
	.check = fd_check_tty,
	.open = fd_open_tty,
	.close = fd_close_tty,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.watch = fd_watch,
	.unwatch = fd_unwatch,
};

/* The same, for who likes to say so: an EGD server at a serial line, a guest at its hvc1. */
const struct transport_kind transport_tty_named = {
	.prefix = "tty:",
	.check = fd_check_tty,
	.open = fd_open_tty,
	.close = fd_close_tty,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.watch = fd_watch,
	.unwatch = fd_unwatch,
};
