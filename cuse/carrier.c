/* SPDX-License-Identifier: MIT */
#include "cuse/carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

int
carrier_fail(struct carrier *c, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->problem, sizeof(c->problem), format, args);
	va_end(args);
	return error;
}

/* Numbers that libfuse keeps to itself, and that a next generation would need: see table.h. */
static void
carrier_note(struct carrier *c, const struct fuse_in_header *in, size_t len)
{
	const void *body = in + 1;
	size_t body_len = len - sizeof(*in);

	c->unique = in->unique;
	if (in->opcode == FUSE_POLL && body_len >= sizeof(struct fuse_poll_in))
		c->poll_handle = ((const struct fuse_poll_in *)body)->kh;
	else if (in->opcode == FUSE_INIT || in->opcode == CUSE_INIT)
		table_keep_init(requests_table(c->requests), in->opcode, body, body_len);
}

/* libfuse wants one, and is never asked to read: see carrier_drain(). */
static ssize_t
carrier_read(int fd, void *bytes, size_t len, void *userdata)
{
	(void)fd, (void)bytes, (void)len, (void)userdata;
	return -1;
}

static ssize_t
carrier_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct carrier *c = userdata;
	ssize_t len = 0;

	if (!c->mute)
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++)
		len += (ssize_t)iov[i].iov_len;
	return len;
}

int
carrier_attach(struct carrier *c, int fd)
{
	static const struct fuse_custom_io io = {.writev = carrier_writev, .read = carrier_read};
	int result;

	c->fd = fd;
	c->abort_fd = -1;
	c->initialised = false;
	c->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	c->session = c->null_fd < 0 ? NULL : c->kind->session(c);
	result = c->session == NULL ? -ENOMEM : fuse_session_custom_io(c->session, &io, fd);
	if (result != 0) {
		close(fd); /* not yet the session's */
		carrier_detach(c);
		return carrier_fail(c, -ENOMEM, "no session of libfuse could be made");
	}
	return 0;
}

void
carrier_detach(struct carrier *c)
{
	requests_abandon(c->requests);
	if (c->session != NULL)
		fuse_session_destroy(c->session); /* closes fd too */
	c->session = NULL;
	if (c->abort_fd >= 0)
		close(c->abort_fd);
	if (c->null_fd >= 0)
		close(c->null_fd);
	c->fd = c->abort_fd = c->null_fd = -1;
}

void
carrier_process(struct carrier *c, void *request, size_t len)
{
	const struct fuse_buf buffer = {.size = len, .mem = request};

	if (len < sizeof(struct fuse_in_header))
		return;
	carrier_note(c, request, len);
	fuse_session_process_buf(c->session, &buffer);
}

/*
 * Read by ourselves and not by libfuse: into the table, where a next generation finds what we did
 * not live to answer. The length is the kernel's own, the first word that it writes.
 */
static ssize_t
carrier_take(const struct carrier *c)
{
	struct table *t = requests_table(c->requests);
	ssize_t n = read(c->fd, t->request, sizeof(t->request));

	return n < 0 ? -errno : n;
}

void
carrier_done(const struct carrier *c)
{
	memset(requests_table(c->requests)->request, 0, sizeof(uint32_t));
}

int
carrier_drain(struct carrier *c)
{
	for (int i = 0; i < CARRIER_BATCH; i++) {
		ssize_t n = carrier_take(c);

		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n == -ENOENT) /* whoever asked is gone */
			continue;
		if (n <= 0)
			return n == 0 ? -ENODEV : (int)n;
		carrier_process(c, requests_table(c->requests)->request, (size_t)n);
		carrier_done(c);
	}
	return 0;
}

/*
 * Until the session has answered the kernel's INIT. A connection that ends right after that is for
 * publish() to explain.
 */
static int
carrier_shake_hands(struct carrier *c)
{
	uint64_t deadline_ms = clock_now_ms() + CARRIER_INIT_MS;

	while (!c->initialised) {
		uint64_t now_ms = clock_now_ms();
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		int result;

		if (now_ms >= deadline_ms)
			return carrier_fail(c, -ETIMEDOUT, "the kernel did not answer in time");
		if (poll(&p, 1, (int)(deadline_ms - now_ms)) <= 0)
			continue;
		result = carrier_drain(c);
		if (result < 0 && !c->initialised)
			return carrier_fail(c, result, "the kernel ended the connection: %s",
					    strerror(-result));
	}
	return 0;
}

int
carrier_open(struct carrier *c)
{
	int result = c->kind->connect(c);

	if (result < 0)
		return result;
	result = carrier_attach(c, result);
	if (result < 0) {
		c->kind->withdraw(c);
		return result;
	}
	result = carrier_shake_hands(c);
	if (result == 0)
		result = c->kind->publish(c);
	if (result < 0)
		carrier_close(c);
	return result;
}

void
carrier_close(struct carrier *c)
{
	carrier_detach(c);
	c->kind->withdraw(c);
}

/*
 * The kernel aborts a connection when its last descriptor goes. Replacing it, rather than closing
 * it, leaves its number harmless for the thread that may yet come back and use it.
 */
void
carrier_abort(const struct carrier *c)
{
	if (c->abort_fd < 0 || write(c->abort_fd, "1", 1) != 1)
		dup3(c->null_fd, c->fd, O_CLOEXEC);
}
