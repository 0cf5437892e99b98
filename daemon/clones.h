/* SPDX-License-Identifier: MIT */
/*
 * After a clone of this virtual machine, or its return to a snapshot, another machine may have the
 * same entropy: then, and by the command Wipe, the daemon discards all that it holds and restarts
 * the sources. lib/priv/vm_clone.h: how a clone is noticed, and how soon.
 */
#ifndef DAEMON_CLONES_H
#define DAEMON_CLONES_H

#include <event2/buffer.h>
#include <stdbool.h>

struct ctl_request;
struct daemon;

/* Opens the means to notice a clone, which takes privileges. */
void clones_prepare(struct daemon *d);

/* Waits for news. False: no memory. */
bool clones_start(struct daemon *d);
void clones_stop(struct daemon *d);
void clones_status(const struct daemon *d, struct evbuffer *out);

/* For ctl_command.run. */
const char *clones_wipe(void *arg, const struct ctl_request *request);

#endif
