/* SPDX-License-Identifier: MIT */
#include "priv/kept.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
	uint32_t act;
	uint32_t there; /* bit i: fds[i] comes along */
	char path[KEPT_PATH_MAX];
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(KEPT_FDS * sizeof(int))];
};

int
kept_send(int socket, enum kept_act act, const struct kept *k)
{
	struct message m = {.act = act};
	struct iovec iov = {&m, sizeof(m)};
	union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[KEPT_FDS];
	size_t count = 0;

	for (unsigned i = 0; k != NULL && i < KEPT_FDS; i++) {
		if (k->fds[i] < 0)
			continue;
		fds[count++] = k->fds[i];
		m.there |= 1U << i;
	}
	if (k != NULL)
		memcpy(m.path, k->path, sizeof(m.path));
	if (count > 0) {
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* How many fds came; they are ours whatever else is wrong. */
static size_t
take_fds(struct msghdr *header, int ret[static KEPT_FDS])
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(header);
	size_t count;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret, CMSG_DATA(c), count * sizeof(int));
	return count;
}

static int
unpack(const struct message *m, const int *fds, size_t count, struct kept *ret)
{
	size_t taken = 0;

	*ret = (struct kept){.fds = {-1, -1, -1}};
	for (unsigned i = 0; i < KEPT_FDS && taken < count; i++)
		if (m->there & 1U << i)
			ret->fds[i] = fds[taken++];
	memcpy(ret->path, m->path, sizeof(ret->path));
	if (taken == count && (unsigned)__builtin_popcount(m->there) == count &&
	    memchr(ret->path, '\0', sizeof(ret->path)) != NULL && m->act <= KEPT_END)
		return 0;
	while (taken < count)
		close(fds[taken++]);
	kept_close(ret);
	return -EPROTO;
}

int
kept_receive(int socket, enum kept_act *ret_act, struct kept *ret)
{
	struct message m = {0};
	struct iovec iov = {&m, sizeof(m)};
	union control control;
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				/* no more than there is room for: CMSG_SPACE() rounds up */
				.msg_controllen = CMSG_LEN(KEPT_FDS * sizeof(int))};
	ssize_t n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	int fds[KEPT_FDS], result;
	size_t count;

	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
	count = take_fds(&header, fds);
	result = unpack(&m, fds, count, ret);
	if (result == 0 &&
	    (n != (ssize_t)sizeof(m) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)) {
		kept_close(ret);
		result = -EPROTO;
	}
	*ret_act = (enum kept_act)m.act;
	return result;
}

int
kept_answer(int socket, int32_t answer)
{
	return send(socket, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int
kept_await(int socket, int timeout_ms)
{
	struct pollfd p = {.fd = socket, .events = POLLIN};
	int32_t answer;
	int ready;

	do
		ready = poll(&p, 1, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	return recv(socket, &answer, sizeof(answer), MSG_DONTWAIT) == (ssize_t)sizeof(answer)
		       ? answer
		       : -EPIPE;
}

void
kept_close(struct kept *k)
{
	for (unsigned i = 0; i < KEPT_FDS; i++) {
		if (k->fds[i] >= 0)
			close(k->fds[i]);
		k->fds[i] = -1;
	}
}
