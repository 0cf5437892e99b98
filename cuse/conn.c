/* SPDX-License-Identifier: MIT */
#include "cuse/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/clock.h"

int
conn_fail(struct conn *c, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->problem, sizeof(c->problem), format, args);
	va_end(args);
	return error;
}

/* Notes numbers that libfuse does not report, and that the next daemon needs: see table.h. */
static void
note_numbers(struct conn *c, const struct fuse_in_header *in, size_t len)
{
	const void *body = in + 1;
	size_t body_len = len - sizeof(*in);

	c->unique = in->unique;
	if (in->opcode == FUSE_POLL && body_len >= sizeof(struct fuse_poll_in))
		c->poll_handle = ((const struct fuse_poll_in *)body)->kh;
	else if (in->opcode == FUSE_INIT || in->opcode == CUSE_INIT)
		table_keep_init(requests_table(c->requests), in->opcode, body, body_len);
}

/* libfuse requires one, and never calls it: see conn_drain(). */
static ssize_t
conn_read(int fd, void *bytes, size_t len, void *userdata)
{
	(void)fd, (void)bytes, (void)len, (void)userdata;
	return -1;
}

static ssize_t
conn_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct conn *c = userdata;
	ssize_t len = 0;

	if (!c->mute)
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++)
		len += (ssize_t)iov[i].iov_len;
	return len;
}

int
conn_attach(struct conn *c, int fd)
{
	static const struct fuse_custom_io io = {.writev = conn_writev, .read = conn_read};
	int result;

	c->fd = fd;
	c->initialised = false;
	c->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	c->session = c->null_fd < 0 ? NULL : c->kind->session(c);
	result = c->session == NULL ? -ENOMEM : fuse_session_custom_io(c->session, &io, fd);
	if (result != 0) {
		close(fd); /* not yet the session's */
		conn_detach(c);
		return conn_fail(c, -ENOMEM, "no session of libfuse could be made");
	}
	return 0;
}

void
conn_detach(struct conn *c)
{
	requests_abandon(c->requests);
	if (c->session != NULL)
		fuse_session_destroy(c->session); /* closes fd too */
	c->session = NULL;
	if (c->null_fd >= 0)
		close(c->null_fd);
	c->fd = c->null_fd = -1;
}

static void
process(struct conn *c, void *request, size_t len)
{
	const struct fuse_buf buffer = {.size = len, .mem = request};

	if (len < sizeof(struct fuse_in_header))
		return;
	note_numbers(c, request, len);
	fuse_session_process_buf(c->session, &buffer);
}

static void
forget_request(const struct conn *c)
{
	memset(requests_table(c->requests)->request, 0, sizeof(uint32_t));
}

/*
 * Reads by ourselves and not by libfuse: into the table, where the next daemon finds the request
 * that this one did not live to answer. The kernel writes its length in the first word.
 */
int
conn_drain(struct conn *c)
{
	struct table *t = requests_table(c->requests);

	for (int i = 0; i < CONN_BATCH; i++) {
		ssize_t n = read(c->fd, t->request, sizeof(t->request));

		if (n < 0 && errno == ENOENT) /* the task that asked is gone */
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -ENODEV;
		process(c, t->request, (size_t)n);
		forget_request(c);
	}
	return 0;
}

/*
 * Serves until the session has answered the kernel's INIT. A connection that ends right after that
 * is explained by publish().
 */
static int
handshake(struct conn *c)
{
	uint64_t deadline_ms = clock_now_ms() + CONN_INIT_MS;

	while (!c->initialised) {
		uint64_t now_ms = clock_now_ms();
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		int result;

		if (now_ms >= deadline_ms)
			return conn_fail(c, -ETIMEDOUT, "the kernel did not answer in time");
		if (poll(&p, 1, (int)(deadline_ms - now_ms)) <= 0)
			continue;
		result = conn_drain(c);
		if (result < 0 && !c->initialised)
			return conn_fail(c, result, "the kernel ended the connection: %s",
					 strerror(-result));
	}
	return 0;
}

int
conn_open(struct conn *c)
{
	int result = c->kind->connect(c);

	if (result < 0)
		return result;
	result = conn_attach(c, result);
	if (result < 0) {
		c->kind->withdraw(c);
		return result;
	}
	result = handshake(c);
	if (result == 0)
		result = c->kind->publish(c);
	if (result < 0)
		conn_close(c);
	return result;
}

/*
 * Answered by hand, since fuse_reply_open() cannot give all flags. The kernel releases no file
 * whose opening it did not take.
 */
void
conn_open_file(const struct conn *c, fuse_req_t req, int flags, uint32_t answer_flags)
{
	struct fuse_open_out out = {.open_flags = answer_flags};
	uint64_t fh;
	int error = requests_open(c->requests, fuse_req_ctx(req)->uid, flags, &fh);

	if (error != 0) {
		fuse_reply_err(req, error);
		return;
	}
	out.fh = fh;
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) != 0)
		requests_release(c->requests, fh);
}

/* ---- resuming: requests of the previous daemon go through libfuse a second time ---- */

/* The longest is an INIT. */
struct message {
	struct fuse_in_header in;
	uint8_t body[TABLE_INIT_MAX];
};

static void
replay(struct conn *c, const struct fuse_in_header *in, const void *body, size_t len)
{
	struct message message = {.in = *in};

	message.in.len = (uint32_t)(sizeof(*in) + len);
	message.in.nodeid = FUSE_ROOT_ID;
	memcpy(message.body, body, len);
	process(c, &message, message.in.len);
}

/* The kernel was answered by the previous daemon. */
static int
replay_init(struct conn *c)
{
	const struct table *t = requests_table(c->requests);
	const struct fuse_in_header in = {.opcode = t->init_opcode, .unique = 1};

	c->mute = true;
	replay(c, &in, t->init, t->init_len);
	c->mute = false;
	return c->initialised ? 0 : conn_fail(c, -EPROTO, "libfuse rejects its handshake");
}

/* Only reads that had to wait are pending, so they were blocking ones. */
static void
replay_reads(struct conn *c)
{
	const struct table *t = requests_table(c->requests);

	for (uint32_t i = 0; i < t->reads_used; i++) {
		const struct table_read *p = &t->reads[i];
		const struct fuse_read_in read = {.fh = p->file, .size = p->asked};
		struct fuse_in_header in = {.opcode = FUSE_READ, .unique = p->unique};

		if (p->unique == 0)
			continue;
		in.uid = t->files[p->file].uid;
		requests_replay(c->requests, i);
		replay(c, &in, &read, sizeof(read));
	}
	requests_replay(c->requests, TABLE_NONE);
}

/*
 * Replays the request that was being handled, unless it is in the table's reads. If it was answered
 * already, the kernel refuses the answer, and bytes for it are lost.
 */
static void
replay_last(struct conn *c)
{
	struct table *t = requests_table(c->requests);
	struct fuse_in_header in;

	memcpy(&in, t->request, sizeof(in));
	if (in.len >= sizeof(in) && in.len <= sizeof(t->request) &&
	    !table_read_is_pending(t, in.unique))
		process(c, t->request, in.len);
	forget_request(c);
}

/* Wakes the tasks that sleep in poll: the kernel then polls this daemon, unseen by the tasks. */
static void
wake_polls(const struct conn *c)
{
	struct table *t = requests_table(c->requests);

	for (uint32_t i = 0; i < t->files_used; i++) {
		struct table_file *f = &t->files[i];
		struct fuse_notify_poll_wakeup_out wake = {.kh = f->poll_handle};
		struct fuse_out_header out = {.len = sizeof(out) + sizeof(wake),
					      .error = FUSE_NOTIFY_POLL};
		const struct iovec iov[] = {{&out, sizeof(out)}, {&wake, sizeof(wake)}};

		if (!f->open || !f->poll_wanted)
			continue;
		(void)!writev(c->fd, iov, 2); /* its task may be gone */
		f->poll_wanted = false;
	}
}

static int
resume_session(struct conn *c)
{
	int result = replay_init(c);

	if (result < 0)
		return result;
	if (!requests_resume(c->requests))
		return conn_fail(c, -ENFILE, "the pool has no room for all its open files");
	replay_reads(c);
	replay_last(c);
	wake_polls(c);
	return c->kind->publish(c);
}

int
conn_resume(struct conn *c, int fd)
{
	int result = conn_attach(c, fd);

	if (result < 0)
		return result;
	result = resume_session(c);
	if (result < 0)
		conn_detach(c);
	return result;
}

/* ---- ending ---- */

void
conn_close(struct conn *c)
{
	conn_detach(c);
	c->kind->withdraw(c);
}

/*
 * The kernel aborts a connection when its last descriptor goes. Replacing it, rather than closing
 * it, leaves its number harmless for the thread that may yet come back and use it.
 */
void
conn_abort(const struct conn *c)
{
	dup3(c->null_fd, c->fd, O_CLOEXEC);
}
