/* SPDX-License-Identifier: MIT */
#include "lib/fd_pass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/*
 * Room for all, aligned. The kernel gets the length of the wanted number without padding, in which
 * one more would fit.
 */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

int
fd_pass_send(int socket, const struct iovec *parts, size_t count, const int *fds, size_t fd_count,
	     int flags)
{
	const size_t size = fd_count * sizeof(int);
	union control control = {.header = {.cmsg_len = CMSG_LEN(size),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS}};
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};

	if (fd_count > 0) {
		memcpy(CMSG_DATA(&control.header), fds, size);
		message.msg_control = &control;
		message.msg_controllen = CMSG_LEN(size);
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t
fd_pass_receive(int socket, const struct iovec *parts, size_t count, int *ret_fds, size_t fd_max,
		int flags)
{
	union control control = {0};
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
				 .msg_iovlen = count,
				 .msg_control = &control,
				 .msg_controllen = CMSG_LEN(fd_max * sizeof(int))};
	ssize_t n = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);

	for (size_t i = 0; i < fd_max; i++)
		ret_fds[i] = -1;
	if (n < 0)
		return -errno;
	if (CMSG_FIRSTHDR(&message) != NULL && control.header.cmsg_type == SCM_RIGHTS)
		memcpy(ret_fds, CMSG_DATA(&control.header), control.header.cmsg_len - CMSG_LEN(0));
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		return n;
	for (size_t i = 0; i < fd_max; i++)
		if (ret_fds[i] >= 0)
			close(ret_fds[i]);
	memset(ret_fds, -1, fd_max * sizeof(int));
	return -EMSGSIZE;
}
