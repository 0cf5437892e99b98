/* SPDX-License-Identifier: MIT */
/* Whether the other end of a socket is this process: a daemon that asks itself waits without end.
 */
#ifndef BACKEND_TRANSPORT_SELF_CHECK_H
#define BACKEND_TRANSPORT_SELF_CHECK_H

enum self_check {
	SELF_CHECK_OTHER, /* another process, or no socket that could be ours */
	SELF_CHECK_NEAR,  /* on this machine, and perhaps this process: its process id shows it */
	SELF_CHECK_SELF,
};

/* `fd`: connected; SELF_CHECK_OTHER for any but a socket. */
enum self_check self_check(int fd);

#endif
