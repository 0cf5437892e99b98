/* SPDX-License-Identifier: MIT */
/*
 * Connects to a host in the background: looks its name up, tries its addresses one after the other,
 * ten seconds each.
 */
#ifndef BACKEND_DIAL_H
#define BACKEND_DIAL_H

#include <event2/event.h>

#include "base/address.h"

#define DIAL_WAIT_S 10

struct dial;

/* One of the two comes, once, from the event loop; dial_free() may be called from it. */
struct dial_events {
	/* `fd` is the receiver's. */
	void (*connected)(void *arg, int fd);
	/* `why`: "192.0.2.1:8888: Connection refused"; lives until dial_free(). */
	void (*failed)(void *arg, int error, const char *why);
	void *arg;
};

/* By name or in numbers. NULL: no memory. */
struct dial *dial_host(struct event_base *base, const struct address_host *host,
		       const struct dial_events *events);

struct dial *dial_address(struct event_base *base, const struct address *address,
			  const struct dial_events *events);

/* Gives up what is not connected. NULLs the pointer. */
void dial_free(struct dial **dial);

#endif
