/* SPDX-License-Identifier: MIT */
/*
 * Accepts the connections of a listening socket, in an event loop. Without a free file descriptor
 * or memory the socket would stay readable: accepting is paused for a second, with a line in the
 * log.
 */
#ifndef LIB_ACCEPTOR_H
#define LIB_ACCEPTOR_H

#include <event2/event.h>

#include "lib/address.h"
#include "lib/log.h"

/* The first five fields are the caller's, before acceptor_start(); the others are zero. */
struct acceptor {
	const char *kind, *name; /* for the log; outlive it */
	unsigned batch;          /* connections accepted before other events have their turn */
	/* Takes over `fd`, which is non-blocking and close-on-exec. Must not stop the acceptor. */
	void (*accepted)(void *arg, int fd, const struct address *peer);
	void *arg;
	unsigned spare_fds; /* file descriptors that connections leave free for others */
	struct event *readable, *resume;
	struct log_limit paused_limit;
};

/* The caller owns the listening socket, and stops the acceptor before it closes it. False: no
 * memory. */
bool acceptor_start(struct acceptor *a, struct event_base *base, int listener);

/* Of one that was not started, too. */
void acceptor_stop(struct acceptor *a);

#endif
