/* SPDX-License-Identifier: MIT */
#include "backend/transport/fd_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backend/transport/path_watch.h"
#include "backend/transport/tty.h"
#include "lib/clock.h"
#include "lib/net.h"
#include "lib/secret.h"
#include "lib/xen_channel.h"

#define FD_IN_LEN 65536    /* bytes of one read: as much as a Unix socket's sender can queue */
#define FD_TURN_LEN 262144 /* bytes read in one wake-up before other events: 2 ms */
#define FD_SHORT_LEN 2048  /* a read of less has emptied the queue: another would say EAGAIN */
#define FD_OUT_LEN 256     /* bytes that the device has not accepted; it is sent 18 at a time */
#define FD_UNIX_PATH_MAX 107
/*
 * A device that epoll refuses (/dev/hwrng) is read on a timer: pieces of FD_POLL_LEN bytes, of
 * which a slow chip needs 20 ms for one, until FD_POLL_BUSY_MS have passed.
 */
#define FD_POLL_MS 50
#define FD_POLL_LEN 64
#define FD_POLL_BUSY_MS 2
#define FD_POLL_TURN_LEN 4096

struct fd_transport {
	struct transport transport;
	struct transport_events events;
	struct tty tty;         /* or a socket */
	struct event *readable; /* a timer of a device that epoll refuses */
	struct event *writable;
	struct event *removal; /* on a hang-up, while nothing is read; fires once */
	int removal_fd; /* -1: epoll refuses the device, whose removal is found when it is read */
	bool reading;
	uint8_t *in; /* FD_IN_LEN bytes, secret; `in_len` of them at `in_at` are not taken yet */
	size_t in_at, in_len;
	int error; /* of a send, for gone() from the loop */
	uint8_t out[FD_OUT_LEN];
	size_t out_len;
};

/* ---- reading ---- */

/* A socket's other side has closed it, whatever the error: that depends on who was writing. */
static void
fd_gone(struct fd_transport *t, int error)
{
	if (error == EPIPE || error == ECONNRESET)
		error = 0;
	event_del(t->readable);
	event_del(t->removal);
	event_del(t->writable);
	t->events.gone(t->events.arg, error);
}

/* Gives the bytes that were read, and wipes those that are taken; true when more is wanted. */
static bool
fd_offer(struct fd_transport *t)
{
	size_t taken = t->events.bytes(t->events.arg, t->in + t->in_at, t->in_len);

	secret_wipe(t->in + t->in_at, taken); /* perhaps entropy in the clear */
	t->in_at += taken;
	t->in_len -= taken;
	return t->in_len == 0 && t->reading;
}

/* Returns how many bytes were read; 0: none now, or the transport has ended, and may be freed. */
static size_t
fd_read(struct fd_transport *t, size_t max)
{
	ssize_t n = read(t->tty.fd, t->in, max);

	if (n > 0) {
		t->in_at = 0;
		t->in_len = (size_t)n;
		return (size_t)n;
	}
	/* EIO: a tty whose device, or a pty whose other end, has vanished. */
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		fd_gone(t, n == 0 ? 0 : errno);
	return 0;
}

static void
fd_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fd_transport *t = arg;
	size_t n = 0;

	(void)fd, (void)what;
	for (size_t had = 0; fd_offer(t) && had < FD_TURN_LEN;) {
		n = fd_read(t, FD_IN_LEN);
		if (n == 0)
			return;
		had += n < FD_SHORT_LEN ? FD_TURN_LEN : n;
	}
}

static void
fd_on_poll(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval wait = clock_timeval(FD_POLL_MS);
	uint64_t end_ms = clock_now_ms() + FD_POLL_BUSY_MS;
	struct fd_transport *t = arg;
	size_t n = 1;

	(void)fd, (void)what;
	event_add(t->readable, &wait);
	for (size_t had = 0; fd_offer(t) && had < FD_POLL_TURN_LEN && clock_now_ms() < end_ms;) {
		n = fd_read(t, FD_POLL_LEN);
		if (n == 0)
			return;
		had += n;
	}
}

static void
fd_on_removal(evutil_socket_t fd, short what, void *arg)
{
	struct fd_transport *t = arg;

	(void)fd, (void)what;
	fd_gone(t, t->error);
}

static void
fd_set_reading(struct transport *transport, bool on)
{
	struct fd_transport *t = (struct fd_transport *)transport;

	if (t->reading == on)
		return;
	t->reading = on;
	if (on) {
		event_del(t->removal);
		if (t->removal_fd >= 0)
			event_add(t->readable, NULL);
		event_active(t->readable, EV_READ, 0); /* the bytes still held come first */
	} else {
		event_del(t->readable);
		if (t->removal_fd >= 0)
			event_add(t->removal, NULL);
	}
}

/* ---- sending ---- */

/* The loop reports it as the transport's end. */
static void
fd_fail(struct fd_transport *t, int error)
{
	t->error = error;
	event_active(t->removal, EV_READ, 0);
}

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
			fd_fail(t, errno);
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
		fd_fail(t, ETIMEDOUT); /* the device has accepted nothing for many commands */
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

/* ---- life ---- */

/*
 * Returns an fd that is readable once `fd` has hung up, or its other side has ended; or -errno.
 * libevent cannot wait for a hang-up alone: it reports a tty's as "readable", and would spin while
 * nothing is read.
 */
static int
fd_watch_hangup(int fd)
{
	struct epoll_event hang_up = {.events = EPOLLRDHUP}; /* HUP and ERR are always included */
	int watch_fd = epoll_create1(EPOLL_CLOEXEC), error;

	if (watch_fd < 0 || epoll_ctl(watch_fd, EPOLL_CTL_ADD, fd, &hang_up) == 0)
		return watch_fd < 0 ? -errno : watch_fd;
	error = errno;
	close(watch_fd);
	return -error;
}

/* Everything but the fd itself. */
static void
fd_free(struct fd_transport *t)
{
	struct event *const events[] = {t->readable, t->removal, t->writable};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (t->removal_fd >= 0)
		close(t->removal_fd);
	secret_free(t->in, FD_IN_LEN);
	free(t);
}

static bool
fd_make_events(struct fd_transport *t, struct event_base *base)
{
	const struct timeval now = {0};
	int fd = t->tty.fd, watch_fd = fd_watch_hangup(fd);
	bool polled = watch_fd == -EPERM;

	if (watch_fd < 0 && !polled)
		return false;
	t->removal_fd = polled ? -1 : watch_fd;
	t->readable = polled ? evtimer_new(base, fd_on_poll, t)
			     : event_new(base, fd, EV_READ | EV_PERSIST, fd_on_readable, t);
	t->removal = event_new(base, t->removal_fd, EV_READ, fd_on_removal, t);
	t->writable = event_new(base, fd, EV_WRITE, fd_on_writable, t);
	return t->readable != NULL && t->removal != NULL && t->writable != NULL &&
	       event_add(t->readable, polled ? &now : NULL) == 0;
}

/* Takes over tty->fd, unless it returns -errno. */
static int
fd_transport_new(struct event_base *base, const struct transport_kind *kind, const struct tty *tty,
		 const struct transport_events *events, struct transport **ret)
{
	struct fd_transport *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	*t = (struct fd_transport){.transport.kind = kind,
				   .events = *events,
				   .tty = *tty,
				   .removal_fd = -1,
				   .reading = true,
				   .in = secret_new(FD_IN_LEN)};
	if (t->in == NULL || !fd_make_events(t, base)) {
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
	int result = env->any_file ? tty_open_input(where, &tty) : tty_open(where, &tty);

	if (result < 0)
		return result;
	result = fd_transport_new(env->base, &transport_tty, &tty, events, ret);
	if (result < 0)
		tty_close(&tty);
	return result;
}

static int
fd_open_xen(const struct transport_env *env, const char *where,
	    const struct transport_events *events, struct transport **ret)
{
	char path[XEN_CHANNEL_PATH_MAX];
	int result = xen_channel_find(XEN_CHANNEL_NAME, path);

	(void)where;
	return result == 0 ? fd_open_tty(env, path, events, ret) : result;
}

static void
fd_close(struct transport *transport)
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

/* ---- the kinds ---- */

static const char *
fd_check_unix(const char *where)
{
	if (where[0] != '/')
		return "expected an absolute path after unix:";
	return strlen(where) <= FD_UNIX_PATH_MAX ? NULL : "the socket's path is too long";
}

static const char *
fd_check_tty(const char *where)
{
	return where[0] == '/' ? NULL : "expected /dev/... of a tty, or unix:/PATH of a socket";
}

static const char *
fd_check_xen(const char *where)
{
	return where[0] == '\0' ? NULL : "expected xen alone: its channel has a name";
}

static const char *
fd_error_text(int error)
{
	switch (error) {
	case ENOTTY:
		return "expected a tty";
	case EMEDIUMTYPE:
		return "expected a character device, a tty or a FIFO; a socket is unix:/PATH";
	case EDEADLK:
		return "the device of a CUSE server, perhaps of this daemon, cannot be a source";
	default:
		return NULL;
	}
}

static void *
fd_watch(const struct transport_env *env, const char *where, void (*fn)(void *arg), void *arg)
{
	return path_watch_new(env->base, where, fn, arg);
}

static void
fd_unwatch(void *watch)
{
	struct path_watch *path_watch = watch;

	path_watch_free(&path_watch);
}

const struct transport_kind transport_unix = {
	.prefix = "unix:",
	.check = fd_check_unix,
	.open = fd_open_unix,
	.close = fd_close,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.watch = fd_watch,
	.unwatch = fd_unwatch,
	.fd = fd_of,
};

const struct transport_kind transport_tty = {
	.prefix = "tty:",
	.check = fd_check_tty,
	.open = fd_open_tty,
	.close = fd_close,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.watch = fd_watch,
	.unwatch = fd_unwatch,
	.error_text = fd_error_text,
	.fd = fd_of,
};

const struct transport_kind transport_xen = {
	.prefix = "xen",
	.check = fd_check_xen,
	.open = fd_open_xen,
	.close = fd_close,
	.send = fd_send,
	.set_reading = fd_set_reading,
	.keeps = true,
	.error_text = xen_channel_error_text,
	.fd = fd_of,
};
