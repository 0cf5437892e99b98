/* SPDX-License-Identifier: MIT */
/* Messages on Unix sockets with file descriptors beside the bytes (unix(7), SCM_RIGHTS). */
#ifndef LIB_FD_PASS_H
#define LIB_FD_PASS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define FD_PASS_MAX 2 /* of a message */

/* Sends all `parts` with `fds`, which stay open here. `flags`: of sendmsg(2). 0 or -errno. */
int fd_pass_send(int socket, const struct iovec *parts, size_t count, const int *fds,
		 size_t fd_count, int flags);

/*
 * Receives into `parts`. Returns the length, 0 at the end, or -errno; -EMSGSIZE: the message has
 * more bytes, or more than `fd_max` descriptors. ret_fds[0..fd_max) are the caller's
 * (close-on-exec); -1: none came.
 */
ssize_t fd_pass_receive(int socket, const struct iovec *parts, size_t count, int *ret_fds,
			size_t fd_max, int flags);

#endif
