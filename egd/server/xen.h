/* SPDX-License-Identifier: MIT */
/*
 * The channels of Xen's guests in one directory. QEMU listens on a socket for each channel and
 * accepts one client there, so the server connects: to each socket whose name is "ekey-" and the
 * name of a guest, as soon as it appears, and again after the guest was restarted.
 */
#ifndef EGD_SERVER_XEN_H
#define EGD_SERVER_XEN_H

#include <event2/event.h>

#include "lib/priv/helper.h"

struct egd_xen;

struct egd_xen_env {
	struct event_base *base;
	const char *name;         /* of the listener */
	const char *directory;    /* both outlive it */
	struct helper *connector; /* of connect_helper_start(); the caller's */
	/* Takes over the channel of `guest`, which is valid until egd_xen_left(). */
	void (*connected)(void *arg, int fd, const char *guest);
	void *arg;
};

/* NULL after a log line with the reason. */
struct egd_xen *egd_xen_new(const struct egd_xen_env *env);

/* Reports that the channel of `guest` is closed. */
void egd_xen_left(struct egd_xen *xen, const char *guest);

/* All channels must be closed. NULLs the pointer; NULL is fine. */
void egd_xen_free(struct egd_xen **xen);

#endif
