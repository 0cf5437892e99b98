/* SPDX-License-Identifier: MIT */
#include "priv/parcel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(PARCEL_BATCH * sizeof(int))];
};

int
parcel_new(struct parcel *p)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	parcel_resume(p, ends[0], ends[1]);
	return 0;
}

void
parcel_resume(struct parcel *p, int in, int out)
{
	p->in = in;
	p->out = out;
	p->count = 0;
	p->cut = false;
}

int
parcel_seal(struct parcel *p)
{
	char one = 0;
	struct iovec iov = {&one, 1};
	union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};

	if (p->count == 0)
		return 0;
	control.header.cmsg_len = CMSG_LEN(p->count * sizeof(int));
	message.msg_controllen = CMSG_SPACE(p->count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), p->batch, p->count * sizeof(int));
	p->count = 0;
	return sendmsg(p->in, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int
parcel_put(struct parcel *p, int fd)
{
	p->batch[p->count++] = fd;
	return p->count == PARCEL_BATCH ? parcel_seal(p) : 0;
}

/* The next message, its files in reverse: the last of the batch is the next to be taken. */
static void
open_batch(struct parcel *p)
{
	char one;
	struct iovec iov = {&one, 1};
	union control control;
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_LEN(PARCEL_BATCH * sizeof(int))};
	const struct cmsghdr *c;

	if (p->cut || recvmsg(p->out, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return;
	c = CMSG_FIRSTHDR(&message);
	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	p->cut = (message.msg_flags & MSG_CTRUNC) != 0;
	p->count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (unsigned i = 0; i < p->count; i++)
		memcpy(&p->batch[p->count - 1 - i], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
}

int
parcel_take(struct parcel *p)
{
	if (p->count == 0)
		open_batch(p);
	return p->count > 0 ? p->batch[--p->count] : -1;
}

void
parcel_close(struct parcel *p)
{
	for (int fd; (fd = parcel_take(p)) >= 0;)
		close(fd);
	close(p->in);
	close(p->out);
}
