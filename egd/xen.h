/* SPDX-License-Identifier: MIT */
/*
 * The channels of Xen's guests in one directory: QEMU listens on a socket for each channel, and
 * waits there for the one client that it takes. So here the server connects: to each socket whose
 * name is "ekey-" and the name of a guest, as soon as it appears, and again after the guest was
 * started anew.
 */
#ifndef EGD_XEN_H
#define EGD_XEN_H

#include <event2/event.h>

#include "priv/helper.h"

struct egd_xen;

struct egd_xen_env {
	struct event_base *base;
	const char *name;         /* of the listener */
	const char *directory;    /* both live as long as it */
	struct helper *connector; /* of connect_helper_start(); stays the caller's */
	/* The channel of `guest`; egd_xen_left() ends it. `guest` lives until then. */
	void (*taken)(void *arg, int fd, const char *guest);
	void *arg;
};

/* NULL after a line in the log that says why. */
struct egd_xen *egd_xen_new(const struct egd_xen_env *env);

/* The channel of `guest`, as it was given to taken(), is closed. */
void egd_xen_left(struct egd_xen *xen, const char *guest);

/* All channels have been left. NULLs it; NULL is fine. */
void egd_xen_free(struct egd_xen **xen);

#endif
