/* SPDX-License-Identifier: MIT */
/* Whether the other end of a socket is this process: a daemon that asks itself waits without end.
 */
#ifndef BACKEND_PEER_H
#define BACKEND_PEER_H

enum peer {
	PEER_OTHER, /* another process, or no socket that could be ours */
	PEER_NEAR,  /* on this machine, and perhaps this process: its process id shows it */
	PEER_SELF,
};

/* `fd`: connected; PEER_OTHER for any but a socket. */
enum peer peer_of(int fd);

#endif
