/* SPDX-License-Identifier: MIT */
/* Whether the other end of a socket is this very process: who reads from itself waits for ever. */
#ifndef BACKEND_PEER_H
#define BACKEND_PEER_H

enum peer {
	PEER_OTHER, /* another process, or nothing that could be us */
	PEER_NEAR,  /* on this machine, and it may be us: its process id tells */
	PEER_SELF,
};

/* `fd`: connected; what is no socket is PEER_OTHER. */
enum peer peer_of(int fd);

#endif
