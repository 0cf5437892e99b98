/* SPDX-License-Identifier: MIT */
/* Stream sockets: Unix by path, TCP and vsock. All fds are non-blocking and close-on-exec. */
#ifndef LIB_NET_H
#define LIB_NET_H

#include <sys/types.h>

#include "lib/address.h"

/*
 * Listens on `path` with permission bits `mode`. A socket left there by a process that is gone is
 * replaced; -EADDRINUSE when a process still answers, -EEXIST when it is not a socket.
 * Returns the fd or -errno (-ENAMETOOLONG above 107 bytes).
 */
int net_unix_listen(const char *path, mode_t mode);

/*
 * Changes the socket at `path`, or removes it, but no other kind of file that may be there. 0 or
 * -errno: -EEXIST, it is no socket.
 */
int net_unix_chmod(const char *path, mode_t mode);
int net_unix_chown(const char *path, uid_t uid, gid_t gid);
void net_unix_unlink(const char *path);

/*
 * Closes the last descriptor of a socket; one that listened at a path, and is dead now, is removed
 * there.
 */
void net_unix_discard(int fd);

/* Returns a connected fd, or -errno (-EAGAIN when the peer's backlog is full). */
int net_unix_connect(const char *path);
int net_unix_connect_packets(const char *path); /* SOCK_SEQPACKET */

/* The user at the other end of a Unix socket; (uid_t)-1: unknown. */
uid_t net_peer_uid(int fd);

/* Listens on TCP or vsock. The fd or -errno. "[::]" takes IPv4 too; see address_unmap(). */
int net_listen(const struct address *address);

/* A hint for the user when net_listen() failed with -`error`: behind strerror(), or "". */
const char *net_listen_hint(int error);

/*
 * Takes a connection from a listening socket of any kind. The fd, with the peer in *ret (unmapped),
 * or -errno: -EAGAIN when no client waits. A TCP connection is kept alive, and not delayed.
 */
int net_accept(int listener, struct address *ret);

/*
 * Begins to connect over TCP or vsock, kept alive, not delayed. The fd or -errno; when the fd is
 * writable net_connected() tells how it went.
 */
int net_connect(const struct address *address);

/* 0 when connected, else -errno. Once for each net_connect(). */
int net_connected(int fd);

#endif
