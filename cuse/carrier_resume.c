/* SPDX-License-Identifier: MIT */
/*
 * A connection whose server is gone, taken over. What a former generation had taken from the kernel
 * and not answered is put through libfuse a second time, as if it came only now: from there on
 * nothing knows that it is old, and answers and interrupts take their usual way.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

#include "cuse/carrier.h"

/* The longest is an INIT. */
struct message {
	struct fuse_in_header in;
	uint8_t body[TABLE_INIT_MAX];
};

static void
replay(struct carrier *c, const struct fuse_in_header *in, const void *body, size_t len)
{
	struct message message = {.in = *in};

	message.in.len = (uint32_t)(sizeof(*in) + len);
	message.in.nodeid = FUSE_ROOT_ID;
	memcpy(message.body, body, len);
	carrier_process(c, &message, message.in.len);
}

/* The kernel has had its answer long ago. */
static int
replay_init(struct carrier *c)
{
	const struct table *t = requests_table(c->requests);
	const struct fuse_in_header in = {.opcode = t->init_opcode, .unique = 1};

	c->mute = true;
	replay(c, &in, t->init, t->init_len);
	c->mute = false;
	return c->initialised ? 0 : carrier_fail(c, -EPROTO, "libfuse does not take its handshake");
}

/* Only reads that had to wait are pending, so they were blocking ones. */
static void
replay_reads(struct carrier *c)
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
 * The request in hand, unless it came as far as the table. It may have been answered already: then
 * the kernel knows it no more, and what a read took for it is lost.
 */
static void
replay_last(struct carrier *c)
{
	struct table *t = requests_table(c->requests);
	struct fuse_in_header in;

	memcpy(&in, t->request, sizeof(in));
	if (in.len >= sizeof(in) && in.len <= sizeof(t->request) &&
	    !table_read_is_pending(t, in.unique))
		carrier_process(c, t->request, in.len);
	carrier_done(c);
}

/*
 * Whoever sleeps in poll is woken and asks again, of us: the kernel does that by itself, and who
 * called poll() sees nothing of it.
 */
static void
wake_polls(const struct carrier *c)
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
		(void)!writev(c->fd, iov, 2); /* it may be gone */
		f->poll_wanted = false;
	}
}

static int
take_up(struct carrier *c)
{
	int result = replay_init(c);

	if (result < 0)
		return result;
	if (!requests_resume(c->requests))
		return carrier_fail(c, -ENFILE, "the pool has no place for all who have it open");
	replay_reads(c);
	replay_last(c);
	wake_polls(c);
	return 0;
}

int
carrier_reattach(struct carrier *c, int fd)
{
	int result = carrier_attach(c, fd);

	if (result < 0)
		return result;
	result = take_up(c);
	if (result < 0)
		carrier_detach(c);
	return result;
}

int
carrier_resume(struct carrier *c, int fd)
{
	int result = carrier_reattach(c, fd);

	if (result < 0)
		return result;
	result = c->kind->publish(c);
	if (result < 0)
		carrier_detach(c);
	return result;
}
