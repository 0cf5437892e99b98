/* SPDX-License-Identifier: MIT */
/* Unix stream sockets by path. All fds are non-blocking and close-on-exec. */
#ifndef BASE_NET_H
#define BASE_NET_H

#include <sys/types.h>

/*
 * Listens on `path` with permission bits `mode`. A socket left there by a process that is gone is
 * replaced; -EADDRINUSE when somebody still answers, -EEXIST when it is not a socket.
 * Returns the fd or -errno (-ENAMETOOLONG above 107 bytes).
 */
int net_unix_listen(const char *path, mode_t mode);

/* Returns a connected fd, or -errno (-EAGAIN when the peer's backlog is full). */
int net_unix_connect(const char *path);

#endif
